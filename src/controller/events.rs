//! Events, on transitions only. A failed event is logged and never fails a pass.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

pub struct Events {
    recorder: Recorder,
}

impl Events {
    pub fn new(kube: kube::Client) -> Self {
        let reporter =
            Reporter { controller: "label-studio-operator".to_owned(), instance: std::env::var("POD_NAME").ok() };
        Self { recorder: Recorder::new(kube, reporter) }
    }

    pub async fn tell(&self, object: &impl Resource<DynamicType = ()>, kind: EventType, reason: &str, note: &str) {
        let reference: ObjectReference = object.object_ref(&());
        // The API server takes 1,024 bytes.
        let end = (0..=note.len().min(1000)).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note[..end].to_owned()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &reference).await {
            tracing::debug!(%error, reason, "event not published");
        }
    }
}

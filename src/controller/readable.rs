//! An object that cannot be read must not stop the watch for all the others. It is told in the log, and what the cache
//! knows of it from before stays, so that an unreadable edit never looks like a deletion.

use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

/// The event with its object, or with what was known of it; `None` if there is nothing to tell the cache.
pub fn readable<K>(event: Event<DeserializeGuard<K>>, known: &Store<K>) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let read = |DeserializeGuard(object): DeserializeGuard<K>| match object {
        Ok(object) => Some(object),
        Err(invalid) => {
            let (namespace, name) = (invalid.metadata.namespace.unwrap_or_default(), invalid.metadata.name);
            let name = name.unwrap_or_default();
            let kind = K::kind(&());
            tracing::warn!(%kind, namespace, name, error = invalid.error, "cannot be read: correct or delete it");
            known.get(&ObjectRef::new(&name).within(&namespace)).map(|before| (*before).clone())
        }
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::Apply(object) => read(object).map(Event::Apply),
        Event::InitApply(object) => read(object).map(Event::InitApply),
        Event::Delete(object) => read(object).map(Event::Delete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Organization;
    use kube::ResourceExt as _;
    use kube::runtime::reflector;
    use serde_json::json;

    fn organization(name: &str, title: &serde_json::Value) -> DeserializeGuard<Organization> {
        let object = json!({
            "apiVersion": "labelstudio.rs/v1alpha1", "kind": "Organization",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"url": "https://example.com", "credentials": {"secretRef": {"name": "token"}}, "title": title}
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn an_object_that_cannot_be_read_hides_nobody_and_keeps_what_was_known_of_it() {
        let (store, mut writer) = reflector::store::<Organization>();
        let mut tell = |event| {
            let event = readable(event, &store);
            if let Some(event) = &event {
                writer.apply_watcher_event(event);
            }
            event.is_some()
        };
        let titles = || {
            let mut all: Vec<_> = store.state().iter().map(|o| (o.name_any(), o.spec.title.clone())).collect();
            all.sort();
            all
        };
        let one = ("good".to_owned(), Some("One".to_owned()));

        // Listed, edited and listed again: the other one is always there.
        tell(Event::Init);
        assert!(!tell(Event::InitApply(organization("bad", &json!(1)))));
        tell(Event::InitApply(organization("good", &json!("One"))));
        tell(Event::InitDone);
        assert_eq!(titles(), std::slice::from_ref(&one));
        tell(Event::Apply(organization("bad", &json!("Two"))));
        assert!(tell(Event::Apply(organization("bad", &json!(2)))));
        tell(Event::Init);
        tell(Event::InitApply(organization("bad", &json!(2))));
        tell(Event::InitApply(organization("good", &json!("One"))));
        tell(Event::InitDone);
        assert_eq!(titles(), [("bad".to_owned(), Some("Two".to_owned())), one.clone()]);

        // Its deletion is a deletion.
        tell(Event::Delete(organization("bad", &json!(2))));
        assert_eq!(titles(), [one]);
    }
}

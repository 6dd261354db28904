//! What is counted while the tasks run, as far as it stands in no status: passes, what they left, connections. It must decide nothing.

use super::task::OrganizationKey;
use crate::engine::plan::Plan;
use crate::label_studio::Client;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// In seconds. A pass of ten thousand people takes minutes.
const TOOK: [f64; 9] = [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0];

pub struct Figures {
    pub passes: Family<Passed, Histogram, fn() -> Histogram>,
    organizations: Mutex<HashMap<OrganizationKey, Known>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Passed {
    /// `done`, the reason why it could not act, or `conflict` if it has to be made anew.
    pub result: &'static str,
}

/// Of one Organization.
#[derive(Clone, Default)]
pub struct Known {
    pub client: Option<Client>,
    /// Steps that its last pass left, by kind.
    pub left: BTreeMap<&'static str, usize>,
    /// Steps that were tried since this process leads, by kind and by what came of them.
    pub tried: BTreeMap<(&'static str, &'static str), u64>,
}

impl Figures {
    pub fn passed(&self, result: &'static str, took: Duration) {
        self.passes.get_or_create(&Passed { result }).observe(took.as_secs_f64());
    }

    pub fn left(&self, key: &OrganizationKey, plan: &Plan) {
        let mut left = BTreeMap::new();
        for step in &plan.steps {
            *left.entry(step.action.kind()).or_default() += 1;
        }
        self.lock().entry(key.clone()).or_default().left = left;
    }

    pub fn tried(&self, key: &OrganizationKey, kind: &'static str, result: &'static str) {
        *self.lock().entry(key.clone()).or_default().tried.entry((kind, result)).or_default() += 1;
    }

    pub fn connected(&self, key: &OrganizationKey, client: Option<&Client>) {
        self.lock().entry(key.clone()).or_default().client = client.cloned();
    }

    /// The Organization is gone.
    pub fn forget(&self, key: &OrganizationKey) {
        self.lock().remove(key);
    }

    pub fn known(&self) -> Vec<(OrganizationKey, Known)> {
        self.lock().iter().map(|(key, known)| (key.clone(), known.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrganizationKey, Known>> {
        self.organizations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Figures {
    fn default() -> Self {
        Self { passes: Family::new_with_constructor(|| Histogram::new(TOOK)), organizations: Mutex::default() }
    }
}

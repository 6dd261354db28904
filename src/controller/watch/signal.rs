//! What of an object wakes its Organization: what people and Kubernetes change about it, never our own status.

use crate::resources::{FINALIZER, GROUP};
use kube::Resource;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// What is seen of an object.
pub struct Signal {
    namespace: String,
    name: String,
    /// None: it is gone.
    signature: Option<Signature>,
}

/// Kept for each of ten thousand objects, so of most of it only the hash.
#[derive(Clone, Copy)]
struct Signature {
    everything_else: u64,
    /// Our own finalizer wakes nobody when it is set, or each pass would be preempted by itself; its loss does.
    finalized: bool,
}

impl Signal {
    /// Generation, deletion, foreign finalizers, our annotations.
    pub fn of<K: Resource>(object: &K, gone: bool) -> Self {
        let meta = object.meta();
        let finalizers = || meta.finalizers.iter().flatten();
        let mut everything_else = DefaultHasher::new();
        meta.uid.hash(&mut everything_else);
        meta.generation.hash(&mut everything_else);
        meta.deletion_timestamp.is_some().hash(&mut everything_else);
        finalizers().filter(|finalizer| *finalizer != FINALIZER).for_each(|other| other.hash(&mut everything_else));
        let ours = meta.annotations.iter().flatten().filter(|(name, _)| name.starts_with(GROUP));
        ours.for_each(|annotation| annotation.hash(&mut everything_else));
        let signature = Signature {
            everything_else: everything_else.finish(),
            finalized: finalizers().any(|finalizer| finalizer == FINALIZER),
        };
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            signature: (!gone).then_some(signature),
        }
    }

    /// And what else of it counts.
    pub fn with(mut self, more: impl Hash) -> Self {
        if let Some(signature) = &mut self.signature {
            let mut both = DefaultHasher::new();
            (signature.everything_else, more).hash(&mut both);
            signature.everything_else = both.finish();
        }
        self
    }
}

impl Signature {
    fn wakes_after(self, before: Option<Self>) -> bool {
        before.is_none_or(|before| {
            before.everything_else != self.everything_else || (before.finalized && !self.finalized)
        })
    }
}

/// The last one of each object, by kind (whether it is a UserInvite), namespace and name.
#[derive(Default)]
pub struct Signals(HashMap<(bool, String, String), Signature>);

impl Signals {
    /// Takes it in; true: it is to wake somebody.
    pub fn wakes(&mut self, is_invite: bool, signal: Signal) -> bool {
        let key = (is_invite, signal.namespace, signal.name);
        let before = self.0.remove(&key);
        let Some(new) = signal.signature else { return true };
        self.0.insert(key, new);
        new.wakes_after(before)
    }

    pub fn retain(&mut self, keep: impl Fn(bool, &str, &str) -> bool) {
        self.0.retain(|(is_invite, namespace, name), _| keep(*is_invite, namespace, name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;

    fn object(name: &str, generation: i64, finalizers: &[&str]) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.namespace = Some("team".to_owned());
        object.metadata.name = Some(name.to_owned());
        object.metadata.generation = Some(generation);
        object.metadata.finalizers = Some(finalizers.iter().map(|&finalizer| finalizer.to_owned()).collect());
        object
    }

    #[test]
    fn an_edit_wakes_and_our_own_finalizer_only_when_it_is_lost() {
        let mut signals = Signals::default();
        let mut wakes = |object: &ConfigMap, gone: bool| signals.wakes(true, Signal::of(object, gone));
        assert!(wakes(&object("people", 1, &[]), false));
        assert!(!wakes(&object("people", 1, &[FINALIZER]), false));
        assert!(wakes(&object("people", 1, &[]), false));
        assert!(wakes(&object("people", 1, &["example.com/other"]), false));
        assert!(wakes(&object("people", 2, &["example.com/other"]), false));
        assert!(wakes(&object("people", 2, &["example.com/other"]), true));
    }

    #[test]
    fn what_else_counts_wakes_when_it_changes() {
        let mut signals = Signals::default();
        let mut wakes = |more: Option<&str>| signals.wakes(true, Signal::of(&object("acme", 1, &[]), false).with(more));
        assert!(wakes(None) && !wakes(None));
        assert!(wakes(Some("a")) && !wakes(Some("a")));
        assert!(wakes(Some("b")) && wakes(None));
    }

    #[test]
    fn what_vanished_without_an_event_is_not_kept() {
        let mut signals = Signals::default();
        for name in ["one", "two"] {
            signals.wakes(true, Signal::of(&object(name, 1, &[]), false));
        }
        signals.retain(|is_invite, namespace, name| !(is_invite && namespace == "team" && name == "one"));
        assert_eq!(signals.0.len(), 1);
        assert!(signals.wakes(true, Signal::of(&object("one", 1, &[]), false)), "made anew, it is new");
        assert!(!signals.wakes(true, Signal::of(&object("two", 1, &[]), false)));
    }
}

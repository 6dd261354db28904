//! UserInvites that cannot be written while the others can: a right in their namespace is missing, or they are gone and no
//! watch has told. They are left behind: nothing is done for their people and nothing waits for them, until a write that is
//! tried now and then succeeds.

use crate::engine::grants::foreign_namespace;
use crate::resources::UserInvite;
use kube::ResourceExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// When a write is tried again at first; each time it fails, after twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// The same for what may pass by itself, and be over for all at once.
const LONGEST_DOUBT: Duration = Duration::from_secs(60);
/// Somebody else writes now and then, or the cache is behind: that is told only once it lasts.
const WORTH_TELLING: u32 = 3;

#[derive(Default)]
pub struct LeftBehind {
    known: BTreeMap<String, Failed>,
    /// Not yet told, each once while it lasts.
    untold: Vec<String>,
    /// Since when what is due may be tried.
    begun: Option<Instant>,
    /// Namespaces where an error was long in coming. All that is there waits.
    slow: BTreeMap<String, Slow>,
    /// Written in this pass.
    proven: BTreeSet<String>,
    /// What somebody asks for a pass by, until it is answered.
    asked: Option<String>,
    /// Written since, and not refused after that.
    written: BTreeSet<String>,
    /// The last answer to them was an error of the API server.
    struck: BTreeSet<String>,
}

struct Failed {
    version: (Option<String>, Option<String>),
    until: Instant,
    tries: u32,
    told: bool,
    /// It is being deleted and its people are stored in the Organization's list: only the finalizer is left to do.
    handed_over: bool,
}

impl LeftBehind {
    /// At the begin of a pass: what is gone is forgotten, and what changed or waited long enough is tried. Whoever has `asked`
    /// for a pass has everything tried at once. Once for each such value: it is answered at the end of a pass only, and none
    /// comes to its end that begins with what is bound to fail.
    pub fn begin<'a>(&mut self, find: impl Fn(&str) -> Option<&'a UserInvite>, asked: Option<&String>) {
        let now = Instant::now();
        let at_once = asked.is_some() && asked != self.asked.as_ref();
        self.asked = asked.cloned();
        self.begun = Some(now);
        self.proven.clear();
        if at_once {
            self.slow.values_mut().for_each(|slow| slow.until = now);
        }
        self.known.retain(|name, failed| {
            let Some(invite) = find(name).filter(|invite| invite.uid() == failed.version.0) else { return false };
            if at_once || version(invite) != failed.version {
                failed.until = now;
            }
            true
        });
        self.struck.retain(|name| find(name).is_some());
    }

    /// At the end of a pass that came to its end: what was written and did not fail again is well. Where nothing was tried
    /// nothing is known.
    pub fn end(&mut self) {
        let written = std::mem::take(&mut self.written);
        self.known.retain(|name, _| !written.contains(name));
    }

    /// An error of the API server was the answer; true: again.
    pub fn strikes(&mut self, name: &str) -> bool {
        !self.struck.insert(name.to_owned())
    }

    pub fn written(&mut self, name: &str) {
        self.struck.remove(name);
        self.slow.remove(namespace(name));
        self.proven.insert(name.to_owned());
        if self.known.contains_key(name) {
            self.written.insert(name.to_owned());
        }
    }

    pub fn failed(&mut self, name: &str, invite: &UserInvite, refused: bool, why: &str) {
        let now = Instant::now();
        self.written.remove(name);
        let failed = self.known.entry(name.to_owned()).or_insert_with(|| Failed {
            version: version(invite),
            until: now,
            tries: 0,
            told: false,
            handed_over: false,
        });
        failed.version = version(invite);
        let longest = if refused { LONGEST_PAUSE } else { LONGEST_DOUBT };
        failed.until = now + FIRST_PAUSE.saturating_mul(1 << failed.tries.min(10)).min(longest);
        failed.tries += 1;
        tracing::warn!(userinvite = name, error = why, "left behind: it cannot be written");
        if !failed.told && (refused || failed.tries >= WORTH_TELLING) {
            failed.told = true;
            self.untold.push(format!("{name}: {why}"));
        }
    }

    /// The error was long in coming, as when a webhook hangs that everything in the namespace has to pass. The next that is tried
    /// there is another one: this one may be the only one.
    pub fn hung(&mut self, name: &str) {
        let now = Instant::now();
        let slow = self.slow.entry(namespace(name).to_owned()).or_insert(Slow { until: now, tries: 0 });
        let pause = FIRST_PAUSE.saturating_mul(1 << slow.tries.min(10)).min(LONGEST_DOUBT / 2);
        slow.until = now + pause;
        slow.tries += 1;
        let until = now + pause * 2;
        self.known.entry(name.to_owned()).and_modify(|failed| failed.until = failed.until.max(until));
    }

    pub fn is_slow(&self, name: &str) -> bool {
        self.slow.contains_key(namespace(name))
    }

    /// It could not be written before, or was edited since it was, and nothing has shown in this pass that it can be now.
    pub fn doubts(&self, name: &str, invite: &UserInvite) -> bool {
        let observed = invite.status.as_ref().and_then(|status| status.observed_generation);
        (self.known.contains_key(name) || observed != invite.metadata.generation) && !self.proven.contains(name)
    }

    /// Not to be tried in this pass.
    pub fn waits(&self, name: &str) -> bool {
        let failed = self.known.get(name).map(|failed| failed.until);
        let slow = self.slow.get(namespace(name)).map(|slow| slow.until);
        failed.max(slow).is_some_and(|until| self.begun.is_none_or(|begun| until > begun))
    }

    pub fn is_handed_over(&self, name: &str) -> bool {
        self.known.get(name).is_some_and(|failed| failed.handed_over)
    }

    pub fn handed_over(&mut self, name: &str) {
        if let Some(failed) = self.known.get_mut(name) {
            failed.handed_over = true;
        }
    }

    pub fn take_untold(&mut self) -> Vec<String> {
        std::mem::take(&mut self.untold)
    }

    /// When the next one is to be tried. What may be tried already waits for an occasion.
    pub fn next(&self) -> Option<Duration> {
        let known = self.known.values().map(|failed| failed.until);
        let waiting = known.chain(self.slow.values().map(|slow| slow.until));
        let waiting = waiting.filter(|until| self.begun.is_none_or(|begun| *until > begun));
        waiting.map(|until| until.saturating_duration_since(Instant::now())).min()
    }
}

struct Slow {
    until: Instant,
    tries: u32,
}

/// Empty: the Organization's own.
fn namespace(name: &str) -> &str {
    foreign_namespace(name).unwrap_or_default()
}

fn version(invite: &UserInvite) -> (Option<String>, Option<String>) {
    (invite.uid(), invite.resource_version())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(version: &str) -> UserInvite {
        let spec =
            serde_json::json!({"organizationRef": {"name": "acme"}, "emails": ["a@example.com"], "role": "Annotator"});
        let mut invite = UserInvite::new("people", serde_json::from_value(spec).unwrap());
        invite.metadata.uid = Some("1".to_owned());
        invite.metadata.resource_version = Some(version.to_owned());
        invite
    }

    #[test]
    fn it_waits_longer_each_time_until_it_changes_and_is_told_once() {
        let mut left = LeftBehind::default();
        let mut longest = Duration::ZERO;
        for asked in 0..4 {
            left.begin(|_| Some(Box::leak(Box::new(invite("1")))), Some(&asked.to_string()));
            assert!(!left.waits("t/people"));
            left.failed("t/people", &invite("1"), true, "no right");
            left.end();
            assert!(left.waits("t/people") && left.next() > Some(longest));
            longest = left.next().unwrap();
        }
        assert_eq!(left.take_untold(), ["t/people: no right"]);
        left.begin(|_| Some(Box::leak(Box::new(invite("1")))), None);
        assert!(left.waits("t/people"));
        left.begin(|_| Some(Box::leak(Box::new(invite("2")))), None);
        assert!(!left.waits("t/people"));
        left.end();
        assert!(left.next().is_none(), "it is tried as soon as there is something to write");
        left.failed("t/people", &invite("2"), true, "no right");
        assert!(left.next() > Some(longest), "nothing was tried in between, so nothing begins anew");
        left.begin(|_| Some(Box::leak(Box::new(invite("3")))), None);
        left.written("t/people");
        left.end();
        left.failed("t/people", &invite("3"), true, "no right");
        assert!(left.next() <= Some(FIRST_PAUSE), "it was well in between");
        assert_eq!(left.take_untold(), ["t/people: no right"]);
    }

    #[test]
    fn whoever_asks_for_a_pass_has_everything_tried_once_and_not_again_until_asking_anew() {
        let mut left = LeftBehind::default();
        left.failed("t/people", &invite("1"), true, "no right");
        for asked in ["1", "2"].map(|value| Some(value.to_owned())) {
            left.begin(|_| Some(Box::leak(Box::new(invite("1")))), asked.as_ref());
            assert!(!left.waits("t/people"));
            left.failed("t/people", &invite("1"), true, "no right");
            left.begin(|_| Some(Box::leak(Box::new(invite("1")))), asked.as_ref());
            assert!(left.waits("t/people"), "nobody answers to the annotation while one is left behind");
        }
    }

    #[test]
    fn where_one_hangs_all_wait_and_another_one_is_tried_next() {
        let mut left = LeftBehind::default();
        let mut longest = Duration::ZERO;
        for name in ["t/one", "t/two", "t/three"] {
            left.begin(|_| Some(Box::leak(Box::new(invite("1")))), Some(&name.to_owned()));
            assert!(!left.waits("t/people") && !left.waits(name));
            left.failed(name, &invite("1"), false, "it hangs");
            left.hung(name);
            assert!(
                left.is_slow("t/people") && left.waits("t/people") && !left.waits("people") && !left.waits("u/people")
            );
            let (one, all) = (left.known[name].until, left.slow["t"].until);
            assert!(one > all && left.next() > Some(longest), "the next time it is another one's turn");
            longest = left.next().unwrap();
        }
        left.written("t/people");
        assert!(!left.waits("t/people") && left.waits("t/three"));
    }

    #[test]
    fn what_was_written_and_then_refused_in_one_pass_is_not_well() {
        let mut left = LeftBehind::default();
        left.failed("t/people", &invite("1"), true, "no right");
        left.begin(|_| Some(Box::leak(Box::new(invite("1")))), Some(&"1".to_owned()));
        left.written("t/people");
        left.failed("t/people", &invite("1"), true, "no right");
        left.end();
        assert!(left.next() > Some(FIRST_PAUSE));
    }
}

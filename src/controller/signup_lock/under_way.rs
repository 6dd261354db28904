//! How long roll-outs have been under way. Kubernetes sets no deadline for a StatefulSet or a paused Deployment, and who
//! began a roll-out, and when, is not always known: so each is timed from when this process saw it first.

use crate::label_studio::Boottime;
use crate::resources::SignupWorkload;
use std::time::Duration;

/// Losing it gives a roll-out that hangs as much time once more.
#[derive(Default)]
pub struct UnderWay(Vec<Seen>);

struct Seen {
    workload: SignupWorkload,
    /// Of the workload: another one is another roll-out.
    generation: i64,
    first: Boottime,
}

impl UnderWay {
    /// For how long this one has been seen.
    pub fn since(&mut self, workload: &SignupWorkload, generation: i64) -> Duration {
        let is_it = |seen: &Seen| seen.workload.is_same(workload) && seen.generation == generation;
        if let Some(seen) = self.0.iter().find(|seen| is_it(seen)) {
            return seen.first.elapsed();
        }
        self.ended(workload);
        self.0.push(Seen { workload: workload.clone(), generation, first: Boottime::now() });
        Duration::ZERO
    }

    pub fn ended(&mut self, workload: &SignupWorkload) {
        self.0.retain(|seen| !seen.workload.is_same(workload));
    }

    /// Forgets those that are not declared any more.
    pub fn retain(&mut self, declared: &[SignupWorkload]) {
        self.0.retain(|seen| declared.iter().any(|workload| workload.is_same(&seen.workload)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::WorkloadKind;

    fn workload(name: &str) -> SignupWorkload {
        SignupWorkload { kind: WorkloadKind::StatefulSet, name: name.to_owned(), container: "app".to_owned() }
    }

    #[test]
    fn another_generation_or_an_end_in_between_starts_the_clock_anew() {
        let mut under_way = UnderWay::default();
        assert_eq!(under_way.since(&workload("a"), 1), Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2)); // what is measured, not a wait
        assert!(under_way.since(&workload("a"), 1) > Duration::ZERO);
        assert_eq!(under_way.since(&workload("b"), 1), Duration::ZERO, "each has its own");
        assert_eq!(under_way.since(&workload("a"), 2), Duration::ZERO);
        assert_eq!(under_way.since(&workload("a"), 1), Duration::ZERO);
        under_way.ended(&workload("a"));
        assert_eq!(under_way.since(&workload("a"), 1), Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        under_way.retain(&[workload("b")]);
        assert_eq!(under_way.since(&workload("a"), 1), Duration::ZERO);
        assert!(under_way.since(&workload("b"), 1) > Duration::ZERO, "declared still");
    }
}

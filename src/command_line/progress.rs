//! How far a run has come, on a terminal: counts, and what the configured rate alone still needs. Nothing elsewhere.

use super::print::tell;
use crate::engine::plan::Step;
use crate::standalone::Watcher;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Draws on standard error.
pub struct Progress {
    bar: ProgressBar,
    /// Requests that the plan takes, as far as it is known.
    requests: usize,
    tried: usize,
    per_second: f64,
    failed: usize,
}

impl Progress {
    /// `people`: changes that are wanted. `requests`: what they take.
    pub fn new(name: &str, people: usize, requests: usize, per_second: i32) -> Self {
        let bar = ProgressBar::with_draw_target(Some(people as u64), ProgressDrawTarget::stderr());
        let form = "{prefix} [{wide_bar}] {pos} of {len} {msg}";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        let progress = Self { bar, requests, tried: 0, per_second: f64::from(per_second.max(1)), failed: 0 };
        progress.tell();
        progress
    }

    /// Takes itself off the screen, so that what is printed next stands alone.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn tell(&self) {
        // In whole seconds, and never beyond what a clock shows.
        #[allow(clippy::cast_precision_loss)] // of more than 2^52 requests
        let left = self.requests.saturating_sub(self.tried) as f64 / self.per_second;
        let left = Duration::try_from_secs_f64(left.ceil()).unwrap_or_default();
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        let time = indicatif::HumanDuration(left);
        self.bar.set_message(format!("{failed}, about {time} left").trim_start_matches(", ").to_owned());
    }
}

impl Watcher for Progress {
    fn tried(&mut self, step: &Step, taken: bool) {
        self.tried += 1;
        if taken {
            let people = step.action.emails().len().max(1);
            self.bar.inc(people as u64);
        } else {
            self.failed += 1;
        }
        self.tell();
    }

    fn waits(&mut self, how_long: Duration) {
        let waits = format!(
            "the answer to a mail was lost: what became of it can be told in {}",
            indicatif::HumanDuration(how_long)
        );
        if self.bar.is_hidden() {
            tell(&waits);
        } else {
            self.bar.println(waits);
        }
    }
}

//! What the chart's tests share: where it is and what it is called.

#![allow(clippy::unwrap_used)] // A test says what went wrong by failing.

use label_studio_harness::checkout;

pub const NAME: &str = "label-studio-operator";

pub fn chart() -> String {
    checkout().join("charts").join(NAME).to_str().unwrap().to_owned()
}

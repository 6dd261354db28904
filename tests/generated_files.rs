//! What is generated and committed equals what the code generates.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_operator::manifest::definition_files;

#[test]
fn crds_equal_what_the_code_generates() {
    let folder = label_studio_harness::checkout().join("crds");
    for (name, wanted) in definition_files().unwrap() {
        let committed = std::fs::read_to_string(folder.join(&name)).unwrap();
        assert_eq!(committed, wanted, "crds/{name} is out of step: run `make generate`");
    }
}

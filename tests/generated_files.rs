//! What is generated and committed equals what the code generates, wherever it stands.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_operator::manifest::definition_files;
use std::path::Path;

/// The chart has its own copy: see [`the_chart_holds_files_and_no_symbolic_links`].
const FOLDERS: [&str; 2] = ["crds", "charts/label-studio-operator/files/crds"];

#[test]
fn crds_equal_what_the_code_generates() {
    for folder in FOLDERS {
        let at = label_studio_harness::checkout().join(folder);
        let wanted = definition_files().unwrap();
        for (name, wanted) in &wanted {
            let committed = std::fs::read_to_string(at.join(name)).unwrap();
            assert_eq!(committed, *wanted, "{folder}/{name} is out of step: run `make generate`");
        }
        assert_eq!(std::fs::read_dir(&at).unwrap().count(), wanted.len(), "{folder} holds what nothing generates");
    }
}

/// Flux makes an archive of a repository and leaves symbolic links out of it: a HelmRelease from a GitRepository would
/// install the chart without them, and say nothing.
#[test]
fn the_chart_holds_files_and_no_symbolic_links() {
    fn look(path: &Path) -> usize {
        let kind = std::fs::symlink_metadata(path).unwrap().file_type();
        assert!(!kind.is_symlink(), "{} is a symbolic link", path.display());
        if !kind.is_dir() {
            return 1;
        }
        std::fs::read_dir(path).unwrap().map(|entry| look(&entry.unwrap().path())).sum()
    }
    let seen: usize = FOLDERS.map(|folder| look(&label_studio_harness::checkout().join(folder))).iter().sum();
    assert_eq!(seen, 4);
    assert!(look(&label_studio_harness::checkout().join("charts")) > 10);
}

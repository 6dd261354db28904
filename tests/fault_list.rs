//! The list of faults in `docs/faults.md` tells the truth: its tests exist, and what it says is shown are reasons that there are.

#![allow(clippy::unwrap_used, clippy::panic)] // A test says what went wrong by failing.

use label_studio_harness::checkout;
use std::collections::BTreeSet;

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of each row: fault, tests, what is shown.
fn rows() -> Vec<[String; 3]> {
    let page = read("docs/faults.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault |"));
    let cells = |row: &str| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|_| panic!("not three cells: {row}"))
    };
    rows.map(cells).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether the file has a function of this name that is run as a test.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = format!("fn {name}(");
    let found = lines.iter().position(|line| line.trim_start_matches("async ").starts_with(&head));
    found.is_some_and(|at| lines[..at].iter().rev().take_while(|l| l.starts_with("#[")).any(|l| l.contains("test")))
}

#[test]
fn each_fault_names_tests_that_exist() {
    let rows = rows();
    assert!(rows.len() >= 22, "faults are gone from the list: {} are left", rows.len());
    for [fault, tests, _] in &rows {
        let mut file = None;
        let mut found = 0;
        for word in quoted(tests) {
            if std::path::Path::new(word).extension().is_some() {
                file = Some((word, read(word)));
            } else {
                let (path, text) = file.as_ref().unwrap_or_else(|| panic!("{fault}: {word} stands in no file"));
                assert!(is_test(text, word), "{fault}: {path} has no test {word}");
                found += 1;
            }
        }
        assert!(found > 0, "{fault}: no test");
    }
}

#[test]
fn what_is_shown_are_reasons_that_there_are() {
    let pages = ["docs/conditions.md", "docs/people.md"].map(read).concat();
    let reasons: BTreeSet<&str> =
        pages.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for [fault, _, shown] in rows() {
        for word in quoted(&shown).filter(|word| !word.starts_with("status.")) {
            assert!(reasons.contains(word), "{fault}: {word} is no reason");
        }
    }
}

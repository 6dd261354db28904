//! What `docs/metrics.md` says that there is.

use label_studio_harness::checkout;
use std::collections::{BTreeMap, BTreeSet};

/// Every metric with its labels.
pub fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(checkout().join("docs/metrics.md")).unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        (quoted(cells[0])[0].clone(), quoted(cells[1]).into_iter().collect())
    };
    rows.map(row).collect()
}

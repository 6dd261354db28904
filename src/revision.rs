//! Which source this program was built from. Builds for others set it (scripts/revision); nothing here asks Git, or every commit
//! would make a development build compile anew.

use std::sync::LazyLock;

/// Twelve digits of the commit, with `-dirty` behind them where the sources differ from it.
pub const REVISION: &str = match option_env!("LABEL_STUDIO_OPERATOR_REVISION") {
    Some(revision) if !revision.is_empty() => revision,
    _ => "development build",
};

/// As `--version` says it: `0.1.0 (0123456789ab)`.
pub static VERSION: LazyLock<String> = LazyLock::new(|| format!("{} ({REVISION})", env!("CARGO_PKG_VERSION")));

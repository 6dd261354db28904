//! `crds`: prints the definitions, or writes one file per kind.

use crate::manifest::definition_files;
use anyhow::Context as _;
use std::io::Write as _;
use std::path::PathBuf;

const AFTER_HELP: &str = "Exit codes:
  0  printed, or written
  1  a file cannot be written

Example:
  label-studio-operator crds | kubectl apply --server-side -f -";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Write one file per kind into this folder instead of printing.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn crds(Arguments { output }: &Arguments) -> anyhow::Result<()> {
    let files = definition_files()?;
    let Some(folder) = output else {
        let mut out = std::io::stdout().lock();
        for (_, text) in files {
            write!(out, "---\n{text}")?;
        }
        return Ok(());
    };
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

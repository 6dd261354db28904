//! `plan`: what would be done, for people in a pull request and for the tools around it. Writes nothing.

use super::declared::{PATHS, declared, environment};
use super::print::print;
use super::seen::{by_state, see};
use super::{Answer, colour, runtime};
use crate::engine::ledger::Kept;
use crate::report::{Report, markdown, plan_text};
use std::path::PathBuf;

const AFTER_HELP: &str = "Exit codes:
  0  everything is as declared
  1  it could not look
  2  something is to be changed
  3  nothing is to be changed, and something is held that a person has to look at

Example:
  label-studio-operator plan people/ -o markdown";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[arg(required = true, value_name = "PATH", help = PATHS)]
    paths: Vec<PathBuf>,

    /// Text for people, JSON for tools, or Markdown for a comment.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,

    /// Compare with this file, which `export -o state` wrote, and ask no server: no token is needed. Repeat it for several
    /// Organizations.
    #[arg(long, value_name = "FILE")]
    state: Vec<PathBuf>,
}

#[derive(Clone, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
}

pub fn plan(Arguments { paths, output, state }: &Arguments) -> anyhow::Result<Answer> {
    let objects = declared(paths)?;
    let reports = if state.is_empty() {
        runtime::block_on(async {
            let seen = see(&objects, &environment(), Kept::ForOneRun { first_invitation: false }, &[]).await?;
            Ok(seen.into_iter().map(|seen| seen.report).collect())
        })?
    } else {
        by_state(&objects, state)?
    };
    let report = Report::new(reports, objects.homeless);
    print(&match output {
        Format::Text => plan_text(&report, colour::paint),
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Markdown => markdown(&report),
    })?;
    Ok(match (report.changes(), report.is_held()) {
        (0, false) => Answer::Yes,
        (0, true) => Answer::Code(3),
        _ => Answer::Code(2),
    })
}

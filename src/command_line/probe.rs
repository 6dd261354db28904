//! `probe`: asks a page of a running operator. What it takes to ask is in `controller/probe.rs`.

use crate::controller;
use std::io::Write as _;

const AFTER_HELP: &str = "Exit codes:
  0  all is well
  1  something is not, or the page cannot be asked

Example:
  label-studio-operator probe http://127.0.0.1:8081/readyz";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The page, such as `http://127.0.0.1:8081/readyz`
    #[arg(value_name = "URL")]
    url: String,
}

pub fn probe(Arguments { url }: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = runtime.block_on(controller::probe(url))?;
    std::io::stdout().lock().write_all(said.as_bytes())?;
    Ok(())
}

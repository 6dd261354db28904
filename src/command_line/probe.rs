//! `probe`: asks a page of a running operator. What it takes to ask is in `controller/probe.rs`.

use crate::controller;
use std::io::Write as _;

#[derive(clap::Args)]
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

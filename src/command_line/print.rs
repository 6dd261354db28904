//! Results, on standard output. A reader who has gone is no error: what is to be done is done all the same, and the exit code says
//! what it would have said.

use std::io::{ErrorKind, Write as _};

/// Of those results that both people and tools read.
#[derive(Clone, Copy, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Everything else, a line on standard error. Where nobody can be told, the work goes on.
pub fn tell(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

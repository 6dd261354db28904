//! `man`: the manual pages, from the command line as clap knows it. What a page says stands with its command.

use crate::revision::VERSION;
use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::io::{self, Write as _};
use std::iter::once;
use std::path::PathBuf;

const AFTER_HELP: &str = "Exit codes:
  0  printed, or written
  1  a file cannot be written

Example:
  label-studio-operator man | man -l -
  label-studio-operator man --output ~/.local/share/man/man1";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Write the program's page and one for each command into this folder instead of printing.
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn man(Arguments { output }: &Arguments) -> anyhow::Result<()> {
    // Whoever reads about the program does not look for the command that shows its help.
    let mut program = super::Arguments::command().disable_help_subcommand(true);
    program.build();
    let Some(folder) = output else {
        io::stdout().lock().write_all(&page(&program)?)?;
        return Ok(());
    };
    for command in once(&program).chain(program.get_subcommands()) {
        let path = folder.join(Man::new(command.clone()).get_filename());
        std::fs::write(&path, page(command)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    // No day, so that the same source gives the same page, and no name of a manual, which would run into that of a command. An
    // empty argument would get lost and move the others up.
    let man = Man::new(command.clone()).date(" ").source(&*VERSION).manual(" ");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let below = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    sections(&below).to_writer(&mut page)?;
    Ok(page)
}

/// Each paragraph, a section of its own with its lines as they are: clap_mangen would make one flowing text of all.
fn sections(below: &str) -> Roff {
    let mut page = Roff::new();
    for (title, lines) in below.split("\n\n").filter_map(|paragraph| paragraph.split_once(":\n")) {
        page.control("SH", [&*title.to_uppercase()]);
        page.control("nf", []);
        for line in lines.lines() {
            page.text([roman(line.trim_start())]);
        }
        page.control("fi", []);
    }
    page
}

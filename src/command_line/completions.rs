//! `completions`: the script that makes a shell complete, from the command line as clap knows it.

use clap::builder::{Resettable, Str};
use clap::{Command, CommandFactory as _};
use clap_complete::{generate, shells};
use std::io::Write as _;

const AFTER_HELP: &str = "Exit codes:
  0  printed
  1  the shell is not one of these

Example:
  source <(label-studio-operator completions bash)    # in ~/.bashrc
  source <(label-studio-operator completions zsh)     # in ~/.zshrc, after compinit
  label-studio-operator completions fish | source     # in config.fish";

#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Which shell is to complete.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn completions(Arguments { shell }: &Arguments) -> anyhow::Result<()> {
    let mut program = shown(&super::Arguments::command());
    let name = program.get_name().to_owned();
    // Not to standard output itself: clap_complete panics where it cannot write, as into a pipe that is closed.
    let mut script = Vec::new();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut program, name, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut program, name, &mut script),
        Shell::Fish => generate(shells::Fish, &mut program, name, &mut script),
    }
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}

/// Without what the help hides: clap_complete would offer it.
fn shown(command: &Command) -> Command {
    Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .version(Resettable::from(command.get_version().map(|version| Str::from(version.to_owned()))))
        .args(command.get_arguments().filter(|argument| !argument.is_hide_set()))
        .subcommands(command.get_subcommands().filter(|command| !command.is_hide_set()).map(shown))
}

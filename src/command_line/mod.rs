//! The command line: one file per command. Knows clap, never HTTP.

mod apply;
mod colour;
mod completions;
mod crds;
mod declared;
mod detach;
mod doctor;
mod export;
mod man;
mod plan;
mod print;
mod probe;
mod progress;
mod run;
mod runtime;
mod seen;
mod validate;

use crate::revision::VERSION;
use clap::{Parser, Subcommand};
use print::tell;
use std::process::ExitCode;

/// Of every command: what its exit codes mean, and an example. `man` makes a section of each paragraph.
const AFTER_HELP: &str = "Exit codes:
  0  done
  1  it could not be done, the answer is no, or the command line is wrong
  What others mean stands in the help of the command.

Example:
  label-studio-operator help validate";

/// Keeps a Label Studio organization and its people as declared.
#[derive(Parser)]
#[command(version = VERSION.as_str(), about, after_help = AFTER_HELP, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller: in a cluster, or from a kubeconfig.
    Run(Box<run::Arguments>),
    /// Take the operator's finalizers off and change nothing else: for an uninstall without losing people.
    ///
    /// Refuses while a controller is at work.
    Detach(detach::Arguments),
    /// Print the CustomResourceDefinitions.
    Crds(crds::Arguments),
    /// Ask a page of a running operator, as `helm test` does, and print what it says.
    Probe(probe::Arguments),
    /// Judge manifests without a cluster: each by the definitions that `crds` prints, and all of them together.
    Validate(validate::Arguments),
    /// Show what would be done to Label Studio, and what is held and why: for a pull request. Writes nothing.
    Plan(plan::Arguments),
    /// Show the plan, ask, and make Label Studio agree with the files.
    ///
    /// Takes access away by `role: Deactivated` or `expiresAt` alone: whoever stands in no file is left as is.
    Apply(apply::Arguments),
    /// Write what a server holds as manifests, as a list of people, or as a state for `plan --state`.
    Export(export::Arguments),
    /// Say why it does not work, and what to do: server, version, token, role, members, seats, sign-up. Writes nothing.
    Doctor(doctor::Arguments),
    /// Print what makes a shell complete commands and options.
    Completions(completions::Arguments),
    /// Print the manual page of the program, or write one for each command.
    Man(man::Arguments),
}

/// How a command ends that has done its work.
enum Answer {
    Yes,
    /// What the exit code means stands with the command.
    Code(u8),
}

/// Parses the process's arguments, runs the command and says with which code to end. A usage error is 1, since 2
/// means "changes wanted" or "invalid" elsewhere; help and version are 0; a broken pipe is no error.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            let printed = usage.print();
            return ExitCode::from(u8::from(usage.use_stderr() || printed.is_err()));
        }
    };
    let done = match arguments.command {
        Command::Run(arguments) => run::run(*arguments).map(|()| Answer::Yes),
        Command::Detach(arguments) => detach::detach(arguments).map(|()| Answer::Yes),
        Command::Crds(arguments) => crds::crds(&arguments).map(|()| Answer::Yes),
        Command::Probe(arguments) => probe::probe(&arguments).map(|()| Answer::Yes),
        Command::Validate(arguments) => validate::validate(&arguments),
        Command::Plan(arguments) => plan::plan(&arguments),
        Command::Apply(arguments) => apply::apply(&arguments),
        Command::Export(arguments) => export::export(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Completions(arguments) => completions::completions(&arguments).map(|()| Answer::Yes),
        Command::Man(arguments) => man::man(&arguments).map(|()| Answer::Yes),
    };
    match done {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::Code(code)) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

//! The command line: one file per command. Knows clap, never HTTP.

mod cluster;
mod crds;
mod detach;
mod probe;
mod run;
mod validate;

use crate::revision::VERSION;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Keeps a Label Studio organization and its people as declared.
#[derive(Parser)]
#[command(version = VERSION.as_str(), about, max_term_width = 100)]
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
    /// Refuses while a controller is at work. Example: helm uninstall label-studio-operator && label-studio-operator detach
    Detach(detach::Arguments),
    /// Print the CustomResourceDefinitions.
    ///
    /// Example: label-studio-operator crds | kubectl apply --server-side -f -
    Crds(crds::Arguments),
    /// Ask a page of a running operator: what it says and 0 if all is well, else why not and 1. `helm test` does this.
    Probe(probe::Arguments),
    /// Judge manifests without a cluster: each by the definitions that `crds` prints, and all of them together.
    ///
    /// Ends with 0 if all are valid, 2 if one is not, 1 if a file cannot be read.
    /// Example: label-studio-operator validate people/
    Validate(validate::Arguments),
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
    };
    match done {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::Code(code)) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

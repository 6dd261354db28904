//! The command line: one file per command. Knows clap, never HTTP.

mod apply;
mod colour;
mod crds;
mod declared;
mod detach;
mod doctor;
mod export;
mod plan;
mod probe;
mod progress;
mod run;
mod runtime;
mod validate;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Keeps a Label Studio organization and its people as declared.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
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
    /// Show what would be done to Label Studio, and what is held and why: for a pull request. Writes nothing.
    ///
    /// Ends with 0 if everything is as declared, 2 if something is to be changed, 3 if something is only held, 1 if it could not look.
    /// Example: label-studio-operator plan people/ -o markdown
    Plan(plan::Arguments),
    /// Show the plan, ask, and make Label Studio agree with the files.
    ///
    /// Takes access away by `role: Deactivated` or `expiresAt` alone: whoever stands in no file is left as is.
    /// Ends with 0 if all is done, 3 if something is held, 1 if it failed or was stopped; then run it again.
    /// Example: label-studio-operator apply people/ --yes
    Apply(apply::Arguments),
    /// Write what a server holds as manifests, as a list of people, or as a state for `plan --state`.
    ///
    /// Example: LABEL_STUDIO_API_KEY=... label-studio-operator export --url https://label-studio.example.com -o people/
    Export(export::Arguments),
    /// Say why it does not work, and what to do: server, version, token, role, members, seats, sign-up. Writes nothing.
    ///
    /// Ends with 0 if all is well (warnings may stand), 1 if something is not.
    /// Example: label-studio-operator doctor people/
    Doctor(doctor::Arguments),
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

//! Parse, dispatch, exit code.

use label_studio_operator::command_line;
use std::process::ExitCode;

fn main() -> ExitCode {
    command_line::main()
}

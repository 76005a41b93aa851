//! The `wardbeat` program: parses, calls a command, turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    wardbeat::cli::main()
}

//! `wardbeat completions`: completions for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

/// Prints completions.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wardbeat completions bash > ~/.local/share/bash-completion/completions/wardbeat"
)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args) {
    let mut command = super::Cli::command();
    clap_complete::generate(args.shell, &mut command, "wardbeat", &mut std::io::stdout());
}

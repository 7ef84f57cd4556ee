//! `sirocco completions`

use crate::output::Output;
use clap_complete::Shell;

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco completions bash > ~/.local/share/bash-completion/completions/sirocco
  sirocco completions zsh > ~/.zfunc/_sirocco")]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints it.
///
/// # Errors
/// None.
pub fn run(arguments: &Arguments, mut command: clap::Command, _: Output) -> Result<(), crate::Error> {
    clap_complete::generate(arguments.shell, &mut command, "sirocco", &mut std::io::stdout());
    Ok(())
}

//! `sirocco completions`: prints a completion script.

use crate::output::Output;
use clap_complete::Shell;

/// Print a script with which a shell completes commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco completions bash > ~/.local/share/bash-completion/completions/sirocco
  sirocco completions zsh > ~/.zfunc/_sirocco")]
pub struct Arguments {
    /// The shell that runs the script
    shell: Shell,
}

#[derive(serde::Serialize)]
struct Script {
    shell: String,
    script: String,
}

/// Prints the script. Always succeeds.
pub fn run(arguments: &Arguments, mut command: clap::Command, output: Output) -> Result<(), crate::Error> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "sirocco", &mut script);
    let (shell, script) = (arguments.shell.to_string(), String::from_utf8_lossy(&script).into_owned());
    output.result(&Script { shell, script }, |script| crate::output::write(format_args!("{}", script.script)));
    Ok(())
}

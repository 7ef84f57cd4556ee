//! `sirocco data`: real outbreaks that come with the program.

use crate::Error;
use crate::input::outbreak::{BUILT_IN, BuiltIn};
use crate::output::Output;
use serde::Serialize;
use std::path::PathBuf;

/// List the outbreaks that come with the program, or write one as a table
///
/// They are small published tables, to try calibrations and plots on, and examples of the forms in which tables of your own
/// may be. Without a name, all are listed with their sources. With one, its table is printed, or written to --out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco data                                   lists the outbreaks
  sirocco data --quiet                           prints their names only
  sirocco data harbin                            prints the table
  sirocco data boarding-school --out school.csv")]
pub struct Arguments {
    /// Outbreak to write; all are listed if left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// File to write the table to; it is printed if left out
    #[arg(long, value_name = "FILE", requires = "name")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    what: &'static str,
    source: &'static str,
}

#[derive(Serialize)]
struct Listing {
    outbreaks: Vec<Listed>,
}

#[derive(Serialize)]
struct Written {
    name: &'static str,
    /// The file, if there is one.
    out: Option<PathBuf>,
    /// The table, if it is not written to a file.
    table: Option<&'static str>,
}

/// Lists the outbreaks, or writes one.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let Some(name) = &arguments.name else {
        let listed = |&BuiltIn { name, what, source, .. }: &BuiltIn| Listed { name, what, source };
        output.result(&Listing { outbreaks: BUILT_IN.iter().map(listed).collect() }, |listing| {
            for Listed { name, what, source } in &listing.outbreaks {
                match output.quiet {
                    true => say!("{name}"),
                    false => say!("{name}\n  {what}\n  source  {source}"),
                }
            }
        });
        return Ok(());
    };
    let unknown = || {
        let names: Vec<&str> = BUILT_IN.iter().map(|outbreak| outbreak.name).collect();
        Error::Usage(format!("no outbreak is called `{name}`; there are {}", names.join(", ")))
    };
    let outbreak = BUILT_IN.iter().find(|outbreak| outbreak.name == *name).ok_or_else(unknown)?;
    if let Some(out) = &arguments.out {
        std::fs::write(out, outbreak.text).map_err(Error::file(out))?;
    }
    let table = arguments.out.is_none().then_some(outbreak.text);
    output.result(&Written { name: outbreak.name, out: arguments.out.clone(), table }, |written| {
        match (&written.out, written.table) {
            (Some(out), _) => output.progress(format_args!("written to {}", out.display())),
            (None, table) => crate::output::write(format_args!("{}", table.unwrap_or_default())),
        }
    });
    Ok(())
}

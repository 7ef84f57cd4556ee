//! `bundle finetune`

use super::training::{Job, Options};
use crate::bundle::load;
use crate::bundle::preset::{Preset, Recipe};
use crate::bundle::problem::Form;
use crate::bundle::transfer;
use crate::cmd::error::Error;
use crate::cmd::options;
use crate::cmd::output::Output;
use std::path::PathBuf;

/// Iterations unless told otherwise: finetuning takes a fraction of training.
const ITERATIONS: usize = 200;

/// Take a trained bundle to another domain
///
/// The first layer is rewritten for the new ranges, so that the network starts as the same function of the physical
/// quantities. A handful of iterations then reaches what takes a hundred from random weights. Prints the same as
/// `bundle train`. Form and hidden layers are those of the file; 200 iterations unless told otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Model file to start from, as `bundle train` wrote it
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Problem to move to; its system must be that of the file
    #[arg(long, value_parser = options::preset())]
    preset: &'static Preset,
    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = "\
Examples:
  Eight iterations for a moved domain:
    sirocco-train bundle finetune --from full.safetensors --preset sir-full-shifted \\
        --iterations 8 --out shifted.safetensors
  The best a minute can give:
    sirocco-train bundle finetune --from full.safetensors --preset sir-full-shifted \\
        --seconds 60 --out shifted.safetensors";

/// Loads, moves, trains, exports and measures.
///
/// # Errors
/// [`Error`] if the model has another system or form, a file cannot be read or written, or the export fails its checks.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let loaded = load::bundle(&arguments.from)?;
    let (form, file) = (loaded.problem.form, arguments.from.display());
    if form == Form::Phase {
        return Err(Error::Usage(format!(
            "`{file}` has the form `phase`, which answers for every domain: use it as it is"
        )));
    }
    if arguments.options.form.is_some_and(|asked| asked.of(loaded.problem.ode) != form) {
        let form = form.name();
        return Err(Error::Usage(format!("`{file}` has the form `{form}`; leave out --form or train afresh")));
    }
    let has = &loaded.mlp.widths[1..loaded.mlp.depth()];
    if arguments.options.hidden.as_ref().is_some_and(|asked| asked.0 != has) {
        let remedy = "leave out --hidden or train afresh";
        return Err(Error::Usage(format!("`{file}` has the hidden widths {has:?}; {remedy}")));
    }
    if loaded.problem.ode != arguments.preset.ode {
        let (ode, preset) = (loaded.problem.ode.name(), arguments.preset.name);
        let remedy = format!("choose a preset of `{ode}`");
        return Err(Error::Usage(format!("`{file}` solves `{ode}`, which `{preset}` does not; {remedy}")));
    }
    let problem = loaded.problem.moved(arguments.preset.domain)?;
    let start = transfer::adopt(&loaded.mlp, &loaded.problem, &problem)?;
    let recipe = Recipe { iterations: ITERATIONS, growth: 0, ..arguments.preset.recipe(form) };
    let origin = format!("finetuned {}", loaded.metadata.get("sirocco.crc32").map_or("?", String::as_str));
    let schedule = transfer::schedule(form);
    let first_mu = transfer::first_mu(schedule);
    Job { preset: arguments.preset, problem, start, origin, first_mu, schedule, recipe }.run(&arguments.options, output)
}

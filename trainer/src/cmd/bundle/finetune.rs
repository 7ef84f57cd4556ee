//! `bundle finetune`: a trained bundle goes to another domain, starting as the same function of the physical
//! quantities.

use super::training::{FormChoice, Job, Options};
use crate::bundle::load;
use crate::bundle::preset::{Preset, Recipe};
use crate::bundle::problem::Form;
use crate::bundle::transfer;
use crate::cmd::{Error, options};
use std::path::PathBuf;
use std::process::ExitCode;

/// Iterations unless asked otherwise: finetuning takes a fraction of training.
const ITERATIONS: usize = 200;

/// Take a trained bundle to another domain.
///
/// The first layer is rewritten for the new ranges, so that the network is unchanged as a function at first; a handful
/// of iterations then does what takes a hundred from random weights.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Model file to start from
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Problem to move to
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

impl Args {
    /// Loads, moves, trains, exports and measures.
    ///
    /// # Errors
    /// A model of another system or form; files that cannot be read or written; a failed export.
    pub fn run(self) -> Result<ExitCode, Error> {
        let loaded = load::bundle(&self.from)?;
        let (form, file) = (loaded.problem.form, self.from.display());
        if let Some(asked) = self.options.form {
            let is = if form == Form::Reduced { FormChoice::Reduced } else { FormChoice::Generic };
            if asked != is {
                return Err(format!(
                    "`{file}` has the form `{form}`; leave out --form or train afresh",
                    form = form.name()
                )
                .into());
            }
        }
        let has = &loaded.mlp.widths[1..loaded.mlp.depth()];
        if self.options.hidden.as_ref().is_some_and(|asked| asked.0 != has) {
            return Err(format!("`{file}` has the hidden widths {has:?}; leave out --hidden or train afresh").into());
        }
        if loaded.problem.ode != self.preset.ode {
            let (ode, preset) = (loaded.problem.ode.name(), self.preset.name);
            return Err(
                format!("`{file}` solves `{ode}`, which `{preset}` does not; choose a preset of `{ode}`").into()
            );
        }
        let problem = loaded.problem.moved(self.preset.domain)?;
        let start = transfer::adopt(&loaded.mlp, &loaded.problem, &problem)?;
        let recipe = Recipe { iterations: ITERATIONS, growth: 0, ..self.preset.recipe(form) };
        let origin = format!("finetuned {}", loaded.metadata.get("sirocco.crc32").map_or("?", String::as_str));
        let schedule = transfer::schedule(form);
        let first_mu = transfer::first_mu(schedule);
        Job { preset: self.preset, problem, start, origin, first_mu, schedule, recipe }.run(&self.options)
    }
}

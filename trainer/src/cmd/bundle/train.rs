//! `bundle train`: a bundle from random weights, trained on residuals alone, exported and measured.

use super::training::{FormChoice, Job, Optimizer, Options};
use crate::bundle::mlp::{Activation, Mlp};
use crate::bundle::optimize::adam;
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::preset::Preset;
use crate::bundle::problem::Form;
use crate::cmd::{Error, options};
use std::process::ExitCode;

/// Train a bundle from random weights.
///
/// No solution of the equations is used: the network is fitted until it satisfies them. The exported file is then
/// opened by the device's evaluator and compared with a high-order reference at random queries.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Problem to solve
    #[arg(long, value_parser = options::preset())]
    preset: &'static Preset,
    /// Let lm take the longest steps that lower the loss at all: worse at first, better in the end, by the iteration
    #[arg(long)]
    patient: bool,
    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = "\
Examples:
  The most accurate small network for the full SIR bundle, in under a minute:
    sirocco-train bundle train --preset sir-full --out full.safetensors
  A network that others are to be finetuned from:
    sirocco-train bundle train --preset sir-full --patient --out full.safetensors
  A form that works for any equation, with a larger network and five minutes of time:
    sirocco-train bundle train --preset sir-full --form generic --hidden 32,32 \\
        --seconds 300 --out generic.safetensors
  The recipe of the literature, in a few seconds:
    sirocco-train bundle train --preset sir-single --optimizer adam --out adam.safetensors
  A long run that survives Ctrl-C and power cuts; repeat it with --resume to go on:
    sirocco-train bundle train --preset sir-field --iterations 5000 \\
        --checkpoint field.checkpoint --out field.safetensors
  For scripts:
    sirocco-train bundle train --preset sir-single --out single.safetensors --json";

impl Args {
    /// Trains, exports and measures.
    ///
    /// # Errors
    /// A form the system does not have; a checkpoint or file that cannot be read or written; a failed export.
    pub fn run(self) -> Result<ExitCode, Error> {
        let form = match self.options.form {
            Some(FormChoice::Generic) => Form::general(self.preset.ode),
            Some(FormChoice::Reduced) => Form::Reduced,
            None if self.options.optimizer == Optimizer::Adam => Form::general(self.preset.ode),
            None => self.preset.best_form(),
        };
        let problem = self.preset.problem(form)?;
        let recipe = self.preset.recipe(form);
        let usual = if self.options.optimizer == Optimizer::Adam { adam::HIDDEN } else { recipe.hidden };
        let hidden = self.options.hidden.as_ref().map_or(usual, |h| &h.0);
        let mut start = Mlp::random(&problem.widths(hidden), Activation::Tanh, problem.last_bias(), self.options.seed);
        if self.options.optimizer == Optimizer::Adam {
            adam::sharpen(&problem, &mut start);
        }
        let schedule = match (self.patient, self.options.optimizer) {
            (true, Optimizer::Adam) => return Err("--patient is lm's; leave it out or take --optimizer lm".into()),
            (true, Optimizer::Lm) => Schedule::TRAINING,
            (false, _) => Schedule::Gain,
        };
        let origin = "random".into();
        let job = Job { preset: self.preset, problem, start, origin, first_mu: 1.0, schedule, recipe };
        job.run(&self.options)
    }
}

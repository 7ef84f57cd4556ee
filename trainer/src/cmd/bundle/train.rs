//! `bundle train`

use super::training::{Job, Optimizer, Options};
use crate::bundle::mlp::{Activation, Mlp};
use crate::bundle::optimize::adam;
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::preset::Preset;
use crate::bundle::problem::Form;
use crate::cmd::error::Error;
use crate::cmd::options;
use crate::cmd::output::Output;

/// Train a bundle from random weights
///
/// No solution of the equations is used: the network is trained until it satisfies the equations themselves. The exported
/// file is then opened with the device's evaluator and compared with a high-order solver, at random queries and where a
/// search finds larger errors. Prints LogLoss, which is the natural logarithm of the mean squared residual, the largest and
/// the RMS error, and the cost.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Problem to solve: a system of equations, and a range for each of its quantities
    #[arg(long, value_parser = options::preset())]
    preset: &'static Preset,
    /// For lm: prefer the longest step that still lowers the loss. Slower at first, better after many iterations
    #[arg(long)]
    patient: bool,
    #[command(flatten)]
    options: Options,
}

const EXAMPLES: &str = "\
Examples:
  One network for every SIR epidemic:
    sirocco-train bundle train --preset sir --out sir.safetensors
  The most accurate small network for the full SIR bundle of the thesis, in under a minute:
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

/// Trains, exports and measures.
///
/// # Errors
/// [`Error`] if the system does not have the form, a file cannot be read or written, or the export fails its checks.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let form = match arguments.options.form {
        Some(form) => form.of(arguments.preset.ode),
        None if arguments.options.optimizer == Optimizer::Adam => Form::general(arguments.preset.ode),
        None => arguments.preset.best_form(),
    };
    let problem = arguments.preset.problem(form)?;
    let recipe = arguments.preset.recipe(form);
    let usual = if arguments.options.optimizer == Optimizer::Adam { adam::HIDDEN } else { recipe.hidden };
    let hidden = arguments.options.hidden.as_ref().map_or(usual, |h| &h.0);
    let mut start = Mlp::random(&problem.widths(hidden), Activation::Tanh, problem.last_bias(), arguments.options.seed);
    if arguments.options.optimizer == Optimizer::Adam {
        adam::sharpen(&problem, &mut start);
    }
    let schedule = match (arguments.patient, arguments.options.optimizer) {
        (true, Optimizer::Adam) => {
            return Err(Error::Usage("--patient is an option of lm; leave it out or add --optimizer lm".into()));
        }
        (true, Optimizer::Lm) => Schedule::TRAINING,
        (false, _) => Schedule::Gain,
    };
    let origin = "random".into();
    let job = Job { preset: arguments.preset, problem, start, origin, first_mu: 1.0, schedule, recipe };
    job.run(&arguments.options, output)
}

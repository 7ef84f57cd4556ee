//! The transfer part of the demo: takes the trained bundle to a shifted box, and trains a fresh one there to compare.

use super::work::{Part, Setting, Trained, export};
use crate::bundle::loss;
use crate::bundle::mlp::{Activation, Mlp};
use crate::bundle::optimize::lm;
use crate::bundle::preset::{self, Preset};
use crate::bundle::problem::{Form, Problem};
use crate::bundle::report::{Curve, training_image};
use crate::bundle::residual::Batch;
use crate::bundle::sample;
use crate::bundle::transfer;
use crate::cmd::error::Error;
use crate::host::budget::{Budget, Ending};
use crate::host::random::Purpose;
use crate::report::csv::Table;
use crate::report::figure;
use crate::report::html::{Block, Section};
use serde::Serialize;
use sirocco::network::Scheme;
use std::path::PathBuf;

/// Iterations of both.
const ITERATIONS: usize = 10;
/// Iterations of the run from random weights: enough to see when it catches up.
const FURTHER: usize = 120;
/// First damping of trained weights, and of random ones.
const TRUSTED: f64 = 1e-4;
const RANDOM: f64 = 1.0;

/// Figures of the moved bundle.
#[derive(Debug, Serialize)]
pub struct Results {
    pub logloss_before: f64,
    pub logloss: f64,
    pub max_error: f64,
    pub rms_error: f64,
    pub iterations: usize,
    /// Best held-out LogLoss from random weights after as many iterations.
    pub logloss_scratch: f64,
    /// Iterations from random weights until the finetuned LogLoss is reached, if it was.
    pub scratch_iterations: Option<usize>,
    pub file: PathBuf,
}

pub fn run(setting: &Setting<'_>, trained: &Trained) -> Result<Part<Results>, Error> {
    let preset = preset::find("sir-full-shifted")?;
    let problem = trained.problem.moved(preset.domain)?;
    let start = transfer::adopt(&trained.mlp, &trained.problem, &problem)?;
    let finetuned = fit(setting, preset, &problem, lm::State::new(start, TRUSTED), ITERATIONS)?;
    let fresh = Mlp::random(&trained.mlp.widths, Activation::Tanh, problem.last_bias(), setting.seed);
    let scratch = fit(setting, preset, &problem, lm::State::new(fresh, RANDOM), FURTHER)?;

    let exported = export(setting, &problem, &finetuned.mlp, preset, Scheme::F32)?;
    let file = setting.out.join("sir-full-shifted.safetensors");
    exported.write(&file)?;
    let curves = [curve("from the trained bundle", &finetuned), curve("from random weights", &scratch)];
    write_table(setting, &curves)?;
    let at = |curve: &Curve, iteration: usize| curve.points.get(iteration).map_or(f64::NAN, |p| p.1);
    let reached = at(&curves[0], ITERATIONS);
    let results = Results {
        logloss_before: at(&curves[0], 0),
        logloss: exported.measurement.logloss,
        max_error: exported.measurement.max_error,
        rms_error: exported.measurement.rms_error,
        iterations: ITERATIONS,
        logloss_scratch: at(&curves[1], ITERATIONS),
        scratch_iterations: curves[1].points.iter().position(|p| p.1 <= reached),
        file,
    };
    let mut image = training_image("Moving", &curves);
    image.caption = "Best LogLoss on held-out points of the moved box.".to_owned();
    let blocks = vec![Block::Prose(prose(preset, &results)), Block::Figures(vec![image])];
    Ok(Part {
        highlights: Vec::new(),
        sections: vec![Section { heading: "Moved to another box".to_owned(), blocks }],
        provenance: vec![("model, moved box".to_owned(), results.file.display().to_string())],
        results,
    })
}

/// Weights and the best LogLoss after every iteration, from before the first.
struct Fitted {
    mlp: Mlp,
    losses: Vec<f64>,
}

/// Trains in rounds of one iteration, so that every iteration has its score.
fn fit(
    setting: &Setting<'_>,
    preset: &Preset,
    problem: &Problem,
    mut state: lm::State,
    iterations: usize,
) -> Result<Fitted, Error> {
    let budget = Budget::iterations(iterations);
    let progress = setting.output.bar("moving to sir-full-shifted", iterations);
    let settings = lm::Settings::new(problem, preset.recipe(Form::Reduced).points, budget, setting.seed);
    let settings = lm::Settings { round: 1, ..settings };
    let held_out = sample::uniform(problem, lm::HELD_OUT, setting.seed, Purpose::HeldOut, 0);
    let mut losses = vec![loss::score(problem, &state.mlp, &Batch::new(problem, &held_out))];
    let ending = lm::run(problem, &settings, &mut state, &setting.interrupt, &mut |state: &lm::State| {
        losses.push(state.best_score);
        progress.update(state.iteration, state.best_score);
    });
    if ending == Ending::Interrupted {
        return Err(Error::Interrupted);
    }
    // A run that converges has no further iterations.
    losses.resize(iterations + 1, state.best_score);
    progress.finish();
    Ok(Fitted { mlp: state.best, losses })
}

fn curve(name: &str, fitted: &Fitted) -> Curve {
    let points = fitted.losses.iter().enumerate().map(|(k, loss)| (k as f64, *loss)).collect();
    Curve { name: name.to_owned(), points }
}

fn write_table(setting: &Setting<'_>, curves: &[Curve; 2]) -> Result<(), Error> {
    let mut table = Table::new(["iteration", "logloss_finetuned", "logloss_scratch"]);
    for (k, (iteration, scratch)) in curves[1].points.iter().enumerate() {
        let finetuned = curves[0].points.get(k).map(|p| p.1);
        table.row([(*iteration).into(), finetuned.into(), (*scratch).into()]);
    }
    Ok(table.write(&setting.out.join("transfer.csv"))?)
}

fn prose(preset: &Preset, results: &Results) -> String {
    let arrival = match results.scratch_iterations {
        Some(iterations) => {
            format!("It takes {iterations} iterations to get where the finetuned one is after {ITERATIONS}.")
        }
        None => format!("Even {FURTHER} iterations do not take it where the finetuned one is after {ITERATIONS}."),
    };
    format!(
        "The target is the preset {}: {}. The first layer is rewritten for the new ranges, so that the network starts as the same \
         function: LogLoss {:.2} in the moved box before any training. After {} iterations the exported file has \
         LogLoss {:.2} and a maximum error of {}. A network from random weights has LogLoss {:.2} after as many. {}",
        preset.name,
        preset.what,
        results.logloss_before,
        results.iterations,
        results.logloss,
        figure(results.max_error),
        results.logloss_scratch,
        arrival
    )
}

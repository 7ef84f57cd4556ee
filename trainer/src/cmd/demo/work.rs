//! The common ground of the parts of the demo: their settings, their results, and the network they start from.

use crate::bundle::evaluate::QUERIES;
use crate::bundle::export::{Candidate, Exported};
use crate::bundle::mlp::{Activation, Mlp};
use crate::bundle::optimize::lm;
use crate::bundle::preset::{self, Preset};
use crate::bundle::problem::{Form, Problem};
use crate::bundle::quantize::{Grid, rounding};
use crate::bundle::report::Curve;
use crate::cmd::error::Error;
use crate::cmd::output::Output;
use crate::host::budget::{Budget, Ending};
use crate::host::interrupt::Interrupt;
use crate::host::model_file::Metadata;
use crate::report::csv::Table;
use crate::report::html::{Highlight, Section};
use sirocco::network::Scheme;
use std::path::Path;

/// Iterations of Levenberg-Marquardt: as many as two cores finish in half a minute.
const ITERATIONS: usize = 500;

/// The settings of the demo.
pub struct Setting<'a> {
    pub out: &'a Path,
    pub seed: u64,
    pub output: Output,
    pub interrupt: Interrupt,
}

/// The results of a part of the demo, and what the report shows of them.
pub struct Part<T> {
    pub results: T,
    pub highlights: Vec<Highlight>,
    pub sections: Vec<Section>,
    pub provenance: Vec<(String, String)>,
}

/// A trained network, its problem and its training curve.
pub struct Trained {
    pub preset: &'static Preset,
    pub problem: Problem,
    pub mlp: Mlp,
    pub curve: Curve,
    pub iterations: usize,
    pub seconds: f64,
}

/// Trains the bundle `sir-full` from random weights and writes the training curve.
pub fn train(setting: &Setting<'_>) -> Result<Trained, Error> {
    let preset = preset::find("sir-full")?;
    let problem = preset.problem(Form::Reduced)?;
    let recipe = preset.recipe(Form::Reduced);
    let budget = Budget::iterations(ITERATIONS);
    let start = Mlp::random(&problem.widths(recipe.hidden), Activation::Tanh, problem.last_bias(), setting.seed);
    let settings = lm::Settings::new(&problem, recipe.points, budget, setting.seed);
    let mut state = lm::State::new(start, 1.0);
    let progress = setting.output.bar("training sir-full", ITERATIONS);
    let mut points = Vec::new();
    let ending = lm::run(&problem, &settings, &mut state, &setting.interrupt, &mut |state: &lm::State| {
        progress.update(state.iteration, state.best_score);
        points.push((state.iteration as f64, state.best_score));
    });
    progress.finish();
    if ending == Ending::Interrupted {
        return Err(Error::Interrupted);
    }
    let mut table = Table::new(["iteration", "logloss"]);
    points.iter().for_each(|(iteration, loss)| table.row([(*iteration).into(), (*loss).into()]));
    table.write(&setting.out.join("training.csv"))?;
    let curve = Curve { name: "best LogLoss on held-out points".to_owned(), points };
    Ok(Trained { preset, mlp: state.best, curve, iterations: state.iteration, seconds: state.seconds, problem })
}

/// Encodes, checks and measures a network.
pub fn export(
    setting: &Setting<'_>,
    problem: &Problem,
    mlp: &Mlp,
    preset: &Preset,
    scheme: Scheme,
) -> Result<Exported, Error> {
    let entries = [("preset", preset.name.to_string()), ("optimizer", "lm".into()), ("seed", setting.seed.to_string())];
    let provenance: Metadata = entries.map(|(key, value)| (key.to_string(), value)).into();
    let seed = setting.seed;
    let rounded = Grid::of(scheme).map(|grid| rounding::second_order(problem, mlp, grid, seed, |_, _| ()));
    let (mlp, scales) = rounded.as_ref().map_or((mlp, None), |r| (&r.mlp, Some(r.scales.as_slice())));
    Ok(Candidate { problem, mlp, scheme, scales, provenance: &provenance, seed, queries: QUERIES }.export()?)
}

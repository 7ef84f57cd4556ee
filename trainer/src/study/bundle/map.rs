//! Where does a bundle hold, and where does it stop holding?
//!
//! Random problems over (I0, R0) and over (beta, gamma), up to 30 % beyond the upper limits of the training box, colored by
//! their LogLoss; and the same on a regular grid. The other two quantities stay in the box. Evaluated by the device's
//! evaluator on exported bytes.

use super::bench::Bench;
use super::curves::exported;
use super::{NOTABLE, Study};
use crate::bundle::evaluate;
use crate::bundle::preset::{self, Preset};
use crate::bundle::problem::Form;
use crate::bundle::reference;
use crate::bundle::report::{BEYOND, Measure, Subject};
use crate::host::random::{Purpose, Random};
use crate::report::csv::{self, cells};
use crate::report::plot::{Axis, Content, Figure, Mark, Panel};
use crate::statistics::{median, quantile, rank_correlation};
use crate::study::StudyError;
use crate::study::findings::{Findings, Plot};
use minijinja::value::Serde;
use minijinja::{Value, context};
use rayon::prelude::*;
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::ode::State;
use sirocco::query::Query;

/// The study; see the first lines of this file.
pub const STUDY: Study = Study { name: "map", what: "Where does a bundle hold, and where does it stop?", answer };

/// The bundle that is mapped.
const PRESET: &str = "sir-full";
/// Planes, by the places of their quantities.
const PLANES: [(usize, usize); 2] = [(1, 2), (3, 4)];
/// Times of a problem.
const TIMES: usize = 41;

/// A random problem with its solution.
struct Draw {
    plane: (usize, usize),
    query: Query,
    inside: bool,
    truth: Vec<State<f64>>,
}

/// How well a network solves a [`Draw`].
#[derive(Clone, Copy)]
struct Answer {
    logloss: f64,
    error: f64,
}

/// One plane of the network of one seed.
#[derive(Debug, Serialize)]
struct Outcome {
    plane: String,
    seed: u64,
    logloss_inside: f64,
    logloss_outside: f64,
    error_inside: f64,
    error_outside: f64,
    /// Rank correlation of LogLoss and largest error over the draws.
    correlation: f64,
}

fn answer(bench: &Bench<'_>) -> Result<Findings, StudyError> {
    let setting = bench.setting;
    let form = setting.form(Form::Reduced);
    let preset = preset::find(PRESET)?;
    let names: Vec<_> = preset.ode.quantity_names().collect();
    let times: Vec<f64> = (0..TIMES).map(|k| preset.domain[0].1 * k as f64 / (TIMES - 1) as f64).collect();
    let draws = draws(preset, setting.effort.draws, &times);
    let columns = ["seed", "plane", "inside"].into_iter().chain(names[1..].iter().copied());
    let mut table = csv::Table::new(columns.chain(["logloss", "max_error"]));
    let (mut outcomes, mut plots) = (Vec::new(), Vec::new());
    for (k, seed) in setting.seeds.iter().enumerate() {
        let bytes = exported(bench, preset, form, *seed)?;
        let bundle = Bundle::open(&bytes)?;
        let answers: Vec<Answer> = draws.par_iter().map(|draw| solve(&bundle, draw, &times)).collect();
        for (draw, answer) in draws.iter().zip(&answers) {
            let quantities = draw.query.quantities(preset.ode);
            let place = cells![*seed, plane(&names, draw.plane), u64::from(draw.inside)].into_iter();
            let numbers = quantities[1..names.len()].iter().map(|q| csv::Cell::from(*q));
            table.row(place.chain(numbers).chain(cells![answer.logloss, answer.error]));
        }
        for over in PLANES {
            let chosen = draws.iter().zip(answers.iter().copied()).filter(|(draw, _)| draw.plane == over);
            let chosen: Vec<_> = chosen.collect();
            outcomes.push(Outcome::new(plane(&names, over), *seed, &chosen));
            if k == 0 {
                plots.push(maps(&bundle, preset, over, &chosen, *seed));
            }
        }
    }
    let more = context! {
        form => form.name(), preset => PRESET, what => preset.what, draws => setting.effort.draws, times => TIMES,
        beyond => 100.0 * BEYOND,
    };
    Ok(Findings { plots, tables: vec![("draws", table)], ..findings(&outcomes, more)? })
}

fn findings(outcomes: &[Outcome], more: Value) -> Result<Findings, StudyError> {
    let figures = context! { planes => Serde(outcomes), form => more.get_attr("form")? };
    Findings::new(include_str!("map.md"), figures, context! { notable => NOTABLE, ..more })
}

fn plane(names: &[&str], (a, b): (usize, usize)) -> String {
    format!("({}, {})", names[a], names[b])
}

/// Problems of every plane, the same for every network.
fn draws(preset: &Preset, count: usize, times: &[f64]) -> Vec<Draw> {
    let draw = |(plane, k): ((usize, usize), usize)| {
        let mut random = Random::new(0, Purpose::Measurement, (plane.0 * 1_000_000 + k) as u64);
        let mut quantities = vec![0.0f32; preset.domain.len()];
        let mut inside = true;
        for (q, (lo, hi)) in preset.domain.iter().enumerate().skip(1) {
            let reach = if q == plane.0 || q == plane.1 { BEYOND * hi } else { 0.0 };
            let value = lo + (hi + reach - lo) * random.uniform();
            inside &= value <= *hi;
            quantities[q] = value as f32;
        }
        let query = Query::from_quantities(preset.ode, &quantities);
        query.check(preset.ode).ok()?;
        Some(Draw { plane, query, inside, truth: reference::trajectory(preset.ode, &query, times)? })
    };
    let all: Vec<_> = PLANES.iter().flat_map(|plane| (0..count).map(|k| (*plane, k))).collect();
    all.into_par_iter().filter_map(draw).collect()
}

fn solve(bundle: &Bundle<'_>, draw: &Draw, times: &[f64]) -> Answer {
    let (mut squares, mut error) = (0.0, 0.0f64);
    for (t, truth) in times.iter().zip(&draw.truth) {
        let query = Query { t: *t as f32, initial: draw.query.initial, rates: draw.query.rates };
        let Ok(answer) = bundle.predict(&query) else { return Answer { logloss: f64::NAN, error: f64::NAN } };
        squares += answer.residual.iter().map(|r| f64::from(*r).powi(2)).sum::<f64>();
        error = answer.state.iter().zip(truth).map(|(a, b)| (f64::from(*a) - b).abs()).fold(error, f64::max);
    }
    Answer { logloss: (squares / times.len() as f64).ln(), error }
}

impl Outcome {
    fn new(plane: String, seed: u64, chosen: &[(&Draw, Answer)]) -> Self {
        let column = |inside: bool, f: fn(&Answer) -> f64| -> Vec<f64> {
            chosen.iter().filter(|(draw, _)| draw.inside == inside).map(|(_, answer)| f(answer)).collect()
        };
        let all = |f: fn(&Answer) -> f64| chosen.iter().map(|(_, answer)| f(answer)).collect::<Vec<_>>();
        Outcome {
            plane,
            seed,
            logloss_inside: median(&column(true, |a| a.logloss)),
            logloss_outside: median(&column(false, |a| a.logloss)),
            error_inside: quantile(&column(true, |a| a.error), 1.0),
            error_outside: quantile(&column(false, |a| a.error), 1.0),
            correlation: rank_correlation(&all(|a| a.logloss), &all(|a| a.error)),
        }
    }
}

/// The random problems of a plane, and a grid over it.
fn maps(
    bundle: &Bundle<'_>,
    preset: &Preset,
    over: (usize, usize),
    chosen: &[(&Draw, Answer)],
    seed: u64,
) -> Vec<Plot> {
    let names: Vec<_> = preset.ode.quantity_names().collect();
    let (a, b) = over;
    let point = |(draw, answer): &(&Draw, Answer)| {
        let q = draw.query.quantities(preset.ode);
        (f64::from(q[a]), f64::from(q[b]), answer.logloss)
    };
    let content = Content::Scatter { points: chosen.iter().map(point).collect(), color: Axis::linear("LogLoss") };
    let axis = |q: usize| Axis::linear(names[q]).over(preset.domain[q].0, preset.domain[q].1 * (1.0 + BEYOND));
    let panel = Panel::new(430, axis(a), axis(b), content).mark(Mark::Box { x: preset.domain[a], y: preset.domain[b] });
    let scatter = Figure::single(format!("Random problems over {}", plane(&names, over)), 560, panel);

    let predict = |query: &Query| bundle.predict(query).ok();
    let domain = evaluate::own_domain(bundle);
    let subject = Subject { ode: preset.ode, domain: &domain, time_unit: "days", predict: &predict };
    let grid = subject.map(&format!("A grid over {}", plane(&names, over)), over, Measure::LogLoss, seed);
    let file = format!("{}-{}", names[a], names[b]);
    let of_draws = format!("LogLoss of each random problem, seed {seed}; lower is better.");
    let of_grid = "LogLoss on a regular grid, beyond the lower limits too; each cell averages over times and over problems \
                   of the box in the other quantities.";
    vec![Plot::new(format!("{file}-draws"), scatter, of_draws), Plot::new(format!("{file}-grid"), grid, of_grid)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_reach_beyond_the_upper_limits_of_their_plane_alone() {
        let preset = preset::find(PRESET).unwrap();
        let draws = draws(preset, 200, &[0.0, 1.0]);
        assert_eq!(draws.len(), 400);
        for plane in PLANES {
            let outside = draws.iter().filter(|d| d.plane == plane && !d.inside).count();
            assert!((60..195).contains(&outside), "{outside}");
        }
        for draw in &draws {
            let q = draw.query.quantities(preset.ode);
            for (k, (lo, hi)) in preset.domain.iter().enumerate().skip(1) {
                let top = if k == draw.plane.0 || k == draw.plane.1 { hi * 1.3 } else { *hi };
                assert!((*lo - 1e-6..=top + 1e-6).contains(&f64::from(q[k])), "{k}: {q:?}");
            }
        }
    }

    #[test]
    fn the_sentence_can_say_the_opposite() {
        let outcome = |inside, outside| Outcome {
            plane: "(a, b)".into(),
            seed: 0,
            logloss_inside: inside,
            logloss_outside: outside,
            error_inside: 1e-5,
            error_outside: 1e-3,
            correlation: 0.5,
        };
        let more =
            || context! { form => "reduced", preset => PRESET, what => "", draws => 1, times => 1, beyond => 30.0 };
        let said = |inside, outside| findings(&[outcome(inside, outside)], more()).unwrap().seen()[0].to_owned();
        assert!(said(-20.0, -15.0).contains("loses 5.0 units"));
        assert!(said(-15.0, -20.0).contains("better beyond"));
        assert!(said(-15.0, -15.2).contains("as good beyond"));
    }
}

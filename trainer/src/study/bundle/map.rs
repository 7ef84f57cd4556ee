//! Where does a bundle hold, and where does it stop holding?
//!
//! Random problems over (I0, R0) and over (beta, gamma), up to 30 % beyond the upper limits of the training box, coloured
//! by their LogLoss; and the same on a regular grid. The other two quantities stay in the box. By the device's
//! evaluator on exported bytes.

use super::bench::Bench;
use super::curves::exported;
use super::{Study, StudyError};
use crate::bundle::evaluate;
use crate::bundle::preset;
use crate::bundle::problem::Form;
use crate::bundle::reference;
use crate::bundle::report::{BEYOND, Measure, Subject};
use crate::host::random::{Purpose, Random};
use crate::report::plot::{Axis, Content, Figure, Mark, Panel};
use crate::report::{csv, figure, html};
use crate::statistics::{median, quantile, rank_correlation};
use crate::study::findings::{Findings, Plot};
use rayon::prelude::*;
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::ode::State;
use sirocco::query::Query;

/// See the file's first lines.
pub const STUDY: Study = Study { name: "map", what: "Where does a bundle hold, and where does it stop?", run };

/// The bundle that is mapped.
const PRESET: &str = "sir-full";
/// Planes, by their quantities' places.
const PLANES: [(usize, usize); 2] = [(1, 2), (3, 4)];
/// Times of a problem.
const TIMES: usize = 41;
/// How much lower a LogLoss must be to be called lower: half a unit is a residual smaller by a fifth.
const NOTABLE: f64 = 0.5;

/// A random problem with its solution.
struct Draw {
    plane: (usize, usize),
    query: Query,
    inside: bool,
    truth: Vec<State<f64>>,
}

/// What a network does on a [`Draw`].
#[derive(Clone, Copy)]
struct Answer {
    logloss: f64,
    error: f64,
}

/// One plane of one seed's network.
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

fn run(bench: &mut Bench<'_>) -> Result<Findings, StudyError> {
    let form = bench.setting.form(Form::Reduced);
    let preset = preset::find(PRESET)?;
    let names: Vec<_> = preset.ode.quantity_names().collect();
    let times: Vec<f64> = (0..TIMES).map(|k| preset.domain[0].1 * k as f64 / (TIMES - 1) as f64).collect();
    let draws = draws(preset, bench.setting.effort.draws, &times);
    let mut findings = Findings {
        about: format!(
            "The network of {PRESET} ({}), form `{}`. {} random problems in each plane, up to {:.0} % beyond the upper \
             limits, the other two quantities in the box; LogLoss and largest error over {TIMES} times of each. White \
             frame: the training box. Every answer is the device evaluator's, from the exported bytes.",
            preset.what,
            form.name(),
            bench.setting.effort.draws,
            100.0 * BEYOND
        ),
        ..Findings::default()
    };
    let columns = ["seed", "plane", "inside"].into_iter().chain(names[1..].iter().copied());
    let mut table = csv::Table::new(columns.chain(["logloss", "max_error"]));
    let mut outcomes = Vec::new();
    for (k, seed) in bench.setting.seeds.clone().into_iter().enumerate() {
        let bytes = exported(bench, preset, form, seed)?;
        let bundle = Bundle::open(&bytes)?;
        let answers: Vec<Answer> = draws.par_iter().map(|draw| answer(&bundle, draw, &times)).collect();
        for (draw, answer) in draws.iter().zip(&answers) {
            let quantities = draw.query.quantities(preset.ode);
            let cells = [seed.into(), plane(&names, draw.plane).into(), u64::from(draw.inside).into()].into_iter();
            let numbers = quantities[1..names.len()].iter().map(|q| csv::Cell::from(*q));
            table.row(cells.chain(numbers).chain([answer.logloss.into(), answer.error.into()]));
        }
        for over in PLANES {
            let chosen = draws.iter().zip(answers.iter().copied()).filter(|(draw, _)| draw.plane == over);
            let chosen: Vec<_> = chosen.collect();
            outcomes.push(Outcome::new(plane(&names, over), seed, &chosen));
            if k == 0 {
                findings.plots.push(plots(&bundle, preset, over, &chosen, seed));
            }
        }
    }
    findings.seen = PLANES.iter().map(|over| seen(&plane(&names, *over), &outcomes)).collect();
    findings.summary.push(summary(&outcomes));
    findings.tables.push(("draws".into(), table));
    findings.figures = serde_json::json!({ "form": form.name(), "planes": outcomes });
    Ok(findings)
}

fn plane(names: &[&str], (a, b): (usize, usize)) -> String {
    format!("({}, {})", names[a], names[b])
}

/// Problems of every plane, the same for every network.
fn draws(preset: &preset::Preset, count: usize, times: &[f64]) -> Vec<Draw> {
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

fn answer(bundle: &Bundle<'_>, draw: &Draw, times: &[f64]) -> Answer {
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

fn plots(
    bundle: &Bundle<'_>,
    preset: &preset::Preset,
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
    vec![
        Plot::new(
            format!("{file}-draws"),
            scatter,
            format!("LogLoss of each random problem, seed {seed}; lower is better."),
        ),
        Plot::new(
            format!("{file}-grid"),
            grid,
            "LogLoss on a regular grid, beyond the lower limits too; each cell averages over times and over problems of \
             the box in the other quantities.",
        ),
    ]
}

fn seen(plane: &str, outcomes: &[Outcome]) -> String {
    let column = |f: fn(&Outcome) -> f64| outcomes.iter().filter(|o| o.plane == plane).map(f).collect::<Vec<_>>();
    let [inside, outside] = [column(|o| o.logloss_inside), column(|o| o.logloss_outside)].map(|c| median(&c));
    let [error_inside, error_outside] = [column(|o| o.error_inside), column(|o| o.error_outside)].map(|c| median(&c));
    let verdict = match outside - inside {
        rise if rise > NOTABLE => format!("the bundle loses {rise:.1} units of LogLoss beyond its limits"),
        rise if rise < -NOTABLE => format!("the bundle is better beyond its limits, by {:.1} units of LogLoss", -rise),
        _ => "the bundle is as good beyond its limits as within".to_owned(),
    };
    format!(
        "Over {plane} {verdict}: {inside:.1} in the box, {outside:.1} outside (medians over draws and seeds). The largest \
         error goes from {} to {}. LogLoss and error of a problem have rank correlation {:.2}.",
        figure(error_inside),
        figure(error_outside),
        median(&column(|o| o.correlation))
    )
}

fn summary(outcomes: &[Outcome]) -> html::Table {
    let row = |o: &Outcome| {
        vec![
            o.plane.clone(),
            o.seed.to_string(),
            format!("{:.2}", o.logloss_inside),
            format!("{:.2}", o.logloss_outside),
            format!("{:.1e}", o.error_inside),
            format!("{:.1e}", o.error_outside),
            format!("{:.2}", o.correlation),
        ]
    };
    let header = ["plane", "seed", "LogLoss inside", "outside", "largest error inside", "outside", "rank correlation"];
    html::Table {
        caption: "Median LogLoss and largest error of the random problems.".into(),
        header: header.map(str::to_owned).into(),
        rows: outcomes.iter().map(row).collect(),
    }
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
        assert!(seen("(a, b)", &[outcome(-20.0, -15.0)]).contains("loses 5.0 units"));
        assert!(seen("(a, b)", &[outcome(-15.0, -20.0)]).contains("better beyond"));
        assert!(seen("(a, b)", &[outcome(-15.0, -15.2)]).contains("as good beyond"));
    }
}

//! What do the solutions look like, and does the residual show where they are wrong?
//!
//! Curves of a model file, or of the networks of presets at the queries of figures in the literature, evaluated by the
//! device's evaluator on exported bytes.

use super::Study;
use super::bench::Bench;
use crate::bundle::evaluate;
use crate::bundle::export::Candidate;
use crate::bundle::preset::{self, Preset};
use crate::bundle::problem::Form;
use crate::bundle::reference;
use crate::bundle::report::Subject;
use crate::host::model_file::{Metadata, ModelBytes};
use crate::report::csv::{self, cells};
use crate::statistics::rank_correlation;
use crate::study::StudyError;
use crate::study::findings::{Findings, Plot};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::network::Scheme;
use sirocco::query::Query;

/// The study; see the first lines of this file.
pub const STUDY: Study = Study { name: "curves", what: "What do the solutions look like?", answer };

/// Presets and (I0, R0, beta, gamma) of their curves; for bundles the corners and middles that the thesis shows.
const SHOWN: [(&str, &[[f32; 4]]); 3] = [
    ("sir-single", &[[0.2, 0.0, 0.8, 0.2]]),
    ("sir-initial", &[[0.1, 0.1, 0.8, 0.2], [0.2, 0.15, 0.8, 0.2]]),
    ("sir-full", &[[0.3, 0.2, 0.6, 0.5]]),
];
/// Queries among which the worst problem of a box is sought.
const SEARCHED: usize = 2000;
/// Times of a curve.
const TIMES: usize = 201;

/// One curve.
#[derive(Debug, Serialize)]
struct Curve {
    model: String,
    query: String,
    max_error: f64,
    time_of_max_error: f64,
    max_residual: f64,
    /// Rank correlation of |residual| and |error| along the curve.
    correlation: f64,
}

/// The curves of all models so far.
struct Shown {
    curves: Vec<Curve>,
    plots: Vec<Vec<Plot>>,
    table: csv::Table,
}

fn answer(bench: &Bench<'_>) -> Result<Findings, StudyError> {
    let table = csv::Table::new(["model", "query", "t", "component", "state", "reference", "residual", "error"]);
    let mut shown = Shown { curves: Vec::new(), plots: Vec::new(), table };
    if let Some((path, loaded)) = &bench.setting.model {
        let stem = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
        let name = stem.replace(|c: char| c == '|' || c.is_control(), "_");
        shown.add(&name, &loaded.bytes, &bench.setting.queries)?;
    } else {
        let form = bench.setting.form(Form::Reduced);
        for (name, problems) in SHOWN {
            let preset = preset::find(name)?;
            let bytes = exported(bench, preset, form, bench.setting.seeds[0])?;
            let query =
                |[i0, r0, beta, gamma]: &[f32; 4]| Query::from_quantities(preset.ode, &[0.0, *i0, *r0, *beta, *gamma]);
            shown.add(name, &bytes, &problems.iter().map(query).collect::<Vec<_>>())?;
        }
    }
    let Shown { curves, plots, table } = shown;
    Ok(Findings { plots, tables: vec![("curves", table)], ..findings(&curves)? })
}

fn findings(curves: &[Curve]) -> Result<Findings, StudyError> {
    let correlations = || curves.iter().map(|c| c.correlation);
    let values = context! {
        worst => curves.iter().enumerate().max_by(|a, b| a.1.max_error.total_cmp(&b.1.max_error)).map(|(k, _)| k),
        weakest => correlations().fold(f64::INFINITY, f64::min),
        strongest => correlations().fold(f64::NEG_INFINITY, f64::max),
    };
    Findings::new(include_str!("curves.md"), context! { curves => Serde(curves) }, values)
}

/// The bytes of the network of a preset, which are also written into the study's folder.
pub(super) fn exported(bench: &Bench<'_>, preset: &Preset, form: Form, seed: u64) -> Result<ModelBytes, StudyError> {
    let run = bench.setting.pretrained(preset, form, seed);
    let trained = bench.trace(&run)?;
    let problem = run.problem()?;
    let entries = [("preset", preset.name.to_owned()), ("seed", seed.to_string())];
    let provenance: Metadata = entries.map(|(key, value)| (key.to_owned(), value)).into();
    let candidate = Candidate {
        problem: &problem,
        mlp: &trained.mlp,
        scheme: Scheme::F32,
        scales: None,
        provenance: &provenance,
        seed,
        queries: evaluate::QUERIES,
    };
    let exported = candidate.export()?;
    exported.write(&bench.folder.join(format!("{}-{seed}.safetensors", preset.name)))?;
    Ok(exported.bytes)
}

impl Shown {
    /// Adds the curves of these queries, or of the middle of the box if there are none, and of the worst problem found.
    fn add(&mut self, name: &str, bytes: &[u8], queries: &[Query]) -> Result<(), StudyError> {
        let bundle = Bundle::open(bytes)?;
        let ode = bundle.ode();
        let domain = evaluate::own_domain(&bundle);
        let predict = |query: &Query| bundle.predict(query).ok();
        let subject = Subject { ode, domain: &domain, time_unit: "days", predict: &predict };
        let mut wanted: Vec<(String, Query)> = Vec::new();
        for query in queries {
            query.check(ode).map_err(|source| StudyError::Query { query: text(&bundle, query), source })?;
            wanted.push((name.to_owned(), *query));
        }
        if queries.is_empty() {
            let middle: Vec<f32> = domain.iter().map(|(lo, hi)| (0.5 * (lo + hi)) as f32).collect();
            wanted.push((format!("{name}, middle of the box"), Query::from_quantities(ode, &middle)));
        }
        if domain[1..].iter().any(|(lo, hi)| lo < hi) {
            let errors = subject.errors(SEARCHED, 0)?;
            wanted.push((format!("{name}, largest error of {SEARCHED} problems"), errors.worst));
        }
        for (k, (title, query)) in wanted.into_iter().enumerate() {
            let problem = text(&bundle, &query);
            let caption = format!("{problem}. Dashed: the network; the wide pale line beneath it is the reference.");
            let plot = Plot::new(format!("{name}-{}", self.curves.len()), subject.curves(&title, &query)?, caption);
            match self.plots.last_mut() {
                Some(row) if k % 2 == 1 => row.push(plot),
                _ => self.plots.push(vec![plot]),
            }
            self.measure(name, &bundle, &query);
        }
        Ok(())
    }

    fn measure(&mut self, name: &str, bundle: &Bundle<'_>, query: &Query) {
        let (ode, problem) = (bundle.ode(), text(bundle, query));
        let horizon = bundle.domain().first().map_or(1.0, |t| f64::from(t.hi));
        let times: Vec<f64> = (0..TIMES).map(|k| f64::from((horizon * k as f64 / (TIMES - 1) as f64) as f32)).collect();
        let truth = reference::trajectory(ode, query, &times).unwrap_or_default();
        let (mut residuals, mut errors) = (Vec::new(), Vec::new());
        for (t, truth) in times.iter().zip(truth) {
            let Ok(answer) = bundle.predict(&Query { t: *t as f32, initial: query.initial, rates: query.rates }) else {
                continue;
            };
            let (mut residual, mut error) = (0.0f64, 0.0f64);
            for (c, component) in ode.state_names().iter().enumerate() {
                let (y, r) = (f64::from(answer.state[c]), f64::from(answer.residual[c]));
                residual = residual.max(r.abs());
                error = error.max((y - truth[c]).abs());
                self.table.row(cells![name, problem.as_str(), *t, *component, y, truth[c], r, y - truth[c]]);
            }
            residuals.push(residual);
            errors.push(error);
        }
        let worst = errors.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(k, _)| k);
        self.curves.push(Curve {
            model: name.to_owned(),
            query: problem,
            max_error: errors.get(worst).copied().unwrap_or(f64::NAN),
            time_of_max_error: times[worst],
            max_residual: residuals.iter().copied().fold(0.0, f64::max),
            correlation: rank_correlation(&residuals, &errors),
        });
    }
}

/// The query's problem as text.
fn text(bundle: &Bundle<'_>, query: &Query) -> String {
    let ode = bundle.ode();
    let pairs = ode.quantity_names().zip(query.quantities(ode)).skip(1);
    pairs.map(|(name, value)| format!("{name} = {value:.3}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_on_the_residual_follows_the_figures() {
        let curve = |correlation| Curve {
            model: "m".into(),
            query: "q".into(),
            max_error: 1e-3,
            time_of_max_error: 2.0,
            max_residual: 1.0,
            correlation,
        };
        let said = |curves: &[Curve]| findings(curves).unwrap().seen()[1].to_owned();
        assert!(said(&[curve(0.95), curve(0.99)]).contains("tells the error"));
        assert!(said(&[curve(0.95), curve(0.2)]).contains("does not tell"));
        assert!(findings(&[]).unwrap().seen().is_empty());
    }
}

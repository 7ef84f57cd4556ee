//! What do the solutions look like, and does the residual tell where they are wrong?
//!
//! Curves of a model file, or of the presets' networks at the queries of the literature's figures, by the device's
//! evaluator on exported bytes.

use super::bench::Bench;
use super::{Study, StudyError};
use crate::bundle::evaluate;
use crate::bundle::export::Candidate;
use crate::bundle::preset::{self, Preset};
use crate::bundle::problem::Form;
use crate::bundle::reference;
use crate::bundle::report::Subject;
use crate::host::model_file::{Metadata, ModelBytes};
use crate::report::{csv, figure, html};
use crate::statistics::rank_correlation;
use crate::study::findings::{Findings, Plot};
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::network::Scheme;
use sirocco::query::Query;

/// See the file's first lines.
pub const STUDY: Study = Study { name: "curves", what: "What do the solutions look like?", run };

/// Presets and, per preset, (I0, R0, beta, gamma) of its curves; for the bundles the corners and middles that the
/// thesis shows.
const SHOWN: [(&str, &[[f32; 4]]); 3] = [
    ("sir-single", &[[0.2, 0.0, 0.8, 0.2]]),
    ("sir-initial", &[[0.1, 0.1, 0.8, 0.2], [0.2, 0.15, 0.8, 0.2]]),
    ("sir-full", &[[0.3, 0.2, 0.6, 0.5]]),
];
/// Queries among which the worst problem of a box is looked for.
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
    /// Rank correlation along the curve of |residual| and |error|.
    correlation: f64,
}

fn run(bench: &mut Bench<'_>) -> Result<Findings, StudyError> {
    let mut findings = Findings {
        about: "State, residual of the equations below it, and error against the high-order reference below that. \
                Every answer is the device evaluator's, from the bytes of the model file."
            .to_owned(),
        ..Findings::default()
    };
    let mut table = csv::Table::new(["model", "query", "t", "component", "state", "reference", "residual", "error"]);
    let mut curves = Vec::new();
    if let Some((path, loaded)) = &bench.setting.model {
        let name = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy().into_owned());
        show(&name, &loaded.bytes, &bench.setting.queries, (&mut findings, &mut table, &mut curves))?;
    } else {
        let form = bench.setting.form(Form::Reduced);
        for (name, problems) in SHOWN {
            let preset = preset::find(name)?;
            let bytes = exported(bench, preset, form, bench.setting.seeds[0])?;
            let query =
                |[i0, r0, beta, gamma]: &[f32; 4]| Query::from_quantities(preset.ode, &[0.0, *i0, *r0, *beta, *gamma]);
            let queries: Vec<Query> = problems.iter().map(query).collect();
            show(name, &bytes, &queries, (&mut findings, &mut table, &mut curves))?;
        }
    }
    findings.seen = seen(&curves);
    findings.summary.push(summary(&curves));
    findings.tables.push(("curves".into(), table));
    findings.figures = serde_json::json!({ "curves": curves });
    Ok(findings)
}

/// The network of a preset as a file, which is also written into the study's folder.
pub(super) fn exported(
    bench: &mut Bench<'_>,
    preset: &Preset,
    form: Form,
    seed: u64,
) -> Result<ModelBytes, StudyError> {
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

/// Where the curves of a model go.
type Collected<'a> = (&'a mut Findings, &'a mut csv::Table, &'a mut Vec<Curve>);

/// Adds the curves of these queries, or of the middle of the box if there are none, and of the worst problem found.
fn show(name: &str, bytes: &[u8], queries: &[Query], into: Collected<'_>) -> Result<(), StudyError> {
    let (findings, table, curves) = into;
    let bundle = Bundle::open(bytes)?;
    let ode = bundle.ode();
    let domain = evaluate::own_domain(&bundle);
    let predict = |query: &Query| bundle.predict(query).ok();
    let subject = Subject { ode, domain: &domain, time_unit: "days", predict: &predict };
    let mut shown: Vec<(String, Query)> = Vec::new();
    for query in queries {
        query.check(ode).map_err(|source| StudyError::Query { query: text(&bundle, query), source })?;
        shown.push((name.to_owned(), *query));
    }
    if queries.is_empty() {
        let middle: Vec<f32> = domain.iter().map(|(lo, hi)| (0.5 * (lo + hi)) as f32).collect();
        shown.push((format!("{name}, middle of the box"), Query::from_quantities(ode, &middle)));
    }
    if domain[1..].iter().any(|(lo, hi)| lo < hi) {
        let errors = subject.errors(SEARCHED, 0)?;
        shown.push((format!("{name}, largest error of {SEARCHED} problems"), errors.worst));
    }
    let mut row = Vec::new();
    for (title, query) in shown {
        let caption =
            format!("{}. Dashed: the network; the wide pale line beneath it is the reference.", text(&bundle, &query));
        let file = format!("{name}-{}", curves.len());
        row.push(Plot::new(file, subject.curves(&title, &query)?, caption));
        curves.push(measure(name, &bundle, &query, table));
    }
    while !row.is_empty() {
        let rest = row.split_off(row.len().min(2));
        findings.plots.push(std::mem::replace(&mut row, rest));
    }
    Ok(())
}

/// The query's problem as text.
fn text(bundle: &Bundle<'_>, query: &Query) -> String {
    let ode = bundle.ode();
    let pairs = ode.quantity_names().zip(query.quantities(ode)).skip(1);
    pairs.map(|(name, value)| format!("{name} = {value:.3}")).collect::<Vec<_>>().join(", ")
}

fn measure(name: &str, bundle: &Bundle<'_>, query: &Query, table: &mut csv::Table) -> Curve {
    let (ode, shown) = (bundle.ode(), text(bundle, query));
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
            let numbers = [y, truth[c], r, y - truth[c]].map(csv::Cell::from);
            table
                .row([name.into(), shown.as_str().into(), (*t).into(), (*component).into()].into_iter().chain(numbers));
        }
        residuals.push(residual);
        errors.push(error);
    }
    let worst = errors.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(k, _)| k);
    Curve {
        model: name.to_owned(),
        query: shown,
        max_error: errors.get(worst).copied().unwrap_or(f64::NAN),
        time_of_max_error: times[worst],
        max_residual: residuals.iter().copied().fold(0.0, f64::max),
        correlation: rank_correlation(&residuals, &errors),
    }
}

fn seen(curves: &[Curve]) -> Vec<String> {
    let Some(worst) = curves.iter().max_by(|a, b| a.max_error.total_cmp(&b.max_error)) else { return Vec::new() };
    let weakest = curves.iter().map(|c| c.correlation).fold(f64::INFINITY, f64::min);
    let strongest = curves.iter().map(|c| c.correlation).fold(f64::NEG_INFINITY, f64::max);
    let verdict = if weakest > 0.9 {
        "the residual at a time tells the error at that time"
    } else {
        "the residual at a time does not tell the error at that time, which needs the residual propagated from the start"
    };
    vec![
        format!(
            "The largest error of the {} curves is {}, of {} at t = {:.1} ({}).",
            curves.len(),
            figure(worst.max_error),
            worst.model,
            worst.time_of_max_error,
            worst.query
        ),
        format!(
            "Along a curve, |residual| and |error| have rank correlations from {weakest:.2} to {strongest:.2}: {verdict}."
        ),
    ]
}

fn summary(curves: &[Curve]) -> html::Table {
    let row = |c: &Curve| {
        vec![
            c.model.clone(),
            c.query.clone(),
            format!("{:.1e}", c.max_error),
            format!("{:.1}", c.time_of_max_error),
            format!("{:.1e}", c.max_residual),
            format!("{:.2}", c.correlation),
        ]
    };
    let header = ["model", "problem", "largest error", "at t", "largest residual", "rank correlation"];
    html::Table {
        caption: "Per curve, over all components.".into(),
        header: header.map(str::to_owned).into(),
        rows: curves.iter().map(row).collect(),
    }
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
        assert!(seen(&[curve(0.95), curve(0.99)])[1].contains("tells the error"));
        assert!(seen(&[curve(0.95), curve(0.2)])[1].contains("does not tell"));
    }
}

//! The bundle part of the demo: exports the trained network in two number formats, measures both files and shows them.

use super::compare::{self, Row};
use super::work::{Part, Setting, Trained, export};
use crate::bundle::evaluate::{self, QUERIES};
use crate::bundle::export::Exported;
use crate::bundle::preset::Preset;
use crate::bundle::problem::Problem;
use crate::bundle::report::{Curve, Errors, Subject, section};
use crate::cmd::error::Error;
use crate::report::ReportError;
use crate::report::figure;
use crate::report::html::{Block, Highlight, Section};
use serde::Serialize;
use sirocco::bundle::Bundle;
use sirocco::network::Scheme;
use sirocco::query::Query;
use std::path::PathBuf;

/// Queries whose certificates are compared with the truth.
const CERTIFIED: usize = 1000;

/// Figures of the bundle part.
#[derive(Debug, Serialize)]
pub struct Results {
    pub logloss: f64,
    pub max_error: f64,
    pub rms_error: f64,
    pub queries: usize,
    pub parameters: u32,
    pub macs: u32,
    pub iterations: usize,
    pub seconds: f64,
    pub file: PathBuf,
    pub bytes: usize,
    pub i16: Quantized,
    pub certificate: Certificate,
}

/// Figures of the file in 16-bit integers.
#[derive(Debug, Serialize)]
pub struct Quantized {
    pub logloss: f64,
    pub max_error: f64,
    pub rms_error: f64,
    pub file: PathBuf,
    pub bytes: usize,
}

/// How well certificates cover the errors they speak of.
#[derive(Debug, Serialize)]
pub struct Certificate {
    pub covered: f64,
    pub median_ratio: f64,
    pub queries: usize,
}

pub fn run(setting: &Setting<'_>, trained: &Trained) -> Result<Part<Results>, Error> {
    let preset = trained.preset;
    let single = export(setting, &trained.problem, &trained.mlp, preset, Scheme::F32)?;
    let integer = export(setting, &trained.problem, &trained.mlp, preset, Scheme::I16)?;
    let file = setting.out.join("sir-full.safetensors");
    let integer_file = setting.out.join("sir-full-i16.safetensors");
    single.write(&file)?;
    integer.write(&integer_file)?;
    let bundle = single.bundle()?;
    let coverage = evaluate::coverage(&bundle, &evaluate::own_domain(&bundle), CERTIFIED, setting.seed, 0.0);

    let shown = show(setting, preset, &bundle, std::slice::from_ref(&trained.curve))?;
    let rows = compare::rows(&bundle, &integer.bundle()?, setting.seed)?;
    let highlights = highlights(&single, &integer, &rows);
    let results = Results {
        logloss: single.measurement.logloss,
        max_error: single.measurement.max_error,
        rms_error: single.measurement.rms_error,
        queries: single.measurement.queries,
        parameters: single.parameters,
        macs: single.macs,
        iterations: trained.iterations,
        seconds: trained.seconds,
        bytes: single.bytes.len(),
        i16: Quantized {
            logloss: integer.measurement.logloss,
            max_error: integer.measurement.max_error,
            rms_error: integer.measurement.rms_error,
            bytes: integer.bytes.len(),
            file: integer_file,
        },
        certificate: Certificate {
            covered: coverage.covered,
            median_ratio: coverage.median_ratio,
            queries: coverage.queries,
        },
        file,
    };
    let provenance = provenance(&results, preset, &trained.problem);
    let trust = trust(&coverage);
    Ok(Part { results, highlights, sections: vec![shown, trust, compare::section(&rows)], provenance })
}

/// Curves, errors, maps and training curve of the exported file.
fn show(setting: &Setting<'_>, preset: &Preset, bundle: &Bundle<'_>, training: &[Curve]) -> Result<Section, Error> {
    let predict = |query: &Query| bundle.predict(query).ok();
    let ode = bundle.ode();
    let subject = Subject { ode, domain: preset.domain, time_unit: "days", predict: &predict };
    // The very queries that the exporter measured, so that every figure of the report agrees with the file's own.
    let samples = evaluate::samples(bundle, &evaluate::own_domain(bundle), QUERIES, setting.seed)?;
    let errors = Errors::of(&samples, ode.state_names().len()).ok_or(ReportError::NothingToShow("bundle"))?;
    let mut section = section(&subject, "The network", training, &errors, setting.seed)?;
    section.blocks.insert(
        0,
        Block::Prose(format!(
            "The problem is the preset {}: {}. The network reads the reduced form of SIR, which is exact and gives \
             S + I + R = 1 by construction.",
            preset.name, preset.what
        )),
    );
    Ok(section)
}

fn highlights(single: &Exported, integer: &Exported, rows: &[Row]) -> Vec<Highlight> {
    let time = rows.first().map_or(f64::NAN, |row| row.nanoseconds);
    vec![
        Highlight::new("LogLoss", format!("{:.2}", single.measurement.logloss), "of the exported file"),
        Highlight::new(
            "Maximum error",
            figure(single.measurement.max_error),
            format!(
                "of {} queries, faces and vertices included; {} in 16-bit integers",
                single.measurement.queries,
                figure(integer.measurement.max_error)
            ),
        ),
        Highlight::new(
            "Parameters",
            single.parameters.to_string(),
            format!("{} multiplications, {:.0} ns an answer here", single.macs, time),
        ),
    ]
}

fn trust(coverage: &evaluate::Coverage) -> Section {
    let text = format!(
        "With an answer the device can give a certificate: it propagates the network's residual through the \
         linearized equations and bounds the error, without knowing the solution. Of {} random queries, {} were \
         refused; of the others, {:.2} % have an error below the bound. Half of the bounds are within {:.1} times \
         the true error. Subtracting the estimate corrects the answer: the largest error falls from {} to {}.",
        coverage.queries,
        coverage.refused,
        100.0 * coverage.covered,
        coverage.median_ratio,
        figure(coverage.max_error),
        figure(coverage.max_corrected_error),
    );
    Section { heading: "How far an answer can be trusted".to_owned(), blocks: vec![Block::Prose(text)] }
}

fn provenance(results: &Results, preset: &Preset, problem: &Problem) -> Vec<(String, String)> {
    let pair = |key: &str, value: String| (key.to_owned(), value);
    let names = preset.ode.quantity_names().zip(preset.domain);
    let domain = names.map(|(name, (lo, hi))| format!("{name} {lo} to {hi}")).collect::<Vec<_>>().join(", ");
    vec![
        pair("preset", preset.name.to_owned()),
        pair("domain", domain),
        pair("form of the trial solution", problem.form.name().to_owned()),
        pair("training", format!("Levenberg-Marquardt, {} iterations, {:.1} s", results.iterations, results.seconds)),
        pair("model, 32-bit floats", format!("{} ({} bytes)", results.file.display(), results.bytes)),
        pair("model, 16-bit integers", format!("{} ({} bytes)", results.i16.file.display(), results.i16.bytes)),
    ]
}

//! `sirocco calibrate TABLE`: what is behind the counts of an outbreak.

use super::Arguments;
use crate::Error;
use crate::estimate::answer::{Answer, Estimate, Manner, Step, answer, fitted};
use crate::estimate::draws::{ROUNDS, Spread};
use crate::estimate::picture::picture;
use crate::estimate::question::Plan;
use crate::estimate::words::{self, number};
use crate::estimate::{Question, changes};
use crate::figure::Format;
use crate::input::model_file::ModelFile;
use crate::input::outbreak;
use crate::output::{Output, map};
use jiff::civil::Date;
use serde::Serialize;
use sirocco::outbreak::Count;
use std::path::Path;

/// The result.
#[derive(Serialize)]
struct Report<'r> {
    table: &'r Path,
    answered_by: String,
    unit: String,
    start: Option<Date>,
    population: Option<f32>,
    /// What was understood of the table, and what was assumed.
    remarks: &'r [String],
    #[serde(serialize_with = "map")]
    observed: Vec<(String, Observed)>,
    seed: u64,
    ticks: Option<u32>,
    out: Option<&'r Path>,
    #[serde(flatten)]
    answer: &'r Answer,
    summary: Vec<String>,
}

/// A series that was fitted.
#[derive(Serialize)]
struct Observed {
    counts: usize,
    total: f32,
    first: Option<f32>,
    last: Option<f32>,
}

/// Reads the table, fits, and prints the answer.
pub fn run(arguments: &Arguments, table: &Path, output: Output) -> Result<(), Error> {
    let image = arguments.out.as_deref().map(|path| Format::of(path).map(|format| (path, format))).transpose()?;
    let outbreak = outbreak::read(table, &arguments.reading)?;
    let fixed = arguments.problem.fix.as_deref().unwrap_or_default();
    let (population, sigma) = (arguments.observed.population, arguments.observed.sigma);
    let plan = Plan::new(&outbreak, &arguments.knowledge, fixed, population, sigma)?;
    let mut remarks: Vec<String> = outbreak.remarks.iter().chain(&plan.remarks).cloned().collect();
    let file = match &arguments.model {
        Some(path) => ModelFile::read(path)?,
        None => ModelFile::built_in(),
    };
    let bundle = file.bundle()?;
    let question = Question { bundle: &bundle, counts: &plan.counts, setting: &plan.setting };

    let searching = if arguments.knowledge.find_changes { changes::TRIALS } else { 0 };
    let bar = output.bar(searching + ROUNDS);
    let (mut tried, mut drawn) = (0, 0);
    let mut step = |step: Step| {
        match step {
            Step::Tried => tried = (tried + 1).min(searching),
            Step::Drawn => (tried, drawn) = (searching, drawn + 1),
        }
        bar.set(tried + drawn);
    };
    let (setting, mut fit) = fitted(question, arguments.knowledge.find_changes, &mut step)?;
    let (mut name, mut ticks) = (file.path().display().to_string(), None);
    if let Some((mut client, info)) = arguments.solver.connect(arguments.model.as_deref(), output)? {
        (fit, ticks) = client.outbreak(&plan.counts, &setting)?;
        name = format!("{} on {}", info.board, client.port());
        if info.model.crc32 != file.held()?.model_info(false).crc32 {
            remarks.push(format!(
                "The estimates are those of the device's model; the intervals were computed with {}, which is another one.",
                file.path().display()
            ));
        }
    }
    let question = Question { setting: &setting, ..question };
    let last = plan.counts.iter().fold(0.0f32, |last, count| last.max(count.t));
    let horizon = arguments.horizon.unwrap_or(1.25 * last);
    let answer = answer(&plan, question, fit, Manner { horizon, seed: arguments.seed }, &mut step)?;
    let title = || table.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    if let Some((path, format)) = image {
        format.write(path, &picture(&plan, &answer, &title(), 720))?;
    }
    let report = Report {
        table,
        answered_by: name,
        unit: plan.unit.to_string(),
        start: plan.start,
        population: plan.population,
        remarks: &remarks,
        observed: observed(&plan),
        seed: arguments.seed,
        ticks,
        out: arguments.out.as_deref(),
        summary: words::summary(&plan, &answer),
        answer: &answer,
    };
    if output.json {
        // Nobody reads the JSON for what was assumed.
        remarks.iter().for_each(|remark| output.progress(remark));
    }
    output.result(&report, |report| print(report, &plan));
    Ok(())
}

fn observed(plan: &Plan) -> Vec<(String, Observed)> {
    let of = |(column, (_, _, counts)): (&String, (&_, usize, &[Count]))| {
        let seen = || counts.iter().filter(|count| !count.value.is_nan());
        let total = seen().map(|count| count.value).sum();
        let (begin, end) = (seen().next().map(|count| count.t), seen().next_back().map(|count| count.t));
        (column.clone(), Observed { counts: seen().count(), total, first: begin, last: end })
    };
    plan.columns.iter().zip(plan.setting.parts(&plan.counts)).map(of).collect()
}

fn print(report: &Report<'_>, plan: &Plan) {
    for remark in report.remarks {
        say!("{remark}");
    }
    say!();
    say!("{:<36} {:>12}   {:<22} 50 %", "", "estimate", "95 % interval");
    for (name, estimate) in &report.answer.estimates {
        say!("{}", row(&label(name, plan), estimate));
    }
    let (changes, reporting) = (&report.answer.changes, &report.answer.reporting_changes);
    for (what, change) in changes.iter().map(|c| ("change", c)).chain(reporting.iter().map(|c| ("reporting change", c)))
    {
        let date = change.date.map(|date| format!(", {date}")).unwrap_or_default();
        say!("{what:<36} {:>12}{date}", number(change.t));
    }
    say!();
    for (name, spread) in &report.answer.derived {
        say!("{}", derived(&label(name, plan), spread.as_ref()));
    }
    let fit = &report.answer.fit;
    let what = if fit.noise == "gaussian" { "standard deviation" } else { "dispersion" };
    let scatter = fit.dispersion.map(|k| format!(", {what} {}", number(k))).unwrap_or_default();
    say!(
        "\nfit: {} counts, {} noise{scatter}, deviance {}, log-likelihood {}; answered by {}",
        fit.counts,
        fit.noise,
        number(fit.deviance),
        number(fit.log_likelihood),
        report.answered_by
    );
    if let Some(judged) = report.answer.judged {
        for (name, scores) in [("forecast", judged.forecast), ("persistence", judged.persistence)] {
            say!(
                "{name:<12} weighted interval score {} over {} counts; inside the 50 % interval {:.0} %, the 95 % interval {:.0} %",
                number(scores.weighted_interval_score as f32),
                scores.count,
                100.0 * scores.coverage_50,
                100.0 * scores.coverage_95
            );
        }
    }
    say!();
    for sentence in &report.summary {
        say!("{sentence}");
    }
    if let Some(path) = report.out {
        say!("{}", path.display());
    }
}

/// What a quantity is called, with its unit.
fn label(name: &str, plan: &Plan) -> String {
    let unit = plan.unit;
    let people = if plan.population.is_some() { "people" } else { "share" };
    let flows = plan.setting.series.first().is_some_and(|series| series.observable.is_flow());
    if name == "counted_in_the_end" && !flows {
        return "infected in the end".to_owned();
    }
    let unit = match name {
        "infectious_period" | "doubling_time" => format!(" ({unit}s)"),
        "growth_rate" => format!(" (per {unit})"),
        "peak_time" => format!(" ({unit} of most infected)"),
        "infected_at_start" => format!(" ({people})"),
        "background" => format!(" (per {unit})"),
        _ => String::new(),
    };
    format!("{}{unit}", name.replace('_', " "))
}

fn row(name: &str, estimate: &Estimate) -> String {
    let within = |interval: &Option<_>| interval.as_ref().map(words::interval).unwrap_or_default();
    let note = match estimate {
        Estimate { known: true, .. } => "as given",
        Estimate { at_bound: true, .. } => "  at the end of what is thought possible",
        Estimate { identified: false, .. } => "  NOT IDENTIFIED by these counts",
        _ => "",
    };
    let (most, half) = (within(&estimate.most), within(&estimate.half));
    format!("{name:<36} {:>12}   {most:<22} {half}{note}", number(estimate.value)).trim_end().to_owned()
}

fn derived(name: &str, spread: Option<&Spread>) -> String {
    let Some(Spread { median, half, most }) = spread else { return format!("{name:<36} {:>12}", "unknown") };
    let between = |ends: &(f32, f32)| format!("{} to {}", number(ends.0), number(ends.1));
    format!("{name:<36} {:>12}   {:<22} {}", number(*median), between(most), between(half))
}

//! How much sooner does a pretrained network arrive than random weights, after the problem has moved?
//!
//! Three moves: one perturbed start, a moved box of starts, a moved box of starts and rates. On each, the pretrained
//! network and random weights get the same iterations on the same points; the goal is the LogLoss that random weights
//! reach at the end. In the reduced form the pretrained network is trained and finetuned by the patient schedule of
//! damping ([`Schedule::Patient`]), random weights by gain ratio as `bundle train` does, and once more by the patient
//! one, so that what the schedule gains is not taken for what transfer gains.

use super::bench::Bench;
use super::draw::{Arm, progress_figure};
use super::run::Trace;
use super::{Study, StudyError};
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::preset;
use crate::bundle::problem::Form;
use crate::bundle::transfer;
use crate::report::{csv, figure, html};
use crate::statistics::{deviation, mean, median, quantile};
use crate::study::findings::{Findings, Plot};
use serde::Serialize;

/// See the file's first lines.
pub const STUDY: Study = Study { name: "finetune", what: "How much sooner does a pretrained network arrive?", run };

/// From where to where.
const MOVES: [[&str; 2]; 3] =
    [["sir-single", "sir-single-shifted"], ["sir-initial", "sir-initial-shifted"], ["sir-full", "sir-full-shifted"]];

/// Iterations within which a moved full bundle should be where random weights are at the end.
const TARGET: f64 = 8.0;

/// What happened on one move; one value per seed in every list.
#[derive(Debug, Serialize)]
struct Outcome {
    target: String,
    logloss_before: Vec<f64>,
    error_before: Vec<f64>,
    logloss_tuned: Vec<f64>,
    logloss_scratch: Vec<f64>,
    error_tuned: Vec<f64>,
    error_scratch: Vec<f64>,
    /// Iterations of the pretrained network until it is where random weights end; none if it never is.
    iterations_to_scratch: Vec<Option<f64>>,
    cpu_seconds_to_scratch: Vec<Option<f64>>,
    cpu_seconds_scratch: Vec<f64>,
    /// The same goal for random weights that were trained by the patient schedule too.
    logloss_scratch_patient: Vec<f64>,
    iterations_to_scratch_patient: Vec<Option<f64>>,
    cpu_per_iteration: [f64; 2],
    iterations: usize,
}

fn run(bench: &mut Bench<'_>) -> Result<Findings, StudyError> {
    let form = bench.setting.form(Form::Reduced);
    let mut findings = Findings {
        about: format!(
            "Networks in the form `{}`, pretrained on a problem and taken to a moved one: the first layer is rewritten \
             for the new ranges, so that the network starts as the same function of the physical quantities. Beside it, \
             random weights get as many {}. Faint: single seeds; solid: their median.",
            form.name(),
            unit(bench)
        ),
        ..Findings::default()
    };
    let mut table = csv::Table::new(["target", "arm", "seed", "iteration", "cpu_seconds", "logloss", "max_error"]);
    let mut outcomes = Vec::new();
    for [source, target] in MOVES {
        let (source, target) = (preset::find(source)?, preset::find(target)?);
        let seeds = bench.setting.seeds.clone();
        // Beside whom random weights are trained patiently; the other forms and Adam know no such schedule.
        let training = if patient(bench, form) { Schedule::TRAINING } else { Schedule::Gain };
        let runs = seeds.iter().map(|seed| {
            let source = bench.setting.pretrained(source, form, *seed).scheduled(training);
            let [tuned, scratch] = bench.setting.pair(&source, target.domain);
            let tuned = tuned.scheduled(transfer::schedule(form));
            [tuned, scratch.clone().scheduled(Schedule::Gain), scratch.scheduled(training)]
        });
        let runs: Vec<_> = runs.collect();
        let arm = |arm: usize| runs.iter().map(|runs| runs[arm].clone()).collect::<Vec<_>>();
        let (tuned, scratch) = (bench.traces(&arm(0))?, bench.traces(&arm(1))?);
        let scratch_patient = bench.traces(&arm(2))?;
        for (arm, traces) in [("pretrained", &tuned), ("scratch", &scratch), ("scratch-patient", &scratch_patient)] {
            seeds.iter().zip(traces).for_each(|(seed, trace)| rows(&mut table, target.name, arm, *seed, trace));
        }
        let arms = [
            Arm { name: "from the pretrained network", traces: &tuned },
            Arm { name: "from random weights", traces: &scratch },
            Arm { name: "from random weights, patiently", traces: &scratch_patient },
        ];
        let arms = &arms[..if patient(bench, form) { 3 } else { 2 }];
        findings.plots.push(vec![
            Plot::new(
                format!("{}-iterations", target.name),
                progress_figure(target.name, arms, unit(bench), |t| &t.iteration),
                format!("{} to {}: {}.", source.name, target.name, target.what),
            ),
            Plot::new(
                format!("{}-cpu", target.name),
                progress_figure(target.name, arms, "CPU seconds of training", |t| &t.cpu),
                "The same against the CPU seconds of training, all cores together, pretraining left out.",
            ),
        ]);
        let outcome = Outcome::new(target.name, bench.setting.tune(), [&tuned, &scratch, &scratch_patient]);
        findings.seen.push(outcome.seen(unit(bench)));
        outcomes.push(outcome);
    }
    findings.summary.extend(summaries(&outcomes, unit(bench)));
    findings.tables.push(("curves".into(), table));
    findings.figures = serde_json::json!({ "form": form.name(), "moves": outcomes });
    Ok(findings)
}

fn patient(bench: &Bench<'_>, form: Form) -> bool {
    form == Form::Reduced && bench.setting.adam.is_none()
}

fn unit(bench: &Bench<'_>) -> &'static str {
    if bench.setting.adam.is_some() { "steps" } else { "iterations" }
}

fn rows(table: &mut csv::Table, target: &str, arm: &str, seed: u64, trace: &Trace) {
    for k in 0..trace.iteration.len() {
        let numbers = [trace.iteration[k], trace.cpu[k], trace.logloss[k], trace.max_error[k]];
        table.row([target.into(), arm.into(), seed.into()].into_iter().chain(numbers.map(csv::Cell::from)));
    }
}

impl Outcome {
    fn new(target: &str, iterations: usize, [tuned, scratch, patient]: [&[Trace]; 3]) -> Self {
        let each = |traces: &[Trace], f: fn(&Trace) -> f64| traces.iter().map(f).collect::<Vec<_>>();
        let arrivals =
            |goals: &[Trace]| -> Vec<_> { tuned.iter().zip(goals).map(|(t, s)| t.reaches(s.logloss())).collect() };
        let reached = arrivals(scratch);
        let cpu = |(trace, iteration): (&Trace, &Option<f64>)| iteration.map(|i| trace.cpu[trace.at(i as usize)]);
        Outcome {
            target: target.to_owned(),
            logloss_before: each(tuned, |t| t.logloss[0]),
            error_before: each(tuned, |t| t.max_error[0]),
            logloss_tuned: each(tuned, Trace::logloss),
            logloss_scratch: each(scratch, Trace::logloss),
            error_tuned: each(tuned, Trace::max_error),
            error_scratch: each(scratch, Trace::max_error),
            cpu_seconds_to_scratch: tuned.iter().zip(&reached).map(cpu).collect(),
            iterations_to_scratch: reached,
            logloss_scratch_patient: each(patient, Trace::logloss),
            iterations_to_scratch_patient: arrivals(patient),
            cpu_seconds_scratch: each(scratch, |t| t.cpu.last().copied().unwrap_or(f64::NAN)),
            cpu_per_iteration: [tuned, scratch].map(|t| median(&each(t, Trace::cpu_per_iteration))),
            iterations,
        }
    }

    /// Iterations to the goal of the seeds that get there.
    fn arrivals(&self) -> Vec<f64> {
        self.iterations_to_scratch.iter().flatten().copied().collect()
    }

    /// The same comparison with random weights that had the pretrained network's schedule, where there is one.
    fn patiently(&self, unit: &str) -> String {
        if self.logloss_scratch_patient == self.logloss_scratch {
            return String::new();
        }
        format!(
            " By the same schedule random weights end at LogLoss {:.1}; the pretrained network takes {} {unit} to there.",
            median(&self.logloss_scratch_patient),
            listed(&self.iterations_to_scratch_patient)
        )
    }

    fn seen(&self, unit: &str) -> String {
        let (arrivals, seeds) = (self.arrivals(), self.iterations_to_scratch.len());
        let before = format!(
            "{}: before any finetuning the pretrained network has LogLoss {:.1} and a largest error of {} (medians)",
            self.target,
            median(&self.logloss_before),
            figure(median(&self.error_before)),
        );
        let goal = format!(
            "where random weights end after {} {unit} (LogLoss {:.1})",
            self.iterations,
            median(&self.logloss_scratch)
        );
        if arrivals.len() < seeds {
            let late = seeds - arrivals.len();
            return format!("{before}. With as many {unit}, {late} of {seeds} seeds do not get {goal}.");
        }
        let (middle, worst) = (median(&arrivals), quantile(&arrivals, 1.0));
        let target = match (self.target.as_str(), unit) {
            ("sir-full-shifted", "iterations") if worst <= TARGET => {
                format!(" The target of {TARGET} is met by every seed.")
            }
            ("sir-full-shifted", "iterations") => format!(" The target of {TARGET} for every seed is missed."),
            _ => String::new(),
        };
        format!(
            "{before}. Finetuned, it takes {middle:.0} {unit} in the median and {worst:.0} in the worst of {seeds} seeds \
             ({}) to get {goal}: {:.1} times fewer.{target}{}",
            spread(&arrivals),
            self.iterations as f64 / middle.max(1.0),
            self.patiently(unit)
        )
    }
}

/// Mean and standard deviation, in words.
fn spread(values: &[f64]) -> String {
    format!("mean {:.1}, standard deviation {:.1}", mean(values), deviation(values))
}

/// Iterations of every seed.
fn listed(iterations: &[Option<f64>]) -> String {
    let each = iterations.iter().map(|i| i.map_or("never".to_owned(), |i| format!("{i:.0}")));
    each.collect::<Vec<_>>().join(", ")
}

fn summaries(outcomes: &[Outcome], unit: &str) -> [html::Table; 2] {
    let losses = |o: &Outcome| {
        vec![
            o.target.clone(),
            format!("{:.2}", median(&o.logloss_before)),
            format!("{:.2}", median(&o.logloss_tuned)),
            format!("{:.2}", median(&o.logloss_scratch)),
            format!("{:.2}", median(&o.logloss_scratch_patient)),
            format!("{:.1e}", median(&o.error_before)),
            format!("{:.1e}", median(&o.error_tuned)),
            format!("{:.1e}", median(&o.error_scratch)),
        ]
    };
    let costs = |o: &Outcome| {
        let cpu: Vec<f64> = o.cpu_seconds_to_scratch.iter().flatten().copied().collect();
        vec![
            o.target.clone(),
            listed(&o.iterations_to_scratch),
            listed(&o.iterations_to_scratch_patient),
            format!("{:.3}", median(&cpu)),
            format!("{:.3}", median(&o.cpu_seconds_scratch)),
            format!("{:.2}", 1e3 * o.cpu_per_iteration[0]),
            format!("{:.2}", 1e3 * o.cpu_per_iteration[1]),
        ]
    };
    let table = |caption: String, header: &[&str], rows: Vec<Vec<String>>| html::Table {
        caption,
        header: header.iter().map(|head| (*head).to_owned()).collect(),
        rows,
    };
    let iterations = outcomes.first().map_or(0, |o| o.iterations);
    [
        table(
            format!("LogLoss and largest error, medians over the seeds, before and after {iterations} {unit}."),
            &[
                "target",
                "LogLoss before",
                "finetuned",
                "scratch",
                "scratch, patiently",
                "error before",
                "finetuned",
                "scratch",
            ],
            outcomes.iter().map(losses).collect(),
        ),
        table(
            format!("What it takes to get where scratch ends: {unit} of every seed, CPU seconds, CPU ms each."),
            &[
                "target",
                "needed, per seed",
                "to where patient scratch ends",
                "CPU s",
                "CPU s of scratch",
                "ms each, finetuned",
                "ms each, scratch",
            ],
            outcomes.iter().map(costs).collect(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::{Activation, Mlp};

    fn trace(logloss: &[f64]) -> Trace {
        let iteration: Vec<f64> = (0..logloss.len()).map(|k| k as f64).collect();
        Trace {
            cpu: iteration.iter().map(|i| 0.01 * i).collect(),
            iteration,
            logloss: logloss.to_vec(),
            max_error: logloss.iter().map(|l| (0.5 * l).exp()).collect(),
            spent: 1.0,
            mlp: Mlp::random(&[1, 2, 1], Activation::Tanh, 0.0, 0),
        }
    }

    #[test]
    fn the_sentence_says_what_the_numbers_say() {
        let scratch = trace(&[0.0, -5.0, -9.0, -10.0]);
        let said = |tuned: &[f64]| {
            let scratch = std::slice::from_ref(&scratch);
            Outcome::new("sir-full-shifted", 3, [&[trace(tuned)], scratch, scratch]).seen("iterations")
        };
        assert!(said(&[-8.0, -11.0, -12.0, -12.0]).contains("takes 1 iterations in the median"));
        assert!(said(&[-8.0, -11.0, -12.0, -12.0]).contains("is met by every seed"));
        let never = said(&[-1.0, -2.0, -3.0, -4.0]);
        assert!(never.contains("1 of 1 seeds do not get"), "{never}");
        let late = Outcome::new("sir-full-shifted", 20, [&[trace(&[-1.0; 12])], &[trace(&[-0.5])], &[trace(&[-2.0])]]);
        assert_eq!(late.iterations_to_scratch_patient, [None]);
        assert!(
            late.seen("iterations").contains("random weights end at LogLoss -2.0; the pretrained network takes never")
        );
        assert!(!said(&[-8.0, -11.0, -12.0, -12.0]).contains("By the same schedule"));
        assert_eq!(late.arrivals(), [0.0]);
        let mut slow = vec![-1.0; 12];
        slow.push(-10.0);
        assert!(said(&slow).contains("is missed"), "{}", said(&slow));
    }
}

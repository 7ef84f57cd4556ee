//! How much sooner does a pretrained network arrive than random weights, after the problem has moved?
//!
//! Three moves: one perturbed start, a moved box of starts, a moved box of starts and rates. On each, the pretrained
//! network and random weights get the same iterations on the same points; the goal is the LogLoss that random weights
//! reach at the end. In the reduced form the pretrained network is trained and finetuned by the patient schedule of
//! damping ([`Schedule::Patient`]), random weights by gain ratio as `bundle train` does, and once more by the patient
//! schedule, so that a gain of the schedule is not mistaken for a gain of transfer.

use super::Study;
use super::bench::Bench;
use super::draw::{self, Arm};
use super::run::Trace;
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::preset;
use crate::bundle::problem::Form;
use crate::bundle::transfer;
use crate::report::csv;
use crate::statistics::median;
use crate::study::StudyError;
use crate::study::findings::Findings;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// The study; see the first lines of this file.
pub const STUDY: Study = Study { name: "finetune", what: "How much sooner does a pretrained network arrive?", answer };

/// From which preset to which.
const MOVES: [[&str; 2]; 3] =
    [["sir-single", "sir-single-shifted"], ["sir-initial", "sir-initial-shifted"], ["sir-full", "sir-full-shifted"]];

/// Iterations within which a moved full bundle should be where random weights are at the end.
const TARGET: f64 = 8.0;

/// The outcome of one move; every list has one value per seed.
#[derive(Debug, Serialize)]
struct Outcome {
    target: String,
    logloss_before: Vec<f64>,
    error_before: Vec<f64>,
    logloss_tuned: Vec<f64>,
    logloss_scratch: Vec<f64>,
    error_tuned: Vec<f64>,
    error_scratch: Vec<f64>,
    /// Iterations until the pretrained network is where random weights end; `None` if it never is.
    iterations_to_scratch: Vec<Option<f64>>,
    cpu_seconds_to_scratch: Vec<Option<f64>>,
    cpu_seconds_scratch: Vec<f64>,
    /// The same goal for random weights that were trained by the patient schedule.
    logloss_scratch_patient: Vec<f64>,
    iterations_to_scratch_patient: Vec<Option<f64>>,
    cpu_per_iteration: [f64; 2],
    iterations: usize,
}

fn answer(bench: &Bench<'_>) -> Result<Findings, StudyError> {
    let setting = bench.setting;
    let form = setting.form(Form::Reduced);
    let unit = if setting.adam.is_some() { "steps" } else { "iterations" };
    // Neither the other forms nor Adam have a patient schedule.
    let patient = form == Form::Reduced && setting.adam.is_none();
    let training = if patient { Schedule::TRAINING } else { Schedule::Gain };
    let mut table = csv::Table::new(["target", "arm", "seed", "iteration", "cpu_seconds", "logloss", "max_error"]);
    let (mut outcomes, mut plots) = (Vec::new(), Vec::new());
    for [source, target] in MOVES {
        let (source, target) = (preset::find(source)?, preset::find(target)?);
        let traces = bench.arms(|seed| {
            let source = setting.pretrained(source, form, seed).scheduled(training);
            let [tuned, scratch] = setting.pair(&source, target.domain);
            let gain = scratch.clone().scheduled(Schedule::Gain);
            [tuned.scheduled(transfer::schedule(form)), gain, scratch.scheduled(training)]
        })?;
        let names = [
            ("pretrained", "from the pretrained network"),
            ("scratch", "from random weights"),
            ("scratch-patient", "from random weights, patiently"),
        ];
        let arms = names.into_iter().zip(&traces).map(|((key, name), traces)| Arm { key, name, traces });
        let arms: Vec<Arm<'_>> = arms.collect();
        draw::course_rows(&mut table, target.name, &setting.seeds, &arms);
        let caption = format!("{} to {}: {}.", source.name, target.name, target.what);
        plots.push(draw::course(target.name, &arms[..if patient { 3 } else { 2 }], unit, caption));
        outcomes.push(Outcome::new(target.name, setting.tune(), traces.each_ref().map(Vec::as_slice)));
    }
    Ok(Findings { plots, tables: vec![("curves", table)], ..findings(form, &outcomes, unit)? })
}

fn findings(form: Form, outcomes: &[Outcome], unit: &str) -> Result<Findings, StudyError> {
    let figures = context! { form => form.name(), moves => Serde(outcomes) };
    Findings::new(include_str!("finetune.md"), figures, context! { unit, goal => TARGET })
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

    fn seen(outcome: Outcome) -> String {
        findings(Form::Reduced, &[outcome], "iterations").unwrap().seen()[0].to_owned()
    }

    #[test]
    fn the_sentence_says_what_the_numbers_say() {
        let scratch = trace(&[0.0, -5.0, -9.0, -10.0]);
        let said = |tuned: &[f64]| {
            let scratch = std::slice::from_ref(&scratch);
            seen(Outcome::new("sir-full-shifted", 3, [&[trace(tuned)], scratch, scratch]))
        };
        assert!(said(&[-8.0, -11.0, -12.0, -12.0]).contains("takes 1 iterations in the median"));
        assert!(said(&[-8.0, -11.0, -12.0, -12.0]).contains("is met by every seed"));
        let never = said(&[-1.0, -2.0, -3.0, -4.0]);
        assert!(never.contains("1 of 1 seeds do not get"), "{never}");
        let late = Outcome::new("sir-full-shifted", 20, [&[trace(&[-1.0; 12])], &[trace(&[-0.5])], &[trace(&[-2.0])]]);
        assert_eq!(
            (&late.iterations_to_scratch[..], &late.iterations_to_scratch_patient[..]),
            (&[Some(0.0)][..], &[None][..])
        );
        let late = seen(late);
        assert!(late.contains("random weights end at LogLoss -2.0; the pretrained network takes never"), "{late}");
        assert!(!said(&[-8.0, -11.0, -12.0, -12.0]).contains("By the same schedule"));
        let mut slow = vec![-1.0; 12];
        slow.push(-10.0);
        assert!(said(&slow).contains("is missed"), "{}", said(&slow));
    }
}

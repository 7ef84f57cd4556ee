//! Takes a trained network to another domain, where it starts as the same function of the physical quantities.

use crate::bundle::error::BundleError;
use crate::bundle::mlp::{Mlp, Substitution};
use crate::bundle::optimize::lm::Schedule;
use crate::bundle::problem::{Form, Problem};

/// First damping of Levenberg-Marquardt by gain ratio from adopted weights. It is small: they are near a minimum, unlike
/// random ones.
const FIRST_MU: f64 = 1e-8;
/// First damping by a schedule that lowers it tenfold with every step and so need not begin as low.
const FIRST_MU_PATIENT: f64 = 3e-7;

/// First damping of a finetuning by this schedule.
pub fn first_mu(schedule: Schedule) -> f64 {
    match schedule {
        Schedule::Gain => FIRST_MU,
        Schedule::Patient { .. } => FIRST_MU_PATIENT,
    }
}

/// How the damping changes when a network of this form is finetuned. The patient schedule was measured in the reduced
/// form only (`bundle study finetune`), so the other forms use the gain ratio.
pub fn schedule(form: Form) -> Schedule {
    if form == Form::Reduced { Schedule::FINETUNING } else { Schedule::Gain }
}

/// The network of `from` as one of `to`.
///
/// Inputs that both have are rescaled. An input that only `to` has gets zero weights. One that `to` holds fixed is added
/// to the biases with its fixed value.
///
/// # Errors
/// [`BundleError::Transfer`] if system or form differ.
pub fn adopt(mlp: &Mlp, from: &Problem, to: &Problem) -> Result<Mlp, BundleError> {
    if (from.ode, from.form) != (to.ode, to.form) {
        return Err(BundleError::Transfer {
            from: from.ode.name(),
            from_form: from.form.name(),
            to: to.ode.name(),
            to_form: to.form.name(),
        });
    }
    let corner: Vec<f64> = to.domain.iter().map(|range| range.0).collect();
    let substitution = |old: &crate::bundle::problem::Input| match to.inputs.iter().position(|i| i.name == old.name) {
        Some(new) => {
            // v = mid' + half' u', so u = (v - mid) / half is affine in u'.
            let input = &to.inputs[new];
            let middle = 0.5 * (input.lo + input.hi);
            Substitution { from: Some(new), slope: old.rate() / input.rate(), offset: old.scale(middle) }
        }
        None => {
            let fixed = from.value(&old.name, &corner).unwrap_or(0.5 * (old.lo + old.hi));
            Substitution { from: None, slope: 0.0, offset: old.scale(fixed) }
        }
    };
    let substitutions: Vec<Substitution> = from.inputs.iter().map(substitution).collect();
    Ok(mlp.substitute_inputs(to.inputs.len(), &substitutions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::equations::Scratch;
    use crate::bundle::mlp::Activation;
    use crate::bundle::preset;
    use crate::bundle::residual::Batch;
    use crate::bundle::sample;
    use crate::host::random::Purpose;

    fn states(problem: &Problem, mlp: &Mlp, points: &[f64]) -> Vec<f64> {
        let mut states = Vec::new();
        for chunk in &Batch::new(problem, points).chunks {
            problem.for_each(mlp, chunk, &mut Scratch::default(), |state, residual| {
                states.extend(state.iter().chain(&residual));
            });
        }
        states
    }

    #[test]
    fn the_function_is_unchanged_wherever_it_goes() {
        let problem = |name: &str, form| preset::find(name).unwrap().problem(form).unwrap();
        for form in [Form::Conserved, Form::Reduced] {
            for (from, to) in [("sir-full", "sir-full-shifted"), ("sir-full", "sir-single"), ("sir-full", "sir-field")]
            {
                let from = problem(from, form);
                let to = from.moved(preset::find(to).unwrap().domain).unwrap();
                let mlp = Mlp::random(&from.widths(&[6, 5]), Activation::Tanh, from.last_bias(), 1);
                let adopted = adopt(&mlp, &from, &to).unwrap();
                let points = sample::uniform(&to, 50, 0, Purpose::HeldOut, 0);
                for (a, b) in states(&from, &mlp, &points).iter().zip(states(&to, &adopted, &points)) {
                    assert!((a - b).abs() < 1e-12, "{form:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn new_inputs_start_without_influence() {
        let single = preset::find("sir-single").unwrap().problem(Form::Reduced).unwrap();
        let full = single.moved(preset::find("sir-full").unwrap().domain).unwrap();
        let mlp = Mlp::random(&single.widths(&[4]), Activation::Tanh, 1.5, 1);
        let adopted = adopt(&mlp, &single, &full).unwrap();
        assert_eq!(adopted.widths, [3, 4, 1]);
        assert!(adopted.layer(0).weight.chunks_exact(3).all(|row| row[1] == 0.0 && row[2] == 0.0));
    }

    #[test]
    fn forms_do_not_mix() {
        let preset = preset::find("sir-full").unwrap();
        let (a, b) = (preset.problem(Form::Reduced).unwrap(), preset.problem(Form::Conserved).unwrap());
        let mlp = Mlp::random(&a.widths(&[4]), Activation::Tanh, 0.0, 1);
        assert!(adopt(&mlp, &a, &b).unwrap_err().to_string().contains("reduced"));
    }
}

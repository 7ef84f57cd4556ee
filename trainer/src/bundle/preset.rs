//! Named problems, each with the network and the budget that suit it.
//!
//! Results of the defaults with seed 0, measured by the device evaluator on the exported f32 file, the maximum by a search
//! (2 shared cores, optimized development build):
//!
//! | preset | form, hidden | CPU seconds | LogLoss | maximum error | RMS error |
//! | --- | --- | --- | --- | --- | --- |
//! | sir | phase 8-4 | 7.0 | -28.5 | 8.7e-7 | 5.3e-8 |
//! | sir-single | reduced 16 | 0.2 | -34.6 | 3.3e-7 | 6.9e-8 |
//! | sir-initial | reduced 16-16 | 2.9 | -34.0 | 7.7e-7 | 7.4e-8 |
//! | sir-initial | conserved 24-24 | 13 | -34.2 | 5.0e-7 | 7.7e-8 |
//! | sir-full | reduced 16-16 | 11 | -30.5 | 5.0e-5 | 2.7e-7 |
//! | sir-quick | reduced 8-8 | 15 | -23.4 | 5.3e-4 | 9.7e-6 |
//! | sir-field | reduced 16-16-16 | 33 | -27.4 | 3.5e-4 | 2.2e-6 |
//! | sir-school | reduced 16-16-16, 300 of its 1,000 iterations | 10 | -27.5 | 6.1e-4 | 1.2e-5 |
//! | decay | generic 16-16 | 3.2 | -26.9 | 2.8e-5 | 8.6e-7 |
//! | lotka-volterra | generic 24-24 | 50 | -18.1 | 1.6e-3 | 1.2e-4 |
//! | duffing | generic 24-24 | 51 | -15.2 | 2.0e-2 | 4.7e-4 |
//! | sirs | conserved 24-24 | 57 | -19.1 | 5.6e-3 | 1.6e-4 |
//! | seir | conserved 24-24, 200 of its 300 iterations | 28 | -18.7 | 1.5e-2 | 3.6e-4 |
//!
//! `sir-school` and `seir`: release build. Errors near 3e-7 are f32 rounding, not the network.
//!
//! Presets of SIR are entries of a list. Every other system has a preset of its own name without an entry: over its
//! [`System::DOMAIN`], with a network whose size depends on how many quantities vary.

use crate::bundle::error::BundleError;
use crate::bundle::optimize::normal::Damping;
use crate::bundle::problem::{Form, Problem};
use sirocco::ode::sir::Sir;
use sirocco::ode::{Ode, System};
use std::sync::LazyLock;

/// A named problem.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for `--help`.
    pub what: &'static str,
    /// The system.
    pub ode: Ode,
    /// Per quantity in [`Ode::quantity_names`] order; lo == hi where fixed.
    pub domain: &'static [(f64, f64)],
    /// Network and budget where the form conserves or makes no assumption.
    pub generic: Recipe,
    /// Network and budget of the reduced form, for systems that have one.
    pub reduced: Option<Recipe>,
    /// Whether the form by phase is this preset's own.
    pub phase: bool,
}

/// Network, budget and settings of a form of a preset, unless told otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Hidden widths.
    pub hidden: &'static [usize],
    /// Levenberg-Marquardt iterations.
    pub iterations: usize,
    /// Collocation points of a round.
    pub points: usize,
    /// Damping, if it is not the form's usual one.
    pub damping: Option<Damping>,
    /// Rounds over which the time horizon grows to its full length.
    pub growth: u64,
    /// Rounds after which training begins anew from other random weights; 0 for never.
    pub restart: u64,
}

const T: (f64, f64) = (0.0, 20.0);

const fn fixed(value: f64) -> (f64, f64) {
    (value, value)
}

/// A recipe without further settings.
pub const fn recipe(hidden: &'static [usize], iterations: usize, points: usize) -> Recipe {
    Recipe { hidden, iterations, points, damping: None, growth: 0, restart: 0 }
}

/// A recipe whose times grow over this many rounds, with damping that keeps weights small.
const fn growing(recipe: Recipe, rounds: u64) -> Recipe {
    Recipe { damping: Some(Damping::Identity), growth: rounds, ..recipe }
}

const SINGLE: Recipe = recipe(&[16], 400, 512);
const SINGLE_GENERIC: Recipe = recipe(&[16, 16], 400, 512);
const INITIAL: Recipe = recipe(&[16, 16], 400, 2048);
const INITIAL_GENERIC: Recipe = recipe(&[24, 24], 300, 2048);
const FULL: Recipe = recipe(&[16, 16], 1500, 2048);
const QUICK: Recipe = recipe(&[8, 8], 5000, 2048);
const FULL_GENERIC: Recipe = recipe(&[32, 32], 400, 4096);
const FIELD: Recipe = recipe(&[16, 16, 16], 1000, 4096);
/// Three starts of 2,000 iterations each, of which the best is kept.
const PHASE: Recipe = Recipe { damping: Some(Damping::Identity), restart: 40, ..recipe(&[8, 4], 6000, 1024) };
const SMALL: Recipe = growing(recipe(&[16, 16], 400, 1024), 10);
const LARGE: Recipe = growing(recipe(&[24, 24], 300, 4096), 10);

/// The presets of SIR.
const SIR: &[Preset] = &[
    Preset {
        name: "sir",
        what: "every epidemic: any I0 and R0, beta (S0 + I0) / gamma up to 20, all times",
        ode: Ode::Sir,
        domain: &[(0.0, 200.0), (0.0, 0.5), (0.0, 0.5), (0.0, 2.0), (0.1, 1.0)],
        generic: FULL_GENERIC,
        reduced: None,
        phase: true,
    },
    Preset {
        name: "sir-single",
        what: "one epidemic: S0 .80, I0 .20, R0 0, beta .80, gamma .20",
        ode: Ode::Sir,
        domain: &[T, fixed(0.2), fixed(0.0), fixed(0.8), fixed(0.2)],
        generic: SINGLE_GENERIC,
        reduced: Some(SINGLE),
        phase: false,
    },
    Preset {
        name: "sir-single-shifted",
        what: "the same with a perturbed start: S0 .70, I0 .30",
        ode: Ode::Sir,
        domain: &[T, fixed(0.3), fixed(0.0), fixed(0.8), fixed(0.2)],
        generic: SINGLE_GENERIC,
        reduced: Some(SINGLE),
        phase: false,
    },
    Preset {
        name: "sir-initial",
        what: "bundle of initial conditions: I0 and R0 in [.10, .20], beta .8, gamma .2",
        ode: Ode::Sir,
        domain: &[T, (0.1, 0.2), (0.1, 0.2), fixed(0.8), fixed(0.2)],
        generic: INITIAL_GENERIC,
        reduced: Some(INITIAL),
        phase: false,
    },
    Preset {
        name: "sir-initial-shifted",
        what: "bundle of initial conditions moved to I0 and R0 in [.30, .40]",
        ode: Ode::Sir,
        domain: &[T, (0.3, 0.4), (0.3, 0.4), fixed(0.8), fixed(0.2)],
        generic: INITIAL_GENERIC,
        reduced: Some(INITIAL),
        phase: false,
    },
    Preset {
        name: "sir-full",
        what: "full bundle: I0 [.20, .40], R0 [.10, .30], beta [.40, .80], gamma [.30, .70]",
        ode: Ode::Sir,
        domain: Sir::DOMAIN,
        generic: FULL_GENERIC,
        reduced: Some(FULL),
        phase: false,
    },
    Preset {
        name: "sir-quick",
        what: "sir-full by a small network, for errors of 1e-5 (RMS) at the least cost: 96 MACs",
        ode: Ode::Sir,
        domain: Sir::DOMAIN,
        generic: FULL_GENERIC,
        reduced: Some(QUICK),
        phase: false,
    },
    Preset {
        name: "sir-full-shifted",
        what: "full bundle moved to I0 [.30, .50], R0 [.20, .40], beta [.60, 1.0], gamma [.50, 1.0]",
        ode: Ode::Sir,
        domain: &[T, (0.3, 0.5), (0.2, 0.4), (0.6, 1.0), (0.5, 1.0)],
        generic: FULL_GENERIC,
        reduced: Some(FULL),
        phase: false,
    },
    Preset {
        name: "sir-field",
        what: "what a field user needs: I0 [.01, .50], R0 [0, .40], beta [.20, 1.0], gamma [.05, 1.0]",
        ode: Ode::Sir,
        domain: &[T, (0.01, 0.5), (0.0, 0.4), (0.2, 1.0), (0.05, 1.0)],
        generic: FULL_GENERIC,
        reduced: Some(FIELD),
        phase: false,
    },
    Preset {
        name: "sir-school",
        what: "influenza in a boarding school: t [0, 14], I0 [.001, .02], R0 [0, .05], beta [1, 2.5], gamma [.2, .8]",
        ode: Ode::Sir,
        domain: &[(0.0, 14.0), (0.001, 0.02), (0.0, 0.05), (1.0, 2.5), (0.2, 0.8)],
        generic: FULL_GENERIC,
        reduced: Some(growing(FIELD, 20)),
        phase: false,
    },
];

/// Every preset: those of the list, then one for each system without an entry.
pub fn all() -> &'static [Preset] {
    static ALL: LazyLock<Vec<Preset>> = LazyLock::new(|| {
        let without = Ode::ALL.iter().filter(|ode| SIR.iter().all(|preset| preset.ode != **ode));
        SIR.iter().copied().chain(without.map(|ode| Preset::of(*ode))).collect()
    });
    &ALL
}

/// The preset of that name.
///
/// # Errors
/// [`BundleError::UnknownPreset`], which lists the presets that exist.
pub fn find(name: &str) -> Result<&'static Preset, BundleError> {
    let known = || all().iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
    all()
        .iter()
        .find(|p| p.name == name)
        .ok_or_else(|| BundleError::UnknownPreset { name: name.into(), known: known() })
}

impl Preset {
    /// The system over its own domain.
    fn of(ode: Ode) -> Self {
        let varying = ode.domain().iter().filter(|(lo, hi)| lo < hi).count();
        let generic = match varying {
            ..=3 => SMALL,
            _ => LARGE,
        };
        Preset { name: ode.name(), what: ode.what(), ode, domain: ode.domain(), generic, reduced: None, phase: false }
    }

    /// The problem in this form.
    ///
    /// # Errors
    /// [`BundleError::Form`] if the form does not exist for the system.
    pub fn problem(&self, form: Form) -> Result<Problem, BundleError> {
        Problem::new(self.ode, form, self.domain)
    }

    /// Network and budget for this form.
    pub fn recipe(&self, form: Form) -> Recipe {
        match (form, self.reduced) {
            (Form::Reduced, Some(recipe)) => recipe,
            (Form::Phase, _) => PHASE,
            _ => self.generic,
        }
    }

    /// The preset's own form, which is the most accurate one that the study of the preset's domain allows.
    pub fn best_form(&self) -> Form {
        match self.reduced {
            _ if self.phase => Form::Phase,
            Some(_) => Form::Reduced,
            None => Form::general(self.ode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_problem_in_every_form() {
        for preset in all() {
            assert_eq!(find(preset.name).unwrap().name, preset.name);
            for form in [Some(Form::general(preset.ode)), preset.reduced.map(|_| Form::Reduced)].into_iter().flatten() {
                let problem = preset.problem(form).unwrap();
                assert!(problem.inputs[0].name == "t" || problem.inputs[0].name == "tau");
            }
        }
        assert!(find("sir-fall").unwrap_err().to_string().contains("sir-full"));
    }
}

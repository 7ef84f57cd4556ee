//! A bundle problem: an ODE system, the domain of its quantities, and the form of the trial solution.
//!
//! | form | network inputs | outputs | trial solution |
//! | --- | --- | --- | --- |
//! | generic | quantities that vary | one per component | y = y0 + (1 - exp(-t)) NN |
//! | conserved | quantities that vary | components 1.. | the same, component 0 of NN is minus the others' sum |
//! | reduced (SIR) | tau, i0 or ln i0, p, where they vary | x | x = (1 - exp(-tau)) NN, state by [`Reduced`] |
//! | phase (SIR) | x, Y and g of an orbit | B (1 + Y / 2) | the time along an orbit, inverted ([`sirocco::ode::sir::phase`]) |
//!
//! An input v of the interval [lo, hi] is scaled to u = (v - mid) / half, in [-1, 1]. Model file and device use exactly
//! these conventions.

use crate::bundle::error::BundleError;
use serde::{Deserialize, Serialize};
pub use sirocco::bundle::Form;
use sirocco::limits::{MAX_RATES, MAX_STATE};
use sirocco::ode::sir::Reduced;
use sirocco::ode::sir::phase::INPUTS;
use sirocco::ode::{Ode, Rates, State};

/// If the smallest I0 is below this, the reduced form reads ln i0 instead of i0, because the time of an epidemic's peak
/// depends on the logarithm.
const LOGARITHMIC_BELOW: f64 = 0.05;

/// One network input and the interval that is mapped to [-1, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// A quantity of the system, or `tau`, `i0`, `ln_i0`, `p`.
    pub name: String,
    /// Smallest value over the domain.
    pub lo: f64,
    /// Largest value over the domain.
    pub hi: f64,
}

impl Input {
    /// `value` mapped so that [lo, hi] becomes [-1, 1].
    pub fn scale(&self, value: f64) -> f64 {
        (value - 0.5 * (self.lo + self.hi)) * self.rate()
    }

    /// du/dv of [`Input::scale`]: 1 / half width.
    pub fn rate(&self) -> f64 {
        2.0 / (self.hi - self.lo)
    }
}

/// An ODE system over a domain, with the form of its trial solution.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The system.
    pub ode: Ode,
    /// The form of the trial solution.
    pub form: Form,
    /// Per quantity in [`Ode::quantity_names`] order; lo == hi where a quantity is fixed.
    pub domain: Vec<(f64, f64)>,
    /// The network's inputs; the first one is time (`t` or `tau`), but for the form by phase.
    pub inputs: Vec<Input>,
}

impl Problem {
    /// Checks the domain and derives the network's inputs from it.
    ///
    /// # Errors
    /// [`BundleError`] if a range is not an interval, a corner of the domain is not a problem of the system, or the system
    /// does not have this form.
    pub fn new(ode: Ode, form: Form, domain: &[(f64, f64)]) -> Result<Self, BundleError> {
        let names: Vec<_> = ode.quantity_names().collect();
        if names.len() != domain.len() {
            let (expected, got, names) = (names.len(), domain.len(), names.join(", "));
            return Err(BundleError::Quantities { ode: ode.name(), expected, got, names });
        }
        for (q, (name, &(lo, hi))) in names.iter().zip(domain).enumerate() {
            let sound = lo.is_finite() && hi.is_finite() && lo <= hi && (q > 0 || (lo >= 0.0 && lo < hi));
            if !sound {
                return Err(BundleError::Range { name: (*name).into(), lo, hi });
            }
        }
        if let Some(corner) = corners(domain).into_iter().find(|c| !admissible(ode, c)) {
            return Err(BundleError::Inadmissible { ode: ode.name(), corner });
        }
        if !form.fits(ode) {
            return Err(BundleError::Form { form: form.name(), ode: ode.name() });
        }
        let inputs = match form {
            Form::Reduced => reduced_inputs(domain, domain[1].0 < LOGARITHMIC_BELOW),
            Form::Phase => {
                INPUTS.map(|(name, lo, hi)| Input { name: name.into(), lo: lo.into(), hi: hi.into() }).to_vec()
            }
            _ => plain_inputs(&names, domain),
        };
        Ok(Problem { ode, form, domain: domain.to_vec(), inputs })
    }

    /// This problem over another domain: the same system, form and kind of inputs, so that a network can move there.
    ///
    /// # Errors
    /// [`BundleError`] if a range is not an interval, a corner of the domain is not a problem of the system, or the system
    /// does not have this form.
    pub fn moved(&self, domain: &[(f64, f64)]) -> Result<Self, BundleError> {
        let mut moved = Self::new(self.ode, self.form, domain)?;
        let mut kinds = self.inputs.iter().filter_map(|i| ["i0", "ln_i0"].iter().position(|kind| i.name == *kind));
        if let (Form::Reduced, Some(kind)) = (self.form, kinds.next()) {
            moved.inputs = reduced_inputs(domain, kind == 1);
        }
        Ok(moved)
    }

    /// Components of the state.
    pub fn components(&self) -> usize {
        self.ode.state_names().len()
    }

    /// Width of the network's output.
    pub fn outputs(&self) -> usize {
        self.form.outputs(self.ode)
    }

    /// Widths of a network with these hidden layers.
    pub fn widths(&self, hidden: &[usize]) -> Vec<usize> {
        std::iter::once(self.inputs.len()).chain(hidden.iter().copied()).chain([self.outputs()]).collect()
    }

    /// First biases of the output layer. The reduced equation has a second, negative equilibrium; a network that starts at
    /// zero may converge to it, where only points near t = 0 have a large residual.
    pub fn last_bias(&self) -> f64 {
        if self.form == Form::Reduced { 1.5 } else { 0.0 }
    }

    /// Splits physical quantities (`t`, initial coordinates, rates) into what the system reads.
    pub fn split(&self, quantities: &[f64]) -> (f64, State<f64>, Rates<f64>) {
        split(self.ode, quantities)
    }

    /// The value of a network input, before scaling, at physical quantities; `None` if this form has no such input.
    pub fn value(&self, input: &str, quantities: &[f64]) -> Option<f64> {
        if self.form != Form::Reduced {
            return self.ode.quantity_names().position(|name| name == input).map(|q| quantities[q]);
        }
        let (t, initial, rates) = self.split(quantities);
        let r = Reduced::new(&initial, &rates);
        match input {
            "tau" => Some(r.k * t),
            "i0" => Some(r.i0),
            "ln_i0" => Some(r.i0.ln()),
            "p" => Some(r.p),
            _ => None,
        }
    }

    /// The network's inputs before scaling, one per [`Problem::inputs`].
    pub fn values(&self, quantities: &[f64]) -> Vec<f64> {
        self.inputs.iter().filter_map(|input| self.value(&input.name, quantities)).collect()
    }

    /// d(input)/d(t or tau) of the scaled inputs: only time moves.
    pub fn input_tangent(&self) -> Vec<f64> {
        let mut tangent = vec![0.0; self.inputs.len()];
        tangent[0] = self.inputs[0].rate();
        tangent
    }
}

/// Splits physical quantities into time, initial coordinates and rates.
fn split(ode: Ode, quantities: &[f64]) -> (f64, State<f64>, Rates<f64>) {
    let (mut initial, mut rates) = ([0.0; MAX_STATE], [0.0; MAX_RATES]);
    let n = ode.initial_names().len();
    initial[..n].copy_from_slice(&quantities[1..1 + n]);
    rates[..ode.rate_names().len()].copy_from_slice(&quantities[1 + n..]);
    (quantities[0], initial, rates)
}

fn admissible(ode: Ode, quantities: &[f64]) -> bool {
    let (_, initial, rates) = split(ode, quantities);
    ode.admissible(&initial.map(|v| v as f32), &rates.map(|v| v as f32))
}

/// All corners of a box.
fn corners(domain: &[(f64, f64)]) -> Vec<Vec<f64>> {
    let pick =
        |bits: usize| domain.iter().enumerate().map(|(q, r)| if bits >> q & 1 == 0 { r.0 } else { r.1 }).collect();
    (0..1usize << domain.len()).map(pick).collect()
}

fn plain_inputs(names: &[&str], domain: &[(f64, f64)]) -> Vec<Input> {
    let varying = names.iter().zip(domain).filter(|(_, (lo, hi))| lo < hi);
    varying.map(|(name, &(lo, hi))| Input { name: (*name).into(), lo, hi }).collect()
}

/// The reduced inputs over the domain. Each is monotone in every quantity, so its extremes lie at corners.
fn reduced_inputs(domain: &[(f64, f64)], logarithmic: bool) -> Vec<Input> {
    let logarithmic = logarithmic && domain[1].0 > 0.0;
    let mut range = [(f64::INFINITY, f64::NEG_INFINITY); 3];
    for corner in corners(domain) {
        let (t, initial, rates) = split(Ode::Sir, &corner);
        let r = Reduced::new(&initial, &rates);
        let i0 = if logarithmic { r.i0.ln() } else { r.i0 };
        for (range, v) in range.iter_mut().zip([r.k * t, i0, r.p]) {
            *range = (range.0.min(v), range.1.max(v));
        }
    }
    let names = ["tau", if logarithmic { "ln_i0" } else { "i0" }, "p"];
    plain_inputs(&names, &range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: [(f64, f64); 5] = [(0.0, 20.0), (0.2, 0.4), (0.1, 0.3), (0.4, 0.8), (0.3, 0.7)];

    fn names(problem: &Problem) -> Vec<&str> {
        problem.inputs.iter().map(|i| i.name.as_str()).collect()
    }

    #[test]
    fn inputs_are_what_varies() {
        let full = Problem::new(Ode::Sir, Form::Conserved, &FULL).unwrap();
        assert_eq!(names(&full), ["t", "I0", "R0", "beta", "gamma"]);
        assert_eq!(names(&Problem::new(Ode::Sir, Form::Reduced, &FULL).unwrap()), ["tau", "i0", "p"]);
        let single = [(0.0, 20.0), (0.2, 0.2), (0.0, 0.0), (0.8, 0.8), (0.2, 0.2)];
        assert_eq!(names(&Problem::new(Ode::Sir, Form::Conserved, &single).unwrap()), ["t"]);
        let reduced = Problem::new(Ode::Sir, Form::Reduced, &single).unwrap();
        assert_eq!(reduced.inputs, [Input { name: "tau".into(), lo: 0.0, hi: 20.0 }]);
    }

    #[test]
    fn reduced_inputs_stay_in_their_range() {
        for lo in [0.01, 0.2] {
            let domain = [(0.0, 20.0), (lo, 0.5), (0.0, 0.4), (0.2, 1.0), (0.05, 1.0)];
            let problem = Problem::new(Ode::Sir, Form::Reduced, &domain).unwrap();
            assert_eq!(problem.inputs[1].name, if lo < 0.05 { "ln_i0" } else { "i0" });
            let mut random = crate::host::random::Random::new(0, crate::host::random::Purpose::HeldOut, 0);
            for _ in 0..1000 {
                let quantities: Vec<f64> = domain.iter().map(|(a, b)| a + (b - a) * random.uniform()).collect();
                for (input, value) in problem.inputs.iter().zip(problem.values(&quantities)) {
                    assert!(input.scale(value).abs() <= 1.0 + 1e-12, "{input:?} {value}");
                }
            }
        }
    }

    #[test]
    fn bad_domains_are_refused() {
        let with = |q: usize, range| {
            let mut domain = FULL;
            domain[q] = range;
            Problem::new(Ode::Sir, Form::Reduced, &domain)
        };
        assert!(matches!(
            Problem::new(Ode::Sir, Form::Generic, &FULL[..4]),
            Err(BundleError::Quantities { got: 4, .. })
        ));
        assert!(matches!(with(0, (0.0, 0.0)), Err(BundleError::Range { .. })));
        assert!(matches!(with(3, (0.8, f64::NAN)), Err(BundleError::Range { .. })));
        assert!(matches!(with(1, (0.2, 0.9)), Err(BundleError::Inadmissible { .. })));
    }
}

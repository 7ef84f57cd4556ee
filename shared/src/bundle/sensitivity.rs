//! The sensitivity of an answer: its exact derivatives d y_c(t) / d (initial coordinates, rates), through the network.
//!
//! Generic forms, y = y0 + f(t) NN(u): d y_c = d y0_c + f(t) sum_j (d NN_c / d u_j) d u_j. Reduced form, x = f(tau) NN(u):
//! d x = f'(tau) NN d tau + f(tau) sum_j (d NN / d u_j) d u_j, with d tau, d i0, d p of [`Reduced::moving`], and then
//! d y_c of [`Reduced::component`]. The derivatives of the reduced problem do not depend on time, so they are computed once
//! for all observations of a problem; an observation then costs one product of five numbers per free quantity. By phase:
//! the whole closed form in dual numbers, what does not depend on time once for all observations. The flow that mends the
//! first guess leaves a relative error of at most 1e-3 in the derivatives.
//!
//! One observation is one component, so one reverse pass through the network, for about the cost of one evaluation, gives
//! its derivatives with respect to all inputs. Forward tangents would cost one pass per input that depends on a free
//! quantity: three in the reduced form, up to eight in the generic ones.

use super::{Bundle, Form, Source};
use crate::limits::{MAX_STATE, MAX_UNKNOWNS, collect};
use crate::math::exp;
use crate::network::{Inputs, Slopes, Tape};
use crate::ode::sir::Reduced;
use crate::ode::sir::phase::{Course, Problem, TooLarge};
use crate::ode::{Ode, Rates, State};
use crate::query::{Query, QueryError, unknowns};
use crate::scalar::{Dual, Scalar};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Derivatives with respect to the free quantities in their order, padded with zeros.
pub type Gradient = [f32; MAX_UNKNOWNS];

/// The set of unknown quantities: bit k stands for quantity k in the system's order ([`Ode::quantity_names`]).
/// Quantity 0 is time and never free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Free(pub u16);

impl Free {
    /// The set of the named quantities, or `None` if the system has no such initial coordinate or rate.
    ///
    /// ```
    /// use sirocco::{bundle::Free, ode::Ode};
    /// assert_eq!(Free::of(Ode::Sir, &["beta", "gamma"]), Some(Free(0b11000)));
    /// assert_eq!(Free::of(Ode::Sir, &["t"]), None);
    /// ```
    pub fn of(ode: Ode, names: &[&str]) -> Option<Self> {
        let mut bits = 0;
        for name in names {
            let (index, _) = (0u32..).zip(ode.quantity_names()).skip(1).find(|(_, known)| known == name)?;
            bits |= 1u16.checked_shl(index)?;
        }
        Some(Free(bits))
    }

    /// Whether a quantity is in the set.
    pub fn contains(self, index: u8) -> bool {
        self.0.checked_shr(index.into()).is_some_and(|bits| bits & 1 == 1)
    }

    /// The quantities in the set, ascending.
    pub fn indices(self) -> impl Iterator<Item = u8> {
        (0..u16::BITS as u8).filter(move |index| self.contains(*index))
    }

    /// How many quantities are in the set.
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// The reduced form has one output.
static FIRST: State<f32> = {
    let mut seed = [0.0; MAX_STATE];
    seed[0] = 1.0;
    seed
};

/// A bundle linearized around a problem, along its free quantities.
pub(crate) struct Linearization<'b, 'a> {
    bundle: &'b Bundle<'a>,
    problem: Query,
    free: Free,
    /// The network's inputs. Those that depend on time are set anew for every observation.
    input: Inputs,
    /// In the reduced form: the problem, and its derivative along each free quantity.
    reduced: Option<(Reduced<f32>, Vec<Reduced<f32>, MAX_UNKNOWNS>)>,
    /// In the form by phase: the problem and what does not depend on time, with all derivatives.
    phase: Option<(Problem<Seeded>, Course<Seeded>)>,
}

/// A number with its derivatives along the free quantities.
type Seeded = Dual<f32, SIR_UNKNOWNS>;

/// I0, R0, beta and gamma.
const SIR_UNKNOWNS: usize = 4;

/// Without any infected, their number has no derivative along an orbit; this many stand for none.
const NONE_INFECTED: f32 = 1e-30;

impl<'a> Bundle<'a> {
    /// Component `component` of the state, with the same bits as in [`Bundle::state`], and its derivatives with respect to
    /// the free quantities, in their order. If the state is computed in fixed point, the network's inputs and outputs are
    /// the same here, but the rest is computed in floats; the two values then agree within 2e-6.
    ///
    /// Cost: about two evaluations of the network, and a small chain rule per free quantity; 2.5 KiB of stack.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub fn sensitivity(&self, query: &Query, component: usize, free: Free) -> Result<(f32, Gradient), QueryError> {
        query.check(self.ode)?;
        self.linearize(query, free)?.at(query.t, component, &mut Tape::default())
    }

    /// Linearizes the bundle around a problem, whose time is ignored.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub(crate) fn linearize(&self, problem: &Query, free: Free) -> Result<Linearization<'_, 'a>, QueryError> {
        Query { t: 0.0, ..*problem }.check(self.ode)?;
        let reduced = (self.form == Form::Reduced).then(|| {
            let reduced = Reduced::new(&problem.initial, &problem.rates);
            (reduced, collect(free.indices().map(|index| reduced.moving(&problem.rates, index))))
        });
        let input = match &reduced {
            Some((reduced, _)) => self.scale(|source| source.of_reduced(reduced, 0.0)),
            None => self.scale(|source| source.of_query(problem)),
        };
        let phase = if self.form == Form::Phase { Some(self.seeded_course(problem, free)?) } else { None };
        Ok(Linearization { bundle: self, problem: *problem, free, input, reduced, phase })
    }

    /// A problem with derivatives along its free quantities, and its course.
    #[inline(never)]
    fn seeded_course(&self, problem: &Query, free: Free) -> Result<(Problem<Seeded>, Course<Seeded>), QueryError> {
        let (mut initial, mut rates) = (problem.initial.map(Seeded::fixed), problem.rates.map(Seeded::fixed));
        let quantities = (1u8..).zip(unknowns(self.ode, &mut initial, &mut rates));
        for (k, (_, quantity)) in quantities.filter(|(index, _)| free.contains(*index)).enumerate() {
            if let Some(derivative) = quantity.derivatives.get_mut(k) {
                *derivative = 1.0;
            }
        }
        let mut problem = Problem::new(&initial, &rates);
        let [_, infected, _] = &mut problem.initial;
        infected.value = infected.value.max(NONE_INFECTED);
        let course = problem.course(&|u| self.seeded_regular(u)).map_err(|TooLarge| QueryError::TooSteep)?;
        Ok((problem, course))
    }

    /// The network's output at scaled coordinates of an orbit, with derivatives.
    fn seeded_regular(&self, input: &[Seeded; 3]) -> Seeded {
        let ([value, ..], slopes) = self.network.gradient(&input.map(|u| u.value), &FIRST, &mut Tape::default());
        let mut regular = Seeded::fixed(value);
        for (u, slope) in input.iter().zip(slopes) {
            for (to, from) in regular.derivatives.iter_mut().zip(u.derivatives) {
                *to += slope * from;
            }
        }
        regular
    }
}

impl Linearization<'_, '_> {
    /// As [`Bundle::sensitivity`], at time `t`. The previous content of `tape` does not matter.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    // Not inlined, so that it is always compiled for speed: its callers are generic and thus compiled with the firmware's
    // own code, which is compiled for size.
    #[inline(never)]
    pub fn at(&mut self, t: f32, component: usize, tape: &mut Tape) -> Result<(f32, Gradient), QueryError> {
        check_time(t)?;
        if let Some((problem, course)) = &self.phase {
            return self.of_phase(problem, course, (t, component));
        }
        let seed = if self.reduced.is_some() { &FIRST } else { &self.bundle.seed(component) };
        // The inputs must be exactly those of the state: an integer network rounds inputs that differ in their last places
        // to other integers.
        let fixed = self.bundle.fixed_inputs(&Query { t, ..self.problem });
        if fixed.is_none() {
            let time = self.reduced.as_ref().map_or(t, |(reduced, _)| reduced.k * t);
            for (u, input) in self.input.iter_mut().zip(&self.bundle.inputs) {
                if input.source().is_time() {
                    *u = input.scale(time);
                }
            }
        }
        let input = fixed.as_ref().map_or(&self.input, |(_, inputs)| inputs);
        let (nn, slopes) = self.bundle.network.gradient(input, seed, tape);
        let (value, gradient) = match &self.reduced {
            Some((reduced, moving)) => self.of_reduced(reduced, moving, (t, component), nn, &slopes),
            None => self.of_generic((t, component), nn, &slopes),
        };
        if value.is_finite() && gradient.iter().all(|v| v.is_finite()) {
            Ok((value, gradient))
        } else {
            Err(QueryError::Overflow)
        }
    }

    /// The shares of SIR's population that were infected and that recovered until time `t`, with their derivatives.
    ///
    /// By phase, each is accurate to 2e-5 of itself while it is small. In other forms they are differences of states,
    /// accurate to the error of those.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    #[inline(never)]
    pub fn since(&mut self, t: f32, tape: &mut Tape) -> Result<[(f32, Gradient); 2], QueryError> {
        check_time(t)?;
        let Some((problem, course)) = &self.phase else {
            let gone = |here: (f32, Gradient), there: (f32, Gradient)| {
                let mut slopes = here.1;
                slopes.iter_mut().zip(there.1).for_each(|(slope, other)| *slope -= other);
                (here.0 - there.0, slopes)
            };
            let [s0, r0] = [self.at(0.0, 0, tape)?, self.at(0.0, 2, tape)?];
            return Ok([gone(s0, self.at(t, 0, tape)?), gone(self.at(t, 2, tape)?, r0)]);
        };
        let [infected, recovered] = problem.since(course, Seeded::fixed(t), &|u| self.bundle.seeded_regular(u));
        Ok([plain(&infected)?, plain(&recovered)?])
    }

    // Not inlined, so that the other forms do not pay for its registers.
    #[inline(never)]
    fn of_phase(
        &self,
        problem: &Problem<Seeded>,
        course: &Course<Seeded>,
        (t, component): (f32, usize),
    ) -> Result<(f32, Gradient), QueryError> {
        let state = problem.state(course, Seeded::fixed(t), &|u| self.bundle.seeded_regular(u));
        plain(&at(&state, component))
    }

    fn of_generic(&self, (t, component): (f32, usize), nn: State<f32>, slopes: &Slopes) -> (f32, Gradient) {
        let Linearization { bundle, problem, free, .. } = self;
        let f = 1.0 - exp(-t);
        let value = at(&bundle.ode.initial(&problem.initial), component) + f * at(&bundle.expand(nn), component);
        let mut gradient = Gradient::default();
        for (entry, index) in gradient.iter_mut().zip(free.indices()) {
            let seeded = SeededProblem::new(bundle.ode, problem, index);
            let initial = at(&bundle.ode.initial(&seeded.initial), component).derivatives[0];
            let mut through = 0.0;
            for (input, slope) in bundle.inputs.iter().zip(slopes) {
                let direction = match input.source() {
                    Source::Initial(i) => at(&seeded.initial, i.into()).derivatives[0],
                    Source::Rate(i) => at(&seeded.rates, i.into()).derivatives[0],
                    _ => 0.0,
                };
                through += slope * input.slope() * direction;
            }
            *entry = initial + f * through;
        }
        (value, gradient)
    }

    fn of_reduced(
        &self,
        reduced: &Reduced<f32>,
        moving: &[Reduced<f32>],
        (t, component): (f32, usize),
        [nn, ..]: State<f32>,
        slopes: &Slopes,
    ) -> (f32, Gradient) {
        let e = exp(-(reduced.k * t));
        let f = 1.0 - e;
        let (value, by_x, mut by) = reduced.component(f * nn, component);
        // x depends on k through the trial solution's f, and on the problem through each of the network's inputs.
        by.k = by_x * e * nn * t;
        for (input, slope) in self.bundle.inputs.iter().zip(slopes) {
            let through = by_x * f * slope * input.slope();
            match input.source() {
                Source::InfectedShare => by.i0 += through,
                Source::LnInfectedShare => by.i0 += through * logarithmic(reduced.i0),
                Source::InfectionShare => by.p += through,
                _ => by.k += through * t,
            }
        }
        let mut gradient = Gradient::default();
        for (entry, d) in gradient.iter_mut().zip(moving) {
            *entry = by.n * d.n + by.r0 * d.r0 + by.i0 * d.i0 + by.p * d.p + by.k * d.k;
        }
        (value, gradient)
    }
}

impl Bundle<'_> {
    /// The component as a linear combination of the network's outputs.
    fn seed(&self, component: usize) -> State<f32> {
        let mut seed = [0.0; MAX_STATE];
        let outputs = self.form.outputs(self.ode);
        match (self.form, component.checked_sub(1)) {
            (Form::Conserved, None) => seed.iter_mut().take(outputs).for_each(|s| *s = -1.0),
            (Form::Conserved, Some(output)) => set(&mut seed, output),
            (Form::Generic | Form::Reduced | Form::Phase, _) => set(&mut seed, component),
        }
        seed
    }
}

fn check_time(t: f32) -> Result<(), QueryError> {
    match t {
        t if !t.is_finite() => Err(QueryError::NotFinite(0)),
        t if t < 0.0 => Err(QueryError::NegativeTime),
        _ => Ok(()),
    }
}

/// A number and its derivatives apart.
fn plain(dual: &Seeded) -> Result<(f32, Gradient), QueryError> {
    let finite = dual.value.is_finite() && dual.derivatives.iter().all(|v| v.is_finite());
    let mut gradient = Gradient::default();
    gradient.iter_mut().zip(dual.derivatives).for_each(|(to, from)| *to = from);
    if finite { Ok((dual.value, gradient)) } else { Err(QueryError::Overflow) }
}

/// A problem in dual numbers whose derivatives are with respect to one of its quantities.
pub(crate) struct SeededProblem {
    /// Free initial coordinates.
    pub initial: State<Dual<f32, 1>>,
    /// Rates.
    pub rates: Rates<Dual<f32, 1>>,
}

impl SeededProblem {
    /// The problem of `query`, with derivatives with respect to quantity `index` of the system (0 is time, on which a
    /// problem does not depend).
    pub fn new(ode: Ode, query: &Query, index: u8) -> Self {
        let (initial, rates) = (query.initial.map(Dual::fixed), query.rates.map(Dual::fixed));
        let mut seeded = SeededProblem { initial, rates };
        if let Some(index) = usize::from(index).checked_sub(1)
            && let Some(dual) = unknowns(ode, &mut seeded.initial, &mut seeded.rates).nth(index)
        {
            dual.derivatives = [1.0];
        }
        seeded
    }
}

/// d ln i0 / d i0 of [`Source::LnInfectedShare`]: zero where the smallest number stands for the share.
fn logarithmic(i0: f32) -> f32 {
    if i0 > f32::MIN_POSITIVE { 1.0 / i0 } else { 0.0 }
}

/// Entry `index`, or zero.
fn at<S: Scalar, const N: usize>(values: &[S; N], index: usize) -> S {
    values.get(index).copied().unwrap_or_else(S::zero)
}

/// Entry `index` becomes one.
fn set(values: &mut State<f32>, index: usize) {
    if let Some(value) = values.get_mut(index) {
        *value = 1.0;
    }
}

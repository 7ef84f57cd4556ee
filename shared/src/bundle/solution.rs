//! One problem at many times. In the form by phase, what does not depend on time is computed once.

use super::{Answer, Bundle, Form};
use crate::math::all_finite;
use crate::ode::State;
use crate::ode::sir::phase::{self, Course, Problem};
use crate::query::{Prediction, Query, QueryError};
use crate::trajectory::{Point, Trajectory};

/// A bundle's solution of one problem, at any time.
///
/// ```no_run
/// # fn example(bundle: &sirocco::bundle::Bundle<'_>, problem: &sirocco::query::Query) -> Result<(), sirocco::query::QueryError> {
/// let solution = bundle.solution(problem)?;
/// for day in 0..=100u8 {
///     let state = solution.state(day.into())?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Solution<'b, 'a> {
    bundle: &'b Bundle<'a>,
    problem: Query,
    course: Course<f32>,
}

impl Solution<'_, '_> {
    /// As [`Bundle::state`] at time `t`, to the same bits. In the form by phase it costs half as much: one evaluation of the
    /// network in place of two.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub fn state(&self, t: f32) -> Result<State<f32>, QueryError> {
        let query = Query { t, ..self.problem };
        if self.bundle.form != Form::Phase {
            return self.bundle.state(&query);
        }
        query.check(self.bundle.ode)?;
        let state = self.bundle.phase_state(&query, &self.course);
        if all_finite(&state) { Ok(state) } else { Err(QueryError::Overflow) }
    }

    /// As [`Bundle::predict`] at time `t`, to the same bits.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub fn predict(&self, t: f32) -> Result<Prediction, QueryError> {
        let query = Query { t, ..self.problem };
        if self.bundle.form != Form::Phase {
            return self.bundle.predict(&query);
        }
        query.check(self.bundle.ode)?;
        self.bundle.prediction(&query, self.bundle.predict_phase(&query, &self.course))
    }

    /// Point `k` of a trajectory of this problem, or `None` if the trajectory has no such point. Cost: one prediction.
    ///
    /// # Errors
    /// As for [`Bundle::predict`].
    pub fn point(&self, trajectory: &Trajectory, k: u16) -> Option<Result<Point, QueryError>> {
        Some(self.predict(trajectory.query(k)?.t).map(Point::from))
    }
}

impl<'a> Bundle<'a> {
    /// The solution of a problem, whose time is ignored.
    ///
    /// # Errors
    /// Those of [`Bundle::predict`] that hold at every time: the query is not a problem of the system, or it is too steep.
    pub fn solution(&self, problem: &Query) -> Result<Solution<'_, 'a>, QueryError> {
        let problem = Query { t: 0.0, ..*problem };
        problem.check(self.ode)?;
        let course = if self.form == Form::Phase { self.course(&problem)? } else { Course::Still };
        Ok(Solution { bundle: self, problem, course })
    }

    /// The part of a solution by phase that does not depend on time.
    pub(super) fn course(&self, query: &Query) -> Result<Course<f32>, QueryError> {
        if self.epidemic(query).too_large() {
            return Err(QueryError::TooSteep);
        }
        Ok(self.any_course(query, phase::LARGEST_EXTENT))
    }

    /// The same for any k (S0 + I0), along orbits of at most the extent `largest`. Forms without phase know it but for B.
    #[inline(never)]
    pub(super) fn any_course(&self, query: &Query, largest: f32) -> Course<f32> {
        let network = |u: &[f32; 3]| if self.form == Form::Phase { self.regular(u) } else { 0.0 };
        self.epidemic(query).any_course(largest, &network)
    }

    pub(super) fn phase_state(&self, query: &Query, course: &Course<f32>) -> State<f32> {
        let [s, i, r] = self.epidemic(query).state(course, query.t, &|u| self.regular(u));
        [s, i, r, 0.0]
    }

    pub(super) fn predict_phase(&self, query: &Query, course: &Course<f32>) -> Answer {
        let tangent = |u: &[f32; 3], du: &[f32; 3]| {
            let (_, [slope, ..]) = self.network.tangent(u, du);
            slope
        };
        let answer = self.epidemic(query).answer(course, query.t, &|u| self.regular(u), &tangent);
        let padded = |[s, i, r]: [f32; 3]| [s, i, r, 0.0];
        (padded(answer.state), padded(answer.derivative), padded(answer.residual))
    }

    /// The network's output at the scaled coordinates of an orbit.
    fn regular(&self, input: &[f32; 3]) -> f32 {
        let [regular, ..] = self.network.value(input);
        regular
    }

    pub(super) fn epidemic(&self, query: &Query) -> Problem<f32> {
        Problem::new(&query.initial, &query.rates)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the tests compute in f64 on the host")]
mod tests {
    use super::*;
    use crate::bundle::Free;
    use crate::ode::Ode;
    use std::vec::Vec;

    #[repr(C, align(8))]
    struct Aligned<B: ?Sized>(B);
    static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../firmware/app/assets/sir.safetensors"));

    fn bundle() -> Bundle<'static> {
        Bundle::open(&FILE.0).unwrap()
    }

    /// Any epidemic: I0 from 1e-7 to 1, R0 zero or not, beta / gamma to 20, gamma t from 1e-3 to 1e3.
    fn queries(count: usize) -> impl Iterator<Item = Query> {
        let mut state = 1u64;
        let mut uniform = move || {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        (0..count).map(move |_| {
            let i0 = 10f64.powf(-7.0 * uniform()) as f32;
            let r0 = (1.0 - i0) * (2.0 * uniform() - 1.0).max(0.0) as f32;
            let (gamma, k) = (10f64.powf(3.0 * uniform() - 2.0), 19.9999 * uniform());
            let t = 10f64.powf(6.0 * uniform() - 3.0) / gamma;
            Query::from_quantities(Ode::Sir, &[t as f32, i0, r0, (gamma * k) as f32, gamma as f32])
        })
    }

    #[test]
    fn a_solution_has_the_bits_of_its_queries() {
        let bundle = bundle();
        assert_eq!(bundle.self_test().mismatches, 0, "the file's own bits");
        for query in queries(2000) {
            let (state, solution) = (bundle.state(&query).unwrap(), bundle.solution(&query).unwrap());
            let prediction = bundle.predict(&query).unwrap();
            assert_eq!((solution.state(query.t), solution.predict(query.t)), (Ok(state), Ok(prediction)));
            assert_eq!(prediction.state, state);
            assert!(prediction.in_domain && prediction.plausible, "{query:?} {prediction:?}");
        }
    }

    #[test]
    fn what_is_too_steep_is_refused() {
        let bundle = bundle();
        let query = |beta| Query::from_quantities(Ode::Sir, &[3.0, 0.25, 0.25, beta, 0.5]);
        assert!(bundle.state(&query(13.0)).is_ok());
        for beta in [13.4, 50.0] {
            assert!(!bundle.in_domain(&query(beta)));
            assert_eq!(bundle.state(&query(beta)), Err(QueryError::TooSteep));
            assert_eq!(bundle.predict(&query(beta)), Err(QueryError::TooSteep));
            assert_eq!(bundle.solution(&query(beta)).err(), Some(QueryError::TooSteep));
            assert_eq!(bundle.certify(&query(beta)), Err(QueryError::TooSteep));
        }
    }

    /// Runge-Kutta in f64 with ln I in place of I, so that few infected keep their digits.
    fn truth(query: &Query) -> [f64; 3] {
        let [s, i, r, _] = Ode::Sir.initial(&query.initial.map(f64::from));
        let [beta, gamma, ..] = query.rates.map(f64::from);
        let rhs = |[s, ln_i, _]: [f64; 3]| [-beta * s * ln_i.exp(), beta * s - gamma, gamma * ln_i.exp()];
        let steps = (400.0 * f64::from(query.t) * (beta + gamma)).clamp(2_000.0, 200_000.0).round();
        let h = f64::from(query.t) / steps;
        let mut y = [s, i.ln(), r];
        for _ in 0..steps as usize {
            let moved = |k: [f64; 3], h: f64| core::array::from_fn(|c| y[c] + h * k[c]);
            let a = rhs(y);
            let b = rhs(moved(a, 0.5 * h));
            let c = rhs(moved(b, 0.5 * h));
            let d = rhs(moved(c, h));
            y = core::array::from_fn(|j| y[j] + h / 6.0 * (a[j] + 2.0 * b[j] + 2.0 * c[j] + d[j]));
        }
        [y[0], y[1].exp(), y[2]]
    }

    #[test]
    fn answers_and_certificates_hold_for_any_epidemic() {
        let bundle = bundle();
        let short = |query: &Query| query.t * (query.rates[0] + query.rates[1]) < 300.0;
        let mut ratios = Vec::new();
        for query in queries(900).filter(short) {
            let certificate = bundle.certify(&query).unwrap();
            let off = |state: &State<f32>| {
                truth(&query).iter().zip(state).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max)
            };
            let (error, left) = (off(&certificate.prediction.state), off(&certificate.corrected));
            assert!(error < 1.5e-6, "{query:?}: {error:e}");
            // The rounding of the corrected state is left.
            assert!(left < 6e-8, "{query:?}: {left:e}");
            assert!(certificate.trusted && (f64::from(certificate.estimate) - error).abs() < 3e-8);
            let bound = f64::from(certificate.bound.unwrap());
            assert!(error <= bound, "{query:?}");
            ratios.push(bound / error);
        }
        ratios.sort_by(f64::total_cmp);
        assert!(ratios[ratios.len() / 2] < 1.6, "{}", ratios[ratios.len() / 2]);
    }

    #[test]
    fn sensitivities_are_derivatives() {
        let bundle = bundle();
        let free = Free(0b11110);
        for query in queries(400).filter(|q| q.initial[1] > 0.0 && q.initial[0] + q.initial[1] < 0.99) {
            for component in 0..3 {
                let (value, gradient) = bundle.sensitivity(&query, component, free).unwrap();
                assert_eq!(value.to_bits(), bundle.state(&query).unwrap()[component].to_bits());
                for (k, index) in free.indices().enumerate() {
                    let mut quantities = query.quantities(Ode::Sir);
                    let here = quantities[usize::from(index)];
                    let mut at = |factor: f32| {
                        quantities[usize::from(index)] = here * factor;
                        let query = Query::from_quantities(Ode::Sir, &quantities);
                        let (initial, rates) = (query.initial.map(f64::from), query.rates.map(f64::from));
                        let value = Problem::new(&initial, &rates)
                            .solve(&bundle.any_course(&query, 40.0), query.t.into())
                            .unwrap()
                            .state[component];
                        (f64::from(here * factor), value)
                    };
                    let ((up, above), (down, below)) = (at(1.0 + 2e-4), at(1.0 - 2e-4));
                    let right = (above - below) / (up - down);
                    // In units of the quantity itself.
                    let error = (right - f64::from(gradient[k])).abs() * f64::from(here);
                    let allowed = 3e-4 + 1e-2 * right.abs() * f64::from(here);
                    assert!(error < allowed, "{query:?} {component} {index}: {right} {}", gradient[k]);
                }
            }
        }
    }
}

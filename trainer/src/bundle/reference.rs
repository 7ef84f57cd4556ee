//! The reference solution, against which errors are measured: Gragg's modified midpoint rule with polynomial
//! extrapolation (Bulirsch and Stoer), order 16, adaptive, f64.
//!
//! Hairer, Norsett, Wanner, *Solving Ordinary Differential Equations I*, section II.9. At the default tolerance its
//! error is a few 1e-14 on the problems of this crate. It is as accurate there as DOP853, and needs no table of numbers.

use sirocco::ode::{Ode, Rates, State};
use sirocco::query::Query;

/// Midpoint steps of each row of the tableau. The error expansion is even, so each row gains two orders.
const STEPS: [usize; 8] = [2, 4, 6, 8, 10, 12, 14, 16];
/// Error per step relative to max(|y|, 1e-2).
pub const RTOL: f64 = 1e-12;
/// Components below this size are held to an absolute error of `RTOL` times this.
const FLOOR: f64 = 1e-2;
/// Order of the error estimate's dependence on the step.
const ORDER: f64 = 2.0 * STEPS.len() as f64 - 1.0;

/// y(t) of the autonomous y' = `rhs`(y), y(0) = `y0`, for t >= 0, to the relative tolerance `rtol`, usually [`RTOL`].
///
/// The step shrinks until the tolerance is met; where the solution is not finite, the answer is NaN.
pub fn integrate<const N: usize>(rhs: impl Fn(&[f64; N]) -> [f64; N], y0: [f64; N], t: f64, rtol: f64) -> [f64; N] {
    let (mut now, mut y) = (0.0, y0);
    let mut step = t.min(1.0);
    while now < t {
        step = step.min(t - now);
        let (candidate, error) = extrapolated(&rhs, &y, step);
        // A NaN, of a step so long that something overflowed, must not pass for a small error.
        let scaled = (0..N).map(|i| error[i].abs() / (rtol * y[i].abs().max(FLOOR))).fold(0.0, largest);
        if !scaled.is_finite() && step < 1e-9 * t {
            return [f64::NAN; N];
        }
        if scaled <= 1.0 {
            now += step;
            y = candidate;
        }
        let factor = 0.9 * largest(scaled, 1e-30).powf(-1.0 / ORDER);
        step *= if factor.is_nan() { 0.2 } else { factor.clamp(0.2, 3.0) };
    }
    y
}

/// The state of an ODE system at time `t`.
pub fn state(ode: Ode, initial: &State<f64>, rates: &Rates<f64>, t: f64) -> State<f64> {
    integrate(|y| ode.rhs(y, rates), ode.initial(initial), t, RTOL)
}

/// The state of an SIR epidemic at time `t`, with ln I as the unknown in place of I: few infected then grow to many without
/// growing the error of their number.
pub fn epidemic([s, i, r, _]: State<f64>, rates: &Rates<f64>, t: f64) -> State<f64> {
    if i <= 0.0 {
        return [s, i, r, 0.0];
    }
    let [beta, gamma, ..] = *rates;
    let rhs = |&[s, ln_i, _]: &[f64; 3]| {
        let i = ln_i.exp();
        [-beta * s * i, beta * s - gamma, gamma * i]
    };
    let [s, ln_i, r] = integrate(rhs, [s, i.ln(), r], t, RTOL);
    [s, ln_i.exp(), r, 0.0]
}

/// The states of a query's problem at increasing times; `None` if there is no finite solution. The query's own time is
/// ignored.
pub fn trajectory(ode: Ode, query: &Query, times: &[f64]) -> Option<Vec<State<f64>>> {
    let rates = query.rates.map(f64::from);
    let (mut now, mut state) = (0.0, ode.initial(&query.initial.map(f64::from)));
    let next = |t: &f64| {
        state = integrate(|y| ode.rhs(y, &rates), state, t - now, RTOL);
        now = *t;
        state.iter().all(|v| v.is_finite()).then_some(state)
    };
    times.iter().map(next).collect()
}

/// The larger of two errors; not a number if one of them is none.
pub fn largest(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// One extrapolated step and the estimate of its error: the difference of the tableau's last two entries.
fn extrapolated<const N: usize>(rhs: &impl Fn(&[f64; N]) -> [f64; N], y: &[f64; N], step: f64) -> ([f64; N], [f64; N]) {
    let slope = rhs(y);
    let mut tableau = [[0.0; N]; STEPS.len()];
    let mut error = [f64::INFINITY; N];
    for (row, &n) in STEPS.iter().enumerate() {
        let mut fresh = midpoint(rhs, y, &slope, step, n);
        for k in 0..row {
            // Aitken and Neville: tableau[k] still holds T(row - 1, k).
            let ratio = (n as f64 / STEPS[row - 1 - k] as f64).powi(2);
            let older = std::mem::replace(&mut tableau[k], fresh);
            for i in 0..N {
                let gain = (fresh[i] - older[i]) / (ratio - 1.0);
                fresh[i] += gain;
                error[i] = gain;
            }
        }
        tableau[row] = fresh;
    }
    (tableau[STEPS.len() - 1], error)
}

/// Gragg's modified midpoint rule with `n` (even) sub-steps.
fn midpoint<const N: usize>(
    rhs: &impl Fn(&[f64; N]) -> [f64; N],
    y: &[f64; N],
    slope: &[f64; N],
    step: f64,
    n: usize,
) -> [f64; N] {
    let h = step / n as f64;
    let mut previous = *y;
    let mut current: [f64; N] = std::array::from_fn(|i| y[i] + h * slope[i]);
    for _ in 1..n {
        let g = rhs(&current);
        let next = std::array::from_fn(|i| previous[i] + 2.0 * h * g[i]);
        previous = std::mem::replace(&mut current, next);
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trajectory_is_the_solution_at_every_time() {
        let query = Query { t: 0.0, initial: [0.3, 0.1, 0.0, 0.0], rates: [0.6, 0.4, 0.0, 0.0] };
        let times = [0.0, 3.5, 20.0];
        let states = trajectory(Ode::Sir, &query, &times).unwrap();
        let (initial, rates) = (query.initial.map(f64::from), query.rates.map(f64::from));
        for (t, trajectory) in times.iter().zip(states) {
            for (a, b) in trajectory.iter().zip(state(Ode::Sir, &initial, &rates, *t)) {
                assert!((a - b).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn exponential_decay_and_rotation_are_exact() {
        for t in [0.0, 1e-3, 1.0, 20.0] {
            let [y] = integrate(|[y]: &[f64; 1]| [-0.7 * y], [2.0], t, RTOL);
            assert!((y - 2.0 * (-0.7 * t).exp()).abs() < 1e-13, "{t}: {y}");
            let [c, s] = integrate(|[c, s]: &[f64; 2]| [-s, *c], [1.0, 0.0], t, RTOL);
            assert!((c - t.cos()).abs() < 1e-12 && (s - t.sin()).abs() < 1e-12, "{t}: {c} {s}");
        }
    }

    #[test]
    fn logistic_growth_is_exact() {
        let [y] = integrate(|[y]: &[f64; 1]| [y * (1.0 - y)], [0.01], 15.0, RTOL);
        assert!((y - 1.0 / (1.0 + 99.0 * (-15.0f64).exp())).abs() < 1e-13);
    }

    #[test]
    fn one_step_has_the_stated_order() {
        let rhs = |[y]: &[f64; 1]| [y * (1.0 - y)];
        let exact = |t: f64| 1.0 / (1.0 + (-t).exp());
        let error = |h: f64| (extrapolated(&rhs, &[0.5], h).0[0] - exact(h)).abs();
        let order = (error(4.0) / error(2.0)).log2();
        assert!(order > 14.0, "{order}");
    }

    #[test]
    fn sir_converges_with_its_tolerance() {
        let (initial, rates) = ([0.01, 0.0, 0.0, 0.0], [1.0, 0.05, 0.0, 0.0]);
        let rough = integrate(|y| Ode::Sir.rhs(y, &rates), Ode::Sir.initial(&initial), 20.0, 1e-8);
        let fine = integrate(|y| Ode::Sir.rhs(y, &rates), Ode::Sir.initial(&initial), 20.0, 1e-14);
        let usual = state(Ode::Sir, &initial, &rates, 20.0);
        for i in 0..3 {
            assert!((rough[i] - fine[i]).abs() < 1e-8 && (usual[i] - fine[i]).abs() < 1e-13);
        }
    }

    /// A first step of a day is so long for this one that its midpoints overflow.
    #[test]
    fn an_epidemic_of_a_moment_is_solved() {
        let rates = [1000.0, 50.0, 0.0, 0.0];
        let found = epidemic([1.0 - 1e-3, 1e-3, 0.0, 0.0], &rates, 1e4);
        let direct = state(Ode::Sir, &[1e-3, 0.0, 0.0, 0.0], &rates, 1.0);
        assert!(found.iter().zip(direct).all(|(a, b)| (a - b).abs() < 1e-11), "{found:?} {direct:?}");
        assert_eq!(epidemic([0.7, 0.0, 0.3, 0.0], &rates, 1.0), [0.7, 0.0, 0.3, 0.0]);
    }

    /// One in ten million infected: the direct equations hold I to an absolute error, which then grows.
    #[test]
    fn few_infected_lose_no_digits() {
        let (rates, t) = ([2.0, 0.5, 0.0, 0.0], 12.0);
        let initial = [1e-7, 0.0, 0.0, 0.0];
        let right = integrate(|y| Ode::Sir.rhs(y, &rates), Ode::Sir.initial(&initial), t, 1e-15);
        let found = epidemic(Ode::Sir.initial(&initial), &rates, t);
        assert!(found.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-10), "{found:?} {right:?}");
    }

    #[test]
    fn blow_up_is_nan() {
        assert!(integrate(|[y]: &[f64; 1]| [y * y], [1.0], 2.0, RTOL)[0].is_nan());
    }
}

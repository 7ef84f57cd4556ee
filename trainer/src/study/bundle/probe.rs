//! Where a network is measured: held-out points for its LogLoss, held-out queries for its error.

use crate::bundle::equations::Scratch;
use crate::bundle::loss;
use crate::bundle::mlp::Mlp;
use crate::bundle::problem::Problem;
use crate::bundle::reference;
use crate::bundle::residual::Batch;
use crate::bundle::sample;
use crate::host::random::Purpose;
use rayon::prelude::*;
use sirocco::ode::State;

/// Points at which the residual is averaged.
const POINTS: usize = 4096;
/// Queries compared with the reference.
const QUERIES: usize = 400;
/// The number of either for a single problem, whose points differ in time alone.
const SINGLE: usize = 256;

/// Held-out points and queries of a box, the same for every network that is measured there.
#[derive(Debug, Clone)]
pub struct Probe {
    points: Vec<f64>,
    queries: Vec<f64>,
    truths: Vec<State<f64>>,
}

impl Probe {
    /// Uniform points of the box of `problem`; they do not depend on the seed of any run.
    pub fn new(problem: &Problem) -> Self {
        let single = problem.domain[1..].iter().all(|(lo, hi)| lo == hi);
        let (points, queries) = if single { (SINGLE, SINGLE) } else { (POINTS, QUERIES) };
        let draw = |count, round| sample::uniform(problem, count, 0, Purpose::Measurement, round);
        let (points, queries) = (draw(points, 0), draw(queries, 1));
        let truth = |row: &[f64]| {
            let (t, initial, rates) = problem.split(row);
            reference::state(problem.ode, &initial, &rates, t)
        };
        let truths = queries.par_chunks(problem.domain.len()).map(truth).collect();
        Self { points, queries, truths }
    }

    /// LogLoss and largest error of a network of `problem`, whose own box may differ from the probe's.
    pub fn measure(&self, problem: &Problem, mlp: &Mlp) -> (f64, f64) {
        (loss::log_loss(problem, mlp, &Batch::new(problem, &self.points)), self.max_error(problem, mlp))
    }

    fn max_error(&self, problem: &Problem, mlp: &Mlp) -> f64 {
        let (mut largest, mut truths, mut scratch) = (0.0f64, self.truths.iter(), Scratch::default());
        for chunk in &Batch::new(problem, &self.queries).chunks {
            problem.for_each(mlp, chunk, &mut scratch, |state, _| {
                let Some(truth) = truths.next() else { return };
                for (a, b) in state.iter().zip(truth) {
                    let error = (a - b).abs();
                    // A NaN must not pass for a small error.
                    largest = if error.is_nan() { f64::INFINITY } else { largest.max(error) };
                }
            });
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Activation;
    use crate::bundle::preset;
    use crate::bundle::problem::Form;

    #[test]
    fn measures_every_query_against_the_reference() {
        let problem = preset::find("sir-initial").unwrap().problem(Form::Reduced).unwrap();
        let mlp = Mlp::random(&problem.widths(&[4]), Activation::Tanh, 1.5, 0);
        let probe = Probe::new(&problem);
        assert_eq!((probe.points.len() / 5, probe.truths.len()), (POINTS, QUERIES));
        let (logloss, error) = probe.measure(&problem, &mlp);
        assert!(logloss.is_finite() && error > 1e-3 && error < 2.0, "{logloss} {error}");
        let nothing = Mlp { parameters: vec![f64::NAN; mlp.parameters.len()], ..mlp };
        assert_eq!(probe.measure(&problem, &nothing).1, f64::INFINITY);
    }
}

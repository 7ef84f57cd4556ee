//! Draws the points at which residuals are evaluated: collocation points, residual-adaptive points, held-out points.
//!
//! Points are physical quantities, row-major `[point][quantity]`, time included. Every draw is a function of its seed
//! and round alone, so a resumed run gets the points that the unbroken run would have got.

use crate::bundle::problem::Problem;
use crate::host::random::{Purpose, Random};

/// Candidates per adaptive point that is kept.
pub const CANDIDATES: usize = 4;

/// How strongly adaptive points follow the residual: candidates are kept with probability proportional to
/// |r|^power / mean |r|^power + floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adaptivity {
    /// Exponent of the residual: 1, or 2 for wide domains.
    pub power: i32,
    /// Weight of a candidate without any residual.
    pub floor: f64,
}

/// Owen-scrambled Sobol points (Burley 2020) with the arcsine density, which is largest at the domain's faces.
pub fn sobol(problem: &Problem, points: usize, seed: u64, round: u64) -> Vec<f64> {
    let scramble = Random::new(seed, Purpose::Collocation, round).bits() as u32;
    let mut values = Vec::with_capacity(points * problem.domain.len());
    for index in 0..points as u32 {
        let mut dimension = 0;
        values.extend(problem.domain.iter().map(|&(lo, hi)| {
            if lo == hi {
                return lo;
            }
            let u = f64::from(sobol_burley::sample(index, dimension, scramble));
            dimension += 1;
            lo + (hi - lo) * (0.5 + 0.5 * (std::f64::consts::PI * (u - 0.5)).sin())
        }));
    }
    values
}

/// The same points within the first `share` of the time interval.
pub fn earlier(problem: &Problem, mut points: Vec<f64>, share: f64) -> Vec<f64> {
    if share < 1.0 {
        let (begin, _) = problem.domain[0];
        points.iter_mut().step_by(problem.domain.len()).for_each(|t| *t = begin + share * (*t - begin));
    }
    points
}

/// Independent uniform points: those of a round of a seed's stream.
pub fn uniform(problem: &Problem, points: usize, seed: u64, purpose: Purpose, round: u64) -> Vec<f64> {
    let mut random = Random::new(seed, purpose, round);
    let mut draw = |&(lo, hi): &(f64, f64)| if lo == hi { lo } else { lo + (hi - lo) * random.uniform() };
    (0..points).flat_map(|_| problem.domain.iter().map(&mut draw).collect::<Vec<_>>()).collect()
}

/// Uniform candidates for [`keep`], [`CANDIDATES`] per point wanted.
pub fn candidates(problem: &Problem, wanted: usize, seed: u64, round: u64) -> Vec<f64> {
    uniform(problem, CANDIDATES * wanted, seed, Purpose::Candidates, round)
}

/// Draws `wanted` of the candidates without replacement, by the size of their residuals
/// (Efraimidis and Spirakis 2006; the law is RAD of Wu et al. 2023).
pub fn keep(
    candidates: &[f64],
    residuals: &[f64],
    adaptivity: Adaptivity,
    wanted: usize,
    seed: u64,
    round: u64,
) -> Vec<f64> {
    if wanted == 0 {
        return Vec::new();
    }
    let sizes: Vec<f64> = residuals.iter().map(|r| r.abs().powi(adaptivity.power)).collect();
    let mean = sizes.iter().sum::<f64>() / sizes.len() as f64;
    let scale = if mean > 0.0 && mean.is_finite() { 1.0 / mean } else { 0.0 };
    let mut random = Random::new(seed, Purpose::Choice, round);
    let mut keys: Vec<(f64, usize)> = sizes
        .iter()
        .enumerate()
        .map(|(i, size)| ((1.0 - random.uniform()).ln() / (size * scale + adaptivity.floor), i))
        .collect();
    keys.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let width = candidates.len() / residuals.len();
    keys.iter().take(wanted).flat_map(|&(_, i)| &candidates[i * width..][..width]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::preset;
    use crate::bundle::problem::Form;

    fn problem() -> Problem {
        preset::find("sir-initial").unwrap().problem(Form::Reduced).unwrap()
    }

    #[test]
    fn draws_depend_on_seed_and_round_alone() {
        let problem = problem();
        assert_eq!(sobol(&problem, 64, 1, 2), sobol(&problem, 64, 1, 2));
        assert_ne!(sobol(&problem, 64, 1, 2), sobol(&problem, 64, 1, 3));
        assert_ne!(sobol(&problem, 64, 1, 2), sobol(&problem, 64, 2, 2));
        assert_ne!(candidates(&problem, 8, 0, 1), candidates(&problem, 8, 1, 1));
    }

    #[test]
    fn points_lie_in_the_domain_and_crowd_at_its_faces() {
        let problem = problem();
        let points = sobol(&problem, 1024, 0, 0);
        let mut early = 0;
        for point in points.chunks_exact(5) {
            assert!(point.iter().zip(&problem.domain).all(|(v, (lo, hi))| (lo..=hi).contains(&v)));
            early += usize::from(point[0] < 1.0);
        }
        // The arcsine law puts 14 % into the first twentieth of the interval.
        assert!((130..160).contains(&early), "{early}");
    }

    #[test]
    fn large_residuals_are_kept() {
        let candidates: Vec<f64> = (0..400).map(f64::from).collect();
        let residuals: Vec<f64> = (0..400).map(|i| if i % 8 == 0 { 100.0 } else { 1e-9 }).collect();
        let kept = keep(&candidates, &residuals, Adaptivity { power: 1, floor: 0.01 }, 50, 0, 0);
        let large = kept.iter().filter(|v| (**v as usize).is_multiple_of(8)).count();
        assert!(kept.len() == 50 && large > 40, "{large}");
    }
}

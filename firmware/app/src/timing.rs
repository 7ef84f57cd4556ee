//! How long requests take: mean and standard deviation over the last ones, for the log alone.

use micromath::statistics::{Mean, StdDev};

/// Requests that one line of the log is about.
pub(crate) const REQUESTS: usize = 16;

/// Ticks of the requests since the last line.
#[derive(Debug, Default)]
pub(crate) struct Times(heapless::Vec<f32, REQUESTS>);

impl Times {
    /// Adds a request. Every sixteenth returns the mean and the standard deviation of the last sixteen.
    ///
    /// Neither is exact: `micromath` reads the square root off the exponent, so that the deviation is up to 6.1 % too large,
    /// and sums are `f32`. That is enough for a person who reads a log, and for nothing else.
    pub fn add(&mut self, ticks: u32) -> Option<(f32, f32)> {
        // There is room: a full vector is emptied below.
        let _ = self.0.push(ticks as f32);
        if !self.0.is_full() {
            return None;
        }
        let line = (self.0.iter().copied().mean(), self.0.as_slice().stddev());
        self.0.clear();
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and standard deviation of a sample, in `f64`.
    fn exact(ticks: &[u32]) -> (f64, f64) {
        let n = ticks.len() as f64;
        let mean = ticks.iter().map(|t| f64::from(*t)).sum::<f64>() / n;
        let squares = ticks.iter().map(|t| (f64::from(*t) - mean).powi(2)).sum::<f64>();
        (mean, (squares / (n - 1.0)).sqrt())
    }

    #[test]
    fn means_are_exact_to_a_millionth_and_deviations_to_six_percent() {
        let mut random = 1u32;
        let mut word = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 8
        };
        let series: [[u32; REQUESTS]; 5] = [
            core::array::from_fn(|k| 1000 + k as u32),
            core::array::from_fn(|k| if k == 7 { 12_000_000 } else { 20_000 }),
            core::array::from_fn(|_| 150_000 + word() % 1000),
            core::array::from_fn(|_| word()),
            core::array::from_fn(|_| u32::MAX - word()),
        ];
        for (k, ticks) in series.iter().enumerate() {
            let mut times = Times::default();
            let (last, first) = ticks.split_last().unwrap();
            assert!(first.iter().all(|ticks| times.add(*ticks).is_none()));
            let (mean, deviation) = times.add(*last).unwrap();
            let (exact_mean, exact_deviation) = exact(ticks);
            let error = f64::from(mean) / exact_mean - 1.0;
            assert!(error.abs() < 1e-6, "series {k}: mean {error:e}");
            let error = f64::from(deviation) / exact_deviation - 1.0;
            assert!((-1e-3..0.061).contains(&error), "series {k}: deviation {error:e}");
            assert!(times.add(*last).is_none(), "a new series begins");
        }
    }

    #[test]
    fn equal_times_deviate_by_nothing() {
        let mut times = Times::default();
        let line = (0..REQUESTS).filter_map(|_| times.add(4711)).next().unwrap();
        assert!(line.0 == 4711.0 && line.1 < 1e-6, "{line:?}");
    }
}

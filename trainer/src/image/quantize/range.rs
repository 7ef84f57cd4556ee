//! Ranges of an image network's values on calibration images.

use super::error::QuantizeError;
use crate::image::net::graph::{Floats, Graph};
use rayon::prelude::*;

/// Bins of the histogram that percentiles are read from.
const BINS: usize = 4096;
/// Images that are evaluated between two merges of the counts.
const CHUNK: usize = 16;

/// Lowest and highest number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lowest.
    pub lo: f64,
    /// Highest.
    pub hi: f64,
}

impl Interval {
    const EMPTY: Self = Interval { lo: f64::INFINITY, hi: f64::NEG_INFINITY };

    fn hull(self, other: Self) -> Self {
        // `min` and `max` ignore NaN; `of` makes it infinite before, which is refused.
        Interval { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    fn of(values: &[f32]) -> Self {
        let mut interval = Self::EMPTY;
        for value in values {
            let value = if value.is_nan() { f64::INFINITY } else { f64::from(*value) };
            interval = interval.hull(Interval { lo: value, hi: value });
        }
        interval
    }
}

/// How the range of a value follows from its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// From the smallest to the largest.
    MinMax,
    /// This percentage of the numbers: half of the others is cut off at either end. Numbers outside saturate, those inside get
    /// finer steps.
    Percentile(f64),
}

/// The range of every value of a network on these images of pixels \[c, h, w\], beginning with the image.
///
/// Costs one reference evaluation per image, two for percentiles, on all cores. The result does not depend on the number of
/// cores.
///
/// # Errors
/// [`QuantizeError`] if there is no image, the nodes do not fit together, or a value is not finite.
pub fn ranges(graph: &Graph<Floats>, images: &[&[f32]], range: Range) -> Result<Vec<Interval>, QuantizeError> {
    let count = graph.shapes()?.len();
    if images.is_empty() {
        return Err(QuantizeError::NoImages);
    }
    let hull = |chunk: &[&[f32]]| -> Result<Vec<Interval>, QuantizeError> {
        let mut hulls = vec![Interval::EMPTY; count];
        for image in chunk {
            for (hull, value) in hulls.iter_mut().zip(graph.values(image)?) {
                *hull = hull.hull(Interval::of(&value));
            }
        }
        Ok(hulls)
    };
    let chunks: Vec<Vec<Interval>> = images.par_chunks(CHUNK).map(hull).collect::<Result<_, _>>()?;
    let mut whole = vec![Interval::EMPTY; count];
    for chunk in chunks {
        whole = whole.into_iter().zip(chunk).map(|(a, b)| a.hull(b)).collect();
    }
    if let Some(value) = whole.iter().position(|i| !i.lo.is_finite() || !i.hi.is_finite()) {
        return Err(QuantizeError::NotFinite { node: value.saturating_sub(1) });
    }
    match range {
        Range::MinMax => Ok(whole),
        Range::Percentile(percent) => {
            let cut = (1.0 - percent / 100.0).clamp(0.0, 1.0) / 2.0;
            let bins = histograms(graph, images, &whole)?;
            Ok(whole.into_iter().zip(bins).map(|(interval, bins)| percentile(interval, &bins, cut)).collect())
        }
    }
}

/// For each value, the number of its numbers in each bin of its interval.
fn histograms(
    graph: &Graph<Floats>,
    images: &[&[f32]],
    intervals: &[Interval],
) -> Result<Vec<Vec<u64>>, QuantizeError> {
    let count = |chunk: &[&[f32]]| -> Result<Vec<Vec<u64>>, QuantizeError> {
        let mut bins = vec![vec![0; BINS]; intervals.len()];
        for image in chunk {
            for ((bins, value), interval) in bins.iter_mut().zip(graph.values(image)?).zip(intervals) {
                let per_unit = BINS as f64 / (interval.hi - interval.lo).max(f64::MIN_POSITIVE);
                for v in value {
                    bins[((f64::from(v) - interval.lo) * per_unit).min((BINS - 1) as f64) as usize] += 1;
                }
            }
        }
        Ok(bins)
    };
    let add = |mut a: Vec<Vec<u64>>, b: Vec<Vec<u64>>| {
        for (a, b) in a.iter_mut().flatten().zip(b.into_iter().flatten()) {
            *a += b;
        }
        Ok(a)
    };
    let none = || vec![vec![0; BINS]; intervals.len()];
    images.par_chunks(CHUNK).map(count).try_reduce(none, add)
}

/// The interval without the bins that hold at most `cut` of all numbers at either end.
fn percentile(interval: Interval, bins: &[u64], cut: f64) -> Interval {
    let total: u64 = bins.iter().sum();
    let allowed = cut * total as f64;
    let width = (interval.hi - interval.lo) / bins.len() as f64;
    let skipped = |bins: &mut dyn Iterator<Item = &u64>| {
        let mut skipped = 0;
        let within = bins.take_while(|bin| {
            skipped += **bin;
            skipped as f64 <= allowed
        });
        within.count() as f64
    };
    let (low, high) = (skipped(&mut bins.iter()), skipped(&mut bins.iter().rev()));
    Interval { lo: interval.lo + low * width, hi: interval.hi - high * width }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_cut_both_ends() {
        let mut bins = vec![10; 100];
        (bins[0], bins[99]) = (1, 1);
        let whole = Interval { lo: -50.0, hi: 50.0 };
        assert_eq!(percentile(whole, &bins, 0.0), whole);
        assert_eq!(percentile(whole, &bins, 0.002), Interval { lo: -49.0, hi: 49.0 });
        assert_eq!(percentile(whole, &bins, 0.02), Interval { lo: -48.0, hi: 48.0 });
    }

    #[test]
    fn a_nan_is_no_range() {
        assert_eq!(Interval::of(&[1.0, f32::NAN, -2.0]), Interval { lo: -2.0, hi: f64::INFINITY });
    }
}

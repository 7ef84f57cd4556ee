//! Resampling by a triangle: bilinear, with the triangle widened when shrinking so that every pixel counts (the "antialias"
//! of other libraries). First along rows, then along columns, in f32.
//!
//! From n pixels to m, the weight of source pixel j for target i is max(0, 1 - |j + 1/2 - c| / w) over the sum of these
//! weights, where c = (i + 1/2) n / m and w = max(1, n / m). Weights are computed in f64 and rounded to f32; sums run over
//! ascending j. For n = m nothing changes: j = i has the weight 1, its neighbors 0.

/// Weights for planes of one size.
#[derive(Debug, Clone)]
pub struct Resampling {
    rows: Vec<Taps>,
    columns: Vec<Taps>,
    height: usize,
}

/// The first source pixel of a target pixel, and the weights from there on.
type Taps = (usize, Vec<f32>);

impl Resampling {
    /// From planes of `from` rows and columns to planes of `to`.
    pub fn new(from: [usize; 2], to: [usize; 2]) -> Self {
        Resampling { rows: taps(from[0], to[0]), columns: taps(from[1], to[1]), height: from[0] }
    }

    /// The resampled plane, row by row. `pixel` gives the source's pixel of a row and a column.
    pub fn plane(&self, pixel: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let width = self.columns.len();
        let mut across = Vec::with_capacity(self.height * width);
        for row in 0..self.height {
            across.extend(self.columns.iter().map(|(first, weights)| {
                weights.iter().enumerate().map(|(k, w)| w * pixel(row, first + k)).sum::<f32>()
            }));
        }
        let mut down = Vec::with_capacity(self.rows.len() * width);
        for (first, weights) in &self.rows {
            down.extend((0..width).map(|column| {
                weights.iter().enumerate().map(|(k, w)| w * across[(first + k) * width + column]).sum::<f32>()
            }));
        }
        down
    }
}

fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let taps = (0..to).map(|i| {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - reach).floor().max(0.0) as usize;
        let end = ((center + reach).ceil() as usize).min(from);
        let weight = |j: usize| (1.0 - (j as f64 + 0.5 - center).abs() / reach).max(0.0);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        (first, weights.iter().map(|w| (w / sum) as f32).collect())
    });
    taps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_the_same_size_stay_as_they_are() {
        let pixel = |row: usize, column: usize| (7 * row + column) as f32 / 99.0;
        let plane = Resampling::new([3, 5], [3, 5]).plane(pixel);
        assert_eq!(plane, (0..15).map(|k| pixel(k / 5, k % 5)).collect::<Vec<_>>());
    }

    #[test]
    fn halving_weighs_by_a_triangle() {
        // Weights 3/4, 3/4, 1/4 of the three pixels within reach, normalized.
        let half = Resampling::new([1, 4], [1, 2]).plane(|_, column| [8.0, 0.0, 0.0, 0.0][column]);
        assert!((half[0] - 8.0 * 3.0 / 7.0).abs() < 1e-5, "{half:?}");
    }

    #[test]
    fn weights_sum_to_one_at_any_size() {
        for from in [1, 2, 3, 7, 28, 100] {
            for to in [1, 2, 5, 16, 33] {
                let flat = Resampling::new([from, 1], [to, 1]).plane(|_, _| 0.25);
                assert!(flat.len() == to && flat.iter().all(|p| (p - 0.25).abs() < 1e-6), "{from} to {to}: {flat:?}");
            }
        }
    }
}

//! Gaussian blur of a plane of pixels: every pixel becomes the mean of its neighbors, weighted by
//! exp(-(dx^2 + dy^2) / (2 sigma^2)).

/// A blur of one standard deviation.
#[derive(Debug, Clone)]
pub struct Gaussian {
    kernel: Vec<f32>,
}

impl Gaussian {
    /// The blur with this standard deviation in pixels, above 0. The kernel has the length 2 ceil(2 sigma) + 1, which is odd, so
    /// that the image does not move.
    pub fn new(sigma: f64) -> Self {
        let radius = (2.0 * sigma).ceil() as i32;
        let weights: Vec<f64> = (-radius..=radius).map(|d| (-f64::from(d * d) / (2.0 * sigma * sigma)).exp()).collect();
        let sum: f64 = weights.iter().sum();
        Gaussian { kernel: weights.iter().map(|w| (w / sum) as f32).collect() }
    }

    /// Blurs rows of `width` pixels, along both directions.
    pub fn apply(&self, plane: &mut [f32], width: usize) {
        let mut across = vec![0.0; plane.len()];
        for (from, to) in plane.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
            self.line(from, to, width, 1);
        }
        for column in 0..width {
            self.line(&across[column..], &mut plane[column..], across.len() / width, width);
        }
    }

    /// Blurs along a line of `length` pixels that are `stride` apart. Beyond its ends the line is continued by its last pixels.
    fn line(&self, from: &[f32], to: &mut [f32], length: usize, stride: usize) {
        let radius = self.kernel.len() / 2;
        for at in 0..length {
            let near = |k: usize| from[(at + k).saturating_sub(radius).min(length - 1) * stride];
            to[at * stride] = self.kernel.iter().enumerate().map(|(k, w)| w * near(k)).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gaussian;

    #[test]
    fn kernels_are_odd_symmetric_and_sum_to_one() {
        for (sigma, length) in [(0.3, 3), (1.0, 5), (2.5, 11)] {
            let Gaussian { kernel } = Gaussian::new(sigma);
            assert_eq!(kernel.len(), length);
            assert!(kernel.iter().eq(kernel.iter().rev()));
            assert!((kernel.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}

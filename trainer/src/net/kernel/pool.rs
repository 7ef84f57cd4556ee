//! Pooling over square windows that do not overlap: `y[i, j]` is the largest or the mean of `x[k i + u, k j + v]`.
//!
//! Rows and columns beyond the last whole window are left out, as everywhere.

use super::pieces;

/// What is kept of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The largest.
    Max,
    /// The mean.
    Average,
}

/// Shapes of a pooling: windows of `size` over planes of `height` by `width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Largest or mean.
    pub kind: Kind,
    /// Rows and columns of a window.
    pub size: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
}

/// Planes handled together.
const PLANES: usize = 64;

impl Pool {
    /// Rows and columns of the output.
    pub fn output(&self) -> [usize; 2] {
        [self.height / self.size, self.width / self.size]
    }

    /// The output for planes `[planes, h, w]`.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let ([rows, columns], size) = (self.output(), self.size);
        let (plane, small) = (self.height * self.width, rows * columns);
        let mut out = vec![0.0; x.len() / plane * small];
        let scale = 1.0 / (size * size) as f32;
        pieces(&mut out, PLANES * small, |k, out| {
            for (x, out) in x[k * PLANES * plane..].chunks_exact(plane).zip(out.chunks_exact_mut(small)) {
                for (i, out) in out.chunks_exact_mut(columns).enumerate() {
                    for u in 0..size {
                        let row = x[(i * size + u) * self.width..][..self.width].chunks_exact(size);
                        match self.kind {
                            Kind::Max if u == 0 => out.iter_mut().zip(row).for_each(|(y, w)| *y = largest(w)),
                            Kind::Max => out.iter_mut().zip(row).for_each(|(y, w)| *y = y.max(largest(w))),
                            Kind::Average => {
                                out.iter_mut().zip(row).for_each(|(y, w)| *y += w.iter().sum::<f32>() * scale);
                            }
                        }
                    }
                }
            }
        });
        out
    }

    /// The gradient by the input. A largest value that occurs twice in its window is the first one.
    pub fn backward(&self, x: &[f32], y: &[f32], gradient: &[f32]) -> Vec<f32> {
        let ([rows, columns], size) = (self.output(), self.size);
        let (plane, small) = (self.height * self.width, rows * columns);
        let mut out = vec![0.0; x.len()];
        let scale = 1.0 / (size * size) as f32;
        pieces(&mut out, PLANES * plane, |k, out| {
            for (p, out) in out.chunks_exact_mut(plane).enumerate() {
                let at = k * PLANES + p;
                let (x, y) = (&x[at * plane..][..plane], &y[at * small..][..small]);
                if (self.kind, self.size) == (Kind::Max, 2) {
                    let rows = out.chunks_mut(2 * self.width).zip(x.chunks(2 * self.width));
                    let small = y.chunks_exact(columns).zip(gradient[at * small..][..small].chunks_exact(columns));
                    for ((out, x), (y, gradient)) in rows.zip(small) {
                        pairs(out.split_at_mut(self.width), x.split_at(self.width), y, gradient);
                    }
                    continue;
                }
                for (w, g) in gradient[at * small..][..small].iter().enumerate() {
                    let corner = w / columns * size * self.width + w % columns * size;
                    let mut places = (0..size * size).map(|t| corner + t / size * self.width + t % size);
                    match self.kind {
                        Kind::Average => places.for_each(|place| out[place] = g * scale),
                        Kind::Max => {
                            if let Some(place) = places.find(|place| x[*place] == y[w]) {
                                out[place] = *g;
                            }
                        }
                    }
                }
            }
        });
        out
    }
}

/// A row of windows of 2 x 2, without a branch: the gradient goes to the first of the four that is the largest.
fn pairs(out: (&mut [f32], &mut [f32]), x: (&[f32], &[f32]), y: &[f32], gradient: &[f32]) {
    let out = out.0.as_chunks_mut::<2>().0.iter_mut().zip(out.1.as_chunks_mut::<2>().0);
    let x = x.0.as_chunks::<2>().0.iter().zip(x.1.as_chunks::<2>().0);
    for ((((above, below), ([a, b], [c, _])), y), g) in out.zip(x).zip(y).zip(gradient) {
        let first = a == y;
        let second = !first & (b == y);
        let third = !first & !second & (c == y);
        let pick = |taken: bool| if taken { *g } else { 0.0 };
        *above = [pick(first), pick(second)];
        *below = [pick(third), pick(!(first | second | third))];
    }
}

fn largest(window: &[f32]) -> f32 {
    window.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

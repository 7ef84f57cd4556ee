//! Arithmetic of image networks on the CPU: plain loops and products over slices, forward and backward.
//!
//! Values are `[n, c, h, w]`, row-major. A batch is cut into parts of a fixed number of images; parts run on the
//! threads of the current rayon pool, and sums over parts are taken in their order, so that results do not depend on
//! the number of threads.

pub mod conv;
pub mod dense;
pub mod loss;
pub mod norm;
pub mod pool;

use pulp::Arch;
use rayon::prelude::*;

/// Applies `work` to parts 0..n and returns the results in order; in parallel where the pool has threads to spare.
pub fn parts<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if n > 1 && rayon::current_num_threads() > 1 {
        (0..n).into_par_iter().map(work).collect()
    } else {
        (0..n).map(work).collect()
    }
}

/// Applies `work` to disjoint pieces of `out`, `size` numbers each (the last may be shorter).
pub fn pieces(out: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync + Send) {
    if out.len() > size && rayon::current_num_threads() > 1 {
        out.par_chunks_mut(size).enumerate().for_each(|(k, piece)| work(k, piece));
    } else {
        out.chunks_mut(size.max(1)).enumerate().for_each(|(k, piece)| work(k, piece));
    }
}

/// Applies `work` to the items of a list and returns the results in order; in parallel as [`parts`].
pub fn each<I: Send, T: Send>(items: Vec<I>, work: impl Fn(usize, I) -> T + Sync + Send) -> Vec<T> {
    if items.len() > 1 && rayon::current_num_threads() > 1 {
        items.into_par_iter().enumerate().map(|(k, item)| work(k, item)).collect()
    } else {
        items.into_iter().enumerate().map(|(k, item)| work(k, item)).collect()
    }
}

/// Runs plain loops compiled for the vectors that this machine has: the closure and what it calls are to be
/// `#[inline(always)]`. Results are the same on every machine, for the compiler joins no multiplication with an addition.
#[inline(always)]
fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    Arch::new().dispatch(work)
}

/// Lanes of sums, and images side by side: one order of additions on every machine, and one that vectorises.
const LANES: usize = 16;

/// A number of each of sixteen images.
type Lanes = [f32; LANES];

/// `to[step k][image] = from[size image + k]` for k below `length` and every image that `from` holds so much of.
#[inline(always)]
fn gather(from: &[f32], size: usize, length: usize, to: &mut [Lanes], step: usize) {
    for first in (0..length).step_by(LANES) {
        let n = LANES.min(length - first);
        let mut tile = [[0.0; LANES]; LANES];
        for (row, image) in tile.iter_mut().zip(from.chunks(size)) {
            if let Some(image) = image.get(first..first + n) {
                // A whole row has a length that the compiler knows.
                match image.first_chunk() {
                    Some(image) => *row = *image,
                    None => row[..n].copy_from_slice(image),
                }
            }
        }
        for k in 0..n {
            let to = &mut to[(first + k) * step];
            for image in 0..LANES {
                to[image] = tile[image][k];
            }
        }
    }
}

/// `to[size image + k] = from[step k][image]` for k below `length` and every image that `to` holds so much of.
#[inline(always)]
fn scatter(from: &[Lanes], step: usize, length: usize, to: &mut [f32], size: usize) {
    for first in (0..length).step_by(LANES) {
        let n = LANES.min(length - first);
        let mut tile = [[0.0; LANES]; LANES];
        for k in 0..n {
            let from = &from[(first + k) * step];
            for image in 0..LANES {
                tile[image][k] = from[image];
            }
        }
        for (row, image) in tile.iter().zip(to.chunks_mut(size)) {
            if let Some(image) = image.get_mut(first..first + n) {
                match image.first_chunk_mut() {
                    Some(image) => *image = *row,
                    None => image.copy_from_slice(&row[..n]),
                }
            }
        }
    }
}

/// sum of f(x_i, y_i), in sixteen lanes.
#[inline(always)]
pub fn sum_of(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| f(*x, *y)).sum();
    for (x, y) in xs.zip(ys) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += f(*x, *y);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// sum of x_i.
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    sum_of(x, x, |x, _| x)
}

/// The gradient before a ReLU: `gradient` where the output `y` is positive, 0 elsewhere.
pub fn through_relu(gradient: &[f32], y: &[f32]) -> Vec<f32> {
    vectorised(
        #[inline(always)]
        || gradient.iter().zip(y).map(|(g, y)| if *y > 0.0 { *g } else { 0.0 }).collect(),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::host::random::{Purpose, Random};

    /// Numbers around zero.
    pub fn numbers(n: usize, seed: u64) -> Vec<f32> {
        let mut random = Random::new(seed, Purpose::Weights, 7);
        (0..n).map(|_| random.normal() as f32).collect()
    }

    #[test]
    fn a_sum_in_lanes_is_the_sum() {
        for n in [0, 1, 15, 16, 17, 100] {
            let x = numbers(n, 1);
            let plain: f64 = x.iter().map(|x| f64::from(*x)).sum();
            assert!((f64::from(super::sum(&x)) - plain).abs() < 1e-4);
        }
    }
}

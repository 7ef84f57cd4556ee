//! Arithmetic of image networks on the CPU: plain loops and products over slices, forward and backward.
//!
//! Values are `[n, c, h, w]`, row-major. A batch is cut into chunks of a fixed number of images. Chunks run on the threads of
//! the current rayon pool, and sums over chunks are taken in their order, so results do not depend on the number of threads.

pub mod conv;
pub mod dense;
pub mod loss;
pub mod norm;
pub mod pool;

use pulp::Arch;
use rayon::prelude::*;

/// Applies `work` to 0..n and returns the results in order; in parallel if the pool has several threads.
pub fn map_range<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    if n > 1 && rayon::current_num_threads() > 1 {
        (0..n).into_par_iter().map(work).collect()
    } else {
        (0..n).map(work).collect()
    }
}

/// Applies `work` to consecutive chunks of `out`, `size` numbers each (the last may be shorter); in parallel as [`map_range`].
pub fn for_each_chunk(out: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync + Send) {
    if out.len() > size && rayon::current_num_threads() > 1 {
        out.par_chunks_mut(size).enumerate().for_each(|(k, chunk)| work(k, chunk));
    } else {
        out.chunks_mut(size.max(1)).enumerate().for_each(|(k, chunk)| work(k, chunk));
    }
}

/// Applies `work` to the items of a list and returns the results in order; in parallel as [`map_range`].
pub fn map_items<I: Send, T: Send>(items: Vec<I>, work: impl Fn(usize, I) -> T + Sync + Send) -> Vec<T> {
    if items.len() > 1 && rayon::current_num_threads() > 1 {
        items.into_par_iter().enumerate().map(|(k, item)| work(k, item)).collect()
    } else {
        items.into_iter().enumerate().map(|(k, item)| work(k, item)).collect()
    }
}

/// Runs plain loops compiled for the vector instructions of this machine. The closure and the functions that it calls must be
/// `#[inline(always)]`. Results are the same on every machine, for the compiler never fuses a multiplication with an addition.
#[inline(always)]
fn vectorized<T>(work: impl FnOnce() -> T) -> T {
    Arch::new().dispatch(work)
}

/// Lanes of sums, and images side by side: one order of additions on every machine, which suits vector instructions.
const LANES: usize = 16;

/// One number of each of sixteen images.
type Lanes = [f32; LANES];

/// `to[step k][image] = from[size image + k]` for k below `length` and for every image of which `from` has these numbers.
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

/// `to[size image + k] = from[step k][image]` for k below `length` and for every image of which `to` has these numbers.
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

/// The sum of f(x_i, y_i), in sixteen lanes.
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

/// The sum of x_i.
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    sum_of(x, x, |x, _| x)
}

/// The gradient before a ReLU: `gradient` where the output `y` is positive, 0 elsewhere.
pub fn through_relu(gradient: &[f32], y: &[f32]) -> Vec<f32> {
    vectorized(
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

//! Custom operations of the tangent network on the CPU, each one loop or one product.
//!
//! candle's own product asks the operating system for the number of cores at every call and distributes the work over
//! all of them; both cost more than a product of this size. The products here run on the calling core alone.

use crate::bundle::mlp::Activation;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// Products of row-major matrices.
pub enum Product {
    /// X W, with its adjoint; with `first`, no gradient of X is needed.
    Forward {
        /// Whether X is the network's input.
        first: bool,
    },
    /// A B^T.
    RightTransposed,
    /// A^T B.
    LeftTransposed,
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "one-core-product"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((m, n), (p, q)) = (a_layout.shape().dims2()?, b_layout.shape().dims2()?);
        let a = MatRef::from_row_major_slice(contiguous(a, a_layout)?, m, n);
        let b = MatRef::from_row_major_slice(contiguous(b, b_layout)?, p, q);
        let (a, b) = match self {
            Product::Forward { .. } => (a, b),
            Product::RightTransposed => (a, b.transpose()),
            Product::LeftTransposed => (a.transpose(), b),
        };
        if a.ncols() != b.nrows() {
            bail!("matrices of {m} x {n} and {p} x {q} cannot be multiplied")
        }
        let (rows, columns) = (a.nrows(), b.ncols());
        let mut out = vec![0.0f32; rows * columns];
        let product = MatMut::from_row_major_slice_mut(&mut out, rows, columns);
        matmul(product, Accum::Replace, a, b, 1.0, Par::Seq);
        Ok((CpuStorage::F32(out), (rows, columns).into()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Product::Forward { first } = self else { bail!("this product is itself an adjoint and has none") };
        let by_x = if *first { None } else { Some(grad.apply_op2_no_bwd(w, &Product::RightTransposed)?) };
        Ok((by_x, Some(x.apply_op2_no_bwd(grad, &Product::LeftTransposed)?)))
    }
}

/// z `[2B, n]` to a `[2B, n+1]`: phi(z) and ones above, phi'(z) z' and zeros below.
pub struct Activate(pub Activation);

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        "activate-with-tangent"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, n) = layout.shape().dims2()?;
        let (sums, tangent) = contiguous(storage, layout)?.split_at(rows / 2 * n);
        let mut out = vec![0.0; rows * (n + 1)];
        let (out_value, out_tangent) = out.split_at_mut(rows / 2 * (n + 1));
        let ins = sums.chunks_exact(n).zip(tangent.chunks_exact(n));
        let outs = out_value.chunks_exact_mut(n + 1).zip(out_tangent.chunks_exact_mut(n + 1));
        for ((z, zt), (a, at)) in ins.zip(outs) {
            for (((a, at), z), zt) in a.iter_mut().zip(at).zip(z).zip(zt) {
                *a = value(self.0, *z);
                *at = derivatives(self.0, *a).0 * zt;
            }
            a[n] = 1.0;
        }
        Ok((CpuStorage::F32(out), (rows, n + 1).into()))
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(arg.apply_op3_no_bwd(res, grad_res, &PullBack(self.0))?))
    }
}

/// The adjoint of [`Activate`] from (z, a, adjoint of a): phi' v + phi'' z' w above, phi' w below.
struct PullBack(Activation);

impl CustomOp3 for PullBack {
    fn name(&self) -> &'static str {
        "activate-with-tangent-adjoint"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        z_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        adjoint: &CpuStorage,
        adjoint_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, n) = z_layout.shape().dims2()?;
        let (half, wide) = (rows / 2 * n, rows / 2 * (n + 1));
        let zt = &contiguous(z, z_layout)?[half..];
        let a = &contiguous(a, a_layout)?[..wide];
        let (v, w) = contiguous(adjoint, adjoint_layout)?.split_at(wide);
        let mut out = vec![0.0; rows * n];
        let (out_v, out_w) = out.split_at_mut(half);
        let ins = a.chunks_exact(n + 1).zip(v.chunks_exact(n + 1).zip(w.chunks_exact(n + 1)));
        let outs = out_v.chunks_exact_mut(n).zip(out_w.chunks_exact_mut(n)).zip(zt.chunks_exact(n));
        for ((a, (v, w)), ((out_v, out_w), zt)) in ins.zip(outs) {
            let adjoints = a.iter().zip(v).zip(w).zip(zt);
            for ((((a, v), w), zt), (out_v, out_w)) in adjoints.zip(out_v.iter_mut().zip(out_w)) {
                let (slope, bend) = derivatives(self.0, *a);
                *out_v = slope * v + bend * zt * w;
                *out_w = slope * w;
            }
        }
        Ok((CpuStorage::F32(out), (rows, n).into()))
    }
}

/// phi(z) in single precision.
#[inline(always)]
fn value(activation: Activation, z: f32) -> f32 {
    match activation {
        Activation::Tanh => tanh(z),
    }
}

/// (phi', phi'') from a = phi(z).
#[inline(always)]
fn derivatives(activation: Activation, a: f32) -> (f32, f32) {
    match activation {
        Activation::Tanh => {
            let slope = 1.0 - a * a;
            (slope, -2.0 * a * slope)
        }
    }
}

/// tanh as a rational function of degree 13 over 6 (the coefficients are Eigen's), within 5e-7 of the true value.
/// It has no branch and no call, so that the loops over a batch vectorize. Training needs speed here, not equal bits.
#[inline(always)]
fn tanh(z: f32) -> f32 {
    let x = z.clamp(-7.905_311, 7.905_311);
    let s = x * x;
    let mut p = s * -2.760_768_5e-16 + 2.000_188e-13;
    for c in [-8.604_672e-11, 5.122_297e-8, 1.485_722_4e-5, 6.372_619_3e-4, 4.893_524_6e-3] {
        p = s * p + c;
    }
    let q = ((s * 1.198_258_4e-6 + 1.185_347_1e-4) * s + 2.268_434_6e-3) * s + 4.893_525_3e-3;
    x * p / q
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("the batch is not contiguous"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn tanh_is_close_everywhere() {
        for k in -200_000..=200_000 {
            let z = k as f32 * 5e-5;
            assert!((f64::from(tanh(z)) - f64::from(z).tanh()).abs() < 5e-7, "{z}");
        }
    }

    #[test]
    fn products_are_candles_and_bad_shapes_are_refused() {
        let matrix = |rows: usize, columns: usize| {
            let values: Vec<f32> = (0..rows * columns).map(|k| (k as f32 * 1.3).sin()).collect();
            Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
        };
        let (a, b) = (matrix(7, 5), matrix(5, 4));
        let differ = |x: Tensor, y: Tensor| {
            let d = (x - y).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            d.to_scalar::<f32>().unwrap()
        };
        let forward = a.apply_op2_no_bwd(&b, &Product::Forward { first: false }).unwrap();
        assert!(differ(forward, a.matmul(&b).unwrap()) < 1e-6);
        let right = a.apply_op2_no_bwd(&matrix(6, 5), &Product::RightTransposed).unwrap();
        assert!(differ(right, a.matmul(&matrix(6, 5).t().unwrap()).unwrap()) < 1e-6);
        let left = a.apply_op2_no_bwd(&matrix(7, 3), &Product::LeftTransposed).unwrap();
        assert!(differ(left, a.t().unwrap().matmul(&matrix(7, 3)).unwrap()) < 1e-6);
        assert!(a.apply_op2_no_bwd(&a, &Product::Forward { first: true }).is_err());
    }
}

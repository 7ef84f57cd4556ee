//! The multilayer perceptron on candle tensors, with its value and its time derivative propagated together.
//!
//! A batch of B points is one matrix of 2 B rows: B rows of values, then B rows of tangents. A last column of ones
//! (values) and zeros (tangents) carries the bias, so a dense layer is one product, X [2B, in+1] W [in+1, out], and
//! one element-wise step: a = phi(z), a' = phi'(z) z'. Autograd goes back through both in one pass.
//!
//! On the CPU both steps are custom operations (`ops.rs`); on other devices they consist of candle's own.

use super::ops::{Activate, Product};
use crate::bundle::mlp::{Activation, Mlp};
use candle_core::{Device, Result, Tensor, Var, bail};

/// A network whose weights are candle variables in f32.
#[derive(Debug)]
pub struct TangentNet {
    widths: Vec<usize>,
    activation: Activation,
    /// Per layer `[inputs + 1, outputs]`; the last row is the bias.
    layers: Vec<Var>,
    fused: bool,
}

impl TangentNet {
    /// A network of `mlp`'s architecture with these parameters, in the order of [`Mlp::parameters`].
    ///
    /// # Errors
    /// If the device fails, for example for lack of memory.
    pub fn new(mlp: &Mlp, parameters: &[f32], device: &Device) -> Result<Self> {
        let mut layers = Vec::with_capacity(mlp.depth());
        for l in 0..mlp.depth() {
            let (weight, bias) = mlp.ranges(l);
            let (inputs, outputs) = (mlp.widths[l], mlp.widths[l + 1]);
            let mut rows = transposed(&parameters[weight], outputs, inputs);
            rows.extend_from_slice(&parameters[bias]);
            layers.push(Var::from_vec(rows, (inputs + 1, outputs), device)?);
        }
        Ok(Self { widths: mlp.widths.clone(), activation: mlp.activation, layers, fused: device.is_cpu() })
    }

    /// Value and tangent outputs `[2B, out]` of the inputs `[2B, in+1]` (see [`inputs`]).
    ///
    /// # Errors
    /// If the device fails, for example for lack of memory.
    pub fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        let mut x = inputs.clone();
        for (l, layer) in self.layers.iter().enumerate() {
            let hidden = l + 1 < self.layers.len();
            x = if self.fused {
                let z = x.apply_op2(layer, Product::Forward { first: l == 0 })?;
                if hidden { z.apply_op1(Activate(self.activation))? } else { z }
            } else {
                let z = x.matmul(layer)?;
                if hidden { activate(self.activation, &z)? } else { z }
            };
        }
        Ok(x)
    }

    /// The gradient of sum(`seeds` * `outputs`) with respect to all parameters, in the order of [`Mlp::parameters`].
    ///
    /// # Errors
    /// If the device fails, for example for lack of memory.
    pub fn gradient(&self, outputs: &Tensor, seeds: Vec<f32>) -> Result<Vec<f32>> {
        let seeds = Tensor::from_vec(seeds, outputs.shape(), outputs.device())?;
        let gradients = (outputs * seeds)?.sum_all()?.backward()?;
        let mut all = Vec::new();
        for (layer, w) in self.layers.iter().zip(self.widths.windows(2)) {
            let Some(gradient) = gradients.get(layer) else { bail!("a layer has no gradient") };
            let rows = gradient.flatten_all()?.to_vec1::<f32>()?;
            let (weight, bias) = rows.split_at(w[0] * w[1]);
            all.extend(transposed(weight, w[0], w[1]));
            all.extend_from_slice(bias);
        }
        Ok(all)
    }
}

/// The matrix of inputs of [`TangentNet::forward`]: `points` rows of scaled inputs, whose derivative in time is
/// `rate`, the same for all points.
///
/// # Errors
/// If the device fails, for example for lack of memory.
pub fn inputs(scaled: &[f32], rate: &[f32], device: &Device) -> Result<Tensor> {
    let points = scaled.len() / rate.len();
    let mut rows = Vec::with_capacity(2 * points * (rate.len() + 1));
    for row in scaled.chunks_exact(rate.len()) {
        rows.extend_from_slice(row);
        rows.push(1.0);
    }
    for _ in 0..points {
        rows.extend_from_slice(rate);
        rows.push(0.0);
    }
    Tensor::from_vec(rows, (2 * points, rate.len() + 1), device)
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| matrix[r * columns + c])).collect()
}

/// [`Activate`] by candle's own operations, for devices other than the CPU.
fn activate(activation: Activation, z: &Tensor) -> Result<Tensor> {
    let points = z.dim(0)? / 2;
    let (value, tangent) = (z.narrow(0, 0, points)?, z.narrow(0, points, points)?);
    let (value, slope) = match activation {
        Activation::Tanh => {
            let a = value.tanh()?;
            let slope = a.sqr()?.affine(-1.0, 1.0)?;
            (a, slope)
        }
    };
    let tangent = (slope * tangent)?;
    let column = |v: f64| Tensor::full(v as f32, (points, 1), z.device());
    let value = Tensor::cat(&[&value, &column(1.0)?], 1)?;
    let tangent = Tensor::cat(&[&tangent, &column(0.0)?], 1)?;
    Tensor::cat(&[&value, &tangent], 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::mlp::Direction;
    use crate::bundle::mlp::Tape;
    use crate::host::random::{Purpose, Random};

    const POINTS: usize = 7;
    const RATE: [f32; 3] = [0.1, 0.0, 0.0];

    fn setting() -> (Mlp, Vec<f32>, Vec<f32>) {
        let mut mlp = Mlp::random(&[3, 9, 6, 2], Activation::Tanh, 0.1, 5);
        mlp.parameters.iter_mut().for_each(|p| *p = f64::from(*p as f32));
        let mut random = Random::new(2, Purpose::HeldOut, 0);
        let scaled = (0..3 * POINTS).map(|_| (2.0 * random.uniform() - 1.0) as f32).collect();
        let parameters = mlp.parameters.iter().map(|p| *p as f32).collect();
        (mlp, parameters, scaled)
    }

    fn outputs(mlp: &Mlp, parameters: &[f32], scaled: &[f32], fused: bool) -> (TangentNet, Tensor) {
        let mut net = TangentNet::new(mlp, parameters, &Device::Cpu).unwrap();
        net.fused = fused;
        let out = net.forward(&inputs(scaled, &RATE, &Device::Cpu).unwrap()).unwrap();
        (net, out)
    }

    #[test]
    fn value_and_tangent_are_the_f64_networks() {
        let (mlp, parameters, scaled) = setting();
        let (_, out) = outputs(&mlp, &parameters, &scaled, true);
        let by_unit: Vec<f64> =
            (0..3).flat_map(|i| (0..POINTS).map(move |b| (i, b))).map(|(i, b)| f64::from(scaled[b * 3 + i])).collect();
        let mut tape = Tape::default();
        mlp.forward(&by_unit, Direction::Common(&RATE.map(f64::from)), &mut tape);
        let out = out.to_vec2::<f32>().unwrap();
        for (b, o) in (0..POINTS).flat_map(|b| [(b, 0), (b, 1)]) {
            assert!((f64::from(out[b][o]) - tape.value()[o * POINTS + b]).abs() < 2e-6);
            assert!((f64::from(out[POINTS + b][o]) - tape.tangent()[o * POINTS + b]).abs() < 2e-6);
        }
    }

    #[test]
    fn tangent_is_the_finite_difference_in_time() {
        let (mlp, parameters, scaled) = setting();
        let moved = |dt: f32| -> Vec<Vec<f32>> {
            let mut moved = scaled.clone();
            moved.iter_mut().step_by(3).for_each(|u| *u += RATE[0] * dt);
            outputs(&mlp, &parameters, &moved, true).1.to_vec2().unwrap()
        };
        let (ahead, behind, here, h) = (moved(0.5), moved(-0.5), moved(0.0), 1.0);
        for b in 0..POINTS {
            for o in 0..2 {
                let difference = (ahead[b][o] - behind[b][o]) / h;
                assert!((difference - here[POINTS + b][o]).abs() < 1e-3, "{difference} {}", here[POINTS + b][o]);
            }
        }
    }

    #[test]
    fn the_gradient_is_the_f64_adjoint_by_fused_and_by_composed_operations() {
        let (mlp, parameters, scaled) = setting();
        let seeds: Vec<f32> = (0..2 * POINTS * 2).map(|k| (k as f32 * 0.7).sin()).collect();
        let functional = |parameters: &[f64]| -> f64 {
            let mlp = Mlp { parameters: parameters.to_vec(), ..mlp.clone() };
            let by_unit: Vec<f64> =
                (0..3).flat_map(|i| scaled.iter().skip(i).step_by(3)).map(|v| f64::from(*v)).collect();
            let mut tape = Tape::default();
            mlp.forward(&by_unit, Direction::Common(&RATE.map(f64::from)), &mut tape);
            let at = |b: usize, o: usize| {
                f64::from(seeds[b * 2 + o]) * tape.value()[o * POINTS + b]
                    + f64::from(seeds[(POINTS + b) * 2 + o]) * tape.tangent()[o * POINTS + b]
            };
            (0..POINTS).map(|b| at(b, 0) + at(b, 1)).sum()
        };
        for fused in [true, false] {
            let (net, out) = outputs(&mlp, &parameters, &scaled, fused);
            let gradient = net.gradient(&out, seeds.clone()).unwrap();
            assert_eq!(gradient.len(), mlp.parameters.len());
            for (p, g) in gradient.iter().enumerate() {
                let (mut up, mut down, h) = (mlp.parameters.clone(), mlp.parameters.clone(), 1e-5);
                up[p] += h;
                down[p] -= h;
                let difference = (functional(&up) - functional(&down)) / (2.0 * h);
                assert!((difference - f64::from(*g)).abs() < 1e-5, "fused {fused}, parameter {p}: {difference} {g}");
            }
        }
    }

    /// On a machine with a GPU.
    #[cfg(feature = "cuda")]
    #[test]
    fn a_gpu_gives_the_same_gradient() {
        let (mlp, parameters, scaled) = setting();
        let seeds: Vec<f32> = (0..2 * POINTS * 2).map(|k| (k as f32 * 0.7).sin()).collect();
        let gradient = |device: &Device| {
            let net = TangentNet::new(&mlp, &parameters, device).unwrap();
            let out = net.forward(&inputs(&scaled, &RATE, device).unwrap()).unwrap();
            net.gradient(&out, seeds.clone()).unwrap()
        };
        let (ours, theirs) = (gradient(&Device::Cpu), gradient(&Device::new_cuda(0).unwrap()));
        assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-4), "{ours:?} {theirs:?}");
    }
}

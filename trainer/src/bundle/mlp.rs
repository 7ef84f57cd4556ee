//! The multilayer perceptron in f64, with its tangent in time and the adjoint of both.
//!
//! Layer l maps a (width n_l) to phi(W a + b), the last one without phi. The tangent a' = da/dt travels with the
//! value: z' = W a', a' <- phi'(z) z'. The adjoint pulls seeds (v, w) on the network's value and tangent outputs back
//! to d(v . NN + w . NN') / d(parameters): one row of a residual's Jacobian per point.
//!
//! Batches are stored unit by unit, `[unit][point]`, so every inner loop runs over points and vectorizes.

use crate::bundle::tanh::tanh;
use crate::host::random::{Purpose, Random};
pub use sirocco::layer::activation::Activation;
use std::ops::Range;

/// (phi, phi', phi'') at `z`.
#[inline(always)]
fn with_derivatives(activation: Activation, z: f64) -> (f64, f64, f64) {
    match activation {
        Activation::Tanh => {
            let a = tanh(z);
            let slope = 1.0 - a * a;
            (a, slope, -2.0 * a * slope)
        }
    }
}

/// A multilayer perceptron. `parameters` hold, layer by layer, the weights row-major `[out, in]`, then the biases.
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    /// Widths from input to output.
    pub widths: Vec<usize>,
    /// Activation of the hidden layers; the output layer is linear.
    pub activation: Activation,
    /// All weights and biases.
    pub parameters: Vec<f64>,
}

/// One dense layer of an [`Mlp`].
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// Weights, row-major `[outputs, inputs]`.
    pub weight: &'a [f64],
    /// Biases, `[outputs]`.
    pub bias: &'a [f64],
    /// Width of the layer's input.
    pub inputs: usize,
    /// Width of the layer's output.
    pub outputs: usize,
}

/// The affine function that replaces an old input: slope * (new input `from`) + offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Substitution {
    /// The new input; `None` for a constant.
    pub from: Option<usize>,
    /// Factor of the new input.
    pub slope: f64,
    /// Constant part.
    pub offset: f64,
}

/// The derivative of a network's inputs along which tangents are taken.
#[derive(Debug, Clone, Copy)]
pub enum Direction<'a> {
    /// The same at all points: one number per input.
    Common(&'a [f64]),
    /// Its own at each point, `[input][point]`.
    Each(&'a [f64]),
}

/// Number of parameters of a network with these widths.
pub fn parameter_count(widths: &[usize]) -> usize {
    widths.windows(2).map(|w| (w[0] + 1) * w[1]).sum()
}

impl Mlp {
    /// Random first weights: N(0, 1/fan_in), hidden biases U(-1, 1), the last layer's weights * 0.3 and its biases
    /// all `last_bias` (zero, or +1 to +2 for the reduced form: see [`crate::bundle::problem::Problem::last_bias`]).
    pub fn random(widths: &[usize], activation: Activation, last_bias: f64, seed: u64) -> Self {
        let mut random = Random::new(seed, Purpose::Weights, 0);
        let mut parameters = Vec::with_capacity(parameter_count(widths));
        let last = widths.len().saturating_sub(2);
        for (l, w) in widths.windows(2).enumerate() {
            let scale = (1.0 / w[0] as f64).sqrt() * if l == last { 0.3 } else { 1.0 };
            parameters.extend((0..w[0] * w[1]).map(|_| scale * random.normal()));
            parameters.extend((0..w[1]).map(|_| if l == last { last_bias } else { 2.0 * random.uniform() - 1.0 }));
        }
        Mlp { widths: widths.to_vec(), activation, parameters }
    }

    /// Number of dense layers.
    pub fn depth(&self) -> usize {
        self.widths.len() - 1
    }

    /// Multiplications of one evaluation without tangent.
    pub fn macs(&self) -> usize {
        self.widths.windows(2).map(|w| w[0] * w[1]).sum()
    }

    /// Largest magnitude of any parameter. Large ones lose accuracy in a file of f32.
    pub fn largest(&self) -> f64 {
        self.parameters.iter().fold(0.0, |m, p| p.abs().max(m))
    }

    /// The ranges of layer `l`'s weights and biases in `parameters`.
    pub fn ranges(&self, l: usize) -> (Range<usize>, Range<usize>) {
        let start = parameter_count(&self.widths[..=l]);
        let middle = start + self.widths[l] * self.widths[l + 1];
        (start..middle, middle..middle + self.widths[l + 1])
    }

    /// Layer `l`, counted from the input.
    pub fn layer(&self, l: usize) -> Layer<'_> {
        let (weight, bias) = self.ranges(l);
        Layer {
            weight: &self.parameters[weight],
            bias: &self.parameters[bias],
            inputs: self.widths[l],
            outputs: self.widths[l + 1],
        }
    }

    /// All layers from input to output.
    pub fn layers(&self) -> impl Iterator<Item = Layer<'_>> {
        (0..self.depth()).map(|l| self.layer(l))
    }

    /// The network at weights w - `share` * `step`.
    pub fn stepped(&self, step: &[f64], share: f64) -> Mlp {
        let parameters = self.parameters.iter().zip(step).map(|(w, d)| w - share * d).collect();
        Mlp { widths: self.widths.clone(), activation: self.activation, parameters }
    }

    /// The same function after its inputs are replaced: old input i becomes the affine function `old[i]` of one of
    /// `inputs` new inputs. `W'[o, from] += W[o, i] slope`; `b'[o] += W[o, i] offset`.
    pub fn substitute_inputs(&self, inputs: usize, old: &[Substitution]) -> Mlp {
        let first = self.layer(0);
        let mut weight = vec![0.0; first.outputs * inputs];
        let mut bias = first.bias.to_vec();
        for o in 0..first.outputs {
            for (w, s) in first.weight[o * first.inputs..].iter().zip(old) {
                if let Some(from) = s.from {
                    weight[o * inputs + from] += w * s.slope;
                }
                bias[o] += w * s.offset;
            }
        }
        let rest = &self.parameters[self.ranges(0).1.end..];
        let mut widths = self.widths.clone();
        widths[0] = inputs;
        Mlp { widths, activation: self.activation, parameters: [&weight, &bias, rest].concat() }
    }

    /// Value and tangent of all layers on a batch; the outputs are [`Tape::value`] and [`Tape::tangent`].
    ///
    /// `inputs` is `[input][point]`.
    pub fn forward(&self, inputs: &[f64], direction: Direction<'_>, tape: &mut Tape) {
        pulp::Arch::new().dispatch(Forward { mlp: self, inputs, direction, tape });
    }

    /// The Jacobian of seed_v . NN + seed_w . NN' after [`Mlp::forward`] on the same batch.
    pub fn adjoint(&self, inputs: &[f64], direction: Direction<'_>, tape: &mut Tape, seeds: Seeds<'_>, rows: Rows<'_>) {
        pulp::Arch::new().dispatch(Adjoint { mlp: self, inputs, direction, tape, seeds, rows });
    }
}

/// Adjoints of the network's outputs, each `[output][point]`.
#[derive(Debug, Clone, Copy)]
pub struct Seeds<'a> {
    /// Of the values.
    pub value: &'a [f64],
    /// Of the tangents.
    pub tangent: &'a [f64],
}

/// Where an adjoint writes: parameter p at point b goes to `jacobian[p * stride + first + b]`.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The Jacobian, parameters are columns.
    pub jacobian: &'a mut [f64],
    /// Length of a column.
    pub stride: usize,
    /// The first point's row.
    pub first: usize,
}

/// [`Mlp::forward`], compiled once for each instruction set and chosen at run time. The loops hold no reductions and
/// fuse nothing, so the bits are the same on all of them.
struct Forward<'a> {
    mlp: &'a Mlp,
    inputs: &'a [f64],
    direction: Direction<'a>,
    tape: &'a mut Tape,
}

impl pulp::WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Forward { mlp, inputs, direction, tape } = self;
        let points = inputs.len() / mlp.widths[0];
        tape.resize(&mlp.widths, points);
        for (l, layer) in mlp.layers().enumerate() {
            let (before, rest) = tape.layers.split_at_mut(l);
            let step = &mut rest[0];
            match before.last() {
                None => first_layer(&layer, inputs, direction, step, points),
                Some(previous) => {
                    affine(&layer, &previous.value, Some(layer.bias), &mut step.value, points);
                    affine(&layer, &previous.tangent, None, &mut step.tangent, points);
                }
            }
            if l + 1 < mlp.depth() {
                step.activate(mlp.activation);
            }
        }
    }
}

/// [`Mlp::adjoint`], compiled likewise.
struct Adjoint<'a> {
    mlp: &'a Mlp,
    inputs: &'a [f64],
    direction: Direction<'a>,
    tape: &'a mut Tape,
    seeds: Seeds<'a>,
    rows: Rows<'a>,
}

impl pulp::WithSimd for Adjoint<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Adjoint { mlp, inputs, direction, tape, seeds, rows: Rows { jacobian, stride, first } } = self;
        let points = inputs.len() / mlp.widths[0];
        let Tape { layers, adjoint, next, .. } = tape;
        adjoint.value[..seeds.value.len()].copy_from_slice(seeds.value);
        adjoint.tangent[..seeds.tangent.len()].copy_from_slice(seeds.tangent);
        for l in (0..mlp.depth()).rev() {
            let layer = mlp.layer(l);
            if l + 1 < mlp.depth() {
                layers[l].pull_back(adjoint);
            }
            let (weight, bias) = mlp.ranges(l);
            for o in 0..layer.outputs {
                let zv = &adjoint.value[o * points..][..points];
                let zt = &adjoint.tangent[o * points..][..points];
                for i in 0..layer.inputs {
                    let column = (weight.start + o * layer.inputs + i) * stride + first;
                    let column = &mut jacobian[column..][..points];
                    let before = l.checked_sub(1).map(|l| &layers[l]);
                    let a = &before.map_or(inputs, |step| &step.value)[i * points..][..points];
                    let t = match (before, direction) {
                        (None, Direction::Common(rates)) => {
                            for b in 0..points {
                                column[b] = zv[b] * a[b] + zt[b] * rates[i];
                            }
                            continue;
                        }
                        (None, Direction::Each(rates)) => &rates[i * points..][..points],
                        (Some(step), _) => &step.tangent[i * points..][..points],
                    };
                    for b in 0..points {
                        column[b] = zv[b] * a[b] + zt[b] * t[b];
                    }
                }
                jacobian[(bias.start + o) * stride + first..][..points].copy_from_slice(zv);
            }
            if l > 0 {
                transposed(&layer, &adjoint.value, &mut next.value, points);
                transposed(&layer, &adjoint.tangent, &mut next.tangent, points);
                std::mem::swap(adjoint, next);
            }
        }
    }
}

/// The intermediate results of a forward pass, which the adjoint needs. Reused from batch to batch.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    layers: Vec<Step>,
    adjoint: Pair,
    next: Pair,
    outputs: usize,
    points: usize,
}

/// A value and its tangent (or their adjoints), each `[unit][point]`.
#[derive(Debug, Clone, Default)]
struct Pair {
    value: Vec<f64>,
    tangent: Vec<f64>,
}

/// One layer's outputs and the derivatives that its pull-back needs, each `[unit][point]`.
#[derive(Debug, Clone, Default)]
struct Step {
    value: Vec<f64>,
    tangent: Vec<f64>,
    /// phi'(z).
    slope: Vec<f64>,
    /// phi''(z) z'.
    bend: Vec<f64>,
}

impl Tape {
    /// The network's outputs, `[output][point]`.
    pub fn value(&self) -> &[f64] {
        self.layers.last().map_or(&[], |s| &s.value[..self.outputs * self.points])
    }

    /// Their derivatives in time, `[output][point]`.
    pub fn tangent(&self) -> &[f64] {
        self.layers.last().map_or(&[], |s| &s.tangent[..self.outputs * self.points])
    }

    fn resize(&mut self, widths: &[usize], points: usize) {
        self.points = points;
        self.outputs = widths.last().copied().unwrap_or(0);
        self.layers.resize(widths.len() - 1, Step::default());
        for (step, width) in self.layers.iter_mut().zip(&widths[1..]) {
            for part in [&mut step.value, &mut step.tangent, &mut step.slope, &mut step.bend] {
                part.resize(width * points, 0.0);
            }
        }
        let widest = widths[1..].iter().max().map_or(0, |w| w * points);
        for pair in [&mut self.adjoint, &mut self.next] {
            pair.value.resize(widest.max(pair.value.len()), 0.0);
            pair.tangent.resize(widest.max(pair.tangent.len()), 0.0);
        }
    }
}

impl Step {
    /// z and z' become phi(z) and phi'(z) z'.
    #[inline(always)]
    fn activate(&mut self, activation: Activation) {
        let Step { value, tangent, slope, bend } = self;
        for (((v, t), s), c) in value.iter_mut().zip(tangent).zip(slope).zip(bend) {
            let (a, first, second) = with_derivatives(activation, *v);
            *v = a;
            *s = first;
            *c = second * *t;
            *t *= first;
        }
    }

    /// Adjoints of (phi(z), phi'(z) z') become those of (z, z').
    #[inline(always)]
    fn pull_back(&self, adjoint: &mut Pair) {
        for (((v, t), s), c) in adjoint.value.iter_mut().zip(&mut adjoint.tangent).zip(&self.slope).zip(&self.bend) {
            *v = *v * s + *t * c;
            *t *= s;
        }
    }
}

/// The first layer: along a common direction, z' is constant over the batch.
#[inline(always)]
fn first_layer(layer: &Layer<'_>, inputs: &[f64], direction: Direction<'_>, step: &mut Step, points: usize) {
    affine(layer, inputs, Some(layer.bias), &mut step.value, points);
    match direction {
        Direction::Common(rates) => {
            for (row, out) in layer.weight.chunks_exact(layer.inputs).zip(step.tangent.chunks_exact_mut(points)) {
                out.fill(row.iter().zip(rates).map(|(w, t)| w * t).sum());
            }
        }
        Direction::Each(rates) => affine(layer, rates, None, &mut step.tangent, points),
    }
}

/// `out[o][b] = sum_i W[o, i] a[i][b] (+ bias[o])`.
#[inline(always)]
fn affine(layer: &Layer<'_>, a: &[f64], bias: Option<&[f64]>, out: &mut [f64], points: usize) {
    for (o, (row, out)) in layer.weight.chunks_exact(layer.inputs).zip(out.chunks_exact_mut(points)).enumerate() {
        out.fill(bias.map_or(0.0, |b| b[o]));
        for (w, a) in row.iter().zip(a.chunks_exact(points)) {
            for (y, x) in out.iter_mut().zip(a) {
                *y += w * x;
            }
        }
    }
}

/// `out[i][b] = sum_o W[o, i] a[o][b]`.
#[inline(always)]
fn transposed(layer: &Layer<'_>, a: &[f64], out: &mut [f64], points: usize) {
    for (i, out) in out.chunks_exact_mut(points).take(layer.inputs).enumerate() {
        out.fill(0.0);
        for (row, a) in layer.weight.chunks_exact(layer.inputs).zip(a.chunks_exact(points)) {
            for (y, x) in out.iter_mut().zip(a) {
                *y += row[i] * x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: usize = 5;

    fn setting() -> (Mlp, Vec<f64>, Vec<f64>) {
        let mlp = Mlp::random(&[3, 6, 4, 2], Activation::Tanh, 0.1, 3);
        let mut random = Random::new(1, Purpose::HeldOut, 0);
        let inputs = (0..3 * POINTS).map(|_| 2.0 * random.uniform() - 1.0).collect();
        (mlp, inputs, vec![0.1, 0.0, 0.0])
    }

    #[test]
    fn tangent_is_the_derivative_in_time() {
        let (mlp, inputs, rate) = setting();
        let (mut tape, h) = (Tape::default(), 1e-6);
        let mut value_at = |dt: f64| {
            let mut moved = inputs.clone();
            moved[..POINTS].iter_mut().for_each(|u| *u += rate[0] * dt);
            mlp.forward(&moved, Direction::Common(&rate), &mut tape);
            (tape.value().to_vec(), tape.tangent().to_vec())
        };
        let (ahead, behind, here) = (value_at(h).0, value_at(-h).0, value_at(0.0).1);
        for ((a, b), t) in ahead.iter().zip(behind).zip(here) {
            assert!(((a - b) / (2.0 * h) - t).abs() < 1e-9);
        }
    }

    #[test]
    fn adjoint_matches_finite_differences() {
        let (mlp, inputs, rate) = setting();
        let seeds: Vec<f64> = (0..4 * POINTS).map(|i| (i as f64 * 0.7).sin()).collect();
        let (sv, st) = seeds.split_at(2 * POINTS);
        let functional = |mlp: &Mlp| -> Vec<f64> {
            let mut tape = Tape::default();
            mlp.forward(&inputs, Direction::Common(&rate), &mut tape);
            let at = |o: usize, b: usize| {
                let k = o * POINTS + b;
                sv[k] * tape.value()[k] + st[k] * tape.tangent()[k]
            };
            (0..POINTS).map(|b| at(0, b) + at(1, b)).collect()
        };
        let n = mlp.parameters.len();
        let stride = POINTS + 2;
        let mut jacobian = vec![0.0; n * stride];
        let mut tape = Tape::default();
        mlp.forward(&inputs, Direction::Common(&rate), &mut tape);
        let rows = Rows { jacobian: &mut jacobian, stride, first: 2 };
        mlp.adjoint(&inputs, Direction::Common(&rate), &mut tape, Seeds { value: sv, tangent: st }, rows);
        for p in 0..n {
            let (mut up, mut down, h) = (mlp.clone(), mlp.clone(), 1e-6);
            up.parameters[p] += h;
            down.parameters[p] -= h;
            for (b, (u, d)) in functional(&up).iter().zip(functional(&down)).enumerate() {
                let row = jacobian[p * stride + 2 + b];
                assert!(((u - d) / (2.0 * h) - row).abs() < 1e-8, "parameter {p}, point {b}");
            }
        }
    }
}

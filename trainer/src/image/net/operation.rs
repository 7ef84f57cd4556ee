//! The operations of image networks on candle tensors: our [`kernel`](super::kernel)s on the CPU, candle's own
//! elsewhere, with the same results to rounding.

use super::kernel::conv::{Conv, Direction};
use super::kernel::norm::{EPSILON, Moments, Norm};
use super::kernel::pool::{Kind, Pool};
use super::kernel::{dense, loss, sum_of, through_relu};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, bail};
use sirocco::layer::shape::Geometry;
use std::ops::{Deref, Range};

/// The numbers of a contiguous tensor on the CPU, borrowed.
struct Reading<G>(G, Range<usize>);

fn read(tensor: &Tensor) -> Result<Reading<impl Deref<Target = Storage> + '_>> {
    let (storage, layout) = tensor.storage_and_layout();
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(Reading(storage, from..to)),
        None => bail!("the tensor is not contiguous"),
    }
}

impl<G: Deref<Target = Storage>> Reading<G> {
    fn get(&self) -> Result<&[f32]> {
        match &*self.0 {
            Storage::Cpu(storage) => Ok(&storage.as_slice::<f32>()?[self.1.clone()]),
            _ => bail!("the tensor is not on the CPU"),
        }
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("the tensor is not contiguous"),
    }
}

fn tensor(values: Vec<f32>, shape: &Shape) -> Result<Tensor> {
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// The gradient before a ReLU, if there is one, contiguous.
fn before_relu(gradient: &Tensor, y: &Tensor, relu: bool) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    if !relu {
        return Ok(gradient);
    }
    let masked = through_relu(read(&gradient)?.get()?, read(y)?.get()?);
    tensor(masked, y.shape())
}

struct Convolution {
    conv: Conv,
    direction: Direction,
    relu: bool,
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (slice(x, x_layout)?, slice(w, w_layout)?, slice(b, b_layout)?);
        let out = self.conv.apply(self.direction, x, w, b, self.relu);
        let to = self.conv.output_shape(self.direction);
        Ok((CpuStorage::F32(out), (x_layout.dim(0)?, to.channels, to.height, to.width).into()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Gradients3> {
        let gradient = before_relu(gradient, y, self.relu)?;
        let of_input = x.track_op();
        let (x_, w_, g_) = (read(x)?, read(w)?, read(&gradient)?);
        let found = self.conv.gradients(self.direction, x_.get()?, w_.get()?, g_.get()?, of_input);
        let by_input = if of_input { Some(tensor(found.input, x.shape())?) } else { None };
        Ok((by_input, Some(tensor(found.weight, w.shape())?), Some(tensor(found.bias, b.shape())?)))
    }
}

type Gradients3 = (Option<Tensor>, Option<Tensor>, Option<Tensor>);

/// Convolution of `x [n, c, h, w]`, with bias and perhaps ReLU; `w [filters, c, kh, kw]`.
pub fn convolution(x: &Tensor, w: &Tensor, b: &Tensor, geometry: &Geometry, relu: bool) -> Result<Tensor> {
    if x.device().is_cpu() {
        let (conv, direction) = (Conv(*geometry), Direction::Forward);
        return x.contiguous()?.apply_op3(w, b, Convolution { conv, direction, relu });
    }
    let ([above, left], [below, right]) = (geometry.window.padding, geometry.window.after);
    let padded = x.pad_with_zeros(2, above, below)?.pad_with_zeros(3, left, right)?;
    let y = padded.conv2d(w, 0, geometry.window.stride[0], 1, 1)?;
    with_bias(&y, b, relu)
}

/// Transposed convolution of `x [n, filters, oh, ow]` to the input's shape of the convolution `geometry`, with a bias for
/// each of its channels and perhaps ReLU; `w [filters, c, kh, kw]`.
pub fn transposed_convolution(x: &Tensor, w: &Tensor, b: &Tensor, geometry: &Geometry, relu: bool) -> Result<Tensor> {
    if x.device().is_cpu() {
        let (conv, direction) = (Conv(*geometry), Direction::Adjoint);
        return x.contiguous()?.apply_op3(w, b, Convolution { conv, direction, relu });
    }
    let (window, rows) = (geometry.window, geometry.input.height);
    let whole = (geometry.output.height - 1) * window.stride[0] + window.kernel[0] - 2 * window.padding[0];
    let y = x.conv_transpose2d(w, window.padding[0], rows - whole, window.stride[0], 1)?;
    with_bias(&y, b, relu)
}

/// `y [n, c, h, w]` with the bias of every channel, perhaps after ReLU.
fn with_bias(y: &Tensor, b: &Tensor, relu: bool) -> Result<Tensor> {
    let y = y.broadcast_add(&b.reshape((1, b.elem_count(), 1, 1))?)?;
    if relu { y.relu() } else { Ok(y) }
}

struct Dense {
    relu: bool,
}

impl CustomOp3 for Dense {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((n, inputs), (outputs, width)) = (x_layout.shape().dims2()?, w_layout.shape().dims2()?);
        if inputs != width {
            bail!("a dense layer of {width} inputs was given {inputs}")
        }
        let out = dense::forward(slice(x, x_layout)?, slice(w, w_layout)?, slice(b, b_layout)?, self.relu);
        Ok((CpuStorage::F32(out), (n, outputs).into()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, b: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Gradients3> {
        let gradient = before_relu(gradient, y, self.relu)?;
        let of_input = x.track_op();
        let (x_, w_, g_) = (read(x)?, read(w)?, read(&gradient)?);
        let [by_x, by_w, by_b] = dense::backward(x_.get()?, w_.get()?, g_.get()?, w.dim(0)?, of_input);
        let by_x = if of_input { Some(tensor(by_x, x.shape())?) } else { None };
        Ok((by_x, Some(tensor(by_w, w.shape())?), Some(tensor(by_b, b.shape())?)))
    }
}

/// Dense layer on `x [n, in]`, perhaps with ReLU.
pub fn dense(x: &Tensor, w: &Tensor, b: &Tensor, relu: bool) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op3(w, b, Dense { relu });
    }
    let y = x.matmul(&w.t()?)?.broadcast_add(b)?;
    if relu { y.relu() } else { Ok(y) }
}

struct Normalization {
    norm: Norm,
    moments: Moments,
    own: bool,
}

impl CustomOp3 for Normalization {
    fn name(&self) -> &'static str {
        "batch-normalization"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gain: &CpuStorage,
        gain_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gain, shift) = (slice(gain, gain_layout)?, slice(shift, shift_layout)?);
        let out = self.norm.forward(slice(x, x_layout)?, &self.moments, gain, shift);
        let (n, channels, height, width) = x_layout.shape().dims4()?;
        let [rows, columns] = self.norm.pool.map_or([height, width], |pool| pool.output());
        Ok((CpuStorage::F32(out), (n, channels, rows, columns).into()))
    }

    fn bwd(&self, x: &Tensor, gain: &Tensor, shift: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Gradients3> {
        let gradient = gradient.contiguous()?;
        let (x_, y_, g_) = (read(x)?, read(y)?, read(&gradient)?);
        let (gain_, shift_) = (read(gain)?, read(shift)?);
        let (values, lines) = ([x_.get()?, y_.get()?, g_.get()?], [gain_.get()?, shift_.get()?]);
        let [by_x, by_gain, by_shift] = self.norm.backward(values, &self.moments, lines, self.own);
        let by_x = tensor(by_x, x.shape())?;
        Ok((Some(by_x), Some(tensor(by_gain, gain.shape())?), Some(tensor(by_shift, gain.shape())?)))
    }
}

/// Mean and variance of every channel of `x [n, c, h, w]`.
pub fn moments(x: &Tensor) -> Result<Moments> {
    let (_, channels, height, width) = x.dims4()?;
    if x.device().is_cpu() {
        return Ok(Moments::of(read(x)?.get()?, channels, height * width));
    }
    let rows = x.transpose(0, 1)?.flatten_from(1)?;
    let mean = rows.mean_keepdim(1)?;
    let variance = rows.broadcast_sub(&mean)?.sqr()?.mean(1)?;
    Ok(Moments { mean: mean.flatten_all()?.to_vec1()?, variance: variance.to_vec1()? })
}

/// Batch normalization of `x [n, c, h, w]`, with the ReLU and the pooling that follow it, by `moments`: those of the batch if
/// `own`, else fixed ones.
pub fn normalization(
    x: &Tensor,
    gain: &Tensor,
    shift: &Tensor,
    moments: &Moments,
    own: bool,
    norm: &Norm,
) -> Result<Tensor> {
    let (_, channels, _, _) = x.dims4()?;
    if x.device().is_cpu() {
        return x.apply_op3(gain, shift, Normalization { norm: *norm, moments: moments.clone(), own });
    }
    let channel = |t: &Tensor| t.reshape((1, channels, 1, 1));
    let (mean, variance) = if own {
        let mean = x.mean_keepdim((0, 2, 3))?;
        let variance = x.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2, 3))?;
        (mean, variance)
    } else {
        let fixed = |values: &[f32]| Tensor::new(values, x.device()).and_then(|t| channel(&t));
        (fixed(&moments.mean)?, fixed(&moments.variance)?)
    };
    let root = (variance + f64::from(EPSILON))?.sqrt()?;
    let y = x.broadcast_sub(&mean)?.broadcast_div(&root)?;
    let y = y.broadcast_mul(&channel(gain)?)?.broadcast_add(&channel(shift)?)?;
    let y = if norm.relu { y.relu()? } else { y };
    norm.pool.map_or(Ok(y.clone()), |of| pool(&y, of))
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pooling"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, channels, _, _) = layout.shape().dims4()?;
        let [rows, columns] = self.output();
        Ok((CpuStorage::F32(self.forward(slice(x, layout)?)), (n, channels, rows, columns).into()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (x_, y_, g_) = (read(x)?, read(y)?, read(&gradient)?);
        Ok(Some(tensor(self.backward(x_.get()?, y_.get()?, g_.get()?), x.shape())?))
    }
}

/// Pooling of `x [n, c, h, w]`.
pub fn pool(x: &Tensor, pool: Pool) -> Result<Tensor> {
    match pool.kind {
        _ if x.device().is_cpu() => x.contiguous()?.apply_op1(pool),
        Kind::Max => max_of_windows(x, pool.size),
        Kind::Average => x.avg_pool2d(pool.size),
    }
}

/// The largest value of every window, from candle's own operations. (Its `max_pool2d` has a gradient that is too small by
/// the number of values in a window.)
pub fn max_of_windows(x: &Tensor, size: usize) -> Result<Tensor> {
    let (n, channels, height, width) = x.dims4()?;
    let (rows, columns) = (height / size, width / size);
    let whole = x.narrow(2, 0, rows * size)?.narrow(3, 0, columns * size)?.contiguous()?;
    whole.reshape((n * channels, rows, size, columns, size))?.max(4)?.max(2)?.reshape((n, channels, rows, columns))
}

/// max(0, a + b) of equal shapes.
struct AddRelu;

impl CustomOp2 for AddRelu {
    fn name(&self) -> &'static str {
        "add-relu"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sums = slice(a, a_layout)?.iter().zip(slice(b, b_layout)?).map(|(a, b)| (a + b).max(0.0));
        Ok((CpuStorage::F32(sums.collect()), a_layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = before_relu(gradient, y, true)?;
        Ok((Some(gradient.clone()), Some(gradient)))
    }
}

/// max(0, a + b) of equal shapes.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.device().is_cpu() { a.apply_op2(b, AddRelu) } else { (a + b)?.relu() }
}

struct CrossEntropy(Vec<u8>);

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "softmax-cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        let each = loss::cross_entropy(slice(logits, layout)?, &self.0, classes);
        let mean = each.iter().map(|l| f64::from(*l)).sum::<f64>() / each.len() as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, classes) = logits.dims2()?;
        let by_logits = loss::gradient(read(logits)?.get()?, &self.0, classes, gradient.to_scalar()?);
        Ok(Some(tensor(by_logits, logits.shape())?))
    }
}

/// Mean softmax cross-entropy of `logits [n, classes]`.
pub fn cross_entropy(logits: &Tensor, labels: &[u8]) -> Result<Tensor> {
    if logits.device().is_cpu() {
        return logits.contiguous()?.apply_op1(CrossEntropy(labels.to_vec()));
    }
    let wanted: Vec<u32> = labels.iter().map(|l| u32::from(*l)).collect();
    candle_nn::loss::cross_entropy(logits, &Tensor::new(wanted, logits.device())?)
}

struct SquaredError(Vec<f32>);

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

impl CustomOp1 for SquaredError {
    fn name(&self) -> &'static str {
        "sigmoid-squared-error"
    }

    fn cpu_fwd(&self, z: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let z = slice(z, layout)?;
        let mean = f64::from(sum_of(z, &self.0, |z, t| (sigmoid(z) - t) * (sigmoid(z) - t))) / z.len() as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), Shape::from(())))
    }

    fn bwd(&self, z: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let scale = 2.0 * gradient.to_scalar::<f32>()? / self.0.len() as f32;
        let slope = |(z, t): (&f32, &f32)| {
            let s = sigmoid(*z);
            scale * (s - t) * s * (1.0 - s)
        };
        Ok(Some(tensor(read(z)?.get()?.iter().zip(&self.0).map(slope).collect(), z.shape())?))
    }
}

/// Mean of (sigmoid(z) - target)^2.
pub fn squared_error(z: &Tensor, target: Vec<f32>) -> Result<Tensor> {
    if z.device().is_cpu() {
        return z.contiguous()?.apply_op1(SquaredError(target));
    }
    let target = Tensor::from_vec(target, z.shape(), z.device())?;
    candle_nn::loss::mse(&candle_nn::ops::sigmoid(z)?, &target)
}

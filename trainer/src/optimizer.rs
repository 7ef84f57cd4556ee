//! Adam and stochastic gradient descent with momentum, as [`candle_nn::Optimizer`]s.
//!
//! The moments lie beside the weights, on the weights' device. On the CPU a step changes weights and moments in place, in a
//! fixed order of operations, so that a resumed run repeats the unbroken one bit for bit. Elsewhere a step is composed of
//! candle's operations, and no weight, gradient or moment passes through the host.
//!
//! candle-nn's own `AdamW` does not give its moments away, which rules out checkpoints, and its `SGD` has no momentum.

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, Error, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var, bail};
use candle_nn::Optimizer;
use std::ops::Range;

/// Share of Adam's running mean that a step keeps.
const BETA_1: f32 = 0.9;
/// Share of Adam's running mean square that a step keeps.
const BETA_2: f32 = 0.999;
/// Keeps Adam from dividing by zero.
const EPSILON: f32 = 1e-8;
/// Share of SGD's velocity that a step keeps.
const MOMENTUM: f32 = 0.9;

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub learning: f64,
    /// Weight decay: every step first shrinks the weights by this times the learning rate.
    pub decay: f64,
}

impl Rates {
    /// The share by which a step shrinks the weights.
    fn decay(self) -> f32 {
        (self.learning * self.decay) as f32
    }
}

/// A variable and its running means, all of the same shape and on the same device.
#[derive(Debug)]
pub struct Weights<const N: usize> {
    /// What is trained.
    variable: Var,
    /// Running means.
    moments: [Tensor; N],
}

impl<const N: usize> Weights<N> {
    fn all(variables: Vec<Var>) -> Result<Vec<Self>> {
        let weights = |variable: Var| {
            let mut moments = Vec::new();
            for _ in 0..N {
                moments.push(variable.zeros_like()?);
            }
            let Ok(moments) = moments.try_into() else { bail!("there are {N} moments") };
            Ok(Weights { variable, moments })
        };
        variables.into_iter().map(weights).collect()
    }

    /// The running means, read from the device.
    ///
    /// # Errors
    /// If the device fails.
    pub fn moments(&self) -> Result<[Vec<f32>; N]> {
        let mut moments = [const { Vec::new() }; N];
        for (values, moment) in moments.iter_mut().zip(&self.moments) {
            *values = moment.flatten_all()?.to_vec1()?;
        }
        Ok(moments)
    }

    /// Goes on with other running means.
    ///
    /// # Errors
    /// If one has the wrong length, or the device fails.
    pub fn set_moments(&mut self, moments: [Vec<f32>; N]) -> Result<()> {
        for (moment, values) in self.moments.iter_mut().zip(moments) {
            *moment = Tensor::from_vec(values, self.variable.shape(), self.variable.device())?;
        }
        Ok(())
    }
}

/// Adam (Kingma and Ba 2015): the running mean of the gradient, and that of its square.
#[derive(Debug)]
pub struct Adam {
    /// The variables with their moments, in the order they were given in.
    pub weights: Vec<Weights<2>>,
    rates: Rates,
    steps: usize,
}

impl Adam {
    /// Goes on as if so many steps were done.
    pub fn set_steps(&mut self, steps: usize) {
        self.steps = steps;
    }

    /// One step along the gradients that `gradient` returns; variables without one stay as they are.
    ///
    /// # Errors
    /// If the device fails.
    pub fn step_along<'g>(&mut self, gradient: impl Fn(&Var) -> Option<&'g Tensor>) -> Result<()> {
        self.steps += 1;
        let update = AdamUpdate::new(self.rates, self.steps);
        for weights in &mut self.weights {
            match gradient(&weights.variable) {
                Some(gradient) if gradient.device().is_cpu() => update.apply(weights, gradient)?,
                Some(gradient) => update.compose(weights, gradient)?,
                None => {}
            }
        }
        Ok(())
    }
}

impl Optimizer for Adam {
    type Config = Rates;

    fn new(variables: Vec<Var>, rates: Rates) -> Result<Self> {
        Ok(Adam { weights: Weights::all(variables)?, rates, steps: 0 })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.step_along(|variable| gradients.get(variable))
    }

    fn learning_rate(&self) -> f64 {
        self.rates.learning
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.rates.learning = rate;
    }
}

/// The constants of one step of Adam. Both corrections of its moments are in the rate.
#[derive(Clone, Copy)]
struct AdamUpdate {
    rate: f32,
    epsilon: f32,
    decay: f32,
}

impl AdamUpdate {
    /// Of step number `step`; the first is 1.
    fn new(rates: Rates, step: usize) -> Self {
        let power = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
        AdamUpdate {
            rate: (rates.learning * power(BETA_2).sqrt() / power(BETA_1)) as f32,
            epsilon: EPSILON * power(BETA_2).sqrt() as f32,
            decay: rates.decay(),
        }
    }

    /// In place, on the CPU.
    fn apply(&self, Weights { variable, moments: [mean, square] }: &Weights<2>, gradient: &Tensor) -> Result<()> {
        let (AdamUpdate { rate, epsilon, .. }, gradient) = (*self, gradient.contiguous()?);
        mean.inplace_op2(&gradient, &Each(|m, g| BETA_1 * m + (1.0 - BETA_1) * g))?;
        square.inplace_op2(&gradient, &Each(|v, g| BETA_2 * v + (1.0 - BETA_2) * g * g))?;
        shrink(variable, self.decay)?;
        variable.inplace_op3(mean, square, &Each(move |w, m, v: f32| w - rate * m / (v.sqrt() + epsilon)))
    }

    /// The same to rounding, by candle's operations.
    fn compose(&self, weights: &mut Weights<2>, gradient: &Tensor) -> Result<()> {
        let Weights { variable, moments: [mean, square] } = weights;
        let blend =
            |moment: &Tensor, beta: f32, new: &Tensor| (moment * f64::from(beta))? + (new * f64::from(1.0 - beta))?;
        *mean = blend(mean, BETA_1, gradient)?;
        *square = blend(square, BETA_2, &gradient.sqr()?)?;
        let step = ((&*mean * f64::from(self.rate))? / (square.sqrt()? + f64::from(self.epsilon))?)?;
        move_by(variable, self.decay, &step)
    }
}

/// Stochastic gradient descent with momentum 0.9: the velocity is a running sum of the gradients.
#[derive(Debug)]
pub struct Sgd {
    /// The variables with their velocities, in the order they were given in.
    pub weights: Vec<Weights<1>>,
    rates: Rates,
}

impl Optimizer for Sgd {
    type Config = Rates;

    fn new(variables: Vec<Var>, rates: Rates) -> Result<Self> {
        Ok(Sgd { weights: Weights::all(variables)?, rates })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        for weights in &mut self.weights {
            match gradients.get(&weights.variable) {
                Some(gradient) if gradient.device().is_cpu() => sgd_apply(self.rates, weights, gradient)?,
                Some(gradient) => sgd_compose(self.rates, weights, gradient)?,
                None => {}
            }
        }
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.rates.learning
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.rates.learning = rate;
    }
}

/// A step of SGD in place, on the CPU.
fn sgd_apply(rates: Rates, weights: &Weights<1>, gradient: &Tensor) -> Result<()> {
    let (Weights { variable, moments: [velocity] }, rate) = (weights, rates.learning as f32);
    velocity.inplace_op2(&gradient.contiguous()?, &Each(|m, g| MOMENTUM * m + g))?;
    shrink(variable, rates.decay())?;
    variable.inplace_op2(velocity, &Each(move |w, m| w - rate * m))
}

/// The same to rounding, by candle's operations.
fn sgd_compose(rates: Rates, weights: &mut Weights<1>, gradient: &Tensor) -> Result<()> {
    let Weights { variable, moments: [velocity] } = weights;
    *velocity = ((&*velocity * f64::from(MOMENTUM))? + gradient)?;
    move_by(variable, rates.decay(), &(&*velocity * rates.learning)?)
}

/// Weight decay in place, on the CPU.
fn shrink(variable: &Var, decay: f32) -> Result<()> {
    if decay > 0.0 { variable.inplace_op1(&Each(move |w: f32| w - decay * w)) } else { Ok(()) }
}

/// Weight decay and a step, by candle's operations.
fn move_by(variable: &Var, decay: f32, step: &Tensor) -> Result<()> {
    let weights = variable.as_detached_tensor();
    let kept = if decay > 0.0 { (weights * f64::from(1.0 - decay))? } else { weights };
    variable.set(&(kept - step)?)
}

/// Takes `share` of the distance from a variable to `target` off it.
///
/// # Errors
/// If the device fails.
pub fn approach(variable: &Var, target: &Tensor, share: f64) -> Result<()> {
    if variable.device().is_cpu() {
        let share = share as f32;
        return variable.inplace_op2(target, &Each(move |v, t| v + share * (t - v)));
    }
    let far = (target - variable.as_detached_tensor())?;
    variable.set(&(variable.as_detached_tensor() + (far * share)?)?)
}

/// Whether all numbers of the variables are finite. One number leaves the device.
///
/// # Errors
/// If the device fails.
pub fn all_finite(variables: &[Var]) -> Result<bool> {
    let mut sum = None;
    for variable in variables {
        // Zero for numbers, NaN for infinities and NaN.
        let zero = (variable.as_detached_tensor() * 0.0)?.sum_all()?;
        sum = Some(match sum {
            None => zero,
            Some(sum) => (sum + zero)?,
        });
    }
    sum.map_or(Ok(true), |sum: Tensor| Ok(sum.to_scalar::<f32>()? == 0.0))
}

/// A new value for each number, from it and those beside it in other tensors: in place, on the CPU.
struct Each<F>(F);

impl<F: Fn(f32) -> f32> InplaceOp1 for Each<F> {
    fn name(&self) -> &'static str {
        "optimizer-1"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_layout: &Layout) -> Result<()> {
        for x in slice_mut(x, x_layout)? {
            *x = (self.0)(*x);
        }
        Ok(())
    }
}

impl<F: Fn(f32, f32) -> f32> InplaceOp2 for Each<F> {
    fn name(&self) -> &'static str {
        "optimizer-2"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, x_layout: &Layout, a: &CpuStorage, a_layout: &Layout) -> Result<()> {
        for (x, a) in slice_mut(x, x_layout)?.iter_mut().zip(slice(a, a_layout)?) {
            *x = (self.0)(*x, *a);
        }
        Ok(())
    }
}

impl<F: Fn(f32, f32, f32) -> f32> InplaceOp3 for Each<F> {
    fn name(&self) -> &'static str {
        "optimizer-3"
    }

    fn cpu_fwd(
        &self,
        x: &mut CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<()> {
        for ((x, a), b) in slice_mut(x, x_layout)?.iter_mut().zip(slice(a, a_layout)?).zip(slice(b, b_layout)?) {
            *x = (self.0)(*x, *a, *b);
        }
        Ok(())
    }
}

fn range(layout: &Layout) -> Result<Range<usize>> {
    layout.contiguous_offsets().map(|(from, to)| from..to).ok_or_else(|| Error::msg("the tensor is not contiguous"))
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    Ok(&storage.as_slice::<f32>()?[range(layout)?])
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[range(layout)?]),
        _ => bail!("the tensor is not f32"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::random::{Purpose, Random};
    use candle_core::Device;
    use candle_nn::{AdamW, ParamsAdamW};

    /// Two variables whose gradients depend on them.
    fn variables() -> Vec<Var> {
        let mut random = Random::new(1, Purpose::Weights, 0);
        let mut normal = |shape: &[usize]| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32).collect();
            Var::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        vec![normal(&[5, 3]), normal(&[3])]
    }

    fn loss(variables: &[Var]) -> Tensor {
        let shifted = variables[0].broadcast_sub(&variables[1]).unwrap();
        (shifted.sqr().unwrap().sum_all().unwrap() + variables[1].exp().unwrap().sum_all().unwrap()).unwrap()
    }

    fn values(variables: &[Var]) -> Vec<f32> {
        variables.iter().flat_map(|v| v.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    }

    fn farthest(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn adam_is_candles_without_decay() {
        let (ours, theirs) = (variables(), variables());
        let mut adam = Adam::new(ours.clone(), Rates { learning: 0.01, decay: 0.0 }).unwrap();
        let parameters = ParamsAdamW { lr: 0.01, weight_decay: 0.0, ..ParamsAdamW::default() };
        let mut oracle = AdamW::new(theirs.clone(), parameters).unwrap();
        for _ in 0..20 {
            adam.backward_step(&loss(&ours)).unwrap();
            oracle.backward_step(&loss(&theirs)).unwrap();
        }
        assert!(farthest(&values(&ours), &values(&variables())) > 0.1);
        assert!(farthest(&values(&ours), &values(&theirs)) < 1e-5);
    }

    #[test]
    fn sgd_keeps_its_velocity() {
        let weight = Var::new(&[1.0f32], &Device::Cpu).unwrap();
        let mut sgd = Sgd::new(vec![weight.clone()], Rates { learning: 0.5, decay: 0.0 }).unwrap();
        for expected in [0.5, -0.45, -1.805] {
            sgd.backward_step(&weight.sum_all().unwrap()).unwrap();
            assert!(farthest(&values(std::slice::from_ref(&weight)), &[expected]) < 1e-6);
        }
        assert!((sgd.weights[0].moments().unwrap()[0][0] - 2.71).abs() < 1e-6);
        let other = Var::new(&[2.0f32], &Device::Cpu).unwrap();
        let mut shrinking = Sgd::new(vec![other.clone()], Rates { learning: 0.5, decay: 0.1 }).unwrap();
        shrinking.backward_step(&other.sum_all().unwrap()).unwrap();
        assert!(farthest(&values(&[other]), &[2.0 - 0.1 - 0.5]) < 1e-6);
    }

    #[test]
    fn steps_in_place_are_those_of_candles_operations() {
        let rates = Rates { learning: 0.02, decay: 0.1 };
        let (in_place, composed) = (variables(), variables());
        let mut a = [Adam::new(in_place.clone(), rates).unwrap(), Adam::new(composed.clone(), rates).unwrap()];
        let mut b = [Sgd::new(in_place.clone(), rates).unwrap(), Sgd::new(composed.clone(), rates).unwrap()];
        for step in 1..=10 {
            a[0].backward_step(&loss(&in_place)).unwrap();
            b[0].backward_step(&loss(&in_place)).unwrap();
            let gradients = loss(&composed).backward().unwrap();
            for weights in &mut a[1].weights {
                let gradient = gradients.get(&weights.variable).unwrap();
                AdamUpdate::new(rates, step).compose(weights, gradient).unwrap();
            }
            let gradients = loss(&composed).backward().unwrap();
            for weights in &mut b[1].weights {
                sgd_compose(rates, weights, gradients.get(&weights.variable).unwrap()).unwrap();
            }
        }
        let distance = farthest(&values(&in_place), &values(&composed));
        assert!(distance < 1e-4, "{distance}");
    }

    #[test]
    fn numbers_that_are_not_finite_are_found() {
        let variables = variables();
        assert!(all_finite(&variables).unwrap() && all_finite(&[]).unwrap());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            variables[1].set(&Tensor::new(&[0.0, bad, 1.0], &Device::Cpu).unwrap()).unwrap();
            assert!(!all_finite(&variables).unwrap());
        }
    }
}

//! A number with its derivatives along N directions, to differentiate a solution by Runge-Kutta.

use crate::scalar::Scalar;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// value + sum_k slopes_k eps_k, with eps_j eps_k = 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Jet<const N: usize> {
    pub value: f32,
    pub slopes: [f32; N],
}

impl<const N: usize> Jet<N> {
    /// f(self), from f and f' at the value.
    fn chain(self, value: f32, slope: f32) -> Self {
        Jet { value, slopes: self.slopes.map(|s| s * slope) }
    }

    /// A jet of this value whose slopes are `a` times those of `self` plus `b` times those of `other`.
    fn blend(mut self, value: f32, a: f32, other: &Self, b: f32) -> Self {
        for (own, other) in self.slopes.iter_mut().zip(&other.slopes) {
            *own = *own * a + other * b;
        }
        Jet { value, slopes: self.slopes }
    }
}

impl<const N: usize> Add for Jet<N> {
    type Output = Self;
    fn add(mut self, o: Self) -> Self {
        self.slopes.iter_mut().zip(o.slopes).for_each(|(own, other)| *own += other);
        Jet { value: self.value + o.value, ..self }
    }
}
impl<const N: usize> Sub for Jet<N> {
    type Output = Self;
    fn sub(mut self, o: Self) -> Self {
        self.slopes.iter_mut().zip(o.slopes).for_each(|(own, other)| *own -= other);
        Jet { value: self.value - o.value, ..self }
    }
}
impl<const N: usize> Mul for Jet<N> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        self.blend(self.value * o.value, o.value, &o, self.value)
    }
}
impl<const N: usize> Div for Jet<N> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let value = self.value / o.value;
        let inverse = 1.0 / o.value;
        self.blend(value, inverse, &o, -(value * inverse))
    }
}
impl<const N: usize> Neg for Jet<N> {
    type Output = Self;
    fn neg(self) -> Self {
        self.chain(-self.value, -1.0)
    }
}
impl<const N: usize> Scalar for Jet<N> {
    fn constant(value: f64) -> Self {
        Jet { value: value as f32, slopes: [0.0; N] }
    }
    fn exp(self) -> Self {
        let value = Scalar::exp(self.value);
        self.chain(value, value)
    }
    fn sin(self) -> Self {
        self.chain(Scalar::sin(self.value), Scalar::cos(self.value))
    }
    fn cos(self) -> Self {
        self.chain(Scalar::cos(self.value), -Scalar::sin(self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::Dual;

    #[test]
    fn every_direction_is_a_dual_number() {
        fn f<S: Scalar>(x: S, y: S) -> S {
            (x * y).sin() / (x + S::one()) - (-(y * y)).exp() * x.cos()
        }
        let (x, y) = (0.7f32, 0.4f32);
        let jet = f(Jet { value: x, slopes: [1.0, 0.0] }, Jet { value: y, slopes: [0.0, 1.0] });
        let dual = |dx, dy| f(Dual { value: x, derivative: dx }, Dual { value: y, derivative: dy });
        assert_eq!(jet.value, dual(1.0, 0.0).value);
        assert!((jet.slopes[0] - dual(1.0, 0.0).derivative).abs() < 1e-6);
        assert!((jet.slopes[1] - dual(0.0, 1.0).derivative).abs() < 1e-6);
    }
}

//! Instructions of a bundle's answers in the middle of its domain, and of Runge-Kutta for the same problem.

use crate::count::Counter;
use crate::{Inner, calibration, outbreak};
use core::hint::black_box;
use semihosting::println;
use sirocco::bundle::{Bundle, Form, certificate};
use sirocco::fixed_point::Fixed;
use sirocco::layer::rows::RowLoops;
use sirocco::limits::MAX_QUANTITIES;
use sirocco::ode::Ode;
use sirocco::query::Query;
use sirocco::rk4;
use sirocco::scalar::Scalar;

/// Numbers of Runge-Kutta steps; its cost is linear in the number of steps.
const STEPS: [u32; 2] = [8, 24];

/// Counts and prints all of it.
pub fn count(bundle: &Bundle<'_>, counter: &Counter) {
    let Some(query) = bundle.probes(0).next() else { return };
    let input: [f32; MAX_QUANTITIES] = core::array::from_fn(|k| 0.1 * k as f32);
    let input = input.get(..bundle.inputs().len()).unwrap_or_default();
    let macs = bundle.network().macs();
    dense(counter);
    println!("bundle network {macs} {}", counter.mean(|| bundle.network().value(black_box(input))));
    println!("bundle state {macs} {}", counter.mean(|| bundle.state(black_box(&query))));
    if bundle.form() == Form::Phase
        && let Ok(solution) = bundle.solution(&query)
    {
        println!("bundle further {macs} {}", counter.mean(|| black_box(&solution).state(black_box(query.t))));
    }
    println!("bundle predict {} {}", 2 * macs, counter.mean(|| bundle.predict(black_box(&query))));
    // An epidemic is solved without the network.
    let evaluations = if bundle.ode() == Ode::Sir { 2 } else { 2 + 2 * (u32::from(certificate::STEPS) + 1) };
    println!("bundle certify {} {}", evaluations * macs, counter.mean(|| bundle.certify(black_box(&query))));
    if let Some(instructions) = calibration::median(bundle, counter) {
        println!("bundle calibrate 0 {instructions}");
    }
    if bundle.form() == Form::Phase
        && let Some(instructions) = outbreak::fit(bundle, counter)
    {
        println!("bundle outbreak 0 {instructions}");
    }
    // The system is a constant here, so the compiler can specialize the code: the best case for Runge-Kutta.
    if bundle.ode() == Ode::Sir {
        for steps in STEPS {
            let step = |q: &Query| q.t / steps as f32;
            println!("rk4 f32 {steps} {}", counter.mean(|| integrate(black_box(&query), |v| v, step, steps)));
            let wide = |q: &Query| f64::from(q.t) / f64::from(steps);
            println!("rk4 f64 {steps} {}", counter.mean(|| integrate(black_box(&query), f64::from, wide, steps)));
            let fixed = |q: &Query| Fixed::from_f32(q.t / steps as f32);
            println!(
                "rk4 fixed {steps} {}",
                counter.mean(|| integrate(black_box(&query), Fixed::from_f32, fixed, steps))
            );
        }
    }
}

/// The state at the query's time, computed in the number type `S`.
#[inline(always)]
fn integrate<S: Scalar>(query: &Query, number: impl Fn(f32) -> S, step: impl Fn(&Query) -> S, steps: u32) -> [S; 4] {
    let (initial, rates) = (query.initial.map(&number), query.rates.map(&number));
    rk4::integrate_by(Ode::Sir, &initial, &rates, step(query), steps)
}

/// The sums of a dense layer of 32 outputs and inputs.
fn dense(counter: &Counter) {
    const N: usize = 32;
    let weights = [0x0123_4567u32; N * N / 2];
    let x = [0x0456_0123u32; N / 2];
    let (bytes, halves, x): (&[i8], &[i16], &[i16]) =
        (bytemuck::cast_slice(&weights[..N * N / 4]), bytemuck::cast_slice(&weights), bytemuck::cast_slice(&x));
    let mut sums = [0; N];
    let i8s = counter.mean(|| Inner::rows_i8(black_box(bytes), black_box(x), black_box(&mut sums)));
    let i16s = counter.mean(|| Inner::rows_i16(black_box(halves), black_box(x), black_box(&mut sums)));
    println!("bundle dense-i8-32x32 {} {i8s}", N * N);
    println!("bundle dense-i16-32x32 {} {i16s}", N * N);
}

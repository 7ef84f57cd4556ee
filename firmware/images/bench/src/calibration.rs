//! What it costs to estimate all rates from ten noisy observations, over problems all over the domain.

use crate::count::Counter;
use crate::random::Random;
use sirocco::bundle::Bundle;
use sirocco::calibrate::{Free, Observation, Task, calibrate};
use sirocco::query::Query;

/// Problems; an odd number has a middle.
const PROBLEMS: usize = 61;
/// Observations of each, at even times over the whole horizon.
const OBSERVATIONS: u8 = 10;
/// Their standard deviation, which the calibration is told.
const SIGMA: f32 = 0.01;

/// The median of the instructions of a calibration; none if one has no answer.
pub fn median(bundle: &Bundle<'_>, counter: &Counter) -> Option<u32> {
    let names = bundle.ode().rate_names();
    let free = Free::of(bundle.ode(), names)?;
    let mut random = Random(0x9e37_79b9);
    let mut counts = [0; PROBLEMS];
    let inside = bundle.probes(1).filter(|query| bundle.in_domain(query));
    for (count, fixed) in counts.iter_mut().zip(inside) {
        let mut seen = [Observation { t: 0.0, component: 0, value: 0.0, sigma: SIGMA }; OBSERVATIONS as usize];
        for (k, observation) in (1..=OBSERVATIONS).zip(&mut seen) {
            *observation = observe(bundle, &fixed, k, &mut random)?;
        }
        let start = counter.now();
        let result = core::hint::black_box(calibrate(bundle, &seen, &Task { free, fixed, relative: false }));
        *count = counter.instructions(start, counter.now());
        result.ok()?;
    }
    counts.sort_unstable();
    counts.get(PROBLEMS / 2).copied()
}

/// Observation `k` of a problem: the components in turn, but for the first where the others say what it is.
fn observe(bundle: &Bundle<'_>, problem: &Query, k: u8, random: &mut Random) -> Option<Observation> {
    let t = bundle.domain().first()?.hi * f32::from(k) / f32::from(OBSERVATIONS);
    let components = bundle.ode().state_names().len() as u8;
    let component = match bundle.ode().conserved() {
        true => 1 + k.checked_rem(components.saturating_sub(1))?,
        false => k.checked_rem(components)?,
    };
    let state = bundle.state(&Query { t, ..*problem }).ok()?;
    // Twelve uniform numbers add up to something close enough to Gauss.
    let sum: f32 = (0..12).map(|_| random.word() as f32 / u32::MAX as f32).sum();
    let value = state.get(usize::from(component))? + SIGMA * (sum - 6.0);
    Some(Observation { t, component, value, sigma: SIGMA })
}

//! Instructions of estimating all rates from ten noisy observations, for problems from the whole domain.

use crate::count::Counter;
use crate::random::Random;
use sirocco::bundle::Bundle;
use sirocco::calibrate::{Free, Observation, Task, calibrate};
use sirocco::query::Query;

/// Problems; an odd number, so that there is a median.
const PROBLEMS: usize = 61;
/// Observations of each problem, evenly spaced over the whole horizon.
const OBSERVATIONS: u8 = 10;
/// Their standard deviation, which the calibration knows.
const SIGMA: f32 = 0.01;

/// The median number of instructions of a calibration; `None` if a calibration fails.
pub fn median(bundle: &Bundle<'_>, counter: &Counter) -> Option<u32> {
    let names = bundle.ode().rate_names();
    let free = Free::of(bundle.ode(), names)?;
    let mut random = Random(0x9e37_79b9);
    let mut counts = [0; PROBLEMS];
    // Inside the box that the file states: by phase, a query far outside is a problem in the domain as well.
    let within = |query: &Query| bundle.domain().iter().zip(query.quantities(bundle.ode())).all(|(r, v)| r.contains(v));
    let inside = bundle.probes(1).filter(within);
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

/// Observation `k` of a problem: the components in turn. The first is left out where it follows from the others.
fn observe(bundle: &Bundle<'_>, problem: &Query, k: u8, random: &mut Random) -> Option<Observation> {
    let t = bundle.domain().first()?.hi * f32::from(k) / f32::from(OBSERVATIONS);
    let components = bundle.ode().state_names().len() as u8;
    let component = match bundle.ode().conserved() {
        true => 1 + k.checked_rem(components.saturating_sub(1))?,
        false => k.checked_rem(components)?,
    };
    let state = bundle.state(&Query { t, ..*problem }).ok()?;
    // The sum of twelve uniform numbers is nearly normally distributed.
    let sum: f32 = (0..12).map(|_| random.word() as f32 / u32::MAX as f32).sum();
    let value = state.get(usize::from(component))? + SIGMA * (sum - 6.0);
    Some(Observation { t, component, value, sigma: SIGMA })
}

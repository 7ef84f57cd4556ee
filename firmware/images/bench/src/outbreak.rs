//! Instructions of estimating an outbreak from its counts: influenza in a boarding school, England 1978 (BMJ 1978;1:587).

use crate::count::Counter;
use sirocco::bundle::{Bundle, Range};
use sirocco::outbreak::{self, Count, Noise, Observable, Series, Setting, Starts};

/// Boys in bed, day by day.
const IN_BED: [f32; 14] = [3.0, 8.0, 26.0, 76.0, 225.0, 298.0, 258.0, 233.0, 189.0, 128.0, 68.0, 29.0, 14.0, 4.0];
/// Boys in the school.
const BOYS: f32 = 763.0;

/// The number of instructions of the fit with Gaussian noise of unknown size; `None` if the bundle has no such fit.
pub fn fit(bundle: &Bundle<'_>, counter: &Counter) -> Option<u32> {
    let mut counts = [Count { t: 0.0, value: 0.0 }; IN_BED.len()];
    for ((day, count), value) in (0u8..).zip(&mut counts).zip(IN_BED) {
        *count = Count { t: day.into(), value };
    }
    let range = |lo, hi| Range { lo, hi };
    let series = Series { observable: Observable::Infected, start: 0.0, counts: counts.len() as u16 };
    let setting = Setting {
        series: [series].into_iter().collect(),
        noise: Noise::Gaussian { sigma: None },
        infected: range(1e-9, 0.5),
        recovery: range(0.02, 5.0),
        scale: range(BOYS, BOYS),
        background: range(0.0, 0.0),
        reproduction: [range(0.2, 19.9)].into_iter().collect(),
        changes: [].into_iter().collect(),
        removed: 0.0,
        reporting: Default::default(),
    };
    let start = counter.now();
    let fit = core::hint::black_box(outbreak::fit(bundle, &counts, &setting, Starts::Guessed));
    let end = counter.now();
    fit.ok()?;
    Some(counter.instructions(start, end))
}

//! What counts look like, for a first guess.

use super::{Count, Observable, Series, Setting};
use crate::math::abs;

/// What the curve of the first series looks like.
pub(super) struct Shape {
    /// When half of all was counted: about the peak, or the end if it still grows.
    pub middle: f32,
    /// How fast it grew.
    pub growth: f32,
    /// The smallest count per unit of time, at least a hundredth.
    pub least: f32,
}

impl Shape {
    /// A logistic curve, and an exponential one, take about 2 / growth from a tenth to half of their sum.
    pub fn of(counts: &[Count], setting: &Setting) -> Self {
        let series = setting.series.first().copied();
        let Series { observable, start, counts: number } =
            series.unwrap_or(Series { observable: Observable::NewCases, start: 0.0, counts: 0 });
        let counts = counts.get(..number.into()).unwrap_or_default();
        // The middle of each interval, its length, and what was counted in it.
        let parts = || {
            let mut last = (start, counts.first().map_or(0.0, |count| count.value));
            counts.iter().filter(|count| !count.value.is_nan()).map(move |count| {
                let length = (count.t - last.0).max(1e-6);
                let part = match observable {
                    Observable::NewCases | Observable::NewRemovals => count.value,
                    Observable::Infected => count.value * length,
                    Observable::Susceptible | Observable::Removed => abs(count.value - last.1),
                };
                let middle = 0.5 * (count.t + last.0);
                last = (count.t, count.value);
                (middle, length, part)
            })
        };
        let total: f32 = parts().map(|(_, _, part)| part).sum();
        let least = parts().fold(f32::INFINITY, |least, (_, length, part)| least.min(part / length));
        let end = counts.last().map_or(start, |count| count.t);
        let reaches = |share: f32| {
            let mut sum = 0.0;
            let reached = parts().find(|(_, _, part)| {
                sum += part;
                sum >= share * total
            });
            reached.map_or(end, |(t, ..)| t)
        };
        let (tenth, half) = (reaches(0.1), reaches(0.5));
        let shortest = 0.01 * (end - start).max(1e-3);
        Shape { middle: half, growth: 2.0 / (half - tenth).max(shortest), least: least.clamp(0.01, 1e6) }
    }
}

//! Axes: range, round tick positions and their labels, linear or logarithmic.

/// A quantity, its scale and its range.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Quantity with its unit, as `time (days)`.
    pub label: String,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// The range shown; `None` takes it from the data. Points outside are not drawn.
    pub range: Option<(f64, f64)>,
}

/// How values map to lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// In proportion to the value.
    Linear,
    /// In proportion to the logarithm; values of zero or less are not drawn.
    Log,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear, range: None }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Log, range: None }
    }

    /// Fixes the range.
    #[must_use]
    pub fn over(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Chooses range and ticks for these data; with `pad`, an automatic range gets a margin. `None` if no value is finite.
    pub(super) fn resolve(&self, data: impl Iterator<Item = f64>, pad: bool) -> Option<Resolved> {
        let (low, high) = match self.range {
            Some(range) => range,
            None => extent(data.filter(|v| v.is_finite() && (self.scale == Scale::Linear || *v > 0.0)))?,
        };
        let pad = pad && self.range.is_none();
        Some(match self.scale {
            Scale::Linear => Resolved::linear(low, high, pad),
            Scale::Log => Resolved::log(low, high, pad),
        })
    }
}

/// An axis with its range and ticks. Positions are in the scale's own coordinate (the value, or its decimal logarithm).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Resolved {
    scale: Scale,
    low: f64,
    high: f64,
    /// (value, label), from low to high.
    pub ticks: Vec<(f64, String)>,
}

/// The most decades that an automatic logarithmic range spans, counted from the top.
const MAX_DECADES: f64 = 12.0;

impl Resolved {
    fn linear(low: f64, high: f64, pad: bool) -> Self {
        let width = high - low;
        let (low, high) = if width <= 0.0 || !width.is_finite() {
            let half = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
            (low - half, low + half)
        } else if pad {
            // A range that starts near zero starts at zero.
            let below = if low >= 0.0 && low < 0.05 * width { 0.0 } else { low - 0.04 * width };
            (below, high + 0.04 * width)
        } else {
            (low, high)
        };
        let step = nice_step((high - low) / 5.0);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|k| k as f64 * step).map(|v| (v, linear_label(v, step, decimals))).collect();
        Self { scale: Scale::Linear, low, high, ticks }
    }

    fn log(low: f64, high: f64, pad: bool) -> Self {
        let (mut a, mut b) = (low.log10(), high.log10());
        if b - a < 1e-9 {
            (a, b) = (a - 0.5, b + 0.5);
        } else if pad {
            a = a.max(b - MAX_DECADES);
            let margin = 0.04 * (b - a);
            (a, b) = (a - margin, b + margin);
        }
        let stride = (((b - a) / 7.0).ceil() as i64).max(1);
        let decades = (a - 1e-9).ceil() as i64..=(b + 1e-9).floor() as i64;
        let mut ticks: Vec<_> = decades.clone().filter(|k| k.rem_euclid(stride) == 0).map(|k| (k, 1)).collect();
        if ticks.len() < 3 {
            let around = *decades.start() - 1..=*decades.end();
            ticks = around.flat_map(|k| [1, 2, 5].map(|m| (k, m))).collect();
        }
        let ticks = ticks
            .into_iter()
            .map(|(k, m)| (f64::from(m) * 10f64.powi(k as i32), log_label(m, k)))
            .filter(|(v, _)| (a - 1e-9..=b + 1e-9).contains(&v.log10()))
            .collect();
        Self { scale: Scale::Log, low: a, high: b, ticks }
    }

    /// The position of `value` on the axis, from 0 (low end) to 1; `None` outside the range.
    pub fn share(&self, value: f64) -> Option<f64> {
        let at = match self.scale {
            Scale::Linear => value,
            Scale::Log if value > 0.0 => value.log10(),
            Scale::Log => return None,
        };
        let share = (at - self.low) / (self.high - self.low);
        (-1e-9..=1.0 + 1e-9).contains(&share).then(|| share.clamp(0.0, 1.0))
    }

    /// The value at a position on the axis: the inverse of [`Resolved::share`].
    pub fn value(&self, share: f64) -> f64 {
        let at = self.low + share * (self.high - self.low);
        match self.scale {
            Scale::Linear => at,
            Scale::Log => 10f64.powf(at),
        }
    }

    /// Like [`Resolved::share`], but a value outside the range is moved to the nearer end.
    pub fn clamped(&self, value: f64) -> f64 {
        let at = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        };
        ((at - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// Smallest and largest of the values.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |seen, v| Some(seen.map_or((v, v), |(low, high): (f64, f64)| (low.min(v), high.max(v)))))
}

/// The next round step (1, 2 or 5 times a power of ten) from `raw` upward.
fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let mantissa = raw / power;
    power * [1.0, 2.0, 5.0].into_iter().find(|m| *m >= mantissa - 1e-9).unwrap_or(10.0)
}

fn linear_label(value: f64, step: f64, decimals: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.abs() >= 1e5 || step < 1e-3 {
        let exponent = value.abs().log10().floor() as i64;
        let mantissa = value / 10f64.powi(exponent as i32);
        let mantissa = format!("{mantissa:.1}").trim_end_matches(".0").replace('-', "\u{2212}");
        return format!("{mantissa}·10{}", superscript(exponent));
    }
    format!("{value:.decimals$}").replace('-', "\u{2212}")
}

fn log_label(mantissa: i32, exponent: i64) -> String {
    if (-2..=3).contains(&exponent) {
        let decimals = (-exponent).max(0) as usize;
        return format!("{:.decimals$}", f64::from(mantissa) * 10f64.powi(exponent as i32));
    }
    if mantissa == 1 {
        format!("10{}", superscript(exponent))
    } else {
        format!("{mantissa}·10{}", superscript(exponent))
    }
}

fn superscript(exponent: i64) -> String {
    exponent
        .to_string()
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            digit => char::from_u32('⁰' as u32 + digit.to_digit(10).unwrap_or(0)).unwrap_or(digit),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, data: &[f64]) -> Vec<String> {
        axis.resolve(data.iter().copied(), true).unwrap().ticks.into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Axis::linear("t").over(0.0, 20.0), &[]), ["0", "5", "10", "15", "20"]);
        assert_eq!(labels(&Axis::linear("x"), &[-0.11, 0.12]), ["−0.10", "−0.05", "0", "0.05", "0.10"]);
        assert_eq!(labels(&Axis::log("e"), &[1e-7, 2e-4]), ["10⁻⁷", "10⁻⁶", "10⁻⁵", "10⁻⁴"]);
        assert_eq!(labels(&Axis::log("e").over(0.1, 0.6), &[]), ["0.1", "0.2", "0.5"]);
        assert_eq!(labels(&Axis::linear("r").over(-2e-6, 2e-6), &[]), ["−2·10⁻⁶", "−1·10⁻⁶", "0", "1·10⁻⁶", "2·10⁻⁶"]);
    }

    #[test]
    fn degenerate_data_still_make_an_axis() {
        assert!(Axis::linear("x").resolve([f64::NAN].into_iter(), true).is_none());
        assert!(Axis::log("x").resolve([0.0, -1.0].into_iter(), true).is_none());
        assert!(!labels(&Axis::linear("x"), &[3.0]).is_empty());
        assert!(!labels(&Axis::log("x"), &[3.0]).is_empty());
    }

    #[test]
    fn share_and_value_are_inverse() {
        for axis in [Axis::linear("x").over(-3.0, 5.0), Axis::log("x").over(1e-6, 1e2)] {
            let resolved = axis.resolve(std::iter::empty(), true).unwrap();
            for share in [0.0, 0.3, 1.0] {
                assert!((resolved.share(resolved.value(share)).unwrap() - share).abs() < 1e-12);
            }
            assert_eq!(resolved.share(1e9), None);
            assert_eq!(resolved.clamped(1e9), 1.0);
        }
    }
}

//! The training domain, the form of the trial solution, and the scaling of the network's inputs.

use crate::limits::MAX_QUANTITIES;
use crate::math::{self, to_fixed};
use crate::ode::Ode;
use crate::ode::sir::{FixedReduced, Reduced, SHARE_BITS, TIME_BITS, phase};
use crate::query::Query;
use crate::text::{number, split, split_once};
use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Form of the trial solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// y = y0 + f(t) NN, one output per component.
    Generic,
    /// As generic, for systems whose components have a constant sum: the outputs are components 1, 2, ..., and component 0
    /// gets minus their sum.
    Conserved,
    /// Only for SIR: the one output is the unknown x(tau) of the exact reduction, x = f(tau) NN.
    Reduced,
    /// Only for SIR: the one output is the smooth part of the time along an orbit, and the answer is its inverse
    /// ([`crate::ode::sir::phase`]). It holds for every epidemic with beta (S0 + I0) / gamma up to 20, at all times; the
    /// domain in the file is only where to begin to look.
    Phase,
}

impl Form {
    /// Name in model files.
    pub fn name(self) -> &'static str {
        match self {
            Form::Generic => "generic",
            Form::Conserved => "conserved",
            Form::Reduced => "reduced",
            Form::Phase => "phase",
        }
    }

    /// The form of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Form::Generic, Form::Conserved, Form::Reduced, Form::Phase].into_iter().find(|f| f.name() == name)
    }

    /// The form without further assumptions: conserved if the system conserves the sum, generic otherwise.
    pub fn general(ode: Ode) -> Self {
        if ode.conserved() { Form::Conserved } else { Form::Generic }
    }

    /// Whether a system has this form.
    pub fn fits(self, ode: Ode) -> bool {
        match self {
            Form::Generic => true,
            Form::Conserved => ode.conserved(),
            Form::Reduced | Form::Phase => ode == Ode::Sir,
        }
    }

    /// Number of outputs of the network.
    pub fn outputs(self, ode: Ode) -> usize {
        match self {
            Form::Generic => ode.state_names().len(),
            Form::Conserved => ode.state_names().len().saturating_sub(1),
            Form::Reduced | Form::Phase => 1,
        }
    }
}

/// A closed interval; a single value if `lo == hi`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Lower end.
    pub lo: f32,
    /// Upper end.
    pub hi: f32,
}

impl Range {
    /// Whether `value` lies in the interval.
    pub fn contains(&self, value: f32) -> bool {
        self.lo <= value && value <= self.hi
    }
}

/// The quantity behind a network input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Time t.
    Time,
    /// A free initial coordinate, by its index.
    Initial(u8),
    /// A rate, by its index.
    Rate(u8),
    /// tau = k t of the reduced form.
    Tau,
    /// i0 = I0 / N of the reduced form.
    InfectedShare,
    /// ln i0, for domains with small shares.
    LnInfectedShare,
    /// p = beta N / k of the reduced form.
    InfectionShare,
    /// A coordinate of the orbit in the form by phase: an index of [`phase::INPUTS`].
    Orbit(u8),
}

impl Source {
    /// The source of that name in a form of a system.
    pub fn from_name(name: &str, ode: Ode, form: Form) -> Option<Self> {
        if form == Form::Reduced {
            return Some(match name {
                "tau" => Source::Tau,
                "i0" => Source::InfectedShare,
                "ln_i0" => Source::LnInfectedShare,
                "p" => Source::InfectionShare,
                _ => return None,
            });
        }
        if form == Form::Phase {
            return phase::INPUTS.iter().zip(0u8..).find(|((n, ..), _)| *n == name).map(|(_, i)| Source::Orbit(i));
        }
        let index = |names: &[&str]| names.iter().zip(0u8..).find(|(n, _)| **n == name).map(|(_, i)| i);
        if name == "t" {
            return Some(Source::Time);
        }
        index(ode.initial_names()).map(Source::Initial).or_else(|| index(ode.rate_names()).map(Source::Rate))
    }

    /// Name in model files.
    pub fn name(self, ode: Ode) -> &'static str {
        let nth = |names: &'static [&'static str], i: u8| names.get(usize::from(i)).copied().unwrap_or("?");
        match self {
            Source::Time => "t",
            Source::Initial(i) => nth(ode.initial_names(), i),
            Source::Rate(i) => nth(ode.rate_names(), i),
            Source::Tau => "tau",
            Source::InfectedShare => "i0",
            Source::LnInfectedShare => "ln_i0",
            Source::InfectionShare => "p",
            Source::Orbit(i) => phase::INPUTS.get(usize::from(i)).map_or("?", |(name, ..)| name),
        }
    }

    /// Whether the input depends on time.
    pub fn is_time(self) -> bool {
        matches!(self, Source::Time | Source::Tau)
    }

    /// The value in a query (generic forms).
    pub(super) fn of_query(self, query: &Query) -> f32 {
        match self {
            Source::Initial(i) => query.initial.get(usize::from(i)).copied().unwrap_or(0.0),
            Source::Rate(i) => query.rates.get(usize::from(i)).copied().unwrap_or(0.0),
            _ => query.t,
        }
    }

    /// The value in a reduced problem.
    pub(super) fn of_reduced(self, reduced: &Reduced<f32>, tau: f32) -> f32 {
        match self {
            Source::InfectedShare => reduced.i0,
            Source::LnInfectedShare => logarithm(reduced.i0),
            Source::InfectionShare => reduced.p,
            _ => tau,
        }
    }
}

/// ln i0. The smallest normal number stands for zero, so that the answer stays finite without any infected.
#[inline(never)]
fn logarithm(i0: f32) -> f32 {
    math::ln(i0.max(f32::MIN_POSITIVE))
}

/// One network input: [lo, hi] is mapped to [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Input {
    source: Source,
    range: Range,
    mid: f32,
    slope: f32,
    fixed: Option<FixedScale>,
}

/// The scaling of a number in fixed point, for sources that have one: 2^24 u = ((v - mid) slope) / 2^(32 + shift).
#[derive(Debug, Clone, Copy, PartialEq)]
struct FixedScale {
    mid: i32,
    slope: i32,
    shift: u32,
}

impl FixedScale {
    /// The fixed-point scaling nearest to the float scaling.
    fn new(source: Source, mid: f32, slope: f32) -> Option<Self> {
        let bits = match source {
            Source::Tau => TIME_BITS,
            Source::InfectedShare | Source::InfectionShare => SHARE_BITS,
            _ => return None,
        };
        // slope = m 2^-s with an m of 31 bits.
        let exponent = (slope.to_bits() >> 23) as i32 - 127;
        let m = to_fixed(slope * math::power_of_two(-exponent), 30)?;
        let shift = u32::try_from(bits as i32 + 30 - exponent - 24 - 32).ok().filter(|shift| *shift < 31)?;
        Some(FixedScale { mid: to_fixed(mid, bits)? as i32, slope: m as i32, shift })
    }
}

impl Input {
    /// An input over `range`, or `None` if the range has no length, or its middle or slope is not finite.
    pub fn new(source: Source, range: Range) -> Option<Self> {
        let mid = 0.5 * (range.lo + range.hi);
        let slope = 2.0 / (range.hi - range.lo);
        let fixed = FixedScale::new(source, mid, slope);
        (range.lo < range.hi && mid.is_finite() && slope.is_finite()).then_some(Input {
            source,
            range,
            mid,
            slope,
            fixed,
        })
    }

    /// The quantity behind the input.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The range that is mapped to [-1, 1].
    pub fn range(&self) -> Range {
        self.range
    }

    /// u = (v - mid) * slope.
    pub fn scale(&self, value: f32) -> f32 {
        (value - self.mid) * self.slope
    }

    /// u of a problem in fixed point; `None` unless [`Self::is_fixed`].
    #[inline(always)]
    pub(super) fn scale_fixed(&self, problem: &FixedReduced) -> Option<f32> {
        let FixedScale { mid, slope, shift } = self.fixed?;
        let value = match self.source {
            Source::InfectedShare => problem.i0,
            Source::InfectionShare => problem.p,
            _ => problem.tau,
        };
        let u = ((i64::from(value as i32 - mid) * i64::from(slope)) >> 32) as i32 >> (shift & 31);
        Some(u as f32 * math::power_of_two(-24))
    }

    /// Whether there is a scaling in fixed point.
    pub(super) fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// du/dv = 2 / (hi - lo).
    pub fn slope(&self) -> f32 {
        self.slope
    }
}

/// Takes one `name=lo:hi` apart into the name and the two ends, which are still text.
///
/// ```
/// assert_eq!(sirocco::bundle::named_range("beta=0.4:0.8"), Some(("beta", ["0.4", "0.8"])));
/// assert_eq!(sirocco::bundle::named_range("beta=0.4"), None);
/// ```
pub fn named_range(text: &str) -> Option<(&str, [&str; 2])> {
    let (name, range) = split_once(text, b'=')?;
    let (lo, hi) = split_once(range, b':')?;
    Some((name, [lo, hi]))
}

/// Parses `name=lo:hi,...` into named, finite, ordered ranges.
fn named_ranges(text: &str) -> impl Iterator<Item = Option<(&str, Range)>> {
    split(text, b',').map(|part| {
        let (name, [lo, hi]) = named_range(part)?;
        let range = Range { lo: number(lo)?, hi: number(hi)? };
        (range.lo.is_finite() && range.hi.is_finite() && range.lo <= range.hi).then_some((name, range))
    })
}

/// The domain: every quantity of the system, in its order.
pub(super) fn parse_ranges(text: &str, ode: Ode) -> Option<Vec<Range, MAX_QUANTITIES>> {
    let mut names = ode.quantity_names();
    let mut ranges = Vec::new();
    for entry in named_ranges(text) {
        let (name, range) = entry?;
        if names.next() != Some(name) {
            return None;
        }
        ranges.push(range).ok()?;
    }
    names.next().is_none().then_some(ranges)
}

/// The network's inputs. Each has a known source and occurs once.
pub(super) fn parse_inputs(text: &str, ode: Ode, form: Form) -> Option<Vec<Input, MAX_QUANTITIES>> {
    let mut inputs = Vec::<Input, MAX_QUANTITIES>::new();
    for entry in named_ranges(text) {
        let (name, range) = entry?;
        let source = Source::from_name(name, ode, form)?;
        if inputs.iter().any(|i| i.source == source) {
            return None;
        }
        inputs.push(Input::new(source, range)?).ok()?;
    }
    // The evaluator scales the coordinates of an orbit itself.
    let scaled = |(input, (k, (_, lo, hi))): (&Input, (u8, (&str, f32, f32)))| {
        input.source == Source::Orbit(k) && input.range == Range { lo, hi }
    };
    let known = form != Form::Phase || inputs.len() == 3 && inputs.iter().zip((0..).zip(phase::INPUTS)).all(scaled);
    known.then_some(inputs)
}

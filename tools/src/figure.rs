//! Figures of the answers of a model: a certified trajectory, a calibration, kept images; and of the reproduction number.

use crate::Error;
use crate::curve::{Certified, Fit, spans};
use crate::input::outbreak::Unit;
use crate::reproduction::{Course, Day};
use jiff::civil::Date;
use sirocco::drift::Reference;
use sirocco::ode::Ode;
use sirocco::retain::Sample;
use sirocco_plot::{Axis, Content, Figure, Ground, Line, Mark, Panel, Stroke};
use std::path::Path;

/// The entropy of the images that a device kept. Above `threshold`, answers were withheld; `usual` is the entropy of
/// images like those in training.
pub fn samples(
    title: &str,
    samples: &[Sample],
    threshold: Option<f32>,
    usual: Option<Reference>,
    width: u32,
) -> Figure {
    let last = samples.iter().fold(1, |last, sample| last.max(sample.number));
    let across = |height: f32| vec![(0.0, f64::from(height)), (f64::from(last), f64::from(height))];
    let kept = |name: &str, color, withheld| Line {
        name: name.to_owned(),
        points: samples
            .iter()
            .filter(|sample| sample.abstained == withheld)
            .map(|sample| (f64::from(sample.number), f64::from(sample.entropy)))
            .collect(),
        color,
        stroke: Stroke::Dots,
    };
    let mut lines = vec![kept("answered", 0, false), kept("withheld", 1, true)];
    lines.extend(threshold.map(|threshold| Line::dashed("threshold", 1, across(threshold))));
    let band = usual.map(|Reference { mean, deviation }| {
        let ends = (f64::from(mean - deviation).max(0.0), f64::from(mean + deviation));
        let points = [0.0, f64::from(last)].map(|x| (x, ends.0, ends.1)).to_vec();
        Ground::Band { name: "usual: mean and one standard deviation".to_owned(), color: 2, points }
    });
    let x = Axis::linear("number of the image").over(0.0, f64::from(last));
    let panel = Panel::new(330, x, Axis::linear("predictive entropy (nats)"), Content::Lines(lines)).on(band);
    Figure::single(title, width, panel)
}

/// The reproduction number over time with its 50 and 95 % intervals, and below it the new cases.
pub fn reproduction(title: &str, course: &Course, unit: Unit, start: Option<Date>, width: u32) -> Figure {
    let means = course.days.iter().map(|day| (f64::from(day.t), f64::from(day.mean))).collect();
    let band = |name: &str, ends: fn(&Day) -> [f32; 2]| Ground::Band {
        name: name.to_owned(),
        color: 0,
        points: course
            .days
            .iter()
            .map(|day| (f64::from(day.t), f64::from(ends(day)[0]), f64::from(ends(day)[1])))
            .collect(),
    };
    let end = course.counts.last().map_or(1.0, |(t, _)| f64::from(*t));
    let x = |label: &str| Axis::linear(label).over(0.0, end);
    let one = Line::dashed("1: neither growth nor decline", 5, vec![(0.0, 1.0), (end, 1.0)]);
    let lines = vec![Line::solid("mean", 0, means), one];
    let bands = [band("95 %", |day| day.interval_95), band("50 %", |day| day.interval_50)];
    let panel = Panel::new(330, x(""), Axis::linear("reproduction number"), Content::Lines(lines)).on(bands);
    let counts = course.counts.iter().map(|(t, count)| (f64::from(*t), f64::from(*count))).collect();
    let cases = vec![Line::solid("", 1, counts)];
    let since = start.map_or_else(String::new, |start| format!(" since {start}"));
    let time = x(&format!("{unit}s{since}"));
    let below = Panel::new(200, time, Axis::linear(course.observable.to_string()), Content::Lines(cases));
    Figure { title: title.to_owned(), width, panels: vec![panel, below] }
}

/// Units and size of a figure.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    /// The system.
    pub ode: Ode,
    /// Size of the population, if shares are shown as counts of it.
    pub population: Option<f32>,
    /// Width in pixels.
    pub width: u32,
}

impl Units {
    fn time(&self) -> &'static str {
        if self.ode == Ode::Sir { "time (days)" } else { "time" }
    }

    fn state(&self) -> String {
        match (self.population, self.ode) {
            (Some(population), _) => format!("of {population}"),
            (None, Ode::Sir) => "share of the population".to_owned(),
            (None, _) => "state".to_owned(),
        }
    }

    fn scaled(&self, value: f32) -> f64 {
        f64::from(value * self.population.unwrap_or(1.0))
    }
}

/// The states of a trajectory with a band for their certified or estimated errors, and below it the errors alone. Times outside the
/// model's domain, and those at which the model is not trusted, are shaded.
pub fn trajectory(title: &str, points: &[Certified], units: Units) -> Figure {
    let mut lines = Vec::new();
    let mut ground = Vec::new();
    for (component, name) in units.ode.state_names().iter().enumerate() {
        let at = |point: &Certified| match &point.answer {
            Ok(certificate) => certificate.prediction.state.get(component).map_or(f64::NAN, |v| units.scaled(*v)),
            Err(_) => f64::NAN,
        };
        lines.push(Line::solid(*name, component, points.iter().map(|p| (f64::from(p.t), at(p))).collect()));
        for (name, reach) in [("certified error", bound as fn(&Certified) -> _), ("twice the estimated error", doubt)] {
            let band = points.iter().map(|p| {
                let reach = reach(p).map_or(f64::NAN, |reach| units.scaled(reach));
                (f64::from(p.t), at(p) - reach, at(p) + reach)
            });
            let points: Vec<_> = band.collect();
            if points.iter().any(|(_, low, _)| low.is_finite()) {
                let name = if component == 0 { name.to_owned() } else { String::new() };
                ground.push(Ground::Band { name, color: component, points });
            }
        }
    }
    let marked = |holds: fn(&Certified) -> bool| spans(&points.iter().map(|p| (p.t, holds(p))).collect::<Vec<_>>());
    let outside = marked(|p| p.answer.as_ref().is_ok_and(|c| !c.prediction.in_domain));
    let doubtful = marked(|p| p.answer.as_ref().is_ok_and(|c| c.prediction.in_domain && !c.trusted));
    let shade = |label: &'static str| {
        move |(from, to): (f32, f32)| Ground::Span { x: (from.into(), to.into()), label: label.to_owned() }
    };
    let mut shades: Vec<Ground> = outside.into_iter().map(shade("outside the domain")).collect();
    shades.extend(doubtful.into_iter().map(shade("not trusted")));
    ground.extend(shades.iter().cloned());
    let certificate = |name: &str, value: fn(&Certified) -> Option<f32>| {
        let points = points.iter().map(|p| (f64::from(p.t), value(p).map_or(f64::NAN, f64::from)));
        (name.to_owned(), points.collect::<Vec<_>>())
    };
    let (name, estimates) = certificate("estimated", estimate);
    let (bound_name, bounds) = certificate("bound", bound);
    let bounded = bounds.iter().any(|(_, bound)| bound.is_finite());
    let mut errors = vec![Line::solid(name, 3, estimates)];
    errors.extend(bounded.then(|| Line::dashed(bound_name, 1, bounds)));
    let times = points.first().zip(points.last()).map_or((0.0, 1.0), |(a, b)| (f64::from(a.t), f64::from(b.t)));
    let x = |label: &str| Axis::linear(label).over(times.0, times.1);
    let panels = vec![
        Panel::new(330, x(""), Axis::linear(units.state()), Content::Lines(lines)).on(ground),
        Panel::new(220, x(units.time()), Axis::log("largest error"), Content::Lines(errors)).on(shades),
    ];
    Figure { title: title.to_owned(), width: units.width, panels }
}

/// The estimated error, if there is an estimate.
fn estimate(point: &Certified) -> Option<f32> {
    point.answer.as_ref().ok().map(|c| c.estimate).filter(|estimate| *estimate < f32::MAX)
}

/// The certified bound of the error, if there is one.
fn bound(point: &Certified) -> Option<f32> {
    point.answer.as_ref().ok().and_then(|certificate| certificate.bound)
}

/// Twice the estimated error where there is no bound.
fn doubt(point: &Certified) -> Option<f32> {
    estimate(point).filter(|_| bound(point).is_none()).map(|estimate| 2.0 * estimate)
}

/// Observations and their fit with a band of two standard errors, and below it the residuals.
pub fn calibration(title: &str, fit: &Fit, units: Units) -> Figure {
    let mut lines = Vec::new();
    let mut ground = Vec::new();
    let mut residuals = Vec::new();
    // Standard deviations that are not known are estimated from the residuals.
    let unit = if fit.calibration.relative {
        fit.calibration.residual_variance().map(|v| f64::from(v).sqrt() as f32)
    } else {
        Some(1.0)
    };
    for (component, name) in (0u8..).zip(units.ode.state_names()) {
        let seen = fit.observations.iter().zip(&fit.fitted).filter(|(o, _)| o.component == component);
        if seen.clone().next().is_none() {
            continue;
        }
        let index = usize::from(component);
        let curve = fit.curve.iter().filter_map(|(t, state)| Some((f64::from(*t), state.get(index)?)));
        lines.push(Line::solid(
            format!("{name} fitted"),
            index,
            curve.clone().map(|(t, u)| (t, units.scaled(u.value))).collect(),
        ));
        let band = curve.map(|(t, u)| {
            let reach = 2.0 * units.scaled(u.standard_error);
            (t, units.scaled(u.value) - reach, units.scaled(u.value) + reach)
        });
        ground.push(Ground::Band { name: "two standard errors".to_owned(), color: index, points: band.collect() });
        for (observation, _) in seen.clone() {
            let Some(sigma) = unit.map(|unit| unit * observation.sigma) else { continue };
            let ends = [observation.value - sigma, observation.value + sigma];
            let points = ends.map(|v| (f64::from(observation.t), units.scaled(v))).to_vec();
            lines.push(Line { name: String::new(), points, color: index, stroke: Stroke::Faint });
        }
        let dots = |name: String, points| Line { name, points, color: index, stroke: Stroke::Dots };
        let observed = seen.clone().map(|(o, _)| (f64::from(o.t), units.scaled(o.value)));
        lines.push(dots(format!("{name} observed"), observed.collect()));
        let off = seen.map(|(o, fitted)| {
            let fitted = fitted.get(index).copied().unwrap_or(f32::NAN);
            (f64::from(o.t), f64::from((o.value - fitted) / (o.sigma * unit.unwrap_or(1.0))))
        });
        residuals.push(dots((*name).to_owned(), off.collect()));
    }
    let end = fit.curve.last().map_or(1.0, |(t, _)| f64::from(*t));
    let x = |label: &str| Axis::linear(label).over(0.0, end);
    let mut panel = Panel::new(330, x(""), Axis::linear(units.state()), Content::Lines(lines)).on(ground);
    let peak = fit.outlook.outlook.as_ref().and_then(|outlook| outlook.peak_time).filter(|peak| peak.value > 0.0);
    if let Some(peak) = peak {
        panel = panel.mark(Mark::Vertical { at: peak.value.into(), label: "peak".to_owned() });
    }
    let zero = Line { name: String::new(), points: vec![(0.0, 0.0), (end, 0.0)], color: 5, stroke: Stroke::Faint };
    residuals.push(zero);
    let label = "residual (standard deviations)";
    let panels = vec![panel, Panel::new(220, x(units.time()), Axis::linear(label), Content::Lines(residuals))];
    Figure { title: title.to_owned(), width: units.width, panels }
}

/// Pixels of a PNG image for each pixel of the figure, so that the image is sharp on high-resolution screens.
const PNG_SCALE: f32 = 2.0;

/// The format of an image file.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// Lines and text.
    Svg,
    /// Pixels.
    Png,
}

impl Format {
    /// The format that the name of a file asks for.
    ///
    /// # Errors
    /// [`Error::Usage`] for other names than `NAME.svg` and `NAME.png`.
    pub fn of(path: &Path) -> Result<Self, Error> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            _ => Err(Error::Usage(format!("{}: the name of the image has to end in .svg or .png", path.display()))),
        }
    }

    /// Writes a figure.
    ///
    /// # Errors
    /// [`Error::Plot`] if it cannot be drawn, [`Error::File`] if it cannot be written.
    pub fn write(self, path: &Path, figure: &Figure) -> Result<(), Error> {
        let bytes = match self {
            Format::Svg => figure.svg().into_bytes(),
            Format::Png => figure.png(PNG_SCALE)?,
        };
        std::fs::write(path, bytes).map_err(Error::file(path))
    }
}

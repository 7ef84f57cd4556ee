//! The section of a report on a solution bundle: trajectories, errors, maps of the loss in and around the box, training.
//!
//! It works with any evaluator: the device's on exported bytes, a network in training, a Runge-Kutta method.

use crate::bundle::evaluate::Sample;
use crate::bundle::reference;
use crate::host::random::{Purpose, Random};
use crate::report::html::{Block, Image, Section};
use crate::report::plot::{Axis, Content, Figure, Line, Mark, Panel, Scale, Stroke};
use crate::report::{ReportError, figure};
use crate::statistics::quantile;
use rayon::prelude::*;
use sirocco::limits::MAX_STATE;
use sirocco::ode::{Ode, State};
use sirocco::query::{Prediction, Query};

/// Answers a query, or cannot.
pub type Predict<'a> = dyn Fn(&Query) -> Option<Prediction> + Sync + 'a;

/// The subject of a report: a system, the box it was trained on, and an evaluator.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The system.
    pub ode: Ode,
    /// Training range per quantity in [`Ode::quantity_names`] order; lo == hi where fixed.
    pub domain: &'a [(f64, f64)],
    /// Unit of time, for axis labels.
    pub time_unit: &'a str,
    /// The evaluator.
    pub predict: &'a Predict<'a>,
}

/// How far the maps reach beyond each limit of the box, as a share of the limit.
pub const BEYOND: f64 = 0.3;
/// Points in time along a curve.
const CURVE: usize = 201;
/// Cells along each side of a map.
const CELLS: usize = 40;
/// Problems and times that a cell of a map averages over.
const DRAWS: usize = 8;
const TIMES: usize = 24;

/// Errors of many queries against the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// Per query: the largest absolute error over the components.
    pub each: Vec<f64>,
    /// Root of the mean square over queries and components.
    pub rms: f64,
    /// The query with the largest error.
    pub worst: Query,
}

impl Errors {
    /// The errors of samples, over the first `components` of their states; `None` without samples.
    pub fn of(samples: &[Sample], components: usize) -> Option<Self> {
        let worst = samples.iter().max_by(|a, b| a.error.total_cmp(&b.error))?.query;
        let square = |s: &Sample| -> f64 {
            s.state.iter().zip(s.reference).take(components).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum()
        };
        let mean = samples.iter().map(square).sum::<f64>() / (samples.len() * components) as f64;
        Some(Errors { each: samples.iter().map(|s| s.error).collect(), rms: mean.sqrt(), worst })
    }

    /// The error below which this share of the queries lies.
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(&self.each, share)
    }

    /// The largest error.
    pub fn max(&self) -> f64 {
        self.each.iter().copied().fold(0.0, f64::max)
    }
}

/// The quantity that a map shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// ln of the mean squared residual, summed over the components.
    LogLoss,
    /// Largest absolute error against the reference.
    MaxError,
}

/// A training curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Name in the legend.
    pub name: String,
    /// (iteration, LogLoss)
    pub points: Vec<(f64, f64)>,
}

impl Subject<'_> {
    fn components(&self) -> &'static [&'static str] {
        self.ode.state_names()
    }

    fn query(&self, quantities: &[f64]) -> Query {
        Query::from_quantities(self.ode, &quantities.iter().map(|v| *v as f32).collect::<Vec<_>>())
    }

    fn uniform(&self, random: &mut Random) -> Vec<f64> {
        self.domain.iter().map(|(lo, hi)| lo + (hi - lo) * random.uniform()).collect()
    }

    fn middle(&self) -> Query {
        self.query(&self.domain.iter().map(|(lo, hi)| 0.5 * (lo + hi)).collect::<Vec<_>>())
    }

    fn horizon(&self) -> f64 {
        self.domain.first().map_or(1.0, |t| t.1)
    }

    fn times(&self, count: usize) -> Vec<f64> {
        let step = self.horizon() / (count - 1).max(1) as f64;
        // Rounded as the evaluator sees them, so that the reference answers the same question.
        (0..count).map(|k| f64::from((k as f64 * step) as f32)).collect()
    }

    /// Predictions along the trajectory of `query`'s problem, `None` where there is none.
    fn trajectory(&self, query: &Query, times: &[f64]) -> Vec<Option<Prediction>> {
        times.iter().map(|t| (self.predict)(&Query { t: *t as f32, ..*query })).collect()
    }

    /// Errors of `count` random queries in the box.
    ///
    /// # Errors
    /// [`ReportError::NothingToShow`] if no query can be evaluated.
    pub fn errors(&self, count: usize, seed: u64) -> Result<Errors, ReportError> {
        let mut random = Random::new(seed, Purpose::Measurement, 0);
        let queries: Vec<Query> = (0..count).map(|_| self.query(&self.uniform(&mut random))).collect();
        let sample = |query: &Query| {
            let reference = *reference::trajectory(self.ode, query, &[f64::from(query.t)])?.first()?;
            let state = (self.predict)(query)?.state;
            let error = state.iter().zip(reference).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            Some(Sample { query: *query, state, reference, error })
        };
        let samples: Vec<Sample> = queries.par_iter().filter_map(sample).collect();
        Errors::of(&samples, self.components().len()).ok_or(ReportError::NothingToShow("bundle"))
    }

    /// The trajectory of one problem over the reference, with residual and error below.
    ///
    /// # Errors
    /// [`ReportError::NothingToShow`] if the reference does not solve the problem.
    pub fn curves(&self, title: &str, query: &Query) -> Result<Figure, ReportError> {
        let times = self.times(CURVE);
        let truth = reference::trajectory(self.ode, query, &times).ok_or(ReportError::NothingToShow("trajectory"))?;
        let answers = self.trajectory(query, &times);
        let series = |value: &dyn Fn(&Prediction, &State<f64>, usize) -> f64, c: usize| -> Vec<(f64, f64)> {
            let at = |((t, p), y): ((&f64, &Option<Prediction>), &State<f64>)| {
                (*t, p.as_ref().map_or(f64::NAN, |p| value(p, y, c)))
            };
            times.iter().zip(&answers).zip(&truth).map(at).collect()
        };
        let (mut states, mut residuals, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (c, name) in self.components().iter().enumerate() {
            let exact = times.iter().zip(&truth).map(|(t, y)| (*t, y[c])).collect();
            states.push(Line { stroke: Stroke::Wide, ..Line::solid("", c, exact) });
            states.push(Line::dashed(*name, c, series(&|p, _, c| f64::from(p.state[c]), c)));
            residuals.push(Line::solid(*name, c, series(&|p, _, c| f64::from(p.residual[c]), c)));
            errors.push(Line::solid(*name, c, series(&|p, y, c| (f64::from(p.state[c]) - y[c]).abs(), c)));
        }
        let unit = self.time_unit;
        let time = |label: String| Axis::linear(label).over(0.0, self.horizon());
        let per_time = format!("residual (1/{})", unit.strip_suffix('s').unwrap_or(unit));
        let below = format!("time ({unit})");
        Ok(Figure {
            title: title.to_owned(),
            width: 620,
            panels: vec![
                Panel::new(280, time(String::new()), Axis::linear("state"), Content::Lines(states)),
                Panel::new(170, time(String::new()), Axis::linear(per_time), Content::Lines(unnamed(residuals))),
                Panel::new(190, time(below), Axis::log("absolute error"), Content::Lines(unnamed(errors))),
            ],
        })
    }

    /// A map of `measure` over two quantities, in the box and [`BEYOND`] it. Every cell averages (or takes the maximum) over
    /// time and over random problems of the box in all other quantities.
    pub fn map(&self, title: &str, (a, b): (usize, usize), measure: Measure, seed: u64) -> Figure {
        let (left, below) = (beyond(self.domain[a]), beyond(self.domain[b]));
        let at = |(lo, hi): (f64, f64), k: usize| lo + (hi - lo) * (k as f64 + 0.5) / CELLS as f64;
        let mut random = Random::new(seed, Purpose::HeldOut, 1);
        let others: Vec<Vec<f64>> = (0..DRAWS).map(|_| self.uniform(&mut random)).collect();
        let times = self.times(TIMES);
        let cell = |k: usize| {
            let problem = |other: &Vec<f64>| {
                let mut quantities = other.clone();
                (quantities[a], quantities[b]) = (at(left, k % CELLS), at(below, k / CELLS));
                self.query(&quantities)
            };
            let queries: Vec<Query> = others.iter().map(problem).collect();
            match measure {
                Measure::LogLoss => self.logloss(&queries, &times),
                Measure::MaxError => self.max_error(&queries, &times),
            }
        };
        let cells: Vec<_> = (0..CELLS * CELLS).into_par_iter().map(cell).collect();
        let names: Vec<_> = self.ode.quantity_names().collect();
        let color = match measure {
            Measure::LogLoss => Axis::linear("LogLoss"),
            Measure::MaxError => Axis { scale: Scale::Log, ..Axis::linear("maximum error") },
        };
        let axis = |q: usize, (lo, hi): (f64, f64)| {
            let rate = q > self.ode.initial_names().len();
            let unit = self.time_unit.strip_suffix('s').unwrap_or(self.time_unit);
            Axis::linear(if rate { format!("{} (1/{unit})", names[q]) } else { names[q].to_owned() }).over(lo, hi)
        };
        let content = Content::HeatMap { columns: CELLS, cells, color };
        let panel = Panel::new(430, axis(a, left), axis(b, below), content)
            .mark(Mark::Box { x: self.domain[a], y: self.domain[b] });
        Figure::single(title, 560, panel)
    }

    /// LogLoss over the trajectories of these problems; `None` if any part of them has no answer.
    fn logloss(&self, queries: &[Query], times: &[f64]) -> Option<f64> {
        let mut squares = [0.0; MAX_STATE];
        for query in queries {
            for answer in self.trajectory(query, times) {
                for (sum, r) in squares.iter_mut().zip(answer?.residual) {
                    *sum += f64::from(r) * f64::from(r);
                }
            }
        }
        let mean = squares.iter().sum::<f64>() / (queries.len() * times.len()) as f64;
        Some(mean.ln()).filter(|v| v.is_finite())
    }

    fn max_error(&self, queries: &[Query], times: &[f64]) -> Option<f64> {
        let mut largest: f64 = 0.0;
        for query in queries {
            let truth = reference::trajectory(self.ode, query, times)?;
            for (answer, truth) in self.trajectory(query, times).into_iter().zip(truth) {
                for (a, b) in answer?.state.iter().zip(truth) {
                    largest = largest.max((f64::from(*a) - b).abs());
                }
            }
        }
        Some(largest)
    }

    /// The pairs of quantities that maps are drawn over: two varying initial coordinates, two varying rates.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let initial = 1 + self.ode.initial_names().len();
        let varying = |from: usize, to: usize| {
            let mut found = (from..to).filter(|q| self.domain.get(*q).is_some_and(|(lo, hi)| lo < hi));
            Some((found.next()?, found.next()?))
        };
        [varying(1, initial), varying(initial, initial + self.ode.rate_names().len())].into_iter().flatten().collect()
    }
}

/// Draws the whole section. `errors` are those of [`Subject::errors`], or of other samples.
///
/// # Errors
/// [`ReportError`] if the reference does not solve a problem that is shown, or a figure cannot be drawn.
pub fn section(
    subject: &Subject<'_>,
    heading: &str,
    training: &[Curve],
    errors: &Errors,
    seed: u64,
) -> Result<Section, ReportError> {
    let mut blocks = vec![Block::Prose(format!(
        "Every figure below comes from the exported file itself, evaluated as a device evaluates it, and is compared \
         with a high-order solver at tight tolerance. Over {} random problems and times in the box, the largest error \
         of any component is {}, the median {}, the root mean square {}.",
        errors.each.len(),
        figure(errors.max()),
        figure(errors.quantile(0.5)),
        figure(errors.rms),
    ))];
    let middle = subject.curves("Middle of the box", &subject.middle())?;
    let worst = subject.curves("The problem with the largest error", &errors.worst)?;
    let caption = |query: &Query| {
        let names = subject.ode.quantity_names().zip(query.quantities(subject.ode)).skip(1);
        let problem = names.map(|(name, value)| format!("{name} = {value:.3}")).collect::<Vec<_>>().join(", ");
        format!("{problem}. Dashed: the network; the wide pale line beneath it is the reference.")
    };
    blocks.push(Block::Figures(vec![
        Image { svg: middle.svg(), caption: caption(&subject.middle()) },
        Image { svg: worst.svg(), caption: caption(&errors.worst) },
    ]));
    blocks.push(Block::Figures(vec![Image {
        svg: histogram(errors).svg(),
        caption: format!(
            "Largest error over the components, {} random queries in the box. Half of them stay below the median, \
             99 of 100 below {}.",
            errors.each.len(),
            figure(errors.quantile(0.99))
        ),
    }]));
    let names: Vec<_> = subject.ode.quantity_names().collect();
    let mut maps = Vec::new();
    for (a, b) in subject.pairs() {
        let title = format!("LogLoss over {} and {}", names[a], names[b]);
        maps.push(Image {
            svg: subject.map(&title, (a, b), Measure::LogLoss, seed).svg(),
            caption: format!(
                "LogLoss, lower is better. White frame: the training box. The map reaches {:.0} % beyond its limits; \
                 each cell averages over time and {DRAWS} problems of the box in the other quantities. Empty cells \
                 are no problems of the system.",
                100.0 * BEYOND
            ),
        });
    }
    if !maps.is_empty() {
        blocks.push(Block::Prose(
            "LogLoss is the natural logarithm of the squared residual of the equations, averaged over points and \
             summed over the components. Outside the box the network was never trained, and the device says so with \
             every answer."
                .to_owned(),
        ));
        blocks.push(Block::Figures(maps));
    }
    if training.iter().any(|curve| curve.points.len() > 1) {
        blocks.push(Block::Figures(vec![training_image("Training", training)]));
    }
    Ok(Section { heading: heading.to_owned(), blocks })
}

/// LogLoss against the iteration for one or several runs.
pub fn training_image(title: &str, training: &[Curve]) -> Image {
    let lines = training.iter().enumerate().map(|(k, c)| Line::solid(c.name.clone(), k, c.points.clone())).collect();
    let panel = Panel::new(320, Axis::linear("iteration"), Axis::linear("LogLoss"), Content::Lines(lines));
    let svg = Figure::single(title, 760, panel).svg();
    Image { svg, caption: "LogLoss during training. No solution data is used, only the equations.".to_owned() }
}

fn histogram(errors: &Errors) -> Figure {
    // Some answers are nearly exact by chance, which makes a long left tail; four decades show the rest.
    let (low, high) = (errors.quantile(0.01).max(errors.max() * 1e-4).max(1e-12), errors.max().max(1e-11));
    let values = errors.each.iter().map(|e| e.max(low * 1.0001)).collect();
    let content = Content::Histogram { values, bins: 48 };
    let panel =
        Panel::new(300, Axis::log("largest absolute error").over(low, high * 1.02), Axis::linear("queries"), content)
            .mark(Mark::Vertical {
                at: errors.quantile(0.5),
                label: format!("median {}", figure(errors.quantile(0.5))),
            })
            .mark(Mark::Vertical { at: errors.max(), label: format!("maximum {}", figure(errors.max())) });
    Figure::single("Errors in the box", 760, panel)
}

fn unnamed(lines: Vec<Line>) -> Vec<Line> {
    lines.into_iter().map(|line| Line { name: String::new(), ..line }).collect()
}

/// A range with [`BEYOND`] of each limit added outside it.
fn beyond((lo, hi): (f64, f64)) -> (f64, f64) {
    (lo - BEYOND * lo.abs(), hi + BEYOND * hi.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sirocco::rk4;

    const DOMAIN: [(f64, f64); 5] = [(0.0, 20.0), (0.2, 0.4), (0.1, 0.3), (0.4, 0.8), (0.3, 0.7)];

    /// A coarse Runge-Kutta method as the evaluator: its errors are known in size.
    fn coarse(query: &Query) -> Option<Prediction> {
        query.check(Ode::Sir).ok()?;
        let state = rk4::integrate(Ode::Sir, &query.initial, &query.rates, query.t, 16);
        let residual = [1e-3 * query.initial[0], 0.0, 0.0, 0.0];
        Some(Prediction { state, derivative: residual, residual, in_domain: true, plausible: true })
    }

    fn subject() -> Subject<'static> {
        Subject { ode: Ode::Sir, domain: &DOMAIN, time_unit: "days", predict: &coarse }
    }

    #[test]
    fn errors_are_those_of_the_evaluator() {
        let errors = subject().errors(500, 0).unwrap();
        assert_eq!(errors.each.len(), 500);
        assert!(errors.max() > 1e-5 && errors.max() < 3e-4, "{}", errors.max());
        assert!(errors.quantile(0.5) < errors.quantile(0.99) && errors.rms < errors.max());
        assert_eq!(subject().errors(500, 0).unwrap(), errors);
        let mute = Subject { predict: &|_| None, ..subject() };
        assert!(matches!(mute.errors(10, 0), Err(ReportError::NothingToShow(_))));
    }

    #[test]
    fn errors_name_the_worst_query() {
        let sample = |t: f32, error: f64| {
            let query = Query { t, initial: [0.0; 4], rates: [0.0; 4] };
            Sample { query, state: [error as f32, 0.0, 0.0, 0.0], reference: [0.0; 4], error }
        };
        let errors = Errors::of(&[sample(1.0, 0.25), sample(2.0, 0.5), sample(3.0, 0.0)], 3).unwrap();
        assert_eq!((errors.worst.t, errors.max()), (2.0, 0.5));
        assert!((errors.rms - (0.3125f64 / 9.0).sqrt()).abs() < 1e-12);
        assert!(Errors::of(&[], 3).is_none());
    }

    #[test]
    fn maps_reach_beyond_the_box_and_leave_out_what_is_impossible() {
        let figure = subject().map("m", (1, 2), Measure::LogLoss, 0);
        let panel = &figure.panels[0];
        let (lo, hi) = panel.x.range.unwrap();
        assert!((lo - 0.14).abs() < 1e-12 && (hi - 0.52).abs() < 1e-12);
        let Content::HeatMap { cells, columns, .. } = &panel.content else { panic!() };
        // The residual of the test grows with I0 alone: LogLoss = 2 ln(1e-3 I0).
        let i0 = lo + (hi - lo) * 0.5 / *columns as f64;
        assert!((cells[0].unwrap() - 2.0 * (1e-3 * i0).ln()).abs() < 1e-4);
        assert!(matches!(panel.marks[..], [Mark::Box { x: (0.2, 0.4), y: (0.1, 0.3) }]));
        let wide = [(0.0, 20.0), (0.2, 0.6), (0.1, 0.4), (0.4, 0.8), (0.3, 0.7)];
        let wide = Subject { domain: &wide, ..subject() };
        let Content::HeatMap { cells, .. } = &wide.map("m", (1, 2), Measure::MaxError, 0).panels[0].content else {
            panic!()
        };
        assert!(cells.iter().any(Option::is_none) && cells.iter().any(Option::is_some));
    }

    #[test]
    fn a_section_has_every_part() {
        let training = [Curve { name: "from scratch".into(), points: vec![(0.0, -1.0), (10.0, -20.0)] }];
        let errors = subject().errors(200, 0).unwrap();
        let section = section(&subject(), "Bundle", &training, &errors, 0).unwrap();
        let images: usize = section.blocks.iter().map(|b| if let Block::Figures(f) = b { f.len() } else { 0 }).sum();
        assert_eq!(images, 2 + 1 + 2 + 1);
        let single = [(0.0, 20.0), (0.2, 0.2), (0.0, 0.0), (0.8, 0.8), (0.2, 0.2)];
        assert!(Subject { domain: &single, ..subject() }.pairs().is_empty());
    }
}

//! Draws the picture of `shared/docs/phase.md`: orbits of SIR epidemics, when each passes its points, and what a network
//! learns of that. All curves are computed from the equations; no model file is read.
//!
//! ```sh
//! cargo run -p sirocco-plot --example phase -- shared/docs/phase.svg
//! ```

use sirocco::ode::sir::phase::orbit::Orbit;
use sirocco::ode::sir::phase::slope;
use sirocco_plot::{Axis, Content, Figure, Line, Mark, Panel, Stroke};
use std::path::PathBuf;

/// Infections per infected in a wholly susceptible population, and the color of its orbit.
const ORBITS: [(f64, usize); 3] = [(1.5, 0), (2.0, 2), (3.0, 3)];
/// The orbit of the query, the susceptible share at its start, and its time in infectious periods.
const QUERY: (usize, f64, f64) = (1, 0.95, 6.0);
const QUERY_COLOR: usize = 1;
/// Points along an orbit, evenly spaced in ln(x / (1 - x)) from minus to plus [`FAR`].
const POINTS: u32 = 600;
const FAR: f64 = 20.0;
/// As an image of its own, the picture has no page whose ink it could take.
const INK: &str = "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>";

/// A point of an orbit.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Share of the orbit's recoveries that are still to come.
    pub x: f64,
    /// k times the susceptible and the infected share.
    pub s: f64,
    /// See `s`.
    pub i: f64,
    /// The part of the phase in closed form.
    pub closed: f64,
    /// The rest of it, with its sign turned: what the network learns.
    pub regular: f64,
}

impl Point {
    /// When the orbit passes here, in infectious periods.
    pub fn phase(&self) -> f64 {
        self.closed - self.regular
    }

    /// The point between this one and the next, of which this one has the share `1 - part`.
    fn toward(&self, next: &Point, part: f64) -> Point {
        let mix = |a: f64, b: f64| a + part * (b - a);
        Point {
            x: mix(self.x, next.x),
            s: mix(self.s, next.s),
            i: mix(self.i, next.i),
            closed: mix(self.closed, next.closed),
            regular: mix(self.regular, next.regular),
        }
    }
}

/// The orbit of an epidemic that begins with nearly nobody infected and S = 1, from its beginning to its end.
pub fn orbit(k: f64) -> Vec<Point> {
    let orbit = Orbit::through(k, 0.0);
    let extent = orbit.extent;
    let place = |u: f64| (extent / (1.0 + (-u).exp()), extent / (1.0 + u.exp()));
    let at = |n: u32| -FAR + 2.0 * FAR * f64::from(n) / f64::from(POINTS);
    // B(0) = 0, and Simpson's rule from point to point.
    let rate = |(y, g): (f64, f64)| slope(&orbit, y, g);
    let (mut last, mut regular) = ((0.0, extent), 0.0);
    let mut points: Vec<Point> = (0..=POINTS)
        .map(|n| {
            let (y, g) = place(at(n));
            let middle = (0.5 * (last.0 + y), 0.5 * (last.1 + g));
            regular += (y - last.0) / extent * (rate(last) + 4.0 * rate(middle) + rate((y, g))) / 6.0;
            last = (y, g);
            let s = orbit.q * y.exp();
            let risen = (-g).exp_m1() / (-extent).exp_m1();
            let closed = risen.ln() / orbit.growth - (y / extent).ln() / orbit.decay;
            Point { x: y / extent, s, i: y - orbit.q * y.exp_m1(), closed, regular }
        })
        .collect();
    points.reverse();
    points
}

/// The stretch of an orbit that a query runs along: from the start to the answer.
pub fn stretch(points: &[Point], s: f64, time: f64) -> Vec<Point> {
    // Along an orbit s falls, and the phase rises.
    let cut = |value: &dyn Fn(&Point) -> f64, at: f64| {
        let n = points.partition_point(|point| value(point) < at);
        let (before, after) = (&points[n - 1], &points[n]);
        (n, before.toward(after, (at - value(before)) / (value(after) - value(before))))
    };
    let (first, start) = cut(&|point| -point.s, -s);
    let (end, answer) = cut(&Point::phase, start.phase() + time);
    [&[start], &points[first..end], &[answer]].concat()
}

/// The picture.
pub fn figure() -> Figure {
    let orbits = ORBITS.map(|(k, color)| (k, color, orbit(k)));
    let (number, share, time) = QUERY;
    let (k, _, points) = &orbits[number];
    let query = stretch(points, k * share, time);
    let ends = [query[0], query[query.len() - 1]];
    let [start, answer] = ends;
    let run = |points: &[Point], of: &dyn Fn(&Point) -> (f64, f64)| points.iter().map(of).collect::<Vec<_>>();
    let lines = |of: &dyn Fn(&Point) -> (f64, f64)| {
        let passed = Line { stroke: Stroke::Wide, ..Line::solid("", QUERY_COLOR, run(&query, of)) };
        let orbits = orbits.iter().map(|(_, color, points)| Line::solid("", *color, run(points, of)));
        let dots = Line { stroke: Stroke::Dots, ..Line::solid("", QUERY_COLOR, run(&ends, of)) };
        [passed].into_iter().chain(orbits).chain([dots]).collect::<Vec<_>>()
    };

    let mut plane = lines(&|point| (point.s, point.i));
    for (line, (k, _, _)) in plane[1..].iter_mut().zip(&orbits) {
        line.name = format!("k = {k}, Y = {:.2}", Orbit::through(*k, 0.0).extent);
    }
    let mut phase = lines(&|point| (point.phase(), point.x));
    for dots in plane.iter_mut().chain(&mut phase).filter(|line| line.stroke == Stroke::Dots) {
        dots.name = format!("a query: k = {k}, S = {share} at its start");
    }
    phase.push(Line::solid(
        format!("T = {time}"),
        QUERY_COLOR,
        vec![(start.phase(), start.x), (answer.phase(), start.x)],
    ));
    for (_, color, points) in &orbits {
        phase.push(Line::dashed("", *color, run(points, &|point| (point.closed, point.x))));
    }
    if let Some(closed) = phase.last_mut() {
        closed.name = "dashed: the closed form alone, without B".into();
    }

    let regular = orbits.iter().map(|(k, color, points)| {
        Line::solid(format!("k = {k}"), *color, run(points, &|point| (point.x, point.regular)))
    });
    let mark = |at: f64, label: &str| Mark::Vertical { at, label: label.into() };
    let s = Axis::linear("s = k S, infections per infected (time runs from right to left)").over(0.0, 3.2);
    let i = Axis::linear("i = k I").over(0.0, 1.1);
    let theta = Axis::linear("phase θ (infectious periods)").over(-10.0, 12.0);
    let x = Axis::linear("x, share of recoveries to come").over(0.0, 1.1);
    let marked = |height, across, up, lines, [from, to]: [f64; 2]| {
        Panel::new(height, across, up, Content::Lines(lines)).mark(mark(from, "start")).mark(mark(to, "answer"))
    };
    Figure {
        title: "SIR epidemics: their orbits, and when each passes its points".into(),
        width: 720,
        panels: vec![
            marked(320, s, i, plane, ends.map(|end| end.s)),
            marked(320, theta, x, phase, ends.map(|end| end.phase())),
            Panel::new(
                220,
                Axis::linear("x").over(0.0, 1.0),
                Axis::linear("B (infectious periods)"),
                Content::Lines(regular.collect()),
            ),
        ],
    }
}

/// The picture as the text of a file.
pub fn svg() -> String {
    figure().svg().replacen("</title>", &format!("</title>{INK}"), 1)
}

fn main() {
    let path = std::env::args_os().nth(1).map_or_else(|| "phase.svg".into(), PathBuf::from);
    if let Err(error) = std::fs::write(&path, svg()) {
        eprintln!("error: {}: {error}", path.display());
        std::process::exit(1);
    }
}

//! Draws figures: lays out titles, legends, axes and color bars, and puts the data between them.

use crate::axis::{Axis, Resolved};
use crate::figure::{Content, Figure, Ground, Line, Mark, Panel, Stroke};
use crate::palette::{self, Color};
use crate::svg::{Anchor, Point, Svg, Type, text_width};

const TITLE: f64 = 15.0;
const LABEL: f64 = 12.5;
const TICK: f64 = 11.5;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 18.0;
const COLOR_BAR: f64 = 84.0;
const LEGEND_ROW: f64 = 20.0;
/// Opacity of a band.
const BAND: f64 = 0.22;

impl Figure {
    /// The figure as SVG text. Data that are not finite are left out.
    pub fn svg(&self) -> String {
        let head = if self.title.is_empty() { 0 } else { 30 };
        let height = head + self.panels.iter().map(|p| p.height).sum::<u32>();
        let mut svg = Svg::new((self.width, height), &self.title);
        if head > 0 {
            let style = Type { bold: true, ink: 1.0, ..Type::new(TITLE, Anchor::Start) };
            svg.text((12.0, 17.0), &self.title, style);
        }
        let mut top = f64::from(head);
        for panel in &self.panels {
            draw_panel(&mut svg, panel, f64::from(self.width), top);
            top += f64::from(panel.height);
        }
        svg.finish()
    }

    /// The figure as the bytes of a PNG image on white, `scale` pixels for one of the figure's.
    ///
    /// # Errors
    /// If the image would be empty or too large, or cannot be encoded.
    #[cfg(feature = "png")]
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, crate::PlotError> {
        crate::raster::png(&self.svg(), scale)
    }
}

/// A panel's frame in pixels, with its axes.
struct Frame {
    x: Resolved,
    y: Resolved,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn at(&self, sx: f64, sy: f64) -> Point {
        (self.left + sx * (self.right - self.left), self.bottom - sy * (self.bottom - self.top))
    }

    fn place(&self, (x, y): (f64, f64)) -> Option<Point> {
        Some(self.at(self.x.share(x)?, self.y.share(y)?))
    }
}

fn draw_panel(svg: &mut Svg, panel: &Panel, width: f64, top: f64) {
    let bottom = top + f64::from(panel.height);
    let legend = match &panel.content {
        Content::Lines(lines) => legend_rows(lines, &panel.ground, width - LEFT - RIGHT),
        _ => Vec::new(),
    };
    let bar = match &panel.content {
        Content::HeatMap { color, cells, .. } => Some((color, cells.iter().flatten().copied().collect::<Vec<f64>>())),
        Content::Scatter { color, points } => Some((color, points.iter().map(|p| p.2).collect())),
        _ => None,
    };
    let area = Area {
        left: LEFT,
        right: width - RIGHT - if bar.is_some() { COLOR_BAR } else { 0.0 },
        top: top + 12.0 + LEGEND_ROW * legend.len() as f64,
        bottom: bottom - if panel.x.label.is_empty() { 24.0 } else { 44.0 },
    };
    let bins = histogram(panel);
    let colors = bar.and_then(|(axis, values)| Some((axis, axis.resolve(values.into_iter(), false)?)));
    let axes = settle(panel, &bins);
    let (Some((x, y)), true) =
        (axes, colors.is_some() || !matches!(panel.content, Content::HeatMap { .. } | Content::Scatter { .. }))
    else {
        let center = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
        return svg.text(center, "no finite values to show", Type::new(LABEL, Anchor::Middle));
    };
    let frame = Frame { x, y, left: area.left, right: area.right, top: area.top, bottom: area.bottom };

    draw_legend(svg, &legend, top + 12.0);
    for ground in &panel.ground {
        draw_ground(svg, &frame, ground);
    }
    if colors.is_none() {
        draw_grid(svg, &frame);
    }
    match &panel.content {
        Content::Lines(lines) => {
            for line in lines {
                draw_line(svg, &frame, line);
            }
        }
        Content::Histogram { .. } => draw_bars(svg, &frame, &bins),
        Content::HeatMap { columns, cells, .. } => {
            if let Some((_, scale)) = &colors {
                draw_cells(svg, &frame, (*columns, cells), scale);
            }
        }
        Content::Scatter { points, .. } => {
            for (x, y, value) in points {
                if let (Some(at), Some((_, scale))) = (frame.place((*x, *y)), &colors) {
                    svg.dot(at, 3.5, palette::sequential(scale.clamped(*value)), 0.9);
                }
            }
        }
    }
    draw_axes(svg, &frame, panel);
    if let Some((axis, scale)) = &colors {
        draw_color_bar(svg, &frame, axis, scale);
    }
    for mark in &panel.marks {
        draw_mark(svg, &frame, mark);
    }
}

struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// Both axes for the panel's data; `None` if no value is finite.
fn settle(panel: &Panel, bins: &[(f64, f64, usize)]) -> Option<(Resolved, Resolved)> {
    match &panel.content {
        Content::Lines(lines) => {
            let points = || lines.iter().flat_map(|l| l.points.iter());
            let bands = panel.ground.iter().flat_map(|ground| match ground {
                Ground::Band { points, .. } => points.as_slice(),
                Ground::Span { .. } => &[],
            });
            let heights = points().map(|p| p.1).chain(bands.flat_map(|(_, from, to)| [*from, *to]));
            Some((panel.x.resolve(points().map(|p| p.0), false)?, panel.y.resolve(heights, true)?))
        }
        Content::Histogram { .. } => {
            let (first, last) = (bins.first()?, bins.last()?);
            let highest = bins.iter().map(|b| b.2).max()? as f64;
            let x = Axis { range: panel.x.range.or(Some((first.0, last.1))), ..panel.x.clone() };
            let y = Axis { range: panel.y.range.or(Some((0.0, highest * 1.08))), ..panel.y.clone() };
            Some((x.resolve(std::iter::empty(), false)?, y.resolve(std::iter::empty(), false)?))
        }
        Content::HeatMap { .. } => {
            panel.x.range?;
            panel.y.range?;
            Some((panel.x.resolve(std::iter::empty(), false)?, panel.y.resolve(std::iter::empty(), false)?))
        }
        Content::Scatter { points, .. } => Some((
            panel.x.resolve(points.iter().map(|p| p.0), true)?,
            panel.y.resolve(points.iter().map(|p| p.1), true)?,
        )),
    }
}

/// (from, to, count) of each bar of a histogram.
fn histogram(panel: &Panel) -> Vec<(f64, f64, usize)> {
    let Content::Histogram { values, bins } = &panel.content else { return Vec::new() };
    let bins = (*bins).max(1);
    let Some(axis) = panel.x.resolve(values.iter().copied(), false) else { return Vec::new() };
    let mut counts = vec![0; bins];
    for value in values.iter().filter(|v| v.is_finite()) {
        if let Some(share) = axis.share(*value) {
            counts[((share * bins as f64) as usize).min(bins - 1)] += 1;
        }
    }
    let edge = |k: usize| axis.value(k as f64 / bins as f64);
    counts.into_iter().enumerate().map(|(k, count)| (edge(k), edge(k + 1), count)).collect()
}

/// An entry of a legend, with the sample that is drawn beside its name.
enum Key<'a> {
    Line(&'a Line),
    Band { name: &'a str, color: usize },
}

impl Key<'_> {
    fn name(&self) -> &str {
        match self {
            Key::Line(line) => &line.name,
            Key::Band { name, .. } => name,
        }
    }
}

/// Rows of legend entries, each with its left end.
type Legend<'a> = Vec<Vec<(f64, Key<'a>)>>;

fn legend_rows<'a>(lines: &'a [Line], ground: &'a [Ground], width: f64) -> Legend<'a> {
    let mut rows: Legend<'a> = Vec::new();
    let mut at = 0.0;
    let bands = ground.iter().filter_map(|ground| match ground {
        Ground::Band { name, color, .. } => Some(Key::Band { name, color: *color }),
        Ground::Span { .. } => None,
    });
    for key in lines.iter().map(Key::Line).chain(bands).filter(|key| !key.name().is_empty()) {
        let needed = 34.0 + text_width(key.name(), LABEL) + 18.0;
        if rows.is_empty() || at + needed > width + 18.0 {
            rows.push(Vec::new());
            at = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push((LEFT + at, key));
        }
        at += needed;
    }
    rows
}

fn draw_legend(svg: &mut Svg, rows: &Legend<'_>, top: f64) {
    for (k, row) in rows.iter().enumerate() {
        let y = top + LEGEND_ROW * k as f64;
        for (x, key) in row {
            match key {
                Key::Line(line) => stroke(svg, &[(*x, y), (x + 13.0, y), (x + 26.0, y)], line),
                Key::Band { color, .. } => {
                    svg.fill((*x, y - 5.0), (x + 26.0, y + 5.0), palette::qualitative(*color), BAND);
                }
            }
            svg.text((x + 33.0, y), key.name(), Type::new(LABEL, Anchor::Start));
        }
    }
}

fn stroke(svg: &mut Svg, points: &[Point], line: &Line) {
    let color = palette::qualitative(line.color);
    match line.stroke {
        Stroke::Solid => svg.line(points, color, 1.0, 2.0),
        Stroke::Dashed => svg.dashed(points, color, 2.0),
        Stroke::Wide => svg.line(points, color, 0.3, 5.0),
        Stroke::Faint => svg.line(points, color, 0.4, 1.0),
        Stroke::Dots => {
            for point in points {
                svg.dot(*point, 2.5, color, 0.9);
            }
        }
    }
}

fn draw_ground(svg: &mut Svg, frame: &Frame, ground: &Ground) {
    match ground {
        Ground::Band { color, points, .. } => {
            let finite = |p: &(f64, f64, f64)| p.0.is_finite() && p.1.is_finite() && p.2.is_finite();
            let place = |x: f64, y: f64| frame.at(frame.x.clamped(x), frame.y.clamped(y));
            for run in points.split(|p| !finite(p)).filter(|run| run.len() > 1) {
                let there = run.iter().map(|(x, from, _)| place(*x, *from));
                let back = run.iter().rev().map(|(x, _, to)| place(*x, *to));
                let corners: Vec<Point> = there.chain(back).collect();
                svg.area(&corners, palette::qualitative(*color), BAND);
            }
        }
        Ground::Span { x, label } => {
            let ((left, top), (right, bottom)) =
                (frame.at(frame.x.clamped(x.0), 1.0), frame.at(frame.x.clamped(x.1), 0.0));
            if right - left < 0.5 {
                return;
            }
            svg.fill((left, top), (right, bottom), Color::Ink, 0.08);
            if text_width(label, TICK) > right - left {
                return;
            }
            // Above the frame, so that the label does not cover the data.
            svg.text(((left + right) / 2.0, top - 7.0), label, Type::new(TICK, Anchor::Middle))
        }
    }
}

fn draw_line(svg: &mut Svg, frame: &Frame, line: &Line) {
    let placed: Vec<_> = line.points.iter().map(|p| frame.place(*p)).collect();
    for run in placed.split(Option::is_none) {
        let run: Vec<Point> = run.iter().flatten().copied().collect();
        stroke(svg, &thin(&run), line);
    }
}

/// Drops points closer than a third of a pixel to the last one kept, so that long histories make small files.
fn thin(points: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::new();
    for (k, point) in points.iter().enumerate() {
        let near = kept.last().is_some_and(|last| (last.0 - point.0).hypot(last.1 - point.1) < 0.33);
        if !near || k + 1 == points.len() {
            kept.push(*point);
        }
    }
    kept
}

fn draw_bars(svg: &mut Svg, frame: &Frame, bins: &[(f64, f64, usize)]) {
    for (from, to, count) in bins.iter().filter(|b| b.2 > 0) {
        let (left, top) = frame.at(frame.x.clamped(*from), frame.y.clamped(*count as f64));
        let (right, bottom) = frame.at(frame.x.clamped(*to), 0.0);
        svg.fill((left + 0.5, top), (right - 0.5, bottom), palette::qualitative(0), 0.85);
    }
}

fn draw_cells(svg: &mut Svg, frame: &Frame, (columns, cells): (usize, &[Option<f64>]), scale: &Resolved) {
    let columns = columns.max(1);
    let rows = cells.len().div_ceil(columns).max(1);
    for (k, cell) in cells.iter().enumerate() {
        let Some(value) = cell.filter(|v| v.is_finite()) else { continue };
        let (column, row) = ((k % columns) as f64, (k / columns) as f64);
        let corner = |column: f64, row: f64| frame.at(column / columns as f64, row / rows as f64);
        svg.cell(corner(column, row), corner(column + 1.0, row + 1.0), palette::sequential(scale.clamped(value)));
    }
}

fn draw_grid(svg: &mut Svg, frame: &Frame) {
    for (value, _) in &frame.x.ticks {
        let share = frame.x.clamped(*value);
        svg.line(&[frame.at(share, 0.0), frame.at(share, 1.0)], Color::Ink, 0.08, 1.0);
    }
    for (value, _) in &frame.y.ticks {
        let share = frame.y.clamped(*value);
        svg.line(&[frame.at(0.0, share), frame.at(1.0, share)], Color::Ink, 0.08, 1.0);
    }
}

fn draw_axes(svg: &mut Svg, frame: &Frame, panel: &Panel) {
    svg.line(&[frame.at(0.0, 1.0), frame.at(0.0, 0.0), frame.at(1.0, 0.0)], Color::Ink, 0.55, 1.0);
    for (value, label) in &frame.x.ticks {
        let (x, y) = frame.at(frame.x.clamped(*value), 0.0);
        svg.line(&[(x, y), (x, y + 4.0)], Color::Ink, 0.55, 1.0);
        svg.text((x, y + 13.0), label, Type::new(TICK, Anchor::Middle));
    }
    for (value, label) in &frame.y.ticks {
        let (x, y) = frame.at(0.0, frame.y.clamped(*value));
        svg.line(&[(x - 4.0, y), (x, y)], Color::Ink, 0.55, 1.0);
        svg.text((x - 8.0, y), label, Type::new(TICK, Anchor::End));
    }
    if !panel.x.label.is_empty() {
        let center = ((frame.left + frame.right) / 2.0, frame.bottom + 32.0);
        svg.text(center, &panel.x.label, Type { ink: 1.0, ..Type::new(LABEL, Anchor::Middle) });
    }
    let center = (16.0, (frame.top + frame.bottom) / 2.0);
    svg.text(center, &panel.y.label, Type { upright: true, ink: 1.0, ..Type::new(LABEL, Anchor::Middle) })
}

fn draw_color_bar(svg: &mut Svg, frame: &Frame, axis: &Axis, scale: &Resolved) {
    const STRIPES: usize = 64;
    let (left, right) = (frame.right + 16.0, frame.right + 30.0);
    let y = |share: f64| frame.bottom - share * (frame.bottom - frame.top);
    for k in 0..STRIPES {
        let (low, high) = (k as f64 / STRIPES as f64, (k + 1) as f64 / STRIPES as f64);
        svg.cell((left, y(high)), (right, y(low)), palette::sequential((low + high) / 2.0));
    }
    for (value, label) in &scale.ticks {
        let y = y(scale.clamped(*value));
        svg.line(&[(right, y), (right + 4.0, y)], Color::Ink, 0.55, 1.0);
        svg.text((right + 8.0, y), label, Type::new(TICK, Anchor::Start));
    }
    let middle = (frame.right + COLOR_BAR + 6.0, (frame.top + frame.bottom) / 2.0);
    svg.text(middle, &axis.label, Type { upright: true, ink: 1.0, ..Type::new(LABEL, Anchor::Middle) })
}

fn draw_mark(svg: &mut Svg, frame: &Frame, mark: &Mark) {
    match mark {
        Mark::Vertical { at, label } => {
            let Some(share) = frame.x.share(*at) else { return };
            let (x, top) = frame.at(share, 1.0);
            svg.line(&[(x, top), frame.at(share, 0.0)], Color::Ink, 0.7, 1.2);
            let (x, anchor) = if share > 0.8 { (x - 5.0, Anchor::End) } else { (x + 5.0, Anchor::Start) };
            svg.text((x, top + 8.0), label, Type::new(TICK, anchor))
        }
        Mark::Box { x, y } => {
            let corner = |x: f64, y: f64| frame.at(frame.x.clamped(x), frame.y.clamped(y));
            let path = [corner(x.0, y.0), corner(x.1, y.0), corner(x.1, y.1), corner(x.0, y.1), corner(x.0, y.0)];
            svg.line(&path, Color::Rgb(0, 0, 0), 0.75, 4.0);
            svg.line(&path, Color::Rgb(255, 255, 255), 1.0, 2.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_count_every_value_once() {
        let values: Vec<f64> = (0..500).map(f64::from).collect();
        let content = Content::Histogram { values, bins: 10 };
        let bins = histogram(&Panel::new(200, Axis::linear("v"), Axis::linear("n"), content));
        assert_eq!(bins.iter().map(|b| b.2).sum::<usize>(), 500);
        assert!(bins.iter().all(|b| b.2 == 50), "{bins:?}");
    }

    #[test]
    fn long_legends_wrap() {
        let lines: Vec<_> = (0..12).map(|k| Line::solid(format!("series number {k}"), k, vec![])).collect();
        let rows = legend_rows(&lines, &[], 500.0);
        assert!(rows.len() > 2);
        assert_eq!(rows.iter().map(Vec::len).sum::<usize>(), 12);
    }
}

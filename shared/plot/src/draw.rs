//! Draws figures: lays out titles, legends, axes and colour bars, and puts the data between them.

use super::axis::Resolved;
use super::canvas::{Anchor, Canvas, DrawError, Point, Type, text_width};
use super::palette::{self, INK};
use super::{Axis, Content, Figure, Ground, Line, Mark, Panel, Stroke};
use plotters::style::RGBColor;

const TITLE: f64 = 15.0;
const LABEL: f64 = 12.5;
const TICK: f64 = 11.5;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 18.0;
const COLOUR_BAR: f64 = 84.0;
const LEGEND_ROW: f64 = 20.0;
/// Opacity of a band.
const BAND: f64 = 0.22;
/// How far coloured cells reach under their neighbours, so that a scaled-down page shows no seams.
const SEAM: f64 = 1.5;

pub(super) fn figure(figure: &Figure) -> Result<String, DrawError> {
    let head = if figure.title.is_empty() { 0 } else { 30 };
    let height = head + figure.panels.iter().map(|p| p.height).sum::<u32>();
    Canvas::paint((figure.width, height), &figure.title, |canvas| {
        if head > 0 {
            let style = Type { bold: true, ink: 1.0, ..Type::new(TITLE, Anchor::Start) };
            canvas.text((12.0, 17.0), &figure.title, style)?;
        }
        let mut top = f64::from(head);
        for panel in &figure.panels {
            draw_panel(canvas, panel, f64::from(figure.width), top)?;
            top += f64::from(panel.height);
        }
        Ok(())
    })
}

/// A panel's frame in pixels with its settled axes.
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

fn draw_panel(canvas: &Canvas<'_>, panel: &Panel, width: f64, top: f64) -> Result<(), DrawError> {
    let bottom = top + f64::from(panel.height);
    let legend = match &panel.content {
        Content::Lines(lines) => legend_rows(lines, &panel.ground, width - LEFT - RIGHT),
        _ => Vec::new(),
    };
    let bar = match &panel.content {
        Content::HeatMap { colour, cells, .. } => Some((colour, cells.iter().flatten().copied().collect::<Vec<f64>>())),
        Content::Scatter { colour, points } => Some((colour, points.iter().map(|p| p.2).collect())),
        _ => None,
    };
    let area = Area {
        left: LEFT,
        right: width - RIGHT - if bar.is_some() { COLOUR_BAR } else { 0.0 },
        top: top + 12.0 + LEGEND_ROW * legend.len() as f64,
        bottom: bottom - if panel.x.label.is_empty() { 24.0 } else { 44.0 },
    };
    let bins = histogram(panel);
    let colours = bar.and_then(|(axis, values)| Some((axis, axis.resolve(values.into_iter(), false)?)));
    let axes = settle(panel, &bins);
    let (Some((x, y)), true) =
        (axes, colours.is_some() || !matches!(panel.content, Content::HeatMap { .. } | Content::Scatter { .. }))
    else {
        let centre = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
        return canvas.text(centre, "no finite values to show", Type::new(LABEL, Anchor::Middle));
    };
    let frame = Frame { x, y, left: area.left, right: area.right, top: area.top, bottom: area.bottom };

    draw_legend(canvas, &legend, top + 12.0)?;
    panel.ground.iter().try_for_each(|ground| draw_ground(canvas, &frame, ground))?;
    let over = colours.is_some();
    if !over {
        draw_grid(canvas, &frame, true)?;
    }
    match &panel.content {
        Content::Lines(lines) => lines.iter().try_for_each(|line| draw_line(canvas, &frame, line))?,
        Content::Histogram { .. } => draw_bars(canvas, &frame, &bins)?,
        Content::HeatMap { columns, cells, .. } => {
            if let Some((_, scale)) = &colours {
                draw_cells(canvas, &frame, (*columns, cells), scale)?;
            }
        }
        Content::Scatter { points, .. } => {
            for (x, y, value) in points {
                if let (Some(at), Some((_, scale))) = (frame.place((*x, *y)), &colours) {
                    canvas.dot(at, 3.5, palette::sequential(scale.clamped(*value)), 0.9)?;
                }
            }
        }
    }
    draw_axes(canvas, &frame, panel)?;
    if let Some((axis, scale)) = &colours {
        draw_colour_bar(canvas, &frame, axis, scale)?;
    }
    panel.marks.iter().try_for_each(|mark| draw_mark(canvas, &frame, mark))
}

struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// Both axes for the panel's data; `None` if there is nothing to show.
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

/// An entry of a legend.
enum Key<'a> {
    Line(&'a Line),
    Band { name: &'a str, colour: usize },
}

impl Key<'_> {
    fn name(&self) -> &str {
        match self {
            Key::Line(line) => &line.name,
            Key::Band { name, .. } => name,
        }
    }
}

/// Rows of entries, each with its left end.
type Legend<'a> = Vec<Vec<(f64, Key<'a>)>>;

fn legend_rows<'a>(lines: &'a [Line], ground: &'a [Ground], width: f64) -> Legend<'a> {
    let mut rows: Legend<'a> = Vec::new();
    let mut at = 0.0;
    let bands = ground.iter().filter_map(|ground| match ground {
        Ground::Band { name, colour, .. } => Some(Key::Band { name, colour: *colour }),
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

fn draw_legend(canvas: &Canvas<'_>, rows: &Legend<'_>, top: f64) -> Result<(), DrawError> {
    for (k, row) in rows.iter().enumerate() {
        let y = top + LEGEND_ROW * k as f64;
        for (x, key) in row {
            match key {
                Key::Line(line) => stroke(canvas, &[(*x, y), (x + 13.0, y), (x + 26.0, y)], line)?,
                Key::Band { colour, .. } => {
                    canvas.fill((*x, y - 5.0), (x + 26.0, y + 5.0), palette::qualitative(*colour), BAND)?;
                }
            }
            canvas.text((x + 33.0, y), key.name(), Type::new(LABEL, Anchor::Start))?;
        }
    }
    Ok(())
}

fn stroke(canvas: &Canvas<'_>, points: &[Point], line: &Line) -> Result<(), DrawError> {
    let colour = palette::qualitative(line.colour);
    match line.stroke {
        Stroke::Solid => canvas.line(points, colour, 1.0, 2.0),
        Stroke::Dashed => canvas.dashed(points, colour, 2.0),
        Stroke::Wide => canvas.line(points, colour, 0.3, 5.0),
        Stroke::Faint => canvas.line(points, colour, 0.4, 1.0),
        Stroke::Dots => points.iter().try_for_each(|p| canvas.dot(*p, 2.5, colour, 0.9)),
    }
}

fn draw_ground(canvas: &Canvas<'_>, frame: &Frame, ground: &Ground) -> Result<(), DrawError> {
    match ground {
        Ground::Band { colour, points, .. } => {
            let finite = |p: &(f64, f64, f64)| p.0.is_finite() && p.1.is_finite() && p.2.is_finite();
            let place = |x: f64, y: f64| frame.at(frame.x.clamped(x), frame.y.clamped(y));
            for run in points.split(|p| !finite(p)).filter(|run| run.len() > 1) {
                let there = run.iter().map(|(x, from, _)| place(*x, *from));
                let back = run.iter().rev().map(|(x, _, to)| place(*x, *to));
                let corners: Vec<Point> = there.chain(back).collect();
                canvas.area(&corners, palette::qualitative(*colour), BAND)?;
            }
            Ok(())
        }
        Ground::Span { x, label } => {
            let ((left, top), (right, bottom)) =
                (frame.at(frame.x.clamped(x.0), 1.0), frame.at(frame.x.clamped(x.1), 0.0));
            if right - left < 0.5 {
                return Ok(());
            }
            canvas.fill((left, top), (right, bottom), INK, 0.08)?;
            if text_width(label, TICK) > right - left {
                return Ok(());
            }
            // Above the frame: within it the label would lie on the data.
            canvas.text(((left + right) / 2.0, top - 7.0), label, Type::new(TICK, Anchor::Middle))
        }
    }
}

fn draw_line(canvas: &Canvas<'_>, frame: &Frame, line: &Line) -> Result<(), DrawError> {
    let placed: Vec<_> = line.points.iter().map(|p| frame.place(*p)).collect();
    for run in placed.split(Option::is_none) {
        let run: Vec<Point> = run.iter().flatten().copied().collect();
        stroke(canvas, &thin(&run), line)?;
    }
    Ok(())
}

/// Drops points closer than a third of a pixel to the last one kept: long histories stay small files.
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

fn draw_bars(canvas: &Canvas<'_>, frame: &Frame, bins: &[(f64, f64, usize)]) -> Result<(), DrawError> {
    for (from, to, count) in bins.iter().filter(|b| b.2 > 0) {
        let (left, top) = frame.at(frame.x.clamped(*from), frame.y.clamped(*count as f64));
        let (right, bottom) = frame.at(frame.x.clamped(*to), 0.0);
        canvas.fill((left + 0.5, top), (right - 0.5, bottom), palette::qualitative(0), 0.85)?;
    }
    Ok(())
}

fn draw_cells(
    canvas: &Canvas<'_>,
    frame: &Frame,
    (columns, cells): (usize, &[Option<f64>]),
    scale: &Resolved,
) -> Result<(), DrawError> {
    let columns = columns.max(1);
    let rows = cells.len().div_ceil(columns).max(1);
    // From the top, each cell reaching a little under its neighbours, so that no seam shows between them.
    for (k, cell) in cells.iter().enumerate().rev() {
        let Some(value) = cell.filter(|v| v.is_finite()) else { continue };
        let (column, row) = ((k % columns) as f64, (k / columns) as f64);
        let (left, bottom) = frame.at(column / columns as f64, row / rows as f64);
        let (right, top) = frame.at((column + 1.0) / columns as f64, (row + 1.0) / rows as f64);
        let filled = |at: Option<usize>| at.and_then(|k| cells.get(k)).is_some_and(|c| c.is_some_and(f64::is_finite));
        let under = if k % columns > 0 && filled(k.checked_sub(1)) { SEAM } else { 0.0 };
        let below = if filled(k.checked_sub(columns)) { SEAM } else { 0.0 };
        canvas.fill((left - under, top), (right, bottom + below), palette::sequential(scale.clamped(value)), 1.0)?;
    }
    Ok(())
}

fn draw_grid(canvas: &Canvas<'_>, frame: &Frame, horizontal: bool) -> Result<(), DrawError> {
    for (value, _) in &frame.x.ticks {
        let share = frame.x.clamped(*value);
        canvas.line(&[frame.at(share, 0.0), frame.at(share, 1.0)], INK, 0.08, 1.0)?;
    }
    for (value, _) in frame.y.ticks.iter().filter(|_| horizontal) {
        let share = frame.y.clamped(*value);
        canvas.line(&[frame.at(0.0, share), frame.at(1.0, share)], INK, 0.08, 1.0)?;
    }
    Ok(())
}

fn draw_axes(canvas: &Canvas<'_>, frame: &Frame, panel: &Panel) -> Result<(), DrawError> {
    canvas.line(&[frame.at(0.0, 1.0), frame.at(0.0, 0.0), frame.at(1.0, 0.0)], INK, 0.55, 1.0)?;
    for (value, label) in &frame.x.ticks {
        let (x, y) = frame.at(frame.x.clamped(*value), 0.0);
        canvas.line(&[(x, y), (x, y + 4.0)], INK, 0.55, 1.0)?;
        canvas.text((x, y + 13.0), label, Type::new(TICK, Anchor::Middle))?;
    }
    for (value, label) in &frame.y.ticks {
        let (x, y) = frame.at(0.0, frame.y.clamped(*value));
        canvas.line(&[(x - 4.0, y), (x, y)], INK, 0.55, 1.0)?;
        canvas.text((x - 8.0, y), label, Type::new(TICK, Anchor::End))?;
    }
    if !panel.x.label.is_empty() {
        let centre = ((frame.left + frame.right) / 2.0, frame.bottom + 32.0);
        canvas.text(centre, &panel.x.label, Type { ink: 1.0, ..Type::new(LABEL, Anchor::Middle) })?;
    }
    let centre = (16.0, (frame.top + frame.bottom) / 2.0);
    canvas.text(centre, &panel.y.label, Type { upright: true, ink: 1.0, ..Type::new(LABEL, Anchor::Middle) })
}

fn draw_colour_bar(canvas: &Canvas<'_>, frame: &Frame, axis: &Axis, scale: &Resolved) -> Result<(), DrawError> {
    const STRIPES: usize = 64;
    let (left, right) = (frame.right + 16.0, frame.right + 30.0);
    let y = |share: f64| frame.bottom - share * (frame.bottom - frame.top);
    for k in (0..STRIPES).rev() {
        let (low, high) = (k as f64 / STRIPES as f64, (k + 1) as f64 / STRIPES as f64);
        let under = if k > 0 { SEAM } else { 0.0 };
        canvas.fill((left, y(high)), (right, y(low) + under), palette::sequential((low + high) / 2.0), 1.0)?;
    }
    for (value, label) in &scale.ticks {
        let y = y(scale.clamped(*value));
        canvas.line(&[(right, y), (right + 4.0, y)], INK, 0.55, 1.0)?;
        canvas.text((right + 8.0, y), label, Type::new(TICK, Anchor::Start))?;
    }
    let middle = (frame.right + COLOUR_BAR + 6.0, (frame.top + frame.bottom) / 2.0);
    canvas.text(middle, &axis.label, Type { upright: true, ink: 1.0, ..Type::new(LABEL, Anchor::Middle) })
}

fn draw_mark(canvas: &Canvas<'_>, frame: &Frame, mark: &Mark) -> Result<(), DrawError> {
    match mark {
        Mark::Vertical { at, label } => {
            let Some(share) = frame.x.share(*at) else { return Ok(()) };
            let (x, top) = frame.at(share, 1.0);
            canvas.line(&[(x, top), frame.at(share, 0.0)], INK, 0.7, 1.2)?;
            let (x, anchor) = if share > 0.8 { (x - 5.0, Anchor::End) } else { (x + 5.0, Anchor::Start) };
            canvas.text((x, top + 8.0), label, Type::new(TICK, anchor))
        }
        Mark::Box { x, y } => {
            let corner = |x: f64, y: f64| frame.at(frame.x.clamped(x), frame.y.clamped(y));
            let path = [corner(x.0, y.0), corner(x.1, y.0), corner(x.1, y.1), corner(x.0, y.1), corner(x.0, y.0)];
            canvas.line(&path, RGBColor(0, 0, 0), 0.75, 4.0)?;
            canvas.line(&path, RGBColor(255, 255, 255), 1.0, 2.0)
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

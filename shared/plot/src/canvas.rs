//! A drawing surface in pixels over plotters' SVG backend.
//!
//! The backend rounds to whole units, so the drawing is made eight units to the pixel and shown scaled down: curves
//! stay smooth. Text stays text, in the page's own font, and ink takes the page's colour in light and dark mode.

use super::palette::INK;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Units of the SVG's view box per pixel.
const UNITS: f64 = 8.0;

/// Errors of the drawing library.
pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// Horizontal anchor of a text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    pub size: f64,
    pub anchor: Anchor,
    pub bold: bool,
    /// Reads from bottom to top.
    pub upright: bool,
    /// 1 is full ink.
    pub ink: f64,
}

impl Type {
    pub fn new(size: f64, anchor: Anchor) -> Self {
        Self { size, anchor, bold: false, upright: false, ink: 0.85 }
    }
}

/// A position in pixels, from the upper left corner.
pub(super) type Point = (f64, f64);

pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl Canvas<'_> {
    /// Draws an image of that size and returns its SVG text, with `title` for readers that cannot see it.
    pub fn paint(
        (width, height): (u32, u32),
        title: &str,
        draw: impl FnOnce(&Canvas<'_>) -> Result<(), DrawError>,
    ) -> Result<String, DrawError> {
        let mut text = String::new();
        let units = UNITS as u32;
        {
            let backend = SVGBackend::with_string(&mut text, (width * units, height * units));
            let canvas = Canvas { area: backend.into_drawing_area() };
            draw(&canvas)?;
            canvas.area.present()?;
        }
        let opening = text.find('>').map_or(0, |at| at + 1);
        let (w, h) = (width * units, height * units);
        let mut svg = format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {w} {h}\" role=\"img\" \
             xmlns=\"http://www.w3.org/2000/svg\"><title>{}</title>",
            crate::escape(title)
        );
        let RGBColor(r, g, b) = INK;
        svg.push_str(&text[opening..].replace(&format!("#{r:02X}{g:02X}{b:02X}"), "currentColor"));
        Ok(svg)
    }

    pub fn line(&self, points: &[Point], colour: RGBColor, alpha: f64, width: f64) -> Result<(), DrawError> {
        if points.len() < 2 {
            return Ok(());
        }
        let path: Vec<_> = points.iter().map(|p| units(*p)).collect();
        self.area.draw(&PathElement::new(path, stroke(colour, alpha, width)))
    }

    pub fn dashed(&self, points: &[Point], colour: RGBColor, width: f64) -> Result<(), DrawError> {
        for dash in dashes(points, 6.0, 4.0) {
            self.line(&dash, colour, 1.0, width)?;
        }
        Ok(())
    }

    pub fn fill(&self, from: Point, to: Point, colour: RGBColor, alpha: f64) -> Result<(), DrawError> {
        self.area.draw(&Rectangle::new([units(from), units(to)], colour.mix(alpha).filled()))
    }

    /// Fills a polygon.
    pub fn area(&self, corners: &[Point], colour: RGBColor, alpha: f64) -> Result<(), DrawError> {
        let corners: Vec<_> = corners.iter().map(|p| units(*p)).collect();
        self.area.draw(&Polygon::new(corners, colour.mix(alpha).filled()))
    }

    pub fn dot(&self, at: Point, radius: f64, colour: RGBColor, alpha: f64) -> Result<(), DrawError> {
        self.area.draw(&Circle::new(units(at), (radius * UNITS) as i32, colour.mix(alpha).filled()))
    }

    pub fn text(&self, at: Point, text: &str, how: Type) -> Result<(), DrawError> {
        let horizontal = match how.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        // The backend divides font sizes by 1.24.
        let font = ("sans-serif", how.size * UNITS * 1.24).into_font();
        let font = if how.bold { font.style(FontStyle::Bold) } else { font };
        let font = if how.upright { font.transform(FontTransform::Rotate270) } else { font };
        let ink = INK.mix(how.ink);
        let style = TextStyle::from(font).color(&ink).pos(Pos::new(horizontal, VPos::Center));
        self.area.draw(&Text::new(text.to_owned(), units(at), style))
    }
}

/// About how wide a text is set, in pixels. There is no font to ask: the reader's browser chooses it.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}

fn units((x, y): Point) -> (i32, i32) {
    ((x * UNITS).round() as i32, (y * UNITS).round() as i32)
}

fn stroke(colour: RGBColor, alpha: f64, width: f64) -> ShapeStyle {
    colour.mix(alpha).stroke_width((width * UNITS).round().max(1.0) as u32)
}

/// Cuts a path into dashes of length `on`, `off` apart.
fn dashes(points: &[Point], on: f64, off: f64) -> Vec<Vec<Point>> {
    let mut dashes = Vec::new();
    let mut dash = Vec::from_iter(points.first().copied());
    let (mut drawing, mut left) = (true, on);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length < left {
                left -= length;
                if drawing {
                    dash.push(to);
                }
                break;
            }
            let share = left / length;
            from = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            if drawing {
                dash.push(from);
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash = vec![from];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
    }
    if drawing && dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_follow_corners_and_cover_their_share() {
        let cut = dashes(&[(0.0, 0.0), (50.0, 0.0), (50.0, 47.0)], 6.0, 4.0);
        let drawn: f64 = cut.iter().flat_map(|d| d.windows(2)).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum();
        assert_eq!(cut.len(), 10);
        assert!((drawn - 60.0).abs() < 1e-9);
        assert!(dashes(&[], 6.0, 4.0).is_empty());
    }
}

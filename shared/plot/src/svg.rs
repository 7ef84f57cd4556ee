//! SVG text: the few shapes that figures are made of.
//!
//! Coordinates are pixels from the upper left corner. Text stays text, in the page's own font, and ink takes the page's
//! color in light and dark mode.

use crate::palette::Color;
use std::fmt::{self, Display, Write};

/// A position in pixels, from the upper left corner.
pub(crate) type Point = (f64, f64);

/// Horizontal anchor of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type {
    pub size: f64,
    pub anchor: Anchor,
    pub bold: bool,
    /// Reads from bottom to top.
    pub upright: bool,
    /// Opacity; 1 is full ink.
    pub ink: f64,
}

impl Type {
    pub fn new(size: f64, anchor: Anchor) -> Self {
        Self { size, anchor, bold: false, upright: false, ink: 0.85 }
    }
}

/// An SVG document that grows shape by shape.
pub(crate) struct Svg(String);

// Writing to a `String` cannot fail.
impl Svg {
    /// An empty document of a size in pixels, with `title` for readers that cannot see it.
    pub fn new((width, height): (u32, u32), title: &str) -> Self {
        let title = escape(title);
        Svg(format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             font-family=\"sans-serif\" stroke-linejoin=\"round\" xmlns=\"http://www.w3.org/2000/svg\"><title>{title}</title>\n"
        ))
    }

    /// The document's text.
    pub fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    /// A line through points.
    pub fn line(&mut self, points: &[Point], color: Color, opacity: f64, width: f64) {
        self.path(points, color, opacity, width, "");
    }

    /// A dashed line through points.
    pub fn dashed(&mut self, points: &[Point], color: Color, width: f64) {
        self.path(points, color, 1.0, width, " stroke-dasharray=\"6 4\"");
    }

    fn path(&mut self, points: &[Point], color: Color, opacity: f64, width: f64, dashes: &str) {
        if points.len() > 1 {
            let (points, opacity) = (Points(points), Opacity(opacity));
            _ = writeln!(
                self.0,
                "<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"{opacity}{dashes}/>"
            );
        }
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, from: Point, to: Point, color: Color, opacity: f64) {
        self.rectangle(from, to, color, opacity, "");
    }

    /// Fills a rectangle whose edges are whole pixels: neighbors show no seam.
    pub fn cell(&mut self, from: Point, to: Point, color: Color) {
        self.rectangle(from, to, color, 1.0, " shape-rendering=\"crispEdges\"");
    }

    fn rectangle(&mut self, from: Point, to: Point, color: Color, opacity: f64, edges: &str) {
        // Of edges that are rounded already: a neighbor's left edge is exactly this one's right edge.
        let ((left, top), (right, bottom)) = ((round(from.0), round(from.1)), (round(to.0), round(to.1)));
        let (x, y) = (Pixels(left.min(right)), Pixels(top.min(bottom)));
        let (width, height) = (Pixels((right - left).abs()), Pixels((bottom - top).abs()));
        let opacity = Opacity(opacity);
        _ = writeln!(
            self.0,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{color}\"{opacity}{edges}/>"
        );
    }

    /// Fills a polygon.
    pub fn area(&mut self, corners: &[Point], color: Color, opacity: f64) {
        let (corners, opacity) = (Points(corners), Opacity(opacity));
        _ = writeln!(self.0, "<polygon points=\"{corners}\" fill=\"{color}\"{opacity}/>");
    }

    /// A filled circle.
    pub fn dot(&mut self, (x, y): Point, radius: f64, color: Color, opacity: f64) {
        let (x, y, opacity) = (Pixels(x), Pixels(y), Opacity(opacity));
        _ = writeln!(self.0, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{color}\"{opacity}/>");
    }

    /// A line of text around the height of `at`.
    pub fn text(&mut self, at: Point, text: &str, how: Type) {
        let (x, y, text) = (Pixels(at.0), Pixels(at.1), escape(text));
        let (size, opacity) = (how.size, Opacity(how.ink));
        let anchor = match how.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let bold = if how.bold { " font-weight=\"bold\"" } else { "" };
        let turn = if how.upright { format!(" transform=\"rotate(270 {x} {y})\"") } else { String::new() };
        _ = writeln!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" dy=\"0.5ex\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
             fill=\"{}\"{opacity}{bold}{turn}>{text}</text>",
            Color::Ink
        );
    }
}

/// A length or coordinate to a hundredth of a pixel.
struct Pixels(f64);

impl Display for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        round(self.0).fmt(f)
    }
}

/// To a hundredth. Zero has no sign.
fn round(pixels: f64) -> f64 {
    (pixels * 100.0).round() / 100.0 + 0.0
}

/// The attribute of an opacity, which is left out where there is nothing to see through.
struct Opacity(f64);

impl Display for Opacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1.0 { write!(f, " opacity=\"{}\"", self.0) } else { Ok(()) }
    }
}

/// The points of a line.
struct Points<'a>(&'a [Point]);

impl Display for Points<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, (x, y)) in self.0.iter().enumerate() {
            let space = if k == 0 { "" } else { " " };
            write!(f, "{space}{},{}", Pixels(*x), Pixels(*y))?;
        }
        Ok(())
    }
}

/// About how wide a text is set, in pixels. There is no font to ask: the reader's browser chooses it.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}

/// Text as HTML or SVG: nothing in it can be markup.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_have_no_negative_zero() {
        let mut svg = Svg::new((10, 20), "a \"title\" & more");
        svg.line(&[(-0.001, 1.0 / 3.0), (2.0, 4.5)], Color::Rgb(0, 0x72, 0xB2), 1.0, 2.0);
        svg.line(&[(1.0, 1.0)], Color::Ink, 1.0, 2.0);
        let text = svg.finish();
        assert!(text.contains("points=\"0,0.33 2,4.5\" fill=\"none\" stroke=\"#0072B2\""), "{text}");
        assert_eq!(text.matches("<polyline").count(), 1, "a point is not a line");
        assert!(text.contains("<title>a &quot;title&quot; &amp; more</title>"), "{text}");
    }

    #[test]
    fn dashes_are_drawn_along_one_line() {
        let mut svg = Svg::new((60, 60), "");
        svg.dashed(&[(0.0, 0.0), (50.0, 0.0), (50.0, 47.0)], Color::Ink, 2.0);
        svg.dashed(&[], Color::Ink, 2.0);
        let text = svg.finish();
        assert_eq!(text.matches("<polyline").count(), 1);
        assert!(text.contains("points=\"0,0 50,0 50,47\"") && text.contains("stroke-dasharray=\"6 4\""), "{text}");
    }
}

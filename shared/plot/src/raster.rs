//! PNG images of SVG text.

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{self, Options, Tree};
use std::sync::Arc;

/// Why there is no image of a figure.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A defect of this crate.
    #[error("the SVG text of a figure is not well-formed: {0}; report this as a defect")]
    Text(#[from] usvg::Error),
    /// No pixels, or too many.
    #[error("an image of {0} x {1} pixels cannot be made")]
    Size(f32, f32),
    /// The pixels cannot be written as PNG.
    #[error("the image cannot be encoded: {0}")]
    Encode(String),
}

/// Replaces superscripts by raised digits: the font has no superscripts of its own.
fn raised(svg: &str) -> String {
    const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";
    let (mut out, mut inside) = (String::new(), false);
    for c in svg.chars() {
        let plain = SUPERSCRIPTS.chars().position(|s| s == c).and_then(|at| "0123456789\u{2212}".chars().nth(at));
        if plain.is_some() != inside {
            inside = plain.is_some();
            out.push_str(if inside { "<tspan baseline-shift=\"super\" font-size=\"70%\">" } else { "</tspan>" });
        }
        out.push(plain.unwrap_or(c));
    }
    out
}

/// Renders SVG text on white, in a font that is part of the program, so that the machine needs none.
pub(crate) fn png(svg: &str, scale: f32) -> Result<Vec<u8>, PlotError> {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(notosans::REGULAR_TTF.to_vec());
    fonts.load_font_data(notosans::BOLD_TTF.to_vec());
    fonts.set_sans_serif_family("Noto Sans");
    let tree = Tree::from_str(&raised(svg), &Options { fontdb: Arc::new(fonts), ..Options::default() })?;
    let (width, height) = (tree.size().width() * scale, tree.size().height() * scale);
    let mut image = Pixmap::new(width.round() as u32, height.round() as u32).ok_or(PlotError::Size(width, height))?;
    image.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut image.as_mut());
    image.encode_png().map_err(|error| PlotError::Encode(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::raised;

    #[test]
    fn exponents_are_raised_and_nothing_else_changes() {
        assert_eq!(raised("<text>a < 5</text>"), "<text>a < 5</text>");
        let exponent = "<tspan baseline-shift=\"super\" font-size=\"70%\">\u{2212}12</tspan>";
        assert_eq!(raised("10⁻¹² and"), format!("10{exponent} and"));
    }
}

//! Contact sheets: rows of small images, as PNG or as SVG with the names of the rows.

use crate::dataset::Images;
use crate::report::ReportError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sirocco_plot::escape;
use std::fmt::Write as _;
use std::path::Path;

/// Rows of images, all of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// What it shows.
    pub title: String,
    /// Names of the rows and their images.
    pub rows: Vec<(String, Images)>,
}

/// Pixels between two images.
const GAP: usize = 2;
/// Side of an image on the screen, at least.
const SIDE: usize = 48;
/// Width of the names in an SVG, in pixels.
const NAMES: usize = 150;

/// A sheet's pixels, red, green and blue.
struct Raster {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Sheet {
    /// Writes a file: SVG if its name ends so, PNG otherwise.
    ///
    /// # Errors
    /// [`ReportError::Write`] if the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), ReportError> {
        let is_svg = file.extension().is_some_and(|e| e.eq_ignore_ascii_case("svg"));
        let bytes = if is_svg { self.svg()?.into_bytes() } else { self.png()? };
        Ok(crate::host::atomic::write(file, &bytes)?)
    }

    /// As PNG, enlarged by a whole number. Names are left out.
    ///
    /// # Errors
    /// [`ReportError::Png`] if there are no images.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        self.raster(self.scale()).png(&self.title)
    }

    /// As SVG text, which stands alone as a file and inline in a page alike.
    ///
    /// # Errors
    /// [`ReportError::Png`] if there are no images.
    pub fn svg(&self) -> Result<String, ReportError> {
        let (small, scale) = (self.raster(1), self.scale());
        let (width, height) = (small.width * scale, small.height * scale);
        let title = escape(&self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" width=\"{}\" height=\"{height}\" \
             role=\"img\">\n<title>{title}</title>\n",
            NAMES + width,
            NAMES + width
        );
        let step = height as f64 / self.rows.len().max(1) as f64;
        for (k, (name, _)) in self.rows.iter().enumerate() {
            let (x, y, name) = (NAMES - 8, (k as f64 + 0.5) * step, escape(name));
            // Writing to a string cannot fail.
            _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\" dominant-baseline=\"middle\" fill=\"currentColor\" \
                 font-family=\"sans-serif\" font-size=\"13\">{name}</text>"
            );
        }
        let png = STANDARD.encode(small.png(&self.title)?);
        _ = writeln!(
            svg,
            "<image x=\"{NAMES}\" width=\"{width}\" height=\"{height}\" style=\"image-rendering: pixelated\" \
             href=\"data:image/png;base64,{png}\"/>\n</svg>"
        );
        Ok(svg)
    }

    /// How much larger than its pixels an image is shown.
    fn scale(&self) -> usize {
        let widest = self.rows.iter().map(|(_, images)| images.width).max().unwrap_or(1);
        SIDE.div_ceil(widest.max(1))
    }

    fn raster(&self, scale: usize) -> Raster {
        let [_, height, width] = self.rows.first().map_or([1, 0, 0], |(_, images)| images.shape());
        let columns = self.rows.iter().map(|(_, images)| images.len()).max().unwrap_or(0);
        let gap = GAP.div_ceil(scale);
        let (down, across) = (height + gap, width + gap);
        let size = [self.rows.len() * down, columns * across].map(|side| side * scale);
        let mut raster = Raster { width: size[1], height: size[0], rgb: vec![255; 3 * size[0] * size[1]] };
        for (row, (_, images)) in self.rows.iter().enumerate() {
            for column in 0..images.len() {
                let image = images.image(column);
                for at in 0..height * scale * width * scale {
                    let (y, x) = (at / (width * scale), at % (width * scale));
                    let pixel = (y / scale) * width + x / scale;
                    let to = (row * down * scale + y) * raster.width + column * across * scale + x;
                    let channel =
                        |c: usize| image[if images.channels == 3 { c * height * width + pixel } else { pixel }];
                    let rgb = [0, 1, 2].map(|c| (255.0 * channel(c).clamp(0.0, 1.0)).round() as u8);
                    raster.rgb[3 * to..][..3].copy_from_slice(&rgb);
                }
            }
        }
        raster
    }
}

impl Raster {
    fn png(&self, title: &str) -> Result<Vec<u8>, ReportError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder
            .add_itxt_chunk("Title".into(), title.into())
            .and_then(|()| encoder.write_header()?.write_image_data(&self.rgb));
        written.map_err(|source| ReportError::Png { title: title.into(), source })?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of one and two images of 2 x 1, the second one with a pixel beyond white.
    fn sheet() -> Sheet {
        let images = |pixels: &[f32]| Images::new([1, 1, 2], pixels.to_vec(), vec![0; pixels.len() / 2], 1).unwrap();
        let rows = vec![("a <b>".to_string(), images(&[0.0, 0.5])), ("c".to_string(), images(&[1.0, -1.0, 9.0, 0.2]))];
        Sheet { title: "T & U".into(), rows }
    }

    fn decoded(png: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, info.height, rgb)
    }

    #[test]
    fn every_pixel_is_where_it_should_be() {
        let (width, height, rgb) = decoded(&sheet().raster(1).png("").unwrap());
        assert_eq!((width, height), (8, 6));
        let at = |row: usize, column: usize| rgb[3 * (row * 8 + column)];
        assert_eq!([at(0, 0), at(0, 1), at(0, 4)], [0, 128, 255], "and nothing beside a short row");
        assert_eq!([at(3, 0), at(3, 1), at(3, 4), at(3, 5)], [255, 0, 255, 51]);
        assert_eq!([at(1, 0), at(0, 2)], [255, 255], "gaps");
        let (large, _, rgb) = decoded(&sheet().png().unwrap());
        assert_eq!((large, rgb[3 * 23], rgb[3 * 24]), (2 * 3 * 24, 0, 128), "24 times as large");
    }

    #[test]
    fn color_comes_from_planes() {
        let color = Images::new([3, 1, 1], vec![1.0, 0.4, 0.0], vec![0], 1).unwrap();
        let sheet = Sheet { title: String::new(), rows: vec![(String::new(), color)] };
        assert_eq!(sheet.raster(1).rgb[..3], [255, 102, 0]);
    }

    #[test]
    fn an_svg_holds_names_and_the_image_itself() {
        let svg = sheet().svg().unwrap();
        assert!(svg.contains("a &lt;b&gt;") && svg.contains("<title>T &amp; U</title>"), "{svg}");
        let data = svg.split_once("base64,").unwrap().1.split_once('"').unwrap().0;
        assert_eq!(decoded(&STANDARD.decode(data).unwrap()).2, sheet().raster(1).rgb);
    }

    #[test]
    fn files_are_what_they_are_called_and_nothing_is_no_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        sheet().write(&path("a.SVG")).unwrap();
        sheet().write(&path("a.png")).unwrap();
        assert!(std::fs::read_to_string(path("a.SVG")).unwrap().starts_with("<svg"));
        assert!(std::fs::read(path("a.png")).unwrap().starts_with(b"\x89PNG"));
        let empty = Sheet { title: "none".into(), rows: Vec::new() };
        assert!(matches!(empty.png().unwrap_err(), ReportError::Png { .. }));
    }
}

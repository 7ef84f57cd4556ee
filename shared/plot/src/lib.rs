//! Plots as SVG text and PNG images: lines, histograms, heat maps and scatter plots, one or several panels above one
//! another.
//!
//! A [`Figure`] is plain data; [`Figure::svg`] draws it. The text stands alone as a file and inline in a page alike.

mod axis;
mod draw;
mod figure;
pub mod palette;
#[cfg(feature = "png")]
mod raster;
mod svg;

pub use axis::{Axis, Scale};
pub use figure::{Content, Figure, Ground, Line, Mark, Panel, Stroke};
#[cfg(feature = "png")]
pub use raster::PlotError;
pub use svg::escape;

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that tags are balanced and attributes quoted: what a browser needs to show it inline.
    fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        let mut rest = svg;
        while let Some(at) = rest.find('<') {
            let end = at + rest[at..].find('>').expect("every tag ends");
            let tag = &rest[at + 1..end];
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            assert!(!tag.contains("NaN") && !tag.contains("inf"), "{tag}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap());
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty(), "{open:?}");
    }

    fn wave(phase: f64) -> Vec<(f64, f64)> {
        (0..100).map(|k| f64::from(k) * 0.2).map(|t| (t, (t + phase).sin())).collect()
    }

    #[test]
    fn lines_have_legend_labels_and_ink_of_the_page() {
        let lines = vec![Line::solid("S < 1 & more", 0, wave(0.0)), Line::dashed("reference", 1, wave(0.1))];
        let panel = Panel::new(300, Axis::linear("time (days)"), Axis::linear("share (1)"), Content::Lines(lines));
        let svg = Figure::single("Waves", 640, panel).svg();
        assert_well_formed(&svg);
        for expected in ["time (days)", "share (1)", "S &lt; 1 &amp; more", "reference", "<title>Waves</title>"] {
            assert!(svg.contains(expected), "{expected}");
        }
        assert!(svg.contains("currentColor") && !svg.contains("#000000"));
        assert!(svg.contains("<text") && !svg.contains("<image"));
    }

    #[test]
    fn bands_and_spans_lie_beneath_the_lines() {
        let band = |points| Ground::Band { name: "two standard errors".into(), color: 0, points };
        let wide = wave(0.0).into_iter().map(|(t, v)| (t, v - 3.0, v + 3.0)).collect();
        let gap = vec![(0.0, 0.0, 1.0), (1.0, 0.0, f64::NAN), (2.0, 0.0, 1.0)];
        let span = |x, label: &str| Ground::Span { x, label: label.into() };
        let line = Content::Lines(vec![Line::solid("I", 0, wave(0.0))]);
        let ground = [band(wide), band(gap), span((15.0, 99.0), "outside"), span((40.0, 50.0), "off the axis")];
        let panel = Panel::new(300, Axis::linear("t"), Axis::linear("v"), line).on(ground);
        let svg = Figure::single("ground", 640, panel).svg();
        assert_well_formed(&svg);
        // The band of one point on either side of its gap has no area.
        assert_eq!(svg.matches("<polygon").count(), 1);
        assert!(svg.contains("two standard errors") && svg.contains(">outside</text>"), "{svg}");
        assert!(!svg.contains("off the axis"));
        let (band, line) = (svg.find("<polygon").unwrap(), svg.rfind("<polyline").unwrap());
        assert!(band < line);
        // The axis has room for the band: its ticks go beyond those of the line.
        assert!(svg.contains(">4<") || svg.contains(">2<"), "{svg}");
    }

    #[cfg(feature = "png")]
    #[test]
    fn a_png_shows_lines_and_letters_on_white() {
        let line = Content::Lines(vec![Line::solid("I", 0, wave(0.0))]);
        let figure = Figure::single("Title", 320, Panel::new(170, Axis::linear("t"), Axis::linear("v"), line));
        let bytes = figure.png(2.0).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (640, 400));
        let ink = |x: std::ops::Range<usize>, y: std::ops::Range<usize>| {
            let at = |x: usize, y: usize| &pixels[4 * (y * 640 + x)..][..4];
            let all = y.flat_map(|y| x.clone().map(move |x| (x, y)));
            all.filter(|(x, y)| at(*x, *y) != [255; 4]).count()
        };
        assert_eq!(ink(0..20, 380..400), 0, "white paper");
        assert!(ink(20..120, 10..60) > 100, "the title's letters");
        let blue = pixels.chunks(4).filter(|p| **p == [0x00, 0x72, 0xB2, 0xFF]).count();
        assert!(blue > 500, "{blue} pixels of the line's color");
    }

    #[test]
    fn bad_numbers_leave_gaps_and_never_reach_the_file() {
        let points = vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.0), (3.0, -1.0), (4.0, f64::INFINITY), (5.0, 1e-9)];
        let panel =
            Panel::new(200, Axis::linear("x"), Axis::log("y"), Content::Lines(vec![Line::solid("a", 0, points)]));
        assert_well_formed(&Figure::single("gaps", 400, panel).svg());
        let nothing = Content::Histogram { values: vec![f64::NAN], bins: 10 };
        let svg = Figure::single("n", 400, Panel::new(200, Axis::log("e"), Axis::linear("n"), nothing)).svg();
        assert_well_formed(&svg);
        assert!(svg.contains("no finite values"));
    }

    #[test]
    fn maps_have_a_color_bar_and_their_box() {
        let cells: Vec<_> = (0..100).map(|k| (k % 7 != 0).then_some(-f64::from(k))).collect();
        let axes = || (Axis::linear("I0").over(0.1, 0.5), Axis::linear("R0").over(0.0, 0.4));
        let (x, y) = axes();
        let heat = Content::HeatMap { columns: 10, cells, color: Axis::linear("LogLoss") };
        let panel = Panel::new(400, x, y, heat).mark(Mark::Box { x: (0.2, 0.4), y: (0.1, 0.3) });
        let svg = Figure::single("map", 520, panel).svg();
        assert_well_formed(&svg);
        assert!(svg.contains("LogLoss") && svg.contains("#FFFFFF"));
        assert!(svg.matches("<rect").count() >= 100 - 15);

        let (x, y) = axes();
        let points = (0..50).map(|k| f64::from(k) / 50.0).map(|s| (0.1 + 0.4 * s, 0.2, s)).collect();
        let scatter = Content::Scatter { points, color: Axis::linear("value") };
        let svg = Figure::single("points", 520, Panel::new(400, x, y, scatter)).svg();
        assert_well_formed(&svg);
        assert_eq!(svg.matches("<circle").count(), 50);
    }

    #[test]
    fn a_histogram_counts_every_value_once() {
        let values: Vec<f64> = (1..=1000).map(|k| f64::from(k) * 1e-6).collect();
        let panel =
            Panel::new(300, Axis::log("error (1)"), Axis::linear("queries"), Content::Histogram { values, bins: 20 })
                .mark(Mark::Vertical { at: 5e-4, label: "median".into() });
        let svg = Figure::single("errors", 640, panel).svg();
        assert_well_formed(&svg);
        assert!(svg.contains("median"));
    }
}

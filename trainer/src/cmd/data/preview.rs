//! `data preview`

use crate::cmd::error::Error;
use crate::cmd::image::shifting::Shifting;
use crate::cmd::options::Place;
use crate::cmd::output::Output;
use crate::cmd::reading::ReadingOptions;
use crate::dataset::images::permutation;
use crate::dataset::{Collection, Images, Split};
use crate::image::sheet::Sheet;
use crate::image::shift::{self, Shift};
use candle_core::Device;
use serde::Serialize;
use std::path::PathBuf;

/// Draw a contact sheet of a data set: a row for every class, or for every shift
///
/// Use it to see what a shift does to images before training with it. Writes one picture.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data preview mnist --data data --out mnist.png\n  \
                        sirocco-train data preview photos --fit pad --size 32 --out photos.svg\n  \
                        sirocco-train data preview fixture-usps --shift blur:1.5 --out blurred.svg\n  \
                        sirocco-train data preview cifar10 --gallery --data data --out shifts.svg")]
pub struct Arguments {
    /// Data set to show, or folder of pictures; `sirocco-train data list` shows the names of data sets
    #[arg(value_name = "SET|DIR")]
    set: String,
    #[command(flatten)]
    place: Place,
    /// Part of the data set
    #[arg(long, value_enum, default_value_t = Split::Train)]
    split: Split,
    /// Number of images in a row
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    per_class: u32,
    #[command(flatten)]
    reading: ReadingOptions,
    /// Rows and columns at which images are shown, as a network of this size would see them. Unless given, those of the data set,
    /// or of a typical picture of a folder, of at most 96
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    size: Option<u16>,
    #[command(flatten)]
    shifting: Shifting,
    /// Show the same images in every row: first unchanged, then under every kind of shift, from weak to strong
    #[arg(long, conflicts_with = "shift")]
    gallery: bool,
    /// Seed of the choice of images, and of the noise of a shift
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// File to write: `.png`, or `.svg` with the names of the rows
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Rows and columns of a folder's pictures on the sheet, at most, unless told otherwise.
const SHOWN: usize = 96;

#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    /// Names of the rows: classes or shifts.
    rows: Vec<String>,
    images: usize,
}

/// Runs the command.
///
/// # Errors
/// [`Error`] if the data set is missing, the shift cannot be fitted, or the file cannot be written.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let set = Collection::open(&arguments.set, &arguments.place.folder(), arguments.reading.reading())?;
    let shape = arguments.shape(&set);
    let images = set.load(arguments.split, shape)?;
    let training = || -> Result<Images, Error> {
        match arguments.split {
            Split::Train => Ok(images.clone()),
            Split::Test => Ok(set.load(Split::Train, shape)?),
        }
    };
    let rows = if arguments.gallery {
        arguments.shifts(&images, training, output)?
    } else {
        arguments.classes(&set.classes, &images, training, output)?
    };
    let title =
        format!("{} ({:?}, {})", set.name, arguments.split, if arguments.gallery { "shifts" } else { "classes" });
    let (names, count) =
        (rows.iter().map(|(name, _)| name.clone()).collect(), rows.iter().map(|(_, images)| images.len()).sum());
    Sheet { title: title.to_lowercase(), rows }.write(&arguments.out)?;
    let report = Report { file: arguments.out.clone(), rows: names, images: count };
    output.result(&report, |report| {
        say!(
            "{count} images in {} rows: {}\nwrote {}",
            report.rows.len(),
            report.rows.join("; "),
            report.file.display()
        );
    });
    Ok(())
}

impl Arguments {
    /// The shape in which images are shown.
    fn shape(&self, set: &Collection) -> [usize; 3] {
        let [channels, height, width] = set.shape();
        let limit = if set.channels().is_some() { usize::MAX } else { SHOWN };
        let side = self.size.map(usize::from);
        [channels, side.unwrap_or(height.min(limit)), side.unwrap_or(width.min(limit))]
    }

    fn classes(
        &self,
        names: &[String],
        images: &Images,
        training: impl FnOnce() -> Result<Images, Error>,
        output: Output,
    ) -> Result<Vec<(String, Images)>, Error> {
        let shift = self.shifting.fit(&Device::Cpu, output, training)?;
        let rows = by_class(images, self.per_class as usize, self.seed).into_iter().zip(names);
        rows.map(|(images, name)| Ok((name.clone(), shift.apply(&images, self.seed)?))).collect()
    }

    /// One image of every class in turn, under every level of every kind.
    fn shifts(
        &self,
        images: &Images,
        training: impl Fn() -> Result<Images, Error>,
        output: Output,
    ) -> Result<Vec<(String, Images)>, Error> {
        let classes: Vec<Images> = by_class(images, 1, self.seed).into_iter().filter(|i| !i.is_empty()).collect();
        let mut shown = classes
            .first()
            .ok_or_else(|| Error::Usage("the data set has no images; check it with `data check`".into()))?
            .clone();
        for class in classes.iter().skip(1).take(self.per_class as usize - 1) {
            shown.pixels.extend_from_slice(&class.pixels);
            shown.labels.extend_from_slice(&class.labels);
        }
        let mut rows = vec![("as they are".to_owned(), shown.clone())];
        for level in shift::KINDS.iter().flat_map(|kind| kind.levels) {
            let fitted = self.shifting.with(level.parse::<Shift>()?).fit(&Device::Cpu, output, &training)?;
            rows.push(((*level).to_owned(), fitted.apply(&shown, self.seed)?));
        }
        Ok(rows)
    }
}

/// At most `count` images of every class, drawn at random, the same for the same seed.
fn by_class(images: &Images, count: usize, seed: u64) -> Vec<Images> {
    let order = permutation(images.len(), seed);
    let of = |class: usize| order.iter().copied().filter(move |i| usize::from(images.labels[*i]) == class);
    (0..images.classes).map(|class| images.select(&of(class).take(count).collect::<Vec<_>>())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_their_class_and_no_image_twice() {
        let pixels: Vec<f32> = (0..30).map(|k| k as f32).collect();
        let labels: Vec<u8> = (0..30).map(|k| if k < 4 { 2 } else { k % 2 }).collect();
        let images = Images::new([1, 1, 1], pixels, labels, 4).unwrap();
        let rows = by_class(&images, 5, 1);
        assert_eq!(rows.iter().map(Images::len).collect::<Vec<_>>(), [5, 5, 4, 0]);
        for (class, row) in rows.iter().enumerate() {
            assert!(row.labels.iter().all(|l| usize::from(*l) == class));
            let mut distinct = row.pixels.clone();
            distinct.sort_by(f32::total_cmp);
            distinct.dedup();
            assert_eq!(distinct.len(), row.len());
        }
        assert_ne!(by_class(&images, 5, 2), rows);
    }
}

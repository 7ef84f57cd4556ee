//! `sirocco-train data preview`: a contact sheet of a data set, by class or by shift.

use super::Place;
use crate::cmd::Error;
use crate::cmd::image::shifting::Shifting;
use crate::cmd::options::Output;
use crate::dataset::images::permutation;
use crate::dataset::{self, Images, Split};
use crate::image::sheet::Sheet;
use crate::image::shift::{self, Shift};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Draw a contact sheet of a data set: a row for every class, or for every shift
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data preview mnist --data data --out mnist.png\n  \
                        sirocco-train data preview fixture-usps --shift blur:1.5 --out blurred.svg\n  \
                        sirocco-train data preview cifar10 --gallery --data data --out shifts.svg")]
pub struct Args {
    /// Data set
    #[arg(value_name = "SET")]
    set: String,
    #[command(flatten)]
    place: Place,
    /// Which of its parts
    #[arg(long, value_enum, default_value_t = Split::Train)]
    split: Split,
    /// Images of a row
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    per_class: u32,
    #[command(flatten)]
    shifting: Shifting,
    /// The same images in every row: first as they are, then under every kind of shift, from weak to strong
    #[arg(long, conflicts_with = "shift")]
    gallery: bool,
    /// Which images are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// File to write: PNG, or SVG with the names of the rows
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    /// Names of the rows: classes or shifts.
    rows: Vec<String>,
    images: usize,
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// [`dataset::DataError`], a shift that cannot be fitted, or the file cannot be written.
    pub fn run(self) -> Result<ExitCode, Error> {
        let set = dataset::find(&self.set)?;
        let images = set.load(&self.place.folder(), self.split)?;
        let training = || -> Result<Images, Error> {
            match self.split {
                Split::Train => Ok(images.clone()),
                Split::Test => Ok(set.load(&self.place.folder(), Split::Train)?),
            }
        };
        let rows =
            if self.gallery { self.shifts(&images, training)? } else { self.classes(set.classes, &images, training)? };
        let title = format!("{} ({:?}, {})", set.name, self.split, if self.gallery { "shifts" } else { "classes" });
        let (names, count) =
            (rows.iter().map(|(name, _)| name.clone()).collect(), rows.iter().map(|(_, images)| images.len()).sum());
        Sheet { title: title.to_lowercase(), rows }.write(&self.out)?;
        let report = Report { file: self.out, rows: names, images: count };
        self.output.print(&report, || {
            format!(
                "{count} images in {} rows: {}\nwrote {}",
                report.rows.len(),
                report.rows.join("; "),
                report.file.display()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }

    fn classes(
        &self,
        names: &[&str],
        images: &Images,
        training: impl FnOnce() -> Result<Images, Error>,
    ) -> Result<Vec<(String, Images)>, Error> {
        let shift = self.shifting.fit(self.output.verbosity(), training)?;
        let rows = by_class(images, self.per_class as usize, self.seed).into_iter().zip(names);
        rows.map(|(images, name)| Ok(((*name).to_owned(), shift.apply(&images, self.seed)?))).collect()
    }

    /// One image of every class in turn, under every level of every kind.
    fn shifts(
        &self,
        images: &Images,
        training: impl Fn() -> Result<Images, Error>,
    ) -> Result<Vec<(String, Images)>, Error> {
        let classes: Vec<Images> = by_class(images, 1, self.seed).into_iter().filter(|i| !i.is_empty()).collect();
        let mut shown = classes.first().ok_or("the data set has no images; check it with `data check`")?.clone();
        for class in classes.iter().skip(1).take(self.per_class as usize - 1) {
            shown.pixels.extend_from_slice(&class.pixels);
            shown.labels.extend_from_slice(&class.labels);
        }
        let mut rows = vec![("as they are".to_owned(), shown.clone())];
        for level in shift::KINDS.iter().flat_map(|kind| kind.levels) {
            let fitted = self.shifting.with(level.parse::<Shift>()?).fit(self.output.verbosity(), &training)?;
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

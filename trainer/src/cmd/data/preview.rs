//! `sirocco-train data preview`: a contact sheet of a data set.

use super::Place;
use crate::cmd::Error;
use crate::cmd::options::Output;
use crate::dataset::images::permutation;
use crate::dataset::{self, Images, Split};
use crate::report::sheet::Sheet;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Draw a contact sheet of a data set: a row for every class
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sirocco-train data preview mnist --data data --out mnist.png\n  \
                        sirocco-train data preview cifar10 --split test --per-class 20 --out cifar10.svg")]
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
    /// Which images are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// File to write: PNG, or SVG with the names of the classes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    rows: usize,
    images: usize,
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// [`dataset::DataError`], or the file cannot be written.
    pub fn run(self) -> Result<ExitCode, Error> {
        let set = dataset::find(&self.set)?;
        let images = set.load(&self.place.folder(), self.split)?;
        let rows = by_class(&images, self.per_class as usize, self.seed).into_iter().zip(set.classes);
        let rows: Vec<_> = rows.map(|(images, class)| ((*class).to_owned(), images)).collect();
        let title = format!("{} ({:?})", set.name, self.split).to_lowercase();
        let images = rows.iter().map(|(_, images)| images.len()).sum();
        let report = Report { file: self.out.clone(), rows: rows.len(), images };
        Sheet { title, rows }.write(&self.out)?;
        self.output.print(&report, || {
            format!("{images} images in {} rows, one for each class\nwrote {}", report.rows, self.out.display())
        })?;
        Ok(ExitCode::SUCCESS)
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

//! A folder of pictures as a data set: which files it holds ([`scan`]), which of them are nearly the same ([`near`]), which are
//! for the test ([`split`]), and all of them as a network's input.
//!
//! What cannot be read is named with the reason and left out, or ends the reading ([`Reading::strict`]).

pub mod near;
mod report;
pub mod scan;
pub mod split;

pub use report::PicturesReport;
pub use scan::Remark;

use super::{DataError, Images, Split};
use near::Look;
use rayon::prelude::*;
use scan::{Listed, Listing};
use sha2::{Digest, Sha256};
use sirocco_pictures::{Picture, Preparation, decode};
use split::{GroupBy, SplitRule};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// More bytes than any picture file of a camera has.
const LARGEST_FILE: u64 = 1 << 28;
/// The most numbers of all pictures together: 8 GB.
const MOST_NUMBERS: usize = 1 << 31;
/// The most pictures that are compared with each other.
const MOST_COMPARED: usize = 20_000;
/// Files whose size tells what is typical.
const MEASURED: usize = 500;

/// How the pictures of a folder become a data set.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// How a picture becomes a network's input.
    pub preparation: Preparation,
    /// How pictures are split, where the folder does not say it.
    pub split: SplitRule,
    /// Whether a file that cannot be read is an error.
    pub strict: bool,
}

impl fmt::Display for Reading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; split {}", self.preparation, self.split)
    }
}

/// A folder of pictures whose files are listed and not read yet.
#[derive(Debug, Clone)]
pub struct PictureFolder {
    place: PathBuf,
    listing: Listing,
}

/// A part of the pictures that were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// As the network takes them.
    pub images: Images,
    /// Their files, in the same order.
    pub files: Vec<PathBuf>,
}

/// The pictures of a folder.
#[derive(Debug, Clone)]
pub struct Pictures {
    /// For training.
    pub train: Part,
    /// For the test.
    pub test: Part,
    /// What is to be said of them.
    pub report: PicturesReport,
}

/// A picture that was read.
struct One {
    path: PathBuf,
    label: u8,
    /// From the table.
    split: Option<Split>,
    /// The group by the table or the name.
    group: Option<String>,
    content: [u8; 32],
    look: Look,
    /// Rows and columns of the file.
    size: [usize; 2],
    /// Shape (channels, rows, columns), in 0 to 1.
    pixels: Vec<f32>,
}

impl PictureFolder {
    /// Lists the files of a folder, or of a table.
    ///
    /// # Errors
    /// [`DataError`] as for [`scan::scan`].
    pub fn open(place: &Path) -> Result<Self, DataError> {
        Ok(PictureFolder { place: place.to_owned(), listing: scan::scan(place)? })
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.listing.classes
    }

    /// The number of files.
    pub fn files(&self) -> usize {
        self.listing.files.len()
    }

    /// The number of files that the folder or the table puts into a part, if it says so.
    pub fn given(&self, part: Split) -> Option<usize> {
        let given = self.listing.files.iter().any(|file| file.split.is_some());
        given.then(|| self.listing.files.iter().filter(|file| file.split == Some(part)).count())
    }

    /// The median of the rows and that of the columns of some pictures, and whether any of them is in color.
    pub fn typical(&self) -> ([usize; 2], bool) {
        let step = self.files().div_ceil(MEASURED).max(1);
        let some: Vec<&Listed> = self.listing.files.iter().step_by(step).collect();
        let sizes = some.par_iter().filter_map(|file| {
            let bytes = contents(&file.path).ok()?;
            Some((Picture::size(&bytes).ok()?, Picture::has_color(&bytes).ok()?))
        });
        let sizes: Vec<([usize; 2], bool)> = sizes.collect();
        let median = |side: usize| {
            let mut sides: Vec<usize> = sizes.iter().map(|(size, _)| size[side]).collect();
            sides.sort_unstable();
            sides.get(sides.len() / 2).copied().unwrap_or(1)
        };
        ([median(0), median(1)], sizes.iter().any(|(_, color)| *color))
    }

    /// Reads all pictures for a network that takes `input`: channels, rows, columns. `on_file` is called after each file, from
    /// any thread.
    ///
    /// # Errors
    /// [`DataError`] if a class is left without pictures for training, they would not fit into memory, or, if that is strict, for
    /// the first file that cannot be read.
    pub fn read(
        &self,
        reading: &Reading,
        input: [usize; 3],
        on_file: &(dyn Fn() + Sync),
    ) -> Result<Pictures, DataError> {
        let refuse = |what: String| DataError::Classes { place: self.place.clone(), what };
        let size = input.iter().product::<usize>();
        if size.saturating_mul(self.files()) > MOST_NUMBERS {
            return Err(refuse(format!("has {} pictures of {size} numbers, which take too much memory", self.files())));
        }
        let read = self.listing.files.par_iter().map(|file| {
            let one = self.one(file, reading, input);
            on_file();
            one
        });
        let read: Vec<(Option<One>, Option<Remark>)> = read.collect();
        let mut remarks = self.listing.remarks.clone();
        let mut ones = Vec::new();
        for (one, remark) in read {
            ones.extend(one);
            remarks.extend(remark);
        }
        remarks.sort_by(|a, b| a.file.cmp(&b.file));
        if let Some(remark) = remarks.iter().find(|remark| reading.strict && remark.skipped) {
            let left_out = remarks.iter().filter(|remark| remark.skipped).count();
            return Err(DataError::Strict { file: remark.file.clone(), what: remark.what.clone(), left_out });
        }
        let near = (ones.len() <= MOST_COMPARED).then(|| {
            let looks: Vec<Look> = ones.iter().map(|one| one.look.clone()).collect();
            near::pairs(&looks)
        });
        let groups = groups(&ones, &reading.split.group_by, near.as_deref());
        let parts: Vec<Split> = ones
            .iter()
            .zip(&groups)
            .map(|(one, group)| {
                one.split.unwrap_or_else(|| split::part(key(&ones[*group], reading), reading.split.test_share))
            })
            .collect();
        let report = PicturesReport::of(self, reading, input, &ones, &groups, &parts, near.as_deref(), remarks);
        for class in &report.classes {
            if class.train == 0 {
                return Err(refuse(format!(
                    "has no picture of `{}` for training, of {} files that can be read; add some, or change the split",
                    class.name, class.test
                )));
            }
        }
        let part = |split: Split| self.part(&ones, &groups, &parts, split, input);
        Ok(Pictures { train: part(Split::Train)?, test: part(Split::Test)?, report })
    }

    /// A file as a picture, or why it is not one; perhaps both, if its name is wrong.
    fn one(&self, file: &Listed, reading: &Reading, input: [usize; 3]) -> (Option<One>, Option<Remark>) {
        let path = &file.path;
        let bytes = match contents(path) {
            Ok(bytes) => bytes,
            Err(what) => return (None, Some(Remark::skipped(path, what))),
        };
        let picture = match reading.preparation.decode(&bytes) {
            Ok(picture) => picture,
            Err(error) => return (None, Some(Remark::skipped(path, error.to_string()))),
        };
        let prepared = reading.preparation.apply(&picture, input);
        let [channels, height, width] = input;
        let plane = |c: usize| prepared.bytes.iter().skip(c).step_by(channels).map(|byte| f32::from(*byte) / 255.0);
        let mut pixels = Vec::with_capacity(channels * height * width);
        (0..channels).for_each(|c| pixels.extend(plane(c)));
        let within = path.strip_prefix(&self.place).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let one = One {
            path: path.clone(),
            label: file.label,
            split: file.split,
            group: file.group.clone().or_else(|| reading.split.group_by.of_name(&within)),
            content: Sha256::digest(&bytes).into(),
            look: Look::of(&picture),
            size: [picture.height, picture.width],
            pixels,
        };
        let remark = misnamed(path, &bytes).map(|what| Remark { file: path.clone(), what, skipped: false });
        (Some(one), remark)
    }

    fn part(
        &self,
        ones: &[One],
        groups: &[usize],
        parts: &[Split],
        split: Split,
        input: [usize; 3],
    ) -> Result<Part, DataError> {
        let chosen: Vec<usize> = (0..ones.len()).filter(|at| parts[*at] == split).collect();
        let pixels = chosen.iter().flat_map(|at| ones[*at].pixels.iter().copied()).collect();
        let labels = chosen.iter().map(|at| ones[*at].label).collect();
        let images = Images::new(input, pixels, labels, self.classes().len())
            .map_err(|error| DataError::Classes { place: self.place.clone(), what: error.to_string() })?;
        let groups = chosen.iter().map(|at| groups[*at] as u32).collect();
        let files = chosen.iter().map(|at| ones[*at].path.clone()).collect();
        Ok(Part { images: images.in_groups(groups), files })
    }
}

/// What decides on which side of the split a group is, by its first picture.
fn key<'a>(first: &'a One, reading: &Reading) -> &'a [u8] {
    match (&first.group, &reading.split.group_by) {
        (Some(group), _) => group.as_bytes(),
        _ => &first.content,
    }
}

/// The group of every picture, as the number of one of its pictures: that of the smallest content, so that it does not depend on
/// the names of files.
fn groups(ones: &[One], group_by: &GroupBy, near: Option<&[(usize, usize)]>) -> Vec<usize> {
    let mut together: Vec<(usize, usize)> = Vec::new();
    let (mut by_content, mut by_name) = (BTreeMap::new(), BTreeMap::new());
    for (at, one) in ones.iter().enumerate() {
        together.push((*by_content.entry(one.content).or_insert(at), at));
        if let Some(group) = &one.group {
            together.push((*by_name.entry(group).or_insert(at), at));
        }
    }
    if matches!(group_by, GroupBy::Near) {
        together.extend(near.into_iter().flatten());
    }
    let groups = near::groups(ones.len(), together);
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, group) in groups.iter().enumerate() {
        let named = |at: usize| (ones[at].group.is_none(), ones[at].group.as_ref(), ones[at].content);
        let least = first.entry(*group).or_insert(at);
        if named(at) < named(*least) {
            *least = at;
        }
    }
    groups.iter().map(|group| first[group]).collect()
}

/// The bytes of a file, or why there are none.
fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable =
        |error: std::io::Error| format!("cannot be read ({error}); check that it exists, and its permissions");
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > LARGEST_FILE {
        return Err(format!("has {bytes} bytes, of at most {LARGEST_FILE}; make it smaller"));
    }
    std::fs::read(path).map_err(unreadable)
}

/// What is to be said of a file that is named after another format than its own.
fn misnamed(path: &Path, bytes: &[u8]) -> Option<String> {
    let format = decode::format_of(bytes).ok()?;
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let right: &[&str] = match format {
        "JPEG" => &["jpg", "jpeg", "jfif"],
        "PNG" => &["png"],
        "BMP" => &["bmp", "dib"],
        _ => &["pbm", "pgm", "ppm", "pnm"],
    };
    (!right.contains(&ending.as_str())).then(|| format!("is a {format} file in spite of its name; read as what it is"))
}

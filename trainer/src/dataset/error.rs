//! Everything that can be wrong with a data file, in one line that names the file, the place and the remedy.

use super::images::ImagesError;
use super::{Known, Split};
use std::path::PathBuf;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is not there.
    #[error(
        "`{file}` is not in `{}`; fetch it with `sirocco-train data get {set} --data {}`, or name the folder that has \
         it with --data or SIROCCO_DATA", .folder.display(), .folder.display()
    )]
    Missing {
        /// The data set.
        set: &'static str,
        /// The file, relative to the folder.
        file: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The system refuses to read a file.
    #[error("cannot read `{}`: {source}; check its permissions", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A compressed file is cut off or damaged.
    #[error(
        "cannot unpack `{}` beyond byte {offset} of its content ({source}): it is cut off or damaged; delete it and \
         run `sirocco-train data get`", .file.display()
    )]
    Unpack {
        /// The file.
        file: PathBuf,
        /// How many bytes could be unpacked.
        offset: u64,
        /// What the decoder said.
        source: std::io::Error,
    },
    /// A file is larger than any we know.
    #[error("`{}` holds more than {limit} bytes, so it is no file of this data set; delete it and run `sirocco-train data get`", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// An archive lacks a member.
    #[error("`{}` has no member `{member}`; delete it and run `sirocco-train data get`", .file.display())]
    NoMember {
        /// The archive.
        file: PathBuf,
        /// What is missing in it.
        member: String,
    },
    /// The content is not what the format asks for.
    #[error("`{}` is not a good file: at byte {}, {}; delete it and run `sirocco-train data get`", .file.display(), .error.offset, .error.defect)]
    Format {
        /// The file.
        file: PathBuf,
        /// Where and what.
        error: FormatError,
    },
    /// The content is well-formed, but not the known one.
    #[error(
        "`{}` has the sha256 {found}, but the known ones are {known}: it was changed or damaged; delete it and run \
         `sirocco-train data get`", .file.display()
    )]
    Checksum {
        /// The file.
        file: PathBuf,
        /// Of its unpacked content.
        found: String,
        /// Of the versions we know.
        known: String,
    },
    /// The images are well-formed, but not those of the data set.
    #[error(
        "the {} images of {set} ({split:?}) in `{}` have the fingerprint {found}, but it should be {} images with {}: \
         they were changed, damaged or mixed up; delete them and run `sirocco-train data get {set}`",
        .images, .directory.display(), .known.images, .known.fingerprint
    )]
    Fingerprint {
        /// The data set.
        set: &'static str,
        /// Which part of it.
        split: Split,
        /// Where its files lie.
        directory: PathBuf,
        /// How many images there are.
        images: usize,
        /// Their fingerprint.
        found: String,
        /// What they should be.
        known: Known,
    },
    /// The parts of a data set do not go together.
    #[error(
        "the data set `{set}` does not hold together: {error}; delete its files and run `sirocco-train data get {set}`"
    )]
    Images {
        /// The data set.
        set: &'static str,
        /// What is wrong.
        error: ImagesError,
    },
    /// The images cannot be given this size.
    #[error("images of {height} x {width} cannot be resized to {size} x {size}; choose a size from 1 to {limit}")]
    Resize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// What was asked for.
        size: usize,
        /// The largest size.
        limit: usize,
    },
}

/// What is wrong inside a file, and at which byte of its unpacked content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// Bytes before the defect.
    pub offset: u64,
    /// What is wrong.
    pub defect: Defect,
}

/// The ways in which a data file can be bad.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The first bytes are another kind of file's.
    #[error("the magic number is {found}, not {expected} ({what})")]
    Magic {
        /// What is there.
        found: u32,
        /// What should be.
        expected: u32,
        /// The kind of file that is wanted.
        what: &'static str,
    },
    /// The file ends too early.
    #[error("the file ends, though its header promises {expected} bytes in all")]
    Truncated {
        /// How long it should be.
        expected: u64,
    },
    /// The file goes on after its end.
    #[error("{extra} bytes follow where the file should end")]
    Trailing {
        /// How many.
        extra: u64,
    },
    /// Header sizes that make no sense.
    #[error("the header states {count} images of {height} x {width}, which is not possible")]
    Size {
        /// Images.
        count: u32,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// Images of another data set.
    #[error("the images are {height} x {width}, not {} x {}", expected.0, expected.1)]
    OtherSize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Rows and columns of this data set.
        expected: (usize, usize),
    },
    /// The file is empty.
    #[error("there are no images")]
    Empty,
    /// The length is no multiple of a record's.
    #[error("an incomplete record of {found} bytes begins (whole ones have {record})")]
    Partial {
        /// Bytes of the last record.
        found: u64,
        /// Bytes of a whole one.
        record: u64,
    },
    /// A label names no class.
    #[error("the label is {found}, which names no class (they are {first} to {last})")]
    Label {
        /// What is there.
        found: String,
        /// Lowest.
        first: u32,
        /// Highest.
        last: u32,
    },
    /// A word of a text file is no number in its range.
    #[error("`{found}` is no number from -1 to 1")]
    Value {
        /// What is there.
        found: String,
    },
    /// A line of a text file has the wrong number of values.
    #[error("a line with {found} pixels begins, but images have {expected}")]
    Columns {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A LIBSVM index is wrong.
    #[error("`{found}` is no `index:value` with an index above the one before and at most {last}")]
    Index {
        /// What is there.
        found: String,
        /// Highest index.
        last: usize,
    },
    /// A text file has bytes that are no text.
    #[error("a byte stands that is no text")]
    NotText,
}

impl Defect {
    /// This defect at a byte.
    pub fn at(self, offset: usize) -> FormatError {
        FormatError { offset: offset as u64, defect: self }
    }
}

/// At most 24 characters of a word, for messages.
pub(super) fn shown(word: &str) -> String {
    let text: String = word.chars().take(24).flat_map(char::escape_default).collect();
    if word.chars().nth(24).is_some() { format!("{text}...") } else { text }
}

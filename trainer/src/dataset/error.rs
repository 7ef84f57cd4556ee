//! Why a data set cannot be used: every message is one line that names the file, the place and the remedy.

use super::images::ImagesError;
use super::{Contents, Split};
use std::path::PathBuf;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is missing.
    #[error(
        "`{file}` is not in `{}`; fetch it with `sirocco-train data get {set} --data {}`, or name the folder that has \
         it with --data or SIROCCO_DATA", .folder.display(), .folder.display()
    )]
    Missing {
        /// The data set.
        set: &'static str,
        /// The file, relative to the folder.
        file: String,
        /// The folder in which it should be.
        folder: PathBuf,
    },
    /// A file cannot be opened or read.
    #[error("cannot read `{}`: {source}; check its permissions", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the system.
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
        /// The error of the decoder.
        source: std::io::Error,
    },
    /// A file is larger than any file of a known data set.
    #[error("`{}` holds more than {limit} bytes, so it is not a file of this data set; delete it and run `sirocco-train data get`", .file.display())]
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
        /// The missing member.
        member: String,
    },
    /// The content violates the format.
    #[error("`{}` is damaged: at byte {}, {}; delete it and run `sirocco-train data get`", .file.display(), .error.offset, .error.defect)]
    Format {
        /// The file.
        file: PathBuf,
        /// The defect and its place.
        error: FormatError,
    },
    /// The checksum of the content is not a known one.
    #[error(
        "`{}` has the sha256 {found}, but the known ones are {known}: it was changed or damaged; delete it and run \
         `sirocco-train data get`", .file.display()
    )]
    Checksum {
        /// The file.
        file: PathBuf,
        /// The checksum of its unpacked content.
        found: String,
        /// The checksums of the known versions.
        known: String,
    },
    /// The images are well-formed, but not those of the data set.
    #[error(
        "the {} images of {set} ({split:?}) in `{}` have the fingerprint {found}, but it should be {} images with {}: \
         they were changed, damaged or mixed up; delete them and run `sirocco-train data get {set}`",
        .images, .directory.display(), .expected.images, .expected.fingerprint
    )]
    Fingerprint {
        /// The data set.
        set: &'static str,
        /// The part of it.
        split: Split,
        /// The folder with its files.
        directory: PathBuf,
        /// The number of images.
        images: usize,
        /// Their fingerprint.
        found: String,
        /// The known contents.
        expected: Contents,
    },
    /// Images and labels do not fit together.
    #[error(
        "the files of the data set `{set}` do not fit together: {error}; delete its files and run `sirocco-train data get {set}`"
    )]
    Images {
        /// The data set.
        set: &'static str,
        /// What is wrong.
        error: ImagesError,
    },
    /// A name is neither that of a data set nor that of a folder.
    #[error("there is neither a data set nor a folder `{name}`; choose one of {known}, or name a folder of pictures")]
    NoSuch {
        /// The name.
        name: String,
        /// The data sets.
        known: String,
    },
    /// A folder is not one of pictures in classes.
    #[error(
        "`{}` {what}; give a folder that holds a folder of pictures for each class, or a table with the columns `file` and `label`",
        .place.display()
    )]
    Classes {
        /// The folder or the table.
        place: PathBuf,
        /// A predicate of it.
        what: String,
    },
    /// A folder of pictures leaves none for the test.
    #[error("`{}` has no picture for the test; add pictures, or raise --test-share", .place.display())]
    NoTest {
        /// The folder or the table.
        place: PathBuf,
    },
    /// A table of pictures violates its format.
    #[error("`{}`, line {line}: {what}; its columns are `file`, `label`, and perhaps `split` (train or test) and `group`", .file.display())]
    Table {
        /// The table.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// A file would be left out, which was forbidden.
    #[error("`{}` {what} ({left_out} such files in all, and --strict was given)", .file.display())]
    Strict {
        /// The file.
        file: PathBuf,
        /// A predicate of it.
        what: String,
        /// The number of files that would be left out.
        left_out: usize,
    },
    /// The images cannot be given this size.
    #[error("images of {height} x {width} cannot be resized to {} x {}; choose a size from 1 to {limit}", size[0], size[1])]
    Resize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Rows and columns that were asked for.
        size: [usize; 2],
        /// The largest size.
        limit: usize,
    },
}

/// What is wrong inside a file, and at which byte of its unpacked content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// Bytes before the defect.
    pub offset: u64,
    /// The defect.
    pub defect: Defect,
}

/// A way in which a data file can violate its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The first bytes are those of another kind of file.
    #[error("the magic number is {found}, not {expected} ({what})")]
    Magic {
        /// The number in the file.
        found: u32,
        /// The number of this kind of file.
        expected: u32,
        /// The kind of file that is expected.
        what: &'static str,
    },
    /// The file ends too early.
    #[error("the file ends, though its header promises {expected} bytes in all")]
    Truncated {
        /// The length that the header states.
        expected: u64,
    },
    /// Bytes follow the end that the header states.
    #[error("{extra} bytes follow where the file should end")]
    Trailing {
        /// The number of these bytes.
        extra: u64,
    },
    /// The header states impossible sizes.
    #[error("the header states {count} images of {height} x {width}, which is not possible")]
    Size {
        /// Images.
        count: u32,
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// The images have the size of another data set's.
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
    /// The length is not a multiple of a record's.
    #[error("an incomplete record of {found} bytes begins (whole ones have {record})")]
    Partial {
        /// Bytes of the last record.
        found: u64,
        /// Bytes of a whole one.
        record: u64,
    },
    /// A label is not the number of a class.
    #[error("the label is {found}, but classes are {first} to {last}")]
    Label {
        /// The label.
        found: String,
        /// The lowest class.
        first: u32,
        /// The highest class.
        last: u32,
    },
    /// A word of a text file is not a number in its range.
    #[error("`{found}` is not a number from -1 to 1")]
    Value {
        /// The word.
        found: String,
    },
    /// A line of a text file has the wrong number of values.
    #[error("a line with {found} pixels begins, but images have {expected}")]
    Columns {
        /// The number of values.
        found: usize,
        /// The number of pixels of an image.
        expected: usize,
    },
    /// A LIBSVM index is missing, too large, or not above the index before it.
    #[error("`{found}` is not an `index:value` with an index above the one before and at most {last}")]
    Index {
        /// The word.
        found: String,
        /// The highest index.
        last: usize,
    },
    /// A text file has a byte that is not valid UTF-8.
    #[error("there is a byte that is not valid UTF-8")]
    NotText,
}

impl Defect {
    /// This defect at a byte.
    pub fn at(self, offset: usize) -> FormatError {
        FormatError { offset: offset as u64, defect: self }
    }
}

/// At most 24 characters of a word, for messages.
pub(super) fn excerpt(word: &str) -> String {
    let text: String = word.chars().take(24).flat_map(char::escape_default).collect();
    if word.chars().nth(24).is_some() { format!("{text}...") } else { text }
}

//! Options that say how pictures become a network's input, and which of them are for the test.

use crate::dataset::Collection;
use crate::dataset::pictures::Reading;
use crate::dataset::pictures::split::{GroupBy, SplitRule, share_of};
use crate::host::model_file::Metadata;
use sirocco_pictures::{Background, Fit, Part, Preparation};

/// The key in a network's file of how pictures become its input.
pub const PREPARATION: &str = "preparation";
/// The key of how the pictures of a folder were split.
pub const SPLIT: &str = "split";

/// How pictures become a network's input, and which of them are for the test. What is not given is as the network's file says.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReadingOptions {
    /// Part of images to use: `whole`; `box`, which cuts MNIST's digits out of their margins; or `ink`, the box around light ink
    /// on a dark ground, which brings digits of any size and place to one geometry (with --invert, dark ink). `whole` unless given or
    /// said by the network's file
    #[arg(long, value_name = "whole|box|ink")]
    geometry: Option<Part>,
    /// How a picture of another shape fits the network's: `crop` takes the largest part from the middle, `pad` adds margins,
    /// `stretch` distorts. `crop` unless given or said by the network's file
    #[arg(long, value_name = "crop|pad|stretch")]
    fit: Option<Fit>,
    /// Color below transparent pixels and in margins: `black`, `white`, or such as #ff8800. Unless given: below transparent pixels
    /// the opposite of their ink, in margins the mean of the picture's edge
    #[arg(long, value_name = "COLOR|auto")]
    background: Option<Background>,
    /// Invert pictures: dark becomes light
    #[arg(long)]
    invert: bool,
    /// What keeps pictures of a folder on one side of the split: an expression that finds the group in a file's path, such as
    /// `meter([0-9]+)`; or `near`, for pictures that are nearly the same; or `content`. `content` unless given or said by the
    /// network's file
    #[arg(long, value_name = "REGEX|near|content")]
    group_by: Option<GroupBy>,
    /// Share of a folder's pictures that are for the test, where it has no folders `train` and `test`. A fifth unless given or
    /// said by the network's file
    #[arg(long, value_name = "SHARE", value_parser = share_of)]
    test_share: Option<f64>,
    /// Refuse a folder with a file that cannot be read, rather than leave it out
    #[arg(long)]
    strict: bool,
}

impl ReadingOptions {
    /// The options, completed by what the file of a network says.
    pub fn completed(&self, provenance: &Metadata) -> Reading {
        // Files of earlier versions do not say it; what another version wrote is not guessed.
        let said: Preparation = provenance.get(PREPARATION).and_then(|text| text.parse().ok()).unwrap_or_default();
        let split: SplitRule = provenance.get(SPLIT).and_then(|text| text.parse().ok()).unwrap_or_default();
        let preparation = Preparation {
            part: self.geometry.unwrap_or(said.part),
            fit: self.fit.unwrap_or(said.fit),
            background: self.background.unwrap_or(said.background),
            invert: self.invert || said.invert,
        };
        let group_by = self.group_by.clone().unwrap_or(split.group_by);
        let split = SplitRule { group_by, test_share: self.test_share.unwrap_or(split.test_share) };
        Reading { preparation, split, strict: self.strict }
    }

    /// The options alone.
    pub fn reading(&self) -> Reading {
        self.completed(&Metadata::new())
    }
}

/// What the file of a network says of the images that it learned from.
pub fn entries(collection: &Collection) -> Vec<(String, String)> {
    let Reading { preparation, split, .. } = collection.reading();
    let mut entries = vec![(PREPARATION.to_owned(), preparation.to_string())];
    // A data set that the program knows has a split of its own.
    if collection.channels().is_none() {
        entries.push((SPLIT.to_owned(), split.to_string()));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        reading: ReadingOptions,
    }

    fn reading(arguments: &[&str], file: &Metadata) -> [String; 2] {
        let command = Command::try_parse_from([&["x"], arguments].concat()).map_err(|e| e.to_string()).unwrap();
        let Reading { preparation, split, .. } = command.reading.completed(file);
        [preparation.to_string(), split.to_string()]
    }

    #[test]
    fn the_file_says_what_the_options_leave_open() {
        let none = Metadata::new();
        assert_eq!(
            reading(&[], &none),
            ["part=whole fit=crop filter=triangle background=auto invert=no", "0.2 content"]
        );
        let given = reading(&["--fit", "pad", "--background", "white", "--invert", "--group-by", "m([0-9]+) x"], &none);
        assert_eq!(given, ["part=whole fit=pad filter=triangle background=#ffffff invert=yes", "0.2 m([0-9]+) x"]);
        let file = [(PREPARATION.to_string(), given[0].clone()), (SPLIT.to_string(), given[1].clone())].into();
        assert_eq!(reading(&[], &file), given);
        let over = reading(&["--fit", "stretch", "--test-share", "0.3", "--group-by", "near"], &file);
        assert_eq!(over, ["part=whole fit=stretch filter=triangle background=#ffffff invert=yes", "0.3 near"]);
        for wrong in ["--fit=cut", "--background=red", "--group-by=(", "--test-share=0"] {
            assert!(Command::try_parse_from(["x", wrong]).is_err(), "{wrong}");
        }
    }
}

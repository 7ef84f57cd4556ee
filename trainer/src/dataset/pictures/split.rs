//! Which pictures are for training and which for the test, by a rule that gives the same answer tomorrow.
//!
//! Without a given split, the hash of a picture's content decides, or that of its group: so a picture keeps its place when
//! others are added, and two copies of one are never on different sides.

use crate::dataset::Split;
use regex::Regex;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// What keeps pictures on one side of the split.
#[derive(Debug, Clone, Default)]
pub enum GroupBy {
    /// Nothing but the same content, and the column `group` of a table.
    #[default]
    Content,
    /// That they are nearly the same ([`super::near`]).
    Near,
    /// What this expression finds in the file's path within the data set: its first group in brackets, or else all of it.
    Name(Regex),
}

/// Share of the pictures that are for the test, unless told otherwise.
pub const TEST_SHARE: f64 = 0.2;

/// How pictures are split where the folder or the table does not say it.
#[derive(Debug, Clone)]
pub struct SplitRule {
    /// What keeps pictures on one side.
    pub group_by: GroupBy,
    /// Share of the groups that are for the test.
    pub test_share: f64,
}

impl Default for SplitRule {
    fn default() -> Self {
        SplitRule { group_by: GroupBy::Content, test_share: TEST_SHARE }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupBy::Content => formatter.write_str("content"),
            GroupBy::Near => formatter.write_str("near"),
            GroupBy::Name(expression) => write!(formatter, "{expression}"),
        }
    }
}

impl FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "content" => Ok(GroupBy::Content),
            "near" => Ok(GroupBy::Near),
            _ => Regex::new(text)
                .map(GroupBy::Name)
                .map_err(|error| format!("not an expression: {}", error.to_string().replace('\n', " "))),
        }
    }
}

impl fmt::Display for SplitRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.test_share, self.group_by)
    }
}

impl FromStr for SplitRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (share, group_by) = text.split_once(' ').ok_or("no share")?;
        Ok(SplitRule { test_share: share_of(share)?, group_by: group_by.parse()? })
    }
}

/// Parses a share of pictures for the test.
///
/// # Errors
/// A message for the user.
pub fn share_of(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| (0.01..=0.9).contains(share));
    share.ok_or_else(|| "give a share from 0.01 to 0.9".into())
}

impl GroupBy {
    /// The group of a file by its path within the data set, with `/` between folders.
    pub fn of_name(&self, path: &str) -> Option<String> {
        let GroupBy::Name(expression) = self else { return None };
        let found = expression.captures(path)?;
        Some(found.get(1).or(found.get(0))?.as_str().to_owned())
    }
}

/// The part of a group with this name or content.
pub fn part(group: &[u8], test_share: f64) -> Split {
    let digest: [u8; 32] = Sha256::digest(group).into();
    let (words, _) = digest.as_chunks::<8>();
    let share = u64::from_be_bytes(words[0]) as f64 / 2f64.powi(64);
    if share < test_share { Split::Test } else { Split::Train }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_met_and_more_pictures_change_nothing() {
        let parts: Vec<Split> = (0..4000u32).map(|k| part(&k.to_le_bytes(), 0.2)).collect();
        let test = parts.iter().filter(|split| **split == Split::Test).count();
        assert!((720..880).contains(&test), "{test}");
        // A larger share only adds to the test.
        assert!((0..4000u32).all(|k| parts[k as usize] == Split::Train || part(&k.to_le_bytes(), 0.3) == Split::Test));
    }

    #[test]
    fn names_give_groups() {
        let of = |expression: &str, path: &str| expression.parse::<GroupBy>().unwrap().of_name(path);
        assert_eq!(of("meter([0-9]+)_", "3/meter12_0007.jpg").as_deref(), Some("12"));
        assert_eq!(of("[^/]+_", "3/meter12_0007.jpg").as_deref(), Some("meter12_"));
        assert_eq!(of("x", "3/meter12_0007.jpg"), None);
        assert!("(".parse::<GroupBy>().unwrap_err().starts_with("not an expression"));
    }

    proptest::proptest! {
        #[test]
        fn rules_come_back_from_their_text(share in 1u32..90, name in "[a-z0-9_ /]{1,12}") {
            let rule = format!("{} {name}", f64::from(share) / 100.0);
            proptest::prop_assert_eq!(rule.parse::<SplitRule>().unwrap().to_string(), rule);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,40}") {
            _ = text.parse::<SplitRule>();
        }
    }
}

//! Outbreaks that come with the program, to try it on.

/// A table of an outbreak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it counts, and of how many.
    pub what: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// The table.
    pub text: &'static str,
}

/// All of them. The first lines of each file name its source, too.
pub const BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        name: "boarding-school",
        what: "influenza in a boarding school, England 1978: boys in bed each day, of 763",
        source: "British Medical Journal 1 (1978), 587",
        text: include_str!("../../../assets/outbreaks/boarding-school.csv"),
    },
    BuiltIn {
        name: "hagelloch",
        what: "measles in Hagelloch, Germany 1861: susceptible, infected and removed children each day, of 188",
        source: "A. Pfeilsticker, dissertation, Tübingen 1863, and H. Oesterle, 1992, as in the R package EpiCompare",
        text: include_str!("../../../assets/outbreaks/hagelloch.csv"),
    },
    BuiltIn {
        name: "harbin",
        what: "plague in Harbin, China 1910 to 1911: deaths each week; Dietz took a population of 2,985",
        source: "International Plague Conference 1911, as in K. Dietz (2009) and the R package fitsir",
        text: include_str!("../../../assets/outbreaks/harbin.csv"),
    },
];

/// The text of a built-in table.
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|outbreak| outbreak.name == name).map(|outbreak| outbreak.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_name_of_its_own_and_says_its_source() {
        for (place, outbreak) in BUILT_IN.iter().enumerate() {
            assert!(BUILT_IN.iter().take(place).all(|other| other.name != outbreak.name));
            assert!(outbreak.text.starts_with("# ") && outbreak.text.contains("Source: "), "{}", outbreak.name);
            assert_eq!(built_in(outbreak.name), Some(outbreak.text));
        }
        assert_eq!(built_in("nowhere"), None);
    }
}

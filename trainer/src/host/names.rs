//! Lists whose items have names that a command line or a file chooses by.

/// No item of a list has a name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} `{name}`; {near}choose one of {known}")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    /// The most similar name as a question, if one is similar.
    near: String,
    known: String,
}

/// Least similarity (Jaro and Winkler) of a name that is asked about.
const SIMILAR: f64 = 0.75;

/// The item of this name. `kind` is the noun for an item in messages, such as `data set`.
///
/// # Errors
/// [`UnknownName`], which lists all names and asks about the most similar one, if no item has it.
pub fn find<'a, T>(
    kind: &'static str,
    items: &'a [T],
    name_of: impl Fn(&T) -> &'static str,
    name: &str,
) -> Result<&'a T, UnknownName> {
    items.iter().find(|item| name_of(item) == name).ok_or_else(|| {
        let known: Vec<_> = items.iter().map(name_of).collect();
        let similar = known.iter().map(|other| (strsim::jaro_winkler(name, other), other));
        let nearest = similar.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness >= SIMILAR);
        let near = nearest.map_or(String::new(), |(_, other)| format!("did you mean `{other}`? Otherwise "));
        UnknownName { kind, name: name.into(), near, known: known.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_found_by_its_name_or_all_names_are_listed() {
        let items = [("one", 1), ("two", 2)];
        let find = |name| find("number", &items, |item| item.0, name);
        assert_eq!(find("two"), Ok(&("two", 2)));
        let message = find("three").unwrap_err().to_string();
        assert_eq!(message, "there is no number `three`; choose one of one, two");
        let message = find("onee").unwrap_err().to_string();
        assert_eq!(message, "there is no number `onee`; did you mean `one`? Otherwise choose one of one, two");
    }
}

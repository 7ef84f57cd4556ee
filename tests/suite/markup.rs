//! Are a page and its plots what a browser can read? Tags balanced, attributes quoted, numbers finite.

/// Elements without content or end.
const VOID: [&str; 4] = ["meta", "br", "hr", "!doctype"];

/// Panics unless `text` is well-formed: for SVG files and for pages that hold them.
pub fn assert_well_formed(name: &str, text: &str) {
    let (mut open, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find('<') {
        let length = rest[start..].find('>').unwrap_or_else(|| panic!("{name}: a tag without end"));
        let tag = &rest[start + 1..start + length];
        let element = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
        assert_eq!(tag.matches('"').count() % 2, 0, "{name}: <{tag}>");
        // Every other piece between quotation marks is a value; the letters of an embedded picture mean nothing.
        for value in tag.split('"').skip(1).step_by(2).filter(|value| !value.starts_with("data:")) {
            assert!(!value.contains("NaN") && !value.starts_with("inf"), "{name}: <{tag}>");
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(element), "{name}: </{element}>");
        } else if !tag.ends_with('/') && !VOID.contains(&element) && !tag.starts_with('?') {
            open.push(element);
        }
        rest = &rest[start + length + 1..];
    }
    assert!(open.is_empty(), "{name}: {open:?} never end");
}

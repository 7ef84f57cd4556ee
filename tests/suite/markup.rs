//! Checks that pages and plots are well-formed: tags balanced, attributes quoted, numbers finite.

/// Elements without content and without an end tag.
const VOID: [&str; 4] = ["meta", "br", "hr", "!doctype"];

/// Panics unless `text`, an SVG file or a page with such plots in it, is well-formed.
pub fn assert_well_formed(name: &str, text: &str) {
    let (mut open, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find('<') {
        let length = rest[start..].find('>').unwrap_or_else(|| panic!("{name}: a tag without end"));
        let tag = &rest[start + 1..start + length];
        let element = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
        assert_eq!(tag.matches('"').count() % 2, 0, "{name}: <{tag}>");
        // Every other piece between quotation marks is a value. Embedded pictures are skipped: base64 may spell `NaN`.
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

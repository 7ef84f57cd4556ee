//! Results as JSON files.

use super::ReportError;
use serde::Serialize;
use std::path::Path;

/// Writes `value` as indented JSON, atomically.
///
/// # Errors
/// [`ReportError::Json`] for a value that JSON cannot express, [`ReportError::Write`] if the file cannot be written.
pub fn write<T: Serialize + ?Sized>(file: &Path, value: &T) -> Result<(), ReportError> {
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|source| ReportError::Json { file: file.into(), source })?;
    text.push(b'\n');
    Ok(crate::host::atomic::write(file, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn writes_and_reports() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.json");
        write(&file, &BTreeMap::from([("logloss", -25.5)])).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\n  \"logloss\": -25.5\n}\n");
        let unspeakable = BTreeMap::from([(vec![1], 2)]);
        assert!(matches!(write(&file, &unspeakable).unwrap_err(), ReportError::Json { .. }));
    }
}

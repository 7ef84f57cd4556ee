//! Files of a data set in a folder: found packed or unpacked, read whole, unpacked in memory.

use super::{DataError, FormatError};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// More bytes than any file of a known data set has. Larger ones are refused before memory runs out.
const LIMIT: u64 = 1 << 30;

/// A file of a data set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceFile {
    /// Where it lies in the data folder, with `/` between folder and name.
    pub path: &'static str,
    /// Its addresses, in the order in which they are tried.
    pub mirrors: &'static [&'static str],
    /// Contents that are known to be good.
    pub versions: &'static [Version],
}

/// A known content of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Whether size and checksum are those of the packed file or of what is in it.
    pub form: Form,
    /// Size in bytes.
    pub bytes: u64,
    /// Checksum in hexadecimal digits.
    pub sha256: &'static str,
}

/// What a checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The file as it is stored.
    Packed,
    /// Its content after gzip: the same whoever packed it, at whatever level.
    Unpacked,
}

/// A content after gzip.
pub(super) const fn unpacked(bytes: u64, sha256: &'static str) -> Version {
    Version { form: Form::Unpacked, bytes, sha256 }
}

/// A file as it is stored.
pub(super) const fn packed(bytes: u64, sha256: &'static str) -> Version {
    Version { form: Form::Packed, bytes, sha256 }
}

/// The folder with the data sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// This folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder that was named on the command line, else `SIROCCO_DATA`, else `data` where the command runs.
    pub fn named(option: Option<&Path>) -> Self {
        let from_environment = || std::env::var_os("SIROCCO_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
        Self(option.map(Path::to_path_buf).or_else(from_environment).unwrap_or_else(|| "data".into()))
    }

    /// Where tests find real data: `SIROCCO_DATA`, else `../shared/data` beside the repository, if it is there.
    pub fn of_tests() -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let named = std::env::var_os("SIROCCO_DATA").map(PathBuf::from);
        named.or(Some(beside)).filter(|path| path.is_dir()).map(Self)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where a file of the folder lies, packed or unpacked, if it does.
    pub fn find(&self, file: &str) -> Option<PathBuf> {
        let unpacked = file.strip_suffix(".gz").unwrap_or(file);
        [file, unpacked].map(|name| self.0.join(name)).into_iter().find(|path| path.is_file())
    }

    /// Reads and unpacks a file of the data set `set`, and parses its content.
    ///
    /// # Errors
    /// [`DataError`] if the file is missing, cannot be read or unpacked, or is refused by `parse`.
    pub fn parse<T>(
        &self,
        set: &'static str,
        file: &str,
        parse: impl FnOnce(&[u8]) -> Result<T, FormatError>,
    ) -> Result<T, DataError> {
        let path = self.find(file).ok_or_else(|| self.missing(set, file))?;
        parse(&read(&path)?).map_err(|error| DataError::Format { file: path, error })
    }

    /// The error for a file of the data set `set` that is not in the folder.
    pub fn missing(&self, set: &'static str, file: &str) -> DataError {
        DataError::Missing { set, file: file.into(), folder: self.0.clone() }
    }
}

/// The content of a file, unpacked if it is packed.
///
/// # Errors
/// [`DataError`] if the file cannot be read, is damaged, or is larger than any of a known data set.
pub fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut content = Vec::new();
    let mut reader = open(path)?.take(LIMIT + 1);
    if let Err(source) = reader.read_to_end(&mut content) {
        return Err(read_error(path, content.len() as u64, source));
    }
    if content.len() as u64 > LIMIT {
        return Err(DataError::TooLarge { file: path.into(), limit: LIMIT });
    }
    Ok(content)
}

/// The members of a tar archive (packed or not) with these file names, in whatever folder of it.
///
/// # Errors
/// [`DataError`] if the archive cannot be read, is damaged, or lacks a member.
pub fn read_members(path: &Path, names: &[&str]) -> Result<Vec<Vec<u8>>, DataError> {
    let mut found: Vec<Option<Vec<u8>>> = vec![None; names.len()];
    let mut archive = tar::Archive::new(open(path)?.take(LIMIT));
    let broken = |at: u64| move |source| read_error(path, at, source);
    for member in archive.entries().map_err(broken(0))? {
        let mut member = member.map_err(broken(0))?;
        let name = member.path().map_err(broken(0))?.file_name().map(|n| n.to_string_lossy().into_owned());
        let Some(place) = names.iter().position(|n| Some(*n) == name.as_deref()) else { continue };
        let start = member.raw_file_position();
        let mut content = Vec::new();
        member.read_to_end(&mut content).map_err(|source| read_error(path, start + content.len() as u64, source))?;
        found[place] = Some(content);
    }
    let named = names.iter().zip(found);
    named
        .map(|(name, content)| content.ok_or_else(|| DataError::NoMember { file: path.into(), member: (*name).into() }))
        .collect()
}

/// The members of an archive of a data set with their paths: from the folder `unpacked`, where a user may have unpacked it,
/// or else from the archive.
///
/// # Errors
/// [`DataError`] if there is neither, or if one of them cannot be read, is damaged, or lacks a member.
pub fn read_archive(
    folder: &Folder,
    set: &'static str,
    archive: &str,
    unpacked: &str,
    names: &[&str],
) -> Result<Vec<(PathBuf, Vec<u8>)>, DataError> {
    let directory = folder.path().join(unpacked);
    if directory.is_dir() {
        let paths = names.iter().map(|name| directory.join(name));
        return paths
            .map(|path| match path.is_file() {
                true => Ok((path.clone(), read(&path)?)),
                false => {
                    Err(folder.missing(set, &format!("{unpacked}/{}", path.file_name().unwrap_or_default().display())))
                }
            })
            .collect();
    }
    let path = folder.find(archive).ok_or_else(|| folder.missing(set, archive))?;
    let members = read_members(&path, names)?;
    Ok(names.iter().map(|name| path.join(name)).zip(members).collect())
}

/// The content of packed bytes that have `name` in messages.
pub(super) fn unpack(name: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
    let mut content = Vec::new();
    let result = MultiGzDecoder::new(bytes).take(LIMIT).read_to_end(&mut content);
    result.map_err(|source| read_error(name, content.len() as u64, source))?;
    Ok(content)
}

/// A reader of the unpacked content. Whether a file is packed is decided by its first two bytes, for its name may be wrong.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let refused = |source| DataError::Read { file: path.into(), source };
    let mut file = io::BufReader::with_capacity(1 << 16, File::open(path).map_err(refused)?);
    let start = io::BufRead::fill_buf(&mut file).map_err(refused)?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// The error of reading after `offset` bytes. Decoders report damaged content as one of these kinds; other kinds come from the
/// disk.
pub(super) fn read_error(path: &Path, offset: u64, source: io::Error) -> DataError {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match source.kind() {
        InvalidData | InvalidInput | UnexpectedEof | Other => DataError::Unpack { file: path.into(), offset, source },
        _ => DataError::Read { file: path.into(), source },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    pub fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn packed_and_unpacked_files_read_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path());
        assert_eq!(folder.find("a.gz"), None);
        std::fs::write(directory.path().join("a"), b"content").unwrap();
        assert_eq!(read(&folder.find("a.gz").unwrap()).unwrap(), b"content");
        std::fs::write(directory.path().join("a.gz"), gzip(b"content, packed")).unwrap();
        assert_eq!(read(&folder.find("a.gz").unwrap()).unwrap(), b"content, packed");
        // What is called packed need not be.
        std::fs::write(directory.path().join("a.gz"), b"not packed").unwrap();
        assert_eq!(read(&folder.find("a.gz").unwrap()).unwrap(), b"not packed");
    }

    #[test]
    fn a_packed_file_that_is_cut_off_or_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.gz");
        let content: Vec<u8> = (0..100_000u64).map(|k| ((k * k) >> 7) as u8).collect();
        let good = gzip(&content);
        std::fs::write(&file, &good[..good.len() / 2]).unwrap();
        let error = read(&file).unwrap_err();
        assert!(matches!(error, DataError::Unpack { offset, .. } if offset > 1000 && offset < 100_000), "{error}");
        assert!(error.to_string().contains("a.gz") && error.to_string().contains("data get"), "{error}");
        let mut flipped = good;
        let last = flipped.len() - 6; // in the checksum that ends a gzip file
        flipped[last] ^= 1;
        std::fs::write(&file, &flipped).unwrap();
        assert!(matches!(read(&file).unwrap_err(), DataError::Unpack { offset: 100_000, .. }));
    }

    #[test]
    fn archives_give_their_members_or_say_what_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.tar.gz");
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in [("x/two.bin", &[2u8; 2000][..]), ("x/one.bin", &[1; 10])] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_cksum();
            archive.append_data(&mut header, name, content).unwrap();
        }
        let good = gzip(&archive.into_inner().unwrap());
        std::fs::write(&file, &good).unwrap();
        let members = read_members(&file, &["one.bin", "two.bin"]).unwrap();
        assert_eq!(members, [vec![1; 10], vec![2; 2000]]);
        let error = read_members(&file, &["three.bin"]).unwrap_err();
        assert!(matches!(&error, DataError::NoMember { member, .. } if member == "three.bin"), "{error}");
        std::fs::write(&file, &good[..40]).unwrap();
        assert!(matches!(read_members(&file, &["one.bin"]).unwrap_err(), DataError::Unpack { .. }));
    }
}

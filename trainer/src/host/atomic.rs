//! Atomic file writes: a reader sees the old file or the new one, never half of one.
//!
//! The bytes are written to a temporary file in the same directory and forced to disk. One rename then gives it the
//! target's name, and the directory entry is forced to disk as well. If any of this fails, the old file is unchanged.
//! Symbolic links are followed. What is no regular file, such as `/dev/null` or a named pipe, is written through.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a file could not be written, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The target's directory does not exist.
    #[error("cannot write `{}`: the directory `{}` does not exist; create it first", .file.display(), .directory.display())]
    NoDirectory {
        /// The file.
        file: PathBuf,
        /// The directory that is missing.
        directory: PathBuf,
    },
    /// The target is a directory or has no file name.
    #[error("cannot write `{}`: this names a directory; give a file name", .0.display())]
    NotAFile(PathBuf),
    /// The disk or the quota is full.
    #[error("cannot write `{}`: the disk is full; free some space and run again (nothing was lost)", .0.display())]
    DiskFull(PathBuf),
    /// The directory may not be written to.
    #[error("cannot write `{}`: permission denied; choose another place or change the directory's permissions", .0.display())]
    Permission(PathBuf),
    /// A directory could not be created.
    #[error("cannot create the directory `{}`: {source}; choose another place", .directory.display())]
    CreateDirectory {
        /// The directory.
        directory: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Any other error of the system.
    #[error("cannot write `{}`: {source}; check the path and the disk", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl WriteError {
    /// The system's error for `file`, as one that names a remedy.
    pub(crate) fn new(file: &Path, directory: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(file.into()),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Permission(file.into()),
            io::ErrorKind::NotFound => Self::NoDirectory { file: file.into(), directory: directory.into() },
            io::ErrorKind::IsADirectory => Self::NotAFile(file.into()),
            _ => Self::Io { file: file.into(), source },
        }
    }
}

/// Writes `bytes` to `file`, replacing what was there in one step.
///
/// # Errors
/// [`WriteError`], which names the file and the remedy. The old file is then unchanged and no temporary file is left.
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_with(file, |out| out.write_all(bytes))
}

/// Like [`write()`], for content that is produced in pieces.
///
/// # Errors
/// As [`write()`]; an error that `content` returns is treated as one of the disk.
pub fn write_with(file: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), WriteError> {
    check(file)?;
    let target = target_of(file);
    let file = target.as_path();
    let directory = directory_of(file);
    if is_special(file) {
        // A device or a pipe has no old content to keep, and would be gone if a file took its name.
        let write = || {
            let mut out = io::BufWriter::new(File::options().write(true).open(file)?);
            content(&mut out)?;
            out.flush()
        };
        return write().map_err(|source| WriteError::new(file, directory, source));
    }
    let attempt = || -> io::Result<()> {
        let mut temporary = temporary_in(directory)?;
        let mut buffered = io::BufWriter::new(temporary.as_file_mut());
        content(&mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        keep_permissions(temporary.as_file(), file)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file).map_err(|e| e.error)?;
        sync_directory(directory)
    };
    attempt().map_err(|source| WriteError::new(file, directory, source))
}

/// Checks that `file` is not a directory and has one. Call it before long work, to fail then and not at the end.
///
/// # Errors
/// [`WriteError::NotAFile`] or [`WriteError::NoDirectory`].
pub fn check(file: &Path) -> Result<(), WriteError> {
    if file.file_name().is_none() || file.is_dir() {
        return Err(WriteError::NotAFile(file.into()));
    }
    let directory = directory_of(file);
    if !directory.is_dir() {
        return Err(WriteError::NoDirectory { file: file.into(), directory: directory.into() });
    }
    Ok(())
}

/// The file that a chain of symbolic links leads to, so that the file is replaced and not a link.
fn target_of(file: &Path) -> PathBuf {
    let mut target = file.to_owned();
    // As many links as Linux follows.
    for _ in 0..40 {
        let Ok(link) = fs::read_link(&target) else { break };
        target = directory_of(&target).join(link);
    }
    target
}

/// Whether there is something other than a regular file: a device, a pipe, a socket.
fn is_special(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Renames a complete file, which is forced to disk already, to `file` in the same directory, in one step.
///
/// # Errors
/// As [`write()`].
pub fn publish(whole: &Path, file: &Path) -> Result<(), WriteError> {
    let directory = directory_of(file);
    let attempt = fs::rename(whole, file).and_then(|()| sync_directory(directory));
    attempt.map_err(|source| WriteError::new(file, directory, source))
}

/// Creates `directory` and its parents where they are missing.
///
/// # Errors
/// [`WriteError::CreateDirectory`] if the system refuses.
pub fn create_directory(directory: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(directory).map_err(|source| WriteError::CreateDirectory { directory: directory.into(), source })
}

/// A temporary file with the permissions of any new file of the user.
fn temporary_in(directory: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sirocco-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

/// Copies the permissions of the file that is about to be replaced.
fn keep_permissions(temporary: &File, target: &Path) -> io::Result<()> {
    match fs::metadata(target) {
        Ok(old) => temporary.set_permissions(old.permissions()),
        Err(_) => Ok(()),
    }
}

/// Forces the directory entry to disk, so that the rename survives a power cut.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Other systems cannot open a directory for this; the rename itself is atomic.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_in_one_step_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("model.safetensors");
        write(&file, b"old").unwrap();
        write(&file, b"new and longer").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new and longer");
        assert_eq!(entries(directory.path()), ["model.safetensors"]);
    }

    #[test]
    fn a_failure_half_way_keeps_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("model.safetensors");
        write(&file, b"old").unwrap();
        let failed = write_with(&file, |out| {
            out.write_all(b"half of the ne")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        let error = failed.unwrap_err();
        assert!(matches!(error, WriteError::DiskFull(_)), "{error:?}");
        assert!(error.to_string().contains("model.safetensors") && error.to_string().contains("free some space"));
        assert_eq!(fs::read(&file).unwrap(), b"old");
        assert_eq!(entries(directory.path()), ["model.safetensors"]);
    }

    /// `/dev/full` refuses every write as a full disk does, through the system's own error code.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_systems_own_full_disk_is_recognized() {
        let source = File::options().write(true).open("/dev/full").unwrap().write_all(b"x").unwrap_err();
        let error = WriteError::new(Path::new("model"), Path::new("."), source);
        assert!(matches!(error, WriteError::DiskFull(_)), "{error:?}");
    }

    #[test]
    fn names_the_missing_directory() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("not-there");
        let error = write(&missing.join("a.json"), b"{}").unwrap_err();
        assert!(matches!(&error, WriteError::NoDirectory { directory, .. } if *directory == missing), "{error:?}");
        assert!(!missing.exists());
        assert!(matches!(write(directory.path(), b"").unwrap_err(), WriteError::NotAFile(_)));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_written_through() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("model"), b"old").unwrap();
        symlink("model", at("link")).unwrap();
        symlink("link", at("chain")).unwrap();
        write(&at("chain"), b"new").unwrap();
        assert_eq!(fs::read(at("model")).unwrap(), b"new");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        symlink("not-there-yet", at("dangling")).unwrap();
        write(&at("dangling"), b"x").unwrap();
        assert_eq!(fs::read(at("not-there-yet")).unwrap(), b"x");
        symlink("/dev/null", at("null")).unwrap();
        write(&at("null"), b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        assert_eq!(entries(directory.path()), ["chain", "dangling", "link", "model", "not-there-yet", "null"]);
    }

    #[cfg(unix)]
    #[test]
    fn keeps_the_permissions_of_the_file_it_replaces() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        write(&file, b"1").unwrap();
        fs::write(directory.path().join("plain"), b"1").unwrap();
        let mode = |name: &str| fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("a"), mode("plain"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        write(&file, b"2").unwrap();
        assert_eq!(mode("a"), 0o640);
    }
}

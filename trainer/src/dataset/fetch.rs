//! Fetching the files of a data set over HTTP: resumed where a connection broke, checked by SHA-256, renamed into place.
//!
//! What has arrived lies in `NAME.part` beside the file, whatever ends the process. The next call asks the server for
//! the rest (`Range`, RFC 9110 section 14) and starts over only if the server cannot send it. A file gets its name
//! after it was found to be one of the known versions, so a file that has its name is complete.

use super::DataError;
use super::source::{Folder, Form, SourceFile, Version, open, read_error};
use crate::host::atomic::{self, WriteError};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::Agent;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, RANGE};

/// Longest silence of a server before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(60);
/// Pause before a broken connection is made again.
const PAUSE: Duration = Duration::from_millis(200);
/// More bytes than any known file has. Longer downloads are refused before the disk is full.
const LIMIT: u64 = 1 << 30;

/// A file that is present and complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// The file.
    pub file: PathBuf,
    /// Its size as it is stored.
    pub bytes: u64,
    /// Its address; none if it was present before.
    pub url: Option<String>,
    /// Bytes that an earlier call had left.
    pub resumed_at: u64,
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file has no address.
    #[error("no address offers `{file}`; name one that does with --mirror, or put the file into `{}`", .folder.display())]
    NoMirror {
        /// The file, relative to the folder.
        file: &'static str,
        /// The data folder.
        folder: PathBuf,
    },
    /// No address delivered the file.
    #[error(
        "cannot fetch `{}`: {}; run the same command again to go on, or name another place with --mirror",
        .file.display(), list(.attempts)
    )]
    Nowhere {
        /// The file.
        file: PathBuf,
        /// The errors of the addresses, in order.
        attempts: Vec<AttemptError>,
    },
    /// Another process is fetching the file.
    #[error("another process is fetching `{}`; wait for it, or end it", .file.display())]
    Busy {
        /// The unfinished file.
        file: PathBuf,
    },
    /// The file is present, but is not a known version or cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why one address did not deliver a file.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The server answers with another status than success.
    #[error("{url} answered with status {status}")]
    Status {
        /// The address.
        url: String,
        /// The status of its answer.
        status: u16,
    },
    /// There was no answer.
    #[error("{url} did not answer ({source})")]
    Connection {
        /// The address.
        url: String,
        /// The error of the HTTP client.
        source: Box<ureq::Error>,
    },
    /// The connection ended too early, and so did the next one, without a further byte.
    #[error("{url} broke off at byte {at}{}", total.map_or(String::new(), |t| format!(" of {t}")))]
    BrokeOff {
        /// The address.
        url: String,
        /// The bytes that have arrived.
        at: u64,
        /// The size of the file, if the server states it.
        total: Option<u64>,
    },
    /// The server sends more bytes than any known file has.
    #[error("{url} sends more than {LIMIT} bytes, so it is not a file of this data set")]
    TooLarge {
        /// The address.
        url: String,
    },
    /// The server sent another file.
    #[error("{url} gave {bytes} bytes that are not the file ({found}; known are {known})")]
    Checksum {
        /// The address.
        url: String,
        /// The number of bytes it sent.
        bytes: u64,
        /// Their checksum, or why they have none.
        found: String,
        /// The known checksums.
        known: String,
    },
}

fn list(attempts: &[AttemptError]) -> String {
    attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a download failed: because of the address or because of the disk.
enum Failure {
    Attempt(AttemptError),
    Disk(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Disk(error)
    }
}

/// Makes sure that a file is in the folder and is a known version. What is missing is fetched from `mirror` (where the file has
/// the same path as in the folder) or else from the known addresses in their order. `progress` is called with the bytes that
/// have arrived and the size of the file, if the server states it.
///
/// # Errors
/// [`FetchError`] if the file is another version, no address delivers it, or it cannot be written. What has arrived is kept.
pub fn fetch(
    folder: &Folder,
    file: &SourceFile,
    mirror: Option<&str>,
    mut progress: impl FnMut(u64, Option<u64>),
) -> Result<Fetched, FetchError> {
    if let Some(found) = folder.find(file.path) {
        let bytes = verify(&found, file.versions)?;
        return Ok(Fetched { file: found, bytes, url: None, resumed_at: 0 });
    }
    let urls: Vec<String> = match mirror {
        Some(base) => vec![format!("{}/{}", base.trim_end_matches('/'), file.path)],
        None => file.mirrors.iter().map(ToString::to_string).collect(),
    };
    if urls.is_empty() {
        return Err(FetchError::NoMirror { file: file.path, folder: folder.path().into() });
    }
    let target = folder.path().join(file.path);
    let part = target.with_added_extension("part");
    let directory = target.parent().unwrap_or(folder.path());
    atomic::create_directory(directory)?;
    let refused = |source| FetchError::Write(WriteError::new(&part, directory, source));
    let mut kept = File::options().read(true).append(true).create(true).open(&part).map_err(refused)?;
    // Where the file system has no locks, two processes at once end in a wrong checksum and nothing worse.
    if let Err(TryLockError::WouldBlock) = kept.try_lock() {
        return Err(FetchError::Busy { file: part });
    }
    let agent = agent();
    let mut attempts = Vec::new();
    for url in urls {
        let mut resumed_at = kept.metadata().map_err(refused)?.len();
        loop {
            let got = download(&agent, &url, &mut kept, &mut progress);
            match got.and_then(|()| inspect(&part, file.versions, &url)) {
                Ok(bytes) => {
                    kept.sync_all().map_err(refused)?;
                    atomic::publish(&part, &target)?;
                    return Ok(Fetched { file: target, bytes, url: Some(url), resumed_at });
                }
                Err(Failure::Disk(source)) => return Err(refused(source)),
                Err(Failure::Attempt(wrong)) => {
                    let content = matches!(wrong, AttemptError::Checksum { .. } | AttemptError::TooLarge { .. });
                    if content {
                        kept.set_len(0).map_err(refused)?;
                    }
                    // The beginning may have been another server's, or another file's.
                    if content && std::mem::take(&mut resumed_at) > 0 {
                        continue;
                    }
                    attempts.push(wrong);
                    break;
                }
            }
        }
    }
    if kept.metadata().is_ok_and(|m| m.len() == 0) {
        _ = std::fs::remove_file(&part);
    }
    Err(FetchError::Nowhere { file: target, attempts })
}

fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .user_agent(concat!("sirocco-train/", env!("CARGO_PKG_VERSION")));
    config.build().new_agent()
}

/// Appends the missing bytes to `part`, with a new connection as long as each one delivers some.
fn download(
    agent: &Agent,
    url: &str,
    part: &mut File,
    progress: &mut impl FnMut(u64, Option<u64>),
) -> Result<(), Failure> {
    loop {
        let before = part.metadata()?.len();
        match connection(agent, url, part, progress) {
            Err(Failure::Attempt(AttemptError::BrokeOff { at, .. })) if at > before => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// One request and its answer.
fn connection(
    agent: &Agent,
    url: &str,
    part: &mut File,
    progress: &mut impl FnMut(u64, Option<u64>),
) -> Result<(), Failure> {
    let mut at = part.seek(SeekFrom::End(0))?;
    let mut request = agent.get(url);
    if at > 0 {
        request = request.header(RANGE, format!("bytes={at}-"));
    }
    let answer = request
        .call()
        .map_err(|source| Failure::Attempt(AttemptError::Connection { url: url.into(), source: Box::new(source) }))?;
    let range = content_range(answer.headers());
    match answer.status().as_u16() {
        // The whole file, from a server without ranges.
        200 => {
            part.set_len(0)?;
            at = 0;
        }
        206 if range.is_some_and(|(from, _)| from == Some(at)) => {}
        // All of it is here already.
        416 if at > 0 && range == Some((None, Some(at))) => return Ok(()),
        // What was kept is not the beginning of the server's file.
        206 | 416 if at > 0 => {
            part.set_len(0)?;
            return connection(agent, url, part, progress);
        }
        status => return Err(Failure::Attempt(AttemptError::Status { url: url.into(), status })),
    }
    let length = answer.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let total = range.and_then(|(_, total)| total).or(length.map(|length| at + length));
    let mut body = answer.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(at, total);
        // A connection that fails is treated as one that ends too early.
        let n = body.read(&mut buffer).unwrap_or(0);
        if n == 0 {
            break;
        }
        part.write_all(&buffer[..n])?;
        at += n as u64;
        if at > LIMIT {
            return Err(Failure::Attempt(AttemptError::TooLarge { url: url.into() }));
        }
    }
    match total {
        Some(total) if at < total => {
            Err(Failure::Attempt(AttemptError::BrokeOff { url: url.into(), at, total: Some(total) }))
        }
        _ => Ok(()),
    }
}

/// First byte and size of the whole from `Content-Range: bytes 7-99/100` or `bytes */100`.
fn content_range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let (range, total) = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    let from = range.split_once('-').and_then(|(from, _)| from.trim().parse().ok());
    Some((from, total.trim().parse().ok()))
}

/// The size of the downloaded file, if it is a known version.
fn inspect(part: &Path, versions: &[Version], url: &str) -> Result<u64, Failure> {
    let url = url.to_owned();
    match verify(part, versions) {
        Ok(bytes) => Ok(bytes),
        Err(DataError::Read { source, .. }) => Err(Failure::Disk(source)),
        Err(error) => {
            let bytes = part.metadata()?.len();
            let found = match error {
                DataError::Checksum { found, .. } => format!("sha256 {found}"),
                DataError::Unpack { offset, .. } => format!("it cannot be unpacked beyond byte {offset}"),
                other => other.to_string(),
            };
            Err(Failure::Attempt(AttemptError::Checksum { url, bytes, found, known: known(versions) }))
        }
    }
}

/// The size of a file, if it is one of the known versions.
///
/// # Errors
/// [`DataError`] if it is not a known version, or cannot be read or unpacked.
pub fn verify(path: &Path, versions: &[Version]) -> Result<u64, DataError> {
    let refused = |source| DataError::Read { file: path.into(), source };
    let (bytes, packed) = digest(File::open(path).map_err(refused)?).map_err(|(_, source)| refused(source))?;
    let is = |form, (bytes, sha256): (u64, &str)| {
        versions.iter().any(|v| v.form == form && v.bytes == bytes && v.sha256 == sha256)
    };
    if is(Form::Packed, (bytes, &packed)) {
        return Ok(bytes);
    }
    let mut found = packed;
    if versions.iter().any(|v| v.form == Form::Unpacked) {
        let content = digest(open(path)?.take(LIMIT)).map_err(|(at, source)| read_error(path, at, source))?;
        if is(Form::Unpacked, (content.0, &content.1)) {
            return Ok(bytes);
        }
        found = content.1;
    }
    Err(DataError::Checksum { file: path.into(), found, known: known(versions) })
}

fn known(versions: &[Version]) -> String {
    versions.iter().map(|v| v.sha256).collect::<Vec<_>>().join(", ")
}

/// Size and SHA-256 of a reader's content; if reading fails, the bytes read before and the error.
fn digest(mut reader: impl Read) -> Result<(u64, String), (u64, io::Error)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = reader.read(&mut buffer).map_err(|source| (bytes, source))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        bytes += n as u64;
    }
    let hex = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok((bytes, hex))
}

#[cfg(test)]
mod tests;

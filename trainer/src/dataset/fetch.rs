//! Fetching the files of a data set over HTTP: resumed where a connection broke, checked by SHA-256, renamed into place.
//!
//! What has arrived lies in `NAME.part` beside the file, whatever ends the process; the next call asks the server for
//! the rest (`Range`, RFC 9110 section 14) and starts over only where the server cannot give it. A file takes its name
//! after it was found to be one of the known versions, so a file that has its name is whole.

use super::DataError;
use super::source::{Folder, Form, SourceFile, Version, failed, open};
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
/// More than any known file holds; what goes on longer is refused before the disk is full.
const LIMIT: u64 = 1 << 30;

/// A file that is there and whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// The file.
    pub file: PathBuf,
    /// Its size as it is stored.
    pub bytes: u64,
    /// Where it came from; none, if it was there before.
    pub url: Option<String>,
    /// Bytes that an earlier call had left.
    pub resumed_at: u64,
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody offers the file.
    #[error("no address offers `{file}`; name one that does with --mirror, or put the file into `{}`", .folder.display())]
    NoMirror {
        /// The file, relative to the folder.
        file: &'static str,
        /// The data folder.
        folder: PathBuf,
    },
    /// No address gave the file.
    #[error(
        "cannot fetch `{}`: {}; run the same command again to go on, or name another place with --mirror",
        .file.display(), list(.attempts)
    )]
    Nowhere {
        /// The file.
        file: PathBuf,
        /// What went wrong at each address, in order.
        attempts: Vec<AttemptError>,
    },
    /// Another process is at it.
    #[error("another process is fetching `{}`; wait for it, or end it", .file.display())]
    Busy {
        /// The unfinished file.
        file: PathBuf,
    },
    /// The file that is there is not a known one, or cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The disk refuses.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why one address did not give a file.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The server refuses.
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
        /// What the HTTP client said.
        source: Box<ureq::Error>,
    },
    /// The connection ended too early, and again without a byte more.
    #[error("{url} broke off at byte {at}{}", total.map_or(String::new(), |t| format!(" of {t}")))]
    BrokeOff {
        /// The address.
        url: String,
        /// Bytes that are there.
        at: u64,
        /// Bytes that there should be, if the server said so.
        total: Option<u64>,
    },
    /// The server sends without end.
    #[error("{url} sends more than {LIMIT} bytes, so that is no file of this data set")]
    TooLarge {
        /// The address.
        url: String,
    },
    /// Something else came.
    #[error("{url} gave {bytes} bytes that are not the file ({found}; known are {known})")]
    Checksum {
        /// The address.
        url: String,
        /// How many bytes came.
        bytes: u64,
        /// What was found in them.
        found: String,
        /// What is known.
        known: String,
    },
}

fn list(attempts: &[AttemptError]) -> String {
    attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a connection ended: the address's fault or the disk's.
enum Broken {
    Attempt(AttemptError),
    Disk(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Disk(error)
    }
}

/// Makes sure that a file is in the folder and is a known version, fetching what is missing: from `mirror` (where it has
/// the same path as in the folder) or else from the known addresses in their order. `watch` sees (bytes, of how many).
///
/// # Errors
/// [`FetchError`], which names the file, the addresses, how far it came, and the remedy. What has arrived is kept.
pub fn fetch(
    folder: &Folder,
    file: &SourceFile,
    mirror: Option<&str>,
    mut watch: impl FnMut(u64, Option<u64>),
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
            let got = download(&agent, &url, &mut kept, &mut watch);
            match got.and_then(|()| inspect(&part, file.versions, &url)) {
                Ok(bytes) => {
                    kept.sync_all().map_err(refused)?;
                    atomic::publish(&part, &target)?;
                    return Ok(Fetched { file: target, bytes, url: Some(url), resumed_at });
                }
                Err(Broken::Disk(source)) => return Err(refused(source)),
                Err(Broken::Attempt(wrong)) => {
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

/// Appends to `part` what it lacks, connecting again as long as every connection brings it further.
fn download(agent: &Agent, url: &str, part: &mut File, watch: &mut impl FnMut(u64, Option<u64>)) -> Result<(), Broken> {
    loop {
        let before = part.metadata()?.len();
        match connection(agent, url, part, watch) {
            Err(Broken::Attempt(AttemptError::BrokeOff { at, .. })) if at > before => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// One request and its answer.
fn connection(
    agent: &Agent,
    url: &str,
    part: &mut File,
    watch: &mut impl FnMut(u64, Option<u64>),
) -> Result<(), Broken> {
    let mut at = part.seek(SeekFrom::End(0))?;
    let mut request = agent.get(url);
    if at > 0 {
        request = request.header(RANGE, format!("bytes={at}-"));
    }
    let answer = request
        .call()
        .map_err(|source| Broken::Attempt(AttemptError::Connection { url: url.into(), source: Box::new(source) }))?;
    let range = content_range(answer.headers());
    match answer.status().as_u16() {
        // Everything, from a server that does not know ranges.
        200 => {
            part.set_len(0)?;
            at = 0;
        }
        206 if range.is_some_and(|(from, _)| from == Some(at)) => {}
        // All of it is here already.
        416 if at > 0 && range == Some((None, Some(at))) => return Ok(()),
        // What was kept is not a beginning of what the server has.
        206 | 416 if at > 0 => {
            part.set_len(0)?;
            return connection(agent, url, part, watch);
        }
        status => return Err(Broken::Attempt(AttemptError::Status { url: url.into(), status })),
    }
    let length = answer.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    let total = range.and_then(|(_, total)| total).or(length.map(|length| at + length));
    let mut body = answer.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        watch(at, total);
        // A connection that fails and one that ends too early are the same to us.
        let n = body.read(&mut buffer).unwrap_or(0);
        if n == 0 {
            break;
        }
        part.write_all(&buffer[..n])?;
        at += n as u64;
        if at > LIMIT {
            return Err(Broken::Attempt(AttemptError::TooLarge { url: url.into() }));
        }
    }
    match total {
        Some(total) if at < total => {
            Err(Broken::Attempt(AttemptError::BrokeOff { url: url.into(), at, total: Some(total) }))
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

/// The size of what came, if it is a known version.
fn inspect(part: &Path, versions: &[Version], url: &str) -> Result<u64, Broken> {
    let url = url.to_owned();
    match verify(part, versions) {
        Ok(bytes) => Ok(bytes),
        Err(DataError::Read { source, .. }) => Err(Broken::Disk(source)),
        Err(error) => {
            let bytes = part.metadata()?.len();
            let found = match error {
                DataError::Checksum { found, .. } => format!("sha256 {found}"),
                DataError::Unpack { offset, .. } => format!("it cannot be unpacked beyond byte {offset}"),
                other => other.to_string(),
            };
            Err(Broken::Attempt(AttemptError::Checksum { url, bytes, found, known: known(versions) }))
        }
    }
}

/// The size of a file, if it is one of the known versions.
///
/// # Errors
/// [`DataError::Checksum`], or that it cannot be read or unpacked.
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
        let content = digest(open(path)?.take(LIMIT)).map_err(|(at, source)| failed(path, at, source))?;
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

/// Size and SHA-256 of what a reader gives, or how far it came.
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

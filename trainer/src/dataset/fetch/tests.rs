//! Downloads from a server of this process, which can break off, lie, and not know ranges.

use super::*;
use crate::dataset::source::tests::gzip;
use crate::dataset::source::{packed, unpacked};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a server behaves.
#[derive(Clone)]
struct Manners {
    content: Vec<u8>,
    status: u16,
    /// Whether it knows ranges.
    ranges: bool,
    /// Bytes of a body after which a connection breaks, if it has more.
    breaks_after: Option<usize>,
}

impl Manners {
    fn of(content: &[u8]) -> Self {
        Manners { content: content.to_vec(), status: 200, ranges: true, breaks_after: None }
    }
}

/// A server on the loopback, a thread for every connection; it goes on until the tests end.
struct Server {
    url: String,
    /// First byte that every request asked for.
    asked: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file.gz", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (manners, seen) = (manners.clone(), seen.clone());
                std::thread::spawn(move || answer(stream.unwrap(), &manners, &seen));
            }
        });
        Server { url, asked }
    }

    fn asked(&self) -> Vec<Option<usize>> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, manners: &Manners, asked: &Mutex<Vec<Option<usize>>>) {
    let mut from = None;
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let line = line.unwrap().to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = Some(range.trim_end_matches('-').parse().unwrap());
        }
        if line.is_empty() {
            break;
        }
    }
    asked.lock().unwrap().push(from);
    let (total, mut status, mut range) = (manners.content.len(), manners.status, String::new());
    let mut body: &[u8] = if status == 200 { &manners.content } else { b"sorry" };
    if let Some(from) = from.filter(|_| manners.ranges && status == 200) {
        if from < total {
            (status, body) = (206, &body[from..]);
            range = format!("Content-Range: bytes {from}-{}/{total}\r\n", total - 1);
        } else {
            (status, body) = (416, b"");
            range = format!("Content-Range: bytes */{total}\r\n");
        }
    }
    let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{range}Connection: close\r\n\r\n", body.len());
    let sent = &body[..body.len().min(manners.breaks_after.unwrap_or(usize::MAX))];
    _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(sent));
}

fn leaked(text: &str) -> &'static str {
    text.to_owned().leak()
}

/// 300,000 bytes that do not compress well.
fn content() -> Vec<u8> {
    (0..300_000u64).map(|k| (k.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect()
}

/// A file that `urls` offer, of which `content` is the one known version.
fn file(urls: &[&str], content: &[u8], form: Form) -> SourceFile {
    let (bytes, sha256) = digest(content).unwrap();
    let version = if form == Form::Packed { packed(bytes, leaked(&sha256)) } else { unpacked(bytes, leaked(&sha256)) };
    let mirrors: Vec<&'static str> = urls.iter().map(|url| leaked(url)).collect();
    SourceFile { path: "set/file.gz", mirrors: mirrors.leak(), versions: vec![version].leak() }
}

/// A folder, the file in it, and the unfinished file in it.
fn place() -> (tempfile::TempDir, Folder, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (folder, target) = (Folder::new(directory.path()), directory.path().join("set/file.gz"));
    let part = target.with_added_extension("part");
    (directory, folder, target, part)
}

fn get(folder: &Folder, file: &SourceFile) -> Result<Fetched, FetchError> {
    fetch(folder, file, None, |_, _| {})
}

#[test]
fn a_whole_download_is_checked_and_happens_once() {
    let bytes = gzip(&content());
    let server = Server::start(Manners::of(&bytes));
    let (_keep, folder, target, part) = place();
    // By its content: whoever packed it.
    let file = file(&[&server.url], &content(), Form::Unpacked);
    let mut progress = Vec::new();
    let fetched = fetch(&folder, &file, None, |at, total| progress.push((at, total))).unwrap();
    let expected =
        Fetched { file: target.clone(), bytes: bytes.len() as u64, url: Some(server.url.clone()), resumed_at: 0 };
    assert_eq!(fetched, expected);
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
    assert!(!part.exists());
    let size = bytes.len() as u64;
    assert_eq!((progress[0], *progress.last().unwrap()), ((0, Some(size)), (size, Some(size))));
    assert_eq!(get(&folder, &file).unwrap().url, None, "it is there");
    assert_eq!(server.asked(), [None]);
}

#[test]
fn a_connection_that_breaks_is_resumed_where_it_broke() {
    let bytes = content();
    let server = Server::start(Manners { breaks_after: Some(120_000), ..Manners::of(&bytes) });
    let (_keep, folder, target, _) = place();
    let fetched = get(&folder, &file(&[&server.url], &bytes, Form::Packed)).unwrap();
    assert_eq!((std::fs::read(&target).unwrap(), fetched.resumed_at), (bytes, 0));
    assert_eq!(server.asked(), [None, Some(120_000), Some(240_000)]);
}

#[test]
fn what_an_ended_process_left_is_kept() {
    let bytes = content();
    let server = Server::start(Manners::of(&bytes));
    let file = file(&[&server.url], &bytes, Form::Packed);
    for (left, asked) in [
        (&bytes[..7], vec![Some(7)]),
        // All of it: the process ended before the file had its name.
        (&bytes[..], vec![Some(300_000)]),
        // More than there is, so something else.
        (&[1; 400_000], vec![Some(400_000), None]),
        // Something else of which only the checksum tells.
        (&[1; 1000], vec![Some(1000), None]),
    ] {
        server.asked.lock().unwrap().clear();
        let (_keep, folder, target, part) = place();
        std::fs::create_dir(target.parent().unwrap()).unwrap();
        std::fs::write(&part, left).unwrap();
        get(&folder, &file).unwrap();
        assert_eq!(server.asked(), asked);
        assert!(std::fs::read(&target).unwrap() == bytes && !part.exists());
    }
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let bytes = content();
    let (_keep, folder, target, part) = place();
    let broken = Server::start(Manners { ranges: false, breaks_after: Some(1000), ..Manners::of(&bytes) });
    let error = get(&folder, &file(&[&broken.url], &bytes, Form::Packed)).unwrap_err();
    let FetchError::Nowhere { attempts, .. } = &error else { panic!("{error}") };
    assert!(matches!(attempts[..], [AttemptError::BrokeOff { at: 1000, total: Some(300_000), .. }]), "{error}");
    assert_eq!(broken.asked(), [None, Some(1000)], "once more, and no further");
    let text = error.to_string();
    assert!(text.contains("file.gz") && text.contains(&broken.url) && text.contains("byte 1000 of 300000"), "{text}");
    assert_eq!(part.metadata().unwrap().len(), 1000, "what came is kept");

    let whole = Server::start(Manners { ranges: false, ..Manners::of(&bytes) });
    get(&folder, &file(&[&whole.url], &bytes, Form::Packed)).unwrap();
    assert_eq!(whole.asked(), [Some(1000)]);
    assert_eq!(std::fs::read(&target).unwrap(), bytes);
}

#[test]
fn what_is_not_the_file_never_takes_its_name() {
    let bytes = content();
    let (wrong, cut) =
        (Server::start(Manners::of(&gzip(b"another"))), Server::start(Manners::of(&gzip(&bytes)[..999])));
    let (_keep, folder, target, part) = place();
    let file_of = |urls: &[&str]| file(urls, &bytes, Form::Unpacked);
    let text = get(&folder, &file_of(&[&wrong.url, &cut.url])).unwrap_err().to_string();
    let (_, sha256) = digest(&bytes[..]).unwrap();
    assert!(text.contains(&wrong.url) && text.contains(&sha256), "{text}");
    assert!(text.contains(&format!("{} gave 999 bytes", cut.url)) && text.contains("unpacked beyond byte"), "{text}");
    assert!(!target.exists() && !part.exists());
    let good = Server::start(Manners::of(&gzip(&bytes)));
    assert_eq!(get(&folder, &file_of(&[&wrong.url, &good.url])).unwrap().url, Some(good.url), "the next address");

    std::fs::write(&target, gzip(b"somebody's own")).unwrap();
    let error = get(&folder, &file_of(&[])).unwrap_err();
    assert!(matches!(error, FetchError::Data(DataError::Checksum { .. })), "{error}");
    assert!(target.exists(), "what a user has is left to the user");
}

#[test]
fn servers_that_refuse_or_are_not_there_are_named() {
    let missing = Server::start(Manners { status: 404, ..Manners::of(b"") });
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{nobody}/file.gz");
    let (_keep, folder, _, part) = place();
    let error = get(&folder, &file(&[&missing.url, &nobody], b"x", Form::Packed)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("{} answered with status 404", missing.url)), "{text}");
    assert!(text.contains(&format!("{nobody} did not answer")) && text.contains("--mirror"), "{text}");
    assert!(!part.exists());
    let nowhere = get(&folder, &file(&[], b"x", Form::Packed)).unwrap_err();
    assert!(matches!(nowhere, FetchError::NoMirror { .. }), "{nowhere}");
    // A mirror is asked in place of the known addresses, for the same path.
    let base = missing.url.replace("/file.gz", "/");
    let text = fetch(&folder, &file(&[&nobody], b"x", Form::Packed), Some(&base), |_, _| {}).unwrap_err().to_string();
    assert!(text.contains(&format!("{base}set/file.gz")) && !text.contains(&nobody), "{text}");
}

#[test]
fn two_processes_do_not_write_the_same_file() {
    let (_keep, folder, target, part) = place();
    std::fs::create_dir(target.parent().unwrap()).unwrap();
    let other = File::create(&part).unwrap();
    other.lock().unwrap();
    let error = get(&folder, &file(&["http://127.0.0.1:9/"], b"x", Form::Packed)).unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
}

//! Keys for signing: their files, signed model files, and answers to challenges. `firmware/docs/signing.md` explains their use.

use crate::Error;
use crate::client::Sign;
use crate::input::model_file::ModelFile;
use ed25519_compact::{KeyPair, Seed, Signature};
use sirocco::error::ModelError;
use sirocco::model::signature::{Fingerprint, SIGNATURE_DIGITS, fingerprint, hex};
use sirocco::model::{CRC_DIGITS, Model, crc_of};
use sirocco::wire::trust::Signed;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the one line of a private key's file begins with; 64 hexadecimal digits follow.
const PRIVATE: &str = "sirocco private key: ";
/// The same of a public key's file.
const PUBLIC: &str = "sirocco public key: ";

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A private key, with its public one.
#[derive(Clone)]
pub struct PrivateKey(KeyPair);

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({:016x})", self.public().fingerprint())
    }
}

impl PublicKey {
    /// Reads the file of a public key, or the public key of a private one.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::KeyFile`] if it is not the file of a key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        match line(path)?.strip_prefix(PUBLIC) {
            Some(digits) => hex(digits).map(PublicKey).ok_or_else(|| malformed(path)),
            None => Ok(PrivateKey::read(path)?.public()),
        }
    }

    /// Which key this is, in short.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.0)
    }

    /// All of it in hexadecimal digits.
    pub fn digits(&self) -> String {
        digits(&self.0)
    }

    /// Whether a model file is signed by this key. Returns its serial number.
    ///
    /// # Errors
    /// [`Error::Signature`] if not, [`Error::Model`] if it is not a model file.
    pub fn verify(&self, file: &ModelFile) -> Result<u32, Error> {
        let refused = |source| Error::Signature { path: file.path().to_owned(), source };
        let model = file.model()?;
        let signature = model.signature().map_err(refused)?.ok_or_else(|| refused(ModelError::Unsigned))?;
        let key = signature.key;
        if key != self.fingerprint() {
            return Err(refused(ModelError::UnknownKey { key }));
        }
        let message: Vec<u8> = signature.signed().flatten().copied().collect();
        let public = ed25519_compact::PublicKey::new(self.0);
        match public.verify(message, &Signature::new(signature.bytes)) {
            Ok(()) => Ok(signature.serial),
            Err(_) => Err(refused(ModelError::Forged { key })),
        }
    }
}

impl PrivateKey {
    /// A new key, from the random numbers of the operating system.
    ///
    /// # Errors
    /// [`Error::Random`] if there are none.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Random(error.to_string()))?;
        Ok(Self::from_seed(seed))
    }

    /// The key of a seed; for tests.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        PrivateKey(KeyPair::from_seed(Seed::new(seed)))
    }

    /// Reads the file of a private key.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::KeyFile`] if it is not the file of a private key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let seed = line(path)?.strip_prefix(PRIVATE).and_then(hex);
        let pair = seed.and_then(|seed| KeyPair::try_from_seed(Seed::new(seed)).ok());
        pair.map(PrivateKey).ok_or_else(|| malformed(path))
    }

    /// Writes the key to `NAME.key`, which only its owner may read, and its public key to `NAME.pub`. Files that exist are
    /// never overwritten.
    ///
    /// # Errors
    /// [`Error::KeyExists`] if one of the files exists, [`Error::File`] if one cannot be written.
    pub fn write(&self, name: &Path) -> Result<[PathBuf; 2], Error> {
        let with = |extension: &str| {
            let mut path = name.as_os_str().to_owned();
            path.push(extension);
            PathBuf::from(path)
        };
        let (private, public) = (with(".key"), with(".pub"));
        if public.exists() {
            return Err(Error::KeyExists(public));
        }
        create(&private, true, &format!("{PRIVATE}{}\n", digits(&*self.0.sk.seed())))?;
        create(&public, false, &format!("{PUBLIC}{}\n", self.public().digits()))?;
        Ok([private, public])
    }

    /// Its public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.pk)
    }

    /// Signs what consists of these parts.
    pub fn sign(&self, parts: &[&[u8]]) -> Signed {
        Signed::new(self.public().fingerprint(), self.signature(&parts.concat()))
    }

    /// The same for a conversation with a device.
    pub fn signer(self) -> Sign {
        Arc::new(move |parts| self.sign(parts))
    }

    fn signature(&self, message: &[u8]) -> [u8; 64] {
        *self.0.sk.sign(message, None)
    }

    /// The model file with a signature by this key. An earlier signature is replaced; tensors keep their bytes.
    ///
    /// # Errors
    /// [`Error::Model`] if it is not a model file, or too large with a signature; [`Error::Header`] if its header cannot be
    /// edited.
    pub fn sign_model(&self, file: &ModelFile, serial: u32) -> Result<ModelFile, Error> {
        file.held()?;
        let key = format!("{:016x}", self.public().fingerprint());
        let zeros = "0".repeat(SIGNATURE_DIGITS);
        let entries = [("sirocco.serial", &serial.to_string()), ("sirocco.key", &key), ("sirocco.signature", &zeros)];
        let bytes = with_entries(&file.model()?, &entries).ok_or_else(|| Error::Header(file.path().to_owned()))?;
        let unsigned = ModelFile::from_bytes(file.path(), &seal(bytes));
        let model = unsigned.model()?;
        let signature = model.signature().ok().flatten().ok_or_else(|| Error::Header(file.path().to_owned()))?;
        let message: Vec<u8> = signature.signed().flatten().copied().collect();
        let mut bytes = unsigned.bytes().to_vec();
        replace(&mut bytes, "sirocco.signature", &digits(&self.signature(&message)));
        let signed = ModelFile::from_bytes(file.path(), &seal(bytes));
        // Believe only what a device would.
        self.public().verify(&signed)?;
        signed.held()?;
        Ok(signed)
    }
}

/// The one line of a key's file.
fn line(path: &Path) -> Result<String, Error> {
    let text = std::fs::read(path).map_err(Error::file(path))?;
    let text = String::from_utf8(text).map_err(|_| malformed(path))?;
    Ok(text.trim_end().to_owned())
}

fn malformed(path: &Path) -> Error {
    Error::KeyFile(path.to_owned())
}

fn digits(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Creates a file that does not exist.
fn create(path: &Path, private: bool, text: &str) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::KeyExists(path.to_owned()),
        _ => Error::File { path: path.to_owned(), source: error },
    })?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::file(path))
}

/// The file with these entries at the start of its metadata, in place of earlier ones of the same names. `None` if its header
/// is not as the trainer writes it.
fn with_entries(model: &Model<'_>, entries: &[(&str, &String)]) -> Option<Vec<u8>> {
    let (length, rest) = model.file().split_first_chunk::<8>()?;
    let (header, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let mut header = std::str::from_utf8(header).ok()?.trim_end().to_owned();
    for (name, _) in entries {
        if let Some(value) = model.entry(name) {
            let old = format!("\"{name}\":\"{value}\",");
            header.contains(&old).then_some(())?;
            header = header.replacen(&old, "", 1);
        }
    }
    let new: String = entries.iter().map(|(name, value)| format!("\"{name}\":\"{value}\",")).collect();
    let begin = "\"__metadata__\":{";
    header.contains(begin).then_some(())?;
    header = header.replacen(begin, &format!("{begin}{new}"), 1);
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    Some([&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
}

/// Gives a file the checksum of its bytes.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(at) = value(&bytes, "sirocco.crc32") {
        let crc32 = crc_of(&bytes, at..at + CRC_DIGITS);
        replace(&mut bytes, "sirocco.crc32", &format!("{crc32:08x}"));
    }
    bytes
}

/// Where the value of a metadata entry begins.
fn value(bytes: &[u8], name: &str) -> Option<usize> {
    let mark = format!("\"{name}\":\"");
    Some(bytes.windows(mark.len()).position(|window| window == mark.as_bytes())? + mark.len())
}

/// Overwrites the value of an entry with one of the same length.
fn replace(bytes: &mut [u8], name: &str, new: &str) {
    let place = value(bytes, name).and_then(|at| bytes.get_mut(at..)?.get_mut(..new.len()));
    if let Some(place) = place {
        place.copy_from_slice(new.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> PrivateKey {
        PrivateKey::from_seed([number; 32])
    }

    #[test]
    fn a_signed_file_is_the_same_model() {
        let file = ModelFile::built_in();
        let signed = key(1).sign_model(&file, 7).unwrap();
        assert_eq!(key(1).public().verify(&signed).unwrap(), 7);
        let (before, after) = (file.model().unwrap(), signed.model().unwrap());
        assert_eq!(before.tensors().len(), after.tensors().len());
        for (a, b) in before.tensors().zip(after.tensors()) {
            assert_eq!((a.name, a.dtype, &a.shape, a.bytes), (b.name, b.dtype, &b.shape, b.bytes));
        }
        let others = |model: &Model<'_>| -> Vec<(String, String)> {
            let entries = model.metadata().iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            entries.filter(|(k, _)| !k.starts_with("sirocco.") || k == "sirocco.kind").collect()
        };
        assert_eq!(others(&before), others(&after));
        assert_eq!(signed.held().unwrap().self_test(&mut []).mismatches, 0);
    }

    #[test]
    fn a_file_is_signed_anew_in_place_of_the_old_signature() {
        let signed = key(1).sign_model(&ModelFile::built_in(), 7).unwrap();
        let again = key(2).sign_model(&signed, 8).unwrap();
        assert_eq!(key(2).public().verify(&again).unwrap(), 8);
        assert_eq!(again.model().unwrap().metadata().len(), signed.model().unwrap().metadata().len());
        let source = |result: Result<u32, Error>| match result {
            Err(Error::Signature { source, .. }) => source,
            other => panic!("{other:?}"),
        };
        let unknown = ModelError::UnknownKey { key: key(2).public().fingerprint() };
        assert_eq!(source(key(1).public().verify(&again)), unknown);
        assert_eq!(source(key(1).public().verify(&ModelFile::built_in())), ModelError::Unsigned);
    }

    #[test]
    fn every_changed_byte_breaks_a_signature() {
        let signed = key(1).sign_model(&ModelFile::built_in(), 7).unwrap();
        for at in (0..signed.bytes().len()).step_by(41) {
            let mut bytes = signed.bytes().to_vec();
            bytes[at] ^= 1;
            let sealed = seal(bytes);
            // A change of the checksum's own digits is mended.
            if sealed != signed.bytes() {
                let changed = ModelFile::from_bytes(Path::new("changed"), &sealed);
                assert!(key(1).public().verify(&changed).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn keys_are_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("v1.release");
        let [private, public] = key(3).write(&name).unwrap();
        assert_eq!(private.file_name().unwrap(), "v1.release.key");
        assert_eq!(PrivateKey::read(&private).unwrap().public(), key(3).public());
        assert_eq!(PublicKey::read(&public).unwrap(), key(3).public());
        assert_eq!(PublicKey::read(&private).unwrap(), key(3).public());
        assert!(matches!(PrivateKey::read(&public), Err(Error::KeyFile(_))), "a public key signs nothing");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(key(4).write(&name), Err(Error::KeyExists(_))));
        std::fs::remove_file(&public).unwrap();
        assert!(matches!(key(4).write(&name), Err(Error::KeyExists(_))));
        assert_eq!(PrivateKey::read(&private).unwrap().public(), key(3).public());
        assert!(!public.exists(), "no public key without its private one");
    }

    #[test]
    fn other_files_are_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for text in
            ["", "sirocco private key: ", "sirocco private key: 00", "hello", &format!("{PRIVATE}{}", "0g".repeat(32))]
        {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(PrivateKey::read(&path), Err(Error::KeyFile(_))), "{text}");
            assert!(matches!(PublicKey::read(&path), Err(Error::KeyFile(_))), "{text}");
        }
        assert_ne!(PrivateKey::generate().unwrap().public(), PrivateKey::generate().unwrap().public());
    }
}

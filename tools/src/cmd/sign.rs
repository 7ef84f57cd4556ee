//! `sirocco sign`: signs a model file.

use crate::Error;
use crate::input::model_file::ModelFile;
use crate::keys::PrivateKey;
use crate::output::Output;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Sign a model file, for boards that take signed models only
///
/// The signature and the serial number become part of the file's metadata, and cover all of the file. Boards without
/// keys, and all other programs, read the file as before. A board takes no file with a lower serial number than the
/// highest it has activated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco sign model.safetensors --key release.key --serial 7
  sirocco sign model.safetensors --key release.key --serial 8 --out signed.safetensors --json")]
pub struct Arguments {
    /// Model file
    model: PathBuf,
    /// File of the private key; `sirocco keys new` makes one
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Serial number of the release, which has to grow: 0 to 4294967295
    #[arg(long, value_name = "N")]
    serial: u32,
    /// Write the signed file here; without it, the model file is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Signed<'a> {
    file: &'a Path,
    bytes: usize,
    crc32: String,
    serial: u32,
    key: String,
}

/// Signs the file.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let key = PrivateKey::read(&arguments.key)?;
    let signed = key.sign_model(&ModelFile::read(&arguments.model)?, arguments.serial)?;
    let file = arguments.out.as_deref().unwrap_or(&arguments.model);
    write(file, signed.bytes()).map_err(Error::file(file))?;
    let (bytes, crc32) = (signed.bytes().len(), format!("{:08x}", signed.model()?.crc32()));
    let key = format!("{:016x}", key.public().fingerprint());
    output.result(&Signed { file, bytes, crc32, serial: arguments.serial, key }, |signed| {
        say!("{} signed by key {}, serial number {}", signed.file.display(), signed.key, signed.serial);
    });
    Ok(())
}

/// Replaces a file as a whole: a failure leaves what was there.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    // A temporary file is its owner's alone; a model is as readable as it was, or as files usually are.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_or(0o644, |old| old.permissions().mode());
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

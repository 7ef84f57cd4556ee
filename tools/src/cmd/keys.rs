//! `sirocco keys`: makes and shows keys for signing.

use crate::Error;
use crate::keys::{PrivateKey, PublicKey};
use crate::output::Output;
use serde::Serialize;
use std::path::PathBuf;

/// Make a key for signing models or for changing boards, or show one
///
/// A key is a pair of files. `new` writes NAME.key, which signs and has to stay secret, and NAME.pub, which boards are
/// built with. A key is named by its fingerprint, the first 16 digits of the public key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sirocco keys new release
  sirocco keys show release.pub
  sirocco keys show release.key --json

firmware/docs/signing.md says which keys there are, and what to do if one is lost or stolen.")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a key: NAME.key and NAME.pub, neither of which may exist
    New {
        /// Name of the files, without their ends; it may begin with a folder
        name: PathBuf,
    },
    /// Show the public key of a file
    Show {
        /// File of a public or private key
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Report {
    fingerprint: String,
    public_key: String,
    /// The files that were written.
    files: Vec<PathBuf>,
}

/// Makes or shows a key.
pub fn run(arguments: &Arguments, output: Output) -> Result<(), Error> {
    let (public, files) = match &arguments.action {
        Action::New { name } => {
            let key = PrivateKey::generate()?;
            let files = key.write(name)?.to_vec();
            (key.public(), files)
        }
        Action::Show { file } => (PublicKey::read(file)?, Vec::new()),
    };
    let fingerprint = format!("{:016x}", public.fingerprint());
    output.result(&Report { fingerprint, public_key: public.digits(), files }, |report| {
        say!("fingerprint {}", report.fingerprint);
        say!("public key  {}", report.public_key);
        if let [private, public] = report.files.as_slice() {
            say!(
                "written to  {} and {}; keep the first one secret, and a copy of it",
                private.display(),
                public.display()
            );
        }
    });
    Ok(())
}

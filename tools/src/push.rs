//! Sends a model to a device's free slot. A push that was interrupted by a lost line goes on; after a reset of the device it
//! begins again.

use crate::Error;
use crate::client::{Client, ClientError};
use crate::input::model_file::ModelFile;
use sirocco::limits::MAX_CHUNK;
use sirocco::wire::store::StoreError;
use sirocco::wire::{DeviceError, ask};

/// How often a push begins again after a reset of the device.
const RESTARTS: u32 = 3;

/// Sends the file and has the device check it. Returns the slot that holds it; the device still answers with its old model.
///
/// `progress` is called with the number of bytes that the device has received.
///
/// # Errors
/// [`Error::Model`] if the file is not a model, [`Error::Client`] if the device refuses it or cannot be reached.
pub fn push(client: &mut Client, file: &ModelFile, mut progress: impl FnMut(usize)) -> Result<u8, Error> {
    let crc32 = file.held()?.model_info(false).crc32;
    let begin = ask::ModelBegin(file.bytes().len() as u32, crc32);
    let mut restarts = 0;
    loop {
        match attempt(client, &begin, file.bytes(), &mut progress) {
            // The device was reset and has forgotten the file.
            Err(ClientError::Device { source: DeviceError::Store(StoreError::NotBegun), .. })
                if restarts < RESTARTS =>
            {
                restarts += 1;
            }
            done => return Ok(done?),
        }
    }
}

fn attempt(
    client: &mut Client,
    begin: &ask::ModelBegin,
    bytes: &[u8],
    progress: &mut impl FnMut(usize),
) -> Result<u8, ClientError> {
    let (_, mut next) = client.ask(begin.clone())?;
    while let Some(rest) = bytes.get(next as usize..).filter(|rest| !rest.is_empty()) {
        let chunk = rest.iter().take(MAX_CHUNK).copied().collect();
        (_, next) = client.ask(ask::ModelChunk(next, chunk))?;
        progress(next as usize);
    }
    let (slot, _) = client.ask(ask::ModelCommit)?;
    Ok(slot)
}

//! Sends a model to a device's free slot. Interrupted by a lost line or a reset, it goes on or begins again.

use crate::Error;
use crate::client::{Client, ClientError};
use crate::input::model_file::ModelFile;
use sirocco::limits::MAX_CHUNK;
use sirocco::wire::store::StoreError;
use sirocco::wire::{DeviceError, ask};

/// How often a push begins again after a reset of the device.
const RESTARTS: u32 = 3;

/// Sends the file and has the device check it. Returns the slot it lies in; the model before still answers.
///
/// `progress` is told how many bytes the device has.
///
/// # Errors
/// [`Error::Model`] if the file is no model, [`Error::Client`] if the device does not take it.
pub fn push(client: &mut Client, file: &ModelFile, mut progress: impl FnMut(usize)) -> Result<u8, Error> {
    let crc32 = file.held()?.model_info(false).crc32;
    let begin = ask::ModelBegin(file.bytes().len() as u32, crc32);
    let mut restarts = 0;
    loop {
        match attempt(client, &begin, file.bytes(), &mut progress) {
            // The device was reset and knows nothing of the file any more.
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

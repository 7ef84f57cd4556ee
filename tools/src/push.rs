//! Sends a model to a device's free slot. Interrupted by a lost line or a reset, it goes on or begins again.

use crate::Error;
use crate::client::{Client, ClientError};
use crate::input::model_file::ModelFile;
use sirocco::limits::MAX_CHUNK;
use sirocco::wire::DeviceError;
use sirocco::wire::store::{ModelAnswer, ModelRequest, Origin, StoreError};

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
    let begin = ModelRequest::Begin { bytes: file.bytes().len() as u32, crc32 };
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
    begin: &ModelRequest,
    bytes: &[u8],
    progress: &mut impl FnMut(usize),
) -> Result<u8, ClientError> {
    let mut next = received(client, begin.clone())?;
    while let Some(rest) = bytes.get(next..).filter(|rest| !rest.is_empty()) {
        let chunk = rest.iter().take(MAX_CHUNK).copied().collect();
        next = received(client, ModelRequest::Chunk { offset: next as u32, bytes: chunk })?;
        progress(next);
    }
    match client.model(ModelRequest::Commit)? {
        ModelAnswer::Checked { slot, .. } => Ok(slot),
        _ => Err(client.mismatch()),
    }
}

/// Where the next chunk begins.
fn received(client: &mut Client, request: ModelRequest) -> Result<usize, ClientError> {
    match client.model(request)? {
        ModelAnswer::Receiving { next, .. } => Ok(next as usize),
        _ => Err(client.mismatch()),
    }
}

/// Lets a model answer from now on.
///
/// # Errors
/// [`ClientError`].
pub fn activate(client: &mut Client, origin: Origin) -> Result<(), ClientError> {
    match client.model(ModelRequest::Activate(origin))? {
        ModelAnswer::Activated(_) => Ok(()),
        _ => Err(client.mismatch()),
    }
}

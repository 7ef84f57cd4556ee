//! A device with fake flash, and models to push.

use super::{FakeFlash, Power, Torn};
use sirocco::error::ModelError;
use sirocco::held::{Held, Open};
use sirocco::layer::kernel::Portable;
use sirocco::limits::MAX_CHUNK;
use sirocco::model::{CRC_DIGITS, Model, crc_of};
use sirocco::summary::ModelInfo;
use sirocco::wire::store::{ModelAnswer, ModelRequest, Origin, StoreError};
use sirocco_firmware::{Bench, Opened, Push, Store, Trust, built_in};
use std::cell::RefCell;
use std::rc::Rc;

/// The flash of a device, which outlives its resets.
#[derive(Clone)]
pub struct Device {
    pub slots: [FakeFlash; 2],
    pub records: FakeFlash,
    /// The keys that it holds.
    pub trust: Trust,
}

impl Device {
    /// Slots a little larger than a model, and room for two records on each of two pages.
    pub fn new() -> Self {
        Self::with_pages(1)
    }

    /// Slots with so many more pages than the built-in model needs.
    pub fn with_pages(more: usize) -> Self {
        let pages = built_in().len().div_ceil(1024) + more;
        Device {
            slots: [FakeFlash::new(pages, 1024, 8), FakeFlash::new(pages, 1024, 8)],
            records: FakeFlash::new(2, 64, 8),
            trust: Trust::default(),
        }
    }

    /// Resets the device and runs `work` on this power supply.
    pub fn boot<T>(&mut self, power: &Rc<RefCell<Power>>, work: impl FnOnce(Opened<'_>, Push<'_>) -> T) -> T {
        let [mut first, mut second] = self.slots.each_ref().map(|slot| slot.under(power));
        let mut records = self.records.under(power);
        let mut store = Store::new([&mut first, &mut second], &mut records).trusting(self.trust);
        let (model, push) = store.open(OPEN, built_in(), ROOM);
        let result = work(model, push);
        *self = Device { slots: [first, second], records, trust: self.trust };
        result
    }

    /// The model that answers after a reset.
    pub fn running(&mut self) -> (Origin, u32, Option<ModelError>) {
        self.boot(&Power::without_end(), |model, _| {
            assert_eq!(model.held().unwrap().self_test(&mut []).mismatches, 0);
            (model.origin, model.held().unwrap().model_info(true).crc32, model.slot_error)
        })
    }

    pub fn push(&mut self, file: &[u8]) -> Result<Origin, StoreError> {
        self.boot(&Power::without_end(), |_, mut push| transfer(&mut push, file))
    }
}

/// Bytes of working memory for image networks.
pub const ROOM: u32 = 0;
pub const OPEN: Open = |file| Held::open_prefix::<Portable>(file);

/// A model that differs from the built-in one in its metadata, and so in its checksum.
pub fn model(seed: u8) -> Vec<u8> {
    let mut bytes = built_in().to_vec();
    let key = b"\"seed\":\"";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    bytes[at] = b'0' + seed;
    seal(bytes)
}

/// Gives a file the checksum of its bytes.
pub fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let key = b"\"sirocco.crc32\":\"";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
    let crc32 = crc_of(&bytes, at..at + CRC_DIGITS);
    bytes[at..at + CRC_DIGITS].copy_from_slice(format!("{crc32:08x}").as_bytes());
    bytes
}

pub fn crc32(file: &[u8]) -> u32 {
    let mut words = vec![0u64; file.len().div_ceil(8)];
    bytemuck::cast_slice_mut(&mut words)[..file.len()].copy_from_slice(file);
    Model::open(&bytemuck::cast_slice(&words)[..file.len()]).unwrap().crc32()
}

pub fn ask(push: &mut Push<'_>, request: ModelRequest) -> Result<ModelAnswer, StoreError> {
    push.handle(&request, Bench { open: OPEN, memory: &mut [], now: None })
}

pub fn begin(file: &[u8]) -> ModelRequest {
    ModelRequest::Begin { bytes: file.len() as u32, crc32: crc32(file) }
}

pub fn chunk(offset: usize, bytes: &[u8]) -> ModelRequest {
    ModelRequest::Chunk { offset: offset as u32, bytes: bytes.iter().copied().collect() }
}

/// Sends a whole file and asks for its check.
pub fn receive(push: &mut Push<'_>, file: &[u8]) -> Result<(u8, ModelInfo), StoreError> {
    let begun = ask(push, begin(file))?;
    let ModelAnswer::Receiving { next, .. } = begun else { panic!("{begun:?}") };
    for (k, bytes) in file.chunks(MAX_CHUNK).enumerate().skip(next as usize / MAX_CHUNK) {
        ask(push, chunk(k * MAX_CHUNK, bytes))?;
    }
    match ask(push, ModelRequest::Commit)? {
        ModelAnswer::Checked { slot, model } => Ok((slot, model)),
        other => panic!("{other:?}"),
    }
}

pub fn activate(push: &mut Push<'_>, origin: Origin) -> Result<Origin, StoreError> {
    match ask(push, ModelRequest::Activate(origin))? {
        ModelAnswer::Activated(origin) => Ok(origin),
        other => panic!("{other:?}"),
    }
}

pub fn transfer(push: &mut Push<'_>, file: &[u8]) -> Result<Origin, StoreError> {
    let (slot, model) = receive(push, file)?;
    assert_eq!((model.bytes, model.crc32), (file.len() as u32, crc32(file)));
    activate(push, Origin::Slot(slot))
}

/// Cuts the power at every change of flash that `work` makes, in every way, and checks the device afterwards.
pub fn at_every_power_failure(
    device: &Device,
    work: impl Fn(&mut Push<'_>) -> Result<(), StoreError>,
    check: impl Fn(&mut Device, u64, Torn),
) -> u64 {
    let power = Power::without_end();
    device.clone().boot(&power, |_, mut push| work(&mut push)).unwrap();
    let changes = power.borrow().used;
    for left in 0..changes {
        for torn in [Torn::Nothing, Torn::Half, Torn::Everything] {
            let mut device = device.clone();
            let power = Power::for_changes(left, torn);
            assert!(device.boot(&power, |_, mut push| work(&mut push)).is_err(), "no power was lost");
            check(&mut device, left, torn);
        }
    }
    changes
}

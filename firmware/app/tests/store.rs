//! Models in flash: which one answers after a reset, what a push refuses, and what is left when power fails.

mod common;

use common::device::{
    Device, OPEN, ROOM, activate, ask, at_every_power_failure, begin, chunk, crc32, model, seal, transfer,
};
use common::{Power, Torn};
use sirocco::error::ModelError;
use sirocco::limits::MAX_CHUNK;
use sirocco::wire::store::{ModelAnswer, ModelRequest, Origin, SlotContent, StoreError};
use sirocco_firmware::flash::{Area, ReadOnly};
use sirocco_firmware::{Push, Store, built_in};

#[test]
fn pushed_models_alternate_between_the_slots_and_answer_after_reset() {
    let mut device = Device::new();
    assert_eq!(device.running(), (Origin::BuiltIn, crc32(built_in()), None));
    for (seed, slot) in (1..=9).zip([1, 0].into_iter().cycle()) {
        assert_eq!(device.push(&model(seed)), Ok(Origin::Slot(slot)));
        assert_eq!(device.running(), (Origin::Slot(slot), crc32(&model(seed)), None));
    }
}

#[test]
fn the_model_before_and_the_built_in_one_can_be_had_back() {
    let mut device = Device::new();
    device.push(&model(1)).unwrap();
    device.push(&model(2)).unwrap();
    let switch =
        |device: &mut Device, origin| device.boot(&Power::without_end(), |_, mut push| activate(&mut push, origin));
    assert_eq!(switch(&mut device, Origin::Slot(1)), Ok(Origin::Slot(1)));
    assert_eq!(device.running(), (Origin::Slot(1), crc32(&model(1)), None));
    assert_eq!(switch(&mut device, Origin::BuiltIn), Ok(Origin::BuiltIn));
    assert_eq!(device.running(), (Origin::BuiltIn, crc32(built_in()), None));
    // The slot that was activated last is kept: the next push goes to the other one.
    assert_eq!(device.push(&model(3)), Ok(Origin::Slot(0)));
    assert_eq!(switch(&mut device, Origin::Slot(2)), Err(StoreError::NoSlot { slot: 2 }));
}

#[test]
fn power_may_fail_at_any_moment_of_a_push() {
    let (old, new, next) = (model(1), model(2), model(3));
    for first in [false, true] {
        let mut device = Device::new();
        if !first {
            device.push(&old).unwrap();
            device.push(&model(4)).unwrap();
            device.push(&old).unwrap();
        }
        let before = device.running();
        let mut activated = 0;
        let changes = at_every_power_failure(
            &device,
            |push| transfer(push, &new).map(drop),
            |device, left, torn| {
                let after = device.running();
                let Origin::Slot(_) = after.0 else {
                    assert!(first, "the built-in model answers, though one was activated");
                    return;
                };
                assert_eq!(after.2, None);
                assert!(after == before || after.1 == crc32(&new), "{left} {torn:?}: {after:?}");
                // Whatever is left, the device still accepts the next model.
                let to = device.push(&next).unwrap();
                assert_eq!(device.running(), (to, crc32(&next), None));
            },
        );
        activated += changes;
        assert!(activated > new.len() as u64 / 8, "{activated} words and pages changed");
    }
}

#[test]
fn power_may_fail_at_any_moment_of_an_activation() {
    let mut device = Device::new();
    device.push(&model(1)).unwrap();
    device.push(&model(2)).unwrap();
    // Seven activations: the records fill every place of both pages and return to the first.
    for origin in [1, 0, 1, 0, 1, 0, 1].map(Origin::Slot) {
        let before = device.running();
        let other = crc32(&model(if before.1 == crc32(&model(1)) { 2 } else { 1 }));
        let activate = |push: &mut Push<'_>| activate(push, origin).map(drop);
        at_every_power_failure(&device, activate, |device, left, torn| {
            let after = device.running();
            assert!(after == before || after == (origin, other, None), "{left} {torn:?}: {after:?}");
            device.boot(&Power::without_end(), |_, mut push| activate(&mut push)).unwrap();
            assert_eq!(device.running(), (origin, other, None), "{left} {torn:?}");
        });
        device.boot(&Power::without_end(), |_, mut push| activate(&mut push)).unwrap();
        assert_eq!(device.running(), (origin, other, None));
    }
}

#[test]
fn power_may_fail_again_and_again() {
    let mut device = Device::new();
    device.push(&model(1)).unwrap();
    let (mut state, mut answering) = (1u64, crc32(&model(1)));
    for round in 0..500u64 {
        let file = model(2 + (round % 7) as u8);
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let torn = [Torn::Nothing, Torn::Half, Torn::Everything][(state >> 60) as usize % 3];
        let power = Power::for_changes((state >> 33) % 600, torn);
        let done = device.boot(&power, |_, mut push| transfer(&mut push, &file));
        let (origin, crc, error) = device.running();
        assert!(matches!(origin, Origin::Slot(_)) && error.is_none(), "round {round}: {origin:?} {error:?}");
        assert!(crc == answering || crc == crc32(&file), "round {round}");
        assert!(done.is_err() || crc == crc32(&file), "round {round}: activated, but another model answers");
        answering = crc;
    }
}

#[test]
fn a_model_that_came_with_the_firmware_answers_until_another_is_activated() {
    let mut device = Device::new();
    let file = model(1);
    device.slots[0].bytes_mut()[..file.len()].copy_from_slice(&file);
    assert_eq!(device.running(), (Origin::Slot(0), crc32(&file), None));
    assert_eq!(device.push(&model(2)), Ok(Origin::Slot(1)));
    assert_eq!(device.running(), (Origin::Slot(1), crc32(&model(2)), None));
}

#[test]
fn a_damaged_model_is_named_and_the_one_before_answers() {
    let mut device = Device::new();
    device.push(&model(1)).unwrap();
    device.push(&model(2)).unwrap();
    device.slots[0].bytes_mut()[model(2).len() - 1] ^= 1;
    let (origin, crc, error) = device.running();
    assert_eq!((origin, crc), (Origin::Slot(1), crc32(&model(1))));
    assert!(matches!(error, Some(ModelError::Checksum { .. })), "{error:?}");
    device.slots[1].bytes_mut()[100] ^= 1;
    let (origin, crc, error) = device.running();
    assert_eq!((origin, crc), (Origin::BuiltIn, crc32(built_in())));
    assert!(error.is_some());
}

#[test]
fn a_model_that_was_exchanged_behind_the_records_is_not_used() {
    let mut device = Device::new();
    device.push(&model(1)).unwrap();
    let other = model(5);
    device.slots[1].bytes_mut()[..other.len()].copy_from_slice(&other);
    let (origin, _, error) = device.running();
    let expected = ModelError::Checksum { stated: crc32(&model(1)), computed: crc32(&other) };
    assert_eq!((origin, error), (Origin::BuiltIn, Some(expected)));
}

#[test]
fn damage_of_a_slot_without_records_is_named() {
    for (fill, named) in [(0x00, false), (0xFF, false), (0x11, true)] {
        let mut device = Device::new();
        device.slots[0].bytes_mut().fill(fill);
        let (origin, _, error) = device.running();
        assert_eq!((origin, error.is_some()), (Origin::BuiltIn, named), "{fill:#x}");
    }
}

#[test]
fn records_full_of_rubbish_are_no_obstacle() {
    let mut device = Device::new();
    device.records.bytes_mut().fill(0x5A);
    assert_eq!(device.running().0, Origin::BuiltIn);
    assert_eq!(device.push(&model(1)), Ok(Origin::Slot(1)));
    assert_eq!(device.running().0, Origin::Slot(1));
}

#[test]
fn the_list_says_what_the_slots_hold() {
    let mut device = Device::new();
    device.push(&model(1)).unwrap();
    let half = model(2);
    device.boot(&Power::without_end(), |_, mut push| {
        ask(&mut push, begin(&half)).unwrap();
        ask(&mut push, chunk(0, &half[..MAX_CHUNK])).unwrap();
        let Ok(ModelAnswer::List(list)) = ask(&mut push, ModelRequest::List) else { panic!() };
        assert_eq!(list.running, Origin::Slot(1));
        assert!(matches!(list.slots[0], SlotContent::Refused(_)), "{list:?}");
        let held = matches!(list.slots[1], SlotContent::Model { crc32: c, .. } if c == crc32(&model(1)));
        assert!(held, "{list:?}");
    });
    let list = Device::new().boot(&Power::without_end(), |_, mut push| ask(&mut push, ModelRequest::List));
    assert!(matches!(list, Ok(ModelAnswer::List(list)) if list.slots == [SlotContent::Empty, SlotContent::Empty]));
}

#[test]
fn every_way_a_push_can_be_wrong_has_its_error() {
    let file = model(1);
    Device::new().boot(&Power::without_end(), |_, mut push| {
        let room = (built_in().len().div_ceil(1024) + 1) as u32 * 1024;
        let too_large = ModelRequest::Begin { bytes: room + 1, crc32: 0 };
        assert_eq!(ask(&mut push, too_large), Err(StoreError::TooLarge { bytes: room + 1, room }));
        assert_eq!(ask(&mut push, chunk(0, &file[..MAX_CHUNK])), Err(StoreError::NotBegun));
        assert_eq!(ask(&mut push, ModelRequest::Commit), Err(StoreError::NotBegun));
        ask(&mut push, begin(&file)).unwrap();
        assert_eq!(ask(&mut push, chunk(0, &file[..17])), Err(StoreError::ChunkLength));
        assert_eq!(ask(&mut push, chunk(0, &[])), Err(StoreError::ChunkLength));
        assert_eq!(ask(&mut push, chunk(MAX_CHUNK, &file[..MAX_CHUNK])), Err(StoreError::Offset { next: 0 }));
        let received = Ok(ModelAnswer::Receiving { slot: 1, next: MAX_CHUNK as u32 });
        // A repeated chunk, as after a lost answer; a repeated start continues.
        assert_eq!(ask(&mut push, chunk(0, &file[..MAX_CHUNK])), received);
        assert_eq!(ask(&mut push, chunk(0, &file[..MAX_CHUNK])), received);
        assert_eq!(ask(&mut push, begin(&file)), received);
        let other = [0x33; MAX_CHUNK];
        assert_eq!(ask(&mut push, chunk(0, &other)), Err(StoreError::Offset { next: MAX_CHUNK as u32 }));
        let incomplete = StoreError::Incomplete { have: MAX_CHUNK as u32, bytes: file.len() as u32 };
        assert_eq!(ask(&mut push, ModelRequest::Commit), Err(incomplete));
        assert_eq!(ask(&mut push, ModelRequest::Abort), Ok(ModelAnswer::Aborted));
        assert_eq!(ask(&mut push, ModelRequest::Commit), Err(StoreError::NotBegun));
        assert!(matches!(activate(&mut push, Origin::Slot(0)), Err(StoreError::Refused(_))), "nothing is in there");
        assert!(matches!(activate(&mut push, Origin::Slot(1)), Err(StoreError::Refused(_))), "half a model");
    });
}

/// Sends a file but announces another size or checksum.
fn announced_as(file: &[u8], bytes: usize, crc32: u32) -> Result<ModelAnswer, StoreError> {
    let padded = [file, &vec![0; bytes.saturating_sub(file.len())]].concat();
    Device::new().boot(&Power::without_end(), |_, mut push| {
        ask(&mut push, ModelRequest::Begin { bytes: bytes as u32, crc32 })?;
        for (k, piece) in padded[..bytes].chunks(MAX_CHUNK).enumerate() {
            ask(&mut push, chunk(k * MAX_CHUNK, piece))?;
        }
        ask(&mut push, ModelRequest::Commit)
    })
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_refused() {
    let file = model(1);
    let (bytes, crc) = (file.len(), crc32(&file));
    let other = StoreError::OtherFile { bytes: bytes as u32, crc32: crc };
    assert_eq!(announced_as(&file, bytes, crc ^ 1), Err(other));
    assert_eq!(announced_as(&file, bytes + 8, crc), Err(other));
    let truncated = announced_as(&file, bytes - 8, crc);
    assert!(matches!(truncated, Err(StoreError::Refused(_))), "{truncated:?}");
    let mut flipped = file.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let damaged = announced_as(&flipped, bytes, crc);
    assert!(matches!(damaged, Err(StoreError::Refused(ModelError::Checksum { .. }))), "{damaged:?}");
    // A valid file whose golden answers are wrong: its last bytes, those of a layer, are changed.
    let at = flipped.len() - 2;
    flipped[at] ^= 0x40;
    let wrong = seal(flipped);
    let golden = announced_as(&wrong, bytes, crc32(&wrong));
    assert!(matches!(golden, Err(StoreError::Golden { mismatches: 1.., queries: 16 })), "{golden:?}");
}

#[test]
fn a_failing_flash_is_reported_and_the_push_begins_anew() {
    let file = model(1);
    let power = Power::for_changes(40, Torn::Half);
    Device::new().boot(&power, |_, mut push| {
        let failed = transfer(&mut push, &file);
        assert!(matches!(failed, Err(StoreError::Flash { .. })), "{failed:?}");
        assert_eq!(ask(&mut push, ModelRequest::Commit), Err(StoreError::NotBegun));
        power.borrow_mut().left = u64::MAX;
        assert_eq!(transfer(&mut push, &file), Ok(Origin::Slot(1)));
    });
}

#[test]
fn a_board_that_cannot_write_says_so() {
    let file = model(1);
    let mut words = vec![0u64; 4096];
    let area: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    area[..file.len()].copy_from_slice(&file);
    let (mut first, mut second, mut records) = (ReadOnly(area), ReadOnly(area), ReadOnly(&[]));
    let slots: [&mut dyn Area; 2] = [&mut first, &mut second];
    let mut store = Store::new(slots, &mut records);
    let (opened, mut push) = store.open(OPEN, built_in(), ROOM);
    assert_eq!(opened.origin, Origin::Slot(0));
    ask(&mut push, begin(&file)).unwrap();
    assert_eq!(ask(&mut push, chunk(0, &file[..MAX_CHUNK])), Err(StoreError::ReadOnly));
    assert_eq!(activate(&mut push, Origin::Slot(0)), Err(StoreError::ReadOnly));
}

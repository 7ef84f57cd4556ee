//! Arbitrary bytes as a model file: a typed error, or a bundle or an image network that evaluates, never a panic.
//!
//! The checksum would stop nearly every mutation at the door, so it is made good first (the unpatched bytes are tried
//! too): what lies behind it must hold by itself.
#![no_main]

use aligned_vec::{AVec, ConstAlign};
use libfuzzer_sys::fuzz_target;
use sirocco::bundle::Bundle;
use sirocco::held::Held;
use sirocco::image::Network;
use sirocco::image::golden::Golden;
use sirocco::layer::kernel::Portable;
use sirocco::model::signature::MODEL;
use sirocco::model::{CRC_DIGITS, Model, crc_of};

/// Networks that take longer than this are opened but not evaluated.
const MAX_MACS: u64 = 1_000_000;
/// Nor those that need more words.
const MAX_ARENA: usize = 1 << 16;
const MARK: &[u8] = b"\"sirocco.crc32\":\"";

fuzz_target!(|data: &[u8]| {
    try_both(data);
    if let Some(at) = data.windows(MARK.len()).position(|w| w == MARK).map(|at| at + MARK.len()) {
        let mut patched = data.to_vec();
        if let Some(digits) = patched.get_mut(at..at + CRC_DIGITS) {
            let crc = format!("{:08x}", crc_of(data, at..at + CRC_DIGITS));
            digits.copy_from_slice(crc.as_bytes());
            try_both(&patched);
        }
    }
});

fn try_both(bytes: &[u8]) {
    let bytes: &AVec<u8, ConstAlign<8>> = &AVec::from_slice(8, bytes);
    let _ = Held::open_prefix::<Portable>(bytes);
    if let Ok(model) = Model::open(bytes)
        && let Ok(Some(signature)) = model.signature()
    {
        // All of the file is signed, digits as zeros.
        assert_eq!(signature.signed().map(<[u8]>::len).sum::<usize>(), MODEL.len() + bytes.len());
    }
    if let Ok(model) = Model::open(bytes)
        && let Ok(network) = Network::open(&model)
    {
        let macs: u64 = network.nodes().map(|(_, shape, macs)| u64::from(macs) + shape.size() as u64).sum();
        if macs <= MAX_MACS && network.arena() <= MAX_ARENA {
            let (image, mut arena) = (vec![7; network.image().size()], vec![0; network.arena()]);
            let answer = network.classify::<Portable>(&image, &mut arena);
            assert!(answer.is_ok_and(|answer| answer.entropy.is_finite()));
            if let Ok(Some(golden)) = Golden::open(&model, &network) {
                let _ = golden.replay::<Portable>(&network, &mut arena);
            }
        }
    }
    if let Ok(bundle) = Bundle::open(bytes) {
        let _ = bundle.self_test();
        let _ = bundle.model_info(true);
        for query in bundle.probes(0).take(16) {
            let prediction = bundle.predict(&query);
            if let Ok(p) = prediction {
                assert!(p.state.iter().chain(&p.residual).all(|v| v.is_finite()));
                assert_eq!(bundle.state(&query).map(|s| s.map(f32::to_bits)), Ok(p.state.map(f32::to_bits)));
            }
        }
    }
}

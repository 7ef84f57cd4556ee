//! The reader of image networks against damaged files: every truncation, every bit, every way a description can be bad,
//! and arbitrary changes behind a good checksum.

use proptest::prelude::*;
use sirocco::error::{Key, ModelError, NodeDefect, TensorKind};
use sirocco::image::golden::{self, Golden};
use sirocco::image::{ImageError, Network};
use sirocco::layer::kernel::Portable;
use sirocco::model::{CRC_DIGITS, Model, crc_of};
use sirocco_tests::fixture::image;
use sirocco_trainer::host::model_file::{Metadata, OwnedTensor, assemble, tensors_of};
use std::sync::LazyLock;

static FILE: LazyLock<sirocco_trainer::host::model_file::ModelBytes> = LazyLock::new(image);

fn open(bytes: &[u8]) -> Result<(), ModelError> {
    let model = Model::open(bytes)?;
    let network = Network::open(&model)?;
    Golden::open(&model, &network).map(|_| ())
}

/// The file taken apart, changed, and put together again with a good checksum.
fn rebuilt(change: impl FnOnce(&mut Vec<OwnedTensor>, &mut Metadata)) -> Result<(), ModelError> {
    let model = Model::open(&FILE).unwrap();
    let mut metadata: Metadata = model.metadata().iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let mut tensors = tensors_of(&FILE).unwrap();
    change(&mut tensors, &mut metadata);
    open(&assemble(&tensors, &metadata).unwrap())
}

fn set(key: Key, value: &str) -> Result<(), ModelError> {
    rebuilt(|_, metadata| {
        metadata.insert(key.key().into(), value.into());
    })
}

#[test]
fn a_good_file_opens_and_replays() {
    assert_eq!(rebuilt(|_, _| {}), Ok(()));
    let model = Model::open(&FILE).unwrap();
    let network = Network::open(&model).unwrap();
    let mut arena = vec![0; network.arena()];
    let golden = Golden::open(&model, &network).unwrap().unwrap();
    assert_eq!(golden.replay::<Portable>(&network, &mut arena), Ok((0, 4)));
    let short = network.logits::<Portable>(&[0; 3], &mut arena);
    assert_eq!(short, Err(ImageError::Size { wanted: 84, got: 3 }));
    let wanted = network.arena();
    let small = network.logits::<Portable>(&[0; 84], &mut arena[1..]);
    assert_eq!(small, Err(ImageError::Arena { wanted, got: wanted - 1 }));
}

/// A file of a few bytes can ask for minutes of work, which counts as no multiplication.
#[test]
fn more_work_than_a_board_can_do_is_refused() {
    let pooling = |windows: &str| {
        rebuilt(|_, metadata| {
            metadata.insert(Key::Image.key().into(), "256x256x1".into());
            metadata.insert(Key::Nodes.key().into(), format!("{windows};logits from=1 out=4"));
        })
    };
    // 177 x 177 windows of 80 x 80, and four sums over their maxima.
    assert_eq!(pooling("max from=0 kernel=80x80 stride=1x1"), Err(ModelError::Work { thousands: 200_630 }));
    assert!(matches!(pooling("max from=0 kernel=80x80 stride=80x80"), Err(ModelError::Arena { .. })));
}

#[test]
fn every_truncation_and_every_flipped_bit_is_an_error() {
    for length in 0..FILE.len() {
        assert!(open(&FILE[..length]).is_err(), "{length} of {} bytes", FILE.len());
    }
    let mut file = FILE.clone();
    for bit in 0..file.len() * 8 {
        file[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&file).is_err(), "bit {bit}");
        file[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn bad_metadata_are_named() {
    for version in ["0", "3", "-1", "one"] {
        assert_eq!(set(Key::Format, version), Err(ModelError::Version { supported: 2 }), "{version}");
    }
    for (key, bad) in [
        (Key::Kind, "bundle"),
        (Key::Image, "6x7"),
        (Key::Image, "0x7x2"),
        (Key::Padding, "1"),
        (Key::Padding, "1,2,3"),
        (Key::Padding, "1,256"),
        (Key::Arena, "many"),
        (Key::Abstain, "-1"),
        (Key::Abstain, "NaN"),
    ] {
        assert_eq!(set(key, bad), Err(ModelError::Metadata(key)), "{bad}");
    }
    for key in [Key::Kind, Key::Image, Key::Nodes, Key::Arena, Key::Classes, Key::Padding] {
        let missing = rebuilt(|_, metadata| {
            metadata.remove(key.key());
        });
        assert_eq!(missing, Err(ModelError::Metadata(key)));
    }
    assert!(matches!(set(Key::Arena, "4"), Err(ModelError::Arena { stated: 4, .. })));
    assert_eq!(set(Key::Classes, "a,b"), Err(ModelError::Node { node: 7, defect: NodeDefect::Logits }));
    assert!(matches!(set(Key::Nodes, "logits from=0 out=4"), Err(ModelError::Arena { .. })));
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    for (name, layer, tensor) in [
        ("layers.0.weight", 0, TensorKind::Weight),
        ("layers.1.weight", 1, TensorKind::Weight),
        ("layers.2.bias", 2, TensorKind::Bias),
        ("layers.4.multiplier", 4, TensorKind::Multiplier),
        ("layers.5.weight", 5, TensorKind::Weight),
        ("layers.7.scale", 7, TensorKind::Scale),
    ] {
        let missing = rebuilt(|tensors, _| tensors.retain(|t| t.name != name));
        assert_eq!(missing, Err(ModelError::Tensor { layer, tensor }), "{name}");
        let longer = rebuilt(|tensors, _| {
            let tensor = tensors.iter_mut().find(|t| t.name == name).unwrap();
            tensor.shape[0] += 1;
            let rows = tensor.shape[0];
            tensor.bytes.resize(tensor.bytes.len() / (rows - 1) * rows, 0);
        });
        assert_eq!(longer, Err(ModelError::Tensor { layer, tensor }), "{name}");
    }
    let value = |name: &str, bytes: [u8; 4]| {
        rebuilt(|tensors, _| tensors.iter_mut().find(|t| t.name == name).unwrap().bytes[..4].copy_from_slice(&bytes))
    };
    for (name, bytes, layer) in [
        ("layers.0.multiplier", (-1i32).to_le_bytes(), 0),
        ("layers.0.bias", i32::MIN.to_le_bytes(), 0),
        ("layers.2.multiplier", (1i32 << 15).to_le_bytes(), 2),
        ("layers.7.scale", f32::NAN.to_le_bytes(), 7),
        ("layers.7.scale", 0f32.to_le_bytes(), 7),
    ] {
        assert_eq!(value(name, bytes), Err(ModelError::Value { layer }), "{name}");
    }
    for name in [golden::IMAGES, golden::LOGITS] {
        assert_eq!(rebuilt(|tensors, _| tensors.retain(|t| t.name != name)), Err(ModelError::Golden));
    }
}

proptest! {
    /// Bytes changed anywhere, the checksum made good: an error or a network that evaluates, never a panic.
    #[test]
    fn no_change_makes_it_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = FILE.clone();
        let length = file.len();
        for (at, byte) in changes {
            file[at.index(length)] = byte;
        }
        let mark = b"\"sirocco.crc32\":\"";
        if let Some(at) = file.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len()) {
            let digits = format!("{:08x}", crc_of(&file, at..at + CRC_DIGITS));
            file[at..at + CRC_DIGITS].copy_from_slice(digits.as_bytes());
        }
        if let Ok(model) = Model::open(&file)
            && let Ok(network) = Network::open(&model)
        {
            let image = vec![7; network.image().size()];
            let answer = network.classify::<Portable>(&image, &mut vec![0; network.arena()]).unwrap();
            prop_assert!(answer.entropy.is_finite());
        }
    }
}

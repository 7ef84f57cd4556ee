mod build;

use super::{ImportError, tflite};
use crate::host::model_file::Metadata;
use crate::host::random::{Purpose, Random};
use build::{F32, Field, Operator, Tensor, file};
use proptest::prelude::*;
use sirocco::image::Network;
use sirocco::layer::kernel::Portable;
use sirocco::model::Model;
use std::path::Path;

/// Signed bytes of weights.
fn weights(count: usize, seed: u64) -> Vec<i8> {
    let mut random = Random::new(seed, Purpose::Weights, 0);
    (0..count).map(|_| ((random.bits() >> 56) as u8 as i8).max(-127)).collect()
}

/// Input 6x5x2; convolution 3x2 of stride 2 to 3 channels, padded as `SAME`, ReLU; depthwise 2x3, padded as `SAME`; their sum,
/// whose operand has 2.5 times its scale; the mean; a dense layer to four outputs; a softmax.
fn tensors() -> Vec<Tensor> {
    vec![
        Tensor::value(&[1, 6, 5, 2], 0.5, -3),
        Tensor::weights(&[3, 3, 2, 2], &weights(36, 1), &[0.01, 0.02, 0.005], 0),
        Tensor::integers(&[100, -2000, 300]),
        Tensor::value(&[1, 3, 3, 3], 0.9, -128),
        Tensor::weights(&[1, 2, 3, 3], &weights(18, 2), &[0.01, 0.004, 0.008], 3),
        Tensor::integers(&[-500, 10, 700]),
        Tensor::value(&[1, 3, 3, 3], 1.5, 11),
        Tensor::value(&[1, 3, 3, 3], 0.61, -20),
        Tensor::integers(&[1, 2]),
        Tensor::value(&[1, 3], 0.55, -10),
        Tensor::weights(&[4, 3], &weights(12, 3), &[0.03], 0),
        Tensor::integers(&[5, -6, 70, 8]),
        Tensor::value(&[1, 4], 0.4, 7),
        Tensor::value(&[1, 4], 1.0 / 256.0, -128),
    ]
}

fn operators() -> Vec<Operator> {
    let strides =
        |stride, relu| [Field::Byte(0, 0), Field::Int(1, stride), Field::Int(2, stride), Field::Byte(3, relu)];
    let depthwise = [Field::Byte(0, 0), Field::Int(1, 1), Field::Int(2, 1), Field::Int(3, 1), Field::Byte(4, 0)];
    vec![
        Operator::new(3, &[0, 1, 2], 3, &strides(2, 1)),
        Operator::new(4, &[3, 4, 5], 6, &depthwise),
        Operator::new(0, &[3, 6], 7, &[]),
        Operator::new(40, &[7, 8], 9, &[]),
        Operator::new(9, &[9, 10, 11], 12, &[]),
        Operator::new(25, &[12], 13, &[Field::Int(0, 1f32.to_bits() as i32)]),
    ]
}

fn import(tensors: &[Tensor], operators: &[Operator], output: i32) -> Result<super::Imported, ImportError> {
    tflite(&file(tensors, operators, output), None, &Metadata::new())
}

/// What the file's tensors mean, in signed bytes and f64: the exact result of each operator before it is rounded, from the
/// rounded bytes before. `None` if a result lies so near the middle of two bytes that they may round differently.
fn defined(tensors: &[Tensor], image: &[u8]) -> Option<Vec<f64>> {
    let real = |t: &Tensor, q: i64| f64::from(t.scales[0]) * (q - t.zeros[0]) as f64;
    let rounded = |t: &Tensor, y: f64| {
        let exact = y / f64::from(t.scales[0]) + t.zeros[0] as f64;
        let clear = (exact - exact.floor() - 0.5).abs() > 1e-4 || !(-128.0..=127.0).contains(&exact);
        clear.then(|| exact.round().clamp(-128.0, 127.0) as i64)
    };
    let weight = |t: &Tensor, k: usize, o: usize| f64::from(t.data[k] as i8) * f64::from(t.scales[o % t.scales.len()]);
    let bias = |t: &Tensor, o: usize, unit: f64| {
        f64::from(i32::from_le_bytes(t.data[4 * o..4 * o + 4].try_into().unwrap())) * unit
    };
    let x: Vec<f64> = image.iter().map(|byte| real(&tensors[0], i64::from(*byte) - 128)).collect();
    let mut first = vec![];
    for (i, j, o) in (0..27).map(|k| (k / 9, k / 3 % 3, k % 3)) {
        let mut y = bias(&tensors[2], o, f64::from(tensors[0].scales[0]) * f64::from(tensors[1].scales[o]));
        // SAME: rows 0 before and 1 after, columns 0 before and 1 after.
        for (u, v, c) in (0..12).map(|k| (k / 4, k / 2 % 2, k % 2)) {
            let (row, column) = (2 * i + u, 2 * j + v);
            if row < 6 && column < 5 {
                y += weight(&tensors[1], ((o * 3 + u) * 2 + v) * 2 + c, o) * x[(row * 5 + column) * 2 + c];
            }
        }
        first.push(real(&tensors[3], rounded(&tensors[3], y)?));
    }
    let mut second = vec![];
    for (i, j, c) in (0..27).map(|k| (k / 9, k / 3 % 3, k % 3)) {
        let mut y = bias(&tensors[5], c, f64::from(tensors[3].scales[0]) * f64::from(tensors[4].scales[c]));
        // SAME: rows 0 before and 1 after, columns 1 and 1.
        for (u, v) in (0..6).map(|k| (k / 3, k % 3)) {
            if i + u < 3 && (1..4).contains(&(j + v)) {
                y += weight(&tensors[4], (u * 3 + v) * 3 + c, c) * first[((i + u) * 3 + j + v - 1) * 3 + c];
            }
        }
        second.push(real(&tensors[6], rounded(&tensors[6], y)?));
    }
    let sums = first.iter().zip(&second).map(|(a, b)| {
        // Multipliers of sums have 14 fractional bits: nearer to the middle than that is not defined.
        let exact = (a + b) / f64::from(tensors[7].scales[0]);
        ((exact - exact.floor() - 0.5).abs() > 0.02).then(|| rounded(&tensors[7], a + b)).flatten()
    });
    let sums: Option<Vec<i64>> = sums.collect();
    let sums = sums?;
    let mut means = vec![];
    for c in 0..3 {
        let mean: f64 = (0..9).map(|k| real(&tensors[7], sums[3 * k + c])).sum::<f64>() / 9.0;
        means.push(real(&tensors[9], rounded(&tensors[9], mean)?));
    }
    let unit = f64::from(tensors[9].scales[0]) * f64::from(tensors[10].scales[0]);
    let dense = |o: usize| {
        bias(&tensors[11], o, unit) + (0..3).map(|i| weight(&tensors[10], 3 * o + i, 0) * means[i]).sum::<f64>()
    };
    Some((0..4).map(dense).collect())
}

#[test]
fn a_file_gives_what_its_tensors_mean() {
    let tensors = tensors();
    let imported = import(&tensors, &operators(), 13).unwrap();
    let model = Model::open(&imported.bytes).unwrap();
    let network = Network::open(&model).unwrap();
    assert_eq!(network.classes().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert_eq!((imported.macs, imported.parameters), (27 * 12 + 27 * 6 + 12, 36 + 3 + 18 + 3 + 12 + 4));
    let nodes = model.entry("nodes").unwrap();
    assert!(nodes.starts_with("conv from=0 out=3 kernel=3x2 stride=2x2 padding=0x0:1x1 zero=0;depthwise"), "{nodes}");
    assert_eq!(model.entry("sirocco.format"), Some("2"));
    let (mut random, mut compared) = (Random::new(7, Purpose::HeldOut, 0), 0);
    for _ in 0..400 {
        let image: Vec<u8> = (0..60).map(|_| (random.bits() >> 56) as u8).collect();
        let Some(expected) = defined(&tensors, &image) else { continue };
        compared += 1;
        let logits = network.logits::<Portable>(&image, &mut vec![0; network.arena()]).unwrap();
        for (a, b) in logits.values().iter().zip(&expected) {
            assert!((f64::from(*a) - b).abs() < 1e-5 * b.abs().max(1.0), "{:?} {expected:?}", logits.values());
        }
    }
    assert!(compared > 50, "{compared} images had no result near the middle of two bytes");
}

/// The file that the end-to-end tests import.
#[test]
fn the_committed_file_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/small.tflite");
    let bytes = file(&tensors(), &operators(), 13);
    if std::env::var_os("SIROCCO_BLESS").is_some() {
        std::fs::write(&path, &bytes).unwrap();
    }
    assert!(std::fs::read(&path).is_ok_and(|found| found == bytes), "run this test with SIROCCO_BLESS=1");
}

#[test]
fn outputs_without_a_softmax_are_values_unless_they_are_named() {
    let (tensors, mut operators) = (tensors(), operators());
    operators.pop();
    let imported = import(&tensors, &operators, 12).unwrap();
    let model = Model::open(&imported.bytes).unwrap();
    let network = Network::open(&model).unwrap();
    assert_eq!((network.value_count(), network.class_count()), (4, 0));
    let image = [130; 60];
    let mut arena = vec![0; network.arena()];
    let bytes = network.values::<Portable>(&image, &mut arena).unwrap().to_vec();
    assert_eq!(imported.outputs(&image).unwrap(), bytes);
    assert_eq!(network.value(bytes[0]), Some(0.4f32 * (f32::from(bytes[0]) - 135.0)));
    assert_eq!(network.reconstruction_error(&image, &bytes), None, "60 bytes are not 4");
    let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let named = tflite(&file(&tensors, &operators, 12), Some(names), &Metadata::new()).unwrap();
    let logits = named.outputs(&image).unwrap();
    let logit = f32::from_le_bytes(logits[..4].try_into().unwrap());
    // A byte of the values is the logit, rounded.
    assert!((logit - network.value(bytes[0]).unwrap()).abs() <= 0.21, "{logit}");
    let few = tflite(&file(&tensors, &operators, 12), Some(vec!["a".into()]), &Metadata::new());
    assert!(few.unwrap_err().to_string().contains("4 outputs for 1 names"));
}

#[test]
fn what_a_device_cannot_compute_is_named() {
    let refused = |change: &dyn Fn(&mut Vec<Tensor>, &mut Vec<Operator>)| {
        let (mut tensors, mut operators) = (tensors(), operators());
        change(&mut tensors, &mut operators);
        import(&tensors, &operators, 13).unwrap_err().to_string()
    };
    for (what, message) in [
        (refused(&|_, o| o[2].code = 18), "operator 2, MUL: is not one"),
        (refused(&|_, o| o[2].code = 150), "operator 2, number 150: is not one"),
        (refused(&|_, o| o[0].options.push(Field::Int(4, 2))), "operator 0, CONV_2D: is dilated"),
        (refused(&|_, o| o[0].options[3] = Field::Byte(3, 4)), "operator 0, CONV_2D: ends with the activation 4"),
        (refused(&|t, _| t[3].zeros[0] = -100), "operator 0, CONV_2D: clamps within"),
        (refused(&|t, _| t[1].zeros[1] = 3), "operator 0, CONV_2D: has weights with a zero point"),
        (refused(&|t, _| t[1].scales.pop().map_or((), |_| ())), "one for each output"),
        (refused(&|t, _| t[4].shape[3] = 6), "operator 1, DEPTHWISE_CONV_2D: makes 6 channels of 3"),
        (refused(&|t, _| t[6].scales[0] = 1e-4), "steps of its output from one of its sum"),
        (refused(&|t, _| t[6].scales[0] = 6.0), "operator 2, ADD: adds a value of more than 8 times"),
        (refused(&|t, _| t[8] = Tensor::integers(&[1, 3])), "operator 3, MEAN: is over the axes [1, 3]"),
        (refused(&|t, _| t[0].kind = F32), "the network reads no bytes"),
        (refused(&|_, o| o[4].inputs[0] = 12), "operator 4, FULLY_CONNECTED: reads a tensor that no operator gives"),
        (refused(&|t, _| t[7].kind = 7), "operator 2, ADD: gives no signed bytes"),
    ] {
        assert!(what.contains(message), "{what}");
        assert!(what.contains(';'), "{what}: no remedy");
    }
    assert!(tflite(b"{}", None, &Metadata::new()).unwrap_err().to_string().contains("TFLite"));
}

proptest! {
    /// Changed and cut files: an error, or a network that opens.
    #[test]
    fn damaged_files_are_refused_or_read(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        end: prop::sample::Index,
    ) {
        let mut bytes = file(&tensors(), &operators(), 13);
        let length = bytes.len();
        for (at, byte) in &changes {
            bytes[at.index(length)] = *byte;
        }
        if changes.len() == 4 {
            bytes.truncate(end.index(length));
        }
        let _ = tflite(&bytes, None, &Metadata::new());
    }
}

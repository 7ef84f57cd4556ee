//! The model reader against damaged files: one test per way a file can be bad, then every truncation and every bit.

use proptest::prelude::*;
use sirocco::bundle::{Bundle, FORMAT_VERSION};
use sirocco::error::{Countable, Key, ModelError, TensorKind};
use sirocco::held::Held;
use sirocco::layer::kernel::Portable;
use sirocco::limits::{MAX_HEADER, MAX_METADATA, MAX_TENSORS};
use sirocco::model::Model;
use sirocco::network::Scheme;
use sirocco_tests::fixture::untrained;
use sirocco_trainer::bundle::problem::Form;
use sirocco_trainer::host::model_file::{Metadata, ModelBytes, OwnedTensor, assemble, tensors_of};

const FORMS: [Form; 2] = [Form::Conserved, Form::Reduced];
const SCHEMES: [Scheme; 3] = Scheme::ALL;

/// The aligned bytes with a change made to them.
fn changed(file: &ModelBytes, change: impl FnOnce(&mut ModelBytes)) -> ModelBytes {
    let mut file = file.clone();
    change(&mut file);
    file
}

/// A bundle file taken apart, changed, and put together again with a good checksum.
fn rebuilt(change: impl FnOnce(&mut Vec<OwnedTensor>, &mut Metadata)) -> Result<(), ModelError> {
    let file = untrained(Form::Reduced, Scheme::I16, &[4]);
    let model = Model::open(&file).unwrap();
    let mut metadata: Metadata = model.metadata().iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let mut tensors = tensors_of(&file).unwrap();
    change(&mut tensors, &mut metadata);
    let file = assemble(&tensors, &metadata).unwrap();
    Bundle::open(&file).map(|_| ())
}

fn set(key: Key, value: &str) -> Result<(), ModelError> {
    rebuilt(|_, metadata| {
        metadata.insert(key.key().into(), value.into());
    })
}

#[test]
fn good_files_open() {
    for form in FORMS {
        for scheme in SCHEMES {
            let file = untrained(form, scheme, &[6, 5]);
            let bundle = Bundle::open(&file).unwrap();
            let replay = bundle.self_test();
            assert!(replay.queries > 0 && replay.mismatches == 0, "{replay:?}");
            for query in bundle.probes(3).take(200) {
                let whole = bundle.predict(&query).map(|p| p.state.map(f32::to_bits));
                assert_eq!(bundle.state(&query).map(|s| s.map(f32::to_bits)), whole);
            }
        }
    }
    assert_eq!(rebuilt(|_, _| {}), Ok(()));
}

#[test]
fn every_truncation_is_an_error() {
    for scheme in SCHEMES {
        let file = untrained(Form::Reduced, scheme, &[4, 3]);
        for length in 0..file.len() {
            assert!(Bundle::open(&file[..length]).is_err(), "{length} of {} bytes", file.len());
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    for scheme in SCHEMES {
        let file = untrained(Form::Reduced, scheme, &[4, 3]);
        for bit in 0..file.len() * 8 {
            let file = changed(&file, |f| f[bit / 8] ^= 1 << (bit % 8));
            assert!(Bundle::open(&file).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn trailing_bytes_are_an_error_for_a_file_but_not_for_a_slot() {
    let file = untrained(Form::Reduced, Scheme::F32, &[4]);
    let slot = changed(&file, |f| f.extend_from_slice(&[0xff; 64]));
    assert_eq!(Bundle::open(&slot).unwrap_err(), ModelError::Trailing(64));
    assert_eq!(Held::open_prefix::<Portable>(&slot).unwrap().model_info(true).bytes as usize, file.len());
}

#[test]
fn misaligned_bytes_are_an_error() {
    let file = untrained(Form::Reduced, Scheme::F32, &[4]);
    let mut shifted = ModelBytes::with_capacity(8, file.len() + 4);
    shifted.extend_from_slice(&[0; 4]);
    shifted.extend_from_slice(&file);
    assert_eq!(Bundle::open(&shifted[4..]).unwrap_err(), ModelError::Misaligned);
}

#[test]
fn a_slot_without_a_model_is_an_error() {
    for filler in [0x00, 0xff] {
        assert!(Held::open_prefix::<Portable>(&[filler; 4096]).is_err());
    }
    assert!(matches!(Bundle::open(&[]), Err(ModelError::Truncated { needed: 8, have: 0 })));
}

#[test]
fn a_long_header_is_refused_before_it_is_read() {
    let mut file = (MAX_HEADER as u64 + 1).to_le_bytes().to_vec();
    file.resize(64, b' ');
    assert_eq!(Model::open(&file).unwrap_err(), ModelError::HeaderTooLong(MAX_HEADER as u32 + 1));
    file[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(Model::open(&file).unwrap_err(), ModelError::HeaderTooLong(u32::MAX));
}

#[test]
fn bad_metadata_are_named() {
    for version in [(FORMAT_VERSION - 1).to_string(), (FORMAT_VERSION + 1).to_string(), "two".to_owned()] {
        assert_eq!(set(Key::Format, &version), Err(ModelError::Version { supported: FORMAT_VERSION }));
    }
    for (key, bad) in [
        (Key::Kind, "image"),
        (Key::Ode, "sirr"),
        (Key::Form, "exact"),
        (Key::Form, "conserved"),
        (Key::Domain, ""),
        (Key::Domain, "t=0:20,I0=0.2:0.4,R0=0.1:0.3,beta=0.4:0.8"),
        (Key::Domain, "t=0:20,I0=0.4:0.2,R0=0.1:0.3,beta=0.4:0.8,gamma=0.3:0.7"),
        (Key::Domain, "t=0:20,I0=0.2:inf,R0=0.1:0.3,beta=0.4:0.8,gamma=0.3:0.7"),
        (Key::Domain, "t=0:NaN,I0=0.2:0.4,R0=0.1:0.3,beta=0.4:0.8,gamma=0.3:0.7"),
        (Key::Inputs, "tau=0:20,i0=0.2:0.4,i0=0.2:0.4"),
        (Key::Inputs, "tau=0:20,i0=0.2:0.2,p=0.1:0.9"),
        (Key::Inputs, "t=0:20,I0=0.2:0.4,R0=0.1:0.3"),
        (Key::Layers, "3"),
        (Key::Layers, "3,0,1"),
        (Key::Layers, "3,x,1"),
        (Key::Activation, "relu"),
        (Key::Scheme, "i4"),
        (Key::MaxError, "small"),
    ] {
        let found = set(key, bad).unwrap_err();
        let key = if key == Key::Form && bad == "conserved" { Key::Inputs } else { key };
        assert_eq!(found, ModelError::Metadata(key), "{bad}");
    }
    // Widths that fit the problem but not the tensors, or the tensors but not the problem.
    assert_eq!(set(Key::Layers, "3,5,1"), Err(ModelError::Tensor { layer: 0, tensor: TensorKind::Weight }));
    assert_eq!(set(Key::Inputs, "tau=0:20,i0=0.2:0.4"), Err(ModelError::Metadata(Key::Layers)));
    assert_eq!(set(Key::Layers, "3,65,1"), Err(ModelError::TooMany(Countable::Units)));
    assert_eq!(set(Key::Layers, "3,4,4,4,4,4,4,1"), Err(ModelError::TooMany(Countable::Layers)));
    for key in [Key::Format, Key::Kind, Key::Ode, Key::Form, Key::Domain, Key::Inputs, Key::Layers, Key::Scheme] {
        let missing = rebuilt(|_, metadata| {
            metadata.remove(key.key());
        });
        assert_eq!(missing, Err(ModelError::Metadata(key)));
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let missing = |name: &str| rebuilt(|tensors, _| tensors.retain(|t| t.name != name));
    let weight = ModelError::Tensor { layer: 1, tensor: TensorKind::Weight };
    assert_eq!(missing("layers.1.weight"), Err(weight));
    assert_eq!(missing("layers.1.scale"), Err(ModelError::Tensor { layer: 1, tensor: TensorKind::Scale }));
    assert_eq!(missing("golden.answers"), Err(ModelError::Golden));
    let replace = |tensor: OwnedTensor| {
        rebuilt(|tensors, _| {
            tensors.retain(|t| t.name != tensor.name);
            tensors.push(tensor);
        })
    };
    assert_eq!(replace(OwnedTensor::i16("layers.1.weight".into(), &[4, 1], &[0; 4])), Err(weight));
    assert_eq!(replace(OwnedTensor::f32("layers.1.weight".into(), &[1, 4], &[0.0; 4])), Err(weight));
    for scale in [0.3, 0.0, -0.5, 2.0, f32::NAN, f32::INFINITY, 1e-30] {
        let bad = replace(OwnedTensor::f32("layers.1.scale".into(), &[1], &[scale]));
        assert_eq!(bad, Err(ModelError::Value { layer: 1 }), "{scale}");
    }
    assert_eq!(replace(OwnedTensor::f32("golden.queries".into(), &[16, 4], &[0.0; 64])), Err(ModelError::Golden));
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let file = untrained(Form::Reduced, Scheme::F32, &[4]);
    let metadata: Metadata =
        Model::open(&file).unwrap().metadata().iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    for bad in [f32::NAN, f32::NEG_INFINITY] {
        let mut tensors = tensors_of(&file).unwrap();
        tensors.retain(|t| t.name != "layers.0.bias");
        tensors.push(OwnedTensor::f32("layers.0.bias".into(), &[4], &[0.0, bad, 0.0, 0.0]));
        let file = assemble(&tensors, &metadata).unwrap();
        assert_eq!(Bundle::open(&file).unwrap_err(), ModelError::Value { layer: 0 });
    }
}

/// Opens a file made of a header's text, without a checksum. What comes before that check is tested with it.
fn with_header(json: &str, data: usize) -> Result<(), ModelError> {
    let padding = json.len().next_multiple_of(8) - json.len();
    let mut file = ModelBytes::new(8);
    file.extend_from_slice(&((json.len() + padding) as u64).to_le_bytes());
    file.extend_from_slice(json.as_bytes());
    file.extend_from_slice(&vec![b' '; padding]);
    file.extend_from_slice(&vec![0; data]);
    Model::open(&file).map(|_| ())
}

#[test]
fn headers_that_are_not_safetensors_are_refused() {
    let checksum = ModelError::Checksum { stated: 0, computed: 0 };
    assert_eq!(with_header("{}", 0), Err(checksum));
    for bad in [
        "",
        "[]",
        "{",
        "{\"a\":1}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}",
        "{\"__metadata__\":{\"a\":1}}",
        "{\"__metadata__\":{\"a\":\"\\u0000\"}}",
        "{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4294967296]}}",
        "{} x",
    ] {
        assert_eq!(with_header(bad, 4), Err(ModelError::Header), "{bad}");
    }
    assert_eq!(with_header("{\"__metadata__\":{},\"__metadata__\":{}}", 0), Err(ModelError::Duplicate));
    assert_eq!(with_header("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0), Err(ModelError::Duplicate));
    let tensor = |name: &str, shape: &str, begin: u32, end: u32| {
        format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}")
    };
    let two = |a: String, b: String| with_header(&format!("{{{a},{b}}}"), 8);
    let good = tensor("a", "[1]", 0, 4);
    assert_eq!(two(good.clone(), tensor("b", "[1]", 4, 8)), Err(checksum));
    assert_eq!(two(good.clone(), tensor("a", "[1]", 4, 8)), Err(ModelError::Duplicate));
    for (what, second) in [
        ("overlap", tensor("b", "[1]", 0, 4)),
        ("hole", tensor("b", "[0]", 8, 8)),
        ("backwards", tensor("b", "[1]", 8, 4)),
        ("shape", tensor("b", "[2]", 4, 8)),
        ("overflow", tensor("b", "[4294967295,4294967295,4294967295]", 4, 8)),
    ] {
        assert_eq!(two(good.clone(), second), Err(ModelError::Offsets), "{what}");
    }
    let deep = two(good.clone(), tensor("b", "[1,1,1,1,1]", 4, 8));
    assert_eq!(deep, Err(ModelError::TooMany(Countable::Dimensions)));
    assert!(matches!(two(good, tensor("b", "[2]", 4, 12)), Err(ModelError::Truncated { .. })));
    let many: Vec<_> = (0..=MAX_TENSORS).map(|i| tensor(&i.to_string(), "[0]", 0, 0)).collect();
    assert_eq!(with_header(&format!("{{{}}}", many.join(",")), 0), Err(ModelError::TooMany(Countable::Tensors)));
    let many: Vec<_> = (0..=MAX_METADATA).map(|i| format!("\"{i}\":\"\"")).collect();
    let many = format!("{{\"__metadata__\":{{{}}}}}", many.join(","));
    assert_eq!(with_header(&many, 0), Err(ModelError::TooMany(Countable::Metadata)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Model::open(&ModelBytes::from_slice(8, &bytes));
    }

    #[test]
    fn arbitrary_damage_behind_a_good_checksum_never_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        conserved: bool,
        scheme in prop::sample::select(&SCHEMES[..]),
    ) {
        let form = if conserved { Form::Conserved } else { Form::Reduced };
        let file = untrained(form, scheme, &[3]);
        let mark = b"\"sirocco.crc32\":\"";
        let damaged = changed(&file, |f| {
            for (at, value) in edits {
                let at = at.index(f.len());
                f[at] = value;
            }
            if let Some(at) = f.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len()) {
                let digits = format!("{:08x}", sirocco::model::crc_of(f, at..at + 8));
                f[at..at + 8].copy_from_slice(digits.as_bytes());
            }
        });
        if let Ok(bundle) = Bundle::open(&damaged) {
            for query in bundle.probes(0).take(20) {
                if let Ok(p) = bundle.predict(&query) {
                    prop_assert!(p.state.iter().all(|v| v.is_finite()));
                }
            }
        }
    }

    #[test]
    fn any_query_is_answered_or_refused(bits in prop::array::uniform5(any::<u32>()), scheme in prop::sample::select(&SCHEMES[..])) {
        for form in FORMS {
            let file = untrained(form, scheme, &[3]);
            let bundle = Bundle::open(&file).unwrap();
            let query = sirocco::query::Query::from_quantities(bundle.ode(), &bits.map(f32::from_bits));
            if let Ok(p) = bundle.predict(&query) {
                prop_assert!(p.state.iter().chain(&p.derivative).chain(&p.residual).all(|v| v.is_finite()));
                prop_assert_eq!(p.in_domain, bundle.in_domain(&query));
            }
        }
    }
}

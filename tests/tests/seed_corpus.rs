//! The seeds of the fuzzers are real files and frames. This test fails when the formats have changed and they have not.
//!
//! `SIROCCO_BLESS=1 cargo test -p sirocco-tests --test suites seed_corpus::` writes it anew after a change of format.

use sirocco::limits::MAX_FRAME;
use sirocco::network::Scheme;
use sirocco::query::Query;
use sirocco::wire::trust::{Signed, TrustRequest};
use sirocco::wire::{Message, PROTOCOL_VERSION, Request, encode};
use sirocco_tests::fixture::{image, untrained};
use sirocco_tests::program::root;
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::keys::PrivateKey;
use sirocco_trainer::bundle::problem::Form;
use std::path::Path;

fn check(path: &Path, expected: &[u8]) {
    if std::env::var_os("SIROCCO_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, expected).unwrap();
    }
    let found = std::fs::read(path).unwrap_or_default();
    assert!(found == expected, "{} is out of date; run this test with SIROCCO_BLESS=1", path.display());
}

#[test]
fn models() {
    let folder = root().join("tests/fuzz/corpus/model_reader");
    let models = [(Form::Reduced, Scheme::F32), (Form::Conserved, Scheme::I16), (Form::Reduced, Scheme::I8I16)];
    for (form, scheme) in models {
        let name = format!("{}-{}", form.name(), scheme.name());
        check(&folder.join(name), &untrained(form, scheme, &[3]));
    }
    check(&folder.join("image"), &image());
    let unsigned = ModelFile::from_bytes(Path::new("unsigned"), &untrained(Form::Reduced, Scheme::F32, &[3]));
    check(&folder.join("signed"), PrivateKey::from_seed([7; 32]).sign_model(&unsigned, 1).unwrap().bytes());
}

#[test]
fn frames() {
    let folder = root().join("tests/fuzz/corpus/protocol");
    let query = Query { t: 10.0, initial: [0.3, 0.2, 0.0, 0.0], rates: [0.6, 0.5, 0.0, 0.0] };
    let open = TrustRequest::Open(Signed::new(1, core::array::from_fn(|k| k as u8 + 1)));
    let bodies = [
        ("info", Request::Info),
        ("predict", Request::Predict(query)),
        ("test", Request::SelfTest),
        ("trust", Request::Trust(open)),
    ];
    for (name, body) in bodies {
        let mut buffer = [0; MAX_FRAME];
        let frame = encode(&Message { version: PROTOCOL_VERSION, sequence: 1, body }, &mut buffer).unwrap();
        check(&folder.join(name), frame);
    }
}

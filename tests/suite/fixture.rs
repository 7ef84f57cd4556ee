//! Small models with random weights, made when a test asks for one: tests of the reader need files, not accuracy.

use sirocco::layer::shape::{Shape, Window};
use sirocco::network::Scheme;
use sirocco_trainer::bundle::export::Candidate;
use sirocco_trainer::bundle::mlp::{Activation, Mlp};
use sirocco_trainer::bundle::preset;
use sirocco_trainer::bundle::problem::Form;
use sirocco_trainer::bundle::quantize::{Grid, rounding};
use sirocco_trainer::host::model_file::{Metadata, ModelBytes};
use sirocco_trainer::image::benchmark::{Builder, export_random};
use sirocco_trainer::image::import::{self, Imported};
use sirocco_trainer::image::quantize::winograd::Transformed;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

/// An exported `sir-full` bundle with untrained weights. Each is made once.
pub fn untrained(form: Form, scheme: Scheme, hidden: &[usize]) -> ModelBytes {
    static MADE: Mutex<BTreeMap<String, ModelBytes>> = Mutex::new(BTreeMap::new());
    let name = format!("{form:?} {scheme:?} {hidden:?}");
    let mut made = MADE.lock().expect("no other fixture panicked");
    made.entry(name).or_insert_with(|| export(form, scheme, hidden)).clone()
}

fn export(form: Form, scheme: Scheme, hidden: &[usize]) -> ModelBytes {
    let problem = preset::find("sir-full").expect("a preset").problem(form).expect("a problem");
    let mlp = Mlp::random(&problem.widths(hidden), Activation::Tanh, problem.last_bias(), 1);
    let provenance = Metadata::from([("preset".into(), "sir-full".into())]);
    let rounded = Grid::of(scheme).map(|grid| rounding::plain(&mlp, grid));
    let (mlp, scales) = rounded.as_ref().map_or((&mlp, None), |r| (&r.mlp, Some(r.scales.as_slice())));
    let candidate = Candidate { problem: &problem, mlp, scheme, scales, provenance: &provenance, seed: 0, queries: 50 };
    candidate.export().expect("an exportable network").bytes
}

/// A network of MLPerf Tiny's closed division, if its TFLite file lies beside the clone, in `../shared/data/mlperf-tiny`.
pub fn imported(name: &str) -> Option<Imported> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mlperf-tiny");
    let file = std::fs::read(folder.join(name).with_extension("tflite")).ok()?;
    Some(import::tflite(&file, None, &Metadata::new()).expect("one of the networks that devices can compute"))
}

/// An exported image network with random weights that has every operation.
pub fn image() -> ModelBytes {
    let net = Builder::new(Shape { channels: 2, height: 6, width: 7 }, 1).conv(4, Window::square(3, 1, 1), true);
    let skip = net.value();
    let net = net.depthwise(Window::square(3, 1, 1), false).add(skip, true);
    let net = net.pool(Window::square(2, 2, 0), false).pool(Window::square(3, 1, 0), true);
    let net = net.conv(5, Window::square(3, 1, 1), true).dense(3, true);
    export_random(&net.logits(4), 1, Transformed::Always).expect("an exportable network").bytes
}

//! Executed instructions on an emulated Cortex-M4F, and of the form by phase on a Cortex-M3 too (`sir-m3`), against the
//! committed table `instructions.csv` and against goals that were set by what other engines need. A count that is more than 2 % above the table fails, and so does one that is more
//! than 2 % below, so that every gain is recorded. After an intended change, SIROCCO_BLESS=1 writes the table anew.

use sirocco::network::Scheme;
use sirocco_tests::fixture::{imported, untrained};
use sirocco_tests::program;
use sirocco_tools::device::bench::{self, Report, Rk4, Row};
use sirocco_tools::device::board::Board;
use sirocco_tools::output::Output;
use sirocco_tools::repository;
use sirocco_trainer::bundle::problem::Form;
use sirocco_trainer::image::benchmark;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest deviation from the table.
const DEVIATION: f64 = 0.02;
/// Instructions between two readings of the clock. The same work may be counted one tick longer, depending on its start.
const TICK: f64 = 40.0;
/// Whole networks with the DSP kernel: at most so many instructions. CMSIS-NN needs 1,431,251, 197,717 and 29,850,970.
const GOALS: [(&str, u64); 4] =
    [("mnist-cnn", 600_000), ("dense", 180_000), ("resnet8", 13_000_000), ("resnet8-winograd", 9_500_000)];
/// Convolutions of 3x3 from 64 channels to 64: at most so many instructions for each product of the direct form.
const DEEP_GOALS: [(&str, &str, f64); 2] =
    [("resnet8", " conv 8x8x64", 0.95), ("resnet8-winograd", " winograd 8x8x64", 0.5)];
/// Their products.
const DEEP_MACS: u64 = 8 * 8 * 64 * 9 * 64;
/// A residual sum: at most so many instructions per element; CMSIS-NN needs 81.
const ADD_GOAL: u64 = 10;
/// Networks of other programs, counted where their files lie beside the clone: the references of MLPerf Tiny.
const IMPORTED: [&str; 4] = ["ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "vww_96_int8"];
/// The model that is part of the firmware.
const BUILT_IN: &str = "sir-full";
/// A bundle of 5-32-32-3: at most so many instructions for the network, by number format.
const BUNDLE_GOALS: [(Scheme, u64); 3] = [(Scheme::F32, 4_000), (Scheme::I16, 3_500), (Scheme::I8I16, 3_500)];
/// The sums of 32 x 32 8-bit weights and 16-bit activations: at most so many instructions.
const DENSE_GOAL: u64 = 1_700;
/// Instructions of a state by phase, and of the same problem's state at a further time.
const PHASE_GOAL: (u64, u64) = (2_500, 1_150);
/// Two rates from ten noisy observations: at most so many instructions in the median.
const CALIBRATION_GOAL: u64 = 200_000;

fn table() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.csv")
}

/// (MACs, instructions) by network, kernel and layer.
type Table = BTreeMap<String, (u64, u64)>;

fn rows(model: &str, report: &Report, table: &mut Table) {
    for kernel in &report.kernels {
        for row in &kernel.layers {
            // Two digits, so that layers sort by number.
            let (index, rest) = row.what.split_once(' ').unwrap();
            table.insert(format!("{model},{},{index:0>2} {rest}", kernel.kernel), (row.macs, row.instructions));
        }
        table.insert(format!("{model},{},all", kernel.kernel), (kernel.macs, kernel.instructions));
    }
    // Rows that do not depend on the model are written once.
    let own = |row: &&Row| model == BUILT_IN || !row.what.starts_with("dense");
    for row in report.bundle.iter().filter(own) {
        table.insert(format!("{model},bundle,{}", row.what), (row.macs, row.instructions));
    }
    for Rk4 { numbers, steps, instructions } in report.rk4.iter().filter(|_| model == BUILT_IN) {
        table.insert(format!("{model},rk4,{numbers} {steps}"), (0, *instructions));
    }
}

#[test]
fn instructions_are_those_of_the_table() {
    let target = Board::find(bench::BOARD).unwrap().target;
    if !program::emulates(&target) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut counted, mut absent) = (Table::new(), Vec::new());
    let mut count = |name: &str, file: &Path| {
        let report = bench::count(file, bench::BOARD, Output { json: false, quiet: true }).unwrap();
        rows(name, &report, &mut counted);
        report
    };
    for (name, goal) in GOALS {
        let file = folder.path().join(name);
        std::fs::write(&file, &benchmark::network(name, 0).unwrap().unwrap().bytes).unwrap();
        let report = count(name, &file);
        let dsp = &report.kernels[1];
        assert!(dsp.instructions <= goal, "{name}: {} instructions, the goal is {goal}", dsp.instructions);
        for (_, what, goal) in DEEP_GOALS.into_iter().filter(|(of, ..)| *of == name) {
            let deep = dsp.layers.iter().find(|row| row.macs == DEEP_MACS && row.what.ends_with(what)).unwrap();
            assert!(deep.instructions as f64 <= goal * DEEP_MACS as f64, "{name}: {deep:?}");
        }
        for row in dsp.layers.iter().filter(|row| row.what.contains(" add ")) {
            let (_, shape) = row.what.rsplit_once(' ').unwrap();
            let elements: u64 = shape.split('x').map(|n| n.parse::<u64>().unwrap()).product();
            assert!(row.instructions <= ADD_GOAL * elements, "{name}: {row:?}");
        }
    }
    count("digits-int8", &program::root().join("tests/data/digits-int8.safetensors"));
    for name in IMPORTED {
        if let Some(network) = imported(name) {
            let file = folder.path().join(name);
            std::fs::write(&file, &network.bytes).unwrap();
            count(name, &file);
        } else {
            println!("{name}: its file is not beside the clone, so the table's rows are taken as they are");
            absent.push(name);
        }
    }
    let of = |report: &Report, what: &str| report.bundle.iter().find(|row| row.what == what).unwrap().instructions;
    let built_in = count(BUILT_IN, &program::root().join("tests/data/sir-full.safetensors"));
    let (calibration, dense) = (of(&built_in, "calibrate"), of(&built_in, "dense-i8-32x32"));
    assert!(calibration <= CALIBRATION_GOAL, "{calibration}, the goal is {CALIBRATION_GOAL}");
    assert!(dense <= DENSE_GOAL, "{dense}, the goal is {DENSE_GOAL}");
    let file = repository::firmware().unwrap().join("app/assets/sir.safetensors");
    let phase = count("sir", &file);
    let (state, further) = (of(&phase, "state"), of(&phase, "further"));
    assert!(state <= PHASE_GOAL.0 && further <= PHASE_GOAL.1, "{state}, {further}, the goals are {PHASE_GOAL:?}");
    // Without a floating-point unit: what the form by phase costs where every number is software.
    let small = bench::count(&file, bench::SMALL_BOARD, Output { json: false, quiet: true }).unwrap();
    for name in ["sir-full-i16", "sir-full-i8i16", "sir-quick", "sir-quick-i16"] {
        count(name, &program::root().join("tests/data").join(name).with_extension("safetensors"));
    }
    // A query for errors up to 1e-4 costs less than Runge-Kutta with the 24 steps that are usual for that.
    let quick = counted["sir-quick,bundle,state"].1;
    let rk4 = built_in.rk4.iter().find(|row| (row.numbers.as_str(), row.steps) == ("f32", 24)).unwrap().instructions;
    assert!(quick < rk4, "{quick} instructions, Runge-Kutta {rk4}");
    for (scheme, goal) in BUNDLE_GOALS {
        let file = folder.path().join(scheme.name());
        std::fs::write(&file, &untrained(Form::Generic, scheme, &[32, 32])[..]).unwrap();
        let report = bench::count(&file, bench::BOARD, Output { json: false, quiet: true }).unwrap();
        rows(&format!("5-32-32-3-{}", scheme.name()), &report, &mut counted);
        let network = of(&report, "network");
        assert!(network <= goal, "{}: {network} instructions, the goal is {goal}", scheme.name());
    }
    rows("sir-m3", &small, &mut counted);
    let committed = std::fs::read_to_string(table()).unwrap_or_default();
    for row in committed.lines().filter(|row| absent.iter().any(|name| row.starts_with(&format!("{name},")))) {
        let mut fields = row.rsplitn(3, ',').map(|field| field.parse().map_err(|_| field));
        let (Some(Ok(n)), Some(Ok(macs)), Some(Err(name))) = (fields.next(), fields.next(), fields.next()) else {
            panic!("{row}")
        };
        counted.insert(name.to_owned(), (macs, n));
    }
    let text: String = counted.iter().map(|(name, (macs, n))| format!("{name},{macs},{n}\n")).collect();
    let text = format!("network,kernel,layer,macs,instructions\n{text}");
    if std::env::var_os("SIROCCO_BLESS").is_some() {
        std::fs::write(table(), &text).unwrap();
    }
    let committed = std::fs::read_to_string(table()).unwrap_or_default();
    let mut differences = Vec::new();
    for (is, was) in text.lines().skip(1).zip(committed.lines().skip(1)) {
        let count =
            |line: &str| line.rsplit_once(',').and_then(|(name, n)| Some((name.to_owned(), n.parse::<f64>().ok()?)));
        let ((name, is), (was_name, was)) = (count(is).unwrap(), count(was).expect("a row of numbers"));
        if name != was_name || (is - was).abs() > TICK.max(DEVIATION * was.min(is)) {
            differences.push(format!("{name}: {was} in the table ({was_name}), {is} now"));
        }
    }
    assert!(
        differences.is_empty() && text.lines().count() == committed.lines().count(),
        "instructions differ from tests/instructions.csv by more than 2 %; if the change is intended, write the table anew with \
         SIROCCO_BLESS=1 cargo test -p sirocco-tests --test suites instructions::\n{}",
        differences.join("\n")
    );
}

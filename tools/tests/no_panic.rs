//! No panic can be reached from the evaluator, from the request loop (from the received byte to the frame to send), or
//! from opening, receiving and activating models: on every target, in the release profile of the firmware, a program
//! with such a path does not link. See `firmware/images/no-panic`.

use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::repository;
use std::collections::BTreeSet;

/// A program that links only if no panic can be reached, and a control that never links.
const PROOF: &str = "sirocco-no-panic";
const CONTROL: &str = "sirocco-no-panic-control";

/// Functions that must not reach a panic; the first is a control.
const ENTRIES: [&str; 19] = [
    "control_get",
    "evaluator_predict",
    "evaluator_certify",
    "evaluator_self_test",
    "evaluator_calibrate",
    "evaluator_forecast",
    "evaluator_classify",
    "evaluator_values",
    "evaluator_ink",
    "evaluator_reproduction",
    "request_loop",
    "request_loop_more",
    "model_begin",
    "model_chunk",
    "model_open",
    "model_handle",
    "boot",
    "model_activate",
    "trust_handle",
];

/// Whether the program links when it contains these functions and all that they call.
fn links(program: &str, target: &str, entries: &[&str]) -> bool {
    let mut command = cargo::command("cargo", &repository::firmware().unwrap());
    command.args(["rustc", "--quiet", "--locked", "--release", "--package", "sirocco-no-panic"]);
    command.args(["--bin", program, "--target", target, "--"]);
    for entry in entries {
        command.args(["-C", &format!("link-arg=-u{entry}")]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    // Any other failure is an error in this test.
    assert!(output.status.success() || text.contains("undefined symbol: a_panic_can_be_reached"), "{text}");
    output.status.success()
}

#[test]
fn no_panic_can_be_reached() {
    let targets: BTreeSet<String> = Board::all().unwrap().into_iter().map(|board| board.target).collect();
    for target in targets {
        if !cargo::has_target(&target) {
            eprintln!("skipped for {target}: not installed here; run `sirocco setup`");
            continue;
        }
        assert!(!links(CONTROL, &target, &["control_index"]), "{target}: a function with a panic links");
        if !links(PROOF, &target, &ENTRIES) {
            // One link of all functions is quick; a link of each finds those with a panic.
            let culprits: Vec<_> = ENTRIES.into_iter().filter(|entry| !links(PROOF, &target, &[entry])).collect();
            panic!("{target}: a panic can be reached from {culprits:?}");
        }
    }
}

//! Python's `safetensors` opens the exported file. Needs a Python with `safetensors` and `numpy`: `tests/run` makes one
//! in `target/python`; otherwise `python3` is tried, and without these packages the test says that it was skipped.

use sirocco::bundle::Bundle;
use sirocco::network::Scheme;
use sirocco_tests::fixture::untrained;
use sirocco_tests::program::root;
use sirocco_trainer::bundle::problem::Form;
use std::path::PathBuf;
use std::process::Command;

/// Opens the file, evaluates the network with numpy, prints the metadata's form and the output at the center.
const SCRIPT: &str = r#"
import sys, numpy as np
from safetensors import safe_open
with safe_open(sys.argv[1], "np") as f:
    meta = f.metadata()
    t = {k: f.get_tensor(k) for k in f.keys()}
widths = [int(w) for w in meta["layers"].split(",")]
a = np.zeros(widths[0])
for k in range(len(widths) - 1):
    w, b = t[f"layers.{k}.weight"].astype(float), t[f"layers.{k}.bias"].astype(float)
    if meta["scheme"] != "f32":
        s = t[f"layers.{k}.scale"].astype(float)
        w, b = w * s[:, None], b * 2.0**-24
    assert w.shape == (widths[k + 1], widths[k])
    a = w @ a + b
    if k < len(widths) - 2:
        a = np.tanh(a)
print(meta["form"], a[0])
"#;

fn python() -> Option<PathBuf> {
    let own = root().join("target/python/bin/python");
    [own, "python3".into()].into_iter().find(|python| {
        let check = Command::new(python).args(["-c", "import safetensors, numpy"]).output();
        check.is_ok_and(|output| output.status.success())
    })
}

#[test]
fn python_opens_the_exported_file() {
    let Some(python) = python() else {
        println!("skipped: no Python with safetensors and numpy (pip install safetensors numpy)");
        return;
    };
    for scheme in Scheme::ALL {
        let file = untrained(Form::Reduced, scheme, &[6, 5]);
        let path = tempfile::Builder::new().suffix(".safetensors").tempfile().unwrap();
        std::fs::write(path.path(), &file[..]).unwrap();
        let output = Command::new(&python).args(["-c", SCRIPT]).arg(path.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).unwrap();
        let (form, value) = printed.trim().split_once(' ').unwrap();
        assert_eq!(form, "reduced");
        let own = Bundle::open(&file).unwrap().network().value(&[0.0; sirocco::limits::MAX_QUANTITIES])[0];
        assert!((value.parse::<f64>().unwrap() - f64::from(own)).abs() < 1e-4, "{value} {own}");
    }
}

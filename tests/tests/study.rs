//! The studies through the command line: the files they write, that finished work is kept, and every kind of wrong request.

use serde_json::Value;
use sirocco::network::Scheme;
use sirocco_tests::fixture;
use sirocco_tests::markup::assert_well_formed;
use sirocco_tests::program::{assert_fails, json, train, trainer};
use sirocco_trainer::bundle::problem::Form;
use sirocco_trainer::study::bundle as study;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn run(name: &str, out: &Path, more: &[&str]) -> Output {
    let options = ["bundle", "study", name, "--out", out.to_str().unwrap(), "--quick", "--quiet", "--json"];
    train(&[&options[..], more].concat())
}

fn studies(result: &Value) -> &Vec<Value> {
    result["studies"].as_array().unwrap()
}

fn count(study: &Value, key: &str) -> u64 {
    study[key].as_u64().unwrap_or_else(|| panic!("no count `{key}` in {study}"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> =
        std::fs::read_dir(folder).map(|e| e.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    entries.into_iter().filter(|p| p.extension().is_some_and(|e| e == ending)).collect()
}

/// Panics unless every row is as long as the head, every number is finite, and there is at least one.
fn assert_table(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(cells);
    let columns = lines.next().unwrap().len();
    let mut numbers = 0;
    for row in lines {
        assert_eq!(row.len(), columns, "{}: {row:?}", file.display());
        for number in row.iter().filter_map(|cell| cell.parse::<f64>().ok()) {
            assert!(number.is_finite(), "{}: {row:?}", file.display());
            numbers += 1;
        }
    }
    assert!(numbers > 0, "{} holds no numbers", file.display());
}

/// The cells of a line of CSV; commas between quotation marks do not count.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cells.last_mut().unwrap().push(other),
        }
    }
    cells
}

#[test]
fn every_study_leaves_tables_plots_and_its_part_of_the_report() {
    let folder = TempDir::new().unwrap();
    let first = json(&run("all", folder.path(), &["--seeds", "1"]));
    assert_eq!(studies(&first).len(), study::ALL.len());
    let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_well_formed("report.html", &report);
    for (study, done) in study::ALL.iter().zip(studies(&first)) {
        let own = folder.path().join(study.name);
        assert_eq!(done["study"], study.name);
        assert!(report.contains(study.what), "{} is missing in the report", study.name);
        let (tables, plots) = (files(&own, "csv"), files(&own, "svg"));
        assert!(!tables.is_empty() && !plots.is_empty(), "{}", study.name);
        tables.iter().for_each(|table| assert_table(table));
        for plot in plots {
            let text = std::fs::read_to_string(&plot).unwrap();
            assert_well_formed(&plot.display().to_string(), &text);
            assert!(!text.contains("no finite values"), "{}", plot.display());
        }
        let results: Value = serde_json::from_slice(&std::fs::read(own.join("results.json")).unwrap()).unwrap();
        assert_eq!((&results["seen"], &results["figures"]), (&done["seen"], &done["figures"]));
        for sentence in done["seen"].as_array().unwrap() {
            assert!(!sentence.as_str().unwrap().contains("not finite"), "{sentence}");
        }
    }
    assert!(studies(&first).iter().map(|s| count(s, "trained")).sum::<u64>() > 20);

    // Once more: nothing is trained again, and the figures are the same.
    let second = json(&run("all", folder.path(), &["--seeds", "1"]));
    for (before, after) in studies(&first).iter().zip(studies(&second)) {
        assert_eq!(count(after, "trained"), 0, "{after}");
        assert_eq!((&before["seen"], &before["figures"]), (&after["seen"], &after["figures"]));
    }
}

#[test]
fn a_killed_run_goes_on_where_it_was_and_other_options_start_afresh() {
    let folder = TempDir::new().unwrap();
    let pieces = folder.path().join("pieces");
    let options = ["bundle", "study", "finetune", "--quick", "--quiet", "--seeds", "500", "--out"];
    let mut child = Command::new(trainer()).args(options).arg(folder.path()).stdout(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while files(&pieces, "piece").len() < 5 && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "killed before it was done");
    let kept = files(&pieces, "piece").len() as u64;
    assert!(kept >= 5);

    let resumed = json(&run("finetune", folder.path(), &["--seeds", "2"]));
    let done = &studies(&resumed)[0];
    // This run needs at least those of the pieces that two seeds' first move left.
    assert!(count(done, "pieces") - count(done, "trained") >= 4, "{done}");
    assert!(count(done, "trained") > 0, "{done}");
    let unbroken = TempDir::new().unwrap();
    let whole = json(&run("finetune", unbroken.path(), &["--seeds", "2"]));
    let losses = |result: &Value| -> Vec<Value> {
        let moves = studies(result)[0]["figures"]["moves"].as_array().unwrap();
        moves.iter().map(|m| serde_json::json!([m["logloss_before"], m["logloss_tuned"], m["error_scratch"]])).collect()
    };
    assert_eq!(losses(&resumed), losses(&whole));

    // A damaged piece is trained again, and it alone.
    let damaged = files(&unbroken.path().join("pieces"), "piece").remove(0);
    std::fs::write(&damaged, "half a piece").unwrap();
    let repaired = json(&run("finetune", unbroken.path(), &["--seeds", "2"]));
    assert_eq!(count(&studies(&repaired)[0], "trained"), 1);
    assert_eq!(losses(&repaired), losses(&whole));

    // Other seeds, and another form, use none of the old pieces.
    for other in [&["--seeds", "1", "--seed", "7"][..], &["--seeds", "1", "--form", "generic"]] {
        let result = json(&run("finetune", unbroken.path(), other));
        let done = &studies(&result)[0];
        assert_eq!(count(done, "trained"), count(done, "pieces"), "{done}");
    }
}

#[test]
fn finetuning_is_studied_with_adam_too() {
    let folder = TempDir::new().unwrap();
    let result = json(&run("finetune", folder.path(), &["--seeds", "1", "--optimizer", "adam"]));
    assert_eq!((&result["optimizer"], &studies(&result)[0]["figures"]["form"]), (&"adam".into(), &"conserved".into()));
    let said = studies(&result)[0]["seen"][0].as_str().unwrap();
    assert!(said.contains("steps"), "{said}");
}

#[test]
fn curves_of_any_model_file() {
    let folder = TempDir::new().unwrap();
    let model = folder.path().join("untrained.safetensors");
    std::fs::write(&model, fixture::untrained(Form::Reduced, Scheme::F32, &[4])).unwrap();
    let model = model.to_str().unwrap();
    let query = "I0=0.3,R0=0.2,beta=0.6,gamma=0.5";
    let result = json(&run("curves", folder.path(), &["--model", model, "--query", query]));
    let curves = studies(&result)[0]["figures"]["curves"].as_array().unwrap();
    // The query's, and that of the worst problem of the box, which cannot be better than any other curve's maximum.
    assert_eq!(curves.len(), 2);
    assert!(curves.iter().all(|c| c["max_error"].as_f64().unwrap() > 1e-3), "an untrained network is wrong: {result}");
    assert_table(&folder.path().join("curves/curves.csv"));

    let wrong = |more: &[&str]| run("curves", folder.path(), more);
    assert_fails(&wrong(&["--model", model, "--query", "I0=0.3"]), 2, "gamma");
    assert_fails(&wrong(&["--model", model, "--query", "I0=0.9,R0=0.9,beta=1,gamma=1"]), 2, "--query");
    assert_fails(&wrong(&["--model", "/no/such/model"]), 1, "/no/such/model");
    assert_fails(&run("map", folder.path(), &["--model", model]), 2, "curves");
    assert_fails(&run("map", folder.path(), &["--optimizer", "adam"]), 2, "finetune");
    assert_fails(&run("finetune", folder.path(), &["--optimizer", "adam", "--form", "reduced"]), 2, "--form");
    assert_fails(&run("finetune", folder.path(), &["--recipe", "full-batch"]), 2, "--optimizer adam");
    assert_fails(&run("maps", folder.path(), &[]), 2, "sensitivity");
    assert_fails(&run("map", folder.path(), &["--seeds", "0"]), 2, "0");
}

#[test]
fn the_experiments_of_the_thesis_run_in_pieces_and_say_what_defects_change() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().to_str().unwrap();
    let cache = folder.path().join("cache").display().to_string();
    let study = ["image", "study", "thesis", "--short", "--out", out, "--shift-cache", &cache, "--json"];
    let only = |name: &str| train(&[&study[..], &["--only", name]].concat());
    let usps = json(&only("usps"));
    let judgments = usps["judgments"].as_array().unwrap();
    // Five statements by the protocol, and those about arms that choose once with each of four defects.
    assert_eq!(judgments.len(), 5 + 4 * 4, "{usps}");
    assert!(judgments.iter().all(|j| j["paired"]["difference"].as_f64().unwrap().is_finite()));
    let trained = usps["trained"].as_u64().unwrap();
    // Again: nothing is trained. With another part: only that one is.
    assert_eq!(json(&only("usps"))["trained"], 0);
    let noise = json(&only("noise"));
    assert!(noise["trained"].as_u64().unwrap() > 0 && trained > 0);
    let defects = |result: &Value| -> std::collections::BTreeSet<String> {
        result["judgments"].as_array().unwrap().iter().map(|j| j["defect"].as_str().unwrap().to_owned()).collect()
    };
    assert!(
        defects(&noise).contains("one noise for all images") && !defects(&usps).contains("one noise for all images")
    );
    assert_table(&folder.path().join("statements.csv"));
    assert_table(&folder.path().join("mnist-noise/outcomes.csv"));
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_well_formed("report.html", &page);
    assert!(page.contains("The conclusions, and what defects change"));
    assert_fails(&only("nothing"), 2, "`mnist-usps`");
    assert_fails(&train(&[&study[..], &["--network", "resnet8"]].concat()), 2, "leave out --dataset");
    assert_fails(&train(&["image", "study", "budget", "--short", "--out", out]), 2, "image study thesis");
}

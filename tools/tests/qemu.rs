//! Tools, serial line, firmware and evaluator together, on every emulated board. Skipped, with a message, if QEMU or
//! the Rust target of the board is missing; `sirocco setup` installs both.

mod common;

use common::{boxed, built_in, failure, json, sirocco, variant};
use sirocco::bundle::{Bundle, Range};
use sirocco::calibrate::{self, CalibrationError, Free, Observation, Task, calibrate};
use sirocco::error::ModelError;
use sirocco::limits::MAX_OBSERVATIONS;
use sirocco::outbreak::{self, Count, Noise, Observable, Series, Setting, Starts};
use sirocco::query::{Query, QueryError};
use sirocco::wire::{DeviceError, ask};
use sirocco_tools::Error;
use sirocco_tools::client::transport::Transport;
use sirocco_tools::client::{Client, ClientError, Patience, answered};
use sirocco_tools::cmd::selftest;
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::device::qemu::{self, Emulator, Image};
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::output::Output;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The emulated boards whose firmware can be built here.
fn boards() -> Vec<(Board, PathBuf)> {
    let mut boards = Vec::new();
    for board in Board::all().unwrap().into_iter().filter(|board| board.qemu.is_some()) {
        if qemu::version(qemu::PROGRAM).is_none() {
            eprintln!("skipped on {}: no {} here; run `sirocco setup`", board.name, qemu::PROGRAM);
        } else if !cargo::has_target(&board.target) {
            eprintln!("skipped on {}: no Rust target {} here; run `sirocco setup`", board.name, board.target);
        } else {
            let elf = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
            boards.push((board, elf));
        }
    }
    boards
}

fn start(board: &Board, elf: &Path, model: Option<&Path>) -> (Emulator, TcpStream) {
    Emulator::tcp(Image { board, elf, model, flash: None }, |line| eprintln!("{:?} {}", line.level, line.text)).unwrap()
}

fn connect(board: &Board, elf: &Path, model: Option<&Path>) -> (Emulator, Client) {
    let (emulator, stream) = start(board, elf, model);
    (emulator, talk(stream))
}

fn talk(transport: impl Transport + 'static) -> Client {
    // On a busy machine the emulator may be slow.
    let patience = Patience { timeout: Duration::from_secs(20), retries: 2 };
    Client::new(Box::new(transport), "emulator", patience)
}

/// A query in the middle of the built-in model's domain.
fn inside() -> Query {
    let file = ModelFile::read(&built_in()).unwrap();
    let bundle = file.bundle().unwrap();
    let middle: Vec<f32> = bundle.domain().iter().map(|r| 0.5 * (r.lo + r.hi)).collect();
    Query::from_quantities(bundle.ode(), &middle)
}

#[test]
fn a_board_tells_about_itself_and_its_built_in_model() {
    let file = ModelFile::read(&built_in()).unwrap();
    for (board, elf) in boards() {
        let (_emulator, mut client) = connect(&board, &elf, None);
        let info = client.ask(ask::Info).unwrap();
        assert_eq!(info.board.as_str(), board.name);
        assert_eq!(info.model, file.bundle().unwrap().model_info(false));
        assert_eq!(info.slot_error, None);
        let stack = info.stack_high_water.unwrap();
        assert!((1_000..64 * 1024).contains(&stack), "{stack} bytes of stack");
    }
}

#[test]
fn a_thousand_answers_have_the_same_bits_as_on_the_host() {
    let file = ModelFile::read(&built_in()).unwrap();
    for (board, elf) in boards() {
        let (_emulator, mut client) = connect(&board, &elf, None);
        let report = selftest::check(&mut client, Some(&file), 1000, 1).unwrap();
        assert!(report.passed && report.queries == 1000 && report.golden > 0, "{}: {report:?}", board.name);
    }
}

#[cfg(unix)]
#[test]
fn a_pty_does_as_well() {
    use sirocco_tools::client::transport::Serial;

    let file = ModelFile::read(&built_in()).unwrap();
    for (board, elf) in boards() {
        let (_emulator, path) =
            Emulator::pty(Image { board: &board, elf: &elf, model: None, flash: None }, |_| {}).unwrap();
        let mut client = talk(Serial::open(path.to_str().unwrap(), 115_200).unwrap());
        let report = selftest::check(&mut client, Some(&file), 50, 2).unwrap();
        assert!(report.passed && report.queries == 50, "{}: {report:?}", board.name);
    }
}

#[test]
fn a_model_in_the_slot_answers_and_a_wrong_one_fails_its_self_test() {
    let folder = tempfile::tempdir().unwrap();
    // A comma in the path must not confuse the emulator's options.
    let path = folder.path().join("slot, variant.safetensors");
    std::fs::write(&path, variant()).unwrap();
    let file = ModelFile::read(&path).unwrap();
    for (board, elf) in boards() {
        let (_emulator, mut client) = connect(&board, &elf, Some(&path));
        assert_eq!(client.ask(ask::Info).unwrap().model, file.bundle().unwrap().model_info(true));
        let golden = client.ask(ask::SelfTest).unwrap();
        assert_eq!(golden, file.bundle().unwrap().self_test());
        assert!(golden.mismatches > 0, "the variant's golden answers are those of another model");
        let query = inside();
        assert_eq!(client.ask(ask::Predict(query)).unwrap(), file.bundle().unwrap().predict(&query).unwrap());
    }
}

#[test]
fn a_damaged_model_in_the_slot_is_reported_and_the_built_in_one_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    let mut bytes = std::fs::read(built_in()).unwrap();
    *bytes.last_mut().unwrap() ^= 0x80;
    std::fs::write(&path, bytes).unwrap();
    for (board, elf) in boards() {
        let (_emulator, mut client) = connect(&board, &elf, Some(&path));
        let info = client.ask(ask::Info).unwrap();
        assert!(matches!(info.slot_error, Some(ModelError::Checksum { .. })), "{info:?}");
        assert!(!info.model.from_slot);
        assert_eq!(client.ask(ask::SelfTest).unwrap().mismatches, 0);
    }
}

#[test]
fn a_model_larger_than_the_slot_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    std::fs::write(&path, vec![1; 2 << 20]).unwrap();
    for (board, elf) in boards() {
        let result = Emulator::tcp(Image { board: &board, elf: &elf, model: Some(&path), flash: None }, |_| {});
        assert!(matches!(result, Err(Error::Firmware { reason, .. }) if reason.contains("the model slot")));
    }
}

#[test]
fn queries_without_an_answer_get_typed_errors_and_those_outside_a_flag() {
    let query = Query { t: 10.0, initial: [0.3, 0.2, 0.0, 0.0], rates: [0.6, 0.5, 0.0, 0.0] };
    let (beyond, inadmissible) = (Query { t: 40.0, ..query }, Query { initial: [0.9, 0.9, 0.0, 0.0], ..query });
    for (board, elf) in boards() {
        let (_emulator, mut client) = connect(&board, &elf, Some(&boxed()));
        let mut ask = |query| answered(client.ask(ask::Predict(query))).unwrap();
        assert_eq!(ask(Query { t: f32::NAN, ..query }), Err(QueryError::NotFinite(0)));
        assert_eq!(ask(Query { rates: [0.5, f32::INFINITY, 0.0, 0.0], ..query }), Err(QueryError::NotFinite(4)));
        assert_eq!(ask(Query { t: -1.0, ..query }), Err(QueryError::NegativeTime));
        assert_eq!(ask(inadmissible), Err(QueryError::Inadmissible));
        assert!(!ask(beyond).unwrap().in_domain);
        assert!(ask(query).unwrap().in_domain);
        // The built-in model has no box, but a limit of its own.
        let (_emulator, mut client) = connect(&board, &elf, None);
        let mut ask = |query| answered(client.ask(ask::Predict(query))).unwrap();
        assert!(ask(beyond).unwrap().in_domain);
        assert_eq!(ask(Query { rates: [30.0, 0.5, 0.0, 0.0], ..query }), Err(QueryError::TooSteep));
    }
}

#[test]
fn garbage_on_the_line_is_survived() {
    let mut state = 1u32;
    let mut noise = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let garbage: Vec<u8> = (0..3000).map(&mut noise).collect();
    let endless = vec![0x55; 3000];
    for (board, elf) in boards() {
        let (_emulator, mut stream) = start(&board, &elf, None);
        for bytes in [&garbage, &endless] {
            stream.send(bytes).unwrap();
            let mut client = talk(stream.try_clone().unwrap());
            assert_eq!(client.ask(ask::Info).unwrap().board.as_str(), board.name);
            assert!(client.ask(ask::Predict(inside())).is_ok());
        }
    }
}

/// The query at another time.
fn at(problem: &Query, t: f32) -> Query {
    Query { t, ..*problem }
}

/// A random problem of the model's domain with ten noisy observations of I and R; reproducible.
fn trial(bundle: &Bundle<'_>, number: u64) -> (Query, Vec<Observation>) {
    let problem = bundle.probes(number).next().unwrap();
    let mut state = number;
    // The sum of twelve uniform numbers is close enough to a normal distribution.
    let mut noise = || {
        let uniform = (0..12).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        });
        0.01 * (uniform.sum::<f32>() - 6.0)
    };
    let seen = (1u8..=10).map(|k| {
        let (t, component) = (2.0 * f32::from(k), 1 + k % 2);
        let state = bundle.state(&at(&problem, t)).unwrap();
        Observation { t, component, value: state[usize::from(component)] + noise(), sigma: 0.01 }
    });
    let seen = seen.collect();
    (problem, seen)
}

#[test]
fn calibrations_have_the_same_bits_as_on_the_host() {
    let file = ModelFile::read(&built_in()).unwrap();
    let bundle = file.bundle().unwrap();
    for (board, elf) in boards() {
        let clock_hz = u64::from(board.qemu().unwrap().clock_hz);
        let (_emulator, mut client) = connect(&board, &elf, None);
        let mut counts = Vec::new();
        for number in 0..60 {
            let (problem, seen) = trial(&bundle, number);
            let names = if number < 40 { &["beta", "gamma"][..] } else { &["I0", "beta", "gamma"] };
            let free = Free::of(bundle.ode(), names).unwrap();
            let task = Task { free, fixed: problem, relative: false };
            client.observe(&seen).unwrap();
            let (device, ticks) = client.ask(ask::Calibrate(task)).unwrap();
            let host = calibrate(&bundle, &seen, &task).unwrap();
            // Numbers print as the shortest text that reads back exactly: texts are equal if and only if the bits are.
            assert_eq!(format!("{device:?}"), format!("{host:?}"), "{} trial {number}", board.name);
            let forecast = client.ask(ask::Forecast(10.0, 20.0)).unwrap();
            let expected = calibrate::forecast(&bundle, &host, 10.0, 20.0).unwrap();
            assert_eq!(format!("{forecast:?}"), format!("{expected:?}"), "{} trial {number}", board.name);
            if number < 40 {
                counts.push(u64::from(ticks.unwrap()) * 1_000_000_000 / clock_hz);
            }
        }
        counts.sort_unstable();
        let (median, most) = (counts[counts.len() / 2], counts.last().unwrap());
        println!("{}: beta and gamma from 10 observations: {median} instructions, {most} at most", board.name);
    }
}

/// Two months of new cases, of which an unknown share is reported; two years of weeks, with two changes of the reproduction number;
/// the boys in bed of 1978.
fn outbreaks() -> Vec<(&'static str, Vec<Count>, Setting)> {
    let range = |lo, hi| Range { lo, hi };
    let setting = |observable, counts: u16, noise, scale: Range, changes: &[f32]| Setting {
        series: [Series { observable, start: 0.0, counts }].into_iter().collect(),
        noise,
        infected: range(1e-9, 0.5),
        recovery: range(0.02, 5.0),
        scale,
        background: range(0.0, 0.0),
        reproduction: (0..=changes.len()).map(|_| range(0.2, 19.9)).collect(),
        changes: changes.iter().copied().collect(),
        removed: 0.0,
        reporting: Default::default(),
    };
    // Reproducible noise: every count is off by up to a third of itself.
    let rough = |day: u16, mean: f32| (mean * (0.67 + 0.66 * f32::from(day * 37 % 101) / 100.0)).round();
    let curve = |day: u16, top: f32, middle: f32, width: f32| {
        let x = (f32::from(day) - middle) / width;
        rough(day, top / (x.cosh() * x.cosh()))
    };
    let daily = (1..=60).map(|day| Count { t: day.into(), value: curve(day, 120.0, 30.0, 9.0) }).collect();
    let wave = |day: u16| curve(day, 900.0, 60.0, 20.0) + curve(day, 600.0, 170.0, 25.0);
    let long = (1..=256).map(|day| Count { t: day.into(), value: if day % 50 == 0 { f32::NAN } else { wave(day) } });
    let bed = [3.0f32, 8.0, 26.0, 76.0, 225.0, 298.0, 258.0, 233.0, 189.0, 128.0, 68.0, 29.0, 14.0, 4.0];
    let bed = (0u16..).zip(bed).map(|(day, value)| Count { t: day.into(), value }).collect();
    let negative_binomial = Noise::NegativeBinomial { dispersion: None };
    let (new, infected) = (Observable::NewCases, Observable::Infected);
    vec![
        ("60 days, reporting unknown", daily, setting(new, 60, negative_binomial, range(100.0, 1e5), &[])),
        (
            "256 days, two changes",
            long.collect(),
            setting(new, 256, negative_binomial, range(1e5, 1e5), &[100.0, 140.0]),
        ),
        ("14 days in bed", bed, setting(infected, 14, Noise::Gaussian { sigma: None }, range(763.0, 763.0), &[])),
    ]
}

#[test]
fn outbreaks_have_the_same_estimates_as_on_the_host() {
    let file = ModelFile::read(&built_in()).unwrap();
    let bundle = file.bundle().unwrap();
    for (board, elf) in boards() {
        let clock_hz = u64::from(board.qemu().unwrap().clock_hz);
        let (_emulator, mut client) = connect(&board, &elf, None);
        for (name, counts, setting) in outbreaks() {
            let host = outbreak::fit(&bundle, &counts, &setting, Starts::Guessed).unwrap();
            let (device, ticks) = client.outbreak(&counts, &setting).unwrap();
            assert_eq!(format!("{device:?}"), format!("{host:?}"), "{}: {name}", board.name);
            let next = (setting.series[0].observable, counts.len() as f32, counts.len() as f32 + 7.0);
            let expected = client.ask(ask::OutbreakExpect(next.0, next.1, next.2)).unwrap();
            let right = outbreak::expected(&bundle, &setting, &host, next.0, (next.1, next.2)).unwrap();
            assert_eq!(format!("{expected:?}"), format!("{right:?}"), "{}: {name}", board.name);
            let instructions = u64::from(ticks.unwrap()) * 1_000_000_000 / clock_hz;
            println!("{}: {name}: {instructions} instructions, {} evaluations", board.name, host.evaluations);
        }
        let stack = client.ask(ask::Info).unwrap().stack_high_water;
        println!("{}: most stack {stack:?} bytes", board.name);
    }
}

#[test]
fn questions_without_an_estimate_get_typed_errors() {
    let file = ModelFile::read(&built_in()).unwrap();
    let bundle = file.bundle().unwrap();
    let (problem, seen) = trial(&bundle, 1);
    let task = Task { free: Free::of(bundle.ode(), &["beta"]).unwrap(), fixed: problem, relative: false };
    let refused = |result: Result<_, ClientError>| match result {
        Err(ClientError::Device { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    for (board, elf) in boards() {
        let (_emulator, mut client) = connect(&board, &elf, None);
        assert_eq!(refused(client.ask(ask::Forecast(0.0, 1.0)).map(|_| ())), DeviceError::NotCalibrated);
        let none = DeviceError::Calibration(CalibrationError::TooFew { have: 0, need: 1 });
        assert_eq!(refused(client.ask(ask::Calibrate(task)).map(|_| ())), none);
        // As many as the device keeps, and one more.
        let many: Vec<Observation> = seen.iter().cycle().take(MAX_OBSERVATIONS).copied().collect();
        client.observe(&many).unwrap();
        assert_eq!(client.ask(ask::Calibrate(task)).unwrap().0.observations, 64);
        let more = [&many[..], &seen[..1]].concat();
        assert_eq!(refused(client.observe(&more)), DeviceError::Place { place: 64, kept: 64 });
    }
}

#[test]
fn the_command_line_calibrates_here_and_there_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seen.csv");
    let file = built_in();
    let model = ModelFile::read(&file).unwrap();
    let (problem, seen) = trial(&model.bundle().unwrap(), 3);
    // Scatter carries some shares below zero, which a table may not hold.
    let row = |o: &Observation| {
        let value = o.value.clamp(0.0, 1.0);
        format!("{},{},{value},{}\n", o.t, ["S", "I", "R"][usize::from(o.component)], o.sigma)
    };
    let rows = seen.iter().map(row);
    std::fs::write(&path, format!("t,component,value,sigma\n{}", rows.collect::<String>())).unwrap();
    let fix = format!("I0={},R0={}", problem.initial[0], problem.initial[1]);
    let common =
        ["calibrate", "--observations", path.to_str().unwrap(), "--free", "beta,gamma", "--fix", &fix, "--json"];
    let mut here = json(&sirocco(&[&common[..], &["--model", file.to_str().unwrap()]].concat()));
    assert!(here["converged"] == true && here["estimates"]["beta"]["identified"] == true, "{here}");
    for (board, _) in boards() {
        let port = format!("qemu:{}", board.name);
        let there = json(&sirocco(&[&common[..], &["--port", &port]].concat()));
        here["ticks"] = there["ticks"].clone();
        assert_eq!(here, there);
    }
}

#[test]
fn the_command_line_reaches_an_emulated_board() {
    for (board, _) in boards() {
        let port = format!("qemu:{}", board.name);
        let file = built_in();
        let file = file.to_str().unwrap();
        let query = ["query", "--port", &port, "--t", "10", "--I0", "0.3", "--R0", "0.2", "--beta", "0.6", "--gamma"];
        let answer = json(&sirocco(&[&query[..], &["0.5", "--json"]].concat()));
        let sum: f64 = ["s", "i", "r"].iter().map(|key| answer[key].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{answer}");
        assert_eq!((&answer["in_domain"], &answer["trusted"]), (&true.into(), &true.into()));
        assert!(answer["error_estimate"].as_f64() < answer["error_bound"].as_f64(), "{answer}");
        let cheap = json(&sirocco(&[&query[..], &["0.5", "--json", "--no-certificate"]].concat()));
        assert_eq!((&cheap["i"], &cheap["error_bound"]), (&answer["i"], &serde_json::Value::Null));
        let line = failure(&sirocco(&[&query[..], &["nan"]].concat()), 1);
        assert!(line.contains("not a finite number"), "{line}");
        let report = json(&sirocco(&["selftest", "--port", &port, "--model", file, "--queries", "20", "--json"]));
        assert_eq!((&report["passed"], &report["queries"]), (&true.into(), &20.into()));
        let info = json(&sirocco(&["info", "--port", &port, "--model", file, "--json"]));
        assert_eq!((&info["model"]["from_slot"], &info["board"]), (&true.into(), &board.name.as_str().into()));
        let sizes = json(&sirocco(&["size", &board.name, "--json"]));
        assert!(sizes["flash"].as_u64() < sizes["flash_capacity"].as_u64(), "{sizes}");
        assert!(sizes["ram"].as_u64() < sizes["ram_capacity"].as_u64(), "{sizes}");
    }
}

#[test]
fn many_queries_of_a_csv_file_are_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queries.csv");
    std::fs::write(
        &path,
        "gamma,t,I0,R0,beta\n0.5,0,0.3,0.2,0.6\n0.5,-1,0.3,0.2,0.6\n0.5,90,0.3,0.2,0.6\n0.5,9,0.3,0.2,60\n",
    )
    .unwrap();
    if let Some((board, _)) = boards().first() {
        let port = format!("qemu:{}", board.name);
        let answers = json(&sirocco(&["query", "--port", &port, "--queries", path.to_str().unwrap(), "--json"]));
        let answers = answers["answers"].as_array().unwrap();
        assert!((answers[0]["answer"]["i"].as_f64().unwrap() - 0.3).abs() < 1e-6, "the initial condition holds");
        assert!(answers[1]["answer"].is_null() && answers[1]["error"].as_str().unwrap().contains("negative"));
        assert_eq!(answers[2]["answer"]["in_domain"], true);
        assert!(answers[3]["answer"].is_null() && answers[3]["error"].as_str().unwrap().contains("above 20"));
        let table = sirocco(&["query", "--port", &port, "--queries", path.to_str().unwrap()]);
        let table = String::from_utf8(table.stdout).unwrap();
        assert!(
            table
                .starts_with("t,I0,R0,beta,gamma,S,I,R,error_estimate,error_bound,trusted,in_domain,plausible,error\n"),
            "{table}"
        );
        assert!(table.lines().nth(1).unwrap().ends_with(",true,true,true,"), "{table}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_emulator_ends_with_whoever_started_it() {
    use std::process::{Command, Stdio};
    use std::time::Instant;

    let Some((board, elf)) = boards().into_iter().next() else { return };
    let (emulator, stream) = start(&board, &elf, None);
    let process = emulator.process();
    assert!(alive(process));
    drop((emulator, stream));
    assert!(!alive(process));

    if qemu::version("setpriv").is_none() {
        eprintln!("skipped: no setpriv here, so a killed parent leaves its emulator");
        return;
    }
    let mut tool = Command::new(env!("CARGO_BIN_EXE_sirocco"));
    tool.args(["emulate", &board.name, "--quiet"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut tool = tool.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(tool.stdout.take().unwrap()), &mut line).unwrap();
    let port = line.trim().strip_prefix("port: ").unwrap().to_owned();
    let info = json(&sirocco(&["info", "--port", &port, "--json"]));
    assert_eq!(info["board"], board.name.as_str());
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", tool.id())).unwrap();
    let child = children.split_whitespace().next().unwrap().parse().unwrap();
    assert!(alive(child));
    tool.kill().unwrap();
    tool.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while alive(child) {
        assert!(Instant::now() < deadline, "the emulator outlives its parent");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs. One that has ended but has not been waited for (a zombie) does not.
#[cfg(target_os = "linux")]
fn alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| !status.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

/// Queries over a pseudo-terminal, as over the serial port of a board.
#[cfg(unix)]
#[test]
fn a_query_and_its_answer_take_less_than_50_ms_over_a_pty() {
    use sirocco_tools::client::transport::Serial;
    use std::time::Instant;

    let Some((board, elf)) = boards().into_iter().next() else { return };
    let at = Image { board: &board, elf: &elf, model: None, flash: None };
    let (_emulator, path) = Emulator::pty(at, |_| {}).unwrap();
    let serial = Serial::open(path.to_str().unwrap(), 115_200).unwrap();
    let patience = Patience { timeout: Duration::from_secs(20), retries: 2 };
    let mut client = Client::new(Box::new(serial), "pty", patience);
    client.ask(ask::Info).unwrap();
    let query = Query { t: 1.5, initial: [0.25, 0.1, 0.0, 0.0], rates: [0.5, 0.4, 0.0, 0.0] };
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let start = Instant::now();
            client.ask(ask::Predict(query)).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    let memory = client.ask(ask::Statistics).unwrap().memory.unwrap();
    let (stack, room) = (memory.stack_high_water, memory.stack());
    eprintln!("{}: median {:?}, 95th {:?}; stack {stack} of {room} bytes", board.name, times[50], times[95]);
    assert!(times[50] < Duration::from_millis(50), "{:?}", times[50]);
}

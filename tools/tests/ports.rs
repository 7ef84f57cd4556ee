//! The search for a board: ports with a device, without one, with a device of another protocol version, and closed
//! ones.

mod common;

use common::{boxed, failure, json};
use serde_json::Value;
use sirocco::limits::MAX_FRAME;
use sirocco::summary::name;
use sirocco::wire::{self, DeviceError, FrameBuffer, Info, Message, PROTOCOL_VERSION, Request, Response, Statistics};
use sirocco_tools::client::discover::{Missing, Port, VARIABLE, find};
use sirocco_tools::device::board::Board;
use sirocco_tools::device::cargo;
use sirocco_tools::device::qemu::{self, Emulator, Image};
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::output::Output;
use sirocco_tools::port;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

/// How a device answers a request.
type Device = fn(Request) -> Response;

/// A port with this device, as `tcp:HOST:PORT`.
fn line(device: Device) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("tcp:{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut frames, mut buffer) = (FrameBuffer::new(), [0; 256]);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                for message in buffer[..count].iter().filter_map(|&byte| frames.push::<Request>(byte)) {
                    let Message { sequence, body, .. } = message.unwrap();
                    let mut frame = [0; MAX_FRAME];
                    let message = Message { version: PROTOCOL_VERSION, sequence, body: device(body) };
                    let _ = stream.write_all(wire::encode(&message, &mut frame).unwrap());
                }
            }
        }
    });
    name
}

fn answer(board: &str, request: Request) -> Response {
    match request {
        Request::Info => Response::Info(Info {
            board: name(board),
            firmware: name("0.1.0"),
            model: ModelFile::read(&boxed()).unwrap().bundle().unwrap().model_info(false),
            slot_error: None,
            stack_high_water: None,
        }),
        Request::Statistics => Response::Statistics(Statistics::default()),
        // As firmware does that knows no other requests.
        _ => Response::Error(DeviceError::UnknownRequest { known: 4 }),
    }
}

fn one(request: Request) -> Response {
    answer("one", request)
}

fn other(request: Request) -> Response {
    answer("other", request)
}

fn newer(_: Request) -> Response {
    Response::Error(DeviceError::Version { device: 9 })
}

/// A port that is open but never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("tcp:{}", listener.local_addr().unwrap());
    (listener, name)
}

/// A port that cannot be opened.
fn closed() -> String {
    silent().1
}

fn search(names: &[String]) -> Result<String, Missing> {
    let ports: Vec<Port> = names.iter().map(|name| Port::named(name)).collect();
    find(&ports, |name| port::open(name, 115_200)).map(|(name, _)| name)
}

#[test]
fn the_one_board_that_answers_is_found_among_ports_that_do_not() {
    let (board, (_open, silent)) = (line(one), silent());
    assert_eq!(search(&[closed(), silent, line(newer), board.clone()]).unwrap(), board);
}

#[test]
fn none_and_several_name_the_ports_and_a_remedy() {
    assert!(matches!(search(&[]), Err(Missing::NoPort)));
    let (_open, silent) = silent();
    let error = search(&[silent.clone(), closed()]).unwrap_err().to_string();
    assert!(error.contains(&format!("{silent} (no answer)")) && error.contains("refused"), "{error}");
    assert!(error.contains("--port"), "{error}");
    let (first, second) = (line(one), line(other));
    let error = search(&[first.clone(), second.clone(), silent]).unwrap_err().to_string();
    assert!(error.contains(&format!("{first} (one), {second} (other)")), "{error}");
    let error = search(&[line(newer)]).unwrap_err().to_string();
    assert!(error.contains("protocol version 9"), "{error}");
}

#[test]
fn a_port_of_an_unknown_device_is_never_opened() {
    let stranger = Port { what: None, ..Port::named("/dev/ttyACM0") };
    let found = find(&[stranger], |name| panic!("{name} was opened"));
    assert!(matches!(found.map(|_| ()), Err(Missing::NoPort)));
}

fn sirocco(ports: &str, arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_sirocco")).args(arguments).env(VARIABLE, ports).output().unwrap()
}

fn row<'a>(report: &'a Value, port: &str) -> &'a Value {
    report["ports"].as_array().unwrap().iter().find(|row| row["port"] == port).unwrap()
}

#[test]
fn the_commands_find_a_board_by_themselves() {
    let (board, closed) = (line(one), closed());
    let ports = format!("{board},{closed}");
    assert_eq!(json(&sirocco(&ports, &["info", "--port", "auto", "--json"]))["board"], "one");
    let report = json(&sirocco(&ports, &["ports", "--ask", "--json"]));
    assert_eq!((&row(&report, &board)["board"], &row(&report, &board)["model"]), (&"one".into(), &"sir".into()));
    assert!(row(&report, &closed)["silent"].as_str().unwrap().contains("refused"));
    let unasked = json(&sirocco(&ports, &["ports", "--json"]));
    assert!(row(&unasked, &board)["board"].is_null() && unasked["asked"] == false);
    let line = failure(&sirocco(&format!("{board},{}", line(other)), &["info", "--port", "auto"]), 1);
    assert!(line.contains("several boards answer") && line.contains("(one)") && line.contains("(other)"), "{line}");
    assert!(failure(&sirocco(&closed, &["info", "--port", "auto"]), 1).contains("no board answers"));
}

#[test]
fn an_emulated_board_is_found_on_its_pty() {
    let board = Board::find("qemu-mps2-an386").unwrap();
    if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
        return eprintln!("skipped: no emulator or no Rust target here; run `sirocco setup`");
    }
    let elf = cargo::build(&board, Output { json: false, quiet: true }).unwrap();
    let image = Image { board: &board, elf: &elf, model: None, flash: None };
    let (_emulator, pty) = Emulator::pty(image, |_| {}).unwrap();
    let pty = pty.to_str().unwrap();
    // On a busy machine, booting takes longer than a search waits for an answer; a board that has booted needs
    // milliseconds.
    json(&sirocco(pty, &["info", "--port", pty, "--retries", "20", "--json"]));
    let report = json(&sirocco(pty, &["info", "--port", "auto", "--json"]));
    assert_eq!(report["board"], "qemu-mps2-an386");
}

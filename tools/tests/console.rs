//! The console: its state machine with keys and answers, its screen on a terminal in memory, its thread with a device
//! that is unplugged, and all of it on a real terminal.

mod common;

use common::{boxed, built_in, root};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sirocco::calibrate::Observation;
use sirocco::ode::Ode;
use sirocco_tools::Error;
use sirocco_tools::client::ClientError;
use sirocco_tools::console::draw::draw;
use sirocco_tools::console::state::{Effect, Event, Line, Notice, Question, Settings, State};
use sirocco_tools::console::work::work;
use sirocco_tools::input::model_file::ModelFile;
use sirocco_tools::input::problem::ProblemOptions;
use sirocco_tools::input::quantities;
use sirocco_tools::solver::Solver;
use std::sync::mpsc;
use std::time::Duration;

fn solver() -> Solver {
    Solver::here(ModelFile::read(&boxed()).unwrap()).unwrap()
}

fn state(population: Option<f32>) -> State {
    let domain = solver().domain().to_vec();
    let settings = Settings { ode: Ode::Sir, domain, population, sigma: Some(0.005), component: 1 };
    let problem = ProblemOptions { free: Vec::new(), fix: Some(quantities::parse("I0=0.3,R0=0.2").unwrap()) };
    let (state, first) = State::new(settings, "a board".into(), problem, Vec::new()).unwrap();
    assert_eq!(first, None);
    state
}

fn key(state: &mut State, code: KeyCode) -> Option<Effect> {
    state.handle(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Types a line and presses Enter.
fn enter(state: &mut State, line: &str) -> Option<Effect> {
    for c in line.chars() {
        assert_eq!(key(state, KeyCode::Char(c)), None);
    }
    key(state, KeyCode::Enter)
}

fn question(effect: Option<Effect>) -> Question {
    match effect {
        Some(Effect::Ask(question)) => *question,
        other => panic!("{other:?}"),
    }
}

fn refused(state: &State) -> &str {
    match &state.notice {
        Notice::Refused(why) => why,
        Notice::Said(said) => panic!("not refused: {said}"),
    }
}

/// Has a worker answer the question, and passes its answers to the state.
fn answered(state: &mut State, effect: Option<Effect>) {
    let (ask, questions) = mpsc::channel();
    let (tell, events) = mpsc::channel();
    ask.send(question(effect)).unwrap();
    let worker = std::thread::spawn(move || work(solver(), &questions, &tell, || unreachable!("nothing is lost")));
    // Two answers, the second with the curve; or one with the reason why there is no estimate.
    while state.waits() || state.answer.as_ref().is_some_and(|answer| answer.curve.is_empty()) {
        let event = events.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(state.handle(event), None);
    }
    drop(ask);
    worker.join().unwrap();
}

const OUTBREAK: [&str; 5] = ["1 0.258", "3 0.174", "5 I 0.094", "8 0.047", "12 0.011"];

/// The text on the screen.
fn picture(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn every_line_is_an_observation_and_asks_anew() {
    let mut state = state(None);
    let first = question(enter(&mut state, "3 0.174"));
    assert_eq!(
        (first.observations.as_slice(), first.now),
        (&[Observation { t: 3.0, component: 1, value: 0.174, sigma: 0.005 }][..], 3.0)
    );
    // An earlier day is sorted before it; the same day and component replaces it.
    let second = question(enter(&mut state, "1 R 0.25"));
    assert!(second.number > first.number);
    assert_eq!(second.observations.iter().map(|o| (o.t, o.component)).collect::<Vec<_>>(), [(1.0, 2), (3.0, 1)]);
    let comma = question(enter(&mut state, "3 0,2"));
    assert_eq!(comma.observations[1].value, 0.2);
    let third = question(enter(&mut state, "3 i 0.18"));
    assert_eq!((third.observations.len(), third.observations[1].value, third.now), (2, 0.18, 3.0));
    let undone = question(enter(&mut state, "undo"));
    assert_eq!(undone.observations.iter().map(|o| o.t).collect::<Vec<_>>(), [3.0]);
    assert_eq!(enter(&mut state, "clear"), None);
    assert!(state.observations.is_empty() && !state.waits());
    enter(&mut state, "undo");
    assert!(refused(&state).contains("nothing to undo"));
}

#[test]
fn counts_are_shares_of_the_population_and_are_saved_as_counts() {
    let mut state = state(Some(200.0));
    assert_eq!(question(enter(&mut state, "3 50")).observations[0].value, 0.25);
    assert!(enter(&mut state, "4 250").is_none() && refused(&state).contains("250 is no count of 200"));
    key(&mut state, KeyCode::Esc);
    let Some(Effect::Save { path, text }) = enter(&mut state, "save seen.csv") else { panic!("no file") };
    assert_eq!((path.to_str(), text.as_str()), (Some("seen.csv"), "t,component,count\n3,I,50\n"));
}

#[test]
fn what_makes_no_sense_is_refused_and_stays_to_be_corrected() {
    let mut state = state(None);
    let cases = [
        ("3 12", "--population"),
        ("30 0.1", "outside the model's 0 to 20"),
        ("3 x", "`x` is not a number"),
        ("3 1,000", "may have a decimal comma or a mark of thousands"),
        ("3 Q 0.1", "no component `Q`"),
        ("three 0.1", "neither a day nor a command"),
        ("3 nan", "not a number"),
        ("until -1", "no day to come"),
        ("free delta", "delta"),
        ("fix I0", "NAME=VALUE"),
        ("hello", "type help"),
    ];
    for (line, reason) in cases {
        assert_eq!(enter(&mut state, line), None, "{line}");
        assert!(refused(&state).contains(reason), "{line}: {}", refused(&state));
        assert_eq!(state.input, line);
        assert_eq!(key(&mut state, KeyCode::Esc), None);
    }
    assert!(state.observations.is_empty());
    for day in 0..64 {
        assert!(enter(&mut state, &format!("{} 0.1", f32::from(day as u8) * 0.25)).is_some());
    }
    assert!(enter(&mut state, "19 0.1").is_none() && refused(&state).contains("64 observations"));
}

#[test]
fn only_three_keys_and_quit_end_the_console() {
    let mut state = state(None);
    for code in [KeyCode::Tab, KeyCode::Backspace, KeyCode::Up, KeyCode::Enter, KeyCode::F(1)] {
        assert_eq!(key(&mut state, code), None);
    }
    assert_eq!(enter(&mut state, "quit"), Some(Effect::Quit));
    assert_eq!(key(&mut state, KeyCode::Esc), Some(Effect::Quit));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(state.handle(Event::Key(interrupt)), Some(Effect::Quit));
    for _ in 0..1000 {
        key(&mut state, KeyCode::Char('7'));
    }
    assert!(state.input.len() <= 200);
}

#[test]
fn answers_to_earlier_questions_are_not_shown() {
    let mut state = state(None);
    let first = question(enter(&mut state, "1 0.258"));
    let second = question(enter(&mut state, "3 0.174"));
    state.handle(Event::Answer { number: first.number, answer: Err("too few".into()) });
    assert!(state.waits());
    state.handle(Event::Answer { number: second.number, answer: Err("still too few".into()) });
    assert!(!state.waits());
    assert_eq!(state.notice, Notice::Said("still too few".into()));
}

#[test]
fn the_picture_has_estimates_trust_outlook_and_plot() {
    let mut state = state(None);
    let empty = picture(&state, 120, 40);
    assert!(empty.contains("type an observation") && empty.contains("a board") && empty.contains("ready"), "{empty}");
    enter(&mut state, OUTBREAK[0]);
    assert!(picture(&state, 120, 40).contains("asking"));
    for line in &OUTBREAK[1..4] {
        enter(&mut state, line);
    }
    let effect = enter(&mut state, OUTBREAK[4]);
    answered(&mut state, effect);
    let shown = picture(&state, 120, 44);
    let all = [
        "beta ",
        "gamma ",
        "+- ",
        "inside the model's domain",
        "at most",
        "forecast for day 20",
        "R0 (basic)",
        "R effective",
        "peak day",
        "peak height",
        "never infected",
        "5 observations",
        "day 12",
        "I fitted",
        "I seen",
    ];
    for text in all {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let braille = shown.chars().filter(|c| ('\u{2801}'..='\u{28FF}').contains(c)).count();
    assert!(braille > 30, "the curve: {shown}");
    // The observations come from an epidemic with beta 0.6.
    let estimates = &state.answer.as_ref().unwrap().calibration.estimates;
    assert!((estimates[0].value - 0.6).abs() < 2.0 * estimates[0].standard_error, "{estimates:?}");
    // Beyond the domain.
    let effect = enter(&mut state, "until 30");
    answered(&mut state, effect);
    let shown = picture(&state, 120, 44);
    assert!(shown.contains("OUTSIDE the model's domain") && shown.contains("domain ends"), "{shown}");
}

#[test]
fn terminals_of_any_size_are_drawn_on() {
    let mut state = state(Some(763.0));
    for line in ["1 100", "2 150", "3 200"] {
        let effect = enter(&mut state, line);
        answered(&mut state, effect);
    }
    state.input = "a line that is longer than the terminal is wide, so that its end is shown".into();
    for (width, height) in [(1, 1), (2, 40), (10, 3), (40, 10), (80, 24), (250, 80)] {
        picture(&state, width, height);
    }
    assert!(picture(&state, 40, 10).contains("so that its end is shown"));
}

#[test]
fn a_lost_device_is_found_again_and_asked_the_same() {
    let (ask, questions) = mpsc::channel();
    let (tell, events) = mpsc::channel();
    let mut state = state(None);
    let mut last = None;
    for line in OUTBREAK {
        last = enter(&mut state, line);
    }
    // A solver whose device is gone: each message to it fails at once.
    let gone = common::device_that_goes_away(&solver());
    let mut attempts = 0;
    let reconnect = move || {
        attempts += 1;
        if attempts < 3 {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(Error::Client(ClientError::Line { port: "the port".into(), source }));
        }
        Ok(solver())
    };
    let worker = std::thread::spawn(move || work(gone, &questions, &tell, reconnect));
    ask.send(question(last)).unwrap();
    let mut news = Vec::new();
    while state.waits() || state.answer.as_ref().is_none_or(|answer| answer.curve.is_empty()) {
        let event = events.recv_timeout(Duration::from_secs(30)).unwrap();
        news.push(match &event {
            Event::Lost(_) => 'l',
            Event::Back(_) => 'b',
            Event::Answer { .. } => 'a',
            Event::Key(_) => 'k',
        });
        state.handle(event);
        if news.last() == Some(&'l') {
            assert!(picture(&state, 100, 30).contains("LOST"));
        }
    }
    assert_eq!(news, ['l', 'l', 'l', 'b', 'a', 'a']);
    assert_eq!(state.line, Line::Open);
    drop(ask);
    worker.join().unwrap();
}

/// The program on a pseudo-terminal, used as by a person.
#[cfg(unix)]
mod terminal {
    use super::*;
    use serialport::{SerialPort, TTYPort};
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    struct Session {
        master: TTYPort,
        _slave: TTYPort,
        child: Child,
        sent: Vec<u8>,
    }

    /// The screen of a terminal that was sent these bytes: letters at the cursor, which one sequence moves. All other
    /// sequences are ignored, as they do not change letters.
    fn screen(sent: &[u8]) -> String {
        let sent = String::from_utf8_lossy(sent);
        let mut cells = vec![[' '; COLUMNS]; ROWS];
        let (mut row, mut column, mut rest) = (0, 0, sent.chars());
        while let Some(c) = rest.next() {
            if c == '\x1b' {
                let mut sequence = String::new();
                let end = rest.by_ref().skip(1).find(|c| {
                    c.is_ascii_alphabetic() || {
                        sequence.push(*c);
                        false
                    }
                });
                let numbers: Vec<usize> = sequence.split(';').filter_map(|n| n.parse().ok()).collect();
                if let (Some('H'), [y, x]) = (end, numbers.as_slice()) {
                    (row, column) = (y - 1, x - 1);
                }
            } else if let Some(cell) = cells.get_mut(row).and_then(|cells| cells.get_mut(column)) {
                *cell = c;
                column += 1;
            }
        }
        cells.iter().map(|cells| cells.iter().collect::<String>() + "\n").collect()
    }

    const ROWS: usize = 44;
    const COLUMNS: usize = 120;

    impl Drop for Session {
        fn drop(&mut self) {
            // A test that fails must not leave the program running.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn stty(name: &str, arguments: &[&str]) -> String {
        let flag = if cfg!(target_os = "linux") { "-F" } else { "-f" };
        let out = Command::new("stty").args([flag, name]).args(arguments).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    impl Session {
        fn start(arguments: &[&str]) -> Self {
            let (mut master, slave) = TTYPort::pair().unwrap();
            master.set_timeout(Duration::from_millis(50)).unwrap();
            let name = slave.name().unwrap();
            stty(&name, &["rows", &ROWS.to_string(), "cols", &COLUMNS.to_string(), "sane"]);
            let open = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
            let stdio = |file: File| Stdio::from(file);
            let mut command = Command::new(env!("CARGO_BIN_EXE_sirocco"));
            command.arg("console").args(arguments).current_dir(root()).env("TERM", "xterm");
            let child = command.stdin(stdio(open())).stdout(stdio(open())).stderr(Stdio::piped()).spawn().unwrap();
            Session { master, _slave: slave, child, sent: Vec::new() }
        }

        /// Waits until the terminal shows this text.
        fn expect(&mut self, text: &str) {
            self.read_until(|session| screen(&session.sent).contains(text), text);
        }

        fn read_until(&mut self, done: impl Fn(&Self) -> bool, what: &str) {
            let deadline = Instant::now() + Duration::from_secs(120);
            let mut buffer = [0; 4096];
            while !done(self) {
                assert!(Instant::now() < deadline, "no `{what}` on\n{}", screen(&self.sent));
                if let Ok(count) = self.master.read(&mut buffer) {
                    self.sent.extend(&buffer[..count]);
                }
            }
        }

        fn type_line(&mut self, line: &str) {
            self.master.write_all(format!("{line}\r").as_bytes()).unwrap();
        }
    }

    fn outbreak(arguments: &[&str]) {
        let mut session = Session::start(&[arguments, &["--sigma", "0.005", "--fix", "I0=0.3,R0=0.2"]].concat());
        session.expect("type an observation");
        let name = session._slave.name().unwrap();
        assert!(stty(&name, &["-a"]).contains("-icanon"));
        for line in OUTBREAK {
            session.type_line(line);
        }
        session.expect("5 observations");
        session.expect("never infected");
        session.expect("gamma ");
        session.type_line("quit");
        let status = session.child.wait().unwrap();
        assert!(status.success());
        session.read_until(
            |session| session.sent.windows(8).any(|bytes| bytes == b"\x1b[?1049l"),
            "end of the alternate screen",
        );
        // The terminal is as a shell expects it: it reads lines and echoes them.
        let settings = stty(&name, &["-a"]);
        let has = |word: &str| settings.split([' ', ';', '\n']).any(|w| w == word);
        assert!(has("icanon") && has("echo"), "{settings}");
    }

    #[test]
    fn it_runs_on_a_terminal_and_restores_it() {
        outbreak(&[built_in().to_str().unwrap()]);
    }

    #[test]
    fn it_runs_with_an_emulated_board() {
        let board = sirocco_tools::device::board::Board::find("qemu-mps2-an386").unwrap();
        use sirocco_tools::device::{cargo, qemu};
        if qemu::version(qemu::PROGRAM).is_none() || !cargo::has_target(&board.target) {
            return eprintln!("skipped: no emulator or no Rust target here; run `sirocco setup`");
        }
        cargo::build(&board, sirocco_tools::output::Output { json: false, quiet: true }).unwrap();
        outbreak(&["--port", "qemu:qemu-mps2-an386"]);
    }
}

#[test]
fn without_a_terminal_it_says_so() {
    let out = common::sirocco(&["console", built_in().to_str().unwrap()]);
    assert!(common::failure(&out, 1).contains("needs a terminal"));
}

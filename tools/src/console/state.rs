//! The state of the console: events such as keys and answers change it, and each returns at most one effect to run. It
//! knows neither the terminal nor the device.

use crate::input::problem::ProblemOptions;
use crate::input::quantities;
use crate::table;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sirocco::bundle::Certificate;
use sirocco::calibrate::{Calibration, Forecast, Observation, Task, Uncertain};
use sirocco::limits::{MAX_OBSERVATIONS, MAX_STATE};
use sirocco::ode::Ode;
use sirocco::query::QueryError;
use std::path::PathBuf;

/// The text for `help`.
pub const HELP: &str = "DAY VALUE (3 25) or DAY COMPONENT VALUE (3 R 4) adds an observation, or replaces the one of that day \
and component; undo, clear, free NAMES, fix NAME=VALUE, until DAY, save FILE, quit";

/// The settings, which do not change while the console runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The system.
    pub ode: Ode,
    /// The domain of the model.
    pub domain: Vec<(f32, f32)>,
    /// Size of the population, if values are counts of it.
    pub population: Option<f32>,
    /// Standard deviation of every observation, as a share; without one, it is estimated from the residuals.
    pub sigma: Option<f32>,
    /// The component that an observation without one means.
    pub component: u8,
}

/// A question for the device: estimates from the observations, and a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Number of the question; later ones have higher numbers.
    pub number: u64,
    /// All observations.
    pub observations: Vec<Observation>,
    /// The quantities to estimate, and the values of the others.
    pub task: Task,
    /// Time of the last observation.
    pub now: f32,
    /// End of the forecast.
    pub until: f32,
}

/// The answer to a question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The estimates.
    pub calibration: Calibration,
    /// The state at the end of the forecast, and for SIR the outlook.
    pub forecast: Forecast,
    /// The certificate of the state at the end of the forecast.
    pub certificate: Result<Certificate, QueryError>,
    /// The states over time; empty until all of them are known.
    pub curve: Vec<(f32, [Uncertain; MAX_STATE])>,
}

/// An event that changes the state.
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// A question has been answered.
    Answer {
        /// The number of the question.
        number: u64,
        /// The answer, or why there is none.
        answer: Result<Box<Answer>, String>,
    },
    /// The device no longer answers, for this reason.
    Lost(String),
    /// The device answers again; it has this name.
    Back(String),
}

/// Something that the caller has to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Ask this question.
    Ask(Box<Question>),
    /// Write a file.
    Save {
        /// Its path.
        path: PathBuf,
        /// Its content.
        text: String,
    },
    /// End the console.
    Quit,
}

/// Whether the device can be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// It answers.
    Open,
    /// It does not answer, for this reason.
    Lost(String),
}

/// A message for the user.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// About something that was done.
    Said(String),
    /// About something that cannot be done.
    Refused(String),
}

/// The state of the console.
#[derive(Debug, Clone)]
pub struct State {
    /// The settings.
    pub settings: Settings,
    /// The name of the device or file that answers.
    pub who: String,
    /// Whether it answers.
    pub line: Line,
    /// The observations, sorted by time.
    pub observations: Vec<Observation>,
    /// The line being typed.
    pub input: String,
    /// The last message.
    pub notice: Notice,
    /// The last answer.
    pub answer: Option<Box<Answer>>,
    /// End of the forecast.
    pub until: f32,
    problem: ProblemOptions,
    /// Time and component of the observations in the order in which they were typed, for `undo`.
    order: Vec<(f32, u8)>,
    /// Number of the last question.
    asked: u64,
    /// Number of the last question that was answered.
    answered: u64,
}

impl State {
    /// A console with these observations. If there are any, their question is the effect.
    ///
    /// # Errors
    /// As for [`ProblemOptions::task`], if `problem` does not fit the model.
    pub fn new(
        settings: Settings,
        who: String,
        problem: ProblemOptions,
        observations: Vec<Observation>,
    ) -> Result<(Self, Option<Effect>), crate::Error> {
        problem.task(settings.ode, &settings.domain, settings.sigma.is_none())?;
        let until = settings.domain.first().map_or(1.0, |(_, end)| *end);
        let order = observations.iter().map(|o| (o.t, o.component)).collect();
        let mut state = State {
            settings,
            who,
            line: Line::Open,
            observations,
            input: String::new(),
            notice: Notice::Said(HELP.to_owned()),
            answer: None,
            until,
            problem,
            order,
            asked: 0,
            answered: 0,
        };
        state.sort();
        let effect = state.ask();
        Ok((state, effect))
    }

    /// Whether a question has not been answered yet.
    pub fn waits(&self) -> bool {
        self.answered < self.asked
    }

    /// Time of the last observation.
    pub fn now(&self) -> f32 {
        self.observations.iter().fold(0.0, |last: f32, o| last.max(o.t))
    }

    /// A share in the user's unit: as a count, if the population is known.
    pub fn shown(&self, share: f32) -> f32 {
        share * self.settings.population.unwrap_or(1.0)
    }

    /// Applies an event and returns the effect to run.
    pub fn handle(&mut self, event: Event) -> Option<Effect> {
        match event {
            Event::Key(key) => self.key(key),
            Event::Answer { number, answer } => {
                // Answers to earlier questions are outdated.
                if number == self.asked {
                    self.answered = number;
                    match answer {
                        Ok(answer) => self.answer = Some(answer),
                        Err(why) => {
                            self.answer = None;
                            self.notice = Notice::Said(why);
                        }
                    }
                }
                None
            }
            Event::Lost(why) => {
                self.line = Line::Lost(why);
                None
            }
            Event::Back(who) => {
                (self.line, self.who) = (Line::Open, who);
                None
            }
        }
    }

    /// Takes the result of writing a file.
    pub fn saved(&mut self, path: &std::path::Path, result: Result<(), String>) {
        self.notice = match result {
            Ok(()) => Notice::Said(format!("saved to {}", path.display())),
            Err(why) => Notice::Refused(why),
        };
    }

    fn key(&mut self, key: KeyEvent) -> Option<Effect> {
        match key.code {
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Effect::Quit),
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                self.input.clear();
                None
            }
            KeyCode::Esc if self.input.is_empty() => Some(Effect::Quit),
            KeyCode::Esc => {
                self.input.clear();
                None
            }
            KeyCode::Backspace => {
                self.input.pop();
                None
            }
            KeyCode::Enter => {
                let line = std::mem::take(&mut self.input);
                match self.enter(line.trim()) {
                    Ok(effect) => effect,
                    Err(why) => {
                        // The line stays in the input, so that the user can correct it.
                        self.input = line;
                        self.notice = Notice::Refused(why);
                        None
                    }
                }
            }
            // No line has to be longer, and a key that is held down must not fill the memory.
            KeyCode::Char(c) if self.input.len() < 200 => {
                self.input.push(c);
                None
            }
            _ => None,
        }
    }

    /// Runs the command in a line.
    fn enter(&mut self, line: &str) -> Result<Option<Effect>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            [] => Ok(None),
            ["quit" | "q" | "exit"] => Ok(Some(Effect::Quit)),
            ["help" | "?"] => {
                self.notice = Notice::Said(HELP.to_owned());
                Ok(None)
            }
            ["undo"] => {
                let Some((t, component)) = self.order.pop() else { return Err("there is nothing to undo".into()) };
                self.observations.retain(|o| (o.t, o.component) != (t, component));
                Ok(self.changed(format!("forgot day {t}")))
            }
            ["clear"] => {
                self.observations.clear();
                self.order.clear();
                Ok(self.changed("forgot all observations".into()))
            }
            ["until", day] => {
                let until = number(day)?;
                if until <= 0.0 {
                    return Err(format!("`{day}` is no day to come; give one above 0"));
                }
                self.until = until;
                Ok(self.changed(format!("forecast until day {until}")))
            }
            ["save", path] => Ok(Some(Effect::Save { path: PathBuf::from(path), text: self.csv() })),
            ["free", names] => {
                let free = names.split(',').map(|name| name.trim().to_owned()).collect();
                self.pose(ProblemOptions { free, ..self.problem.clone() })
            }
            ["fix", values] => {
                let fix = Some(quantities::parse(values)?);
                self.pose(ProblemOptions { fix, free: Vec::new() })
            }
            [day, component, value] => self.observe(day, Some(component), value),
            [day, value] => self.observe(day, None, value),
            _ => Err(format!("`{line}` is not a command; type help")),
        }
    }

    /// Changes which quantities are unknown.
    ///
    /// # Errors
    /// A message, if the model cannot estimate them.
    fn pose(&mut self, problem: ProblemOptions) -> Result<Option<Effect>, String> {
        let Settings { ode, domain, sigma, .. } = &self.settings;
        let task = problem.task(*ode, domain, sigma.is_none()).map_err(|error| error.to_string())?;
        self.problem = problem;
        let free = task.free;
        let names = ode.quantity_names().zip(0u8..).filter(|(_, index)| free.contains(*index)).map(|(name, _)| name);
        let names = names.collect::<Vec<_>>().join(", ");
        Ok(self.changed(format!("estimating {names}")))
    }

    fn observe(&mut self, day: &str, component: Option<&str>, value: &str) -> Result<Option<Effect>, String> {
        let Settings { ode, domain, population, sigma, component: usual } = &self.settings;
        let (t, given) = (number(day).map_err(|_| unknown(day))?, number(value)?);
        let component = match component {
            None => *usual,
            Some(name) => quantities::component(*ode, name)?,
        };
        let (first, last) = domain.first().copied().unwrap_or((0.0, f32::MAX));
        if !(first..=last).contains(&t) {
            return Err(format!("day {day} lies outside the model's {first} to {last}"));
        }
        let value = given / population.unwrap_or(1.0);
        if *ode == Ode::Sir && !(0.0..=1.0).contains(&value) {
            return Err(match population {
                Some(population) => format!("{given} is no count of {population}"),
                None => format!("{given} is no share between 0 and 1; for counts start with --population"),
            });
        }
        let observation = Observation { t, component, value, sigma: sigma.unwrap_or(1.0) };
        let same = self.observations.iter().position(|o| (o.t, o.component) == (t, component));
        let full = self.observations.len() >= MAX_OBSERVATIONS;
        match same.and_then(|at| self.observations.get_mut(at)) {
            Some(known) => *known = observation,
            None if full => return Err(format!("a device keeps {MAX_OBSERVATIONS} observations; undo or clear")),
            None => {
                self.observations.push(observation);
                self.order.push((t, component));
            }
        }
        self.sort();
        let name = self.settings.ode.state_names().get(usize::from(component)).copied().unwrap_or("?");
        Ok(self.changed(format!("day {t}: {name} = {given}")))
    }

    fn sort(&mut self) {
        self.observations.sort_by(|a, b| a.t.total_cmp(&b.t).then(a.component.cmp(&b.component)));
    }

    fn changed(&mut self, said: String) -> Option<Effect> {
        self.notice = Notice::Said(said);
        self.ask()
    }

    /// Asks for new estimates, if there are observations.
    fn ask(&mut self) -> Option<Effect> {
        if self.observations.is_empty() {
            // A question that is still open is outdated: it counts as answered.
            (self.answer, self.asked, self.answered) = (None, self.asked + 1, self.asked + 1);
            return None;
        }
        let Settings { ode, domain, sigma, .. } = &self.settings;
        // This cannot fail: the problem was checked when it was set.
        let task = self.problem.task(*ode, domain, sigma.is_none()).ok()?;
        self.asked += 1;
        let (number, observations) = (self.asked, self.observations.clone());
        Some(Effect::Ask(Box::new(Question { number, observations, task, now: self.now(), until: self.until })))
    }

    /// The observations as a CSV table that `--observations` reads.
    fn csv(&self) -> String {
        let value = if self.settings.population.is_some() { "count" } else { "value" };
        let mut rows = vec![["t", "component", value].map(str::to_owned)];
        for o in &self.observations {
            let name = self.settings.ode.state_names().get(usize::from(o.component)).copied().unwrap_or("?");
            rows.push([o.t.to_string(), name.to_owned(), self.shown(o.value).to_string()]);
        }
        table::text(rows)
    }
}

/// A number with a decimal point or a decimal comma.
fn number(word: &str) -> Result<f32, String> {
    if let Some((_, decimals)) = word.split_once(',')
        && (decimals.len() == 3 || decimals.contains(','))
    {
        return Err(format!("`{word}` may have a decimal comma or a mark of thousands; write a point, or no mark"));
    }
    let value: Option<f32> = word.replace(',', ".").parse().ok().filter(|value: &f32| value.is_finite());
    value.ok_or_else(|| format!("`{word}` is not a number"))
}

fn unknown(word: &str) -> String {
    format!("`{word}` is neither a day nor a command; type help")
}

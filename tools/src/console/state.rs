//! What the console knows and how it changes: keys and news in, at most one thing to do out. No terminal, no device.

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

/// What the user may type.
pub const HELP: &str = "DAY VALUE (3 25) or DAY COMPONENT VALUE (3 R 4) adds an observation, of the same day and component \
anew; undo, clear, free NAMES, fix NAME=VALUE, until DAY, save FILE, quit";

/// What does not change while the console runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The system.
    pub ode: Ode,
    /// The model's domain.
    pub domain: Vec<(f32, f32)>,
    /// Values are counts of so many.
    pub population: Option<f32>,
    /// Standard deviation of every observation, a share; without one the residuals tell it.
    pub sigma: Option<f32>,
    /// What an observation is of if the line does not say.
    pub component: u8,
}

/// What is to be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Later ones have higher numbers.
    pub number: u64,
    /// All observations.
    pub observations: Vec<Observation>,
    /// What to estimate.
    pub task: Task,
    /// Time of the last observation.
    pub now: f32,
    /// End of the forecast.
    pub until: f32,
}

/// What comes of a question.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The estimates.
    pub calibration: Calibration,
    /// The state at the end of the forecast, and the outlook.
    pub forecast: Forecast,
    /// How far the model can be trusted at the end of the forecast.
    pub certificate: Result<Certificate, QueryError>,
    /// States over time; empty as long as they are being asked for.
    pub curve: Vec<(f32, [Uncertain; MAX_STATE])>,
}

/// Something that happened.
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// A question was answered, or has no answer.
    Answer {
        /// Its number.
        number: u64,
        /// The answer, or why there is none.
        answer: Result<Box<Answer>, String>,
    },
    /// The device does not answer any more; the reason.
    Lost(String),
    /// It answers again; its name.
    Back(String),
}

/// Something to do.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Ask this.
    Ask(Box<Question>),
    /// Write this file.
    Save {
        /// Where.
        path: PathBuf,
        /// Its content.
        text: String,
    },
    /// End.
    Quit,
}

/// Whether there is anybody to ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// There is.
    Open,
    /// Not now; why.
    Lost(String),
}

/// Something to tell the user.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// All is well.
    Said(String),
    /// What was typed, or asked for, cannot be.
    Refused(String),
}

/// The console.
#[derive(Debug, Clone)]
pub struct State {
    /// What does not change.
    pub settings: Settings,
    /// Who answers.
    pub who: String,
    /// Whether they do.
    pub line: Line,
    /// What was observed, by time.
    pub observations: Vec<Observation>,
    /// The line being typed.
    pub input: String,
    /// The last thing to tell.
    pub notice: Notice,
    /// The last answer.
    pub answer: Option<Box<Answer>>,
    /// End of the forecast.
    pub until: f32,
    problem: ProblemOptions,
    /// Numbers of the observations in the order they came, for `undo`.
    order: Vec<(f32, u8)>,
    asked: u64,
    answered: u64,
}

impl State {
    /// A console with these observations; with any, there is a first question.
    ///
    /// # Errors
    /// What is wrong with the names that are free or known.
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

    /// Whether an answer is awaited.
    pub fn waits(&self) -> bool {
        self.answered < self.asked
    }

    /// Time of the last observation.
    pub fn now(&self) -> f32 {
        self.observations.iter().fold(0.0, |last: f32, o| last.max(o.t))
    }

    /// A share as the user counts it.
    pub fn shown(&self, share: f32) -> f32 {
        share * self.settings.population.unwrap_or(1.0)
    }

    /// Takes what happened; says what is to be done.
    pub fn handle(&mut self, event: Event) -> Option<Effect> {
        match event {
            Event::Key(key) => self.key(key),
            Event::Answer { number, answer } => {
                // What was asked before is of no interest any more.
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

    /// Takes how writing a file went.
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
                        // What was typed stays, to be corrected.
                        self.input = line;
                        self.notice = Notice::Refused(why);
                        None
                    }
                }
            }
            // Longer than anything that means something; a held key must not fill the memory.
            KeyCode::Char(c) if self.input.len() < 200 => {
                self.input.push(c);
                None
            }
            _ => None,
        }
    }

    /// Does what the line says.
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
            _ => Err(format!("`{line}` means nothing here; type help")),
        }
    }

    /// Changes what is unknown, if that makes sense.
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

    /// The question that the state poses, if it poses any.
    fn ask(&mut self) -> Option<Effect> {
        if self.observations.is_empty() {
            // What is still being answered is of no interest.
            (self.answer, self.asked, self.answered) = (None, self.asked + 1, self.asked + 1);
            return None;
        }
        let Settings { ode, domain, sigma, .. } = &self.settings;
        // It was checked when it was posed.
        let task = self.problem.task(*ode, domain, sigma.is_none()).ok()?;
        self.asked += 1;
        let (number, observations) = (self.asked, self.observations.clone());
        Some(Effect::Ask(Box::new(Question { number, observations, task, now: self.now(), until: self.until })))
    }

    /// The observations as a CSV file that `--observations` reads.
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

fn number(word: &str) -> Result<f32, String> {
    let value: Option<f32> = word.parse().ok().filter(|value: &f32| value.is_finite());
    value.ok_or_else(|| format!("`{word}` is not a number"))
}

fn unknown(word: &str) -> String {
    format!("`{word}` is neither a day nor a command; type help")
}

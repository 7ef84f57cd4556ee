//! Draws the console: a plot, the estimates, how far to trust them, the outlook, the observations, and the line being
//! typed.

use super::state::{Answer, Line as Connection, Notice, State};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Wrap};
use sirocco::calibrate::outlook::Outlook;
use sirocco::calibrate::{Estimate, Uncertain};

/// Columns for the numbers beside the plot.
const FIGURES: u16 = 46;

/// Draws the state on a frame.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let rows =
        Layout::vertical([Constraint::Length(1), Constraint::Min(6), Constraint::Length(2), Constraint::Length(1)]);
    let [title, middle, notice, input] = rows.areas(frame.area());
    draw_title(frame, state, title);
    let columns = Layout::horizontal([Constraint::Min(20), Constraint::Length(FIGURES.min(middle.width))]);
    let [plot, figures] = columns.areas(middle);
    draw_plot(frame, state, plot);
    draw_figures(frame, state, figures);
    let (text, style) = match &state.notice {
        Notice::Said(text) => (text, Style::new()),
        Notice::Refused(text) => (text, warning()),
    };
    frame.render_widget(Paragraph::new(text.as_str()).style(style).wrap(Wrap { trim: true }), notice);
    let prompt = format!("> {}", state.input);
    // Of a line that is too long, the end is shown, where the user types.
    let hidden = prompt.chars().count().saturating_sub(usize::from(input.width.saturating_sub(1)));
    let shown: String = prompt.chars().skip(hidden).collect();
    let column = input.x.saturating_add(shown.chars().count() as u16).min(input.right().saturating_sub(1));
    frame.render_widget(Paragraph::new(shown), input);
    frame.set_cursor_position((column, input.y));
}

/// This color, unless the environment variable `NO_COLOR` asks for none.
fn colored(color: Color) -> Style {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted { Style::new().fg(color) } else { Style::new() }
}

fn warning() -> Style {
    colored(Color::Red).add_modifier(Modifier::BOLD)
}

fn good() -> Style {
    colored(Color::Green)
}

fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// The color of a component.
fn component(index: usize) -> Style {
    let colors = [Color::Blue, Color::Yellow, Color::Green, Color::Magenta];
    colored(colors[index % colors.len()])
}

fn draw_title(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let name = format!(" sirocco   {}   {}", state.settings.ode.name(), state.who);
    frame.render_widget(Paragraph::new(name).style(Modifier::BOLD), area);
    let (text, style) = match &state.line {
        Connection::Open if state.waits() => ("asking... ", Style::new()),
        Connection::Open => ("ready ", good()),
        Connection::Lost(_) => ("LOST, looking for it... ", warning()),
    };
    frame.render_widget(Paragraph::new(text).style(style).alignment(Alignment::Right), area);
}

/// A curve on the plot.
struct Curve {
    points: Vec<(f64, f64)>,
    style: Style,
    graph: GraphType,
    marker: Marker,
    /// Name in the legend; none if it is empty.
    name: String,
}

impl Curve {
    fn dots(points: Vec<(f64, f64)>, style: Style, name: impl Into<String>) -> Self {
        Curve { points, style, graph: GraphType::Scatter, marker: Marker::Braille, name: name.into() }
    }

    fn dataset(&self) -> Dataset<'_> {
        let dataset =
            Dataset::default().data(&self.points).style(self.style).graph_type(self.graph).marker(self.marker);
        if self.name.is_empty() { dataset } else { dataset.name(self.name.as_str()) }
    }
}

/// The curves of a component: two standard errors below and above its fit, the fit, and the observations.
fn component_curves(state: &State, index: usize) -> [Curve; 4] {
    let curve = state.answer.as_ref().map(|answer| answer.curve.as_slice()).unwrap_or_default();
    let scaled = |share: f32| f64::from(state.shown(share));
    let at = |reach: f32| {
        let value = move |u: &Uncertain| u.value + reach * u.standard_error;
        let points = curve.iter().filter_map(|(t, s)| Some((f64::from(*t), scaled(value(s.get(index)?)))));
        points.filter(|(_, y)| y.is_finite()).collect::<Vec<_>>()
    };
    let seen = state.observations.iter().filter(|o| usize::from(o.component) == index);
    let seen = seen.map(|o| (f64::from(o.t), scaled(o.value))).collect();
    let name = state.settings.ode.state_names().get(index).copied().unwrap_or("?");
    let fitted = Curve::dots(at(0.0), component(index), format!("{name} fitted"));
    let dots = Curve::dots(seen, component(index).add_modifier(Modifier::BOLD), format!("{name} seen"));
    [
        Curve::dots(at(-2.0), faint(), ""),
        Curve::dots(at(2.0), faint(), ""),
        Curve { graph: GraphType::Line, ..fitted },
        Curve { marker: Marker::Dot, ..dots },
    ]
}

fn draw_plot(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let seen = |index: usize| state.observations.iter().any(|o| usize::from(o.component) == index);
    let wanted = |index: &usize| seen(*index) || *index == usize::from(state.settings.component);
    let shown = (0..state.settings.ode.state_names().len()).filter(wanted);
    let mut curves: Vec<Curve> = shown.flat_map(|index| component_curves(state, index)).collect();
    let highest = curves.iter().flat_map(|curve| &curve.points).fold(0.0f64, |top, (_, y)| top.max(*y));
    let top = if highest > 0.0 { 1.1 * highest } else { f64::from(state.shown(1.0)) };
    let until = f64::from(state.until.max(state.now()));
    let upright = |x: f64| (0..=40).map(|k| (x, top * f64::from(k) / 40.0)).collect::<Vec<_>>();
    let end = state.settings.domain.first().map_or(f64::MAX, |(_, end)| f64::from(*end));
    if until > end {
        curves.push(Curve::dots(upright(end), warning(), "domain ends"));
    }
    let outlook = state.answer.as_ref().and_then(|answer| answer.forecast.outlook.as_ref());
    if let Some(peak) = outlook.and_then(|outlook| outlook.peak_time).filter(|peak| peak.value > 0.0) {
        curves.push(Curve::dots(upright(peak.value.into()), faint(), "peak"));
    }
    let labels = |end: f64| [0.0, 0.5 * end, end].map(figure);
    let what = match state.settings.population {
        Some(population) => format!("of {population}"),
        None => "share".to_owned(),
    };
    let chart = Chart::new(curves.iter().map(Curve::dataset).collect())
        .block(Block::bordered().title(format!(" {what} by day ")))
        .x_axis(Axis::default().bounds([0.0, until]).labels(labels(until)))
        .y_axis(Axis::default().bounds([0.0, top]).labels(labels(top)));
    frame.render_widget(chart, area);
}

/// A number with about four digits.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

fn draw_figures(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let mut lines = Vec::new();
    match (&state.line, &state.answer) {
        (Connection::Lost(why), _) => lines.push(Line::styled(why.clone(), warning())),
        (_, None) if state.observations.is_empty() => lines.push(Line::raw("type an observation, as in: 3 0.12")),
        _ => {}
    }
    if let Some(answer) = &state.answer {
        lines.extend(answer_lines(state, answer));
    }
    lines.push(Line::raw(""));
    lines.push(Line::styled(format!("{} observations", state.observations.len()), Modifier::BOLD));
    let names = state.settings.ode.state_names();
    for o in state.observations.iter().rev() {
        let name = names.get(usize::from(o.component)).copied().unwrap_or("?");
        lines.push(Line::raw(format!("day {:<7} {name} {}", o.t, figure(state.shown(o.value).into()))));
    }
    frame.render_widget(Paragraph::new(lines).block(Block::bordered()).wrap(Wrap { trim: false }), area);
}

fn answer_lines(state: &State, answer: &Answer) -> Vec<Line<'static>> {
    let calibration = &answer.calibration;
    let names: Vec<&str> = state.settings.ode.quantity_names().collect();
    let mut lines = vec![Line::styled("estimates, one standard error", Modifier::BOLD)];
    lines.extend(calibration.estimates.iter().map(|e| estimate(&names, e)));
    if !calibration.converged {
        lines.push(Line::styled("NOT CONVERGED: a first guess", warning()));
    }
    lines.push(Line::raw(""));
    lines.push(Line::styled("trust", Modifier::BOLD));
    lines.extend(trust(state, answer));
    lines.push(Line::raw(""));
    lines.push(Line::styled(format!("forecast for day {}", answer.forecast.horizon), Modifier::BOLD));
    for (name, u) in state.settings.ode.state_names().iter().zip(&answer.forecast.state) {
        lines.push(uncertain(name, *u, state.shown(1.0)));
    }
    lines.extend(answer.forecast.outlook.as_ref().map(|outlook| self::outlook(state, outlook)).unwrap_or_default());
    lines
}

fn estimate(names: &[&str], e: &Estimate) -> Line<'static> {
    let name = names.get(usize::from(e.quantity)).copied().unwrap_or("?");
    let note = match (e.identified, e.at_bound) {
        (_, true) => Span::styled("  at the end of its range", warning()),
        (false, _) => Span::styled("  NOT IDENTIFIED", warning()),
        _ => Span::raw(""),
    };
    Line::from(vec![Span::raw(format!("{name:<6} {:>9} {}", figure(e.value.into()), error(e.standard_error))), note])
}

fn error(standard_error: f32) -> String {
    if standard_error.is_finite() { format!("+- {}", figure(standard_error.into())) } else { "+- unknown".to_owned() }
}

fn uncertain(name: &str, u: Uncertain, unit: f32) -> Line<'static> {
    let (value, standard_error) = (u.value * unit, u.standard_error * unit);
    Line::raw(format!("{name:<14} {:>9} {}", figure(value.into()), error(standard_error)))
}

fn trust(state: &State, answer: &Answer) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    match &answer.certificate {
        Ok(c) => {
            let inside = if c.prediction.in_domain {
                Line::styled("inside the model's domain", good())
            } else {
                Line::styled("OUTSIDE the model's domain", warning())
            };
            lines.push(inside);
            let about = figure(f64::from(state.shown(c.estimate)));
            match (c.trusted, c.bound) {
                (false, _) => lines.push(Line::styled("model NOT TRUSTED there", warning())),
                (true, Some(bound)) => {
                    lines.push(Line::raw(format!(
                        "model off by {about}, at most {}",
                        figure(state.shown(bound).into())
                    )));
                }
                (true, None) => lines.push(Line::raw(format!("model off by about {about}"))),
            }
        }
        Err(error) => lines.push(Line::styled(error.to_string(), warning())),
    }
    if let Some(variance) = answer.calibration.residual_variance() {
        let scatter = f64::from(state.shown(1.0)) * f64::from(variance).sqrt();
        lines.push(Line::raw(match answer.calibration.relative {
            true => format!("observations scatter by {}", figure(scatter)),
            false => format!("residual variance {}", figure(variance.into())),
        }));
    }
    lines
}

fn outlook(state: &State, outlook: &Outlook) -> Vec<Line<'static>> {
    let peak = match outlook.peak_time {
        Some(peak) => uncertain("peak day", peak, 1.0),
        None => Line::raw("peak day       after the domain's end"),
    };
    vec![
        uncertain("R0 (basic)", outlook.basic, 1.0),
        uncertain("R effective", outlook.effective, 1.0),
        peak,
        uncertain("peak height", outlook.peak_height, state.shown(1.0)),
        uncertain("never infected", outlook.never_infected, state.shown(1.0)),
    ]
}

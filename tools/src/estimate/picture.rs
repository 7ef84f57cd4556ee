//! The picture of an answer: counts, what the fit expects, the forecast, and the residuals.

use super::answer::Answer;
use super::question::Plan;
use super::words::number;
use sirocco_plot::{Axis, Content, Figure, Ground, Line, Mark, Panel, Stroke};

/// Draws an answer. Intervals are drawn at their ends.
pub fn picture(plan: &Plan, answer: &Answer, title: &str, width: u32) -> Figure {
    let mut lines = Vec::new();
    let mut ground = Vec::new();
    let mut residuals = Vec::new();
    for (series, column) in plan.columns.iter().enumerate() {
        let fitted: Vec<_> = answer.fitted.iter().filter(|fitted| fitted.series == series).collect();
        let at = |t: f32| f64::from(t);
        let expected = fitted.iter().map(|f| (at(f.t), at(f.expected.median))).collect();
        lines.push(Line::solid(format!("{column}: expected"), series, expected));
        let band = |name: &str, ends: &dyn Fn(&super::draws::Spread) -> (f32, f32)| Ground::Band {
            name: name.to_owned(),
            color: series,
            points: fitted.iter().map(|f| (at(f.t), at(ends(&f.expected).0), at(ends(&f.expected).1))).collect(),
        };
        ground.push(band(if series == 0 { "95 % of what is expected" } else { "" }, &|spread| spread.most));
        let seen = fitted.iter().filter_map(|f| Some((at(f.t), at(f.seen?))));
        lines.push(Line {
            name: format!("{column}: counted"),
            points: seen.collect(),
            color: series,
            stroke: Stroke::Dots,
        });
        let off = fitted.iter().filter_map(|f| Some((at(f.t), at(f.seen? - f.expected.median))));
        residuals.push(Line { name: column.clone(), points: off.collect(), color: series, stroke: Stroke::Dots });
    }
    if !answer.forecast.is_empty() {
        let points = |ends: fn(&super::curves::Forecast) -> (f32, f32)| {
            answer
                .forecast
                .iter()
                .map(|f| (f64::from(f.t), f64::from(ends(f).0), f64::from(ends(f).1)))
                .collect::<Vec<_>>()
        };
        ground.push(Ground::Band {
            name: "forecast of counts: 95 %".into(),
            color: 3,
            points: points(|f| f.counted.most),
        });
        ground.push(Ground::Band { name: "50 %".into(), color: 3, points: points(|f| f.counted.half) });
        let middle = answer.forecast.iter().map(|f| (f64::from(f.t), f64::from(f.expected.median)));
        lines.push(Line::dashed("forecast", 3, middle.collect()));
        let seen = answer.forecast.iter().filter_map(|f| Some((f64::from(f.t), f64::from(f.seen?))));
        let seen: Vec<_> = seen.collect();
        if !seen.is_empty() {
            lines.push(Line { name: "counted later".into(), points: seen, color: 1, stroke: Stroke::Dots });
        }
    }
    let last = |t: Option<f32>| t.map_or(0.0, f64::from);
    let end = last(answer.forecast.last().map(|f| f.t)).max(last(answer.fitted.iter().map(|f| f.t).reduce(f32::max)));
    let x = |label: String| Axis::linear(label).over(0.0, end);
    let unit = plan.unit;
    let since = plan.start.map_or_else(|| format!("time ({unit}s)"), |start| format!("{unit}s since {start}"));
    let mut panel = Panel::new(330, x(String::new()), Axis::linear("people"), Content::Lines(lines)).on(ground);
    for change in &answer.changes {
        let label =
            change.date.map_or_else(|| format!("change at {}", number(change.t)), |date| format!("change {date}"));
        panel = panel.mark(Mark::Vertical { at: change.t.into(), label });
    }
    let zero = Line { name: String::new(), points: vec![(0.0, 0.0), (end, 0.0)], color: 5, stroke: Stroke::Faint };
    residuals.push(zero);
    let below = Panel::new(180, x(since), Axis::linear("counted - expected"), Content::Lines(residuals));
    Figure { title: title.to_owned(), width, panels: vec![panel, below] }
}

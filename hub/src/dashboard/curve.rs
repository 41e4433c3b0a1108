//! Drawings of runs as SVG: a metric by step, runs beside each other, and a front. Pure.
//!
//! Unlike charts over time ([`super::chart`]) these have no intervals: what is drawn is each value that was logged.

use std::fmt::Write as _;

use maud::{Markup, html};
use tern_protocol::rest::{Metric, MetricCurve};

use super::chart::scale::Scale;

/// Size of a drawing in its own units, which the browser scales.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = WIDTH - 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 24.0;

/// Largest magnitude that is drawn; beyond it arithmetic on places loses its meaning.
const LARGEST: f64 = 1e15;

/// Lines of one comparison.
const LINES: usize = 200;

/// Something that runs are compared by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Its name.
    pub(super) name: String,
    /// What each run has of it.
    pub(super) values: Vec<Option<f64>>,
}

/// A run of a front.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dot {
    /// Its name.
    pub(super) name: String,
    /// Across.
    pub(super) x: f64,
    /// Upwards.
    pub(super) y: f64,
    /// Whether it is the best.
    pub(super) best: bool,
}

/// From values to places along an axis.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: f64,
    high: f64,
}

impl Span {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values = values.filter(|value| value.is_finite());
        values.fold(None, |span: Option<Self>, value| {
            let value = value.clamp(-LARGEST, LARGEST);
            let (low, high) = span.map_or((value, value), |span| (span.low, span.high));
            Some(Self {
                low: low.min(value),
                high: high.max(value),
            })
        })
    }

    /// From 0 to 1; all of one value lie in the middle.
    fn place(self, value: f64) -> f64 {
        if self.high > self.low {
            ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        } else {
            0.5
        }
    }
}

fn number(place: f64) -> String {
    format!("{place:.1}")
}

/// A label of an axis, short.
fn label(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1e-3..1e5).contains(&size) => {
            let text = format!("{value:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{value:.1e}"),
    }
}

/// A line through points, with a gap where there is none: a line across it would show a value that nobody set.
fn path(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut path = String::new();
    let mut word = 'M';
    for point in points {
        let Some((x, y)) = point else {
            word = 'M';
            continue;
        };
        // Writing to a string does not fail.
        let _ = write!(path, "{word}{x:.1} {y:.1}");
        word = 'L';
    }
    path
}

/// The grid behind values, with its labels.
fn grid(scale: &Scale, y: impl Fn(f64) -> f64) -> Markup {
    html! {
        g.rules { @for tick in &scale.ticks { line x1=(LEFT) x2=(RIGHT) y1=(number(y(*tick))) y2=(number(y(*tick))) {} } }
        g.axis.values { @for tick in &scale.ticks { text x=(LEFT - 6.0) y=(number(y(*tick))) { (label(*tick)) } } }
    }
}

/// A metric by step.
pub(super) fn line(curve: &MetricCurve) -> Markup {
    let points: Vec<_> = curve
        .points
        .iter()
        .filter(|point| point.value.is_finite())
        .collect();
    let values = Span::of(points.iter().map(|point| point.value));
    let steps = Span::of(points.iter().map(|point| point.step as f64));
    let (Some(values), Some(steps)) = (values, steps) else {
        return html! { p.empty { "no values yet" } };
    };
    let scale = Scale::fitting(Metric::Custom, values.low, values.high);
    let y = |value: f64| BOTTOM - scale.place(value) * (BOTTOM - TOP);
    let x = |step: i64| LEFT + steps.place(step as f64) * (RIGHT - LEFT);
    let text = format!(
        "{}: {} values from step {} to {}, lowest {}, highest {}",
        curve.metric,
        points.len(),
        steps.low,
        steps.high,
        label(values.low),
        label(values.high)
    );
    html! {
        div.trace role="img" aria-label=(text) {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-hidden="true" focusable="false" {
                (grid(&scale, y))
                g.axis.times {
                    text x=(LEFT) y=(BOTTOM + 15.0) { (label(steps.low)) }
                    @if steps.high > steps.low { text x=(RIGHT) y=(BOTTOM + 15.0) { (label(steps.high)) } }
                }
                g.c1 {
                    @if let [only] = points.as_slice() { circle.lone cx=(number(x(only.step))) cy=(number(y(only.value))) r="3" {} }
                    @else { path.line d=(path(points.iter().map(|point| Some((x(point.step), y(point.value)))))) {} }
                }
            }
        }
    }
}

/// Runs beside each other: a line each, over an axis a quantity. The first run stands out, the next four a little.
pub(super) fn beside(axes: &[Axis], names: &[&str]) -> Markup {
    let gap = (RIGHT - LEFT) / (axes.len().saturating_sub(1).max(1)) as f64;
    let spans: Vec<Option<Span>> = axes
        .iter()
        .map(|axis| Span::of(axis.values.iter().flatten().copied()))
        .collect();
    let place = |axis: usize, run: usize| {
        let value = axes[axis].values.get(run).copied().flatten()?;
        let y = BOTTOM - spans[axis]?.place(value) * (BOTTOM - TOP - 14.0);
        value.is_finite().then_some((LEFT + gap * axis as f64, y))
    };
    let tone = |run: usize| match run {
        0 => "c1",
        1..5 => "c2",
        _ => "soft",
    };
    // The first is drawn last, above all others.
    let runs: Vec<usize> = (0..names.len().min(LINES)).rev().collect();
    html! {
        div.trace.beside role="img" aria-label={ (names.len()) " runs compared by " (axes.len()) " quantities; the list above has all values" } {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-hidden="true" focusable="false" {
                @for (i, axis) in axes.iter().enumerate() {
                    @let x = LEFT + gap * i as f64;
                    g.axis.times data-key=(axis.name) {
                        line x1=(number(x)) x2=(number(x)) y1=(TOP + 14.0) y2=(BOTTOM) {}
                        text x=(number(x)) y=(BOTTOM + 11.0) { (spans[i].map_or_else(String::new, |span| label(span.low))) }
                        text x=(number(x)) y=(TOP + 8.0) { (spans[i].map_or_else(String::new, |span| label(span.high))) }
                        text.name x=(number(x)) y=(BOTTOM + 21.0) { (axis.name.chars().take(16).collect::<String>()) }
                    }
                }
                @for run in runs {
                    g.(tone(run)) data-key=(run) {
                        path.line d=(path((0..axes.len()).map(|axis| place(axis, run)))) {}
                        @for (x, y) in (0..axes.len()).filter_map(|axis| place(axis, run)) {
                            circle.lone cx=(number(x)) cy=(number(y)) r="2" {}
                        }
                        title { (names[run]) }
                    }
                }
            }
        }
    }
}

/// Runs of a front as dots.
pub(super) fn dots(all: &[Dot], across: &str, upwards: &str) -> Markup {
    let (Some(xs), Some(ys)) = (
        Span::of(all.iter().map(|dot| dot.x)),
        Span::of(all.iter().map(|dot| dot.y)),
    ) else {
        return html! {};
    };
    let x = |value: f64| LEFT + 10.0 + xs.place(value) * (RIGHT - LEFT - 20.0);
    let y = |value: f64| BOTTOM - 8.0 - ys.place(value) * (BOTTOM - TOP - 16.0);
    html! {
        div.trace role="img" aria-label={ (all.len()) " runs by " (across) " and " (upwards) "; the table above has all values" } {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-hidden="true" focusable="false" {
                g.rules {
                    line x1=(LEFT) x2=(RIGHT) y1=(BOTTOM) y2=(BOTTOM) {}
                    line x1=(LEFT) x2=(LEFT) y1=(TOP) y2=(BOTTOM) {}
                }
                g.axis.values {
                    text x=(LEFT - 6.0) y=(number(y(ys.low))) { (label(ys.low)) }
                    @if ys.high > ys.low { text x=(LEFT - 6.0) y=(number(y(ys.high))) { (label(ys.high)) } }
                }
                g.axis.times {
                    text x=(number(x(xs.low))) y=(BOTTOM + 12.0) { (label(xs.low)) }
                    @if xs.high > xs.low { text x=(number(x(xs.high))) y=(BOTTOM + 12.0) { (label(xs.high)) } }
                    text.name x=(number(f64::midpoint(LEFT, RIGHT))) y=(BOTTOM + 21.0) { (across) }
                }
                @for dot in all {
                    g.(if dot.best { "ok" } else { "c1" }) data-key=(dot.name) {
                        circle.lone cx=(number(x(dot.x))) cy=(number(y(dot.y))) r=(if dot.best { "5" } else { "3.5" }) {}
                        title { (dot.name) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{rest::MetricPoint, time::WallTime};

    use super::*;

    fn curve(values: &[f64]) -> MetricCurve {
        let point = |(step, value): (usize, &f64)| MetricPoint {
            step: step as i64,
            at: WallTime(0),
            value: *value,
        };
        MetricCurve {
            metric: "loss".into(),
            points: values.iter().enumerate().map(point).collect(),
        }
    }

    #[test]
    fn every_place_lies_within_the_drawing() {
        for values in [
            vec![],
            vec![1.0],
            vec![2.0, 2.0],
            vec![f64::MAX, -f64::MAX, 0.0],
            vec![f64::NAN, 1.0, f64::INFINITY],
        ] {
            let drawn = line(&curve(&values)).0;
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        }
        let axis = |values: &[Option<f64>]| Axis {
            name: "a".into(),
            values: values.to_vec(),
        };
        let axes = [
            axis(&[Some(1.0), None]),
            axis(&[Some(f64::MAX), Some(-1.0)]),
        ];
        let drawn = beside(&axes, &["one", "two"]).0;
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        assert_eq!(drawn.matches("class=\"line\"").count(), 2);
    }

    #[test]
    fn a_run_that_lacks_a_value_has_a_gap_there() {
        let axis = |value| Axis {
            name: "a".into(),
            values: vec![value],
        };
        let axes = [Some(1.0), None, Some(2.0), Some(3.0)].map(axis);
        let drawn = beside(&axes, &["one"]).0;
        let line = drawn.split(" d=\"").nth(1).unwrap();
        let line = line.split('"').next().unwrap();
        assert_eq!(line.matches('M').count(), 2, "{line}");
        assert_eq!(line.matches('L').count(), 1, "{line}");
    }

    #[test]
    fn names_are_never_markup() {
        let axis = Axis {
            name: "<b>".into(),
            values: vec![Some(1.0), Some(2.0)],
        };
        let drawn = beside(&[axis.clone(), axis], &["<script>", "x"]).0;
        assert!(
            !drawn.contains("<b>") && !drawn.contains("<script>"),
            "{drawn}"
        );
    }
}

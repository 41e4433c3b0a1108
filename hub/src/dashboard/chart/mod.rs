//! Quantities over time, drawn as SVG on the server.
//!
//! Called by pages with a [`rest::Chart`](Chart). The same numbers stand in a table below each
//! drawing, and `chart.js` reads them from there for its hover values: there is one source.
//!
//! Must never break: sizes are fixed by the view box, so nothing moves when values do; where
//! nothing was seen there is a gap, never a line.

mod draw;
pub(super) mod notes;
pub(super) mod scale;
mod table;

use std::borrow::Cow;

use maud::{Markup, html};
use tern_protocol::rest::{Chart, Metric, Point, Series};

use self::notes::Note;
use super::{
    format, parts,
    scope::{Scope, query},
};

/// Most lines in one drawing: more cannot be told apart, and there are eight colours.
const LINES: usize = 8;

/// Most layers in a stack; the smallest become one layer `other`.
const LAYERS: usize = 10;

/// How a chart is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A line a series.
    Lines,
    /// Lines in the colours of the versions that name them.
    VersionLines,
    /// Series on top of each other: shares of a whole.
    Stack,
}

/// What to draw.
pub(super) struct Figure<'a> {
    /// Its id in the page.
    pub(super) id: &'a str,
    /// Its title.
    pub(super) title: &'a str,
    /// What makes values appear, for a chart without any.
    pub(super) hint: &'a str,
    /// How it is drawn.
    pub(super) shape: Shape,
    /// The numbers.
    pub(super) chart: &'a Chart,
    /// Where they are as a table for programs.
    pub(super) csv: String,
    /// What happened meanwhile.
    pub(super) notes: &'a [Note],
}

/// Where the numbers of a chart are as a table for programs; `of` is what was asked for besides its time.
pub(super) fn csv(scope: &Scope, chart: &Chart, of: &[(&str, Option<&str>)]) -> String {
    let metric = serde_json::to_value(chart.metric).ok();
    let metric = metric.as_ref().and_then(|word| word.as_str());
    let intervals = chart.series.iter().map(|series| series.points.len()).max();
    let length = chart.step_ms.saturating_mul(intervals.unwrap_or(0) as u64);
    let to = chart.from.0.saturating_add_unsigned(length).to_string();
    let (from, step) = (chart.from.0.to_string(), chart.step_ms.to_string());
    let mut pairs = of.to_vec();
    pairs.extend([
        ("from", Some(from.as_str())),
        ("to", Some(to.as_str())),
        ("step_ms", Some(step.as_str())),
        ("format", Some("csv")),
    ]);
    let path = scope.api(&format!("/charts/{}", metric.unwrap_or_default()));
    format!("{path}{}", query(&pairs))
}

/// On how much a chart stands. Quantiles and classes are of the same inferences; other series each have their own.
fn samples(chart: &Chart) -> u64 {
    let each = chart.series.iter().map(|series| {
        let points = series.points.iter();
        points.fold(0_u64, |sum, point| sum.saturating_add(point.n))
    });
    match chart.metric {
        Metric::Latency | Metric::Prediction => each.max().unwrap_or(0),
        _ => each.fold(0, u64::saturating_add),
    }
}

/// What [`samples`] counts.
fn counted(metric: Metric) -> &'static str {
    match metric {
        Metric::Accuracy => "labels",
        Metric::Errors => "requests",
        _ => "inferences",
    }
}

impl Figure<'_> {
    /// The drawing, its legend, and its table.
    pub(super) fn draw(&self) -> Markup {
        let drawn = Drawn::of(self.chart, self.shape);
        html! {
            figure.chart #(self.id) data-live {
                figcaption.row {
                    h3 { (self.title) }
                    @if !drawn.is_empty() {
                        span.small.dim {
                            (format::count(samples(self.chart))) " " (counted(self.chart.metric)) " · "
                            a href=(self.csv) download { "CSV" }
                        }
                    }
                }
                @if drawn.is_empty() {
                    // As high as with values, so that nothing moves when the first arrive.
                    ul.legend { li.dim { "no values yet" } }
                    div.plot.blank { p.empty { (self.hint) } }
                    p.beneath {}
                } @else {
                    ul.legend {
                        @for line in &drawn.lines {
                            li data-key=(line.series.name) {
                                span.swatch.(line.tone) {}
                                span.name { (line.name()) }
                                b { (latest(&line.series, &drawn.unit)) }
                            }
                        }
                        @if drawn.left_out > 0 {
                            li.dim data-key="left-out" { "and " (drawn.left_out) " with fewer values" }
                        }
                    }
                    (draw::plot(self.title, &drawn, self.notes))
                    (table::table(self.title, &drawn))
                }
            }
        }
    }
}

/// The newest value of a series.
fn latest(series: &Series, unit: &str) -> String {
    let value = series.points.iter().rev().find_map(|point| point.value);
    value.map_or_else(
        || format::NOTHING.into(),
        |value| format::in_unit(value, unit),
    )
}

/// A chart as it is drawn: few enough series, each with its colour.
struct Drawn<'a> {
    metric: Metric,
    unit: Cow<'a, str>,
    from_ms: i64,
    step_ms: u64,
    intervals: usize,
    stacked: bool,
    lines: Vec<Line<'a>>,
    left_out: usize,
}

/// One series with its colour.
struct Line<'a> {
    series: Cow<'a, Series>,
    tone: &'static str,
}

impl Line<'_> {
    /// Its name; the only series of a chart may have none.
    fn name(&self) -> &str {
        if self.series.name.is_empty() {
            "value"
        } else {
            &self.series.name
        }
    }
}

impl<'a> Drawn<'a> {
    fn of(chart: &'a Chart, shape: Shape) -> Self {
        let seen: Vec<&Series> = chart
            .series
            .iter()
            .filter(|series| series.points.iter().any(|point| point.value.is_some()))
            .collect();
        let stacked = shape == Shape::Stack;
        let most = if stacked { LAYERS } else { LINES };
        let (kept, rest) = fullest(
            &seen,
            if seen.len() > most {
                most - usize::from(stacked)
            } else {
                most
            },
        );
        let mut lines: Vec<Line> = kept
            .into_iter()
            .enumerate()
            .map(|(index, series)| Line {
                series: Cow::Borrowed(series),
                tone: tone(shape, index, series),
            })
            .collect();
        let mut left_out = rest.len();
        if stacked && left_out > 0 {
            lines.push(Line {
                series: Cow::Owned(sum(&rest)),
                tone: "rest",
            });
            left_out = 0;
        }
        Self {
            metric: chart.metric,
            unit: Cow::Borrowed(&chart.unit),
            from_ms: chart.from.0,
            step_ms: chart.step_ms.max(1),
            intervals: seen
                .iter()
                .map(|series| series.points.len())
                .max()
                .unwrap_or(0),
            stacked,
            lines,
            left_out,
        }
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Start of interval `index`.
    fn start_ms(&self, index: usize) -> i64 {
        let step = i64::try_from(self.step_ms).unwrap_or(i64::MAX);
        let offset = step.saturating_mul(i64::try_from(index).unwrap_or(i64::MAX));
        self.from_ms.saturating_add(offset)
    }
}

/// The `most` series that stand on the most values, in their order, and the others.
fn fullest<'a>(series: &[&'a Series], most: usize) -> (Vec<&'a Series>, Vec<&'a Series>) {
    let weight = |series: &Series| {
        series
            .points
            .iter()
            .fold(0u64, |sum, point| sum.saturating_add(point.n))
    };
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(weight(series[*index])));
    let mut kept: Vec<usize> = order.iter().copied().take(most).collect();
    kept.sort_unstable();
    let rest = (0..series.len()).filter(|index| !kept.contains(index));
    let rest = rest.map(|index| series[index]).collect();
    (kept.into_iter().map(|index| series[index]).collect(), rest)
}

/// Shares add up: many small classes become one layer.
fn sum(series: &[&Series]) -> Series {
    let intervals = series
        .iter()
        .map(|series| series.points.len())
        .max()
        .unwrap_or(0);
    let point = |index: usize| {
        let points = series.iter().filter_map(|series| series.points.get(index));
        points.fold(Point::default(), |sum, point| Point {
            value: match (sum.value, point.value) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            },
            n: sum.n.saturating_add(point.n),
            ..sum
        })
    };
    Series {
        name: "other".into(),
        points: (0..intervals).map(point).collect(),
    }
}

fn tone(shape: Shape, index: usize, series: &Series) -> &'static str {
    let version = || series.name.rsplit([' ', 'v']).next()?.parse().ok();
    match shape {
        Shape::VersionLines => {
            version().map_or_else(|| parts::series_tone(index), parts::version_tone)
        }
        Shape::Lines => parts::series_tone(index),
        // Ten layers, two more than there are line colours.
        Shape::Stack => {
            ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10"][index % LAYERS]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, values: &[Option<f64>], n: u64) -> Series {
        let point = |value: &Option<f64>| Point {
            value: *value,
            n,
            ..Point::default()
        };
        Series {
            name: name.into(),
            points: values.iter().map(point).collect(),
        }
    }

    fn chart(series: Vec<Series>) -> Chart {
        Chart {
            metric: Metric::Prediction,
            unit: "ratio".into(),
            from: tern_protocol::time::WallTime(0),
            step_ms: 1000,
            series,
        }
    }

    #[test]
    fn many_classes_become_ten_layers_that_still_make_a_whole() {
        let many = (0..25)
            .map(|i| series(&i.to_string(), &[Some(0.04), None], 25 - i))
            .collect();
        let chart = chart(many);
        let drawn = Drawn::of(&chart, Shape::Stack);
        assert_eq!(drawn.lines.len(), LAYERS);
        let whole: f64 = drawn
            .lines
            .iter()
            .filter_map(|line| line.series.points[0].value)
            .sum();
        assert!((whole - 1.0).abs() < 1e-9, "{whole}");
        assert_eq!(
            drawn.lines[9].series.points[1].value, None,
            "a gap stays a gap"
        );
    }

    #[test]
    fn many_lines_are_thinned_to_those_that_stand_on_most() {
        let many = (0..20)
            .map(|i| series(&format!("site-{i}"), &[Some(1.0)], i))
            .collect();
        let chart = chart(many);
        let drawn = Drawn::of(&chart, Shape::Lines);
        let names: Vec<&str> = drawn
            .lines
            .iter()
            .map(|line| line.series.name.as_str())
            .collect();
        assert_eq!(names.first(), Some(&"site-12"));
        assert_eq!((names.len(), drawn.left_out), (LINES, 12));
    }

    #[test]
    fn a_version_keeps_its_colour() {
        for name in ["3", "v3", "digits v3"] {
            assert_eq!(
                tone(Shape::VersionLines, 0, &series(name, &[], 0)),
                "c3",
                "{name}"
            );
        }
        assert_eq!(tone(Shape::VersionLines, 1, &series("0", &[], 0)), "c2");
    }

    #[test]
    fn a_chart_says_on_how_much_it_stands_and_where_its_numbers_are() {
        let two = |metric| Chart {
            metric,
            ..chart(vec![
                series("a b", &[Some(0.5), None], 1_000),
                series("c", &[Some(0.5), Some(0.5)], 300),
            ])
        };
        // Two intervals of the same thousand inferences; or two groups of them.
        assert_eq!(samples(&two(Metric::Prediction)), 2_000);
        assert_eq!(samples(&two(Metric::Traffic)), 2_600);
        let link = csv(
            &Scope::unprefixed(),
            &two(Metric::Errors),
            &[("model", Some("digits")), ("site", None)],
        );
        assert_eq!(
            link,
            "/api/v1/w/default/charts/errors?model=digits&from=0&to=2000&step_ms=1000&format=csv"
        );
    }

    #[test]
    fn a_chart_without_values_says_what_makes_them_appear() {
        let chart = chart(vec![series("a", &[None, None], 0)]);
        let figure = Figure {
            id: "x",
            title: "T",
            hint: "Send labels.",
            shape: Shape::Lines,
            chart: &chart,
            csv: String::new(),
            notes: &[],
        };
        let html = figure.draw().into_string();
        assert!(
            html.contains("Send labels.") && !html.contains("<svg"),
            "{html}"
        );
    }
}

//! The drawing itself: grid, axes, lines with their bands, stacked bars.

use std::{fmt::Write as _, ops::Range};

use maud::{Markup, html};
use tern_protocol::{
    rest::{Point, Series},
    time::WallTime,
};

use super::{
    super::format,
    Drawn,
    notes::Note,
    scale::{Scale, time_ticks},
};

/// Size of the drawing in its own units, which the browser scales; about CSS pixels on a phone.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 200.0;
/// The part of it where values are; the rest is for the labels of the axes.
const LEFT: f64 = 50.0;
const RIGHT: f64 = WIDTH - 6.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 24.0;

/// More bands than this cover each other.
const BANDS: usize = 2;

/// From here on, in milliseconds, an axis has days and not hours.
pub(super) const DAYS: i64 = 36 * 3_600_000;

/// The drawing and what `chart.js` needs to find values in it.
pub(super) fn plot(title: &str, drawn: &Drawn, notes: &[Note]) -> Markup {
    let place = Placing {
        scale: scale(drawn),
        intervals: drawn.intervals.max(1),
    };
    let from = drawn.start_ms(0);
    let to = drawn.start_ms(drawn.intervals);
    html! {
        div.plot tabindex="0" role="group" data-left=(LEFT) data-right=(RIGHT) data-top=(TOP)
            data-bottom=(BOTTOM) data-intervals=(drawn.intervals)
            aria-label={ (title) ": chart. Left and right arrow keys read its values; the table below has all of them." } {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-hidden="true" focusable="false" {
                g.rules {
                    @for tick in &place.scale.ticks {
                        @let y = place.y(*tick);
                        line x1=(LEFT) x2=(RIGHT) y1=(number(y)) y2=(number(y)) {}
                    }
                }
                g.axis.values {
                    @for tick in &place.scale.ticks {
                        text x=(LEFT - 6.0) y=(number(place.y(*tick))) { (format::tick(*tick, &drawn.unit, place.scale.step())) }
                    }
                }
                g.axis.times {
                    @for tick in time_ticks(from, to) {
                        @let x = place.moment(tick, from, to);
                        line x1=(number(x)) x2=(number(x)) y1=(BOTTOM) y2=(BOTTOM + 4.0) {}
                        @if to.saturating_sub(from) > DAYS {
                            text x=(number(x)) y=(BOTTOM + 15.0) data-day=(tick) { (format::day_month(WallTime(tick))) }
                        } @else {
                            text x=(number(x)) y=(BOTTOM + 15.0) data-at=(tick) { (format::hour_minute(WallTime(tick))) }
                        }
                    }
                }
                @if drawn.stacked { (layers(drawn, &place)) } @else { (lines(drawn, &place)) }
                g.marks {
                    @for (index, note) in notes.iter().enumerate() {
                        @if (from..to).contains(&note.at.0) {
                            @let x = place.moment(note.at.0, from, to);
                            g.(note.tone) {
                                line x1=(number(x)) x2=(number(x)) y1=(TOP) y2=(BOTTOM) {}
                                text x=(number(x)) y=(TOP - 2.0) { (index + 1) }
                                title { (note.text) }
                            }
                        }
                    }
                }
                g.cursor data-own {}
            }
            div.tip data-own hidden {}
            p.spoken data-own aria-live="polite" {}
        }
    }
}

/// An axis that holds every value and every band.
fn scale(drawn: &Drawn) -> Scale {
    let points = drawn.lines.iter().flat_map(|line| &line.series.points);
    let values = points.flat_map(|point| {
        [
            point.value,
            point.low.and(point.value),
            point.high.and(point.value),
        ]
    });
    let values = values.flatten().filter(|value| value.is_finite());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    Scale::fitting(drawn.metric, low, high)
}

/// From values to places in the drawing.
struct Placing {
    scale: Scale,
    intervals: usize,
}

impl Placing {
    fn y(&self, value: f64) -> f64 {
        BOTTOM - self.scale.place(value) * (BOTTOM - TOP)
    }

    /// Width of one interval.
    fn width(&self) -> f64 {
        (RIGHT - LEFT) / self.intervals as f64
    }

    /// Middle of an interval.
    fn x(&self, index: usize) -> f64 {
        LEFT + (index as f64 + 0.5) * self.width()
    }

    #[allow(clippy::unused_self, reason = "reads as the others do")]
    fn moment(&self, at: i64, from: i64, to: i64) -> f64 {
        let share = (at - from) as f64 / (to - from).max(1) as f64;
        LEFT + share * (RIGHT - LEFT)
    }
}

/// One decimal is a tenth of a pixel on a phone.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Stretches of neighbours that have a value.
fn runs(points: &[Point]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        if point.value.is_none_or(|value| !value.is_finite()) {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

fn lines(drawn: &Drawn, place: &Placing) -> Markup {
    let bands = drawn.lines.len() <= BANDS;
    html! {
        @if bands {
            @for line in &drawn.lines {
                @let band = band_path(&line.series, place);
                @if !band.is_empty() { path.band.(line.tone) d=(band) {} }
            }
        }
        @for line in &drawn.lines {
            g.series.(line.tone) data-key=(line.series.name) data-y=(heights(&line.series, place)) {
                path.line d=(line_path(&line.series, place)) {}
                // A value without neighbours makes no line.
                @for run in runs(&line.series.points).into_iter().filter(|run| run.len() == 1) {
                    @let value = line.series.points[run.start].value.unwrap_or_default();
                    circle.lone cx=(number(place.x(run.start))) cy=(number(place.y(value))) r="1.8" {}
                }
            }
        }
    }
}

/// Heights of a series' points for the cursor; `-` where there is none.
fn heights(series: &Series, place: &Placing) -> String {
    let heights = series.points.iter().map(|point| match point.value {
        Some(value) if value.is_finite() => number(place.y(value)),
        _ => "-".into(),
    });
    heights.collect::<Vec<_>>().join(" ")
}

fn line_path(series: &Series, place: &Placing) -> String {
    let mut path = String::new();
    for run in runs(&series.points).into_iter().filter(|run| run.len() > 1) {
        for index in run.clone() {
            let command = if index == run.start { 'M' } else { 'L' };
            let value = series.points[index].value.unwrap_or_default();
            step(&mut path, command, place.x(index), place.y(value));
        }
    }
    path
}

/// The area between the ends of the intervals, there and back again.
fn band_path(series: &Series, place: &Placing) -> String {
    let mut path = String::new();
    for run in runs(&series.points).into_iter().filter(|run| run.len() > 1) {
        let ends = |index: usize| {
            let point = series.points[index];
            Some((point.low?, point.high?))
        };
        let Some(ends) = run.clone().map(ends).collect::<Option<Vec<_>>>() else {
            continue;
        };
        for (index, (_, high)) in run.clone().zip(&ends) {
            let command = if index == run.start { 'M' } else { 'L' };
            step(&mut path, command, place.x(index), place.y(*high));
        }
        for (index, (low, _)) in run.zip(&ends).rev() {
            step(&mut path, 'L', place.x(index), place.y(*low));
        }
        path.push('Z');
    }
    path
}

fn step(path: &mut String, command: char, x: f64, y: f64) {
    let (x, y) = (number(x), number(y));
    write!(path, "{command}{x} {y}").expect("writing to a string does not fail");
}

/// Bars on top of each other: one path a series.
fn layers(drawn: &Drawn, place: &Placing) -> Markup {
    let mut below = vec![0.0; drawn.intervals];
    html! {
        @for line in &drawn.lines {
            @let layer = layer_path(&line.series, &mut below, place);
            g.series.layer.(line.tone) data-key=(line.series.name) { path d=(layer) {} }
        }
    }
}

fn layer_path(series: &Series, below: &mut [f64], place: &Placing) -> String {
    let mut path = String::new();
    // A hair between neighbours tells intervals apart.
    let width = place.width() * 0.86;
    for ((index, point), below) in series.points.iter().enumerate().zip(below) {
        let Some(value) = point
            .value
            .filter(|value| value.is_finite() && *value > 0.0)
        else {
            continue;
        };
        let (top, bottom) = (place.y(*below + value), place.y(*below));
        *below += value;
        let x = number(place.x(index) - width / 2.0);
        let (width, height) = (number(width), number(bottom - top));
        write!(path, "M{x} {}h{width}v{height}h-{width}z", number(top))
            .expect("writing to a string does not fail");
    }
    path
}

#[cfg(test)]
mod tests {
    use tern_protocol::rest::Metric;

    use super::*;

    fn series(values: &[Option<f64>]) -> Series {
        let point = |value: &Option<f64>| Point {
            value: *value,
            n: 10,
            low: value.map(|value| value - 0.1),
            high: value.map(|value| value + 0.1),
        };
        Series {
            name: "s".into(),
            points: values.iter().map(point).collect(),
        }
    }

    fn placing(intervals: usize) -> Placing {
        Placing {
            scale: Scale::fitting(Metric::Prediction, 0.0, 1.0),
            intervals,
        }
    }

    #[test]
    fn a_missing_value_is_a_gap() {
        let series = series(&[
            Some(0.5),
            Some(0.6),
            None,
            Some(0.7),
            None,
            Some(0.2),
            Some(0.1),
        ]);
        assert_eq!(runs(&series.points), [0..2, 3..4, 5..7]);
        let place = placing(7);
        let path = line_path(&series, &place);
        assert_eq!(path.matches('M').count(), 2, "{path}");
        assert_eq!(path.matches('L').count(), 2, "{path}");
        assert_eq!(band_path(&series, &place).matches('Z').count(), 2);
        assert_eq!(
            heights(&series, &place)
                .split(' ')
                .filter(|y| *y == "-")
                .count(),
            2
        );
    }

    #[test]
    fn values_that_are_no_numbers_are_gaps() {
        let series = series(&[Some(f64::NAN), Some(f64::INFINITY), None]);
        assert_eq!(runs(&series.points), [] as [Range<usize>; 0]);
        assert_eq!(line_path(&series, &placing(3)), "");
    }

    #[test]
    fn layers_stand_on_each_other() {
        let place = placing(1);
        let mut below = vec![0.0];
        layer_path(&series(&[Some(0.25)]), &mut below, &place);
        let upper = layer_path(&series(&[Some(0.75)]), &mut below, &place);
        assert!((below[0] - 1.0).abs() < 1e-9);
        assert!(upper.contains(&format!(" {}h", number(TOP))), "{upper}");
    }

    #[test]
    fn points_lie_in_the_middle_of_their_interval() {
        let place = placing(2);
        assert_eq!(number(place.x(0)), number(LEFT + (RIGHT - LEFT) / 4.0));
        assert_eq!(number(place.y(0.0)), number(BOTTOM));
        assert_eq!(number(place.y(1.0)), number(TOP));
        assert_eq!(
            number(place.y(7.0)),
            number(TOP),
            "beyond the axis it stays inside"
        );
    }
}

//! A quantity over time.

use tern_protocol::{rest::Chart, time::WallTime};

use super::{
    Look,
    table::{Cell, Table},
    words::{clean, count, micros, percent, second},
};

/// `tern chart`: a line for each interval of each series in which anything was seen.
pub(crate) fn chart(chart: &Chart, look: Look) -> String {
    let mut table = Table::new(look, &["FROM", "SERIES", "VALUE", "STANDS ON"]);
    let mut any = false;
    let points = chart.series.iter().map(|series| series.points.len()).max();
    for index in 0..points.unwrap_or(0) {
        let after = chart.step_ms.saturating_mul(index as u64);
        let from = WallTime(chart.from.0.saturating_add_unsigned(after));
        for series in &chart.series {
            let Some(point) = series.points.get(index) else {
                continue;
            };
            let Some(value) = point.value else { continue };
            any = true;
            table.row([
                second(from).into(),
                clean(&series.name).into(),
                Cell::number(in_unit(value, &chart.unit)),
                Cell::number(count(point.n)),
            ]);
        }
    }
    if any {
        table.text()
    } else {
        "nothing was seen in that time\n".into()
    }
}

/// `41.3 µs`, `97.1 %`, `1.25 m/s`.
fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "us" => micros(value),
        "ratio" => percent(value),
        "" => format!("{value:.3}"),
        "1/s" => format!("{value:.3} /s"),
        unit => format!("{value:.3} {}", clean(unit)),
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::rest::{Metric, Point, Series};

    use super::*;

    #[test]
    fn intervals_in_which_something_was_seen_are_lines() {
        let point = |value| Point {
            value,
            n: 4,
            ..Point::default()
        };
        let of = |points: Vec<Point>| Chart {
            metric: Metric::Custom,
            unit: "m/s".into(),
            from: WallTime(0),
            step_ms: 60_000,
            series: vec![Series {
                name: "mean\u{1b}".into(),
                points,
            }],
        };
        let text = chart(&of(vec![point(None), point(Some(1.25))]), Look::PLAIN);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.contains("1.250 m/s") && !text.contains('\u{1b}'),
            "{text}"
        );
        let text = chart(&of(vec![point(None)]), Look::PLAIN);
        assert_eq!(text, "nothing was seen in that time\n");
    }
}

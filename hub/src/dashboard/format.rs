//! Numbers, sizes and times as people read them.
//!
//! Called by pages and charts. Every function gives some text for every input, NaN and the ends of
//! a range included: a device may report anything.

use jiff::{Timestamp, civil::Date, tz::Offset};
use tern_protocol::time::WallTime;

/// Stands where there is no value.
pub(super) const NOTHING: &str = "–";

/// Between a number and its unit: narrow and unbreakable.
const GAP: char = '\u{202f}';

/// A count with its thousands apart: `12,345`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of one as percent: `97.1 %`.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.1}{GAP}%", share * 100.0)
    } else {
        NOTHING.into()
    }
}

/// Bytes in binary units: `1.5 MiB`.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n}{GAP}B")
    } else {
        format!("{}{GAP}{}", figures(value), UNITS[unit])
    }
}

/// Happenings a second: `4.9 /s`.
pub(super) fn rate(per_s: f64) -> String {
    if per_s.is_finite() {
        format!("{}{GAP}/s", figures(per_s))
    } else {
        NOTHING.into()
    }
}

/// Microseconds in the unit that fits: `84 µs`, `1.2 ms`, `3 s`.
pub(super) fn microseconds(us: f64) -> String {
    if !us.is_finite() {
        NOTHING.into()
    } else if us.abs() < 1e3 {
        format!("{}{GAP}µs", figures(us))
    } else if us.abs() < 1e6 {
        format!("{}{GAP}ms", figures(us / 1e3))
    } else {
        format!("{}{GAP}s", figures(us / 1e6))
    }
}

/// A value of a chart in the chart's unit.
pub(super) fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "ratio" => percent(value),
        "us" => microseconds(value),
        "1/s" => rate(value),
        _ if value.is_finite() => figures(value),
        _ => NOTHING.into(),
    }
}

/// A label of a value axis: as short as it can be, and with as many decimals as tell it from its neighbours, which are
/// `step` away.
pub(super) fn tick(value: f64, unit: &str, step: f64) -> String {
    // What additions leave of nought would be `-0`.
    let value = if value.abs() < step * 1e-6 {
        0.0
    } else {
        value
    };
    let scale = if unit == "ratio" { 100.0 } else { 1.0 };
    let (value, decimals) = (value * scale, decimals(step * scale));
    match unit {
        "ratio" => format!("{value:.decimals$}{GAP}%"),
        "us" => microseconds(value),
        // The unit stands at every value of the legend; the axis is narrow.
        _ => format!("{value:.decimals$}"),
    }
}

/// Decimals that a number of so many steps has, at most 6.
fn decimals(step: f64) -> usize {
    let whole = |decimals: &i32| {
        let steps = step * 10f64.powi(*decimals);
        (steps - steps.round()).abs() <= 1e-6 * steps.abs()
    };
    (0..6).find(whole).unwrap_or(6) as usize
}

/// A difference between floats, which may be very small: `3.1e-7`.
pub(super) fn difference(value: f32) -> String {
    if value == 0.0 {
        "0".into()
    } else if value.is_finite() {
        format!("{value:.1e}")
    } else {
        NOTHING.into()
    }
}

/// About three figures: two decimals below 1, one below 100, none above.
fn figures(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 1.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    // `4.0` says no more than `4`, and `-0` is nobody's number.
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    };
    if text == "-0" { "0".into() } else { text }
}

/// A moment for programs: `2026-11-23T22:05:33Z`.
pub(super) fn iso(at: WallTime) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A moment for people without scripts: `2026-11-23 22:05:33 UTC`.
pub(super) fn utc(at: WallTime) -> String {
    timestamp(at).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The beginning of a day in UTC, from `2026-11-23`; `None` if there is no such day.
pub(super) fn day(text: &str) -> Option<WallTime> {
    let day = Date::strptime("%Y-%m-%d", text).ok();
    let day = day.filter(|day| day.year() > 0)?;
    let begins = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(WallTime(begins.as_millisecond()))
}

/// Hour and minute in UTC: `22:05`.
pub(super) fn hour_minute(at: WallTime) -> String {
    timestamp(at).strftime("%H:%M").to_string()
}

/// Day and month in UTC: `28 Nov`.
pub(super) fn day_month(at: WallTime) -> String {
    timestamp(at).strftime("%-d %b").to_string()
}

/// The moment, or the end of the calendar's ten thousand years that is nearer to it.
fn timestamp(at: WallTime) -> Timestamp {
    let end = if at.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(at.0).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(percent(0.9712), "97.1\u{202f}%");
        assert_eq!(percent(f64::NAN), NOTHING);
        assert_eq!(bytes(512), "512\u{202f}B");
        assert_eq!(bytes(1_572_864), "1.5\u{202f}MiB");
        assert_eq!(bytes(u64::MAX), "16384\u{202f}PiB");
        assert_eq!(microseconds(84.2), "84.2\u{202f}µs");
        assert_eq!(microseconds(1_200.0), "1.2\u{202f}ms");
        assert_eq!(rate(-0.001), "0\u{202f}/s");
        assert_eq!(tick(0.5, "ratio", 0.25), "50\u{202f}%");
        assert_eq!(tick(0.0075, "ratio", 0.0025), "0.75\u{202f}%");
        assert_eq!(tick(0.0025, "1/s", 0.0025), "0.0025");
        assert_eq!(tick(-1e-17, "1/s", 20.0), "0");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400_000),
            ("2026-11-23", 1_795_392_000_000),
        ] {
            assert_eq!(day(text), Some(WallTime(ms)), "{text}");
        }
        for bad in [
            "",
            "2026",
            "2026-02-29",
            "2026-04-31",
            "2026-13-01",
            "0000-01-01",
            "2026-11-23-1",
            "-1-1-1",
        ] {
            assert_eq!(day(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_follow_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_471_533_000, "2026-11-23T22:05:33Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso(WallTime(ms)), text);
        }
        // A device's clock may say anything.
        assert!(!iso(WallTime(i64::MAX)).is_empty());
        assert!(!iso(WallTime(i64::MIN)).is_empty());
    }
}

//! Numbers, sizes and times as people read them.
//!
//! Called by pages and charts. Every function gives some text for every input, NaN and the ends of
//! a range included: a device may report anything.

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
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = Civil::of(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A moment for people without scripts: `2026-11-23 22:05:33 UTC`.
pub(super) fn utc(at: WallTime) -> String {
    iso(at).replace('T', " ").replace('Z', " UTC")
}

/// The beginning of a day in UTC, from `2026-11-23`; `None` if there is no such day.
pub(super) fn day(text: &str) -> Option<WallTime> {
    let mut parts = text.splitn(3, '-');
    let mut part = |most: i64| -> Option<i64> {
        let number: u16 = parts.next()?.parse().ok()?;
        let number = i64::from(number);
        (1..=most).contains(&number).then_some(number)
    };
    let (year, month, day) = (part(9999)?, part(12)?, part(31)?);
    // Days since the epoch, the other way round than `Civil::of`.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let at = WallTime(days * 86_400_000);
    let civil = Civil::of(at);
    // The 31st of a month with 30 days would be another day.
    ((civil.year, civil.month, civil.day) == (year, month, day)).then_some(at)
}

/// Hour and minute in UTC: `22:05`.
pub(super) fn hour_minute(at: WallTime) -> String {
    let Civil { hour, minute, .. } = Civil::of(at);
    format!("{hour:02}:{minute:02}")
}

/// A moment by the Gregorian calendar in UTC.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Civil {
    /// Howard Hinnant's `civil_from_days`: eras of 400 years that begin on the 1st of March, so that
    /// the leap day is the last of its year.
    fn of(at: WallTime) -> Self {
        let seconds = at.0.div_euclid(1000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let days = days + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
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

//! Numbers, times and sizes as people read them.

use std::time::Duration;

use jiff::Timestamp;
use tern_protocol::{
    rest::{Stage, Stages},
    time::WallTime,
};

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The earliest "past" that still is now: the hub's clock may be a little ahead of this machine's.
const AHEAD: i64 = -5 * SECOND;

/// How long ago, up to a day; then the date in UTC.
pub(crate) fn ago(then: WallTime, now: WallTime) -> String {
    match now.0.saturating_sub(then.0) {
        i64::MIN..AHEAD => date(then),
        AHEAD..SECOND => "now".into(),
        past @ SECOND..MINUTE => format!("{} s ago", past / SECOND),
        past @ MINUTE..HOUR => format!("{} min ago", past / MINUTE),
        past @ HOUR..DAY => format!("{} h ago", past / HOUR),
        DAY.. => date(then),
    }
}

/// Date and minute in UTC.
pub(crate) fn date(time: WallTime) -> String {
    timestamp(time).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Date in UTC.
pub(crate) fn day(time: WallTime) -> String {
    timestamp(time).strftime("%Y-%m-%d").to_string()
}

/// Date and second in UTC.
pub(crate) fn second(time: WallTime) -> String {
    let time = timestamp(time);
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Time of day with milliseconds, in UTC.
pub(crate) fn time_of_day(time: WallTime) -> String {
    timestamp(time).strftime("%H:%M:%S%.3f").to_string()
}

/// The moment, or the end of the calendar's ten thousand years that is nearer to it.
fn timestamp(time: WallTime) -> Timestamp {
    let end = if time.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(time.0).unwrap_or(end)
}

/// A size in bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be written 1024.0.
    while value >= 1023.95 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// A whole number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 device`, `1,204 devices`.
pub(crate) fn things(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// How far something got, from all that want it to those that it is confirmed on.
pub(crate) fn stages(stages: &Stages) -> String {
    let steps = [
        (stages.assigned, Stage::Assigned),
        (stages.stored, Stage::Stored),
        (stages.loaded, Stage::Loaded),
        (stages.serving, Stage::Serving),
        (stages.confirmed, Stage::Confirmed),
    ];
    let steps = steps.map(|(number, stage)| format!("{} {}", count(number), stage.word()));
    steps.join(", ")
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.1} %", share * 100.0)
    } else {
        "–".into()
    }
}

/// A length of time.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => micros(time.as_secs_f64() * 1e6),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A length of time given in microseconds.
pub(crate) fn micros(us: f64) -> String {
    match us {
        us if !us.is_finite() => "–".into(),
        us if us < 999.5 => format!("{us:.0} µs"),
        us if us < 999_500.0 => format!("{:.1} ms", us / 1000.0),
        us => format!("{:.1} s", us / 1_000_000.0),
    }
}

/// A small difference; exact zero is said as such.
pub(crate) fn difference(value: f32) -> String {
    if value == 0.0 {
        "0".into()
    } else {
        format!("{value:.1e}")
    }
}

/// A text from outside, fit to be printed: control characters and marks that turn the direction of
/// writing are spelled out.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => clean.push('\n'),
            '\t' => clean.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => clean.extend(c.escape_unicode()),
            c if c.is_control() => clean.extend(c.escape_default()),
            c => clean.push(c),
        }
    }
    clean
}

/// The same on one line.
pub(crate) fn one_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        // 2024-02-29 12:34:56.789 UTC.
        let then = WallTime(1_709_210_096_789);
        let after = |ms: i64| ago(then, WallTime(then.0 + ms));
        assert_eq!(after(0), "now");
        assert_eq!(after(-3_000), "now");
        assert_eq!(after(59_999), "59 s ago");
        assert_eq!(after(3 * MINUTE), "3 min ago");
        assert_eq!(after(23 * HOUR), "23 h ago");
        assert_eq!(after(DAY), "2024-02-29 12:34 UTC");
        assert_eq!(after(-HOUR), "2024-02-29 12:34 UTC");
        assert_eq!(time_of_day(then), "12:34:56.789");
        assert_eq!(second(then), "2024-02-29 12:34:56 UTC");
        assert_eq!(date(WallTime(0)), "1970-01-01 00:00 UTC");
        assert_eq!(date(WallTime(-1)), "1969-12-31 23:59 UTC");
        for end in [i64::MIN, i64::MAX] {
            ago(WallTime(end), then);
            ago(then, WallTime(end));
            time_of_day(WallTime(end));
        }
    }

    #[test]
    fn sizes_and_counts() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (6_291_456, "6.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(things(1, "label"), "1 label");
        assert_eq!(percent(0.9714), "97.1 %");
        assert_eq!(percent(f64::NAN), "–");
    }

    #[test]
    fn lengths_of_time() {
        for (ms, text) in [
            (0, "0 µs"),
            (3, "3.0 ms"),
            (2_500, "2.5 s"),
            (125_000, "2 min 5 s"),
            (3_900_000, "1 h 5 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
        assert_eq!(micros(41.4), "41 µs");
        assert_eq!(micros(f64::INFINITY), "–");
    }

    #[test]
    fn nobody_writes_to_a_terminal_through_us() {
        let text = clean("a\u{1b}[2Jb\u{202e}c\r\n\u{7}");
        assert_eq!(text, "a\\u{1b}[2Jb\\u{202e}c\\r\n\\u{7}");
    }
}

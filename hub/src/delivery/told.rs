//! How a version came to a device, in words. Pure.

use std::time::Duration;

use crate::fleet::timeline::length;

/// So many bytes, of which so many by HTTPS, within so many milliseconds.
pub(super) fn in_words(whole: i64, downloaded: i64, ms: i64) -> String {
    let size = |bytes: i64| size(bytes.max(0).unsigned_abs());
    let published = whole.saturating_sub(downloaded);
    let ways = match (published, downloaded) {
        (_, 0) => format!("{} by MQTT", size(published)),
        (..=0, _) => format!("{} by HTTPS", size(downloaded)),
        _ => format!("{} by MQTT, {} by HTTPS", size(published), size(downloaded)),
    };
    let took = Duration::from_millis(ms.max(0).unsigned_abs());
    if took < Duration::from_secs(1) {
        return format!("{ways}, within a second");
    }
    format!("{ways}, in {}", length(took))
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_in_words() {
        const MIB: i64 = 1 << 20;
        for (whole, downloaded, ms, text) in [
            (3 * MIB, 0, 4_200, "3.0 MiB by MQTT, in 4 s"),
            (
                3 * MIB,
                MIB,
                65_000,
                "2.0 MiB by MQTT, 1.0 MiB by HTTPS, in 1 min 5 s",
            ),
            (512, 512, 0, "512 B by HTTPS, within a second"),
        ] {
            assert_eq!(in_words(whole, downloaded, ms), text);
        }
    }
}

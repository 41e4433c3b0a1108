//! How warm the board is, where Linux says it.

use std::{fs, path::Path};

/// Where the kernel shows its thermal zones.
pub const ZONES: &str = "/sys/class/thermal";

/// Zones that are looked at; a board has a handful.
const ZONES_MAX: usize = 64;

/// What a sensor may say, in thousandths of a degree Celsius: some say nonsense until they are ready.
const BELIEVED: std::ops::RangeInclusive<i32> = -100_000..=200_000;

/// The warmest zone under `dir`, in tenths of a degree Celsius; `None` without one that says anything.
pub fn warmest(dir: &Path) -> Option<i16> {
    let zones = fs::read_dir(dir).ok()?.flatten().take(ZONES_MAX);
    let zones = zones.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(b"thermal_zone")
    });
    let said = zones.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("temp")).ok()?;
        text.trim().parse::<i32>().ok()
    });
    let warmest = said.filter(|said| BELIEVED.contains(said)).max()?;
    i16::try_from(warmest / 100).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warmest_zone_that_makes_sense() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(warmest(dir.path()), None);
        assert_eq!(warmest(&dir.path().join("nothing")), None);
        for (name, said) in [
            ("thermal_zone0", "48123\n"),
            ("thermal_zone1", "61987\n"),
            ("thermal_zone2", "2147483647\n"),
            ("thermal_zone3", "cold\n"),
            ("cooling_device0", "99000\n"),
        ] {
            fs::create_dir(dir.path().join(name)).expect("a new name");
            fs::write(dir.path().join(name).join("temp"), said).expect("writes");
        }
        fs::create_dir(dir.path().join("thermal_zone4")).expect("without a sensor");
        assert_eq!(warmest(dir.path()), Some(619));
    }
}

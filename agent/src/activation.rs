//! When a model that may serve begins to: at once, or when the device has time for it. Pure but for
//! [`on_mains`].
//!
//! A slot that serves nothing does not wait: a working model now is worth more than a good moment.

use std::{fs, path::Path, time::Duration};

use serde::Deserialize;
use tern_protocol::time::WallTime;

use crate::config::Span;

const DAY: i64 = 24 * 60;

/// When a new version may take the place of the one that serves. All that is set has to hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Activation {
    /// Only between these times of day, as `22:00-05:30`.
    pub window: Option<Window>,
    /// What the device's place is ahead of UTC, as `+02:00`.
    pub utc_offset: Offset,
    /// Only when no request came for so long.
    pub idle: Option<Span>,
    /// Only while the device is not on battery.
    pub on_mains: bool,
    /// How long a new version is on trial: if it fails in that time, the one before it serves again.
    pub trial: Trial,
}

/// Length of a trial.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub struct Trial(pub Span);

impl Default for Trial {
    fn default() -> Self {
        Self(Span(Duration::from_mins(10)))
    }
}

/// Times of a day, in minutes; the end may lie after midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Window {
    from: i64,
    to: i64,
}

/// Minutes ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Offset(i64);

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let times = text.split_once('-');
        let times = times.and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        match times {
            Some((from, to)) if from != to => Ok(Self { from, to }),
            _ => Err(format!("`{text}` is not a window as 22:00-05:30")),
        }
    }
}

impl TryFrom<String> for Offset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => (0, ""),
        };
        let ahead = minutes(rest).filter(|ahead| sign != 0 && *ahead <= 14 * 60);
        ahead
            .map(|ahead| Self(sign * ahead))
            .ok_or_else(|| format!("`{text}` is not an offset as +02:00"))
    }
}

/// `HH:MM` as minutes since midnight.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let fits = (0..24).contains(&hours) && (0..60).contains(&minutes);
    fits.then_some(hours * 60 + minutes)
}

/// What counts for the decision.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock, if it is to be believed.
    pub wall: Option<WallTime>,
    /// How long no request came.
    pub idle: Duration,
    /// Whether the device is not on battery.
    pub on_mains: bool,
}

impl Activation {
    /// Whether now is the time; else what is waited for.
    pub fn may(&self, moment: Moment) -> Result<(), &'static str> {
        // A clock that cannot be believed must not keep a device on an old version for ever.
        if let (Some(window), Some(wall)) = (self.window, moment.wall)
            && !window.contains(wall, self.utc_offset)
        {
            return Err("the time of day is outside of its window");
        }
        if self.idle.is_some_and(|idle| moment.idle < idle.0) {
            return Err("requests come");
        }
        if self.on_mains && !moment.on_mains {
            return Err("the device is on battery");
        }
        Ok(())
    }

    /// Whether anything is waited for at all.
    pub fn waits(&self) -> bool {
        self.window.is_some() || self.idle.is_some() || self.on_mains
    }
}

impl Window {
    fn contains(self, wall: WallTime, offset: Offset) -> bool {
        let minute = (wall.0.div_euclid(60_000) + offset.0).rem_euclid(DAY);
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// Whether a supply that is no battery feeds the device, as Linux tells it below `dir`
/// (`/sys/class/power_supply`). A device that has no battery is on mains.
pub fn on_mains(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return true;
    };
    let mut batteries = false;
    for entry in entries.flatten() {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        match read("type").trim() {
            "Battery" => batteries = true,
            "Mains" | "USB" | "Wireless" if read("online").trim() == "1" => return true,
            _ => {}
        }
    }
    !batteries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64, minutes: i64) -> Moment {
        Moment {
            wall: Some(WallTime(
                (hours * 60 + minutes) * 60_000 + 20_000 * DAY * 60_000,
            )),
            idle: Duration::from_secs(5),
            on_mains: false,
        }
    }

    fn activation(toml: &str) -> Activation {
        toml::from_str(toml).expect("it is well written")
    }

    #[test]
    fn a_window_may_lie_over_midnight_and_counts_where_the_device_is() {
        let night = activation("window = \"22:00-05:30\"");
        for (hours, minutes, may) in [
            (21, 59, false),
            (22, 0, true),
            (5, 29, true),
            (5, 30, false),
        ] {
            assert_eq!(
                night.may(at(hours, minutes)).is_ok(),
                may,
                "{hours}:{minutes}"
            );
        }
        let noon = activation("window = \"12:00-13:00\"\nutc_offset = \"+02:00\"");
        assert!(noon.may(at(10, 30)).is_ok());
        assert!(noon.may(at(12, 30)).is_err());
        let west = activation("window = \"00:00-01:00\"\nutc_offset = \"-03:30\"");
        assert!(west.may(at(3, 45)).is_ok());
    }

    #[test]
    fn all_that_is_set_has_to_hold() {
        assert!(Activation::default().may(at(0, 0)).is_ok());
        let calm = activation("idle = \"10s\"");
        assert!(calm.may(at(0, 0)).is_err());
        let idle = Moment {
            idle: Duration::from_secs(10),
            ..at(0, 0)
        };
        assert!(calm.may(idle).is_ok());
        assert!(activation("on_mains = true").may(at(0, 0)).is_err());
        let unknown = Moment {
            wall: None,
            ..at(0, 0)
        };
        let night = activation("window = \"22:00-05:30\"");
        assert!(
            night.may(unknown).is_ok(),
            "without a clock it does not wait for ever"
        );
    }

    #[test]
    fn what_is_badly_written_is_refused() {
        for bad in [
            "window = \"22-05\"",
            "window = \"24:00-05:00\"",
            "window = \"05:00-05:00\"",
            "utc_offset = \"02:00\"",
            "utc_offset = \"+15:00\"",
            "utc_offset = \"\"",
            "idle = \"soon\"",
            "windows = 1",
        ] {
            assert!(toml::from_str::<Activation>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mains_is_what_is_no_battery_and_is_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let supply = |name: &str, kind: &str, online: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).expect("it makes");
            fs::write(path.join("type"), format!("{kind}\n")).expect("it writes");
            fs::write(path.join("online"), format!("{online}\n")).expect("it writes");
        };
        assert!(on_mains(&dir.path().join("none")));
        assert!(on_mains(dir.path()), "no battery");
        supply("BAT0", "Battery", "0");
        assert!(!on_mains(dir.path()));
        supply("AC", "Mains", "0");
        assert!(!on_mains(dir.path()));
        supply("AC", "Mains", "1");
        assert!(on_mains(dir.path()));
    }
}

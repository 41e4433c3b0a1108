//! When devices may be moved: opening hours on their own clocks.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// Opening hours. A device lives by the zone in its label `zone`, else by [`Self::zone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Calendar {
    /// The zone of devices without a label `zone`, by its name in the time zone database: `Europe/Lisbon`.
    #[serde(default = "utc")]
    pub zone: String,
    /// Devices are moved only within one of these.
    pub open: Vec<OpenHours>,
}

/// Hours of some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OpenHours {
    /// The days on which they begin; every day by default.
    #[serde(default = "week", skip_serializing_if = "is_week")]
    pub days: BTreeSet<Day>,
    /// From, as `22:00`.
    pub from: Clock,
    /// To, as `05:30`; earlier than `from` means on the next day.
    pub to: Clock,
}

impl OpenHours {
    /// Whether a moment lies within: the day of the week, the one before it, and the minute of the day.
    pub fn contains(&self, day: Day, minute: u16) -> bool {
        let (from, to) = (self.from.minute(), self.to.minute());
        if from < to {
            return self.days.contains(&day) && (from..to).contains(&minute);
        }
        self.days.contains(&day) && minute >= from
            || self.days.contains(&day.before()) && minute < to
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// All, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// The day before.
    #[must_use]
    pub const fn before(self) -> Self {
        Self::ALL[(self as usize + 6) % 7]
    }
}

/// A time of day to the minute, as `22:05`; `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clock(u16);

impl Clock {
    /// Minutes since midnight.
    pub const fn minute(self) -> u16 {
        self.0
    }
}

/// Why a text is no time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time of day; write hours and minutes, as 22:05")]
pub struct ClockError(String);

impl FromStr for Clock {
    type Err = ClockError;

    fn from_str(text: &str) -> Result<Self, ClockError> {
        let parse = || {
            let (hours, minutes) = text.trim().split_once(':')?;
            if minutes.len() != 2 {
                return None;
            }
            let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
            let minute = hours.checked_mul(60)?.checked_add(minutes)?;
            (minutes < 60 && minute <= 24 * 60).then_some(Self(minute))
        };
        parse().ok_or_else(|| ClockError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

crate::id::serde_as_text!(Clock);
#[cfg(feature = "schema")]
crate::id::schema_as!(Clock, String);

fn utc() -> String {
    "UTC".into()
}

fn week() -> BTreeSet<Day> {
    Day::ALL.into()
}

fn is_week(days: &BTreeSet<Day>) -> bool {
    days.len() == 7
}

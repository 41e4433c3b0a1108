//! Whether a device may be moved now, by its own clock.

use jiff::{Timestamp, tz::TimeZone};
use tern_protocol::{
    rest::{Calendar, Day},
    time::WallTime,
};

/// The time zones of one rollout, looked up once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Zones {
    names: Vec<String>,
    zones: Vec<Option<TimeZone>>,
}

/// A zone by its place in [`Zones`].
pub(crate) type ZoneIndex = u16;

impl Zones {
    /// The place of a zone; the same name has the same place.
    pub(crate) fn index(&mut self, name: &str) -> ZoneIndex {
        let known = self.names.iter().position(|one| one == name);
        let place = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.zones.push(zone(name));
            self.names.len() - 1
        });
        // A fleet in more zones than the earth has shares the last: each needs a label that somebody wrote.
        ZoneIndex::try_from(place).unwrap_or(ZoneIndex::MAX)
    }

    /// Whether devices of this zone may be moved; those in a zone that nobody knows live by the calendar's own.
    pub(crate) fn is_open(&self, zone: ZoneIndex, calendar: &Calendar, at: WallTime) -> bool {
        let known = self.zones.get(usize::from(zone)).cloned().flatten();
        is_open(calendar, known, at)
    }
}

/// Whether a name stands in the time zone database.
pub fn is_zone(name: &str) -> bool {
    zone(name).is_some()
}

fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    }
}

fn is_open(calendar: &Calendar, known: Option<TimeZone>, at: WallTime) -> bool {
    let Ok(at) = Timestamp::from_millisecond(at.0) else {
        return false;
    };
    let own = known.or_else(|| zone(&calendar.zone));
    let local = own.unwrap_or(TimeZone::UTC).to_datetime(at);
    let day = Day::ALL[local.weekday().to_monday_zero_offset().unsigned_abs() as usize % 7];
    let minute =
        u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    calendar
        .open
        .iter()
        .any(|hours| hours.contains(day, minute))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(json: &str) -> Calendar {
        serde_json::from_str(json).expect("a calendar")
    }

    fn at(text: &str) -> WallTime {
        let time: Timestamp = text.parse().expect("a time");
        WallTime(time.as_millisecond())
    }

    #[test]
    fn nights_belong_to_the_day_on_which_they_begin_and_to_the_zone_of_the_device() {
        let nights = calendar(
            r#"{"zone":"Europe/Lisbon","open":[{"days":["fri"],"from":"22:00","to":"05:30"}]}"#,
        );
        // 2026-11-27 is a Friday. Lisbon is at UTC then, Tokyo nine hours ahead.
        let mut zones = Zones::default();
        let (tokyo, nowhere) = (zones.index("Asia/Tokyo"), zones.index("Mars/Olympus"));
        assert_eq!(tokyo, zones.index("Asia/Tokyo"));
        for (time, in_lisbon, in_tokyo) in [
            ("2026-11-27T21:59:00Z", false, false),
            ("2026-11-27T22:00:00Z", true, false),
            ("2026-11-27T13:00:00Z", false, true),
            ("2026-11-28T05:29:00Z", true, false),
            ("2026-11-28T05:30:00Z", false, false),
            ("2026-11-28T23:00:00Z", false, false),
        ] {
            let time = at(time);
            assert_eq!(zones.is_open(tokyo, &nights, time), in_tokyo, "{time:?}");
            assert_eq!(zones.is_open(nowhere, &nights, time), in_lisbon, "{time:?}");
        }
        assert!(is_zone("Europe/Lisbon") && is_zone("UTC") && !is_zone("Mars/Olympus"));
    }
}

//! Hours that wait to be judged, and when it is their time. Pure.
//!
//! An hour is judged once most of what happened in it has come: some time after it ended. A site that brings older
//! hours was away, and its devices come back one by one; what it brings waits until nothing old has come from it for as
//! long, so that its hours are judged whole and in order. A site in which one device is always late is not waited for
//! longer than [`PATIENCE`].

use std::collections::{BTreeMap, HashMap};

use minicbor::{Decode, Encode};
use tern_protocol::{
    id::{ModelName, ModelVersion, SlotName},
    time::WallTime,
};
use tern_watch::{Device, DeviceHour, Hour, Site};

/// Longest that a site is waited for, in milliseconds.
const PATIENCE: i64 = 3_600_000;

/// An hour in milliseconds.
pub(super) const HOUR: i64 = 3_600_000;

/// A model in a slot: what is watched together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub(super) struct Watched {
    #[n(0)]
    pub(super) slot: SlotName,
    #[n(1)]
    pub(super) model: ModelName,
}

type Row = (Site, Device, ModelVersion);
type Hours = BTreeMap<Hour, BTreeMap<Row, DeviceHour>>;

/// Hours to be judged, by what is watched.
pub(super) type Due = BTreeMap<Watched, BTreeMap<Hour, Vec<DeviceHour>>>;

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    grace: i64,
    hours: BTreeMap<Watched, Hours>,
    holds: HashMap<(Watched, Site), Hold>,
}

/// A site that brings older hours: since when, and when it did last.
#[derive(Debug, Clone, Copy)]
struct Hold {
    first: i64,
    last: i64,
}

impl Pending {
    /// Nothing waits. `grace` is how long an hour is waited for after it ended, in milliseconds.
    pub(super) fn new(grace: i64) -> Self {
        Self {
            grace,
            ..Self::default()
        }
    }

    /// The last hour whose time has come.
    pub(super) fn newest(&self, now: WallTime) -> Hour {
        let ended = now.0.saturating_sub(self.grace).div_euclid(HOUR) - 1;
        Hour(u32::try_from(ended.max(0)).unwrap_or(u32::MAX))
    }

    /// Adds what a device did in a part of an hour.
    pub(super) fn add(&mut self, of: &Watched, hour: Hour, part: DeviceHour, now: WallTime) {
        if hour < self.newest(now) {
            let hold = self.holds.entry((of.clone(), part.site));
            let hold = hold.or_insert(Hold {
                first: now.0,
                last: now.0,
            });
            hold.last = now.0;
        }
        let hours = match self.hours.get_mut(of) {
            Some(hours) => hours,
            None => self.hours.entry(of.clone()).or_default(),
        };
        let row = (part.site, part.device, part.version);
        let rows = hours.entry(hour).or_default();
        match rows.get_mut(&row) {
            Some(known) => known.merge(&part),
            None => {
                rows.insert(row, part);
            }
        }
    }

    /// Takes out what is to be judged now.
    pub(super) fn take(&mut self, now: WallTime) -> Due {
        let newest = self.newest(now);
        let grace = self.grace;
        let waits = |hold: &Hold| {
            now.0.saturating_sub(hold.last) < grace && now.0.saturating_sub(hold.first) < PATIENCE
        };
        self.holds.retain(|_, hold| waits(hold));
        let mut due = Due::new();
        for (of, hours) in &mut self.hours {
            let held: Vec<Site> = self
                .holds
                .keys()
                .filter(|(held, _)| held == of)
                .map(|(_, site)| *site)
                .collect();
            for (hour, rows) in hours.range_mut(..=newest) {
                let taken: Vec<DeviceHour> = rows
                    .extract_if(.., |(site, ..), _| !held.contains(site))
                    .map(|(_, row)| row)
                    .collect();
                if !taken.is_empty() {
                    due.entry(of.clone()).or_default().insert(*hour, taken);
                }
            }
            hours.retain(|_, rows| !rows.is_empty());
        }
        self.hours.retain(|_, hours| !hours.is_empty());
        due
    }

    /// What waits, to be stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let rows: Vec<(&Watched, Hour, &DeviceHour)> = self
            .hours
            .iter()
            .flat_map(|(of, hours)| {
                let rows = hours
                    .iter()
                    .flat_map(|(hour, rows)| rows.values().map(move |row| (*hour, row)));
                rows.map(move |(hour, row)| (of, hour, row))
            })
            .collect();
        tern_protocol::codec::encode(&rows)
    }

    /// As it was stored; all of older hours waits once more, since their site may not be done.
    pub(super) fn restore(
        grace: i64,
        bytes: &[u8],
        now: WallTime,
    ) -> Result<Self, tern_protocol::codec::DecodeError> {
        let mut pending = Self::new(grace);
        if bytes.is_empty() {
            return Ok(pending);
        }
        let rows: Vec<(Watched, Hour, DeviceHour)> =
            tern_protocol::codec::decode_within(bytes, usize::MAX)?;
        for (of, hour, row) in rows {
            pending.add(&of, hour, row, now);
        }
        Ok(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: i64 = 600_000;

    fn of() -> Watched {
        Watched {
            slot: "main".parse().expect("a name"),
            model: "digits".parse().expect("a name"),
        }
    }

    fn part(site: u32, device: u32) -> DeviceHour {
        DeviceHour {
            device: Device(device),
            site: Site(site),
            version: ModelVersion::FIRST,
            inferences: 10,
            errors: 0,
            classes: Vec::new(),
            confidence: Vec::new(),
            features: Vec::new(),
            stuck: Vec::new(),
        }
    }

    /// So many minutes after the beginning of hour 1,000.
    fn at(minutes: i64) -> WallTime {
        WallTime(1_000 * HOUR + minutes * 60_000)
    }

    fn hours(due: &Due) -> Vec<(u32, usize)> {
        let hours = due.values().flatten();
        hours.map(|(hour, rows)| (hour.0, rows.len())).collect()
    }

    #[test]
    fn an_hour_is_whole_some_time_after_its_end() {
        let mut pending = Pending::new(GRACE);
        for minute in [10, 40] {
            pending.add(&of(), Hour(1_000), part(1, 1), at(minute));
        }
        pending.add(&of(), Hour(1_001), part(1, 1), at(61));
        pending.add(&of(), Hour(1_000), part(1, 2), at(69));
        assert_eq!(hours(&pending.take(at(69))), []);
        let due = pending.take(at(70));
        assert_eq!(hours(&due), [(1_000, 2)]);
        let first = &due[&of()][&Hour(1_000)][0];
        assert_eq!(first.inferences, 20, "parts are added");
        assert_eq!(hours(&pending.take(at(129))), []);
        assert_eq!(hours(&pending.take(at(130))), [(1_001, 1)]);
        assert_eq!(hours(&pending.take(at(1_300))), []);
    }

    #[test]
    fn a_site_that_was_away_is_waited_for_and_others_are_not() {
        let mut pending = Pending::new(GRACE);
        for device in 0..3 {
            pending.add(
                &of(),
                Hour(900),
                part(2, device),
                at(70 + 4 * i64::from(device)),
            );
        }
        pending.add(&of(), Hour(1_000), part(2, 0), at(75));
        pending.add(&of(), Hour(1_000), part(1, 7), at(59));
        assert_eq!(hours(&pending.take(at(80))), [(1_000, 1)]);
        assert_eq!(hours(&pending.take(at(87))), []);
        assert_eq!(hours(&pending.take(at(88))), [(900, 3), (1_000, 1)]);
    }

    #[test]
    fn who_is_always_late_is_not_waited_for_for_ever() {
        let mut pending = Pending::new(GRACE);
        let mut judged = 0;
        for minute in 0..240 {
            pending.add(&of(), Hour(990), part(2, 0), at(minute));
            judged += hours(&pending.take(at(minute))).len();
        }
        assert_eq!(judged, 3, "after an hour each time");
    }

    #[test]
    fn what_waits_is_stored() {
        let mut pending = Pending::new(GRACE);
        pending.add(&of(), Hour(1_000), part(1, 1), at(10));
        pending.add(&of(), Hour(900), part(2, 2), at(70));
        let stored = pending.to_bytes();
        let mut again = Pending::restore(GRACE, &stored, at(75)).expect("what was stored");
        assert_eq!(again.to_bytes(), stored);
        assert_eq!(hours(&again.take(at(76))), [(1_000, 1)]);
        assert_eq!(hours(&again.take(at(85))), [(900, 1)]);
        assert!(Pending::restore(GRACE, &[0xff], at(0)).is_err());
    }
}

//! One device: by how much it differs from its site for good, and evidence that it differs otherwise of late.

use minicbor::{Decode, Encode};
use tern_protocol::id::ModelVersion;

use crate::{
    column::Layout,
    evidence::{Evidence, News},
    hour::{Hour, Site},
    pool::Pool,
    stream::{DOUBT_DAYS, Deviation, FLOOR, Shown},
};

/// Sizes of change that are bet on, in standard deviations of innovations: sensors break, they rarely drift by little.
const SHIFTS: [f64; 2] = [2.0, 6.0];

/// Days with its site that a device has to have before it is called unlike itself.
const KNOWN: u16 = 4;

/// Days of which the usual difference of a device is a mean.
const LAST: u16 = 30;

/// Hours of a day that a device has to report for the day to count.
const HOURS: u8 = 3;

/// How many innovations the pool's stands for in a device's own.
const PRIOR: f64 = 5.0;

/// Evidence above which nothing is learned.
const DOUBT: f64 = 3.0;

/// One column of a device.
#[derive(Debug, Clone, Copy, PartialEq, Default, Encode, Decode)]
pub(crate) struct Row {
    /// By how much it is usually above its site.
    #[n(0)]
    pub(crate) offset: f32,
    #[n(1)]
    square: f32,
    /// Weighted sum of today's deviations.
    #[n(2)]
    sum: f32,
    #[n(3)]
    last: f32,
    #[n(4)]
    pub(crate) level: f32,
    #[n(5)]
    evidence: Evidence<2>,
    #[n(6)]
    pub(crate) calm: u8,
    #[n(7)]
    pub(crate) open: bool,
    /// Days in a row on which nothing was learned although no finding stands on it.
    #[n(8)]
    doubt: u8,
}

/// What a device does since its version changed, beside what it did before and what others do.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(crate) struct Young {
    #[n(0)]
    pub(crate) sums: Vec<f32>,
    #[n(1)]
    pub(crate) weight: f32,
    /// How much of that is beside devices of the same site that keep another version.
    #[n(2)]
    pub(crate) beside: f32,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(crate) struct Member {
    #[n(0)]
    pub(crate) site: Site,
    #[n(1)]
    pub(crate) version: ModelVersion,
    /// When that began.
    #[n(2)]
    pub(crate) since: Hour,
    /// The last hour that was folded.
    #[n(3)]
    pub(crate) through: Hour,
    #[n(4)]
    day: u32,
    #[n(5)]
    weight: f32,
    #[n(6)]
    hours: u8,
    /// Hours of today with enough peers to be compared with.
    #[n(7)]
    peered: u8,
    /// Weight of a usual day.
    #[n(8)]
    usual: f32,
    /// Days that were learned from.
    #[n(9)]
    pub(crate) days: u16,
    #[n(10)]
    pub(crate) hours_seen: u32,
    #[n(11)]
    last_day: u32,
    /// Inferences of late, each day counting nine tenths of the next.
    #[n(12)]
    pub(crate) traffic: f32,
    #[n(13)]
    pub(crate) rows: Vec<Row>,
    #[n(14)]
    pub(crate) young: Option<Young>,
    /// Inferences of today.
    #[n(15)]
    inferences: f32,
}

impl Member {
    pub(crate) fn new(site: Site, version: ModelVersion, hour: Hour, columns: usize) -> Self {
        Self {
            site,
            version,
            // What it served before it was known, nobody knows: it is not young.
            since: Hour(0),
            through: hour.before(),
            day: hour.day(),
            weight: 0.0,
            hours: 0,
            peered: 0,
            usual: 0.0,
            days: 0,
            hours_seen: 0,
            last_day: 0,
            traffic: 0.0,
            rows: vec![Row::default(); columns],
            young: None,
            inferences: 0.0,
        }
    }

    /// Whether its usual difference is known well enough to be relied on.
    pub(crate) fn is_established(&self) -> bool {
        self.hours_seen >= 24
    }

    /// Another version serves, since an hour; says whether that is news.
    pub(crate) fn switch(&mut self, version: ModelVersion, since: Hour) -> bool {
        if version == self.version {
            return false;
        }
        (self.version, self.since) = (version, since);
        // What counted against it was of the version before, but for what is known to be wrong.
        self.rows
            .iter_mut()
            .filter(|row| !row.open)
            .for_each(Row::forget);
        if self.days >= KNOWN {
            self.young = Some(Young {
                sums: vec![0.0; self.rows.len()],
                weight: 0.0,
                beside: 0.0,
            });
        }
        true
    }

    /// The usual difference in a column, or none yet.
    pub(crate) fn offset(&self, column: usize) -> f32 {
        self.rows.get(column).map_or(0.0, |row| row.offset)
    }

    /// Counts an hour: `deviations` are what it was above its site, its usual difference taken off; not a number where
    /// nothing is known.
    pub(crate) fn add(
        &mut self,
        hour: Hour,
        weight: f32,
        inferences: f32,
        deviations: &[f32],
        peered: bool,
    ) {
        self.weight += weight;
        self.hours = self.hours.saturating_add(1);
        self.hours_seen = self.hours_seen.saturating_add(1);
        self.peered = self.peered.saturating_add(u8::from(peered));
        self.through = hour;
        self.traffic += inferences;
        self.inferences += inferences;
        for (row, deviation) in self.rows.iter_mut().zip(deviations) {
            if deviation.is_finite() {
                row.sum += weight * deviation;
            }
        }
    }

    /// Closes the day before `hour`, if one is over. Calls `shows` with each column of which there is something to say.
    pub(crate) fn roll(
        &mut self,
        hour: Hour,
        pools: &mut [Pool],
        layout: &Layout,
        mut shows: impl FnMut(usize, Shown),
    ) {
        let day = self.day;
        if hour.day() == day {
            return;
        }
        if self.hours >= HOURS && self.weight > 0.0 {
            let follows = self.last_day + 1 == day;
            let ready = self.days >= KNOWN && u16::from(self.peered) * 2 >= u16::from(self.hours);
            let thin = f64::from((self.usual / self.weight).max(1.0));
            for (column, (row, pool)) in self.rows.iter_mut().zip(pools).enumerate() {
                let today = row.sum / self.weight;
                let close = Close {
                    day,
                    today,
                    follows,
                    ready,
                    thin,
                    days: self.days,
                    learns: self.young.is_none(),
                    matters: f64::from(layout.matters()[column]),
                    floor: sampling(pool.sampling(layout.columns()[column]), self.inferences),
                };
                if let Some(shown) = row.close(&close, pool) {
                    shows(column, shown);
                }
            }
            self.usual += (self.weight - self.usual) / f32::from((self.days + 1).min(LAST));
            self.days = self.days.saturating_add(1);
            self.last_day = day;
        }
        let gap = hour.day().saturating_sub(day).min(60) as i32;
        self.traffic *= 0.9_f32.powi(gap);
        for row in &mut self.rows {
            row.sum = 0.0;
        }
        (self.day, self.weight, self.hours, self.peered) = (hour.day(), 0.0, 0, 0);
        self.inferences = 0.0;
    }

    /// It has its version for long enough, and no harm was found: it is compared with its site as ever. What it
    /// usually differs by is learned on from what it was, not from its time with the version: where all of a site have
    /// it, what is known of that time is mostly weather.
    pub(crate) fn grow_up(&mut self) {
        if self.young.take().is_some() {
            self.rows
                .iter_mut()
                .filter(|row| !row.open)
                .for_each(Row::forget);
        }
    }
}

/// A day that is over.
struct Close {
    day: u32,
    today: f32,
    follows: bool,
    ready: bool,
    thin: f64,
    days: u16,
    learns: bool,
    matters: f64,
    /// The variance that sampling alone makes.
    floor: f64,
}

/// The variance of a mean of so many inferences. One of them more or less is chance however rare it is.
fn sampling(each: f64, inferences: f32) -> f64 {
    let n = f64::from(inferences.max(1.0));
    each / n + (n * n).recip()
}

impl Row {
    fn close(&mut self, close: &Close, pool: &mut Pool) -> Option<Shown> {
        let stays = pool.stays();
        let own = f64::from(close.days.saturating_sub(1));
        let square = pool.innovation().map(|pooled| {
            let learned =
                close.thin * (PRIOR * pooled + own * f64::from(self.square)) / (PRIOR + own);
            learned
                .max(close.floor)
                .max((close.matters * FLOOR).powi(2))
        });
        let today = f64::from(close.today);
        let innovation = if close.follows {
            today - stays * f64::from(self.last)
        } else {
            today
        };
        let mut shown = None;
        if let (true, Some(square)) = (close.ready, square) {
            let alone = square / (1.0 - stays * stays);
            let news = News {
                innovation,
                fresh: if close.follows { 1.0 - stays } else { 1.0 },
                scale: if close.follows { square } else { alone }.sqrt(),
                known: PRIOR + own,
                // What is usual was learned too: it may be off by as much.
                borne: 0.5 * close.matters
                    + (square / f64::from(close.days.clamp(1, LAST))).sqrt() / (1.0 - stays),
            };
            self.evidence = self.evidence.after(close.day, &news, SHIFTS);
            let half = 1.96 * alone.sqrt();
            let effect = Deviation { value: today, half };
            shown = Some(Shown {
                strongest: self.evidence.strongest(),
                effect,
            });
        }
        if self.learns() && close.learns {
            if close.days >= 1 {
                let cap = if close.days > 7 {
                    (9.0 * self.square).max(1e-9)
                } else {
                    f32::INFINITY
                };
                let new = (innovation * innovation / close.thin) as f32;
                self.square += (new.min(cap) - self.square) / f32::from(close.days.min(60));
                let before = close.follows.then_some(self.last);
                pool.learn(close.today, before, new.min(cap).sqrt());
            }
            self.offset += close.today / f32::from((close.days + 1).min(LAST));
        }
        self.doubt = if self.open || self.learns() {
            0
        } else {
            self.doubt + 1
        };
        if self.doubt >= DOUBT_DAYS {
            self.forget();
        }
        self.level = 0.5 * (self.level + close.today);
        let usual = f64::from(self.level.abs()) < close.matters && today.abs() < close.matters;
        self.calm = if usual {
            self.calm.saturating_add(1)
        } else {
            0
        };
        self.last = close.today;
        shown
    }

    fn learns(&self) -> bool {
        !self.open && self.evidence.strongest().ln <= DOUBT
    }

    /// Evidence begins anew.
    pub(crate) fn forget(&mut self) {
        self.evidence = Evidence::default();
        (self.calm, self.open, self.level, self.doubt) = (0, false, 0.0, 0);
    }

    /// What it deviated by of late is usual from now on.
    pub(crate) fn accept(&mut self) {
        self.offset += self.level;
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::Row;

    /// What a device takes in memory, by column; a feature has three.
    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Row>() <= 48, "{}", size_of::<Row>());
    }
}

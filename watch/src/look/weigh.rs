//! Whether evidence is enough and an effect is large enough, over all that is watched at once.
//!
//! The false alarms that are borne are split by fixed parts over versions, the fleet, sites and devices, then evenly
//! over kinds, and over columns and places. That an e-detector over part p reaches c/p has a mean time of c at least,
//! over all of them, whatever they have to do with each other.

use tern_stats::drift::{detector, many::discoveries};

use super::{FRESH, attribute::Part};
use crate::{
    Watch,
    column::{Column, KINDS, Kind},
    finding::{Finding, Moved, Place, same_matter},
    hour::Hour,
    state::Candidate,
};

/// Looks a day at which evidence can be enough.
const LOOKS: f64 = 4.0 * 365.0;

/// Versions a year that are allowed for; more make false alarms of versions as much more frequent.
const VERSIONS: f64 = 12.0;

/// Parts of the false alarms that are borne: of versions, of the fleet, of sites, of devices.
const PARTS: [f64; 4] = [0.1, 0.25, 0.4, 0.25];

/// The false discovery rate of columns that are named beside the one that made the alarm.
const NAMED: f64 = 0.05;

/// By how much more a place has to move than a larger one that it is part of, as a share: sites and devices do not all
/// answer alike to what happens to all.
const SHADOW: f64 = 0.5;

impl Watch {
    /// What has to be reached, as natural logarithm.
    pub(super) fn wanted(&self, place: Place, kind: Kind) -> f64 {
        let columns = self.layout.of_kind(kind).max(1) as f64 * KINDS.len() as f64;
        let years = self.settings.years.max(1e-3);
        let (steps, places, part) = match place {
            // Each version is asked once, not at every step.
            Place::Version(_) => (years * VERSIONS, 1.0, PARTS[0]),
            Place::Fleet => (years * LOOKS, 1.0, PARTS[1]),
            Place::Site(_) => (
                years * LOOKS,
                self.state.sites.len().max(1) as f64,
                PARTS[2],
            ),
            // Devices are looked at once a day.
            Place::Device(_) => (
                years * LOOKS / 4.0,
                self.state.devices.len().max(1) as f64,
                PARTS[3],
            ),
        };
        detector::threshold(steps, part / (columns * places))
    }

    pub(super) fn is_enough(&self, place: Place, kind: Kind, candidate: &Candidate) -> bool {
        candidate.ln >= self.wanted(place, kind)
    }

    /// Whether it moved by enough to matter, beyond what it is part of.
    pub(super) fn is_large(&self, place: Place, column: u16, candidate: &Candidate) -> bool {
        let own = self.layout.columns()[usize::from(column)];
        let wanted = f64::from(self.layout.matters()[usize::from(column)]);
        let mut beyond = 0.0_f64;
        for finding in self
            .state
            .findings
            .iter()
            .filter(|finding| finding.kind == own.kind())
        {
            let related = finding
                .moved
                .iter()
                .filter(|moved| same_matter(moved.column, own));
            let largest = related
                .map(|moved| moved.effect.value.abs())
                .fold(0.0, f64::max);
            if largest <= 0.0 {
                continue;
            }
            for above in finding.places.iter().filter(|above| **above < place) {
                match self.part(place, *above) {
                    Part::None => {}
                    Part::Of => beyond = beyond.max(largest),
                    Part::Same => return false,
                }
            }
        }
        candidate.effect.least() > wanted + SHADOW * beyond
    }

    /// The columns of a kind that moved at a place, the largest effect first, and since when: those with enough
    /// evidence, and those that are named beside them (what all bettors have after k steps is k times an e-value; k is
    /// taken to be a year of looks).
    pub(super) fn moved(&self, place: Place, kind: Kind) -> (Vec<Moved>, Hour) {
        let at = |column: u16| self.state.candidates.get(&(place, column));
        let columns = self
            .layout
            .columns()
            .iter()
            .enumerate()
            .filter(|(_, column)| column.kind() == kind);
        let columns: Vec<(u16, Column)> =
            columns.map(|(at, column)| (at as u16, *column)).collect();
        let ln: Vec<f64> = columns
            .iter()
            .map(|(column, _)| at(*column).map_or(f64::NEG_INFINITY, |one| one.ln - LOOKS.ln()))
            .collect();
        let wanted = self.wanted(place, kind);
        let named = discoveries(&ln, NAMED);
        let mut since = u32::MAX;
        let mut moved = Vec::new();
        for (index, (column, what)) in columns.iter().enumerate() {
            let Some(candidate) = at(*column) else {
                continue;
            };
            if (candidate.ln >= wanted || named.contains(&index))
                && self.is_large(place, *column, candidate)
            {
                if candidate.ln >= wanted {
                    since = since.min(candidate.since);
                }
                moved.push(Moved {
                    column: *what,
                    effect: candidate.effect,
                    evidence: candidate.ln,
                });
            }
        }
        moved.sort_by(|a, b| {
            b.effect
                .least()
                .total_cmp(&a.effect.least())
                .then(a.column.cmp(&b.column))
        });
        (moved, Hour::first(since))
    }

    /// Certainty, samples and devices of a finding, and the order of its columns.
    pub(super) fn describe(&self, now: Hour, finding: &mut Finding) {
        finding.moved.sort_by(|a, b| {
            b.effect
                .least()
                .total_cmp(&a.effect.least())
                .then(a.column.cmp(&b.column))
        });
        let strongest = finding
            .moved
            .iter()
            .map(|one| one.evidence)
            .fold(f64::NEG_INFINITY, f64::max);
        if let Some(place) = finding.places.first() {
            finding.years = self.settings.years
                * (strongest - self.wanted(*place, finding.kind))
                    .min(200.0)
                    .exp();
        }
        let days = f64::from(now.day().saturating_sub(finding.since.day()).max(1));
        let (mut traffic, mut devices) = (0.0, 0);
        for (device, member) in &self.state.devices {
            let inside = finding.places.iter().any(|place| match place {
                Place::Version(version) => member.version == *version,
                Place::Fleet => true,
                Place::Site(site) => member.site == *site,
                Place::Device(wanted) => device == wanted,
            });
            if inside && member.through.day() + FRESH >= now.day() {
                devices += 1;
                // Of late: about ten days' worth.
                traffic += f64::from(member.traffic) / 10.0 * days;
            }
        }
        (finding.samples, finding.devices) = (traffic as u64, devices);
    }
}

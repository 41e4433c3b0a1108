//! What a version does to the devices that got it: each beside what it did before, and beside what others do that
//! keep theirs.
//!
//! The unit is the device: it counts once, with its mean change since it has the version. Where all of a site have it,
//! nothing tells its change from what happened there, so the site counts once. The evidence is a t-test's e-value
//! ([`tern_stats::drift::bets::ln_changes`]), once a day; their mean over all days to come is an e-value again.

use std::collections::BTreeMap;

use tern_protocol::id::ModelVersion;
use tern_stats::drift::{bets::ln_changes, tail::student_quantile};

use crate::{
    Watch,
    finding::{Effect, Place},
    fold::{Scored, SiteHour},
    hour::{Hour, Site},
    state::Candidate,
};

/// Weight of hours that a device has to have with its version to count.
const WEIGHT: f32 = 4.0;

/// Versions that are remembered.
const VERSIONS: usize = 16;

impl Watch {
    /// Counts what young devices do beside what would be usual.
    pub(crate) fn count_young<'a>(
        &mut self,
        hour: Hour,
        of_site: &SiteHour,
        middle: Option<&[f32]>,
        members: impl Iterator<Item = &'a Scored>,
    ) {
        let streams = self
            .state
            .sites
            .get(&of_site.site)
            .map_or(&[][..], |site| &site.streams);
        for one in members {
            let Some(member) = self.state.devices.get_mut(&one.device) else {
                continue;
            };
            let offsets: Vec<f32> = member.rows.iter().map(|row| row.offset).collect();
            let Some(young) = &mut member.young else {
                continue;
            };
            for (column, sum) in young.sums.iter_mut().enumerate() {
                let usual = if of_site.young {
                    let fleet = middle.map_or(0.0, |middle| middle[column]);
                    let fleet = if fleet.is_finite() { fleet } else { 0.0 };
                    streams
                        .get(column)
                        .and_then(|one| one.season.usual(hour.of_day(), hour.day()))
                        .map(|own| own + fleet)
                } else {
                    Some(of_site.middle[column])
                };
                let change = usual.map_or(f32::NAN, |usual| {
                    one.values[column] - offsets[column] - usual
                });
                if change.is_finite() {
                    *sum += one.weight * change;
                }
            }
            young.weight += one.weight;
            young.beside += if of_site.young { 0.0 } else { one.weight };
        }
    }

    /// A day is over: looks at all versions that are young somewhere, and lets those grow up that are not any more.
    pub(crate) fn judge_versions(&mut self, hour: Hour) {
        let mut units: BTreeMap<ModelVersion, Units> = BTreeMap::new();
        for member in self.state.devices.values() {
            let Some(young) = member.young.as_ref().filter(|young| young.weight >= WEIGHT) else {
                continue;
            };
            let of = units.entry(member.version).or_default();
            let changes = young.sums.iter().map(|sum| sum / young.weight).collect();
            of.since = of
                .since
                .map(|since: Hour| since.min(member.since))
                .or(Some(member.since));
            if young.beside * 2.0 >= young.weight {
                of.devices.push(changes);
            } else {
                of.sites.entry(member.site).or_default().push(changes);
            }
        }
        for (version, of) in units {
            self.judge_version(hour, version, of);
        }
        while self.state.versions.len() > VERSIONS {
            self.state.versions.pop_first();
        }
        let (days, findings) = (u32::from(self.settings.young_days), &self.state.findings);
        let open = |version| {
            findings
                .iter()
                .any(|one| one.places.contains(&Place::Version(version)))
        };
        for member in self.state.devices.values_mut() {
            let old = hour.0.saturating_sub(member.since.0) >= 24 * days;
            if member.young.is_some() && old && !open(member.version) {
                member.grow_up();
            }
        }
    }

    fn judge_version(&mut self, hour: Hour, version: ModelVersion, of: Units) {
        let Units {
            devices,
            sites,
            since,
        } = of;
        let since = since.unwrap_or(hour);
        let columns = self.layout.columns().len();
        let rollout = self.state.versions.entry(version).or_default();
        if rollout.sums.len() != columns {
            rollout.sums = vec![f32::NEG_INFINITY; columns];
            rollout.first = since;
        }
        if rollout.looks >= self.settings.young_days {
            // It came to other devices later: as a new one.
            (rollout.sums, rollout.looks) = (vec![f32::NEG_INFINITY; columns], 0);
        }
        rollout.looks += 1;
        let looks = f64::from(self.settings.young_days.max(1)).ln();
        for column in 0..columns {
            let mean = |rows: &Vec<Vec<f32>>| {
                rows.iter().map(|row| f64::from(row[column])).sum::<f64>() / rows.len() as f64
            };
            let alone = devices.iter().map(|row| f64::from(row[column]));
            let changes: Vec<f64> = alone.chain(sites.values().map(mean)).collect();
            let Some((ln, effect)) = judge(&changes) else {
                continue;
            };
            let sum = &mut rollout.sums[column];
            let larger = f64::from(*sum).max(ln);
            *sum = (larger + ((f64::from(*sum) - larger).exp() + (ln - larger).exp()).ln()) as f32;
            let candidate = Candidate {
                at: hour,
                since: since.day(),
                ln: f64::from(*sum) - looks,
                effect,
            };
            self.state
                .candidates
                .insert((Place::Version(version), column as u16), candidate);
        }
    }
}

/// Changes by column: of devices beside others, and of sites where all have the version.
#[derive(Default)]
struct Units {
    devices: Vec<Vec<f32>>,
    sites: BTreeMap<Site, Vec<Vec<f32>>>,
    since: Option<Hour>,
}

/// Evidence that changes are not about 0, and their mean; `None` of fewer than three.
fn judge(changes: &[f64]) -> Option<(f64, Effect)> {
    let n = changes.len() as f64;
    if changes.len() < 3 {
        return None;
    }
    let mean = changes.iter().sum::<f64>() / n;
    let deviation =
        (changes.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let half = student_quantile(1.96, n - 1.0) * deviation / n.sqrt();
    let effect = Effect {
        value: mean,
        low: mean - half,
        high: mean + half,
    };
    mean.is_finite()
        .then(|| (ln_changes(changes.len() as u64, mean, deviation), effect))
}

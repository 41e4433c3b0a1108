//! Whose labels deviate from what the others say at the same sites.
//!
//! Somebody who mistakes a six for a five, a file that was imported with a column shifted, somebody who means harm: their
//! labels contradict both models where labels of others do not, or find that one model is better where others find that
//! it is not. Sites differ and each source may know other sites, so a source is compared with the others site by site
//! and nowhere else. Of a site that only one source knows nothing is said.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use tern_protocol::id::SiteName;
use tern_stats::{
    drift::{many::refuted, tail::chi_square},
    truth::mean::WeightedMean,
};

use super::paired::Row;
use crate::policy::Bounds;

/// The chance, at most, that any source is named although none deviates.
const ALPHA: f64 = 0.01;

/// Sources that are named.
const NAMED_MAX: usize = 16;

/// Samples of a source at a site below which they are not compared there.
const SITE_MIN: u64 = 5;

/// A source of labels that deviates from the others.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// Who.
    #[n(0)]
    pub name: String,
    /// Its labels at sites that others know as well.
    #[n(1)]
    pub n: u64,
    /// Labels of the others there.
    #[n(2)]
    pub others: u64,
    /// By how much more often it contradicts both models than the others do; of numbers, by how much farther it is from
    /// the nearer of both, in shares of the champion's mean error.
    #[n(3)]
    pub contradicts: f64,
    /// By how much better it finds the challenger than the others do.
    #[n(4)]
    pub favours: f64,
}

/// What one source and the others say at one site.
#[derive(Default)]
struct Cell {
    /// Losses of the better of both.
    contradicts: WeightedMean,
    favours: WeightedMean,
}

/// A difference between a source and the others, with its deviation.
#[derive(Default, Clone, Copy)]
struct Apart {
    value: f64,
    z: f64,
}

/// Sources that deviate, the most first. The one that deviates most is taken out and the rest is looked at again: beside
/// one that is wrong the others look wrong as well.
pub(super) fn deviating(rows: &[Row<'_>], bounds: &Bounds) -> Vec<Source> {
    let mean: WeightedMean = {
        let mut mean = WeightedMean::default();
        for row in rows {
            mean.add(row.champion, row.weight.recip());
        }
        mean
    };
    // Of classes losses are shares already.
    let classes = rows
        .iter()
        .all(|row| matches!(row.sample.answers, super::Answers::Class { .. }));
    let unit = if classes {
        1.0
    } else {
        mean.mean().filter(|mean| *mean > 0.0).unwrap_or(1.0)
    };
    let mut named: Vec<Source> = Vec::new();
    while named.len() < NAMED_MAX {
        let Some(next) = most(rows, unit, bounds, &named) else {
            break;
        };
        named.push(next);
    }
    named
}

/// Labels that can be held against no other source's at the same site.
pub(super) fn unchecked(rows: &[Row<'_>]) -> u64 {
    let mut sites: BTreeMap<Option<&SiteName>, (BTreeSet<&str>, u64)> = BTreeMap::new();
    for row in rows {
        let (sources, n) = sites.entry(row.sample.site.as_ref()).or_default();
        sources.extend(row.sample.source.as_deref());
        *n += 1;
    }
    let alone = sites.values().filter(|(sources, _)| sources.len() < 2);
    alone.map(|(_, n)| n).sum()
}

/// The one that deviates most among those that are not named yet, if any does.
fn most(rows: &[Row<'_>], unit: f64, bounds: &Bounds, named: &[Source]) -> Option<Source> {
    let mut cells: BTreeMap<&str, BTreeMap<Option<&SiteName>, Cell>> = BTreeMap::new();
    for row in rows {
        let Some(source) = row.sample.source.as_deref() else {
            continue;
        };
        if named.iter().any(|one| one.name == source) {
            continue;
        }
        let cell = cells
            .entry(source)
            .or_default()
            .entry(row.sample.site.as_ref())
            .or_default();
        let kept = row.weight.recip();
        cell.contradicts
            .add(row.champion.min(row.challenger) / unit, kept);
        cell.favours.add(row.gain() / unit, kept);
    }
    let names: Vec<&str> = cells.keys().copied().collect();
    let looks: Vec<(u64, u64, Apart, Apart)> =
        names.iter().map(|name| look(&cells, name)).collect();
    let chance = |apart: &Apart| chi_square(apart.z * apart.z, 1);
    let p: Vec<f64> = looks
        .iter()
        .flat_map(|(n, others, contradicts, favours)| {
            let enough = (*n).min(*others) >= bounds.slice_samples;
            // One that agrees with the models more than others do is none to doubt.
            let contradicts = if contradicts.value > 0.0 {
                chance(contradicts)
            } else {
                1.0
            };
            if enough {
                [contradicts, chance(favours)]
            } else {
                [f64::NAN; 2]
            }
        })
        .collect();
    let least = bounds.source.of_one();
    let mut found: BTreeSet<usize> = BTreeSet::new();
    for at in refuted(&p, ALPHA) {
        let (_, _, contradicts, favours) = looks[at / 2];
        let apart = if at.is_multiple_of(2) {
            contradicts
        } else {
            favours
        };
        if apart.value.abs() >= least {
            found.insert(at / 2);
        }
    }
    let strength = |at: &usize| looks[*at].2.z.max(0.0).max(looks[*at].3.z.abs());
    let at = found
        .into_iter()
        .max_by(|a, b| strength(a).total_cmp(&strength(b)))?;
    let (n, others, contradicts, favours) = looks[at];
    Some(Source {
        name: names[at].to_string(),
        n,
        others,
        contradicts: contradicts.value,
        favours: favours.value,
    })
}

/// One source against the others, site by site.
fn look(
    cells: &BTreeMap<&str, BTreeMap<Option<&SiteName>, Cell>>,
    name: &str,
) -> (u64, u64, Apart, Apart) {
    let (mut n, mut others_n) = (0, 0);
    let (mut contradicts, mut favours) = (Sums::default(), Sums::default());
    for (site, mine) in &cells[name] {
        let mut others = Cell::default();
        for (_, of) in cells.iter().filter(|(other, _)| **other != name) {
            if let Some(cell) = of.get(site) {
                others.contradicts.merge(&cell.contradicts);
                others.favours.merge(&cell.favours);
            }
        }
        if mine.favours.n.min(others.favours.n) < SITE_MIN {
            continue;
        }
        n += mine.favours.n;
        others_n += others.favours.n;
        contradicts.add(&mine.contradicts, &others.contradicts);
        favours.add(&mine.favours, &others.favours);
    }
    (n, others_n, contradicts.apart(), favours.apart())
}

/// Differences at sites, each counted by as many as are compared there.
#[derive(Default)]
struct Sums {
    weights: f64,
    differences: f64,
    variances: f64,
}

impl Sums {
    fn add(&mut self, mine: &WeightedMean, others: &WeightedMean) {
        let (Some(here), Some(there)) = (mine.mean(), others.mean()) else {
            return;
        };
        let (a, b) = (mine.n as f64, others.n as f64);
        let weight = a * b / (a + b);
        self.weights += weight;
        self.differences += weight * (here - there);
        self.variances += weight * weight * (variance(mine) + variance(others));
    }

    fn apart(&self) -> Apart {
        if self.weights <= 0.0 {
            return Apart::default();
        }
        let deviation = self.variances.sqrt() / self.weights;
        let value = self.differences / self.weights;
        Apart {
            value,
            z: if deviation > 0.0 {
                value / deviation
            } else {
                0.0
            },
        }
    }
}

/// That of a mean, never less than that of one odd answer among as many and two more: few that all agree prove little.
fn variance(mean: &WeightedMean) -> f64 {
    let half = mean
        .estimate(1.0)
        .map_or(1.0, |one| 0.5 * (one.high - one.low));
    half.powi(2).max((mean.n as f64 + 2.0).powi(-2))
}

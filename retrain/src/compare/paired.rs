//! By how much one is better than the other on the same samples, with an interval.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use tern_protocol::id::DeviceId;
use tern_stats::{
    drift::tail::{chi_square, student_quantile},
    interval::Z_95,
    truth::weight,
};

use super::{Answers, Sample};

/// By how much the challenger is better, with a 95 % interval: in points of accuracy from -1 to 1, or in shares of the
/// champion's mean absolute error. Below 0 it is worse.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// By how much.
    #[n(0)]
    pub value: f64,
    /// Lower end.
    #[n(1)]
    pub low: f64,
    /// Upper end.
    #[n(2)]
    pub high: f64,
    /// Samples.
    #[n(3)]
    pub n: u64,
    /// Devices that they are of; as many as samples where that is not known.
    #[n(4)]
    pub devices: u64,
    /// The champion's mean loss: its share of wrong answers, or its mean absolute error.
    #[n(5)]
    pub champion: f64,
    /// The challenger's.
    #[n(6)]
    pub challenger: f64,
}

impl Difference {
    /// The chance to see as much harm, or more, if there is none.
    pub fn p_worse(&self) -> f64 {
        let half = 0.5 * (self.high - self.low);
        if half <= 0.0 {
            return if self.value < 0.0 { 0.0 } else { 1.0 };
        }
        let tail = 0.5 * chi_square((self.value / half * Z_95).powi(2), 1);
        if self.value < 0.0 { tail } else { 1.0 - tail }
    }
}

/// A sample that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) sample: &'a Sample,
    pub(super) weight: f64,
    /// The champion's loss.
    pub(super) champion: f64,
    /// The challenger's.
    pub(super) challenger: f64,
    /// What differences are measured in: 1, or the champion's loss.
    unit: f64,
    /// Whether losses are 0 or 1.
    shares: bool,
}

impl Row<'_> {
    /// By how much the challenger is better.
    pub(super) fn gain(&self) -> f64 {
        self.champion - self.challenger
    }
}

/// Samples that count. One whose chance to be kept is not known would stand for nobody knows how many, and one of
/// which a number is none says nothing; but a challenger that answers no number was as wrong as can be told: it counts
/// as far off as the truth and the champion's answer are large, twice.
pub(super) fn rows(samples: &[Sample]) -> Vec<Row<'_>> {
    samples.iter().filter_map(row).collect()
}

fn row(sample: &Sample) -> Option<Row<'_>> {
    let weight = weight(sample.probability)?;
    let (champion, challenger, unit, shares) = match sample.answers {
        Answers::Class {
            truth,
            champion,
            challenger,
        } => {
            let loss = |said: u16| f64::from(u8::from(said != truth));
            (loss(champion), loss(challenger), 1.0, true)
        }
        Answers::Number {
            truth,
            champion,
            challenger,
        } => {
            if !truth.is_finite() || !champion.is_finite() {
                return None;
            }
            let off = (champion - truth).abs();
            let far = if challenger.is_finite() {
                (challenger - truth).abs()
            } else {
                2.0 * (truth.abs() + off)
            };
            (off, far, off, false)
        }
    };
    Some(Row {
        sample,
        weight,
        champion,
        challenger,
        unit,
        shares,
    })
}

/// By how much the challenger is better; `None` with fewer than two samples, and where the champion is never off by
/// anything, so that there is nothing to measure in.
///
/// A ratio of weighted sums with the variance between devices (W. G. Cochran, "Sampling techniques", 3rd ed., 1977, 9.6;
/// C.-E. Särndal, B. Swensson and J. Wretman, "Model assisted survey sampling", 1992, 5.7), with Student's quantile for
/// as many devices as there effectively are (L. Kish, "Survey sampling", 1965). Of classes it is never narrower than the
/// interval of A. Agresti and Y. Min, "Effects and non-effects of paired identical observations in comparing proportions
/// with binary matched-pairs data", Statistics in Medicine 23(1), 2004, which adds half an answer of each sort: where
/// both always say the same, the variance alone would claim to know everything.
pub(super) fn difference(rows: &[Row<'_>]) -> Option<Difference> {
    let n = rows.len() as u64;
    let sum =
        |of: &dyn Fn(&Row<'_>) -> f64| rows.iter().map(|row| row.weight * of(row)).sum::<f64>();
    let weights = sum(&|_| 1.0);
    let unit = sum(&|row| row.unit);
    if n < 2 || !unit.is_finite() || unit <= 0.0 {
        return None;
    }
    let value = sum(&|row| row.gain()) / unit;
    let mut devices: BTreeMap<&DeviceId, (f64, f64)> = BTreeMap::new();
    let mut alone: Vec<(f64, f64)> = Vec::new();
    for row in rows {
        let residual = row.weight * (row.gain() - value * row.unit);
        match &row.sample.device {
            Some(device) => {
                let sums = devices.entry(device).or_default();
                *sums = (sums.0 + residual, sums.1 + row.weight);
            }
            None => alone.push((residual, row.weight)),
        }
    }
    // Of one device alone nobody knows how devices differ; then its samples are all there is.
    let clusters: Vec<(f64, f64)> = if devices.len() + alone.len() < 2 {
        let each = rows
            .iter()
            .map(|row| (row.weight * (row.gain() - value * row.unit), row.weight));
        each.collect()
    } else {
        devices.into_values().chain(alone).collect()
    };
    let squares: f64 = clusters.iter().map(|(_, weight)| weight * weight).sum();
    let effective = weights * weights / squares;
    let freedom = (effective - 1.0).max(1.0);
    let spread: f64 = clusters
        .iter()
        .map(|(residual, _)| residual * residual)
        .sum();
    let deviation = (spread * (effective / freedom).max(1.0)).sqrt() / unit;
    let mut half = student_quantile(Z_95, freedom) * deviation;
    if rows.iter().all(|row| row.shares) {
        half = half.max(Z_95 * agresti_min(rows, weights));
    }
    Some(Difference {
        value,
        low: value - half,
        high: value + half,
        n,
        devices: clusters.len() as u64,
        champion: sum(&|row| row.champion) / weights,
        challenger: sum(&|row| row.challenger) / weights,
    })
}

/// The deviation of a difference of two paired shares, with half an answer of each sort added.
fn agresti_min(rows: &[Row<'_>], weights: f64) -> f64 {
    let squares: f64 = rows.iter().map(|row| row.weight * row.weight).sum();
    let n = weights * weights / squares;
    let share = |of: &dyn Fn(&Row<'_>) -> bool| {
        let some = rows.iter().filter(|row| of(row)).map(|row| row.weight);
        some.sum::<f64>() / weights
    };
    let whole = n + 2.0;
    let better = (n * share(&|row| row.gain() > 0.5) + 0.5) / whole;
    let worse = (n * share(&|row| row.gain() < -0.5) + 0.5) / whole;
    ((better + worse - (better - worse).powi(2)).max(0.0) / whole).sqrt()
}

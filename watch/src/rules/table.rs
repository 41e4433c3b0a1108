//! Rows of a place as histograms, and how rules compare them.

use tern_stats::drift::distance::{Distance, chi_square, distance};

use super::Rule;
use crate::hour::DeviceHour;

/// Cells of each feature: under, sixteen bins from -3.5 to 3.5, over.
const CELLS: usize = 18;
const LOW: f64 = -3.5;
const WIDTH: f64 = 7.0 / 16.0;

/// Rows of the reference up to which Evidently tests, and above which it measures.
const FEW: f64 = 1_000.0;

/// Counts by column: the features, and last the predicted classes.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    features: Vec<[f64; CELLS]>,
    classes: Vec<u64>,
}

impl Table {
    /// Adds a device's hour. Counts on other bins are spread evenly over these.
    pub(super) fn add(&mut self, hour: &DeviceHour) {
        self.features
            .resize(hour.features.len().max(self.features.len()), [0.0; CELLS]);
        for (cells, counts) in self.features.iter_mut().zip(&hour.features) {
            let bins = counts.0.len().saturating_sub(3);
            if bins == 0 {
                continue;
            }
            cells[0] += counts.0[0] as f64;
            cells[CELLS - 1] += counts.0[bins + 1] as f64;
            let wide = (CELLS - 2) as f64 / bins as f64;
            for (bin, count) in counts.0[1..=bins].iter().enumerate() {
                let (from, to) = (bin as f64 * wide, (bin + 1) as f64 * wide);
                for cell in from as usize..(to.ceil() as usize).min(CELLS - 2) {
                    let part = (to.min((cell + 1) as f64) - from.max(cell as f64)).max(0.0) / wide;
                    cells[cell + 1] += part * *count as f64;
                }
            }
        }
        self.classes
            .resize(hour.classes.len().max(self.classes.len()), 0);
        for (sum, count) in self.classes.iter_mut().zip(&hour.classes) {
            *sum += count;
        }
    }

    /// Rows.
    pub(super) fn rows(&self) -> u64 {
        self.classes.iter().sum()
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.features
            .resize(other.features.len().max(self.features.len()), [0.0; CELLS]);
        for (cells, other) in self.features.iter_mut().zip(&other.features) {
            for (sum, count) in cells.iter_mut().zip(other) {
                *sum += count;
            }
        }
        self.classes
            .resize(other.classes.len().max(self.classes.len()), 0);
        for (sum, count) in self.classes.iter_mut().zip(&other.classes) {
            *sum += count;
        }
    }

    /// Which columns of a day drifted from this reference; none without rows.
    pub(super) fn drifts(&self, today: &Self, rule: Rule) -> Vec<bool> {
        let features = self.features.iter().zip(&today.features);
        let features = features.filter_map(|(reference, today)| feature(rule, reference, today));
        features
            .chain(classes(rule, &self.classes, &today.classes))
            .collect()
    }
}

fn feature(rule: Rule, reference: &[f64; CELLS], today: &[f64; CELLS]) -> Option<bool> {
    let (n, m): (f64, f64) = (reference.iter().sum(), today.iter().sum());
    if n < 1.0 || m < 1.0 {
        return None;
    }
    let whole = |cells: &[f64; CELLS]| cells.map(|count| count.round() as u64);
    Some(match rule {
        Rule::Psi => distance(Distance::Psi, &whole(reference), &whole(today)).ok()? > 0.2,
        Rule::Evidently if n <= FEW => {
            let gap = distance(
                Distance::KolmogorovSmirnov,
                &whole(reference),
                &whole(today),
            )
            .ok()?;
            kolmogorov(gap * (n * m / (n + m)).sqrt()) < 0.05
        }
        Rule::Evidently => wasserstein(reference, today) / deviation(reference).max(0.001) >= 0.1,
    })
}

fn classes(rule: Rule, reference: &[u64], today: &[u64]) -> Option<bool> {
    let n: u64 = reference.iter().sum();
    Some(match rule {
        Rule::Psi => distance(Distance::Psi, reference, today).ok()? > 0.2,
        Rule::Evidently if n as f64 <= FEW => chi_square(reference, today).ok()?.p < 0.05,
        // In nats, as there; ours is in bits.
        Rule::Evidently => {
            distance(Distance::JensenShannon, reference, today).ok()?
                * std::f64::consts::LN_2.sqrt()
                >= 0.1
        }
    })
}

/// The area between two cumulative curves, values spread evenly in their bins.
fn wasserstein(reference: &[f64; CELLS], today: &[f64; CELLS]) -> f64 {
    let (n, m): (f64, f64) = (reference.iter().sum(), today.iter().sum());
    let (mut gap, mut area) = (0.0_f64, 0.0);
    for (cell, (a, b)) in reference.iter().zip(today).enumerate() {
        let next = gap + a / n - b / m;
        // What is beside all bins is taken to be at the nearest edge.
        if (1..CELLS - 1).contains(&cell) {
            area += WIDTH
                * if gap * next >= 0.0 {
                    0.5 * (gap.abs() + next.abs())
                } else {
                    0.5 * (gap * gap + next * next) / (gap.abs() + next.abs())
                };
        }
        gap = next;
    }
    area
}

fn deviation(cells: &[f64; CELLS]) -> f64 {
    let middle = |cell: usize| LOW + WIDTH * (cell as f64 - 0.5).clamp(0.0, (CELLS - 2) as f64);
    let n: f64 = cells.iter().sum();
    let mean = cells
        .iter()
        .enumerate()
        .map(|(cell, count)| middle(cell) * count)
        .sum::<f64>()
        / n;
    let square = cells
        .iter()
        .enumerate()
        .map(|(cell, count)| (middle(cell) - mean).powi(2) * count)
        .sum::<f64>()
        / n;
    (square + WIDTH * WIDTH / 12.0).sqrt()
}

/// The chance that Kolmogorov's distribution is as large (A. Kolmogorov, 1933).
fn kolmogorov(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0;
    }
    let terms = (1..100).map(|k| {
        let k = f64::from(k);
        let sign = if k as u32 % 2 == 1 { 2.0 } else { -2.0 };
        sign * (-2.0 * k * k * x * x).exp()
    });
    terms.sum::<f64>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_by_one_bin_is_as_far_as_a_bin_is_wide() {
        let (mut a, mut b) = ([0.0; CELLS], [0.0; CELLS]);
        (a[5], b[6]) = (10.0, 30.0);
        assert!((wasserstein(&a, &b) - WIDTH).abs() < 1e-9);
        assert!((wasserstein(&a, &a)).abs() < 1e-9);
        assert!((deviation(&a) - WIDTH / 12.0_f64.sqrt()).abs() < 1e-9);
        assert!((kolmogorov(1.358) - 0.05).abs() < 1e-3);
    }
}

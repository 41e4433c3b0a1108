//! Values as ranks in a reference: how a histogram becomes two numbers between 0 and 1 that move when it does.
//!
//! The ridit of a bin is the share of the reference below it, and half of the share in it (I. Bross, "How to use ridit
//! analysis", Biometrics 14(1), 1958). The mean ridit of other values is the chance that one of them is larger than
//! one of the reference, ties split: a half where nothing moved, and an effect size that needs no unit and no shape
//! (K. McGraw and S. Wong, "A common language effect size statistic", 1992). A shift by half a standard deviation of a
//! normal distribution is 0.64. The mean distance of ridits from the middle, doubled, is a half as well where nothing
//! moved; it sees what becomes wider or narrower in place.
//!
//! Must never break: bins of another version's reference are read on the scale of this one, so that a new version's
//! bins do not look like a change of the world.

use tern_protocol::profile::FeatureReference;

/// The scale of one feature: the cumulative shares of its reference at its edges.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    edges: Vec<f64>,
    /// Share of the reference below each edge.
    below: Vec<f64>,
}

/// Where values lie on a [`Scale`] in the mean, both from 0 to 1 and a half where they lie as the reference does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The chance that a value is larger than one of the reference.
    pub location: f64,
    /// Twice the mean distance of ridits from the middle.
    pub spread: f64,
}

impl Scale {
    /// The scale of a reference; `None` if its edges do not rise, are not one more than its counts, or nothing is
    /// counted.
    pub fn new(feature: &FeatureReference) -> Option<Self> {
        let edges: Vec<f64> = feature.edges.iter().map(|edge| f64::from(*edge)).collect();
        let rise = edges.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = edges.iter().all(|edge| edge.is_finite());
        let whole = feature
            .counts
            .iter()
            .map(|count| *count as f64)
            .sum::<f64>();
        if !rise
            || !finite
            || edges.len() < 2
            || feature.counts.len() + 1 != edges.len()
            || whole <= 0.0
        {
            return None;
        }
        let mut sum = 0.0;
        let mut below = vec![0.0];
        for count in &feature.counts {
            sum += *count as f64;
            below.push(sum / whole);
        }
        Some(Self { edges, below })
    }

    /// Share of the reference below a value, linear inside a bin.
    fn at(&self, value: f64) -> f64 {
        let next = self.edges.partition_point(|edge| *edge <= value);
        if next == 0 {
            return 0.0;
        }
        if next == self.edges.len() {
            return 1.0;
        }
        let (left, right) = (self.edges[next - 1], self.edges[next]);
        let part = (value - left) / (right - left);
        self.below[next - 1] + part * (self.below[next] - self.below[next - 1])
    }

    /// The place of values in each of a histogram's bins (under, bins, over) whose edges are these. Those beside all
    /// edges are at the ends of the scale.
    pub fn places(&self, edges: &[f32]) -> Vec<Place> {
        let bin = |pair: &[f32]| self.between(f64::from(pair[0]), f64::from(pair[1]));
        let (under, over) = (
            Place {
                location: 0.0,
                spread: 1.0,
            },
            Place {
                location: 1.0,
                spread: 1.0,
            },
        );
        let bins = edges.windows(2).map(bin);
        std::iter::once(under).chain(bins).chain([over]).collect()
    }

    /// The mean place of values between two: on own bins that is exact, since the ridit of a bin is the mean of its
    /// ends; on others as if values were spread evenly in their bin.
    fn between(&self, low: f64, high: f64) -> Place {
        let (a, b) = (self.at(low), self.at(high));
        let spread = |ridit: f64| (2.0 * ridit - 1.0).abs();
        let spread = if (2.0 * a - 1.0) * (2.0 * b - 1.0) < 0.0 {
            // On both sides of the middle: two triangles.
            let (left, right) = (0.5 - a, b - 0.5);
            (left * left + right * right) / (left + right)
        } else {
            0.5 * (spread(a) + spread(b))
        };
        Place {
            location: 0.5 * (a + b),
            spread,
        }
    }

    /// The mean place of counts (under, bins, over; what follows, such as missing values, is not looked at) whose bins
    /// have these places; `None` without counts.
    pub fn mean(places: &[Place], counts: &[u64]) -> Option<Place> {
        let (mut n, mut location, mut spread) = (0.0, 0.0, 0.0);
        for (place, count) in places.iter().zip(counts) {
            let count = *count as f64;
            n += count;
            location += count * place.location;
            spread += count * place.spread;
        }
        (n > 0.0).then(|| Place {
            location: location / n,
            spread: spread / n,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(edges: &[f32], counts: &[u64]) -> FeatureReference {
        FeatureReference {
            name: "x".into(),
            edges: edges.to_vec(),
            counts: counts.to_vec(),
            missing: 0,
            by_class: Vec::new(),
        }
    }

    #[test]
    fn the_reference_is_in_the_middle_of_its_own_scale_and_of_finer_bins_too() {
        let scale = Scale::new(&feature(&[0.0, 1.0, 2.0, 4.0], &[10, 60, 30])).unwrap();
        let places = scale.places(&[0.0, 1.0, 2.0, 4.0]);
        let own = Scale::mean(&places, &[0, 10, 60, 30, 0, 7]).unwrap();
        assert!((own.location - 0.5).abs() < 1e-12 && (own.spread - 0.5).abs() < 1e-12);
        let fine = scale.places(&[0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0]);
        let same = Scale::mean(&fine, &[0, 5, 5, 30, 30, 15, 15, 0]).unwrap();
        assert!((same.location - 0.5).abs() < 1e-12 && (same.spread - 0.5).abs() < 1e-12);
        let above = Scale::mean(&places, &[0, 0, 0, 0, 9]).unwrap();
        assert!((above.location - 1.0).abs() < 1e-12 && (above.spread - 1.0).abs() < 1e-12);
        let stuck = Scale::mean(&places, &[0, 0, 100, 0, 0]).unwrap();
        assert!(stuck.spread < 0.4);
        assert_eq!(Scale::mean(&places, &[]), None);
    }

    #[test]
    fn what_is_no_reference_has_no_scale() {
        for (edges, counts) in [
            (&[0.0, 1.0][..], &[0][..]),
            (&[0.0], &[]),
            (&[1.0, 1.0], &[4]),
            (&[0.0, f32::NAN], &[4]),
            (&[0.0, 1.0], &[4, 5]),
        ] {
            assert_eq!(Scale::new(&feature(edges, counts)), None, "{edges:?}");
        }
    }
}

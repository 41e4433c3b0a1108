//! Metrics that a bundle declares, as they are counted, merged and read.
//!
//! Called by the agent (counts), the hub (checks, merges, draws). Must never break: what a metric came to does not
//! depend on the order in which its values came or its windows were merged; what a device says of a metric that is
//! declared otherwise is never merged with what others say.

use tern_protocol::metric::{MetricCounts, MetricKind, MetricSpec, Range, Sum};

use crate::histogram::{Edges, EdgesError};

/// A declared metric, ready to count.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    spec: MetricSpec,
    /// Of a histogram.
    edges: Option<Edges>,
}

impl Metric {
    /// One that is declared without a problem.
    pub fn new(spec: &MetricSpec) -> Result<Self, EdgesError> {
        let edges = match spec.kind {
            MetricKind::Histogram => Some(Edges::new(spec.bins.clone())?),
            MetricKind::Counter | MetricKind::Gauge => None,
        };
        Ok(Self {
            spec: spec.clone(),
            edges,
        })
    }

    /// Its declaration.
    pub fn spec(&self) -> &MetricSpec {
        &self.spec
    }

    /// What it came to without any value.
    pub fn nothing(&self) -> MetricCounts {
        MetricCounts {
            name: self.spec.name.clone(),
            kind: self.spec.kind,
            count: 0,
            sum: Sum::default(),
            range: None,
            bins: vec![0; self.bins()],
            refused: 0,
        }
    }

    /// Counts: those under its bins and over them with them.
    fn bins(&self) -> usize {
        self.edges.as_ref().map_or(0, |edges| edges.bins() + 2)
    }

    /// Adds a value; whether it could be taken.
    pub fn count(&self, counts: &mut MetricCounts, value: f64) -> bool {
        let sum = Sum::of(value)
            .filter(|sum| self.spec.kind != MetricKind::Counter || !sum.is_negative());
        let Some(sum) = sum else {
            counts.refused = counts.refused.saturating_add(1);
            return false;
        };
        counts.count = counts.count.saturating_add(1);
        counts.sum = counts.sum.plus(sum);
        if self.spec.kind != MetricKind::Counter {
            let one = Range {
                min: value,
                max: value,
            };
            counts.range = wider(counts.range, Some(one));
        }
        if let Some(edges) = &self.edges
            && let Some(bin) = counts.bins.get_mut(edges.place(value as f32))
        {
            *bin = bin.saturating_add(1);
        }
        true
    }

    /// Whether these counts are of this metric, and of its form.
    pub fn is_of(&self, counts: &MetricCounts) -> bool {
        let finite = |range: Range| range.min.is_finite() && range.max.is_finite();
        counts.name == self.spec.name
            && counts.kind == self.spec.kind
            && counts.bins.len() == self.bins()
            && counts.range.is_none_or(finite)
            && !(counts.kind == MetricKind::Counter && counts.sum.is_negative())
    }

    /// The value below which a share `q` (0 to 1) lies, taken from its bins and what is between their edges as even;
    /// never beside the least and the most that there was. `None` without values, and without bins.
    pub fn quantile(&self, counts: &MetricCounts, q: f64) -> Option<f64> {
        let edges = self.edges.as_ref()?.as_slice();
        let range = counts.range?;
        let total: u64 = counts
            .bins
            .iter()
            .fold(0, |sum, bin| sum.saturating_add(*bin));
        if total == 0 {
            return None;
        }
        let wanted = q.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (place, bin) in counts.bins.iter().enumerate() {
            let within = *bin as f64;
            if within > 0.0 && below + within >= wanted {
                let low = place
                    .checked_sub(1)
                    .and_then(|edge| edges.get(edge))
                    .map_or(range.min, |edge| f64::from(*edge));
                let high = edges.get(place).map_or(range.max, |edge| f64::from(*edge));
                let share = (wanted - below) / within;
                let value = low + (high - low) * share;
                return Some(value.clamp(range.min, range.max));
            }
            below += within;
        }
        Some(range.max)
    }
}

/// Whether two lists are of the same metrics, so that [`merge_all`] is exact; nothing goes with anything.
pub fn all_fit(a: &[MetricCounts], b: &[MetricCounts]) -> bool {
    let same = |(a, b): (&MetricCounts, &MetricCounts)| {
        a.name == b.name && a.kind == b.kind && a.bins.len() == b.bins.len()
    };
    a.is_empty() || b.is_empty() || a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Adds what fits, as [`all_fit`] has it.
pub fn merge_all(into: &mut Vec<MetricCounts>, other: &[MetricCounts]) {
    if into.is_empty() {
        *into = other.to_vec();
        return;
    }
    for (into, other) in into.iter_mut().zip(other) {
        merge(into, other);
    }
}

/// Adds what the same metric came to elsewhere.
pub fn merge(into: &mut MetricCounts, other: &MetricCounts) {
    into.count = into.count.saturating_add(other.count);
    into.sum = into.sum.plus(other.sum);
    into.range = wider(into.range, other.range);
    into.refused = into.refused.saturating_add(other.refused);
    for (into, other) in into.bins.iter_mut().zip(&other.bins) {
        *into = into.saturating_add(*other);
    }
}

/// The mean of its values; `None` without any.
pub fn mean(counts: &MetricCounts) -> Option<f64> {
    (counts.count > 0).then(|| counts.sum.value() / counts.count as f64)
}

fn wider(a: Option<Range>, b: Option<Range>) -> Option<Range> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b);
    };
    Some(Range {
        min: a.min.min(b.min),
        max: a.max.max(b.max),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn metric(kind: MetricKind, bins: &[f32]) -> Metric {
        Metric::new(&MetricSpec {
            name: "width".parse().unwrap(),
            kind,
            bins: bins.into(),
            unit: "mm".into(),
            help: String::new(),
            from: None,
        })
        .unwrap()
    }

    #[test]
    fn each_kind_keeps_what_it_is_for() {
        let counter = metric(MetricKind::Counter, &[]);
        let mut counts = counter.nothing();
        assert!(counter.count(&mut counts, 2.0) && counter.count(&mut counts, 0.5));
        assert!(!counter.count(&mut counts, -1.0) && !counter.count(&mut counts, f64::NAN));
        assert_eq!((counts.count, counts.refused, counts.range), (2, 2, None));
        assert!((counts.sum.value() - 2.5).abs() < 1e-9);

        let gauge = metric(MetricKind::Gauge, &[]);
        let mut counts = gauge.nothing();
        for value in [3.0, -1.0, 4.0] {
            assert!(gauge.count(&mut counts, value));
        }
        let range = Range {
            min: -1.0,
            max: 4.0,
        };
        assert_eq!((counts.range, mean(&counts)), (Some(range), Some(2.0)));

        let histogram = metric(MetricKind::Histogram, &[0.0, 1.0, 2.0]);
        let mut counts = histogram.nothing();
        for value in [-5.0, 0.0, 0.5, 1.5, 2.0, 9.0] {
            assert!(histogram.count(&mut counts, value));
        }
        assert_eq!(counts.bins, [1, 2, 2, 1]);
        assert!(histogram.is_of(&counts) && !gauge.is_of(&counts));
        counts.bins.push(0);
        assert!(
            !histogram.is_of(&counts),
            "others have as many bins as are declared"
        );
    }

    #[test]
    fn quantiles_lie_within_their_bin_and_what_there_was() {
        let histogram = metric(MetricKind::Histogram, &[0.0, 10.0, 20.0]);
        let mut counts = histogram.nothing();
        assert_eq!(histogram.quantile(&counts, 0.5), None);
        for value in 0..100 {
            histogram.count(&mut counts, f64::from(value) / 5.0);
        }
        let quantile = |q| histogram.quantile(&counts, q).unwrap();
        assert!((quantile(0.5) - 10.0).abs() < 1.0 && (quantile(0.9) - 18.0).abs() < 1.0);
        assert!(quantile(1.0) <= 19.8 && quantile(0.0) >= 0.0);
        histogram.count(&mut counts, 1_000.0);
        assert!(histogram.quantile(&counts, 1.0).unwrap() > 999.0);
        assert_eq!(metric(MetricKind::Gauge, &[]).quantile(&counts, 0.5), None);
    }

    proptest! {
        #[test]
        fn the_order_never_matters(
            values in prop::collection::vec(-1e9_f64..1e9, 1..60),
            cuts in prop::collection::vec(0_usize..60, 0..5),
            seed in any::<u64>(),
        ) {
            let histogram = metric(MetricKind::Histogram, &[-5.0, 0.0, 1e6]);
            let of = |values: &[f64]| {
                let mut counts = histogram.nothing();
                for value in values {
                    histogram.count(&mut counts, *value);
                }
                counts
            };
            let whole = of(&values);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % values.len()).collect();
            cuts.extend([0, values.len()]);
            cuts.sort_unstable();
            let mut parts: Vec<_> = cuts.windows(2).map(|pair| of(&values[pair[0]..pair[1]])).collect();
            if seed % 2 == 0 {
                parts.reverse();
            }
            // (a + b) + c and a + (b + c).
            let mut left = histogram.nothing();
            for part in &parts {
                merge(&mut left, part);
            }
            let mut right = histogram.nothing();
            for part in parts.iter().rev() {
                let mut one = part.clone();
                merge(&mut one, &right);
                right = one;
            }
            prop_assert_eq!(&left, &whole);
            prop_assert_eq!(&right, &whole);
            prop_assert_eq!(whole.bins.iter().sum::<u64>(), values.len() as u64);
        }
    }
}

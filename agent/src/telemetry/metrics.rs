//! What the bundle's own metrics come to: in the open window, and since its model was loaded.
//!
//! Called by [`super::Meter`]. Must never break: a value is counted for one metric of the bundle or refused whole, and
//! whoever sends values learns which; there is room for the declared metrics and nothing else.

use std::{collections::BTreeMap, sync::Arc};

use tern_protocol::metric::MetricCounts;
use tern_stats::metric::{Metric, merge};

use super::Bins;

/// Why values of metrics are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// The bundle declares no such metric.
    #[error("the bundle declares no metric `{name}`; it declares {declared}")]
    Undeclared {
        /// As given.
        name: String,
        /// What it declares.
        declared: String,
    },
    /// The model gives its values itself.
    #[error("the metric `{0}` is read from the model's own tensors")]
    Tapped(String),
    /// No number that the metric takes.
    #[error("`{value}` is no value of the metric `{name}`: {why}")]
    Value {
        /// Which metric.
        name: String,
        /// As given.
        value: String,
        /// What its values are.
        why: &'static str,
    },
}

/// What a metric came to since its model was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Ever {
    /// Which metric.
    pub metric: Metric,
    /// What it came to.
    pub counts: MetricCounts,
    /// The last value.
    pub last: Option<f64>,
}

/// The metrics of one loaded model.
#[derive(Debug)]
pub(super) struct Metrics {
    bins: Arc<Bins>,
    /// Of the open window.
    counts: Vec<MetricCounts>,
    /// Of all windows before it.
    earlier: Vec<MetricCounts>,
    last: Vec<Option<f64>>,
}

impl Metrics {
    pub(super) fn new(bins: Arc<Bins>) -> Self {
        let nothing: Vec<MetricCounts> = bins.metrics.iter().map(Metric::nothing).collect();
        Self {
            counts: nothing.clone(),
            earlier: nothing,
            last: vec![None; bins.metrics.len()],
            bins,
        }
    }

    /// Counts what the model gave.
    pub(super) fn inference(&mut self, taps: &[f32]) {
        let bins = Arc::clone(&self.bins);
        for (place, value) in bins.tapped().zip(taps) {
            self.count(place, f64::from(*value));
        }
    }

    fn count(&mut self, place: usize, value: f64) {
        if self.bins.metrics[place].count(&mut self.counts[place], value) {
            self.last[place] = Some(value);
        }
    }

    pub(super) fn tell(&mut self, values: &BTreeMap<String, f64>) -> Result<(), TellError> {
        let places: Result<Vec<_>, _> = values
            .iter()
            .map(|(name, value)| self.place(name, *value).map(|place| (place, *value)))
            .collect();
        for (place, value) in places? {
            self.count(place, value);
        }
        Ok(())
    }

    /// Where a value is counted that may be.
    fn place(&self, name: &str, value: f64) -> Result<usize, TellError> {
        let metrics = &self.bins.metrics;
        let shown = || name.chars().take(80).collect();
        let place = metrics
            .iter()
            .position(|metric| metric.spec().name.as_str() == name);
        let place = place.ok_or_else(|| {
            let names: Vec<_> = metrics.iter().map(|one| one.spec().name.as_str()).collect();
            TellError::Undeclared {
                name: shown(),
                declared: if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                },
            }
        })?;
        if metrics[place].spec().from.is_some() {
            return Err(TellError::Tapped(shown()));
        }
        let mut trial = metrics[place].nothing();
        if metrics[place].count(&mut trial, value) {
            return Ok(place);
        }
        Err(TellError::Value {
            name: shown(),
            value: value.to_string(),
            why: if value < 0.0 {
                "a counter never goes down"
            } else {
                "values lie within ±2^53"
            },
        })
    }

    /// Those of the next window.
    pub(super) fn next(&self) -> Self {
        let mut earlier = self.earlier.clone();
        for (into, counts) in earlier.iter_mut().zip(&self.counts) {
            merge(into, counts);
        }
        Self {
            earlier,
            last: self.last.clone(),
            ..Self::new(Arc::clone(&self.bins))
        }
    }

    /// Whether no value came in the open window.
    pub(super) fn is_empty(&self) -> bool {
        self.counts
            .iter()
            .all(|counts| counts.count == 0 && counts.refused == 0)
    }

    /// What they came to in the open window.
    pub(super) fn counts(self) -> Vec<MetricCounts> {
        self.counts
    }

    pub(super) fn ever(&self) -> Vec<Ever> {
        let all = self.next().earlier;
        let each = self.bins.metrics.iter().zip(all).zip(&self.last);
        each.map(|((metric, counts), last)| Ever {
            metric: metric.clone(),
            counts,
            last: *last,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::metric::{MetricKind, MetricSpec, Reduce, TensorSource};

    use super::*;

    fn metrics() -> Metrics {
        let spec = |name: &str, kind, from| MetricSpec {
            name: name.parse().expect("a name"),
            kind,
            bins: Vec::new(),
            unit: String::new(),
            help: String::new(),
            from,
        };
        let from = TensorSource {
            output: "logits".into(),
            reduce: Reduce::default(),
        };
        let specs = [
            spec("rejects", MetricKind::Counter, None),
            spec("energy", MetricKind::Gauge, Some(from)),
            spec("belt_speed", MetricKind::Gauge, None),
        ];
        let bins = Bins::default().with_metrics(&specs).expect("declared well");
        Metrics::new(Arc::new(bins))
    }

    fn values(of: &[(&str, f64)]) -> BTreeMap<String, f64> {
        of.iter()
            .map(|(name, value)| ((*name).into(), *value))
            .collect()
    }

    #[test]
    fn values_are_counted_in_one_window_and_known_ever_after() {
        let mut metrics = metrics();
        assert!(metrics.is_empty());
        metrics.inference(&[2.5]);
        let told = metrics.tell(&values(&[("rejects", 2.0), ("belt_speed", 1.25)]));
        assert_eq!(told, Ok(()));
        let next = metrics.next();
        assert!(next.is_empty() && !metrics.is_empty());
        let counted = metrics.counts();
        let sums: Vec<_> = counted
            .iter()
            .map(|one| one.sum.value().to_string())
            .collect();
        assert_eq!(sums, ["2", "2.5", "1.25"]);
        let ever = next.ever();
        assert_eq!((ever[1].last, ever[1].counts.count), (Some(2.5), 1));
    }

    #[test]
    fn all_values_are_taken_or_none_and_it_is_said_why() {
        let mut metrics = metrics();
        for (bad, said) in [
            (
                ("weather", 1.0),
                "declares no metric `weather`; it declares rejects, energy, belt_speed",
            ),
            (("energy", 1.0), "own tensors"),
            (("rejects", -1.0), "never goes down"),
            (("rejects", f64::NAN), "within"),
        ] {
            let told = metrics.tell(&values(&[("belt_speed", 1.0), bad]));
            let err = told.expect_err("it is wrong").to_string();
            assert!(err.contains(said), "{err}");
        }
        assert!(metrics.is_empty());
    }
}

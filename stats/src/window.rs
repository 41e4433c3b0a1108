//! Two windows of the same bundle become one that says what both said.
//!
//! Called by the agent's outbox under pressure and by the hub. Must never break: counts after a
//! merge are exactly the sums of counts before; a merge that cannot be exact is refused and
//! changes nothing.

use tern_protocol::window::{FeatureCounts, Parts, Sketch as Wire, Values as WireValues, Window};

use crate::{
    metric,
    sketch::{Sketch, SketchError},
    values::Values,
};

/// Why two windows stay two.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MergeError {
    /// Another slot or another bundle: their bins mean different things.
    #[error("windows of different slots or bundles do not merge")]
    Different,
    /// Histograms of different length, although of the same bundle.
    #[error("windows of one bundle have different numbers of {0}")]
    Length(&'static str),
    /// A sketch that is not one of ours.
    #[error("a sketch of a window cannot be read")]
    Sketch(#[from] SketchError),
}

/// Adds `other` to `into`; `into` is as it was if that is refused.
pub fn merge(into: &mut Window, other: &Window) -> Result<(), MergeError> {
    if !into.merges_with(other) {
        return Err(MergeError::Different);
    }
    fits(into.classes.len(), other.classes.len(), "classes")?;
    fits(
        into.confidence.len(),
        other.confidence.len(),
        "confidence bins",
    )?;
    fits(into.margin.len(), other.margin.len(), "margin bins")?;
    fits(
        into.repeated.len(),
        other.repeated.len(),
        "features that repeat",
    )?;
    all_fit(
        &into.features,
        &other.features,
        ["features", "bins of a feature"],
    )?;
    all_fit(
        &into.signals,
        &other.signals,
        ["signals", "bins of a signal"],
    )?;
    if !metric::all_fit(&into.metrics, &other.metrics) {
        return Err(MergeError::Length("metrics"));
    }
    // All that may be refused comes before all that changes.
    let latency = sketches(&into.latency, &other.latency)?;
    let parts = parts(into.parts.as_ref(), other.parts.as_ref())?;
    let values = values(into.values.as_ref(), other.values.as_ref())?;

    (into.latency, into.parts, into.values) = (latency, parts, values);
    into.opened = into.opened.min(other.opened);
    into.closed = into.closed.max(other.closed);
    into.inferences = into.inferences.saturating_add(other.inferences);
    into.errors = into.errors.saturating_add(other.errors);
    into.rss = into.rss.max(other.rss);
    into.cpu_ms = sum(into.cpu_ms, other.cpu_ms);
    add(&mut into.classes, &other.classes);
    add(&mut into.confidence, &other.confidence);
    add(&mut into.margin, &other.margin);
    add(&mut into.repeated, &other.repeated);
    into.temperature = into.temperature.max(other.temperature);
    add_all(&mut into.features, &other.features);
    add_all(&mut into.signals, &other.signals);
    metric::merge_all(&mut into.metrics, &other.metrics);
    Ok(())
}

fn sketches(a: &Wire, b: &Wire) -> Result<Wire, SketchError> {
    let mut all = Sketch::try_from(a)?;
    all.merge(&Sketch::try_from(b)?);
    Ok(Wire::from(&all))
}

/// Both, or the one that there is.
fn parts(a: Option<&Parts>, b: Option<&Parts>) -> Result<Option<Parts>, SketchError> {
    let (Some(a), Some(b)) = (a, b) else {
        return Ok(a.or(b).cloned());
    };
    Ok(Some(Parts {
        queue: sketches(&a.queue, &b.queue)?,
        pre: sketches(&a.pre, &b.pre)?,
        infer: sketches(&a.infer, &b.infer)?,
        post: sketches(&a.post, &b.post)?,
    }))
}

/// Both, or the one that there is.
fn values(
    a: Option<&WireValues>,
    b: Option<&WireValues>,
) -> Result<Option<WireValues>, SketchError> {
    let (Some(a), Some(b)) = (a, b) else {
        return Ok(a.or(b).cloned());
    };
    let mut all = Values::try_from(a)?;
    all.merge(&Values::try_from(b)?);
    Ok(Some((&all).into()))
}

/// Both, as far as they are known.
fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (known, None) | (None, known) => known,
    }
}

/// Counts of the same length, or none on one side.
fn fits(a: usize, b: usize, what: &'static str) -> Result<(), MergeError> {
    if a == b || a == 0 || b == 0 {
        Ok(())
    } else {
        Err(MergeError::Length(what))
    }
}

/// As [`fits`], of lists of histograms and of each histogram.
fn all_fit(
    a: &[FeatureCounts],
    b: &[FeatureCounts],
    [list, bins]: [&'static str; 2],
) -> Result<(), MergeError> {
    fits(a.len(), b.len(), list)?;
    let mut pairs = a.iter().zip(b);
    pairs.try_for_each(|(a, b)| fits(a.0.len(), b.0.len(), bins))
}

fn add_all(into: &mut Vec<FeatureCounts>, other: &[FeatureCounts]) {
    let len = into.len().max(other.len());
    into.resize_with(len, FeatureCounts::default);
    for (a, b) in into.iter_mut().zip(other) {
        add(&mut a.0, &b.0);
    }
}

fn add(into: &mut Vec<u64>, other: &[u64]) {
    into.resize(into.len().max(other.len()), 0);
    for (a, b) in into.iter_mut().zip(other) {
        *a = a.saturating_add(*b);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tern_protocol::{
        digest::Digest,
        id::{BootId, ModelVersion},
        metric::{MetricCounts, MetricKind, MetricSpec},
        time::{Instant, Uptime},
    };

    use super::*;
    use crate::metric::Metric;

    fn window(opened: u64, latencies: &[u64], class: usize, bin: usize) -> Window {
        let mut latency = Sketch::new();
        for us in latencies {
            latency.insert(*us as f64);
        }
        let mut values = Values::new();
        for us in latencies {
            values.insert(1_000.0 - *us as f64);
        }
        let n = latencies.len() as u64;
        let mut classes = vec![0; 3];
        classes[class] = n;
        let mut feature = vec![0; 5];
        feature[bin] = n;
        let at = |ms| Instant {
            boot: BootId(1),
            uptime: Uptime(ms),
        };
        Window {
            slot: "reader".parse().unwrap(),
            model: "digits".parse().unwrap(),
            version: ModelVersion::FIRST,
            bundle: Digest::of(b"bundle"),
            opened: at(opened),
            closed: at(opened + 60_000),
            inferences: n,
            errors: n / 2,
            latency: Wire::from(&latency),
            classes,
            confidence: vec![n; 20],
            features: vec![FeatureCounts(feature)],
            rss: Some(opened),
            cpu_ms: Some(n),
            parts: Some(Parts {
                infer: Wire::from(&latency),
                ..Parts::default()
            }),
            margin: vec![n; 20],
            repeated: vec![n / 2],
            values: Some((&values).into()),
            signals: vec![FeatureCounts(vec![n; 4])],
            temperature: Some(opened as i16),
            metrics: metrics(latencies),
        }
    }

    fn metrics(values: &[u64]) -> Vec<MetricCounts> {
        let spec = |name: &str, kind, bins: &[f32]| {
            let spec = MetricSpec {
                name: name.parse().unwrap(),
                kind,
                bins: bins.into(),
                unit: String::new(),
                help: String::new(),
                from: None,
            };
            Metric::new(&spec).unwrap()
        };
        let all = [
            spec("rejects", MetricKind::Counter, &[]),
            spec("width", MetricKind::Histogram, &[0.0, 1e3, 1e6]),
        ];
        all.map(|metric| {
            let mut counts = metric.nothing();
            for value in values {
                metric.count(&mut counts, *value as f64 / 3.0);
            }
            counts
        })
        .into()
    }

    fn windows() -> impl Strategy<Value = Vec<Window>> {
        let one = (
            0_u64..9_000,
            prop::collection::vec(1_u64..1 << 36, 1..30),
            0_usize..3,
            0_usize..5,
        );
        let one = one.prop_map(|(at, us, class, bin)| window(at, &us, class, bin));
        prop::collection::vec(one, 1..8)
    }

    fn merged<'w>(mut windows: impl Iterator<Item = &'w Window>) -> Window {
        let mut first = windows.next().unwrap().clone();
        for window in windows {
            merge(&mut first, window).unwrap();
        }
        first
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_the_order_never_matters(windows in windows()) {
            let forth = merged(windows.iter());
            prop_assert_eq!(&forth, &merged(windows.iter().rev()));
            let halves: Vec<_> = windows.chunks(3).map(|part| merged(part.iter())).collect();
            prop_assert_eq!(&forth, &merged(halves.iter()));

            let n: u64 = windows.iter().map(|w| w.inferences).sum();
            prop_assert_eq!(forth.inferences, n);
            prop_assert_eq!(forth.errors, windows.iter().map(|w| w.errors).sum::<u64>());
            prop_assert_eq!(forth.rss, windows.iter().map(|w| w.rss).max().flatten());
            prop_assert_eq!(forth.cpu_ms, Some(n));
            prop_assert_eq!(forth.classes.iter().sum::<u64>(), n);
            prop_assert_eq!(forth.features[0].0.iter().sum::<u64>(), n);
            prop_assert_eq!(Sketch::try_from(&forth.latency).unwrap().count(), n);
            prop_assert_eq!(&forth.parts.as_ref().unwrap().infer, &forth.latency);
            prop_assert_eq!(Values::try_from(forth.values.as_ref().unwrap()).unwrap().count(), n);
            prop_assert_eq!(forth.margin[0], n);
            prop_assert_eq!(forth.signals[0].0[3], n);
            prop_assert_eq!((forth.metrics[0].count, forth.metrics[1].bins.iter().sum::<u64>()), (n, n));
            prop_assert_eq!(forth.repeated[0], windows.iter().map(|w| w.repeated[0]).sum::<u64>());
            prop_assert_eq!(forth.temperature, windows.iter().map(|w| w.temperature).max().flatten());
        }
    }

    #[test]
    fn histograms_that_one_side_lacks_are_taken_over() {
        let whole = window(0, &[5], 1, 2);
        let mut bare = window(9, &[7], 0, 0);
        bare.classes.clear();
        bare.features.clear();
        (bare.rss, bare.cpu_ms, bare.parts, bare.values) = (None, None, None, None);
        bare.temperature = None;
        for counts in [&mut bare.margin, &mut bare.repeated] {
            counts.clear();
        }
        bare.signals.clear();
        bare.metrics.clear();
        let mut a = bare.clone();
        merge(&mut a, &whole).unwrap();
        let mut b = whole.clone();
        merge(&mut b, &bare).unwrap();
        assert_eq!(a, b);
        assert_eq!((a.inferences, &a.classes), (2, &whole.classes));
    }

    #[test]
    fn what_cannot_be_exact_is_refused_and_changes_nothing() {
        let whole = window(0, &[5], 1, 2);
        let refused = |change: fn(&mut Window)| {
            let mut other = whole.clone();
            change(&mut other);
            let mut into = whole.clone();
            let err = merge(&mut into, &other).unwrap_err();
            assert_eq!(into, whole);
            err
        };
        assert_eq!(
            refused(|w| w.bundle = Digest::of(b"x")),
            MergeError::Different
        );
        assert_eq!(
            refused(|w| w.classes.push(0)),
            MergeError::Length("classes")
        );
        assert_eq!(
            refused(|w| w.features[0].0.push(0)),
            MergeError::Length("bins of a feature")
        );
        assert_eq!(
            refused(|w| w.latency.accuracy = 20),
            MergeError::Sketch(SketchError::Accuracy(20))
        );
        assert_eq!(
            refused(|w| w.parts.as_mut().unwrap().post.accuracy = 20),
            MergeError::Sketch(SketchError::Accuracy(20))
        );
        assert_eq!(
            refused(|w| w.signals.push(FeatureCounts::default())),
            MergeError::Length("signals")
        );
        assert_eq!(
            refused(|w| drop(w.metrics.pop())),
            MergeError::Length("metrics")
        );
        assert_eq!(
            refused(|w| w.metrics[1].bins.push(0)),
            MergeError::Length("metrics")
        );
    }
}

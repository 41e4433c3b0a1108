//! What a bundle gives to count on: its reference, and the metrics that it declares.

use tern_protocol::{
    capture::{MeasuredSignal, Summary},
    metric::MetricSpec,
    profile::{FeatureReference, Image, Reference},
};
use tern_stats::{
    histogram::{Edges, EdgesError},
    metric::Metric,
    signal::{Measured, Signal},
};

/// A place is rare if it holds a smaller share of the training part than this.
const RARE: f64 = 0.01;

/// Bins of features and signals, how the input lies, and the bundle's own metrics.
#[derive(Debug, Clone, Default)]
pub struct Bins {
    /// One for each element of the first input, or none.
    pub(super) features: Vec<Edges>,
    signals: Vec<(Option<Signal>, Edges)>,
    image: Option<Image>,
    /// In the order of the manifest.
    pub(super) metrics: Vec<Metric>,
    /// Which places of each feature are rare; nothing of one that was never seen.
    rare_features: Vec<Vec<bool>>,
    /// The same of each signal.
    rare_signals: Vec<Vec<bool>>,
}

impl Bins {
    /// Those of a reference without a problem.
    pub fn new(reference: &Reference) -> Result<Self, EdgesError> {
        let features = reference.features.iter().map(Edges::try_from);
        // One that a newer hub names is counted by newer agents.
        let signals = reference
            .signals
            .iter()
            .map(|signal| Ok((signal.name.parse().ok(), Edges::try_from(signal)?)));
        Ok(Self {
            features: features.collect::<Result<_, _>>()?,
            signals: signals.collect::<Result<_, _>>()?,
            image: reference.image,
            metrics: Vec::new(),
            rare_features: reference.features.iter().map(rare).collect(),
            rare_signals: reference.signals.iter().map(rare).collect(),
        })
    }

    /// The same with metrics that are declared without a problem.
    pub fn with_metrics(self, declared: &[MetricSpec]) -> Result<Self, EdgesError> {
        let metrics = declared.iter().map(Metric::new).collect::<Result<_, _>>()?;
        Ok(Self { metrics, ..self })
    }

    /// Which metrics are read from tensors, in their order.
    pub(super) fn tapped(&self) -> impl Iterator<Item = usize> {
        let metrics = self.metrics.iter().enumerate();
        metrics.filter_map(|(place, metric)| metric.spec().from.as_ref().map(|_| place))
    }

    /// How untypical an input is: the share of its features that lie in rare places, or that of its signals if that is
    /// more. `places` are those of its signals. None if nothing is known of the training part.
    pub fn untypical(&self, values: &[f32], places: &[Option<usize>]) -> Option<f32> {
        let features = self.features.iter().zip(values);
        let features = features.map(|(edges, value)| Some(edges.place(*value)));
        let features = share(features, &self.rare_features);
        let signals = share(places.iter().copied(), &self.rare_signals);
        features.max(signals).map(|permille| permille as f32 / 1e3)
    }

    /// About how many bytes stand for an input: a byte a feature, name and value of a signal.
    pub fn summary_bytes(&self) -> usize {
        self.features.len() + 16 * self.signals.len()
    }

    /// What stands for an input with these values.
    pub fn summary(&self, values: &[f32], embedding: Vec<f32>) -> Summary {
        let mut measured = Measured::new(values, self.image);
        let known = self.signals.iter().filter_map(|(signal, _)| *signal);
        let signals = known.map(|signal| MeasuredSignal {
            name: signal.to_string(),
            value: measured.signal(signal),
        });
        let features = self.features.iter().zip(values);
        // 64 bins at most, and three places beside them.
        let places = features.map(|(edges, value)| edges.place(*value) as u8);
        Summary {
            places: places.collect(),
            signals: signals.collect(),
            embedding,
        }
    }

    /// Whether the values of an input are worth decoding.
    pub fn want_values(&self) -> bool {
        !self.features.is_empty() || !self.signals.is_empty()
    }

    /// The place of each signal of one input, as [`Edges::place`] has it; nothing for those that are not known here.
    pub fn places(&self, values: &[f32]) -> Vec<Option<usize>> {
        let mut measured = Measured::new(values, self.image);
        let mut place = |(signal, edges): &(Option<Signal>, Edges)| {
            signal.map(|signal| edges.place(measured.signal(signal)))
        };
        self.signals.iter().map(&mut place).collect()
    }

    /// The bins of each signal.
    pub(super) fn signals(&self) -> impl Iterator<Item = &Edges> {
        self.signals.iter().map(|(_, edges)| edges)
    }
}

/// Which places of a histogram are rare: under and over always, since nothing of the training part is there. Nothing
/// if the histogram is empty.
fn rare(of: &FeatureReference) -> Vec<bool> {
    let all = of.counts.iter().sum::<u64>().saturating_add(of.missing);
    if all == 0 {
        return Vec::new();
    }
    let is_rare = |count: &u64| (*count as f64) < RARE * all as f64;
    let bins = of.counts.iter().map(is_rare);
    [true]
        .into_iter()
        .chain(bins)
        .chain([true, is_rare(&of.missing)])
        .collect()
}

/// The share of places that are rare, in thousandths; nothing if none is known.
fn share(places: impl Iterator<Item = Option<usize>>, rare: &[Vec<bool>]) -> Option<u32> {
    let (mut known, mut found) = (0u32, 0u32);
    for (place, rare) in places.zip(rare) {
        if let Some(is) = place.and_then(|place| rare.get(place)) {
            known += 1;
            found += u32::from(*is);
        }
    }
    (found * 1_000).checked_div(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(name: &str, counts: [u64; 4], missing: u64) -> FeatureReference {
        FeatureReference {
            name: name.into(),
            edges: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            counts: counts.to_vec(),
            missing,
            by_class: Vec::new(),
        }
    }

    #[test]
    fn an_input_is_as_untypical_as_the_places_are_rare_that_it_lies_in() {
        let bins = Bins::new(&Reference {
            features: vec![
                histogram("a", [500, 500, 9, 0], 0),
                histogram("b", [500, 0, 0, 500], 500),
                histogram("never seen", [0; 4], 0),
            ],
            signals: vec![histogram("brightness", [0, 1_000, 0, 0], 0)],
            ..Reference::default()
        });
        let bins = bins.expect("they rise");
        let of = |values: [f32; 3]| bins.untypical(&values, &bins.places(&values));
        assert_eq!(of([0.5, 0.5, 3.5]), Some(0.0));
        assert_eq!(of([2.5, 0.5, 1.5]), Some(0.5), "one of two that are known");
        assert_eq!(of([2.5, 9.0, 0.0]), Some(1.0));
        assert_eq!(
            of([0.5, f32::NAN, 1.0]),
            Some(1.0),
            "its brightness is no number"
        );
        assert_eq!(of([0.5, 3.5, 5.0]), Some(1.0), "brighter than any");
        assert_eq!(Bins::default().untypical(&[1.0], &[]), None);
        let summary = bins.summary(&[2.5, -1.0, f32::INFINITY], vec![0.5]);
        assert_eq!(summary.places, [3, 0, 5]);
        assert_eq!(summary.signals[0].name, "brightness");
        assert_eq!(summary.embedding, [0.5]);
    }
}

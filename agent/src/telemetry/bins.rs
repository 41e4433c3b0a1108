//! What a bundle gives to count on: its reference, and the metrics that it declares.

use tern_protocol::{
    metric::MetricSpec,
    profile::{Image, Reference},
};
use tern_stats::{
    histogram::{Edges, EdgesError},
    metric::Metric,
    signal::{Measured, Signal},
};

/// Bins of features and signals, how the input lies, and the bundle's own metrics.
#[derive(Debug, Clone, Default)]
pub struct Bins {
    /// One for each element of the first input, or none.
    pub(super) features: Vec<Edges>,
    signals: Vec<(Option<Signal>, Edges)>,
    image: Option<Image>,
    /// In the order of the manifest.
    pub(super) metrics: Vec<Metric>,
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

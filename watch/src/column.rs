//! What is watched of a model, as columns of numbers from 0 to 1, whatever they come from.
//!
//! Each feature has three: where its values lie, how wide they are (both as ranks in the reference, see
//! [`tern_stats::drift::ridit`]), and how many are missing or stuck. Each class has its share of predictions; then come
//! the mean confidence and the share of errors. Everything after this module knows columns alone.
//!
//! Must never break: a column keeps its meaning when a new version brings a reference with other bins. All are read on
//! the scale of the first version.

use minicbor::{Decode, Encode};
use tern_protocol::{
    id::ModelVersion,
    profile::{CONFIDENCE_BINS, Reference},
};
use tern_stats::drift::ridit::{Place, Scale};

use crate::{hour::DeviceHour, settings::Settings};

/// Kinds of what is watched, apart: what reaches the model, what it says, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Kind {
    /// Inputs lie elsewhere than before.
    #[n(0)]
    Input,
    /// Inputs are missing or stuck.
    #[n(1)]
    Quality,
    /// Other classes are predicted than before.
    #[n(2)]
    Prediction,
    /// The model is less sure, or more.
    #[n(3)]
    Confidence,
    /// Requests get errors.
    #[n(4)]
    Errors,
}

/// All kinds.
pub const KINDS: [Kind; 5] = [
    Kind::Input,
    Kind::Quality,
    Kind::Prediction,
    Kind::Confidence,
    Kind::Errors,
];

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Column {
    /// The chance that a value of this feature is larger than one of the reference.
    #[n(0)]
    Location(#[n(0)] u16),
    /// How wide the values of this feature are spread, a half as in the reference.
    #[n(1)]
    Spread(#[n(0)] u16),
    /// The share of values of this feature that are missing or stuck.
    #[n(2)]
    Unusable(#[n(0)] u16),
    /// The share of predictions of this class.
    #[n(3)]
    Class(#[n(0)] u16),
    /// The mean confidence.
    #[n(4)]
    Confidence,
    /// The share of requests that got an error.
    #[n(5)]
    Errors,
}

impl Column {
    /// Its kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Location(_) | Self::Spread(_) => Kind::Input,
            Self::Unusable(_) => Kind::Quality,
            Self::Class(_) => Kind::Prediction,
            Self::Confidence => Kind::Confidence,
            Self::Errors => Kind::Errors,
        }
    }
}

/// A model as it was trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its versions with their references, the first one first: it is the scale of all. The order is kept for good.
    pub versions: Vec<(ModelVersion, Reference)>,
}

/// Why a model cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Without a version there is no scale.
    #[error("a model without a version has nothing that could be watched")]
    NoVersion,
    /// A reference that is none.
    #[error("the reference of version {version}: {problem}")]
    Reference {
        /// Of which version.
        version: ModelVersion,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Which feature one of a version is, and where its bins lie.
type Reader = (usize, Vec<Place>);

/// The columns of a model, and how hours become values in them.
#[derive(Debug, Clone)]
pub struct Layout {
    names: Vec<String>,
    classes: usize,
    columns: Vec<Column>,
    matters: Vec<f32>,
    /// By version, by feature of that version: which feature it is, and where its bins lie.
    readers: Vec<(ModelVersion, Vec<Option<Reader>>)>,
    /// By class, by feature: where it lies for that class alone.
    by_class: Vec<Vec<Option<Place>>>,
}

/// On whose scale values of a version are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scales {
    First,
    Own,
}

impl Layout {
    /// The columns of a model, all versions read on the scale of the first: other bins are no drift.
    pub fn new(model: &Model, settings: &Settings) -> Result<Self, ModelError> {
        Self::on(Scales::First, model, settings)
    }

    /// The same columns, each version read on the scale of its own training: what it knows is no departure.
    pub(crate) fn of_own_training(model: &Model, settings: &Settings) -> Result<Self, ModelError> {
        Self::on(Scales::Own, model, settings)
    }

    fn on(whose: Scales, model: &Model, settings: &Settings) -> Result<Self, ModelError> {
        let (_, first) = model.versions.first().ok_or(ModelError::NoVersion)?;
        for (version, reference) in &model.versions {
            if let Some(problem) = reference.problem() {
                return Err(ModelError::Reference {
                    version: *version,
                    problem,
                });
            }
        }
        let scales: Vec<Option<Scale>> = first.features.iter().map(Scale::new).collect();
        let names: Vec<String> = first.features.iter().map(|one| one.name.clone()).collect();
        let classes = first.classes.len().min(usize::from(u16::MAX));
        let places = |reference: &Reference| {
            let feature = |(at, one): (usize, &tern_protocol::profile::FeatureReference)| {
                // By name; features without one by where they stand.
                let own = if one.name.is_empty() {
                    Some(at)
                } else {
                    names.iter().position(|name| *name == one.name)
                };
                let own = own.filter(|own| *own < names.len())?;
                let places = match whose {
                    Scales::First => scales[own].as_ref()?.places(&one.edges),
                    Scales::Own => Scale::new(one)?.places(&one.edges),
                };
                Some((own, places))
            };
            reference
                .features
                .iter()
                .enumerate()
                .map(feature)
                .collect::<Vec<_>>()
        };
        let readers = model
            .versions
            .iter()
            .map(|(version, reference)| (*version, places(reference)))
            .collect();
        // What the classes are like is known on the scale of the first, as all else.
        let own = places(first);
        let of_class = |class: usize| {
            let mut found = vec![None; names.len()];
            for (place, feature) in own.iter().zip(&first.features) {
                if let (Some((at, bins)), Some(counts)) = (place, feature.by_class.get(class)) {
                    found[*at] = Scale::mean(&bins[1..bins.len() - 1], counts);
                }
            }
            found
        };
        let by_class = (0..classes).map(of_class).collect();
        let features = 0..names.len() as u16;
        let columns: Vec<Column> = features
            .flat_map(|at| {
                [
                    Column::Location(at),
                    Column::Spread(at),
                    Column::Unusable(at),
                ]
            })
            .chain((0..classes as u16).map(Column::Class))
            .chain([Column::Confidence, Column::Errors])
            .collect();
        let matters = columns
            .iter()
            .map(|column| settings.matters.of(column.kind()) as f32)
            .collect();
        Ok(Self {
            names,
            classes,
            columns,
            matters,
            readers,
            by_class,
        })
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The least effect that matters in each column.
    pub(crate) fn matters(&self) -> &[f32] {
        &self.matters
    }

    /// How many columns are of a kind.
    pub(crate) fn of_kind(&self, kind: Kind) -> usize {
        self.columns
            .iter()
            .filter(|column| column.kind() == kind)
            .count()
    }

    /// The name of a feature; its number if it has none.
    pub fn feature(&self, at: u16) -> String {
        match self.names.get(usize::from(at)) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("feature {at}"),
        }
    }

    /// Where the features of one true class lie: by class, by feature.
    pub(crate) fn by_class(&self) -> &[Vec<Option<Place>>] {
        &self.by_class
    }

    /// The values of an hour, one a column; not a number where it says nothing of one.
    pub(crate) fn values(&self, hour: &DeviceHour, into: &mut Vec<f32>) {
        into.clear();
        into.resize(self.columns.len(), f32::NAN);
        let reader = self
            .readers
            .iter()
            .find(|(version, _)| *version == hour.version);
        let features = reader.map_or(&[][..], |(_, features)| features);
        for (at, (feature, counts)) in features.iter().zip(&hour.features).enumerate() {
            let Some((own, places)) = feature else {
                continue;
            };
            // Under, bins, over, missing.
            if counts.0.len() != places.len() + 1 {
                continue;
            }
            if let Some(place) = Scale::mean(places, &counts.0) {
                into[3 * own] = place.location as f32;
                into[3 * own + 1] = place.spread as f32;
            }
            let missing = counts.0[places.len()];
            let unusable = missing.saturating_add(hour.stuck.get(at).copied().unwrap_or(0));
            into[3 * own + 2] = share(unusable, counts.0.iter().map(|count| *count as f64).sum());
        }
        let after = 3 * self.names.len();
        let predictions: f64 = hour.classes.iter().map(|count| *count as f64).sum();
        for (class, count) in hour.classes.iter().take(self.classes).enumerate() {
            into[after + class] = share(*count, predictions);
        }
        if hour.confidence.len() == CONFIDENCE_BINS {
            let all: f64 = hour.confidence.iter().map(|count| *count as f64).sum();
            let middles = hour.confidence.iter().enumerate();
            let sum: f64 = middles
                .map(|(bin, count)| (bin as f64 + 0.5) * *count as f64)
                .sum();
            into[after + self.classes] = (sum / CONFIDENCE_BINS as f64 / all) as f32;
        }
        into[after + self.classes + 1] =
            share(hour.errors, hour.inferences as f64 + hour.errors as f64);
    }
}

/// A part of a whole as a share; not a number of nothing.
fn share(part: u64, whole: f64) -> f32 {
    (part as f64 / whole).min(1.0) as f32
}

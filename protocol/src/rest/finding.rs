//! What was found to have moved: what, where, since when, how sure that is, why, and what to do.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::Interval;
use crate::{
    id::{DeviceId, ModelName, ModelVersion, SiteName, SlotName},
    time::WallTime,
};

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Detector {
    /// By evidence of hours and days against what is usual at a place: small shifts too.
    Drift,
    /// Within minutes: most inputs lie where training had next to none, and did not before.
    Departure,
}

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum FindingKind {
    /// Inputs lie elsewhere than before.
    Input,
    /// Inputs are missing or stuck.
    Quality,
    /// Other classes are predicted than before.
    Prediction,
    /// The model is less sure, or more.
    Confidence,
    /// Requests get errors.
    Errors,
}

impl FindingKind {
    /// The kind as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Quality => "quality",
            Self::Prediction => "prediction",
            Self::Confidence => "confidence",
            Self::Errors => "errors",
        }
    }
}

/// Why something moved, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Attribution {
    /// Few devices are unlike their neighbours, which see the same: most likely a fault of a sensor.
    Devices,
    /// Sites see something else than before, others do not.
    Sites,
    /// All sites see something else than before.
    Fleet,
    /// Devices moved when they got a version.
    Version,
    /// Other classes come than before, and each looks as it did.
    Mix,
}

impl Attribution {
    /// The attribution as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::Sites => "sites",
            Self::Fleet => "fleet",
            Self::Version => "version",
            Self::Mix => "mix",
        }
    }
}

/// Where something moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum FindingPlace {
    /// All sites.
    Fleet,
    /// Devices since they have this version.
    Version(ModelVersion),
    /// A site.
    Site(SiteName),
    /// A device.
    Device(DeviceId),
}

/// Of what it is that something moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum MovedAspect {
    /// Where values of a feature or signal lie: the chance that one is larger than one of training.
    Location,
    /// How widely they are spread.
    Spread,
    /// The share of them that are missing or stuck.
    Unusable,
    /// The share of predictions of a class.
    Class,
    /// The mean confidence.
    Confidence,
    /// The share of requests that get an error.
    Errors,
}

/// Something that moved, and by how much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MovedView {
    /// Name of the feature, signal or class; empty else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What of it.
    pub aspect: MovedAspect,
    /// By how much, as a difference of two shares from 0 to 1, with a 95 % interval.
    pub effect: Interval,
}

/// How a finding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum FindingEnd {
    /// All is as usual again.
    Recovered,
    /// A person said that this is usual from now on.
    Accepted,
    /// It is part of another one, which says more.
    Explained,
    /// Nothing was heard of its places for long.
    Silent,
}

/// Something that moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FindingView {
    /// Its number in the workspace.
    pub id: i64,
    /// The slot whose model it is about.
    pub slot: SlotName,
    /// The model.
    pub model: ModelName,
    /// How it was found.
    pub detector: Detector,
    /// What moved.
    pub kind: FindingKind,
    /// Why, as far as can be told.
    pub attribution: Attribution,
    /// The version it is attributed to, if it is to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ModelVersion>,
    /// Where: one place, or several of one sort.
    pub places: Vec<FindingPlace>,
    /// What moved by how much, the largest first.
    pub moved: Vec<MovedView>,
    /// About when it began.
    pub since: WallTime,
    /// When it was found.
    pub opened: WallTime,
    /// When it ended; absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<WallTime>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<FindingEnd>,
    /// The finding that says more, if it ended for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained_by: Option<i64>,
    /// Who said that this is usual from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
    /// Once in how many years chance alone would make an alarm like this, anywhere in what is watched of this model;
    /// absent of departures, which are no matter of chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub years: Option<f64>,
    /// About how many inferences it stands on.
    pub samples: u64,
    /// Devices of its places that were heard of late.
    pub devices: u64,
    /// Devices that were heard of late in all, of this slot and model.
    pub of_devices: u64,
    /// What was found, in a sentence.
    pub text: String,
    /// Why, as far as can be told, and what to do.
    pub advice: String,
}

//! Where things come from, and what became of them.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    id::{DeviceId, ModelName, ModelVersion, PredictionId, UserName},
    time::WallTime,
};

/// Something that has a lineage, written `kind:name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineageOf {
    /// `prediction:DEVICE/BOOT-NUMBER`: one answer of a model on a device.
    Prediction(DeviceId, PredictionId),
    /// `version:MODEL/N`: a version of a model.
    Version(ModelName, ModelVersion),
    /// `run:ID`: a run of an experiment.
    Run(String),
    /// `job:N`: a job.
    Job(u64),
    /// `code:DIGEST`: the program that was run.
    Code(String),
    /// `dataset:NAME@N`: a version of a dataset.
    Dataset(String, u64),
    /// `captures:NAME@N`: the captured inputs in a version of a dataset.
    Captures(String, u64),
    /// `labels:NAME@N`: what was said to be the truth of those.
    Labels(String, u64),
    /// `round:MODEL/N`: a round of retraining.
    Round(ModelName, u64),
    /// `rollout:N`: a rollout.
    Rollout(u64),
    /// `device:ID`: a device.
    Device(DeviceId),
    /// `person:NAME`: a person.
    Person(UserName),
}

/// What is no name of something that has a lineage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nothing that has a lineage; write version:MODEL/N, dataset:NAME@N, run:ID, job:N, rollout:N, \
     round:MODEL/N, device:ID or prediction:DEVICE/BOOT-NUMBER"
)]
pub struct LineageOfError(String);

impl LineageOf {
    /// What it is, as one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Prediction(..) => "prediction",
            Self::Version(..) => "version",
            Self::Run(_) => "run",
            Self::Job(_) => "job",
            Self::Code(_) => "code",
            Self::Dataset(..) => "dataset",
            Self::Captures(..) => "captures",
            Self::Labels(..) => "labels",
            Self::Round(..) => "round",
            Self::Rollout(_) => "rollout",
            Self::Device(_) => "device",
            Self::Person(_) => "person",
        }
    }

    /// Its name among those of its kind.
    pub fn name(&self) -> String {
        match self {
            Self::Prediction(device, id) => format!("{device}/{id}"),
            Self::Version(model, version) => format!("{model}/{version}"),
            Self::Run(id) | Self::Code(id) => id.clone(),
            Self::Job(id) | Self::Rollout(id) => id.to_string(),
            Self::Dataset(name, n) | Self::Captures(name, n) | Self::Labels(name, n) => {
                format!("{name}@{n}")
            }
            Self::Round(model, n) => format!("{model}/{n}"),
            Self::Device(id) => id.to_string(),
            Self::Person(name) => name.to_string(),
        }
    }
}

impl fmt::Display for LineageOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.name())
    }
}

impl FromStr for LineageOf {
    type Err = LineageOfError;

    fn from_str(text: &str) -> Result<Self, LineageOfError> {
        parsed(text).ok_or_else(|| LineageOfError(text.chars().take(200).collect()))
    }
}

/// Longest name of a run or digest of code.
const TEXT: usize = 128;

fn parsed(text: &str) -> Option<LineageOf> {
    let (kind, name) = text.split_once(':')?;
    let numbered = |between: char| {
        let (name, n) = name.rsplit_once(between)?;
        let n: u64 = n.parse().ok()?;
        let plain = !name.is_empty() && name.len() <= TEXT && !name.contains(char::is_whitespace);
        plain.then(|| (name.to_string(), n))
    };
    let plain = || {
        let good = !name.is_empty() && name.len() <= TEXT;
        let good = good
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._:-".contains(c));
        good.then(|| name.to_string())
    };
    Some(match kind {
        "prediction" => {
            let (device, id) = name.rsplit_once('/')?;
            LineageOf::Prediction(device.parse().ok()?, id.parse().ok()?)
        }
        "version" => {
            let (model, version) = name.rsplit_once('/')?;
            let version = version.parse().ok().and_then(ModelVersion::new)?;
            LineageOf::Version(model.parse().ok()?, version)
        }
        "round" => {
            let (model, n) = numbered('/')?;
            LineageOf::Round(model.parse().ok()?, n)
        }
        "dataset" => numbered('@').map(|(name, n)| LineageOf::Dataset(name, n))?,
        "captures" => numbered('@').map(|(name, n)| LineageOf::Captures(name, n))?,
        "labels" => numbered('@').map(|(name, n)| LineageOf::Labels(name, n))?,
        "run" => LineageOf::Run(plain()?),
        "code" => LineageOf::Code(plain()?),
        "job" => LineageOf::Job(name.parse().ok()?),
        "rollout" => LineageOf::Rollout(name.parse().ok()?),
        "device" => LineageOf::Device(name.parse().ok()?),
        "person" => LineageOf::Person(name.parse().ok()?),
        _ => return None,
    })
}

impl Serialize for LineageOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineageOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Which way is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LineageWay {
    /// What it comes from.
    Back,
    /// What became of it.
    Forward,
    /// Both.
    #[default]
    Both,
}

impl LineageWay {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Back => "back",
            Self::Forward => "forward",
            Self::Both => "both",
        }
    }
}

/// One thing of a lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LineageNode {
    /// Which.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub of: LineageOf,
    /// What is known of it, in a few words each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// When it was made, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<WallTime>,
    /// How many steps it is from what was asked about: less than 0 for what that comes from.
    pub step: i64,
    /// How many more things it comes from or led to than are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
    /// Of these, how many it comes from.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_back: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// That one thing led to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LineageEdge {
    /// What led to it.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub from: LineageOf,
    /// What it led to.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub to: LineageOf,
    /// How, read from `from` to `to`.
    pub how: String,
}

/// Where something comes from, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LineageView {
    /// What was asked about; the first of `nodes`.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub of: LineageOf,
    /// All that was found, the nearest first.
    pub nodes: Vec<LineageNode>,
    /// What led to what.
    pub edges: Vec<LineageEdge>,
    /// Whether there is more than one answer holds.
    pub cut: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for text in [
            "prediction:cam-1/3-77",
            "version:digits/4",
            "run:0123456789abcdef0123456789abcdef",
            "job:12",
            "code:sha256:ab12",
            "dataset:digits.field@3",
            "captures:digits@3",
            "labels:digits@3",
            "round:digits/2",
            "rollout:9",
            "device:cam-1",
            "person:anna",
        ] {
            let of: LineageOf = text.parse().unwrap();
            assert_eq!(of.to_string(), text);
            let json = serde_json::to_string(&of).unwrap();
            assert_eq!(serde_json::from_str::<LineageOf>(&json).unwrap(), of);
        }
    }

    #[test]
    fn other_words_are_refused_with_what_to_write() {
        for text in [
            "",
            "version",
            "version:",
            "version:digits",
            "version:digits/0",
            "dataset:@3",
            "dataset:x@",
            "run:",
            "run:a b",
            "job:-1",
            "gizmo:1",
            "prediction:cam-1/x",
            "device:",
        ] {
            let err = text.parse::<LineageOf>().unwrap_err().to_string();
            assert!(err.contains("version:MODEL/N"), "{text}: {err}");
        }
    }
}

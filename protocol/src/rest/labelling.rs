//! Labelling by people: what is asked of them, what they say, how far they agree.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{CaptureView, Estimated};
use crate::{
    id::{DeviceId, ModelName, PredictionId},
    profile::Image,
    steps::Channels,
};

/// How labelling of one model stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LabellingView {
    /// The model.
    pub model: ModelName,
    /// How many people have to say the same before it is the truth: 1 or 2.
    pub labellers: u8,
    /// Captures without a truth that nobody has said anything about, up to 10,000; those without their input are not
    /// among them.
    pub waiting: u64,
    /// The same of captures of which only a summary was kept.
    #[serde(default)]
    pub without_input: u64,
    /// Captures that one person has labelled and that wait for a second one.
    pub half: u64,
    /// Captures about which two people said different things.
    pub disagreed: u64,
    /// Truths that people said.
    pub labelled: u64,
    /// How far two people agree who labelled the same captures; absent while nobody has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementView>,
    /// What whoever asks has said so far.
    pub mine: u64,
}

/// How far two people agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AgreementView {
    /// Captures that two people labelled.
    pub both: u64,
    /// Those about which they said the same.
    pub same: u64,
    /// Cohen's kappa: 1 if they always agree, 0 if as often as by chance. Absent where it cannot be said: of fewer than
    /// two captures, if only one class was ever said, and of numbers, which are the same if they differ by no more than a
    /// hundredth of the larger one, or of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kappa: Option<Estimated>,
}

/// `PUT /labelling/{model}`: how a model is labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LabellingSettings {
    /// How many people have to say the same: 1 or 2.
    pub labellers: u8,
}

/// Which captures are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Queue {
    /// Those that whoever asks has not labelled.
    #[default]
    Open,
    /// Those about which two people said different things: somebody decides.
    Disagreed,
}

/// `POST /labelling/{model}/next`: give me some to label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NextItems {
    /// Of which queue.
    #[serde(default)]
    pub queue: Queue,
    /// How many, at most 16.
    #[serde(default = "one")]
    pub take: u8,
    /// Whether captures of which only a summary was kept are among them: few people can label those.
    #[serde(default)]
    pub without_input: bool,
    /// Those that whoever asks has on the screen already.
    #[serde(default)]
    pub holding: Vec<Predicted>,
}

const fn one() -> u8 {
    1
}

/// A prediction of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Predicted {
    /// The device.
    pub device: DeviceId,
    /// Its prediction.
    pub prediction: PredictionId,
}

/// Captures to label. Each is nobody else's for ten minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Items {
    /// The captures, the most valuable first.
    pub items: Vec<Item>,
}

/// Why a capture is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Chosen {
    /// By lot: accuracy stands on these.
    Lot,
    /// By its value for training: the model was unsure, and nothing like it is labelled. Accuracy leaves it out.
    Value,
    /// Two people disagreed.
    Disagreement,
}

/// One capture to label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Item {
    /// The capture.
    pub capture: CaptureView,
    /// Why it is asked about.
    pub chosen: Chosen,
    /// How it is shown.
    pub view: InputView,
    /// The classes to choose from, each with its key; none of a model that answers numbers, and of one that does not name
    /// its classes.
    pub classes: Vec<Choice>,
    /// What people have said about it; only of a disagreement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<SaidBy>,
}

/// A class to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Choice {
    /// The class.
    pub class: String,
    /// The key that chooses it; of many classes the last have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SaidBy {
    /// Who.
    pub labeller: String,
    /// Which class or number.
    pub truth: String,
}

/// How an input is shown to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum InputView {
    /// As a picture.
    Image {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// Values of a pixel: 1 is grey, 3 are red, green and blue.
        channels: u32,
        /// Where the channels are.
        order: Channels,
    },
    /// As lines over time.
    Series {
        /// Lines.
        channels: u32,
        /// Values of each.
        length: u32,
        /// Where the lines are: `last` if each moment has its values together.
        order: Channels,
    },
    /// As names and values.
    Table {
        /// The values, in their order; of very many the first.
        rows: Vec<TableRow>,
        /// How many there are.
        values: u64,
    },
    /// The input was not kept: what there is of it.
    Summary {
        /// Between what its features lie, and its signals; of very many the first.
        rows: Vec<SummaryRow>,
        /// How many there are.
        values: u64,
    },
}

impl From<Image> for InputView {
    fn from(image: Image) -> Self {
        Self::Image {
            height: image.height,
            width: image.width,
            channels: image.channels,
            order: image.order,
        }
    }
}

/// One value of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TableRow {
    /// Its name in the reference profile, or its place.
    pub name: String,
    /// The value; absent if it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f32>,
    /// Share of the training values under it, 0 to 1; absent without a reference profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentile: Option<f64>,
}

/// One thing that is known of an input that was not kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SummaryRow {
    /// Its name in the reference profile, or its place.
    pub name: String,
    /// What it is at least; absent if it is missing, or under all of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// What it is under, or exactly `from` if that was measured; absent if it is missing, or over all of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// Share of the training values in that bin, 0 to 1; absent without a reference profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// `POST /labelling/{model}/say`: the truth about a capture, or that whoever asks cannot say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Say {
    /// The device.
    pub device: DeviceId,
    /// Its prediction.
    pub prediction: PredictionId,
    /// The class, or the number; absent to skip: it is not asked again of the same person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// From which queue it came: what is said of a disagreement decides it.
    #[serde(default)]
    pub queue: Queue,
}

/// What became of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Standing {
    /// Nobody has said anything.
    Open,
    /// It waits for a second person.
    Half,
    /// Two people said different things.
    Disagreed,
    /// It is the truth.
    Truth,
}

/// The answer to [`Say`] and to an undo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Said {
    /// How the capture stands now.
    pub standing: Standing,
    /// The capture, of an undo: to be labelled again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
}

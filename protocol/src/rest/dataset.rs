//! Datasets: versions of what models are trained on, how they are asked for, and what is in them.

use alloc::{borrow::ToOwned as _, collections::BTreeMap, format, string::String, vec::Vec};
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{LabelSource, Preparation, Share, VersionRef};
use crate::{
    digest::Digest,
    id::{DatasetId, DatasetName, DatastoreName, DeviceId, ModelName, SiteName},
    steps::PreStep,
    tensor::Dtype,
    time::WallTime,
};

/// Name of a version's manifest among its files.
pub const DATASET_MANIFEST: &str = "dataset.json";

/// What rows of a dataset are for. What was in one of them in any version of a name is in no other in any later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Split {
    /// To train on.
    Train,
    /// To see what came of it.
    HeldOut,
    /// Captures on which what serves and what was trained are compared.
    KeptOut,
}

impl Split {
    /// All of them; what is never trained on first, so that whoever writes rows in this order lets nothing through.
    pub const ALL: [Self; 3] = [Self::HeldOut, Self::KeptOut, Self::Train];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::HeldOut => "held-out",
            Self::KeptOut => "kept-out",
        }
    }

    /// Name of its file in a directory that a version is written as.
    pub fn file(self) -> String {
        format!("{}.parquet", self.word())
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|split| split.word() == text);
        found.ok_or_else(|| "a split is `train`, `held-out` or `kept-out`".to_owned())
    }
}

/// Which version of a dataset: its number in the hub, `NAME@NUMBER`, or `NAME` for the newest that is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DatasetPick {
    /// By its number in the hub.
    Id(DatasetId),
    /// By name and number.
    Version(DatasetName, u32),
    /// The newest of a name.
    Newest(DatasetName),
}

impl fmt::Display for DatasetPick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Version(name, number) => write!(f, "{name}@{number}"),
            Self::Newest(name) => write!(f, "{name}"),
        }
    }
}

impl FromStr for DatasetPick {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shown: String = text.chars().take(80).collect();
        let wrong = || format!("`{shown}` is not a dataset: NAME@NUMBER, NAME, or an id");
        if let Ok(id) = text.parse::<u64>() {
            return Ok(Self::Id(DatasetId(id)));
        }
        match text.split_once('@') {
            Some((name, number)) => Ok(Self::Version(
                name.parse().map_err(|_| wrong())?,
                number.parse().map_err(|_| wrong())?,
            )),
            None => text.parse().map(Self::Newest).map_err(|_| wrong()),
        }
    }
}

impl Serialize for DatasetPick {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(s),
            named => s.collect_str(named),
        }
    }
}

impl<'de> Deserialize<'de> for DatasetPick {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Id(u64),
            Text(String),
        }
        match Either::deserialize(d)? {
            Either::Id(id) => Ok(Self::Id(DatasetId(id))),
            Either::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(feature = "schema")]
crate::id::schema_as!(DatasetPick, String);

/// `POST /datasets`: a version is to be made. It is made in the background.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewDataset {
    /// Of which dataset; its first version makes it.
    pub name: DatasetName,
    /// Asked again with the same key, the version that was begun with it is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Of what.
    pub order: DatasetOrder,
}

/// Of what a version is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DatasetOrder {
    /// Labelled captures, and a version that there is.
    Build(DatasetBuild),
    /// Files.
    Import(DatasetImport),
    /// A version that there is, cleaned and made into features.
    Prepare(DatasetPrepare),
}

impl DatasetOrder {
    /// As one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Build(_) => "build",
            Self::Import(_) => "import",
            Self::Prepare(_) => "prepare",
        }
    }

    /// The version that it begins with.
    pub const fn base(&self) -> Option<&DatasetPick> {
        match self {
            Self::Build(build) => build.base.as_ref(),
            Self::Import(_) => None,
            Self::Prepare(prepare) => Some(&prepare.base),
        }
    }
}

/// Labelled captures of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetBuild {
    /// Of this model.
    pub model: ModelName,
    /// With all rows of this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<DatasetPick>,
    /// Captured from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<WallTime>,
    /// Captured before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<WallTime>,
    /// Labels that were stored after this are not in it; by default, after it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<WallTime>,
    /// Only from these sites.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteName>,
    /// Only of these true classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Only with labels from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<LabelSource>,
    /// Not of these devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<DeviceId>,
    /// Share of the captures to be kept out, to compare on: all of a device, or of a site's only device the latest.
    #[serde(default)]
    pub keep_out: Share,
    /// Share of the other captures to be held out. By default a fifth, or none if there is a base that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Share>,
    /// Inputs may be others than in the version before.
    #[serde(default)]
    pub new_schema: bool,
}

impl DatasetBuild {
    /// All labelled captures of a model.
    pub const fn of(model: ModelName) -> Self {
        Self {
            model,
            base: None,
            from: None,
            to: None,
            until: None,
            sites: Vec::new(),
            classes: Vec::new(),
            sources: Vec::new(),
            without: Vec::new(),
            keep_out: Share::percent(0),
            held_out: None,
            new_schema: false,
        }
    }
}

/// Files, Parquet or CSV; which, their first bytes tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetImport {
    /// The files; all have the same columns.
    pub files: Vec<ImportFile>,
    /// The column with the truth.
    pub label: String,
    /// Columns that are features although they are called as one of the hub's own: `id`, `device`, `site`, `at`, `source`,
    /// `weight`, `label` or `input`. In the version they are called `feature_weight` and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Share of the rows to be held out, of files that name no split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<Share>,
    /// What models get: the columns beside the label as elements of a tensor, or a column `input` with its bytes. Without,
    /// each column is a feature of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensor: Option<TensorForm>,
    /// Whether truths are numbers; by default, if all are and there are more than 20 different ones or some are fractions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<bool>,
    /// Columns, kind of truths and classes may be others than in the version before.
    #[serde(default)]
    pub new_schema: bool,
}

/// A file to import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ImportFile {
    /// What its rows are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Where it is.
    pub from: ImportSource,
}

/// Where a file to import is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ImportSource {
    /// It was uploaded with `PUT /blobs/{digest}`.
    Blob(Digest),
    /// In a datastore.
    Datastore {
        /// Which.
        name: DatastoreName,
        /// Where in it.
        path: String,
    },
}

/// Another form of a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetPrepare {
    /// Of which version.
    pub base: DatasetPick,
    /// What is done to it.
    pub preparation: Preparation,
}

/// A tensor without its batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TensorForm {
    /// Name of the input.
    pub name: String,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions.
    pub shape: Vec<u32>,
}

impl TensorForm {
    /// How many elements it has; nothing if that is too many to count.
    pub fn elements(&self) -> Option<usize> {
        let mut dims = self.shape.iter();
        dims.try_fold(1usize, |len, dim| len.checked_mul(*dim as usize))
    }
}

/// What a model gets of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DatasetInput {
    /// A tensor.
    Tensor(TensorForm),
    /// A value a column. A device sends it as floats in this order, a category as its place in the list, and a value that
    /// is missing as NaN.
    Table {
        /// The columns.
        columns: Vec<DatasetColumn>,
    },
}

/// A feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetColumn {
    /// Its name.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: ColumnKind,
    /// Its categories, in the order of their places. Those of the version before come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

/// What values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ColumnKind {
    /// Numbers.
    Number,
    /// One of some names.
    Category,
}

/// What is true of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DatasetLabel {
    /// One of these classes.
    Classes {
        /// In the order of the model's output.
        classes: Vec<String>,
    },
    /// A number.
    Number,
}

/// What a version is: `dataset.json`. Its digest names the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetManifest {
    /// The dataset.
    pub name: DatasetName,
    /// Which version of it.
    pub number: u32,
    /// Its number in the hub.
    pub id: DatasetId,
    /// The model whose captures are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// What a model gets.
    pub input: DatasetInput,
    /// What is true.
    pub label: DatasetLabel,
    /// What rows are for.
    pub splits: DatasetSplits,
    /// Its files.
    pub files: BTreeMap<String, DatasetFile>,
    /// What is in it.
    pub statistics: DatasetStatistics,
    /// How it was prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Prepared>,
    /// Versions that its rows are from.
    pub parents: Vec<DatasetId>,
    /// What it was made from.
    pub made_from: MadeFrom,
}

/// What rows are for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetSplits {
    /// To train on.
    pub train: DatasetSplit,
    /// To see what came of it.
    pub held_out: DatasetSplit,
    /// To compare on.
    pub kept_out: DatasetSplit,
}

impl DatasetSplits {
    /// One of them.
    pub const fn of(&self, split: Split) -> &DatasetSplit {
        match split {
            Split::Train => &self.train,
            Split::HeldOut => &self.held_out,
            Split::KeptOut => &self.kept_out,
        }
    }

    /// One of them.
    pub const fn of_mut(&mut self, split: Split) -> &mut DatasetSplit {
        match split {
            Split::Train => &mut self.train,
            Split::HeldOut => &mut self.held_out,
            Split::KeptOut => &mut self.kept_out,
        }
    }
}

/// Rows that are for the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetSplit {
    /// How many.
    pub rows: u64,
    /// Where they are; no file without rows.
    pub files: Vec<String>,
}

/// A file of a version, as it is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetFile {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// How many.
    pub len: u64,
}

/// What a version was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MadeFrom {
    /// What was asked for.
    pub order: DatasetOrder,
    /// Rows of the version that it began with.
    pub base_rows: u64,
    /// Labelled captures.
    pub captures: u64,
    /// What is not in it, and how many of it, by why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
    /// Rows that an earlier version of this name has in another split, and that are in that one here.
    #[serde(default)]
    pub moved: u64,
    /// Columns of files that were taken as what they are called (`weight`, `site`, …), and are no features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub as_called: Vec<String>,
}

/// How a version was prepared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Prepared {
    /// What was declared.
    pub preparation: Preparation,
    /// What each step found in the rows to train on, and did.
    pub done: Vec<PreparedStep>,
    /// What a device has to do to its inputs, for `pre` of the bundle.
    pub pre: Vec<PreStep>,
    /// What a request carries then: the columns before those steps.
    pub request: Vec<DatasetColumn>,
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PreparedStep {
    /// Its name.
    pub step: String,
    /// In words.
    pub text: String,
    /// Whether devices do it as well, with these numbers; else it is about training alone.
    pub on_device: bool,
    /// What it found, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fitted: BTreeMap<String, Vec<f64>>,
    /// Rows to train on before.
    pub rows_before: u64,
    /// Rows to train on after.
    pub rows_after: u64,
}

/// What is in a version.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetStatistics {
    /// Rows by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, SplitCounts>,
    /// Truths that are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<ColumnStatistics>,
    /// Rows by site; those without are under an empty name.
    pub sites: BTreeMap<String, SplitCounts>,
    /// Rows by where their truth is from.
    pub sources: BTreeMap<String, u64>,
    /// How many devices.
    pub devices: u64,
    /// By column; of a tensor all of its elements are one.
    pub columns: Vec<ColumnStatistics>,
}

/// Rows of each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SplitCounts {
    /// To train on.
    pub train: u64,
    /// Held out.
    pub held_out: u64,
    /// Kept out.
    pub kept_out: u64,
}

impl SplitCounts {
    /// One more.
    pub const fn add(&mut self, split: Split) {
        match split {
            Split::Train => self.train += 1,
            Split::HeldOut => self.held_out += 1,
            Split::KeptOut => self.kept_out += 1,
        }
    }

    /// All of them.
    pub const fn all(&self) -> u64 {
        self.train + self.held_out + self.kept_out
    }
}

/// What values of a column are like, over all splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ColumnStatistics {
    /// Its name.
    pub name: String,
    /// Values that are there.
    pub count: u64,
    /// Values that are missing.
    pub missing: u64,
    /// Of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberStatistics>,
    /// Of categories: how often each, the most frequent first, 64 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<CategoryCount>,
}

/// How often a category is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CategoryCount {
    /// Its name.
    pub name: String,
    /// Rows.
    pub rows: u64,
}

/// What numbers are like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NumberStatistics {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// At 5, 25, 50, 75 and 95 in a hundred; of a sample where there are more than a thousand values.
    pub quantiles: Vec<f64>,
    /// Shares of the values between least and greatest, in bins of the same width; of the same sample.
    pub bins: Vec<f64>,
}

/// How far a version has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DatasetState {
    /// It is being made.
    Running,
    /// It is whole.
    Done,
    /// It could not be made.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// Its files were removed.
    Removed,
}

impl DatasetState {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
        }
    }
}

/// A version of a dataset, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetView {
    /// Its number in the hub.
    pub id: DatasetId,
    /// The dataset.
    pub name: DatasetName,
    /// Which version of it.
    pub number: u32,
    /// How far it has come.
    pub state: DatasetState,
    /// Whether it is built, imported or prepared.
    pub how: String,
    /// Who asked for it, as in the audit log.
    pub by: String,
    /// When.
    pub at: WallTime,
    /// When it was done, or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<WallTime>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it may help to ask again, where it failed.
    #[serde(default)]
    pub again: bool,
    /// The key under which it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The model whose captures are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// The version that it began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<DatasetId>,
    /// What is in it, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<DatasetRows>,
    /// Its digest, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Why nothing is to be trained on it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Withdrawn>,
    /// Why nothing can be trained on it, if nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untrainable: Option<String>,
}

impl DatasetView {
    /// As people name it.
    pub fn title(&self) -> String {
        format!("{}@{}", self.name, self.number)
    }
}

/// A version whose data had to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Withdrawn {
    /// Since when.
    pub at: WallTime,
    /// Why.
    pub reason: String,
}

/// How many rows there are of what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetRows {
    /// By what they are for.
    pub splits: SplitCounts,
    /// Those to train on, by class, also classes of which there is none; empty if truths are numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, u64>,
    /// How many different numbers there are to train on, at most 2, if truths are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub different: Option<u64>,
    /// Columns of files that were taken as what they are called (`weight`, `site`, …), and are no features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub as_called: Vec<String>,
}

impl DatasetRows {
    /// Why nothing can be trained on them; nothing if something can.
    pub fn untrainable(&self) -> Option<String> {
        let rows = self.splits.train;
        if rows == 0 {
            return Some("it has no row to train on".into());
        }
        let mut there = self.classes.iter().filter(|(_, rows)| **rows > 0);
        match (self.different, there.next(), there.next()) {
            (Some(..2), ..) => Some(format!(
                "all {rows} rows to train on have the same number, so there is nothing to learn"
            )),
            (None, Some((class, _)), None) => Some(format!(
                "all {rows} rows to train on are of class {class}, so there is nothing to tell apart"
            )),
            _ => None,
        }
    }
}

/// A version of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetDetail {
    /// In short.
    pub dataset: DatasetView,
    /// What was asked for.
    pub order: DatasetOrder,
    /// What it is, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<DatasetManifest>,
    /// Versions that were made of it.
    pub children: Vec<DatasetView>,
    /// Versions of models that were trained on it.
    pub trained: Vec<VersionRef>,
}

/// What a version of a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TrainedOn {
    /// Its number in the hub.
    pub id: DatasetId,
    /// The dataset.
    pub name: DatasetName,
    /// Which version of it.
    pub number: u32,
}

impl fmt::Display for TrainedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.number)
    }
}

/// Some rows of a version, to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetRow {
    /// Of the capture, or of the row.
    pub id: String,
    /// Where it was captured; empty if it was not.
    pub device: String,
    /// At which site.
    pub site: String,
    /// When.
    pub at: WallTime,
    /// Where its truth is from.
    pub source: String,
    /// The inverse of the probability with which it was captured; 0 of one that no estimate counts, 1 of one that was not
    /// captured.
    pub weight: f64,
    /// What is true.
    pub label: String,
    /// The elements of a tensor, or the values of a table as devices send them; nothing where there is none.
    pub values: Vec<Option<f32>>,
    /// Categories of a table, by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub categories: BTreeMap<String, String>,
}

/// What sets two versions apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatasetDiff {
    /// One.
    pub from: DatasetView,
    /// The other.
    pub to: DatasetView,
    /// What of their schemas differs, in words.
    pub schema: Vec<String>,
    /// Rows that are in the other alone.
    pub added: SplitCounts,
    /// Rows that are in the one alone.
    pub removed: SplitCounts,
    /// Rows that are in both.
    pub common: u64,
    /// Of these, those with another truth.
    pub relabelled: u64,
    /// Rows to train on by class, in one and the other.
    pub classes: BTreeMap<String, ClassChange>,
}

/// Rows of a class, in one version and another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClassChange {
    /// In the one.
    pub from: u64,
    /// In the other.
    pub to: u64,
}

/// Where files to import are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum DatastorePlace {
    /// A directory of the hub's machine, below one that its operator allows.
    Directory {
        /// Which.
        path: String,
    },
    /// What is below an address.
    Http {
        /// The address, without name and password.
        url: String,
    },
    /// A bucket of Amazon S3, or of a service that speaks the same.
    S3 {
        /// Its name.
        bucket: String,
        /// What the names of its files begin with; a `/` is put between that and a path.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// Its region, which signatures name; `us-east-1` if unset.
        #[serde(default = "usual_region")]
        region: String,
        /// Where a service of one's own answers, as `https://minio.example`; Amazon's address of the region if unset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// The id of the key that signs requests; they are not signed if unset. Its secret is the datastore's `token`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_id: Option<String>,
    },
}

fn usual_region() -> String {
    "us-east-1".into()
}

/// In a line, for people.
impl fmt::Display for DatastorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path } => f.write_str(path),
            Self::Http { url } => f.write_str(url),
            Self::S3 {
                bucket,
                prefix,
                region,
                endpoint,
                ..
            } => {
                write!(f, "s3://{bucket}")?;
                let prefix = prefix.trim_matches('/');
                if !prefix.is_empty() {
                    write!(f, "/{prefix}")?;
                }
                match endpoint {
                    Some(endpoint) => write!(f, " at {endpoint}"),
                    None => write!(f, " in {region}"),
                }
            }
        }
    }
}

/// `POST /datastores`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NewDatastore {
    /// Its name.
    pub name: DatastoreName,
    /// Where it is.
    pub place: DatastorePlace,
    /// Sent to an address as `Authorization: Bearer`; for S3 the secret of the key, which is never sent. Kept by the hub,
    /// and never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Without what is secret.
impl fmt::Debug for NewDatastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDatastore")
            .field("name", &self.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// A datastore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatastoreView {
    /// Its name.
    pub name: DatastoreName,
    /// Where it is.
    pub place: DatastorePlace,
    /// Whether the hub has a token or a secret for it.
    pub token: bool,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: WallTime,
}

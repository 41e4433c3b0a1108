//! What is stored now, as far as a round depends on it. All are levels: read anew at every look, never changes.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use tern_protocol::{
    id::{DeviceId, ModelVersion, SiteName, UserName},
    rest::{Attribution, FindingKind},
    time::WallTime,
};

use crate::{action::Key, compare::Comparison};

/// All that is known of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// What the fleet is meant to have; none if nothing was published.
    pub champion: Option<Champion>,
    /// A round that somebody asked for, if anybody did.
    pub asked: Option<Asked>,
    /// Findings that are open.
    pub findings: Vec<OpenFinding>,
    /// Accuracy by labels.
    pub accuracy: Option<Figure>,
    /// Accuracy that is estimated without labels.
    pub estimate: Option<Figure>,
    /// Mean absolute error by labels.
    pub error: Option<Figure>,
    /// Labels.
    pub labels: Labels,
    /// What people said to questions of this model's rounds. Words of rounds that are over may be left out.
    pub words: Vec<Word>,
    /// Keys under which people were asked for labels or told something.
    pub told: BTreeSet<Key>,
    /// Datasets by the key under which they were ordered.
    pub datasets: BTreeMap<Key, Work<Dataset>>,
    /// Trainings.
    pub trainings: BTreeMap<Key, Work<Trained>>,
    /// Comparisons.
    pub comparisons: BTreeMap<Key, Work<Comparison>>,
    /// Versions.
    pub versions: BTreeMap<Key, Work<ModelVersion>>,
    /// Rollouts. One that a gate or a person stopped is [`Work::Failed`].
    pub rollouts: BTreeMap<Key, Work<()>>,
    /// Core-seconds that each training took so far.
    pub core_seconds: BTreeMap<Key, u64>,
}

/// What the fleet is meant to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Champion {
    /// The version.
    pub version: ModelVersion,
    /// Since when.
    pub since: WallTime,
}

/// Somebody asked for a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which: the one after the last that was opened. So it calls for that one alone, however long it stays stored.
    pub round: u32,
    /// Who.
    pub by: UserName,
    /// When.
    pub at: WallTime,
    /// Why, in their words.
    pub note: String,
}

/// A finding that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenFinding {
    /// Its number; never given twice.
    pub id: i64,
    /// What moved.
    pub kind: FindingKind,
    /// Why.
    pub attribution: Attribution,
    /// Where, unless it is the whole fleet.
    pub sites: Vec<SiteName>,
    /// Devices, if it is a fault of them.
    pub at_devices: Vec<DeviceId>,
    /// About when it began.
    pub since: WallTime,
    /// When it was found.
    pub opened: WallTime,
    /// Devices of its places.
    pub devices: u64,
    /// Devices in all.
    pub of_devices: u64,
    /// What was found, in a sentence.
    pub text: String,
}

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Figure {
    /// Of which version.
    #[n(0)]
    pub version: ModelVersion,
    /// What it is.
    #[n(1)]
    pub value: f64,
    /// Lower end.
    #[n(2)]
    pub low: f64,
    /// Upper end.
    #[n(3)]
    pub high: f64,
    /// Samples.
    #[n(4)]
    pub n: u64,
}

/// Labels that may be trained on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// In all.
    pub usable: u64,
    /// Stored after [`crate::Loop::cut`].
    pub new: u64,
    /// Captures that people were asked to label and did not yet.
    pub queued: u64,
    /// By class, also those of which there is none; empty of models that predict numbers.
    pub by_class: BTreeMap<String, u64>,
    /// By site.
    pub by_site: BTreeMap<SiteName, u64>,
}

/// What a person said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The question. Of a proposal: its key.
    pub key: Key,
    /// Who.
    pub by: UserName,
    /// When; the last word of a person counts.
    pub at: WallTime,
    /// What.
    pub say: Say,
}

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// Go on.
    Agree,
    /// Do not; the round is over.
    Decline,
    /// Compare again, with the labels that came since; to [`crate::Step::AskUnknown`] only.
    Again,
    /// The round is over, whatever it does; with any key of it.
    Cancel,
}

/// How far work has come.
#[derive(Debug, Clone, PartialEq)]
pub enum Work<T> {
    /// It was begun.
    Running,
    /// It is done.
    Done(T),
    /// It failed.
    Failed(Failure),
    /// It was stopped because nobody waited for it.
    Stopped,
}

impl<T> Work<T> {
    /// Whether it still goes on.
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }
}

/// Why work failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In words.
    pub reason: String,
    /// Whether it may succeed if it is tried again.
    pub again: Again,
}

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It may: something was away or full.
    MayHelp,
    /// The same would come of it.
    IsUseless,
}

/// A dataset that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its id.
    pub id: u64,
    /// What there is to train on, with what the champion was trained on.
    pub rows: Rows,
    /// Labelled captures that were kept out, to compare on.
    pub kept_out: u64,
}

/// Rows of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// By class.
    Classes(BTreeMap<String, u64>),
    /// Numbers.
    Numbers {
        /// How many.
        rows: u64,
        /// How many different ones; many may be counted as 2.
        different: u64,
    },
}

/// A training that is done.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Trained {
    /// The run that tracked it.
    #[n(0)]
    pub run: String,
    /// What came of it, by the digest of its bundle.
    #[n(1)]
    pub bundle: String,
}

//! What is to be done, and the key under which it is done once.

use std::{collections::BTreeMap, fmt};

use minicbor::{Decode, Encode};
use tern_protocol::{
    id::{DeviceId, ModelVersion, SiteName, TrainingName},
    rest::Share,
    time::WallTime,
};

use crate::{fact::Trained, policy::Bounds, proposal::Proposal};

/// A piece of work of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Step {
    /// People are asked for labels.
    #[n(0)]
    Labels,
    /// The proposal is stored, and people are told.
    #[n(1)]
    Propose,
    /// The dataset is made.
    #[n(2)]
    Build,
    /// The challenger is trained.
    #[n(3)]
    Train,
    /// Both are run on what was kept out.
    #[n(4)]
    Compare,
    /// A person is asked what to do, since it cannot be told which is better.
    #[n(5)]
    AskUnknown,
    /// Somebody is asked whether the challenger becomes a version.
    #[n(6)]
    AskRegister,
    /// The challenger becomes a version.
    #[n(7)]
    Register,
    /// Somebody is asked whether the version is rolled out.
    #[n(8)]
    AskRollOut,
    /// The version is rolled out.
    #[n(9)]
    RollOut,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Labels,
        Self::Propose,
        Self::Build,
        Self::Train,
        Self::Compare,
        Self::AskUnknown,
        Self::AskRegister,
        Self::Register,
        Self::AskRollOut,
        Self::RollOut,
    ];

    /// As one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Propose => "propose",
            Self::Build => "build",
            Self::Train => "train",
            Self::Compare => "compare",
            Self::AskUnknown => "ask-unknown",
            Self::AskRegister => "ask-register",
            Self::Register => "register",
            Self::AskRollOut => "ask-roll-out",
            Self::RollOut => "roll-out",
        }
    }
}

/// Names an action among all of a model: which round, which step, which attempt. Whoever carries out an action stores
/// its key with what came of it, and does nothing for a key that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Key {
    /// The round, from 1.
    #[n(0)]
    pub round: u32,
    /// The step.
    #[n(1)]
    pub step: Step,
    /// The attempt, from 1.
    #[n(2)]
    pub attempt: u16,
}

impl fmt::Display for Key {
    /// `7/train/2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.round, self.step.word(), self.attempt)
    }
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Under this key it is done once. Of [`Act::Stop`]: whose work is stopped.
    pub key: Key,
    /// What.
    pub act: Act,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Ask people to label so many captures.
    AskLabels(LabelOrder),
    /// Store the proposal and tell people, with what is asked of them if anything is.
    Propose(Box<Proposal>),
    /// Make a dataset.
    Build(DatasetOrder),
    /// Train a challenger.
    Train(TrainOrder),
    /// Run champion and challenger on what was kept out, and compare them by [`crate::compare::compare`].
    Compare(CompareOrder),
    /// Tell people a question that is open.
    Ask(String),
    /// Make a version of the challenger.
    Register(Box<Lineage>),
    /// Roll a version out.
    RollOut(RolloutOrder),
    /// Stop the work under the key, if it still runs: nobody waits for it any more.
    Stop,
}

/// Which labels are lacking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelOrder {
    /// Captures to be labelled.
    pub captures: u64,
    /// How many lack of classes.
    pub classes: BTreeMap<String, u64>,
    /// How many lack of sites.
    pub sites: BTreeMap<SiteName, u64>,
}

/// A dataset to be made: that of the champion, and labelled captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetOrder {
    /// The version whose dataset it begins with.
    pub base: ModelVersion,
    /// Labels that were stored after this are not in it.
    pub until: WallTime,
    /// Share of the captures that are kept out of training, to compare on. All captures of a device are on one side,
    /// since what one device sees is alike; of a site that has one device alone the latest are kept out, so that something
    /// is known of it.
    pub keep_out: Share,
    /// Devices that are at fault: what they see is not what the model is for.
    pub without: Vec<DeviceId>,
}

/// A challenger to be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainOrder {
    /// How: a job that is kept under this name.
    pub training: TrainingName,
    /// Of which dataset.
    pub dataset: u64,
    /// Stop it when it took so many core-seconds.
    pub core_seconds: u64,
}

/// Two to be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareOrder {
    /// What serves.
    pub champion: ModelVersion,
    /// What was trained.
    pub challenger: Trained,
    /// Captures that this dataset kept out are compared on, and labels that came after it was made.
    pub dataset: u64,
    /// Sites that moved: something has to be known of each.
    pub sites: Vec<SiteName>,
    /// What the challenger has to hold.
    pub bounds: Bounds,
}

/// Where a version comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    /// The round.
    pub round: u32,
    /// The version that it is to follow.
    pub champion: ModelVersion,
    /// The dataset.
    pub dataset: u64,
    /// The training.
    pub trained: Trained,
    /// What called for it.
    pub evidence: Vec<String>,
    /// What the comparison said.
    pub comparison: Vec<String>,
    /// Who agreed, to what.
    pub agreed: Vec<String>,
}

/// A version to be rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutOrder {
    /// Which.
    pub version: ModelVersion,
    /// By which plan template.
    pub template: String,
}

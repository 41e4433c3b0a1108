//! What is remembered of a model: the round that is open, what was spent, and what was learned. Plain data.
//!
//! Encoded as CBOR. A number once given a meaning keeps it.

use std::collections::{BTreeMap, VecDeque};

use minicbor::{Decode, Encode};
use tern_protocol::{
    id::{ModelVersion, SiteName, UserName},
    time::WallTime,
};

use crate::{
    compare::Comparison,
    fact::{Facts, Figure, Trained},
    ledger::Ledger,
    trigger::Evidence,
};

/// The form of what is stored.
pub const FORMAT: u16 = 1;

/// Lessons that are kept; a year of one a week, and another. Whoever drives it may store all of them, since each is
/// handed out once ([`crate::Stepped::ended`]).
pub const LESSONS_MAX: usize = 104;

/// All that is remembered of a model in a workspace.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Loop {
    /// [`FORMAT`].
    #[n(0)]
    pub(crate) format: u16,
    /// The latest time that was seen. A clock that was set back a little stands still in here.
    #[n(1)]
    pub(crate) latest: WallTime,
    /// Rounds that were opened; the number of the last one.
    #[n(2)]
    pub(crate) round: u32,
    /// The round that is open.
    #[n(3)]
    pub(crate) open: Option<Round>,
    /// When the last round ended.
    #[n(4)]
    pub(crate) ended: Option<WallTime>,
    /// Labels that were stored until then were in the last dataset.
    #[n(5)]
    pub(crate) cut: Option<WallTime>,
    /// Open findings that were answered: by a new model after which all was well, or by a person who declined
    /// the proposal.
    #[n(6)]
    pub(crate) answered: BTreeMap<i64, Answered>,
    /// What was spent.
    #[n(7)]
    pub(crate) ledger: Ledger,
    /// What was learned, the latest last.
    #[n(8)]
    pub(crate) lessons: VecDeque<Lesson>,
}

impl Default for Loop {
    fn default() -> Self {
        Self {
            format: FORMAT,
            latest: WallTime(i64::MIN),
            round: 0,
            open: None,
            ended: None,
            cut: None,
            answered: BTreeMap::new(),
            ledger: Ledger::default(),
            lessons: VecDeque::new(),
        }
    }
}

impl Loop {
    /// The round that is open; none while there is nothing to do.
    pub fn open(&self) -> Option<&Round> {
        self.open.as_ref()
    }

    /// Whether they say the same but for the time at which they were looked at last.
    pub fn is_but_later(&self, other: &Self) -> bool {
        let later = Self {
            latest: other.latest,
            ..self.clone()
        };
        later == *other
    }

    /// The latest time that was seen.
    pub fn latest(&self) -> WallTime {
        self.latest
    }

    /// Rounds that were opened; the number of the last one.
    pub fn rounds(&self) -> u32 {
        self.round
    }

    /// When the last round ended.
    pub fn ended(&self) -> Option<WallTime> {
        self.ended
    }

    /// Labels stored after this are new, for [`crate::fact::Labels::new`]; all are if there is none.
    pub fn cut(&self) -> Option<WallTime> {
        self.cut
    }

    /// What was spent.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What was learned, the latest last.
    pub fn lessons(&self) -> impl DoubleEndedIterator<Item = &Lesson> {
        self.lessons.iter()
    }
}

/// Places for which a finding was answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Answered {
    /// Whether for the whole fleet.
    #[n(0)]
    pub fleet: bool,
    /// For which sites.
    #[n(1)]
    pub sites: Vec<SiteName>,
}

/// A round that is open.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Round {
    /// Its number, from 1.
    #[n(0)]
    pub number: u32,
    /// Where it is.
    #[n(1)]
    pub stage: Stage,
    /// When it was opened.
    #[n(2)]
    pub opened: WallTime,
    /// Since when it is in its stage.
    #[n(3)]
    pub since: WallTime,
    /// The attempt of its stage, from 1.
    #[n(4)]
    pub attempt: u16,
    /// When the attempt may begin.
    #[n(5)]
    pub not_before: WallTime,
    /// What serves.
    #[n(6)]
    pub champion: ModelVersion,
    /// What called for it, in the order in which it joined.
    #[n(7)]
    pub evidence: Vec<Evidence>,
    /// How good the champion was when it was opened.
    #[n(8)]
    pub before: Option<Baseline>,
    /// Its dataset holds labels that were stored until then.
    #[n(9)]
    pub cut: Option<WallTime>,
    /// Its dataset.
    #[n(10)]
    pub dataset: Option<u64>,
    /// Its training.
    #[n(11)]
    pub trained: Option<Trained>,
    /// What the comparison said.
    #[n(12)]
    pub comparison: Option<Comparison>,
    /// The version that the challenger became.
    #[n(13)]
    pub version: Option<ModelVersion>,
    /// Who agreed, to what.
    #[n(14)]
    pub agreed: Vec<String>,
    /// Core-seconds of the training that succeeded, and milliseconds.
    #[n(15)]
    pub cost: Option<(u64, u64)>,
    /// Attempts of comparisons that came to an end: a person may ask for another.
    #[n(16)]
    pub compared: u16,
    /// Sites that moved and of which its dataset has labels: of each something has to be known in the comparison.
    #[n(17)]
    pub moved: Vec<SiteName>,
}

/// How good a model was.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Baseline {
    /// By what.
    #[n(0)]
    pub measure: Measure,
    /// The figure.
    #[n(1)]
    pub figure: Figure,
}

/// By what it is known how good a model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Measure {
    /// The accuracy by labels.
    #[n(0)]
    Accuracy,
    /// The mean absolute error by labels: less is better.
    #[n(1)]
    Error,
    /// The accuracy that is estimated without labels.
    #[n(2)]
    Estimate,
}

impl Measure {
    /// All, the most trusted first.
    pub const ALL: [Self; 3] = [Self::Accuracy, Self::Error, Self::Estimate];

    /// The figure of it, of a version.
    pub fn of(self, facts: &Facts, version: ModelVersion) -> Option<Figure> {
        let figure = match self {
            Self::Accuracy => facts.accuracy,
            Self::Error => facts.error,
            Self::Estimate => facts.estimate,
        };
        figure.filter(|figure| figure.version == version)
    }
}

/// Where a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Stage {
    /// Labels lack.
    #[n(0)]
    Waiting,
    /// It is proposed.
    #[n(1)]
    Proposed,
    /// Its dataset is made.
    #[n(2)]
    Building,
    /// A challenger is trained.
    #[n(3)]
    Training,
    /// Both are compared.
    #[n(4)]
    Comparing,
    /// A person is asked, since it cannot be told which is better.
    #[n(5)]
    Unknown,
    /// The challenger becomes a version.
    #[n(6)]
    Registering,
    /// The version is rolled out.
    #[n(7)]
    RollingOut,
    /// It is watched whether the fleet recovers.
    #[n(8)]
    Watching,
    /// Somebody has to agree before the challenger becomes a version.
    #[n(9)]
    AskedRegistration,
    /// Somebody has to agree before the version is rolled out.
    #[n(10)]
    AskedRollout,
}

impl Stage {
    /// All, in the order in which a round goes through them.
    pub const ALL: [Self; 11] = [
        Self::Waiting,
        Self::Proposed,
        Self::Building,
        Self::Training,
        Self::Comparing,
        Self::Unknown,
        Self::AskedRegistration,
        Self::Registering,
        Self::AskedRollout,
        Self::RollingOut,
        Self::Watching,
    ];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Waiting => "waiting for labels",
            Self::Proposed => "proposed",
            Self::Building => "making the dataset",
            Self::Training => "training",
            Self::Comparing => "comparing",
            Self::Unknown => "asking what to do with an unclear comparison",
            Self::Registering => "registering",
            Self::RollingOut => "rolling out",
            Self::Watching => "watching",
            Self::AskedRegistration => "waiting for somebody to agree to the registration",
            Self::AskedRollout => "waiting for somebody to agree to the rollout",
        }
    }
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// The challenger serves, and what called for it is over.
    #[n(0)]
    Recovered,
    /// The challenger serves, and what called for it goes on.
    #[n(1)]
    NotRecovered,
    /// A person said no.
    #[n(2)]
    Declined(#[n(0)] UserName),
    /// Nobody answered, or labels did not come, in time.
    #[n(3)]
    Expired(#[n(0)] Stage),
    /// What it was about is no more: in words.
    #[n(4)]
    Superseded(#[n(0)] String),
    /// Work failed, or took longer than it may: where, and why.
    #[n(5)]
    Failed(#[n(0)] Stage, #[n(1)] String),
    /// The challenger does not hold the bounds.
    #[n(6)]
    Rejected,
    /// The rollout was stopped: why.
    #[n(7)]
    RolloutStopped(#[n(0)] String),
    /// A person ended it.
    #[n(8)]
    Cancelled(#[n(0)] UserName),
}

impl Outcome {
    /// In a sentence.
    pub fn text(&self) -> String {
        match self {
            Self::Recovered => "the new version serves, and what called for it is over".into(),
            Self::NotRecovered => "the new version serves, and what called for it goes on".into(),
            Self::Declined(by) => format!("{by} declined"),
            Self::Expired(stage) => format!("time ran out while {}", stage.words()),
            Self::Superseded(why) => format!("it is about nothing any more: {why}"),
            Self::Failed(stage, why) => format!("{} failed: {why}", stage.words()),
            Self::Rejected => "the challenger was rejected".into(),
            Self::RolloutStopped(why) => format!("the rollout was stopped: {why}"),
            Self::Cancelled(by) => format!("{by} cancelled it"),
        }
    }
}

/// What a round taught.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Lesson {
    /// The round.
    #[n(0)]
    pub round: u32,
    /// When it was opened.
    #[n(1)]
    pub opened: WallTime,
    /// When it ended.
    #[n(2)]
    pub ended: WallTime,
    /// How.
    #[n(3)]
    pub outcome: Outcome,
    /// What called for it.
    #[n(4)]
    pub evidence: Vec<String>,
    /// What served when it began.
    #[n(5)]
    pub champion: ModelVersion,
    /// Its dataset, if there was one.
    #[n(6)]
    pub dataset: Option<u64>,
    /// The challenger, if there was one.
    #[n(7)]
    pub challenger: Option<Trained>,
    /// The version that it became.
    #[n(8)]
    pub version: Option<ModelVersion>,
    /// What the comparison said, with its numbers.
    #[n(9)]
    pub comparison: Vec<String>,
    /// Core-seconds and milliseconds of the training that succeeded.
    #[n(10)]
    pub cost: Option<(u64, u64)>,
}

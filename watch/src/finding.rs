//! What the engine has to say.

use minicbor::{Decode, Encode};
use tern_protocol::id::ModelVersion;

use crate::{
    column::{Column, Kind},
    hour::{Device, Hour, Site},
};

/// Where something moved. In the order in which they are looked at: what explains more comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Place {
    /// Devices since they have this version.
    #[n(0)]
    Version(#[n(0)] ModelVersion),
    /// The middle of all sites.
    #[n(1)]
    Fleet,
    /// The middle of the devices of a site, less what the fleet does.
    #[n(2)]
    Site(#[n(0)] Site),
    /// A device, less what its site does.
    #[n(3)]
    Device(#[n(0)] Device),
}

/// Why, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Attribution {
    /// Few devices are unlike their neighbours, which see the same: a fault of them or of their sensors. Neither stops
    /// a rollout nor calls for a new model.
    #[n(0)]
    Devices,
    /// Sites see something else than before, other sites do not. A new model may be needed.
    #[n(1)]
    Sites,
    /// All sites see something else than before. A new model may be needed.
    #[n(2)]
    Fleet,
    /// Devices that changed to this version moved, and when they did. To stop a rollout.
    #[n(3)]
    Version(#[n(0)] ModelVersion),
    /// Other classes come than before, and inputs moved just as they do when other classes come: the world has another
    /// mix, each class looks as it did. The model may well be as right as before.
    #[n(4)]
    Mix,
}

/// An effect with a 95 % interval, in the unit of its column: a difference of two numbers from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Effect {
    /// By how much it is above what is usual.
    #[n(0)]
    pub value: f64,
    /// Lower end.
    #[n(1)]
    pub low: f64,
    /// Upper end.
    #[n(2)]
    pub high: f64,
}

impl Effect {
    /// By how much it is off at least, whichever way; 0 if it may be off by nothing.
    pub fn least(&self) -> f64 {
        if self.value >= 0.0 {
            self.low.max(0.0)
        } else {
            (-self.high).max(0.0)
        }
    }
}

/// A column that moved.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub struct Moved {
    /// Which.
    #[n(0)]
    pub column: Column,
    /// By how much.
    #[n(1)]
    pub effect: Effect,
    /// Natural logarithm of the evidence for it, as multiples of what all bettors brought.
    #[n(2)]
    pub evidence: f64,
}

/// Something that moved, since when, where and why.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Finding {
    /// Its number; never given twice.
    #[n(0)]
    pub id: u32,
    /// What.
    #[n(1)]
    pub kind: Kind,
    /// Why.
    #[n(2)]
    pub attribution: Attribution,
    /// Where; one place, or several of one sort.
    #[n(3)]
    pub places: Vec<Place>,
    /// Columns, the largest effect first.
    #[n(4)]
    pub moved: Vec<Moved>,
    /// About when it began: the day on which the evidence that led here begins.
    #[n(5)]
    pub since: Hour,
    /// When it was found.
    #[n(6)]
    pub opened: Hour,
    /// Its certainty: so many years would pass in the mean until chance alone makes an alarm like this, anywhere in the
    /// fleet and in anything that is watched.
    #[n(7)]
    pub years: f64,
    /// About how many inferences it stands on: those of its places since it began.
    #[n(8)]
    pub samples: u64,
    /// How many devices reported of those places in the last two days.
    #[n(9)]
    pub devices: u32,
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// There is a new one.
    Opened(Finding),
    /// It has other places, columns or another cause than before.
    Changed(Finding),
    /// It is over.
    Closed(Finding, Why),
}

/// Why a finding is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// All is as usual again.
    Recovered,
    /// A person says that this is usual from now on.
    Accepted,
    /// It is part of another one, which says more.
    Explained(u32),
    /// Nothing was heard of its places for a month.
    Silent,
}

impl Change {
    /// The finding.
    pub fn finding(&self) -> &Finding {
        match self {
            Self::Opened(finding) | Self::Changed(finding) | Self::Closed(finding, _) => finding,
        }
    }
}

/// Whether two columns tell of the same: one feature, or predictions of one model.
pub(crate) fn same_matter(a: Column, b: Column) -> bool {
    match (a, b) {
        (Column::Location(a) | Column::Spread(a), Column::Location(b) | Column::Spread(b))
        | (Column::Unusable(a), Column::Unusable(b)) => a == b,
        (a, b) => a.kind() == b.kind() && !matches!(a.kind(), Kind::Input | Kind::Quality),
    }
}

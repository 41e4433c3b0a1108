//! All that the engine knows, to be stored and read back.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use tern_protocol::id::ModelVersion;

use crate::{
    finding::{Effect, Finding, Place},
    hour::{Device, Hour, Site},
    member::Member,
    pool::Pool,
    stream::Stream,
};

/// Hours of the fleet's middle that are kept, for sites that were away: four weeks.
pub(crate) const RING: usize = 24 * 28;

/// The state of one model's watch.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct State {
    #[n(0)]
    pub(crate) sites: BTreeMap<Site, SiteState>,
    #[n(1)]
    pub(crate) devices: BTreeMap<Device, Member>,
    #[n(2)]
    pub(crate) fleet: Fleet,
    #[n(3)]
    pub(crate) versions: BTreeMap<ModelVersion, Rollout>,
    /// By column, over sites.
    #[n(4)]
    pub(crate) site_pools: Vec<Pool>,
    /// By column, over devices.
    #[n(5)]
    pub(crate) device_pools: Vec<Pool>,
    #[n(6)]
    pub(crate) candidates: BTreeMap<(Place, u16), Candidate>,
    #[n(7)]
    pub(crate) findings: Vec<Finding>,
    #[n(8)]
    pub(crate) next: u32,
    /// Hours of devices that came after their site's hour was closed, and were not looked at.
    #[n(9)]
    pub(crate) late: u64,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct SiteState {
    /// The last hour that was folded; none before the first.
    #[n(0)]
    pub(crate) through: Option<Hour>,
    #[n(1)]
    pub(crate) streams: Vec<Stream>,
}

/// The middle of all sites.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Fleet {
    #[n(0)]
    pub(crate) through: Option<Hour>,
    #[n(1)]
    pub(crate) streams: Vec<Stream>,
    /// The last hours, the latest last, a row of columns each.
    #[n(2)]
    pub(crate) hours: std::collections::VecDeque<Middle>,
}

/// One hour of the fleet's middle.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(crate) struct Middle {
    #[n(0)]
    pub(crate) hour: Hour,
    #[n(1)]
    pub(crate) values: Vec<f32>,
}

/// What is known of a version while it is young somewhere.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Rollout {
    /// By column: the sum of e-values of daily looks, as logarithm.
    #[n(0)]
    pub(crate) sums: Vec<f32>,
    #[n(1)]
    pub(crate) looks: u16,
    #[n(2)]
    pub(crate) first: Hour,
}

/// Evidence that was enough, to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
pub(crate) struct Candidate {
    #[n(0)]
    pub(crate) at: Hour,
    #[n(1)]
    pub(crate) since: u32,
    #[n(2)]
    pub(crate) ln: f64,
    #[n(3)]
    pub(crate) effect: Effect,
}

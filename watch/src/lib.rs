//! Watching: knows when a model stops being right, and where, and why.
//!
//! Called by the hub, which tells it what each device did in each hour ([`Watch::hour`]) and asks what follows
//! ([`Watch::look`]). Calls the wire types of `tern-protocol` and the mathematics of `tern-stats`. There is no I/O in
//! here and no clock: time comes with what is told.
//!
//! How it is driven, by hour h of the clock of whoever drives it, once most of what happened in h has arrived:
//! 1. [`Watch::hour`] with what devices did in h, merged by device and version; and with older hours of sites that were
//!    away, each site's in order;
//! 2. [`Watch::look`] with h: findings that opened, changed and closed, to be stored and told ([`sentence`]);
//! 3. [`Watch::to_bytes`], to be stored with them; [`Watch::restore`] after a start.
//!
//! A person who says that a finding is usual now is told by [`Watch::accept`], a new version by [`Watch::set_model`].
//!
//! Must never break:
//! - the state is a fold: the same hours give the same findings, and the order inside an hour never matters;
//! - whatever arrives, in whatever order, nothing panics and nothing grows without bound;
//! - nothing is called drift for being certain alone, nor for being large alone: an alarm takes both;
//! - what is long over raises no alarm, however late it arrives.
#![warn(missing_docs)]

use tern_protocol::codec::{self, DecodeError};

pub mod column;
pub mod departure;
mod evidence;
pub mod finding;
mod fold;
pub mod hour;
mod look;
mod median;
mod member;
mod mix;
mod pool;
pub mod rules;
pub mod scenario;
mod season;
pub mod sentence;
pub mod settings;
mod state;
mod stream;
mod version;

pub use column::Model;
pub use departure::{Departure, DepartureChange, Departures};
pub use finding::{Change, Finding};
pub use hour::{Device, DeviceHour, Hour, Site};
pub use settings::Settings;

use column::{Layout, ModelError};
use state::State;

/// The watch over one model in one slot of a fleet.
#[derive(Debug, Clone)]
pub struct Watch {
    settings: Settings,
    layout: Layout,
    state: State,
}

/// Why a stored state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The model it is for cannot be watched.
    #[error("the model of a stored watch")]
    Model(#[from] ModelError),
    /// The bytes are no state.
    #[error("the state of a watch cannot be read")]
    Decode(#[from] DecodeError),
    /// It is of a model with other features or classes.
    #[error("the state of a watch has {stored} columns where its model has {expected}")]
    Columns {
        /// How many are stored.
        stored: usize,
        /// How many there should be.
        expected: usize,
    },
}

impl Watch {
    /// Nothing is known yet.
    pub fn new(settings: Settings, model: &Model) -> Result<Self, ModelError> {
        let layout = Layout::new(model, &settings)?;
        let pools = vec![pool::Pool::default(); layout.columns().len()];
        let state = State {
            site_pools: pools.clone(),
            device_pools: pools,
            ..State::default()
        };
        Ok(Self {
            settings,
            layout,
            state,
        })
    }

    /// As it was stored by [`Self::to_bytes`]. The model has at least the versions it had then, in the same order.
    pub fn restore(settings: Settings, model: &Model, bytes: &[u8]) -> Result<Self, RestoreError> {
        let layout = Layout::new(model, &settings)?;
        let state: State = codec::decode_within(bytes, usize::MAX)?;
        let expected = layout.columns().len();
        let rows = state.devices.values().map(|member| member.rows.len());
        let young = state
            .devices
            .values()
            .filter_map(|member| member.young.as_ref())
            .map(|young| young.sums.len());
        let streams = state
            .sites
            .values()
            .map(|site| site.streams.len())
            .chain([state.fleet.streams.len()]);
        let middles = state.fleet.hours.iter().map(|middle| middle.values.len());
        let pools = [state.site_pools.len(), state.device_pools.len()];
        // A fleet without a middle has no streams yet.
        let other = streams
            .filter(|n| *n > 0)
            .chain(rows)
            .chain(young)
            .chain(middles)
            .chain(pools)
            .find(|n| *n != expected);
        match other {
            Some(stored) => Err(RestoreError::Columns { stored, expected }),
            None => Ok(Self {
                settings,
                layout,
                state,
            }),
        }
    }

    /// The state, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(&self.state)
    }

    /// The model has new versions, or known ones have other references. The first version has to stay the first, with
    /// the same features and classes: all is measured on its scale.
    pub fn set_model(&mut self, model: &Model) -> Result<(), RestoreError> {
        let layout = Layout::new(model, &self.settings)?;
        let (stored, expected) = (self.layout.columns().len(), layout.columns().len());
        if stored != expected {
            return Err(RestoreError::Columns { stored, expected });
        }
        self.layout = layout;
        Ok(())
    }

    /// What is watched, for reading columns of findings.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Findings that are open.
    pub fn findings(&self) -> &[Finding] {
        &self.state.findings
    }

    /// Hours of devices that came after their site's was folded; their counts are elsewhere, they were not judged.
    pub fn late(&self) -> u64 {
        self.state.late
    }

    /// A device has another version since an hour; what [`Self::hour`] would notice by itself with the first hour of
    /// it. Of devices that are not known yet nothing is remembered.
    pub fn version_changed(
        &mut self,
        device: Device,
        version: tern_protocol::id::ModelVersion,
        since: Hour,
    ) {
        let member = self.state.devices.get_mut(&device);
        if member.is_some_and(|member| member.switch(version, since)) {
            fold::forget(&mut self.state.candidates, device);
        }
    }

    /// Where a device was last.
    pub fn site_of(&self, device: Device) -> Option<Site> {
        self.state.devices.get(&device).map(|member| member.site)
    }

    /// Forgets a device that is gone for good.
    pub fn forget(&mut self, device: Device) {
        self.state.devices.remove(&device);
    }

    /// How far a site usually lies from the training reference in each column of inputs: 0 where it is as in training.
    /// No alarm stands on it, since nothing changed; but a model that never saw such a place may be wrong there.
    /// `None` of sites that are not known.
    pub fn from_training(&self, site: Site) -> Option<Vec<(column::Column, f64)>> {
        let streams = &self.state.sites.get(&site)?.streams;
        let columns = self.layout.columns().iter().zip(streams);
        let inputs = columns.filter(|(column, _)| column.kind() == column::Kind::Input);
        Some(
            inputs
                .filter_map(|(column, stream)| {
                    Some((*column, f64::from(stream.season.mean()?) - 0.5))
                })
                .collect(),
        )
    }
}

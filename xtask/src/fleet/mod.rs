//! A small fleet on this machine: a hub, agents at four sites, cameras whose lenses fog, people who label.
//!
//! Called by the demo, which tells its story, and by `tern-bench`, which measures it. All of it is real processes,
//! steered as a person would, by the command line and the API.
//!
//! Must never break: nothing that a fleet starts outlives it, also after Ctrl-C or a failure.

mod admission;
pub mod answers;
pub mod cameras;
pub mod cast;
pub mod people;
pub mod retraining;
pub mod stage;
pub mod tern;
pub mod trainer;
pub mod web;

use std::path::PathBuf;

pub use self::admission::{Account, USER};
use crate::workspace::{Profile, binary};

/// The programs that a fleet is made of.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The hub. The supervisor of its jobs is beside it.
    pub hub: PathBuf,
    /// The agent.
    pub agent: PathBuf,
    /// The command line.
    pub tern: PathBuf,
    /// The trainer, which plays the cameras too.
    pub models: PathBuf,
}

impl Programs {
    /// All of them as this profile builds them.
    pub fn of(profile: Profile) -> Self {
        let program = |name| binary(profile, name);
        Self {
            hub: program("tern-hub"),
            agent: program("tern-agent"),
            tern: program("tern"),
            models: program("tern-models"),
        }
    }
}

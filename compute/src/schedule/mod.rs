//! Which job starts where, and how large a compute should be. Pure: what is so in, what to do out.
//!
//! Called by whoever keeps jobs, again and again, with everything that is so ([`View`]). It remembers nothing itself, so
//! that one that was started again decides the same; what it asks for twice is named by [`AttemptKey`] and done once.
//!
//! Who is next: the workspace that had least lately for its weight; in it the job with the highest priority, which rises
//! while it waits; among equals the person who had least; then the one that waits longest. So a workspace cannot take
//! the turn of another by calling its jobs urgent, and in a workspace nothing waits for ever.
//!
//! What does not fit is passed over by smaller ones, until it has waited for [`Rules::patience`]. Then a compute is kept
//! free for it: nothing else starts there.
//!
//! Must never break:
//! - no compute is given more than it has;
//! - a job that some compute could hold starts at last, whatever else keeps coming;
//! - the same view gives the same plan.

mod fair;
mod plan;
mod scale;

pub use fair::{Owner, Usage};
pub use plan::plan;
pub use scale::{Scaling, Wanted};

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tern_protocol::{
    id::{ComputeName, WorkspaceId},
    time::WallTime,
};

use crate::job::{AttemptKey, Resources};

/// A place where jobs run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compute {
    /// Its name.
    pub name: ComputeName,
    /// How many units it has now.
    pub units: u32,
    /// What each of them has.
    pub unit: Resources,
    /// Graphics processors that all units share, whatever their number.
    #[serde(default)]
    pub shared_gpus: u32,
    /// Whether a job may take several.
    pub together: Together,
    /// How it grows and shrinks.
    pub scaling: Scaling,
    /// Since when it should.
    pub wanted: Wanted,
}

/// What units of a compute are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Together {
    /// Slots of one machine: a job may take several.
    OneMachine,
    /// Machines: a job has to fit into one. Which one is for the engine to say.
    Machines,
}

impl Compute {
    fn capacity(&self, units: u32) -> Free {
        Free {
            cpu: u64::from(self.unit.cpu_millis) * u64::from(units),
            memory: self.unit.memory.saturating_mul(units.into()),
            gpus: u64::from(self.unit.gpus) * u64::from(units) + u64::from(self.shared_gpus),
        }
    }

    /// Whether it could hold this when everything else has ended and it has grown.
    fn could_hold(&self, needs: Resources) -> bool {
        let units = match self.together {
            Together::OneMachine => self.scaling.max.max(self.scaling.min).max(self.units),
            Together::Machines => 1,
        };
        self.scaling.max > 0 && self.capacity(units).holds(needs)
    }

    /// How many units these would take.
    fn demand(&self, all: impl Iterator<Item = Resources>) -> u32 {
        let (mut sum, mut large) = (Free::default(), 0_u32);
        let half = Free {
            cpu: u64::from(self.unit.cpu_millis) / 2,
            memory: self.unit.memory / 2,
            gpus: u64::from(self.unit.gpus) / 2,
        };
        for needs in all {
            sum.give(needs);
            // Two of these never share a machine.
            large = large.saturating_add(u32::from(!half.holds(needs)));
        }
        let units = |sum: u64, one: u64| if one == 0 { 0 } else { sum.div_ceil(one) };
        let by_sum = units(sum.cpu, self.unit.cpu_millis.into())
            .max(units(sum.memory, self.unit.memory))
            .max(units(sum.gpus, self.unit.gpus.into()));
        let by_sum = u32::try_from(by_sum).unwrap_or(u32::MAX);
        match self.together {
            Together::OneMachine => by_sum,
            Together::Machines => by_sum.max(large),
        }
    }
}

/// An attempt that is to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which.
    pub key: AttemptKey,
    /// Whose.
    pub owner: Owner,
    /// What it takes.
    pub needs: Resources,
    /// 0 to 9.
    pub priority: u8,
    /// Since when it waits.
    pub since: WallTime,
    /// Where it has to run, if it does not matter to it.
    pub on: Option<ComputeName>,
}

/// An attempt that was given to a compute and has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Which.
    pub key: AttemptKey,
    /// Whose.
    pub owner: Owner,
    /// What it takes.
    pub needs: Resources,
    /// Where.
    pub on: ComputeName,
    /// Which graphics processors it has, on a machine that numbers them.
    pub gpus: Vec<u32>,
}

/// What the schedule goes by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// How long a job waits before its priority counts one more.
    pub ageing: Duration,
    /// How long smaller jobs may pass one that does not fit.
    pub patience: Duration,
    /// What part workspaces have in everything, relative to each other; 1 unless it stands here.
    pub weights: BTreeMap<WorkspaceId, u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ageing: Duration::from_mins(30),
            patience: Duration::from_mins(15),
            weights: BTreeMap::new(),
        }
    }
}

/// Everything that is so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The places, the preferred one first.
    pub computes: Vec<Compute>,
    /// What is to start.
    pub waiting: Vec<Waiting>,
    /// What runs.
    pub placed: Vec<Placed>,
    /// Who had how much.
    pub usage: Usage,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// What starts now, in this order.
    pub starts: Vec<Placed>,
    /// How many units computes should have, where that is not what they have.
    pub scale: BTreeMap<ComputeName, u32>,
    /// What to remember of each compute for the next look.
    pub wanted: BTreeMap<ComputeName, Wanted>,
    /// Why the others do not start.
    pub waits: BTreeMap<AttemptKey, Why>,
}

/// Why a job does not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// There is no room now.
    Busy,
    /// There is no room, and it has waited long enough: this compute is kept free for it.
    KeptFor(ComputeName),
    /// There would be room, but it is kept free for another that waits for longer.
    Kept(AttemptKey),
    /// No compute could hold it, ever.
    TooLarge,
}

/// What is free. A number that is not asked for is no obstacle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Free {
    cpu: u64,
    memory: u64,
    gpus: u64,
}

impl Free {
    fn holds(self, needs: Resources) -> bool {
        self.cpu >= needs.cpu_millis.into()
            && self.memory >= needs.memory
            && self.gpus >= needs.gpus.into()
    }

    fn take(&mut self, needs: Resources) {
        self.cpu = self.cpu.saturating_sub(needs.cpu_millis.into());
        self.memory = self.memory.saturating_sub(needs.memory);
        self.gpus = self.gpus.saturating_sub(needs.gpus.into());
    }

    fn give(&mut self, needs: Resources) {
        self.cpu = self.cpu.saturating_add(needs.cpu_millis.into());
        self.memory = self.memory.saturating_add(needs.memory);
        self.gpus = self.gpus.saturating_add(needs.gpus.into());
    }

    /// The largest part of it that something takes: who wants one kind alone is not cheap for leaving the others.
    fn share(self, needs: Resources) -> f64 {
        let part = |wants: u64, of: u64| {
            if of == 0 {
                0.0
            } else {
                wants as f64 / of as f64
            }
        };
        part(needs.cpu_millis.into(), self.cpu)
            .max(part(needs.memory, self.memory))
            .max(part(needs.gpus.into(), self.gpus))
    }
}

/// What part of everything a job takes while it runs: what [`Usage::charge`] is told.
pub fn share(computes: &[Compute], needs: Resources) -> f64 {
    everything(computes).share(needs)
}

fn everything(computes: &[Compute]) -> Free {
    let mut all = Free::default();
    for compute in computes {
        let most = compute.capacity(compute.scaling.max.max(compute.units));
        all.cpu = all.cpu.saturating_add(most.cpu);
        all.memory = all.memory.saturating_add(most.memory);
        all.gpus = all.gpus.saturating_add(most.gpus);
    }
    all
}

#[cfg(test)]
mod tests;

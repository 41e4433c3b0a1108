//! Who had how much, lately. Pure.
//!
//! What somebody used counts half after a half-life, so that a week of silence pays for a weekend of training, and a
//! burst is not held against anybody for ever.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tern_protocol::{
    id::{UserName, WorkspaceId},
    time::WallTime,
};

/// After how long what was used counts half.
const HALF_LIFE: Duration = Duration::from_hours(24);

/// Less than this, in seconds of everything there is, is nothing: so names do not gather for ever.
const NOTHING: f64 = 1e-3;

/// Who a job belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The person in it.
    pub person: UserName,
}

/// Who had how much, in seconds of everything there is, with what is long ago counting less. Kept by whoever drives the
/// schedule, and stored if it should outlive a restart; without it everybody begins anew, which is fair too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    at: WallTime,
    owners: Vec<(Owner, f64)>,
}

impl Usage {
    /// Somebody had this share of everything for so long. A clock that went back adds and forgets nothing.
    pub fn charge(&mut self, now: WallTime, owner: &Owner, share: f64, time: Duration) {
        self.advance(now);
        let seconds = share.max(0.0) * time.as_secs_f64();
        if !seconds.is_finite() || seconds == 0.0 {
            return;
        }
        match self.owners.iter_mut().find(|(one, _)| one == owner) {
            Some((_, used)) => *used += seconds,
            None => self.owners.push((owner.clone(), seconds)),
        }
    }

    fn advance(&mut self, now: WallTime) {
        let factor = self.factor(now);
        self.at = self.at.max(now);
        for (_, used) in &mut self.owners {
            *used *= factor;
        }
        self.owners.retain(|(_, used)| *used > NOTHING);
    }

    fn factor(&self, now: WallTime) -> f64 {
        let passed = now.0.saturating_sub(self.at.0).max(0) as f64 / 1000.0;
        (-passed / HALF_LIFE.as_secs_f64()).exp2()
    }

    /// What each has used, as it counts now.
    pub(super) fn standing(&self, now: WallTime) -> Standing {
        let factor = self.factor(now);
        let mut standing = Standing::default();
        for (owner, used) in &self.owners {
            standing.add(owner, used * factor);
        }
        standing
    }
}

/// Usage by workspace and by person.
#[derive(Debug, Default)]
pub(super) struct Standing {
    workspaces: BTreeMap<WorkspaceId, f64>,
    people: BTreeMap<Owner, f64>,
}

impl Standing {
    pub(super) fn add(&mut self, owner: &Owner, used: f64) {
        *self.workspaces.entry(owner.workspace.clone()).or_default() += used;
        *self.people.entry(owner.clone()).or_default() += used;
    }

    pub(super) fn workspace(&self, workspace: &WorkspaceId) -> f64 {
        self.workspaces.get(workspace).copied().unwrap_or(0.0)
    }

    pub(super) fn person(&self, owner: &Owner) -> f64 {
        self.people.get(owner).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_counts_half_after_a_day() {
        let owner = Owner {
            workspace: "lab".parse().unwrap(),
            person: "ada".parse().unwrap(),
        };
        let day = 24 * 60 * 60 * 1000;
        let mut usage = Usage::default();
        usage.charge(WallTime(day), &owner, 0.5, Duration::from_secs(100));
        let at = |usage: &Usage, now| usage.standing(WallTime(now)).person(&owner);
        assert!((at(&usage, day) - 50.0).abs() < 1e-9);
        assert!((at(&usage, 2 * day) - 25.0).abs() < 1e-9);
        assert!(
            (at(&usage, 0) - 50.0).abs() < 1e-9,
            "a clock that went back"
        );
        usage.charge(WallTime(99 * day), &owner, f64::NAN, Duration::MAX);
        assert_eq!(usage.owners.len(), 0, "what is long ago is forgotten");
    }
}

//! A rollout as the core sees it.

use tern_protocol::{
    id::{RolloutId, SlotName, WorkspaceId},
    rest::{Described, Moved, Plan, RolloutCounts, RolloutState, Selector},
    time::WallTime,
};

use crate::fleet::facts::{Assigned, DeviceFacts, Target};

/// A rollout: the plan, and how it stood when it was last looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Its id. A newer rollout has a higher one.
    pub id: RolloutId,
    /// The slot it fills.
    pub slot: SlotName,
    /// With what.
    pub target: Target,
    /// On which devices.
    pub selector: Selector,
    /// On which share of them, 1 to 100.
    pub percent: u8,
    /// Its plan, if it decides by evidence.
    pub plan: Option<Box<Plan>>,
    /// Which of two rollouts has a device that both select: the one with the larger number, else the newer.
    pub precedence: u32,
    /// Its stage, from 1, once it has one.
    pub stage: Option<u32>,
    /// Bytes that a device has to fetch if it has nothing.
    pub bytes: u64,
    /// How it stands.
    pub state: RolloutState,
    /// What becomes of moved devices, once it is aborted and until that is done.
    pub moved: Option<Moved>,
    /// One sentence for a person.
    pub reason: String,
    /// Devices by where they are, when it was last looked at.
    pub counts: RolloutCounts,
    /// When it was started.
    pub created: WallTime,
    /// When it last changed.
    pub updated: WallTime,
    /// Who started it, as in the audit log.
    pub actor: Option<String>,
}

impl Rollout {
    /// Whether it may assign its version.
    pub const fn assigns(&self) -> bool {
        matches!(
            self.state,
            RolloutState::Running | RolloutState::Waiting | RolloutState::Complete
        )
    }

    /// Whether there may be something to do for it, now or when devices change.
    pub const fn is_live(&self) -> bool {
        !self.state.is_over() || self.is_giving_back()
    }

    /// What decides who has a device that two rollouts select.
    pub const fn rank(&self) -> (u32, u32) {
        (self.precedence, self.id.0)
    }

    /// Whether it was ended and devices may still have to go back.
    pub const fn is_giving_back(&self) -> bool {
        matches!(
            (self.state, self.moved),
            (
                RolloutState::Aborted | RolloutState::Stopped,
                Some(Moved::Back)
            )
        )
    }

    /// Whether a device matches the selector.
    pub fn selects(&self, device: &DeviceFacts) -> bool {
        selects(&self.selector)(device)
    }

    /// What it assigns.
    pub fn assignment(&self) -> Assigned {
        Assigned {
            target: self.target.clone(),
            rollout: self.id,
        }
    }
}

/// Whether a device matches a selector.
pub fn selects(selector: &Selector) -> impl Fn(&DeviceFacts) -> bool {
    |device| {
        let Selector {
            sites,
            labels,
            devices,
            expression,
        } = selector;
        let described = || Described {
            device: device.device.as_str(),
            site: device.site.as_str(),
            labels: &device.labels,
        };
        (sites.is_empty() || sites.contains(&device.site))
            && (devices.is_empty() || devices.contains(&device.device))
            && labels
                .iter()
                .all(|(key, value)| device.labels.get(key) == Some(value))
            && expression
                .as_ref()
                .is_none_or(|expression| expression.selects(&described()))
    }
}

/// What a device had before a rollout moved it; `None` inside: nothing was wanted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before(pub Option<Assigned>);

/// A device as a rollout looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The device and its slot.
    pub facts: &'a DeviceFacts,
    /// What it had before this rollout moved it, if it did. Needed only while devices go back.
    pub before: Option<Before>,
    /// Whether a newer rollout of the slot has it in its share.
    pub claimed: bool,
}

//! A rollout as the core sees it.

use tern_protocol::{
    id::{RolloutId, SlotName, WorkspaceId},
    rest::{Described, Moved, RolloutCounts, RolloutState, Selector},
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
        matches!(self.state, RolloutState::Running | RolloutState::Complete)
    }

    /// Whether there may be something to do for it, now or when devices change.
    pub const fn is_live(&self) -> bool {
        !self.state.is_over() || self.is_giving_back()
    }

    /// Whether it was aborted and devices may still have to go back.
    pub const fn is_giving_back(&self) -> bool {
        matches!(
            (self.state, self.moved),
            (RolloutState::Aborted, Some(Moved::Back))
        )
    }

    /// Whether a device matches the selector.
    pub fn selects(&self, device: &DeviceFacts) -> bool {
        let Selector {
            sites,
            labels,
            devices,
            expression,
        } = &self.selector;
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

    /// What it assigns.
    pub fn assignment(&self) -> Assigned {
        Assigned {
            target: self.target.clone(),
            rollout: self.id,
        }
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

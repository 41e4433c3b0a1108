//! One device of a rollout.

use tern_protocol::{id::DeviceId, rest::Refusal, time::WallTime};

use crate::{calendar::ZoneIndex, event::Why};

/// Which part a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// It gets the version in one of the stages.
    Treatment,
    /// It keeps what it has until the last stage has passed.
    Control,
    /// It came late, and gets the version once the last stage has passed.
    Last,
    /// It came late, and is left alone.
    Ignored,
}

/// Where a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is not its turn.
    Outside,
    /// It is its turn; pace, calendar or budget let it wait.
    Pending,
    /// It is to have the version, and was not heard of since.
    Admitted,
    /// It was heard of since: it fetches, verifies, vets.
    Heard,
    /// It serves the version, on trial.
    Serving,
    /// It serves the version for good.
    Confirmed,
    /// It refused the version, and is asked again later.
    Waiting,
    /// It refused the version, or fell back from it.
    Failed(Refusal),
    /// It began to fetch, and neither serves for good nor refused in time.
    Lost,
}

impl Place {
    /// Whether it is, or was, to have the version.
    pub const fn is_admitted(self) -> bool {
        !matches!(self, Self::Outside | Self::Pending)
    }

    /// Whether it has come to an end.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Confirmed | Self::Failed(_) | Self::Lost)
    }
}

/// How a device ended, as far as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Not yet.
    Not,
    /// As one that serves for good.
    Good,
    /// As one that does not.
    Bad,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) device: DeviceId,
    pub(super) stratum: u32,
    pub(super) platform: u16,
    pub(super) zone: ZoneIndex,
    /// Where its lot puts it, from 0 to 1.
    pub(super) turn: f64,
    /// Its place among those that were there when lots were drawn and are not control.
    pub(super) ordered: Option<u32>,
    pub(super) arm: Arm,
    pub(super) place: Place,
    pub(super) away: Option<Why>,
    /// The stage that admitted it.
    pub(super) stage: u8,
    /// Whom it is compared with: one of the control has the treated one, a treated one the first of its control.
    pub(super) partner: Option<u32>,
    pub(super) tries: u32,
    pub(super) counted: Counted,
    pub(super) windows: u64,
    pub(super) inferences: u64,
    /// Since when its windows are counted.
    pub(super) watched: Option<WallTime>,
    /// Since when it is looked at in time.
    pub(super) timed: Option<WallTime>,
    /// Rungs that were reached, a bit each, by gate.
    pub(super) reached: Box<[u16]>,
    /// What is usual for it, by gate; nothing as long as nothing was told.
    pub(super) usual: Box<[Option<u16>]>,
}

impl Member {
    /// Notes what is usual for it, unless it has reached a rung already.
    pub(super) fn is_usual(&mut self, gate: u8, level: u16, gates: usize) {
        let gate = usize::from(gate);
        if self.reached.get(gate).is_some_and(|reached| *reached != 0) {
            return;
        }
        if self.usual.is_empty() {
            self.usual = vec![None; gates].into();
        }
        if let Some(usual) = self.usual.get_mut(gate) {
            *usual = Some(level);
        }
    }

    /// Notes that a rung was reached; whether it was not before.
    pub(super) fn reach(&mut self, gate: u8, rung: u8, gates: usize) -> bool {
        if self.reached.is_empty() {
            self.reached = vec![0; gates].into();
        }
        let Some(reached) = self.reached.get_mut(usize::from(gate)) else {
            return false;
        };
        let bit = 1_u16.checked_shl(u32::from(rung)).unwrap_or(0);
        let new = bit != 0 && *reached & bit == 0;
        *reached |= bit;
        new
    }
}

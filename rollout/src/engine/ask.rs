//! What may be asked of a rollout beside what it wants.

use tern_protocol::{rest::Verdict, time::WallTime};

use super::{Engine, Phase};
use crate::event::Index;

impl Engine {
    /// Since when a device is looked at in time.
    pub fn timed(&self, index: Index) -> Option<WallTime> {
        self.member(index).and_then(|member| member.timed)
    }

    /// Whether a device is, or was, to run the version beside what serves.
    pub fn is_shadowed(&self, index: Index) -> bool {
        self.stage_of(index)
            .is_some_and(|stage| self.is_shadow(stage))
    }

    /// When its stage began.
    pub fn since(&self) -> Option<WallTime> {
        (self.phase != Phase::New).then(|| self.stages[self.stage].since)
    }

    /// What the stage still lacks, in words; nothing if only gates do.
    pub fn lacks(&self) -> Option<String> {
        match self.phase {
            Phase::Moving | Phase::Asking(_) => self.lacking(),
            _ => None,
        }
    }

    /// What it waits for, as a sentence.
    pub fn standing(&self) -> String {
        let stage = format!(
            "stage {} of {}",
            self.stage + 1,
            self.setup.plan.stages.len()
        );
        let open = self
            .verdicts
            .iter()
            .find(|one| one.verdict != Verdict::Pass);
        match (self.lacking(), open) {
            (Some(lacking), _) => format!("{stage}: {lacking}"),
            (None, Some(open)) => format!("{stage}: {}", open.sentence),
            (None, None) => format!("{stage}: all gates pass"),
        }
    }
}

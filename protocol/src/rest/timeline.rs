use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::{
    id::{RolloutId, SlotName},
    rest::VersionRef,
    time::WallTime,
};

/// How far a version got on a device. Each step proves more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Stage {
    /// The hub wants it there, and that is all that is known.
    Assigned,
    /// Some of its bytes are there.
    Fetching,
    /// All of its bytes are there, and their digests hold.
    Stored,
    /// It reproduced its golden samples and is in memory.
    Loaded,
    /// It answers requests, and the digest of the weights that were loaded is the one published.
    Serving,
    /// It served through its trial.
    Confirmed,
}

impl Stage {
    /// The word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Fetching => "fetching",
            Self::Stored => "stored",
            Self::Loaded => "loaded",
            Self::Serving => "serving",
            Self::Confirmed => "confirmed",
        }
    }
}

/// Slots by how far a version got in them. Who is further counts for the stages before too, so the
/// numbers fall from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stages {
    /// The hub wants it, or it is there although nobody wants it any more.
    pub assigned: u64,
    /// All of its bytes are there.
    pub stored: u64,
    /// It was vetted and is in memory.
    pub loaded: u64,
    /// It answers requests, proven by the digest of its weights.
    pub serving: u64,
    /// It served through its trial.
    pub confirmed: u64,
}

impl Stages {
    /// Counts a slot.
    pub fn add(&mut self, stage: Stage) {
        self.add_many(stage, 1);
    }

    /// Counts so many slots that are equally far.
    pub fn add_many(&mut self, stage: Stage, slots: u64) {
        let counts = [
            (Stage::Assigned, &mut self.assigned),
            (Stage::Stored, &mut self.stored),
            (Stage::Loaded, &mut self.loaded),
            (Stage::Serving, &mut self.serving),
            (Stage::Confirmed, &mut self.confirmed),
        ];
        for (from, count) in counts {
            if stage >= from {
                *count += slots;
            }
        }
    }
}

/// An entry of a device's timeline: what happened, told by the device or seen by the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TimelineEntry {
    /// Its number; newer entries have higher ones, but a device that was away tells of earlier times.
    pub id: u64,
    /// When, by the hub's clock.
    pub at: WallTime,
    /// What: `assigned`, `fetching`, `fetched`, `verified`, `vetted`, `waiting`, `serving`, `proven`,
    /// `confirmed`, `rejected`, `swapped-back`, `revoked`, `started`, `away` …
    pub kind: String,
    /// In which slot; absent: it is about the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotName>,
    /// With which version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionRef>,
    /// On behalf of which rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutId>,
    /// Who is behind it, as in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// When it began, if it lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<WallTime>,
    /// What happened in a few words, the version left out.
    pub says: String,
    /// Why, or what was measured; may be empty.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_further_counts_for_what_is_before() {
        let mut stages = Stages::default();
        for stage in [
            Stage::Assigned,
            Stage::Fetching,
            Stage::Loaded,
            Stage::Confirmed,
        ] {
            stages.add(stage);
        }
        let expected = Stages {
            assigned: 4,
            stored: 2,
            loaded: 2,
            serving: 1,
            confirmed: 1,
        };
        assert_eq!(stages, expected);
    }
}

//! The last word on an attempt.

use serde::{Deserialize, Serialize};
use tern_protocol::time::WallTime;

use super::Artifacts;
use crate::job::{Ended, LostBecause};

/// The last word on an attempt, as it stands in its directory for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// How it ended.
    pub ended: Ended,
    /// When.
    pub at: WallTime,
    /// Processor time that all of its processes took, its environment's making included, in thousandths of a
    /// core-second. A process whose parent did not ask how it ended is missing, unless a control group counts.
    pub core_millis: u64,
    /// Most bytes of memory that were seen in use. Without a limit and a control group: by its largest process, which
    /// may be one that made its environment.
    pub peak_memory: u64,
    /// Who kept it to its memory.
    pub memory_kept_by: MemoryKeeper,
    /// Which files it made.
    pub artifacts: Artifacts,
    /// Bytes that it wrote into its log, kept or not.
    pub log_bytes: u64,
    /// Processes of it that could not be ended: they hang in the kernel.
    pub survivors: usize,
}

/// Who keeps an attempt to its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKeeper {
    /// Nobody: it has no limit.
    Nobody,
    /// The kernel, by a control group.
    Group,
    /// The supervisor, which looks five times a second; and the kernel, by a bound of twice as much on what one process
    /// may reserve.
    Supervisor,
}

impl Exit {
    pub(crate) fn lost(because: LostBecause, at: WallTime) -> Self {
        Self::unseen(Ended::Lost(because), at)
    }

    /// Of an attempt of which there is nothing to be told but how it ended.
    pub(crate) fn unseen(ended: Ended, at: WallTime) -> Self {
        Self {
            ended,
            at,
            core_millis: 0,
            peak_memory: 0,
            memory_kept_by: MemoryKeeper::Nobody,
            artifacts: Artifacts::default(),
            log_bytes: 0,
            survivors: 0,
        }
    }
}

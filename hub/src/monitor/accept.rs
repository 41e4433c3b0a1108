//! Which entries of a batch count. Pure.
//!
//! A device's outbox is a chain. The hub knows the last entry it has stored of each outbox and takes
//! a batch only if that batch follows on without a gap; entries that it has are skipped. So each
//! entry counts once, however often batches are repeated, lost or reordered (`accept/tests.rs`
//! tries).

#[cfg(test)]
mod tests;

use tern_protocol::{id::Sequence, log::Batch};

/// Where a batch claims to stand in its outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Highest sequence that the device was ever acknowledged.
    pub acked: Sequence,
    /// The entry before the first of the batch.
    pub after: Sequence,
    /// The last entry of the batch; `after` if it has none.
    pub end: Sequence,
}

impl Claim {
    /// The claim of a batch, unless its sequences do not rise: then nothing in it can be trusted.
    pub fn of(batch: &Batch) -> Option<Self> {
        let end = batch
            .entries
            .iter()
            .try_fold(batch.after, |before, entry| {
                (entry.sequence > before).then_some(entry.sequence)
            })?;
        Some(Self {
            acked: batch.acked,
            after: batch.after,
            end,
        })
    }
}

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Entries over `over` are new. Once they are stored, `last` is what to acknowledge.
    Take {
        /// Entries up to this one are stored already.
        over: Sequence,
        /// The last entry stored afterwards.
        last: Sequence,
    },
    /// There is nothing new in it; acknowledge what is stored.
    Known,
    /// Entries before it are missing; acknowledge what is stored, so that the device goes back.
    Gap,
}

/// Judges a batch by the last entry stored of its outbox (0: none).
///
/// A device that was acknowledged more than the hub has stored speaks to a hub that was restored
/// from an old copy. What it was acknowledged is gone on both sides, so it goes on from there.
pub fn judge(stored: Sequence, claim: Claim) -> Verdict {
    if claim.after > stored.max(claim.acked) {
        Verdict::Gap
    } else if claim.end <= stored {
        Verdict::Known
    } else {
        Verdict::Take {
            over: stored,
            last: claim.end,
        }
    }
}

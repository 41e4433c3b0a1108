//! What is remembered of one slot: a small record with its transitions, without I/O.
//!
//! Must never break: no transition but the failure of `current` itself takes away what serves.

use minicbor::{Decode, Encode};
use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    reported::{RejectReason, Rejected, SlotVersion},
};

/// Times that loading the same bundle may end the process before it is refused.
pub const ATTEMPTS_MAX: u32 = 3;

/// One slot, as stored.
#[derive(Debug, Clone, PartialEq, Default, Encode, Decode)]
#[cbor(map)]
pub struct SlotRecord {
    /// What serves.
    #[n(0)]
    pub current: Option<Kept>,
    /// What served before; what a swap back returns to.
    #[n(1)]
    pub previous: Option<Kept>,
    /// What was refused last.
    #[n(2)]
    pub rejected: Option<Rejected>,
    /// A bundle that is being loaded and has not yet proven that it does not end the process.
    #[n(3)]
    pub attempt: Option<Attempt>,
    /// What serves is on trial; `None`: it is confirmed.
    #[n(4)]
    pub trial: Option<Trial>,
    /// What runs beside what serves, or is to, or was refused as such.
    #[n(5)]
    pub shadow: Option<ShadowRecord>,
}

/// What is remembered of a version beside the one that serves.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct ShadowRecord {
    /// What it is.
    #[n(0)]
    pub kept: Kept,
    /// The blobs that its manifest names, once that is here: they stay over a restart.
    #[n(1)]
    #[cbor(default)]
    pub parts: Vec<Digest>,
    /// It was refused.
    #[n(2)]
    pub rejected: Option<Rejected>,
    /// How often it was begun to be loaded since it last ran for a while: whatever ends the agent again
    /// and again meanwhile is taken for its doing.
    #[n(3)]
    #[cbor(default)]
    pub starts: u32,
}

impl ShadowRecord {
    /// A version that is to run, of which nothing is known yet.
    pub fn new(kept: Kept) -> Self {
        Self {
            kept,
            parts: Vec::new(),
            rejected: None,
            starts: 0,
        }
    }

    /// It is about to be loaded; whether that makes sense once more.
    pub fn start(&mut self) -> Verdict {
        self.starts = self.starts.saturating_add(1);
        if self.starts > TRIAL_STARTS {
            Verdict::GiveUp
        } else {
            Verdict::Try
        }
    }

    /// It is refused; its blobs may go.
    pub fn reject(&mut self, reason: RejectReason, text: String) {
        self.rejected = Some(Rejected {
            version: self.kept.version.clone(),
            reason,
            text,
        });
        self.parts.clear();
        self.starts = 0;
    }
}

/// How the trial of what serves goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Trial {
    /// Starts of the agent since it last served for a while: whatever ends the agent again and again
    /// while it serves is taken for its doing.
    #[n(0)]
    pub starts: u32,
    /// Seconds that it has served, over all starts.
    #[n(1)]
    pub served_s: u64,
}

/// Starts that a trial survives without serving for a while in between.
pub const TRIAL_STARTS: u32 = 3;

/// A bundle that is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Kept {
    /// Which version it is.
    #[n(0)]
    pub version: SlotVersion,
    /// The blob of its manifest.
    #[n(1)]
    pub bundle: BlobRef,
}

/// How often a bundle was tried without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attempt {
    /// Which.
    #[n(0)]
    pub bundle: Digest,
    /// How often.
    #[n(1)]
    pub count: u32,
}

/// Whether one more attempt at a bundle makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try it.
    Try,
    /// It ended the process too often.
    GiveUp,
}

impl SlotRecord {
    /// Counts an attempt at a bundle, before it is made.
    pub fn attempt(&mut self, bundle: Digest) -> Verdict {
        let before = self.attempt.filter(|a| a.bundle == bundle);
        let count = before.map_or(0, |a| a.count);
        if count >= ATTEMPTS_MAX {
            self.attempt = None;
            return Verdict::GiveUp;
        }
        self.attempt = Some(Attempt {
            bundle,
            count: count + 1,
        });
        Verdict::Try
    }

    /// The attempt had an outcome, good or bad.
    pub fn settled(&mut self) {
        self.attempt = None;
    }

    /// A bundle begins to serve; what served becomes what a swap back returns to, unless it was still on
    /// trial itself: then that stays what served before it.
    pub fn activated(&mut self, kept: Kept) {
        let replaced = self.current.replace(kept);
        let serving = self.current.as_ref().map(|kept| kept.bundle.digest);
        let of = |kept: &Option<Kept>| kept.as_ref().map(|kept| kept.bundle.digest);
        let is_pinned =
            self.trial.is_some() && self.previous.is_some() && of(&self.previous) != serving;
        // A bundle that was loaded again, after its files were repaired, has not replaced itself.
        if replaced.is_some() && of(&replaced) != serving && !is_pinned {
            self.previous = replaced;
        }
        if self.previous.as_ref().map(|kept| kept.bundle.digest) == serving {
            self.previous = None;
        }
        self.rejected = None;
        self.attempt = None;
        self.trial = Some(Trial::default());
    }

    /// A bundle that did not serve yet is refused.
    pub fn rejected(&mut self, rejected: Rejected) {
        self.rejected = Some(rejected);
        self.attempt = None;
    }

    /// What serves failed; what served before takes its place, if there is any.
    pub fn swapped_back(&mut self, reason: RejectReason, text: String) {
        if let Some(failed) = self.current.take() {
            self.rejected = Some(Rejected {
                version: failed.version,
                reason,
                text,
            });
        }
        self.current = self.previous.take();
        self.attempt = None;
        // It was confirmed before, or there is nothing better.
        self.trial = None;
    }

    /// The agent starts; whether the trial of what serves has survived too many starts.
    pub fn started(&mut self) -> Verdict {
        let Some(trial) = &mut self.trial else {
            return Verdict::Try;
        };
        trial.starts += 1;
        if trial.starts > TRIAL_STARTS {
            Verdict::GiveUp
        } else {
            Verdict::Try
        }
    }

    /// What serves has served for so many seconds more without ending the agent.
    pub fn served(&mut self, seconds: u64) {
        if let Some(trial) = &mut self.trial {
            trial.served_s += seconds;
            trial.starts = 0;
        }
    }

    /// The agent ends because it was asked to.
    pub fn stopped(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.starts = 0;
        }
    }

    /// The trial of what serves is over.
    pub fn confirmed(&mut self) {
        self.trial = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n: u32) -> Kept {
        let bundle = BlobRef::of(&n.to_be_bytes());
        Kept {
            version: SlotVersion {
                model: "digits".parse().expect("a name"),
                version: format!("v{n}").parse().expect("a version"),
                bundle: bundle.digest,
            },
            bundle,
        }
    }

    #[test]
    fn a_swap_back_returns_to_what_served_before() {
        let mut slot = SlotRecord::default();
        slot.activated(kept(1));
        slot.activated(kept(2));
        slot.activated(kept(2));
        assert_eq!(
            slot.previous,
            Some(kept(1)),
            "loading it again does not forget version 1"
        );
        slot.swapped_back(RejectReason::FailedServing, "three errors".into());
        assert_eq!(
            (slot.current.clone(), slot.previous.clone()),
            (Some(kept(1)), None)
        );
        assert_eq!(
            slot.rejected.as_ref().map(|r| r.version.clone()),
            Some(kept(2).version)
        );
        slot.swapped_back(RejectReason::FailedServing, "three errors".into());
        assert_eq!(
            slot.current, None,
            "a first model that fails leaves the slot empty"
        );
    }

    #[test]
    fn going_back_to_the_previous_version_swaps_both() {
        let mut slot = SlotRecord::default();
        slot.activated(kept(1));
        slot.activated(kept(2));
        slot.activated(kept(1));
        assert_eq!(
            (slot.current, slot.previous),
            (Some(kept(1)), Some(kept(2)))
        );
    }

    #[test]
    fn what_was_confirmed_stays_behind_a_series_of_trials() {
        let mut slot = SlotRecord::default();
        slot.activated(kept(1));
        slot.confirmed();
        slot.activated(kept(2));
        slot.activated(kept(3));
        assert_eq!(
            slot.previous,
            Some(kept(1)),
            "version 2 was never confirmed"
        );
        let mut other = slot.clone();
        slot.swapped_back(RejectReason::FailedServing, "three errors".into());
        assert_eq!(slot.current, Some(kept(1)));
        other.confirmed();
        other.activated(kept(4));
        assert_eq!(other.previous, Some(kept(3)));
    }

    #[test]
    fn a_trial_survives_a_few_starts_and_more_once_it_served() {
        let mut slot = SlotRecord::default();
        assert_eq!(slot.started(), Verdict::Try, "nothing is on trial");
        slot.activated(kept(1));
        for _ in 0..TRIAL_STARTS {
            assert_eq!(slot.started(), Verdict::Try);
        }
        let mut other = slot.clone();
        assert_eq!(slot.started(), Verdict::GiveUp);
        other.served(60);
        assert_eq!(other.started(), Verdict::Try, "it served for a while");
        assert_eq!(
            other.trial,
            Some(Trial {
                starts: 1,
                served_s: 60
            })
        );
        other.stopped();
        assert_eq!(other.trial.map(|trial| trial.starts), Some(0));
        other.confirmed();
        assert_eq!(other.trial, None);
        other.activated(kept(2));
        other.swapped_back(RejectReason::FailedServing, "it fails".into());
        assert_eq!((other.current, other.trial), (Some(kept(1)), None));
    }

    #[test]
    fn a_shadow_that_ends_the_agent_again_and_again_is_given_up_and_nothing_else() {
        let mut slot = SlotRecord::default();
        slot.activated(kept(1));
        slot.confirmed();
        let before = slot.clone();
        let mut shadow = ShadowRecord::new(kept(2));
        for _ in 0..TRIAL_STARTS {
            assert_eq!(shadow.start(), Verdict::Try);
        }
        let mut other = shadow.clone();
        assert_eq!(shadow.start(), Verdict::GiveUp);
        shadow.reject(RejectReason::NotLoadable, "it ended the agent".into());
        assert_eq!(shadow.starts, 0);
        other.starts = 0;
        assert_eq!(other.start(), Verdict::Try, "it ran for a while");
        slot.shadow = Some(shadow);
        slot.activated(kept(1));
        slot.confirmed();
        assert_eq!(
            (&slot.current, &slot.previous),
            (&before.current, &before.previous)
        );
        assert!(slot.shadow.is_some_and(|shadow| shadow.rejected.is_some()));
    }

    #[test]
    fn a_record_from_before_shadows_reads_as_one_without() {
        let mut slot = SlotRecord::default();
        slot.activated(kept(1));
        let old = tern_protocol::codec::encode(&slot);
        let read: SlotRecord = tern_protocol::codec::decode(&old).expect("a record");
        assert_eq!((read.shadow.clone(), read), (None, slot));
    }

    #[test]
    fn a_bundle_that_ends_the_process_is_given_up() {
        let mut slot = SlotRecord::default();
        let (bad, good) = (Digest::of(b"bad"), Digest::of(b"good"));
        for _ in 0..ATTEMPTS_MAX {
            assert_eq!(slot.attempt(bad), Verdict::Try);
        }
        assert_eq!(slot.clone().attempt(good), Verdict::Try);
        assert_eq!(slot.attempt(bad), Verdict::GiveUp);
    }
}

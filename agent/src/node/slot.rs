//! One slot as `node` holds it: its record, its blobs, what is on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tern_protocol::{
    blob::BlobRef,
    desired::Desired,
    digest::Digest,
    id::{ModelName, ModelVersion, SlotName},
    manifest::Manifest,
    reported::{Phase, Progress, RejectReason, Rejected, SlotReport, SlotVersion},
    time::Uptime,
};

use super::shadow::{self, ShadowState};
use crate::{
    config::SLOTS_MAX,
    fetch::{Blobs, delta::Patches},
    reconcile::{Candidate, Holding, ObservedSlot, Refused, Step},
    slots::{Loaded, Slot},
    state::slot::{Kept, SlotRecord},
    trust::Signed,
};

/// A slot's state besides what serves, which `slots` holds.
#[derive(Debug)]
pub(super) struct SlotState {
    pub(super) record: SlotRecord,
    /// Blobs of what the record calls current and previous, once their manifests were read.
    pub(super) current: Option<Holding>,
    pub(super) previous: Option<Holding>,
    /// The manifest of what the record calls previous, while it is fetched again.
    pub(super) lost: Option<BlobRef>,
    pub(super) candidate: Option<Candidate>,
    /// As long as its files are on their way, for whoever collects spans.
    pub(super) fetching: Option<tracing::Span>,
    /// The candidate, vetted and in memory.
    pub(super) vetted: Option<Arc<Loaded>>,
    /// What served before, in memory while what serves is on trial: a swap back takes no time.
    pub(super) fallback: Option<Arc<Loaded>>,
    /// When another try of what was refused makes sense.
    pub(super) retry_at: Option<Uptime>,
    /// The record is being turned into a loaded model.
    pub(super) starting: bool,
    /// Up to when the record says that what is on trial has served.
    pub(super) trial_noted: Uptime,
    /// What its activation waits for.
    pub(super) waits_for: Option<&'static str>,
    /// What runs beside what serves.
    pub(super) shadow: ShadowState,
}

impl SlotState {
    pub(super) fn new(record: SlotRecord) -> Self {
        // A restart is a good moment for another try of what may have been bad luck.
        let refused = record.rejected.as_ref();
        let retry_at = refused.filter(|r| may_pass(r.reason)).map(|_| Uptime(0));
        Self {
            shadow: ShadowState::new(record.shadow.as_ref()),
            record,
            current: None,
            previous: None,
            lost: None,
            candidate: None,
            fetching: None,
            vetted: None,
            fallback: None,
            retry_at,
            starting: false,
            trial_noted: Uptime(0),
            waits_for: None,
        }
    }

    /// What `reconcile` sees of it.
    pub(super) fn observe(&self, slot: &Slot) -> ObservedSlot {
        let refused = self.record.rejected.as_ref().map(|rejected| Refused {
            bundle: rejected.version.bundle,
            retry_at: self.retry_at,
        });
        ObservedSlot {
            current: self.current.clone(),
            previous: self.previous.clone(),
            lost: self.lost.map(|blob| blob.digest),
            refused,
            candidate: self.candidate.clone(),
            starting: self.starting,
            failing: slot.is_failing(),
            waits: self.waits_for.is_some(),
            shadow: self.shadow.observe(self.record.shadow.as_ref(), slot),
        }
    }

    /// What the hub and people see of it.
    pub(super) fn report(
        &self,
        slot: &Slot,
        blobs: &Blobs,
        patches: &Patches,
        signed: &Signed,
        now: Uptime,
    ) -> SlotReport {
        let progress = self.candidate.as_ref().map(|candidate| {
            let bundle = candidate.kept.bundle;
            let all = candidate.parts().iter().copied().chain([bundle]);
            let all = all.map(|blob| patches.travels(blob));
            Progress {
                version: candidate.kept.version.clone(),
                phase: match candidate.step {
                    Step::Manifest if !signed.lists(candidate.kept.bundle.digest) => {
                        Phase::Unsigned
                    }
                    Step::Manifest | Step::Parts(_) => Phase::Fetching,
                    Step::Vetting(_) => Phase::Verified,
                    Step::Vetted(_) if self.waits_for.is_some() => Phase::Waiting,
                    Step::Vetted(_) => Phase::Vetted,
                },
                bytes: all.clone().map(|blob| blobs.bytes_here(blob)).sum(),
                bytes_total: match candidate.step {
                    Step::Manifest => 0,
                    _ => all.map(|blob| blob.len).sum(),
                },
            }
        });
        SlotReport {
            slot: slot.name().clone(),
            serving: slot.serving().map(|loaded| loaded.proof(now)),
            previous: self.record.previous.as_ref().map(|k| k.version.clone()),
            progress,
            rejected: self.record.rejected.clone(),
            shadow: self.shadow.report(self.record.shadow.as_ref(), signed),
        }
    }

    /// What was refused as a shadow for this reason may be tried again now.
    pub(super) fn retry_shadow(&mut self, reason: RejectReason, now: Uptime) {
        let record = self.record.shadow.as_ref();
        let rejected = record.and_then(|record| record.rejected.as_ref());
        if rejected.is_some_and(|rejected| rejected.reason == reason) {
            self.shadow.retry_at = Some(now);
        }
    }

    /// The bundle that is on its way, if it is this one.
    pub(super) fn candidate_of(&mut self, bundle: Digest) -> Option<&mut Candidate> {
        let candidate = self.candidate.as_mut();
        candidate.filter(|candidate| candidate.kept.bundle.digest == bundle)
    }

    /// Lets go what is on its way.
    pub(super) fn abandon(&mut self) {
        self.candidate = None;
        self.fetching = None;
        self.vetted = None;
    }
}

/// Whether a refusal may be bad luck, so that another try makes sense after a while.
pub(super) fn may_pass(reason: RejectReason) -> bool {
    matches!(
        reason,
        RejectReason::DigestMismatch | RejectReason::NoSpace | RejectReason::Unsigned
    )
}

/// A bundle with the blobs that its manifest names.
pub(super) fn holding(kept: &Kept, manifest: &Manifest) -> Holding {
    Holding {
        bundle: kept.bundle.digest,
        blobs: manifest.parts().map(|blob| blob.digest).collect(),
    }
}

/// Slots that this device does not have, though desired names versions for them: what it says of each.
pub(super) fn unknown_slots(desired: &Desired, known: &BTreeSet<&SlotName>) -> Vec<SlotReport> {
    let mut unknown: BTreeMap<&SlotName, SlotReport> = BTreeMap::new();
    let report = |name: &SlotName| SlotReport {
        slot: name.clone(),
        serving: None,
        previous: None,
        progress: None,
        rejected: None,
        shadow: None,
    };
    for want in desired.slots.iter().filter(|w| !known.contains(&w.slot)) {
        let slot = unknown.entry(&want.slot);
        let slot = slot.or_insert_with(|| report(&want.slot));
        let version = (&want.model, want.version, want.bundle.digest);
        slot.rejected = Some(no_slot(&want.slot, version));
    }
    for want in desired.shadows.iter().filter(|w| !known.contains(&w.slot)) {
        let slot = unknown.entry(&want.slot);
        let slot = slot.or_insert_with(|| report(&want.slot));
        let version = (&want.model, want.version, want.bundle.digest);
        slot.shadow = Some(shadow::refused(&no_slot(&want.slot, version)));
    }
    unknown.into_values().take(SLOTS_MAX).collect()
}

fn no_slot(
    name: &SlotName,
    (model, version, bundle): (&ModelName, ModelVersion, Digest),
) -> Rejected {
    Rejected {
        version: SlotVersion {
            model: model.clone(),
            version,
            bundle,
        },
        reason: RejectReason::BadManifest,
        text: format!("this device has no slot `{name}`; add it to its configuration"),
    }
}

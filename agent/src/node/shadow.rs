//! What runs beside what serves: carries out what `reconcile` decided about it.
//!
//! Must never break: nothing here touches what serves, its predecessor, or what is to take over.

use std::{sync::Arc, time::Duration};

use tern_protocol::{
    digest::Digest,
    id::SlotName,
    log::{Body, EventKind},
    reported::{RejectReason, Rejected, ShadowPhase, ShadowReport},
    time::Uptime,
};

use super::{
    Done, Node, NodeError,
    apply::{RETRY, shortened},
    slot::may_pass,
};
use crate::{
    fetch::BlobStatus,
    reconcile::{
        self, Candidate, Holding, Refused, Step,
        shadow::{Do, ObservedShadow},
    },
    shadow::Shadow,
    slots::{
        Loaded, Slot, Trial,
        bundle::{self, Refusal},
    },
    state::slot::{Kept, ShadowRecord, TRIAL_STARTS, Verdict},
    trust::Signed,
    vetting::{self, Measured},
};

/// A shadow that ran for so long did not end the agent.
const PROVEN: Duration = Duration::from_mins(1);

/// A shadow's state besides what is remembered of it and what runs.
#[derive(Debug, Default)]
pub(super) struct ShadowState {
    pub(super) candidate: Option<Candidate>,
    /// It, vetted and in memory.
    vetted: Option<Box<Loaded>>,
    paused: bool,
    /// Since when it runs.
    since: Option<Uptime>,
    /// When another try of what was refused makes sense.
    pub(super) retry_at: Option<Uptime>,
}

impl ShadowState {
    /// Nothing runs yet. `record`: what is remembered from before a start of the agent.
    pub(super) fn new(record: Option<&ShadowRecord>) -> Self {
        let rejected = record.and_then(|record| record.rejected.as_ref());
        let passes = rejected.is_some_and(|rejected| {
            // This process may be the newer agent that was asked for.
            may_pass(rejected.reason) || rejected.reason == RejectReason::AgentTooOld
        });
        Self {
            retry_at: passes.then_some(Uptime(0)),
            ..Self::default()
        }
    }

    /// What `reconcile` sees of it.
    pub(super) fn observe(&self, record: Option<&ShadowRecord>, slot: &Slot) -> ObservedShadow {
        let rejected = record.and_then(|record| record.rejected.as_ref());
        let kept = record.filter(|record| record.rejected.is_none());
        ObservedShadow {
            holding: kept.map(|record| Holding {
                bundle: record.kept.bundle.digest,
                blobs: record.parts.clone(),
            }),
            candidate: self.candidate.clone(),
            running: self.since.and(slot.shadow()).map(|it| it.permille()),
            paused: self.paused,
            refused: rejected.map(|rejected| Refused {
                bundle: rejected.version.bundle,
                retry_at: self.retry_at,
            }),
        }
    }

    /// What the hub and people see of it.
    pub(super) fn report(
        &self,
        record: Option<&ShadowRecord>,
        signed: &Signed,
    ) -> Option<ShadowReport> {
        if let Some(candidate) = &self.candidate {
            let phase = match candidate.step {
                _ if self.since.is_some() => ShadowPhase::Running,
                Step::Manifest if !signed.lists(candidate.kept.bundle.digest) => {
                    ShadowPhase::Unsigned
                }
                Step::Manifest | Step::Parts(_) => ShadowPhase::Fetching,
                Step::Vetting(_) => ShadowPhase::Verified,
                Step::Vetted(_) => ShadowPhase::Vetted,
            };
            return Some(ShadowReport {
                version: candidate.kept.version.clone(),
                phase,
                reason: None,
                text: String::new(),
            });
        }
        let rejected = record?.rejected.as_ref()?;
        Some(refused(rejected))
    }

    /// What is being fetched; nothing while that is paused.
    pub(super) fn fetched(&self) -> Option<&Candidate> {
        let candidate = self.candidate.as_ref().filter(|_| !self.paused);
        candidate.filter(|candidate| matches!(candidate.step, Step::Manifest | Step::Parts(_)))
    }

    fn candidate_of(&mut self, bundle: Digest) -> Option<&mut Candidate> {
        let candidate = self.candidate.as_mut();
        candidate.filter(|candidate| candidate.kept.bundle.digest == bundle)
    }

    /// Lets go what is on its way or runs.
    fn abandon(&mut self) {
        let retry_at = self.retry_at.take();
        *self = Self {
            retry_at,
            ..Self::default()
        };
    }
}

/// A refused one, as it is reported.
pub(super) fn refused(rejected: &Rejected) -> ShadowReport {
    ShadowReport {
        version: rejected.version.clone(),
        phase: ShadowPhase::Rejected,
        reason: Some(rejected.reason),
        text: rejected.text.clone(),
    }
}

impl Node {
    pub(super) fn shadow(&mut self, slot: &SlotName, due: Do) -> Result<(), NodeError> {
        match due {
            Do::Begin(kept) => self.begin_shadow(slot, kept),
            Do::Pause => {
                self.pause_shadow(slot);
                Ok(())
            }
            Do::Resume => {
                self.state(slot).shadow.paused = false;
                Ok(())
            }
            Do::ReadManifest => self.read_shadow_manifest(slot),
            Do::Vet => self.vet_shadow(slot),
            Do::Run(permille) => self.run_shadow(slot, permille),
            Do::Pace(permille) => {
                if let Some(shadow) = self.slots.get(slot.as_str()).and_then(Slot::shadow) {
                    shadow.pace(permille);
                }
                Ok(())
            }
            Do::Refuse(reason, text) => self.refuse_shadow(slot, &Refusal::new(reason, text)),
            Do::End => self.end_shadow(slot),
        }
    }

    fn begin_shadow(&mut self, slot: &SlotName, kept: Kept) -> Result<(), NodeError> {
        self.blobs.forgive();
        let since = self.clock.uptime();
        let state = self.state(slot);
        state.shadow = ShadowState::default();
        state.shadow.candidate = Some(Candidate {
            kept: kept.clone(),
            step: Step::Manifest,
            since,
        });
        // What is remembered from before a start counts on.
        let known = state.record.shadow.as_ref();
        if known.is_some_and(|known| known.kept == kept && known.rejected.is_none()) {
            return Ok(());
        }
        let version = kept.version.clone();
        tracing::info!(%slot, model = %version.model, version = %version.version, "fetching a shadow");
        state.record.shadow = Some(ShadowRecord::new(kept));
        self.store_slot(slot)
    }

    /// Fetches no more of it for now; what has come stays.
    fn pause_shadow(&mut self, slot: &SlotName) {
        let observed = self.observe();
        let shadow = observed.slots.get(slot).map(|slot| &slot.shadow);
        let Some(candidate) = shadow.and_then(|shadow| shadow.candidate.as_ref()) else {
            return;
        };
        let serves = reconcile::needed_to_serve(&observed);
        let all = candidate.parts().iter().chain([&candidate.kept.bundle]);
        for blob in all.filter(|blob| !serves.contains(&blob.digest)) {
            if self.blobs.status(blob.digest) == BlobStatus::Coming {
                self.blobs.forget(blob.digest);
            }
        }
        self.state(slot).shadow.paused = true;
    }

    fn read_shadow_manifest(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let Some(candidate) = self.state(slot).shadow.candidate.clone() else {
            return Ok(());
        };
        let manifest = match bundle::manifest(self.blobs.files(), &candidate.kept) {
            Ok(manifest) => manifest,
            Err(refusal) => return self.refuse_shadow(slot, &refusal),
        };
        let parts: Vec<_> = manifest.parts().collect();
        if let Err(refusal) = self.room_for_shadow(&parts) {
            return self.refuse_shadow(slot, &refusal);
        }
        let state = self.state(slot);
        if let Some(record) = &mut state.record.shadow {
            record.parts = parts.iter().map(|blob| blob.digest).collect();
        }
        if let Some(candidate) = &mut state.shadow.candidate {
            candidate.step = Step::Parts(parts);
        }
        self.store_slot(slot)
    }

    fn vet_shadow(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let state = self.state(slot);
        let (Some(candidate), Some(record)) =
            (&mut state.shadow.candidate, &mut state.record.shadow)
        else {
            return Ok(());
        };
        let kept = candidate.kept.clone();
        candidate.step = Step::Vetting(candidate.parts().to_vec());
        let verdict = record.start();
        self.store_slot(slot)?;
        if verdict == Verdict::GiveUp {
            let text = format!("the agent ended {TRIAL_STARTS} times while it was loaded or ran");
            let refusal = Refusal::new(RejectReason::NotLoadable, text);
            return self.refuse_shadow(slot, &refusal);
        }
        let (files, clock) = (self.blobs.files().clone(), self.clock);
        let budget = self.config.vetting.budget();
        let name = slot.clone();
        self.job(move || {
            // Also after a restart: what was vetted once fitted the memory that was free then.
            let vetted = vetting::vet(&files, &name, &kept, budget).and_then(|measured| {
                let loaded = bundle::load(&files, &name, &kept, &clock, Trial::None)?;
                Ok((Box::new(loaded), measured))
            });
            Done::ShadowVetted(name, kept, vetted)
        });
        Ok(())
    }

    /// What came of vetting.
    pub(super) fn shadow_vetted(
        &mut self,
        slot: &SlotName,
        kept: &Kept,
        result: Result<(Box<Loaded>, Measured), Refusal>,
    ) -> Result<(), NodeError> {
        let state = self.state(slot);
        let Some(candidate) = state.shadow.candidate_of(kept.bundle.digest) else {
            // Desired changed its mind meanwhile.
            return Ok(());
        };
        let Step::Vetting(parts) = &candidate.step else {
            // It was let go and begun again.
            return Ok(());
        };
        match result {
            Ok((loaded, measured)) => {
                candidate.step = Step::Vetted(parts.clone());
                state.shadow.vetted = Some(loaded);
                tracing::info!(%slot, version = %kept.version.version, "a shadow is vetted: {measured}");
                Ok(())
            }
            Err(refusal) => self.refuse_shadow(slot, &refusal),
        }
    }

    fn run_shadow(&mut self, slot: &SlotName, permille: u16) -> Result<(), NodeError> {
        let (now, clock) = (self.clock.uptime(), self.clock);
        let state = self.state(slot);
        let Some(loaded) = state.shadow.vetted.take() else {
            // What was vetted is gone with what it was vetted for.
            state.shadow.abandon();
            return Ok(());
        };
        let version = loaded.kept.version.clone();
        match Shadow::start(*loaded, permille, clock) {
            Ok(shadow) => {
                state.shadow.since = Some(now);
                shadow.keep_differences(Arc::clone(&self.captures));
                self.replace_shadow(slot, Some(shadow))?;
            }
            Err(err) => {
                let text = format!("its thread cannot be started: {err}");
                let refusal = Refusal {
                    passing: true,
                    ..Refusal::new(RejectReason::Exhausting, text)
                };
                return self.refuse_shadow(slot, &refusal);
            }
        }
        tracing::info!(
            %slot, model = %version.model, version = %version.version, permille, "a shadow runs"
        );
        let text = format!("runs beside what serves, with {permille} thousandths of a processor");
        self.event(EventKind::Shadow, slot, Some(&version), &text)
    }

    pub(super) fn refuse_shadow(
        &mut self,
        slot: &SlotName,
        refusal: &Refusal,
    ) -> Result<(), NodeError> {
        self.mend(refusal)?;
        self.replace_shadow(slot, None)?;
        let retry_at = self.clock.uptime().plus(RETRY);
        let state = self.state(slot);
        state.shadow.abandon();
        let passes = refusal.passing || may_pass(refusal.reason);
        state.shadow.retry_at = passes.then_some(retry_at);
        let Some(record) = &mut state.record.shadow else {
            return Ok(());
        };
        record.reject(refusal.reason, shortened(&refusal.text));
        let version = record.kept.version.clone();
        self.store_slot(slot)?;
        tracing::warn!(
            %slot, model = %version.model, version = %version.version, reason = %refusal.reason,
            "a shadow is refused: {}", refusal.text
        );
        let text = format!("refused as {}: {}", refusal.reason, refusal.text);
        self.event(EventKind::Shadow, slot, Some(&version), &text)
    }

    fn end_shadow(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let ran = self.replace_shadow(slot, None)?;
        let state = self.state(slot);
        state.shadow = ShadowState::default();
        let record = state.record.shadow.take();
        if record.is_some() {
            self.store_slot(slot)?;
        }
        let Some(record) = record.filter(|_| ran) else {
            return Ok(());
        };
        let version = record.kept.version;
        tracing::info!(%slot, model = %version.model, version = %version.version, "a shadow ends");
        self.event(EventKind::Shadow, slot, Some(&version), "ended")
    }

    /// Puts another shadow, or none, in the place of what runs, whose windows are closed; whether
    /// anything ran.
    fn replace_shadow(
        &mut self,
        slot: &SlotName,
        next: Option<Arc<Shadow>>,
    ) -> Result<bool, NodeError> {
        let old = self.slots.get(slot.as_str());
        let old = old.and_then(|slot| slot.set_shadow(next));
        if let Some(old) = &old {
            self.close_shadow(old)?;
        }
        Ok(old.is_some())
    }

    pub(super) fn close_shadow(&mut self, shadow: &Shadow) -> Result<(), NodeError> {
        for window in self.shadow_windows(shadow) {
            self.write(window)?;
        }
        Ok(())
    }

    fn shadow_windows(&self, shadow: &Shadow) -> Vec<Body> {
        let windows = shadow.close(self.clock.now()).into_iter();
        let boot = self.clock.boot();
        let body = |mut window: tern_protocol::shadow::ShadowWindow| {
            // It may have been opened before this boot was counted; there is no other in this process.
            window.opened.boot = boot;
            Body::Shadow(window.into())
        };
        windows.map(body).collect()
    }

    /// Ends all shadows and gives what they counted since windows were closed.
    pub(super) fn last_of_shadows(&self) -> Vec<Body> {
        let ended = self.slots.iter().filter_map(|slot| slot.set_shadow(None));
        ended
            .flat_map(|shadow| self.shadow_windows(&shadow))
            .collect()
    }

    /// Notes which shadows ran for a while without ending the agent. `all`: it ends because it was asked
    /// to, which is nobody's doing.
    pub(super) fn prove_shadows(&mut self, all: bool) -> Result<(), NodeError> {
        let now = self.clock.uptime();
        let mut proven = Vec::new();
        for (name, state) in &mut self.states {
            let ran = state.shadow.since.map(|since| now.since(since));
            let is_proven = all || ran.is_some_and(|ran| ran >= PROVEN);
            if let Some(record) = &mut state.record.shadow
                && is_proven
                && std::mem::take(&mut record.starts) > 0
            {
                proven.push(name.clone());
            }
        }
        for name in proven {
            self.store_slot(&name)?;
        }
        Ok(())
    }
}

//! Carries out what `reconcile` decided. Each transition is flushed before it is acted upon.

use std::{sync::Arc, time::Duration};

use tern_protocol::{
    id::SlotName,
    log::EventKind,
    reported::{RejectReason, Rejected, SlotVersion},
    time::Uptime,
};

use tern_trust::client::Trusted;

use super::{
    Done, Node, NodeError,
    slot::{holding, may_pass},
};
use crate::{
    SPANS,
    reconcile::{Action, Candidate, Metadata, Observed, Step, reconcile},
    room::Level,
    slots::{
        Loaded, Trial,
        bundle::{self, Refusal},
    },
    state::slot::{ATTEMPTS_MAX, Kept, TRIAL_STARTS, Verdict},
    trust::Refused,
    vetting::{self, Measured},
};

/// Passes until there is nothing to do. Far more than any chain of transitions needs: it only
/// keeps a mistake from stopping everything else.
const PASSES_MAX: usize = 64;

/// When to try again what may have been bad luck.
pub(super) const RETRY: Duration = Duration::from_mins(10);

impl Node {
    /// Compares what should be with what is, and acts, until both agree or time has to pass.
    pub(super) fn settle(&mut self) -> Result<(), NodeError> {
        for _ in 0..PASSES_MAX {
            let observed = self.observe();
            let actions = reconcile(&self.desired, &observed, self.clock.uptime());
            if actions.is_empty() {
                return Ok(());
            }
            for action in actions {
                tracing::debug!(?action, "reconcile");
                self.apply(action)?;
            }
        }
        tracing::warn!("reconciliation does not come to rest; it goes on at the next event");
        Ok(())
    }

    pub(super) fn observe(&self) -> Observed {
        let slots = self.states.iter().filter_map(|(name, state)| {
            let slot = self.slots.get(name.as_str())?;
            Some((name.clone(), state.observe(slot)))
        });
        let now = self.clock.uptime();
        let mut blobs = self.blobs.known();
        self.patches.show(&mut blobs);
        Observed {
            slots: slots.collect(),
            blobs,
            helping: self.patches.helping().chain(self.offered()).collect(),
            metadata: Metadata {
                signed: self.trust.signed(),
                needs: self.trust.needs(now),
                verifying: self.trust.is_verifying(),
                refusal: self.trust.refusal(now),
                online: self.link.is_online(),
            },
            stock: self.space.stock.clone(),
            shortfall: self.space.shortfall(self.config.blobs.limit.0),
            is_short: self.space.level > Level::Enough,
        }
    }

    /// What came of verifying metadata.
    pub(super) fn verified_metadata(
        &mut self,
        result: Result<Box<Trusted>, Refused>,
    ) -> Result<(), NodeError> {
        if let Err(Refused {
            rotten: Some(digest),
            ..
        }) = &result
        {
            self.put_aside(*digest)?;
        }
        let now = self.clock.uptime();
        let fresh = result.is_ok();
        let news = self.trust.verified(result.map(|trusted| *trusted), now)?;
        if fresh {
            // What they did not list before, they may list now.
            for state in self.states.values_mut() {
                let rejected = state.record.rejected.as_ref();
                if rejected.is_some_and(|r| r.reason == RejectReason::Unsigned) {
                    state.retry_at = Some(now);
                }
                state.retry_shadow(RejectReason::Unsigned, now);
            }
        }
        self.tell_of_metadata(news)
    }

    fn tell_of_metadata(&mut self, news: Option<String>) -> Result<(), NodeError> {
        let Some(text) = news else { return Ok(()) };
        let event = tern_protocol::log::Event {
            kind: EventKind::Metadata,
            slot: None,
            model: None,
            version: None,
            text: shortened(&text),
        };
        self.write(tern_protocol::log::Body::Event(event.into()))
    }

    fn apply(&mut self, action: Action) -> Result<(), NodeError> {
        match action {
            Action::Begin(slot, kept) => self.begin(&slot, kept),
            Action::Abandon(slot) => {
                self.state(&slot).abandon();
                Ok(())
            }
            Action::Forgive(slot) => {
                let state = self.state(&slot);
                state.record.rejected = None;
                state.retry_at = None;
                self.store_slot(&slot)
            }
            Action::Fetch(blob) => {
                let needs = self.trust.needs(self.clock.uptime());
                if needs.is_some_and(|needs| needs.contains(&blob)) {
                    self.metadata.insert(blob.digest, blob);
                }
                self.fetch(blob)
            }
            Action::ReadManifest(slot) => self.read_manifest(&slot),
            Action::Vet(slot) => self.vet(&slot),
            Action::Activate(slot) => self.activate(&slot),
            Action::Reject(slot, reason, text) => self.reject(&slot, &Refusal::new(reason, text)),
            Action::SwapBack(slot, reason, text) => self.swap_back(&slot, reason, &text),
            Action::VerifyMetadata => {
                if let Some(work) = self.trust.verification(self.blobs.files()) {
                    self.job(move || Done::Metadata(work().map(Box::new)));
                }
                Ok(())
            }
            Action::RefuseMetadata(text) => {
                let news = self.trust.refused(&text, self.clock.uptime());
                self.tell_of_metadata(news)
            }
            Action::Forget(digest) => {
                let overtaken = self.metadata.get(&digest).copied();
                match overtaken {
                    // Nobody ever wants them again. What is being verified has come, and counts then.
                    Some(blob) if !self.blobs.is_verifying(digest) => {
                        self.facts.metadata_bytes += self.blobs.bytes_safe(blob);
                        self.give_up(digest);
                    }
                    // Half a model may be of use one day.
                    _ => self.blobs.forget(digest),
                }
                Ok(())
            }
            Action::Drop(digest) => {
                self.give_up(digest);
                Ok(())
            }
            Action::Shadow(slot, due) => self.shadow(&slot, due),
        }
    }

    fn begin(&mut self, slot: &SlotName, kept: Kept) -> Result<(), NodeError> {
        self.blobs.forgive();
        let version = kept.version.clone();
        let since = self.clock.uptime();
        let state = self.state(slot);
        state.abandon();
        state.retry_at = None;
        state.fetching = Some(tracing::info_span!(
            target: SPANS, "fetch", tern.slot = %slot, tern.model = %version.model,
            tern.model_version = %version.version,
        ));
        state.candidate = Some(Candidate {
            kept,
            step: Step::Manifest,
            since,
        });
        if state.record.rejected.take().is_some() {
            self.store_slot(slot)?;
        }
        tracing::info!(%slot, model = %version.model, version = %version.version, "fetching");
        self.event(EventKind::Fetching, slot, Some(&version), "")
    }

    fn read_manifest(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let Some(candidate) = self.state(slot).candidate.clone() else {
            return Ok(());
        };
        let manifest = match bundle::manifest(self.blobs.files(), &candidate.kept) {
            Ok(manifest) => manifest,
            Err(refusal) => return self.reject(slot, &refusal),
        };
        let parts: Vec<_> = manifest.parts().collect();
        if let Err(refusal) = self.make_room(&parts)? {
            return self.reject(slot, &refusal);
        }
        if let Some(candidate) = &mut self.state(slot).candidate {
            candidate.step = Step::Parts(parts);
        }
        Ok(())
    }

    fn vet(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let state = self.state(slot);
        let Some(candidate) = &mut state.candidate else {
            return Ok(());
        };
        let kept = candidate.kept.clone();
        candidate.step = Step::Vetting(candidate.parts().to_vec());
        // It is all here.
        state.fetching = None;
        let verdict = state.record.attempt(kept.bundle.digest);
        self.store_slot(slot)?;
        if verdict == Verdict::GiveUp {
            return self.reject(slot, &ended_the_process());
        }
        self.event(EventKind::Verified, slot, Some(&kept.version), "")?;
        let (files, clock) = (self.blobs.files().clone(), self.clock);
        let budget = self.config.vetting.budget();
        let trial = Trial::For(self.config.activation.trial.0.0);
        let name = slot.clone();
        self.job(move || {
            let vetted = vetting::vet(&files, &name, &kept, budget).and_then(|measured| {
                let loaded = bundle::load(&files, &name, &kept, &clock, trial)?;
                Ok((Box::new(loaded), measured))
            });
            Done::Vetted(name, kept, vetted)
        });
        Ok(())
    }

    /// What came of vetting.
    pub(super) fn vetted(
        &mut self,
        slot: &SlotName,
        kept: &Kept,
        result: Result<(Box<Loaded>, Measured), Refusal>,
    ) -> Result<(), NodeError> {
        let state = self.state(slot);
        state.record.settled();
        let Some(candidate) = state.candidate_of(kept.bundle.digest) else {
            // Desired changed its mind meanwhile.
            return self.store_slot(slot);
        };
        match result {
            Ok((loaded, measured)) => {
                candidate.step = Step::Vetted(candidate.parts().to_vec());
                state.vetted = Some(Arc::from(loaded));
                let text = measured.to_string();
                self.event(EventKind::Vetted, slot, Some(&kept.version), &text)
            }
            Err(refusal) => self.reject(slot, &refusal),
        }
    }

    fn activate(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let now = self.clock.uptime();
        let trial = self.config.activation.trial.0.0;
        let state = self.state(slot);
        let (Some(candidate), Some(loaded)) = (state.candidate.take(), state.vetted.take()) else {
            return Ok(());
        };
        let version = &loaded.kept.version;
        let _span = tracing::info_span!(
            target: SPANS, "activate", tern.slot = %slot, tern.model = %version.model,
            tern.model_version = %version.version,
        )
        .entered();
        state.record.activated(candidate.kept);
        state.retry_at = None;
        state.trial_noted = now;
        loaded.begin_trial(now.plus(trial));
        let fresh = holding(&loaded.kept, &loaded.manifest);
        let old = state.current.replace(fresh);
        if state.record.previous.is_some() {
            let known = [old, state.previous.take()];
            let previous = state.record.previous.as_ref().map(|k| k.bundle.digest);
            let mut known = known.into_iter().flatten();
            state.previous = known.find(|holding| Some(holding.bundle) == previous);
        } else {
            state.previous = None;
        }
        let lost = state.lost.map(|blob| blob.digest);
        if lost.is_some() && lost != state.record.previous.as_ref().map(|k| k.bundle.digest) {
            state.lost = None;
        }
        self.store_slot(slot)?;
        let version = loaded.kept.version.clone();
        let old = self.swap(slot, Some(loaded))?;
        let state = self.state(slot);
        let previous = state.record.previous.clone();
        let known = [old, state.fallback.take()];
        let mut known = known.into_iter().flatten();
        state.fallback = known.find(|loaded| previous.as_ref() == Some(&loaded.kept));
        tracing::info!(%slot, model = %version.model, version = %version.version, "serving");
        self.event(EventKind::Serving, slot, Some(&version), "")
    }

    pub(super) fn reject(&mut self, slot: &SlotName, refusal: &Refusal) -> Result<(), NodeError> {
        self.mend(refusal)?;
        let retry_at = self.clock.uptime().plus(RETRY);
        let state = self.state(slot);
        let Some(candidate) = state.candidate.take() else {
            return Ok(());
        };
        state.abandon();
        let passes = refusal.passing || may_pass(refusal.reason);
        state.retry_at = passes.then_some(retry_at);
        let version = candidate.kept.version;
        tracing::warn!(
            %slot, model = %version.model, version = %version.version, reason = %refusal.reason,
            "refused: {}", refusal.text
        );
        state.record.rejected(Rejected {
            version: version.clone(),
            reason: refusal.reason,
            text: shortened(&refusal.text),
        });
        self.store_slot(slot)?;
        let text = format!("{}: {}", refusal.reason, refusal.text);
        self.event(EventKind::Rejected, slot, Some(&version), &text)
    }

    fn swap_back(
        &mut self,
        slot: &SlotName,
        reason: RejectReason,
        text: &str,
    ) -> Result<(), NodeError> {
        let state = self.state(slot);
        let failed = state.record.current.as_ref().map(|k| k.version.clone());
        state.record.swapped_back(reason, shortened(text));
        // What rotted on disk is worth fetching again at once.
        state.retry_at = may_pass(reason).then_some(Uptime(0));
        state.current = state.previous.take();
        state.lost = None;
        let fallback = state.fallback.take();
        let back = state.record.current.clone();
        self.store_slot(slot)?;
        let fits = |loaded: &Arc<Loaded>| back.as_ref() == Some(&loaded.kept);
        match (fallback.filter(fits), &back) {
            (Some(loaded), _) => drop(self.swap(slot, Some(loaded))?),
            (None, Some(_)) => {
                // It is loaded from disk; meanwhile a failing model is better than none.
                self.start_slot(slot)?;
            }
            (None, None) => drop(self.swap(slot, None)?),
        }
        tracing::warn!(%slot, %reason, "swapped back: {text}");
        let text = match back {
            Some(kept) => format!(
                "{text}; {} v{} serves",
                kept.version.model, kept.version.version
            ),
            None => format!("{text}; there is no version to return to"),
        };
        self.event(EventKind::SwappedBack, slot, failed.as_ref(), &text)
    }

    /// Loads what the record of a slot calls current.
    pub(super) fn start_slot(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let length = self.config.activation.trial.0.0;
        let state = self.state(slot);
        let Some(kept) = state.record.current.clone() else {
            state.starting = false;
            return Ok(());
        };
        state.starting = true;
        let verdict = state.record.attempt(kept.bundle.digest);
        let trial = state.record.started();
        let rest = state.record.trial.map_or(Trial::None, |so_far| {
            let served = Duration::from_secs(so_far.served_s);
            Trial::For(length.saturating_sub(served))
        });
        self.store_slot(slot)?;
        if verdict == Verdict::GiveUp {
            return self.started(slot, &kept, Err(ended_the_process()));
        }
        if trial == Verdict::GiveUp {
            let text =
                format!("the agent ended more than {TRIAL_STARTS} times while it was on trial");
            return self.started(
                slot,
                &kept,
                Err(Refusal::new(RejectReason::FailedServing, text)),
            );
        }
        let (files, clock) = (self.blobs.files().clone(), self.clock);
        let name = slot.clone();
        self.job(move || {
            let loaded = bundle::load(&files, &name, &kept, &clock, rest);
            Done::Started(name, kept, loaded.map(Box::new))
        });
        Ok(())
    }

    /// What came of loading what the record calls current.
    pub(super) fn started(
        &mut self,
        slot: &SlotName,
        kept: &Kept,
        result: Result<Box<Loaded>, Refusal>,
    ) -> Result<(), NodeError> {
        let refusal = match result {
            Ok(loaded) => return self.resume(slot, loaded),
            Err(refusal) => refusal,
        };
        self.mend(&refusal)?;
        let version = &kept.version;
        tracing::error!(
            %slot, model = %version.model, version = %version.version,
            "what served before cannot be loaded: {}", refusal.text
        );
        self.state(slot).starting = false;
        self.swap_back(slot, refusal.reason, &refusal.text)
    }

    fn resume(&mut self, slot: &SlotName, loaded: Box<Loaded>) -> Result<(), NodeError> {
        let now = self.clock.uptime();
        let state = self.state(slot);
        state.starting = false;
        state.trial_noted = now;
        state.record.settled();
        state.current = Some(holding(&loaded.kept, &loaded.manifest));
        self.find_previous(slot)?;
        self.store_slot(slot)?;
        self.swap(slot, Some(Arc::from(loaded))).map(drop)
    }

    /// Swaps what serves, and closes the window of what served.
    fn swap(
        &mut self,
        slot: &SlotName,
        next: Option<Arc<Loaded>>,
    ) -> Result<Option<Arc<Loaded>>, NodeError> {
        if let Some(next) = &next {
            // It may come back from the models that gave way.
            self.retired.retain(|retired| !Arc::ptr_eq(retired, next));
        }
        let old = self.slots.get(slot.as_str()).and_then(|s| s.swap(next));
        if let Some(old) = &old {
            self.close_window(old)?;
            // Requests that began with it still count; see `close_windows`.
            self.retired.push(Arc::clone(old));
        }
        Ok(old)
    }

    /// A blob whose bytes on disk changed is put aside, so that it is fetched again.
    pub(super) fn mend(&mut self, refusal: &Refusal) -> Result<(), NodeError> {
        match refusal.rotten {
            Some(digest) => self.put_aside(digest),
            None => Ok(()),
        }
    }

    pub(super) fn event(
        &mut self,
        kind: EventKind,
        slot: &SlotName,
        version: Option<&SlotVersion>,
        text: &str,
    ) -> Result<(), NodeError> {
        let event = tern_protocol::log::Event {
            kind,
            slot: Some(slot.clone()),
            model: version.map(|v| v.model.clone()),
            version: version.map(|v| v.version),
            text: shortened(text),
        };
        self.write(tern_protocol::log::Body::Event(event.into()))
    }
}

fn ended_the_process() -> Refusal {
    Refusal::new(
        RejectReason::NotLoadable,
        format!("loading it ended the agent {ATTEMPTS_MAX} times"),
    )
}

/// Longest text of a refusal, in bytes: a report has one for each slot.
pub(crate) const TEXT_MAX: usize = 480;

/// A few hundred bytes, as events and reports promise.
pub(crate) fn shortened(text: &str) -> String {
    match text.len() {
        0..=TEXT_MAX => text.into(),
        _ => format!("{}…", &text[..text.floor_char_boundary(TEXT_MAX)]),
    }
}

//! Files that need not travel whole: which offer is used, and what is told of it.

use std::{collections::BTreeSet, time::Duration};

use tern_protocol::{
    blob::BlobRef, desired::Offer, digest::Digest, id::SlotName, log::EventKind,
    reported::SlotVersion,
};

use super::{Done, Node, NodeError};
use crate::{
    fetch::delta::{self, MakeError, News},
    reconcile::Candidate,
};

impl Node {
    /// A blob is wanted from now on: made of another one if that can be, or itself.
    pub(super) fn fetch(&mut self, blob: BlobRef) -> Result<(), NodeError> {
        let offers = self.offers(blob);
        let now = self.clock.uptime();
        match self.patches.begin(blob, &offers, &mut self.blobs, now) {
            Some(Ok(())) => return Ok(()),
            Some(Err(why)) => self.tell_failed(blob, &why)?,
            None => {}
        }
        self.blobs.want(blob);
        Ok(())
    }

    /// The bundles that are on their way, to serve or to run beside what serves, with what is offered for
    /// each.
    fn underway(&self) -> impl Iterator<Item = (&Candidate, &[Offer])> {
        let slots = self.desired.slots.iter().filter_map(|want| {
            let state = self.states.get(&want.slot)?;
            let candidate = state.candidate.as_ref()?;
            (candidate.kept.bundle == want.bundle).then_some((candidate, &want.offers[..]))
        });
        let shadows = self.desired.shadows.iter().filter_map(|want| {
            let state = self.states.get(&want.slot)?;
            let candidate = state.shadow.fetched()?;
            (candidate.kept.bundle == want.bundle).then_some((candidate, &want.offers[..]))
        });
        slots.chain(shadows)
    }

    /// The deltas that are offered for the ONNX file of a bundle that is on its way.
    fn offers(&self, blob: BlobRef) -> Vec<Offer> {
        let is_of = |candidate: &Candidate| candidate.parts().first() == Some(&blob);
        let underway = self.underway();
        let offers = underway.filter(|(candidate, _)| is_of(candidate));
        offers.flat_map(|(_, offers)| offers).copied().collect()
    }

    /// Deltas that are offered for what is on its way: what there is of them is no litter.
    pub(super) fn offered(&self) -> impl Iterator<Item = Digest> {
        let underway = self.underway();
        underway.flat_map(|(_, offers)| offers.iter().map(|offer| offer.delta.digest))
    }

    /// Brings forward what is made of deltas.
    pub(super) fn look_at_deltas(&mut self) -> Result<(), NodeError> {
        let states = self.states.values();
        let candidates = states.flat_map(|s| s.candidate.iter().chain(s.shadow.fetched()));
        let wanted: BTreeSet<Digest> = candidates
            .flat_map(|candidate| candidate.parts().iter().map(|blob| blob.digest))
            .collect();
        let (now, online) = (self.clock.uptime(), self.link.is_online());
        for news in self.patches.look(&wanted, &mut self.blobs, now, online) {
            match news {
                News::Make(target, offer) => {
                    let (files, clock) = (self.blobs.files().clone(), self.clock);
                    self.job(move || {
                        let start = clock.uptime();
                        let made = delta::make(&files, target, offer);
                        Done::Made(target, made, clock.uptime().since(start))
                    });
                }
                News::Failed(target, why) => self.tell_failed(target, &why)?,
            }
        }
        Ok(())
    }

    /// What came of making a file of a delta.
    pub(super) fn made(
        &mut self,
        target: BlobRef,
        result: Result<(), MakeError>,
        took: Duration,
    ) -> Result<(), NodeError> {
        let saved = self.patches.made(target, &result, &mut self.blobs);
        if let Err(err) = result {
            return self.tell_failed(target, &crate::chain(&err));
        }
        let text = format!(
            "{} of {} bytes did not travel; it took {} ms to make",
            saved,
            target.len,
            took.as_millis()
        );
        tracing::info!(digest = %target.digest, "made a file of a delta: {text}");
        self.tell_of_delta(EventKind::DeltaApplied, target, &text)
    }

    fn tell_failed(&mut self, target: BlobRef, why: &str) -> Result<(), NodeError> {
        tracing::warn!(digest = %target.digest, "a delta is of no use, the whole file is fetched: {why}");
        self.tell_of_delta(EventKind::DeltaFailed, target, why)
    }

    fn tell_of_delta(
        &mut self,
        kind: EventKind,
        target: BlobRef,
        text: &str,
    ) -> Result<(), NodeError> {
        let slots: Vec<(SlotName, SlotVersion)> = self
            .states
            .iter()
            .filter_map(|(name, state)| {
                let mut all = state.candidate.iter().chain(state.shadow.fetched());
                let candidate = all.find(|candidate| candidate.parts().contains(&target))?;
                Some((name.clone(), candidate.kept.version.clone()))
            })
            .collect();
        for (slot, version) in slots {
            self.event(kind, &slot, Some(&version), text)?;
        }
        Ok(())
    }
}

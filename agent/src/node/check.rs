//! What a swap back needs is hashed after each start, as what serves is when it is loaded: damage is found
//! while the hub still has the bytes, and not when the predecessor is the last model that is left.

use tern_protocol::{
    blob::BlobRef,
    digest::Digest,
    id::SlotName,
    log::{Body, Event, EventKind},
    manifest::Manifest,
};

use super::{
    Done, Node, NodeError,
    apply::shortened,
    slot::{SlotState, holding},
};
use crate::{fetch::files::BlobError, slots::bundle};

impl Node {
    /// Reads the manifest of what a slot returns to if it has to, and looks after what it names.
    pub(super) fn find_previous(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let files = self.blobs.files().clone();
        let state = self.state(slot);
        (state.previous, state.lost) = (None, None);
        let Some(previous) = state.record.previous.clone() else {
            return Ok(());
        };
        let refusal = match bundle::manifest(&files, &previous) {
            Ok(manifest) => {
                state.previous = Some(holding(&previous, &manifest));
                self.check(&manifest);
                return Ok(());
            }
            Err(refusal) => refusal,
        };
        if files.has(previous.bundle.digest) && refusal.rotten.is_none() {
            // Whole, and of no use: it will be of none when it comes again.
            state.record.previous = None;
        } else {
            state.lost = Some(previous.bundle);
        }
        tracing::warn!(%slot, "there is no version to return to now: {}", refusal.text);
        self.mend(&refusal)?;
        if let Some(lost) = self.state(slot).lost {
            self.blobs.want(lost);
        }
        Ok(())
    }

    /// A blob is whole: if it is a manifest that a slot lost, what it names is looked after again.
    pub(super) fn found(&mut self, blob: BlobRef) -> Result<(), NodeError> {
        let waits = |state: &SlotState| state.lost == Some(blob);
        let slots = self.states.iter().filter(|(_, state)| waits(state));
        let slots: Vec<_> = slots.map(|(slot, _)| slot.clone()).collect();
        for slot in slots {
            tracing::info!(%slot, digest = %blob.digest, "the version to return to has its manifest again");
            self.find_previous(&slot)?;
            self.store_slot(&slot)?;
        }
        Ok(())
    }

    /// Hashes the parts of what a slot returns to if it has to, where that holds up nobody.
    fn check(&self, manifest: &Manifest) {
        let files = self.blobs.files().clone();
        let parts: Vec<_> = manifest.parts().collect();
        self.job(move || {
            let bad = parts.into_iter().filter(|part| match files.check(*part) {
                Ok(()) => false,
                Err(BlobError::Mismatch { .. }) => true,
                // A disk that does not read now may do so later.
                Err(err) => {
                    tracing::warn!(digest = %part.digest, "checking a blob: {}", crate::chain(&err));
                    !files.has(part.digest)
                }
            });
            Done::Checked(bad.collect())
        });
    }

    /// What came of it: what is damaged or gone is fetched again.
    pub(super) fn checked(&mut self, bad: Vec<BlobRef>) -> Result<(), NodeError> {
        for blob in bad {
            self.put_aside(blob.digest)?;
            self.blobs.want(blob);
        }
        Ok(())
    }

    /// A blob whose bytes changed on disk: it is put aside, so that it is fetched again by whoever needs it.
    pub(super) fn put_aside(&mut self, digest: Digest) -> Result<(), NodeError> {
        match self.blobs.put_aside(digest) {
            Ok(aside) => {
                tracing::warn!(%digest, aside = %aside.display(), "a blob is damaged: it is put aside");
            }
            Err(err) => {
                tracing::warn!(%digest, "putting aside a damaged blob: {}", crate::chain(&err));
            }
        }
        self.damage(&format!(
            "blob {}: its bytes changed on disk; it is fetched again if it is needed",
            digest.short()
        ))
    }

    /// Tells the hub of damage.
    pub(super) fn damage(&mut self, text: &str) -> Result<(), NodeError> {
        let event = Event {
            kind: EventKind::Damage,
            slot: None,
            model: None,
            version: None,
            text: shortened(text),
        };
        self.write(Body::Event(event.into()))
    }
}

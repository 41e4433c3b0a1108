//! The part that decides: one task that owns state, blobs, outbox and what is reported.
//!
//! Called by `main`. Everything that can happen is an [`Input`], a [`Heard`] or a [`Done`]; none of
//! them carries a decision: after each the node compares what should be with what is.
//!
//! Must never break: what it does may take its time, since requests are answered in another thread.

mod apply;
pub mod board;
mod captures;
mod check;
mod deltas;
mod outward;
mod shadow;
mod slot;
mod space;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tern_protocol::{
    desired::Desired,
    digest::Digest,
    id::SlotName,
    log::{Body, Capture, Entry, EventKind, Label, NumberLabel},
    reported::{Platform, RejectReason, Rejected},
    time::Uptime,
    topic::Channel,
};
use tern_trust::client::Trusted;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};

#[cfg(test)]
pub(crate) use self::apply::TEXT_MAX;
pub(crate) use self::apply::shortened;
use self::{
    board::{Board, Facts},
    captures::CaptureState,
    slot::SlotState,
    space::Space,
};
use crate::{
    capture::{Captures, blur::BlurError},
    clock::Clock,
    config::{self, SLOTS_MAX},
    fetch::{
        Blobs, Errand,
        delta::{MakeError, Patches},
        download::Downloads,
        fetcher::Notice,
        files::BlobError,
    },
    link::{Heard, Link},
    outbox::{Acked, Outbox},
    report::{self, Reporter, Weight},
    room::Reserve,
    slots::{Loaded, Slots, bundle::Refusal},
    state::{StateError, Store, slot::Kept},
    trust::{Refused, Trust},
    vetting::Measured,
};

/// Longest wait without looking: trials end and disks fill up without telling.
const FULL_PASS: Duration = Duration::from_secs(30);

/// Shortest wait: what could not be handed over now is not tried in a tight loop.
const BREATH: Duration = Duration::from_millis(5);

/// Messages taken at once before looking again: chunks come in crowds.
const CROWD: usize = 64;

/// Jobs under way: each slot has at most two loads (one of a shadow), one check and one file that is made of a
/// delta, each blob at most one hashing, metadata are verified and captures blurred one at a time.
const JOBS: usize = 5 * SLOTS_MAX + crate::fetch::fetcher::ACTIVE_MAX + 2;

/// Why the node stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The store does not take what has to be remembered.
    #[error("the store")]
    State(#[from] StateError),
    /// The blobs cannot be listed.
    #[error("the blobs")]
    Blobs(#[from] BlobError),
}

/// A node whose store failed. What serves serves on.
#[derive(Debug)]
pub struct Failed {
    /// What failed.
    pub err: NodeError,
    /// What the store did not take, for the next node.
    pub unsaved: Vec<Entry>,
}

/// What the serving thread sends.
#[derive(Debug)]
pub enum Input {
    /// An input to keep.
    Capture(Box<Capture>),
    /// The truth about a prediction.
    Label(Box<Label>),
    /// The true number about a prediction of a model that is no classifier.
    Number(Box<NumberLabel>),
}

/// What a job in the background gives.
#[derive(Debug)]
pub(crate) enum Done {
    /// Loading what served before the start.
    Started(SlotName, Kept, Result<Box<Loaded>, Refusal>),
    /// Vetting what is on its way.
    Vetted(SlotName, Kept, Result<(Box<Loaded>, Measured), Refusal>),
    /// Vetting what is to run beside what serves.
    ShadowVetted(SlotName, Kept, Result<(Box<Loaded>, Measured), Refusal>),
    /// Verifying signed metadata.
    Metadata(Result<Box<Trusted>, Refused>),
    /// Hashing what a swap back needs: what is damaged or gone.
    Checked(Vec<tern_protocol::blob::BlobRef>),
    /// Letting the operator's program blur a capture.
    Blurred(Result<Box<Capture>, BlurError>),
    /// Hashing a blob.
    Verified(tern_protocol::blob::BlobRef, Result<(), BlobError>),
    /// Making a file of a delta, and how long it took.
    Made(
        tern_protocol::blob::BlobRef,
        Result<(), MakeError>,
        Duration,
    ),
}

/// What a node is made of; `main` puts it together.
#[derive(Debug)]
pub struct Parts {
    /// What was set.
    pub config: config::Config,
    /// Time.
    pub clock: Clock,
    /// What is remembered.
    pub store: Store,
    /// What is fetched.
    pub blobs: Blobs,
    /// What is signed.
    pub trust: Trust,
    /// What is fetched by HTTPS.
    pub downloads: Downloads,
    /// What waits for the hub.
    pub outbox: Outbox,
    /// What serves.
    pub slots: Arc<Slots>,
    /// The connection.
    pub link: Link,
    /// What `serve` shows.
    pub board: Arc<Board>,
    /// Which inputs are kept.
    pub captures: Arc<Captures>,
}

/// Where a node hears from others.
#[derive(Debug)]
pub struct Ears {
    /// From the link.
    pub heard: mpsc::Receiver<Heard>,
    /// From the serving thread.
    pub inputs: mpsc::Receiver<Input>,
    /// The serving thread says that something may need attention.
    pub wake: Arc<Notify>,
    /// The agent is to stop: true.
    pub stop: watch::Receiver<bool>,
    /// The serving thread has ended: true.
    pub served: watch::Receiver<bool>,
}

/// The part that decides.
#[derive(Debug)]
pub struct Node {
    config: config::Config,
    clock: Clock,
    store: Store,
    blobs: Blobs,
    patches: Patches,
    trust: Trust,
    downloads: Downloads,
    outbox: Outbox,
    slots: Arc<Slots>,
    link: Link,
    board: Arc<Board>,
    captures: Arc<Captures>,
    capturing: CaptureState,
    space: Space,
    /// Blobs on their way that are signed metadata.
    metadata: BTreeMap<Digest, tern_protocol::blob::BlobRef>,
    desired: Desired,
    states: BTreeMap<SlotName, SlotState>,
    /// Models that do not serve any more, while a request or a trial holds on to them.
    retired: Vec<Arc<Loaded>>,
    platform: Platform,
    weight: Weight,
    reporter: Reporter,
    next_window: Uptime,
    flush_at: Option<Uptime>,
    done: mpsc::Sender<Done>,
    facts: Facts,
}

impl Node {
    /// Puts a node together; gives it with the channel of its jobs.
    pub(crate) fn new(parts: Parts) -> Result<(Self, mpsc::Receiver<Done>), NodeError> {
        let (done, jobs) = mpsc::channel(JOBS);
        let mut states = BTreeMap::new();
        for slot in parts.slots.iter() {
            // Of a node that failed: this one begins anew.
            slot.set_shadow(None);
            let mut record = parts.store.slot(slot.name())?;
            // This process may be the newer agent that was asked for.
            let too_old = |rejected: &mut Rejected| rejected.reason == RejectReason::AgentTooOld;
            record.rejected.take_if(too_old);
            states.insert(slot.name().clone(), SlotState::new(record));
        }
        let node = Self {
            metadata: BTreeMap::new(),
            space: Space::new(Reserve::below(&parts.config.state)),
            desired: parts.store.desired()?,
            next_window: parts.clock.uptime().plus(parts.config.telemetry.window.0),
            config: parts.config,
            clock: parts.clock,
            store: parts.store,
            blobs: parts.blobs,
            patches: Patches::default(),
            trust: parts.trust,
            downloads: parts.downloads,
            outbox: parts.outbox,
            slots: parts.slots,
            link: parts.link,
            board: parts.board,
            captures: parts.captures,
            capturing: CaptureState::default(),
            states,
            retired: Vec::new(),
            platform: report::platform(),
            weight: Weight::default(),
            reporter: Reporter::default(),
            flush_at: None,
            done,
            facts: Facts::default(),
        };
        Ok((node, jobs))
    }

    /// Works until it is stopped or its store fails.
    pub async fn run(parts: Parts, ears: &mut Ears) -> Result<(), Failed> {
        let (mut node, mut jobs) = Self::new(parts).map_err(|err| Failed {
            err,
            unsaved: Vec::new(),
        })?;
        match node.work(ears, &mut jobs).await {
            Ok(()) => {
                node.link.stop().await;
                Ok(())
            }
            Err(err) => Err(node.fail(err).await),
        }
    }

    /// Works until it is stopped; everything that has to be remembered is, when this returns.
    async fn work(
        &mut self,
        ears: &mut Ears,
        jobs: &mut mpsc::Receiver<Done>,
    ) -> Result<(), NodeError> {
        let started = tern_protocol::log::Event {
            kind: EventKind::Started,
            slot: None,
            model: None,
            version: None,
            text: format!("agent {}", env!("CARGO_PKG_VERSION")),
        };
        self.write(Body::Event(started.into()))?;
        if let Some(text) = self.store.damage() {
            let text =
                format!("the store: {text}; slots are as their copies say, entries may be lost");
            self.damage(&text)?;
        }
        self.remember_captures()?;
        let names: Vec<_> = self.states.keys().cloned().collect();
        for name in names {
            self.start_slot(&name)?;
        }
        loop {
            let deadline = self.pass()?;
            let wait = deadline.since(self.clock.uptime()).max(BREATH);
            tokio::select! {
                Some(heard) = ears.heard.recv() => self.hear(heard, &mut ears.heard)?,
                Some(input) = ears.inputs.recv() => self.take(input)?,
                Some(done) = jobs.recv() => self.finish(done)?,
                () = ears.wake.notified() => {}
                () = sleep(wait) => {}
                _ = ears.stop.wait_for(|stop| *stop) => break,
                // Without the thread that serves, the agent is better started again.
                _ = ears.served.wait_for(|served| *served) => break,
            }
        }
        self.stop(ears).await
    }

    /// Brings everything forward that can be; says when to look again if nothing happens.
    fn pass(&mut self) -> Result<Uptime, NodeError> {
        let now = self.clock.uptime();
        self.look_at_the_disk()?;
        self.drop_old_captures()?;
        self.blobs.commit(now);
        self.look_at_the_time();
        self.weigh_process(false);
        self.look_at_deltas()?;
        self.settle()?;
        let online = self.link.is_online();
        while let Some(errand) = self.blobs.poll(self.clock.uptime(), online) {
            match errand {
                Errand::Ask(want) => {
                    self.link.listen(&self.blobs.listening());
                    // What does not leave now is asked again when patience ends.
                    self.link.say(Channel::Want, &want);
                }
                Errand::Download(download) => self.downloads.begin(download),
                Errand::Tell(notice) => self.tell(notice)?,
                Errand::Verify(blob) => {
                    let files = self.blobs.files().clone();
                    self.job(move || Done::Verified(blob, files.finish(blob)));
                }
            }
        }
        // A blob that could not be opened or has failed is a fact like any other.
        self.look_at_deltas()?;
        self.settle()?;
        self.link.listen(&self.blobs.listening());
        self.downloads.keep(&self.blobs.downloading());
        let now = self.clock.uptime();
        if now >= self.next_window {
            self.close_windows()?;
        }
        if self.flush_at.is_some_and(|at| now >= at) {
            self.flush_at = None;
            self.outbox.flush()?;
        }
        self.send()?;
        self.prove()?;
        self.prove_shadows(false)?;
        let report_at = self.report();
        let times = [
            Some(now.plus(FULL_PASS)),
            Some(self.next_window),
            self.flush_at,
            self.outbox.deadline().filter(|_| online),
            self.blobs.deadline(online),
            Some(report_at).filter(|_| online),
        ];
        Ok(times.into_iter().flatten().min().unwrap_or(now))
    }

    fn hear(&mut self, first: Heard, more: &mut mpsc::Receiver<Heard>) -> Result<(), NodeError> {
        let mut heard = Some(first);
        for _ in 0..CROWD {
            let now = self.clock.uptime();
            match heard {
                None => break,
                Some(Heard::Online) => {
                    self.outbox.online();
                    self.blobs.online(now);
                    self.reporter.online();
                }
                Some(Heard::Offline | Heard::Noise) => {}
                Some(Heard::Chunk(digest, chunk)) => self.blobs.chunk(digest, &chunk, now),
                Some(Heard::Downloaded(ended)) => {
                    if self.downloads.is_newest(&ended) {
                        self.blobs.downloaded(ended.digest, ended.result, now);
                    }
                }
                Some(Heard::Ack(ack)) => match self.outbox.ack(&ack)? {
                    Acked::Windows(windows) => {
                        tracing::debug!(stored = ack.stored.0, windows, "acknowledged");
                        self.facts.windows_acked += windows;
                    }
                    Acked::Ignored => tracing::debug!(?ack, "an ack says nothing new"),
                },
                Some(Heard::Desired(desired)) => self.desire(desired)?,
                Some(Heard::Roots(roots)) => self.trust.roots(roots),
                Some(Heard::Newest(newest)) => self.trust.newest(newest),
            }
            heard = more.try_recv().ok();
        }
        Ok(())
    }

    fn desire(&mut self, desired: Desired) -> Result<(), NodeError> {
        if desired.revision <= self.desired.revision {
            return Ok(());
        }
        self.store.set_desired(&desired)?;
        tracing::info!(revision = desired.revision.0, "desired state changed");
        self.desired = desired;
        self.captures.ask(&self.desired.requests);
        self.forget()
    }

    fn take(&mut self, input: Input) -> Result<(), NodeError> {
        match input {
            Input::Capture(capture) => self.take_capture(capture),
            Input::Label(label) => self.take_label(label),
            Input::Number(label) => self.take_number(label),
        }
    }

    fn finish(&mut self, done: Done) -> Result<(), NodeError> {
        match done {
            Done::Started(slot, kept, result) => self.started(&slot, &kept, result),
            Done::Vetted(slot, kept, result) => self.vetted(&slot, &kept, result),
            Done::ShadowVetted(slot, kept, result) => self.shadow_vetted(&slot, &kept, result),
            Done::Metadata(result) => self.verified_metadata(result),
            Done::Made(target, result, took) => self.made(target, result, took),
            Done::Checked(bad) => self.checked(bad),
            Done::Blurred(result) => self.blurred(result),
            Done::Verified(blob, result) => {
                // Also if newer ones are offered meanwhile: they came.
                if result.is_ok() && self.metadata.remove(&blob.digest).is_some() {
                    self.facts.metadata_bytes += blob.len;
                }
                let whole = result.is_ok();
                self.blobs.finished(blob, result, self.clock.uptime());
                if whole { self.found(blob) } else { Ok(()) }
            }
        }
    }

    /// Says how a blob fares; at the hub too, if it is worth it.
    fn tell(&mut self, notice: Notice) -> Result<(), NodeError> {
        let Notice {
            digest,
            text,
            event,
        } = notice;
        tracing::warn!(%digest, "fetching: {text}");
        if !event {
            return Ok(());
        }
        let event = tern_protocol::log::Event {
            kind: EventKind::Fetching,
            slot: None,
            model: None,
            version: None,
            text: apply::shortened(&format!("blob {}: {text}", digest.short())),
        };
        self.write(Body::Event(event.into()))
    }

    /// Runs something that takes its time, where it holds up nobody.
    fn job(&self, work: impl FnOnce() -> Done + Send + 'static) {
        let done = self.done.clone();
        tokio::task::spawn_blocking(move || {
            // Nobody listens only when the agent ends.
            let _ = done.blocking_send(work());
        });
    }

    fn state(&mut self, slot: &SlotName) -> &mut SlotState {
        self.states
            .get_mut(slot)
            .expect("every slot of `slots` has a state from the start")
    }

    fn store_slot(&mut self, slot: &SlotName) -> Result<(), NodeError> {
        let record = self.state(slot).record.clone();
        Ok(self.store.set_slot(slot, &record)?)
    }
}

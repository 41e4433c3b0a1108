//! What leaves the device: entries, batches, reports, and the last words.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use tern_protocol::{
    id::Sequence,
    log::{Body, Entry, EventKind},
    reported::{Deltas, Reported, Resources},
    time::{Uptime, WallTime},
    topic::Channel,
};
use tokio::time::timeout;

use super::{Ears, Failed, Node, NodeError, board::Disk, slot};
use crate::{
    activation::{self, Moment},
    outbox::OutboxError,
    report,
    slots::{Loaded, Slot},
    telemetry::temperature,
};

/// Entries are flushed to disk at least this soon after they were written.
const FLUSH: Duration = Duration::from_millis(250);

/// How often the record of a trial is brought up to date: a start after this costs no patience.
const TRIAL_NOTED: Duration = Duration::from_mins(1);

/// Where Linux tells what feeds the device.
const SUPPLIES: &str = "/sys/class/power_supply";

/// A wall clock before this is one that was never set: 2024-01-01.
const EARLIEST: WallTime = WallTime(1_704_067_200_000);

/// How long the agent tries to empty its outbox when it stops.
const GOODBYE: Duration = Duration::from_secs(2);

impl Node {
    /// Puts an entry into the outbox.
    pub(super) fn write(&mut self, body: Body) -> Result<(), NodeError> {
        let now = self.clock.now();
        match self.outbox.append(body, now, self.clock.wall()) {
            Ok(()) => {
                self.flush_at.get_or_insert(now.uptime.plus(FLUSH));
                Ok(())
            }
            Err(OutboxError::State(err)) => Err(err.into()),
            Err(err @ OutboxError::TooLarge { .. }) => {
                tracing::warn!("an entry is left out: {err}");
                Ok(())
            }
        }
    }

    pub(super) fn send(&mut self) -> Result<(), NodeError> {
        if self.link.is_online()
            && let Some(batch) = self.outbox.poll(self.clock.now())?
        {
            self.link.say(Channel::Log, &batch);
        }
        Ok(())
    }

    pub(super) fn close_windows(&mut self) -> Result<(), NodeError> {
        let now = self.clock.uptime();
        self.next_window = now.plus(self.config.telemetry.window.0);
        self.feel_board();
        self.captures.next_window();
        let slots = Arc::clone(&self.slots);
        for loaded in slots.iter().filter_map(Slot::serving) {
            self.close_window(&loaded)?;
        }
        for shadow in slots.iter().filter_map(Slot::shadow) {
            self.close_shadow(&shadow)?;
        }
        for loaded in std::mem::take(&mut self.retired) {
            // Asked before its window is closed: who lets go after that is in the next window.
            let held = Arc::strong_count(&loaded) > 1;
            self.close_window(&loaded)?;
            if held {
                self.retired.push(loaded);
            }
        }
        Ok(())
    }

    pub(super) fn close_window(&mut self, loaded: &Loaded) -> Result<(), NodeError> {
        // Also to one that serves no more, and is on nobody's list now.
        if let Some(bytes) = self.weigh_process(true) {
            loaded.meter().resident(bytes);
        }
        if let Some(mut window) = loaded.close_window(self.clock.now()) {
            // It may have been opened before this boot was counted; there is no other in this process.
            window.opened.boot = self.clock.boot();
            self.write(Body::Window(window.into()))?;
            self.facts.windows_made += 1;
        }
        Ok(())
    }

    /// Tells how warm the board is to all that counts for a window.
    fn feel_board(&self) {
        let Some(tenths) = temperature::warmest(Path::new(temperature::ZONES)) else {
            return;
        };
        let serving = self.slots.iter().filter_map(Slot::serving);
        for loaded in serving.chain(self.retired.iter().map(Arc::clone)) {
            loaded.meter().warmed(tenths);
        }
    }

    /// Looks at what the process has in memory, now and then or `at_once`, tells it to all that counts for
    /// a window, and gives it.
    pub(super) fn weigh_process(&mut self, at_once: bool) -> Option<u64> {
        let bytes = self.weight.look(self.clock.uptime(), at_once)?;
        let serving = self.slots.iter().filter_map(Slot::serving);
        for loaded in serving.chain(self.retired.iter().map(Arc::clone)) {
            loaded.meter().resident(bytes);
        }
        Some(bytes)
    }

    /// Notes how trials go. A model that passed its own needs nobody behind it.
    pub(super) fn prove(&mut self) -> Result<(), NodeError> {
        let now = self.clock.uptime();
        let mut confirmed = Vec::new();
        let mut changed = Vec::new();
        for (name, state) in &mut self.states {
            let serving = self.slots.get(name.as_str()).and_then(Slot::serving);
            let Some(loaded) = serving.filter(|_| !state.starting) else {
                continue;
            };
            if loaded.is_proven(now) {
                state.fallback = None;
                if state.record.trial.is_some() {
                    state.record.confirmed();
                    confirmed.push((name.clone(), loaded.kept.version.clone()));
                }
            } else if now.since(state.trial_noted) >= TRIAL_NOTED {
                let served = now.since(state.trial_noted).as_secs();
                state.trial_noted = now;
                state.record.served(served);
                changed.push(name.clone());
            }
        }
        for name in changed {
            self.store_slot(&name)?;
        }
        for (name, version) in confirmed {
            self.store_slot(&name)?;
            tracing::info!(slot = %name, model = %version.model, version = %version.version, "confirmed");
            self.event(EventKind::Confirmed, &name, Some(&version), "")?;
        }
        Ok(())
    }

    /// Looks whether it is the time to activate what waits for it.
    pub(super) fn look_at_the_time(&mut self) {
        let activation = &self.config.activation;
        if !activation.waits() {
            return;
        }
        let now = self.clock.uptime();
        let on_mains = !activation.on_mains || activation::on_mains(Path::new(SUPPLIES));
        for (name, state) in &mut self.states {
            let serving = self.slots.get(name.as_str()).and_then(Slot::serving);
            let moment = Moment {
                wall: self.clock.wall().filter(|wall| *wall >= EARLIEST),
                idle: serving.map_or(Duration::MAX, |loaded| loaded.idle(now)),
                on_mains,
            };
            state.waits_for = activation.may(moment).err();
        }
    }

    /// Shows and, if it is time, says what the device is.
    pub(super) fn report(&mut self) -> Uptime {
        let (signed, now) = (self.trust.signed(), self.clock.uptime());
        let mut slots = Vec::with_capacity(self.states.len());
        for (name, state) in &self.states {
            if let Some(slot) = self.slots.get(name.as_str()) {
                slots.push(state.report(slot, &self.blobs, &self.patches, &signed, now));
            }
        }
        let traffic = self.blobs.traffic();
        self.facts.online = self.link.is_online();
        self.facts.malformed = self.link.malformed() + traffic.malformed;
        self.facts.chunk_bytes = traffic.chunk_bytes;
        self.facts.chunks_ignored = traffic.ignored;
        self.facts.https_bytes = traffic.https_bytes;
        self.facts.way_changes = traffic.way_changes;
        self.facts.coming = self.blobs.coming();
        self.facts.outbox = self.outbox.report();
        self.facts.slots.clone_from(&slots);
        self.facts.trust = self.trust.report();
        self.facts.disk = Disk {
            level: self.space.level,
            reserve: self.space.reserve.is_held(),
            blob_bytes: self.space.taken(),
            spare_bytes: self.spare(),
            store_bytes: self.store.size(),
        };
        self.facts.deltas = self.patches.counts();
        self.board.show(self.facts.clone());

        let known: BTreeSet<_> = self.states.keys().collect();
        slots.extend(slot::unknown_slots(&self.desired, &known));
        let now = self.clock.now();
        let mut reported = Reported {
            agent: env!("CARGO_PKG_VERSION").into(),
            now,
            wall: self.clock.wall(),
            site: self.config.site.clone(),
            labels: self.config.labels.clone(),
            platform: self.platform.clone(),
            resources: Resources::default(),
            answers: self.desired.revision,
            slots,
            outbox: self.facts.outbox,
            malformed: self.facts.malformed,
            trust: Some(self.facts.trust.clone()),
            deltas: Some(self.facts.deltas).filter(|deltas| *deltas != Deltas::default()),
            erased: Some(self.captures.erased()),
            captures: self.config.captures.limits(),
        };
        // Until what served before is in memory again, a report would say that nothing serves.
        let starting = self.states.values().any(|state| state.starting);
        if self.facts.online && !starting && self.reporter.is_due(now.uptime, &reported) {
            reported.resources = report::resources(self.blobs.files().free());
            if self.link.say(Channel::State, &reported) {
                self.reporter.said(now.uptime, reported.clone());
            }
        }
        self.reporter.deadline(now.uptime, &reported)
    }

    /// Closes the windows, tries for a while to empty the outbox, says goodbye.
    pub(super) async fn stop(&mut self, ears: &mut Ears) -> Result<(), NodeError> {
        // Requests under way still count.
        let served = ears.served.wait_for(|served| *served);
        if timeout(GOODBYE, served).await.is_err() {
            tracing::warn!("requests are still under way; they are left");
        }
        while let Ok(input) = ears.inputs.try_recv() {
            self.take(input)?;
        }
        for window in self.last_of_shadows() {
            self.write(window)?;
        }
        self.prove_shadows(true)?;
        self.close_windows()?;
        let names: Vec<_> = self.states.keys().cloned().collect();
        for name in names {
            let state = self.state(&name);
            if state.record.trial.is_some() {
                state.record.stopped();
                self.store_slot(&name)?;
            }
        }
        self.outbox.hurry();
        self.outbox.flush()?;
        let end = self.clock.uptime().plus(GOODBYE);
        while self.link.is_online() && !self.outbox.is_empty() && self.clock.uptime() < end {
            self.outbox.hurry();
            self.send()?;
            let left = end.since(self.clock.uptime());
            let Ok(Some(heard)) = timeout(left, ears.heard.recv()).await else {
                break;
            };
            self.hear(heard, &mut ears.heard)?;
        }
        let entries = self.outbox.report().entries;
        self.store.flush()?;
        self.report();
        tracing::info!(waiting = entries, "stopped");
        Ok(())
    }

    /// Leaves what it could not save. The windows of what serves stay open, for the next node to close.
    pub(super) async fn fail(self, err: NodeError) -> Failed {
        let now = self.clock.now();
        let shadows = self.last_of_shadows();
        let mut unsaved = self.outbox.into_unsaved();
        unsaved.extend(shadows.into_iter().map(|body| Entry {
            sequence: Sequence(0),
            at: now,
            wall: self.clock.wall(),
            body,
        }));
        for loaded in self.retired {
            unsaved.extend(loaded.close_window(now).map(|window| Entry {
                sequence: Sequence(0),
                at: now,
                wall: self.clock.wall(),
                body: Body::Window(window.into()),
            }));
        }
        self.link.stop().await;
        Failed { err, unsaved }
    }
}

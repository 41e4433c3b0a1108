//! One rollout in memory, with the store behind it.

mod commit;

use std::collections::{BTreeSet, HashMap};

use tern_protocol::{
    id::{RolloutId, WorkspaceId},
    rest::{Gate, RolloutCounts},
    time::WallTime,
};
use tern_rollout::{
    Engine, Phase, Place, Question, Setup,
    event::{Batch, Event, GateIndex, Index, Order},
    replay::replay,
};

use super::{
    asking::Asking,
    carry_out,
    in_time::{self, Past},
    labels,
    observe::{self, Seen},
    stored::{self, Memory, Told},
    tally::{Heard, Tally, needs_body},
    windows,
};
use crate::{
    app::App,
    monitor::{self, follow},
    rollout::plan::Rollout,
    store::StoreError,
};

/// A rollout.
pub(in crate::rollout) struct Running {
    pub(in crate::rollout) engine: Engine,
    workspace: WorkspaceId,
    id: RolloutId,
    sequence: i64,
    tallies: HashMap<u32, Tally>,
    memory: Memory,
    begun: bool,
    looked: Option<WallTime>,
    asking: Asking,
}

/// What a look led to.
pub(in crate::rollout) struct Committed {
    /// The rollout as it is stored now.
    pub(in crate::rollout) rollout: Rollout,
    /// What it waits for, or why it ended: the reason that is to be shown.
    pub(in crate::rollout) reason: String,
    /// Devices by where they are.
    pub(in crate::rollout) counts: RolloutCounts,
    /// Whether anything changed.
    pub(in crate::rollout) changed: bool,
}

/// Changes that are not committed yet.
#[derive(Default)]
struct News {
    events: Vec<Event>,
    tallies: BTreeSet<u32>,
    heard: Option<i64>,
    cursor: Option<i64>,
    shadow_cursor: Option<i64>,
    label_cursor: Option<i64>,
}

impl Running {
    /// Loads a rollout as it was when it was committed last.
    pub(in crate::rollout) async fn load(
        app: &App,
        rollout: &Rollout,
    ) -> Result<Option<Self>, StoreError> {
        let Some(plan) = &rollout.plan else {
            return Ok(None);
        };
        let db = app.store.read();
        let (workspace, id) = (&rollout.workspace, rollout.id);
        let setup = Setup {
            plan: (**plan).clone(),
            rollout: id,
            bytes: rollout.bytes,
        };
        let batches = stored::batches(db, workspace, id).await?;
        let sequence = batches.len() as i64;
        let replayed = replay(setup, &batches);
        let memory = stored::memory(db, workspace, id).await?;
        Ok(Some(Self {
            engine: replayed.engine,
            workspace: workspace.clone(),
            id,
            sequence,
            tallies: stored::tallies(db, workspace, id).await?,
            begun: memory.is_some(),
            memory: memory.unwrap_or_default(),
            looked: None,
            asking: Asking::default(),
        }))
    }

    /// One look: what is new goes into the engine, and what it decides is committed. After an error what is in
    /// memory is not what is stored, and has to be loaded again.
    pub(in crate::rollout) async fn look(
        &mut self,
        app: &App,
        rollout: &Rollout,
        seen: &mut [Seen<'_>],
    ) -> Result<Committed, StoreError> {
        let now = app.clock.now();
        if !self.begun {
            self.memory = Memory {
                cursor: windows::last(app.store.read(), "telemetry_window").await?,
                shadow_cursor: windows::last(app.store.read(), "shadow_window").await?,
                label_cursor: monitor::last_place(app.store.read(), &self.workspace).await?,
                mix: self.mix(app, rollout, now).await?,
            };
        }
        let mut news = News {
            events: observe::observe(&self.engine, self.id, &rollout.target, seen),
            ..News::default()
        };
        self.in_time(app, seen, now, &mut news).await?;
        self.windows(app, rollout, &mut news).await?;
        self.shadows(app, rollout, &mut news).await?;
        self.labels(app, rollout, &mut news).await?;
        self.orders(app, rollout, &mut news).await?;
        news.events.extend(self.asking.answers(self.engine.stage()));
        let batch = Batch {
            at: now,
            events: std::mem::take(&mut news.events),
        };
        let timed = self.untimed(&batch);
        let applied = self.engine.apply(&batch);
        for one in seen.iter_mut().filter(|one| one.index.is_none()) {
            one.index = self.engine.index(&one.facts.device);
        }
        self.remember_boots(&timed, seen, &mut news);
        if !self.begun {
            self.usual(app, rollout, &mut news).await?;
        }
        let counts = carry_out::counts(&self.engine, rollout, seen);
        let committed = self
            .commit(app, rollout, counts, &batch, applied, news)
            .await?;
        self.asking.ask(app, rollout, &self.engine);
        Ok(committed)
    }

    async fn mix(
        &self,
        app: &App,
        rollout: &Rollout,
        now: WallTime,
    ) -> Result<Vec<u64>, StoreError> {
        let gates = &self.engine.setup().plan.gates;
        if gates.iter().any(|gate| matches!(gate, Gate::Mix(_))) {
            windows::mix(app.store.read(), &self.workspace, &rollout.slot, now.0).await
        } else {
            Ok(Vec::new())
        }
    }

    /// What devices did before the rollout, each in its last windows and labels.
    async fn usual(
        &mut self,
        app: &App,
        rollout: &Rollout,
        news: &mut News,
    ) -> Result<(), StoreError> {
        let gates = self.engine.setup().plan.gates.clone();
        let bodies = gates.iter().any(needs_body);
        let (db, upto) = (app.store.read(), self.memory.cursor);
        let read = windows::before(db, &self.workspace, &rollout.slot, upto, bodies).await?;
        let mut before: HashMap<u32, Tally> = HashMap::new();
        for window in &read {
            let id = window.device.parse().ok();
            let Some(index) = id.and_then(|id| self.engine.index(&id)) else {
                continue;
            };
            let heard = Heard {
                inferences: window.inferences,
                errors: window.errors,
                body: window.body.as_ref(),
            };
            let tally = before.entry(index.0).or_default();
            tally.before(&gates, &self.memory.mix, &heard);
        }
        if self.labels_for().is_some() {
            let (slot, model) = (&rollout.slot, &rollout.target.model);
            let until = rollout.created;
            for label in labels::before(db, &self.workspace, slot, model, until).await? {
                if let Some(index) = self.engine.index(&label.device) {
                    let tally = before.entry(index.0).or_default();
                    tally.label_before(label.wrong, label.chance);
                }
            }
        }
        for (index, tally) in before {
            let boot = self.tallies.get(&index).and_then(|known| known.boot);
            let mut settled = tally.settle(&gates, &self.memory.mix);
            settled.boot = boot;
            self.tallies.insert(index, settled);
            news.tallies.insert(index);
        }
        Ok(())
    }

    /// Answers what the engine asks about spans of time, and says whom of the control was heard of.
    async fn in_time(
        &self,
        app: &App,
        seen: &[Seen<'_>],
        now: WallTime,
        news: &mut News,
    ) -> Result<(), StoreError> {
        let questions = self.engine.questions(now);
        if questions.is_empty() && self.engine.listened().next().is_none() {
            return Ok(());
        }
        let facts: HashMap<u32, &Seen<'_>> = seen
            .iter()
            .filter_map(|one| Some((one.index?.0, one)))
            .collect();
        news.events.extend(observe::listened(&self.engine, |index| {
            let facts = facts.get(&index.0)?.facts;
            Some((facts.online, facts.last_seen))
        }));
        let gate =
            |question: &Question| &self.engine.setup().plan.gates[usize::from(question.gate.0)];
        let asked = questions.iter().filter_map(|question| {
            let device = &facts.get(&question.device.0)?.facts.device;
            Some((*question, device, in_time::length(gate(question))?))
        });
        let asked: Vec<_> = asked.collect();
        let past = Past::read(app.store.read(), &self.workspace, &asked).await?;
        for (question, ..) in asked {
            let tally = self.tallies.get(&question.device.0);
            let boot = tally.and_then(|tally| tally.boot);
            if let Some(one) = facts.get(&question.device.0) {
                let answer = past.answer(gate(&question), question, one.facts, boot, now);
                news.events.extend(answer);
            }
        }
        Ok(())
    }

    /// Counts windows that came since the last look.
    async fn windows(
        &mut self,
        app: &App,
        rollout: &Rollout,
        news: &mut News,
    ) -> Result<(), StoreError> {
        let gates = self.engine.setup().plan.gates.clone();
        let bodies = gates.iter().any(needs_body);
        let cursor = self.memory.cursor;
        let (read, up_to) = windows::after(
            app.store.read(),
            &self.workspace,
            &rollout.slot,
            cursor,
            bodies,
        )
        .await?;
        let (model, version) = (
            rollout.target.model.as_str(),
            i64::from(rollout.target.version.get()),
        );
        for window in read {
            let Some(index) = window
                .device
                .parse()
                .ok()
                .and_then(|id| self.engine.index(&id))
            else {
                continue;
            };
            let Some(since) = self.engine.watched(index) else {
                continue;
            };
            let ours = window.model == model && window.version == version;
            let counts = if observe::is_control(&self.engine, index) {
                !ours && window.opened >= since.0
            } else {
                ours
            };
            if !counts {
                continue;
            }
            let tally = self.tallies.entry(index.0).or_default();
            if tally.since != Some(since) {
                tally.begin(since);
                news.events.extend(tally.usual(index));
            }
            let heard = Heard {
                inferences: window.inferences,
                errors: window.errors,
                body: window.body.as_ref(),
            };
            news.events
                .extend(tally.window(index, &gates, &self.memory.mix, &heard));
            news.tallies.insert(index.0);
        }
        if up_to != cursor {
            news.cursor = Some(up_to);
        }
        Ok(())
    }

    /// Counts windows of shadows that came since the last look, if a stage is one.
    async fn shadows(
        &mut self,
        app: &App,
        rollout: &Rollout,
        news: &mut News,
    ) -> Result<(), StoreError> {
        let plan = &self.engine.setup().plan;
        if !plan.stages.iter().any(|stage| stage.shadow) {
            return Ok(());
        }
        let gates = plan.gates.clone();
        let cursor = self.memory.shadow_cursor;
        let (db, most) = (app.store.read(), follow::PAGE_MAX);
        let read = follow::shadow_windows(db, &self.workspace, cursor, most).await?;
        for followed in read {
            news.shadow_cursor = Some(followed.id);
            let window = &followed.window;
            let Some(index) = self.engine.index(&followed.device) else {
                continue;
            };
            let ours = window.slot == rollout.slot && window.bundle == rollout.target.bundle.digest;
            if ours && self.engine.is_shadowed(index) {
                let tally = self.tallies.entry(index.0).or_default();
                news.events.extend(tally.shadow(index, &gates, window));
                news.tallies.insert(index.0);
            }
        }
        Ok(())
    }

    /// Counts labels that came since the last look, if a gate asks for them.
    async fn labels(
        &mut self,
        app: &App,
        rollout: &Rollout,
        news: &mut News,
    ) -> Result<(), StoreError> {
        let Some(gate) = self.labels_for() else {
            return Ok(());
        };
        let (slot, model) = (&rollout.slot, &rollout.target.model);
        let cursor = self.memory.label_cursor;
        let db = app.store.read();
        let (read, up_to) = labels::after(db, &self.workspace, slot, model, cursor).await?;
        let version = i64::from(rollout.target.version.get());
        for label in read {
            let Some(index) = self.engine.index(&label.device) else {
                continue;
            };
            let Some(since) = self.engine.watched(index) else {
                continue;
            };
            let counts = if observe::is_control(&self.engine, index) {
                label.version != version && label.at >= since
            } else {
                label.version == version
            };
            if !counts {
                continue;
            }
            let tally = self.tallies.entry(index.0).or_default();
            if tally.since != Some(since) {
                tally.begin(since);
                news.events.extend(tally.usual(index));
            }
            let told = tally.label(index, gate, label.wrong, label.chance);
            news.events.extend(told);
            news.tallies.insert(index.0);
        }
        if up_to != cursor {
            news.label_cursor = Some(up_to);
        }
        Ok(())
    }

    /// The gate that asks for labels.
    fn labels_for(&self) -> Option<GateIndex> {
        let mut gates = self.engine.setup().plan.gates.iter();
        let place = gates.position(|gate| matches!(gate, Gate::Accuracy(_)))?;
        Some(GateIndex(place as u8))
    }

    async fn orders(
        &self,
        app: &App,
        rollout: &Rollout,
        news: &mut News,
    ) -> Result<(), StoreError> {
        let orders = stored::orders(app.store.read(), &self.workspace, self.id).await?;
        for Told { id, order, by } in orders {
            news.events.push(Event::Said(order, by));
            news.heard = Some(id);
        }
        // Ended by something else than the engine, such as a revoked version.
        let ended = matches!(self.engine.phase(), Phase::Ended { .. });
        if rollout.state.is_over() && !ended && news.heard.is_none() {
            let order = if rollout.is_giving_back() {
                Order::AbortBack
            } else {
                Order::AbortStay
            };
            news.events.push(Event::Said(order, "hub".into()));
        }
        Ok(())
    }

    /// Devices of a batch that nobody looks at in time yet.
    fn untimed(&self, batch: &Batch) -> Vec<Index> {
        let spoken = batch.events.iter().filter_map(|event| match event {
            Event::Heard(index)
            | Event::Serving(index)
            | Event::Confirmed(index)
            | Event::Refused(index, _) => Some(*index),
            _ => None,
        });
        spoken
            .filter(|index| self.engine.timed(*index).is_none())
            .collect()
    }

    /// How often devices had started when they were first looked at in time.
    fn remember_boots(&mut self, untimed: &[Index], seen: &[Seen<'_>], news: &mut News) {
        if untimed.is_empty() {
            return;
        }
        let boots: HashMap<u32, i64> = seen
            .iter()
            .filter_map(|one| Some((one.index?.0, one.facts.boot)))
            .collect();
        for index in untimed {
            if self.engine.timed(*index).is_some()
                && let Some(boot) = boots.get(&index.0)
            {
                self.tallies.entry(index.0).or_default().boot = Some(*boot);
                news.tallies.insert(index.0);
            }
        }
    }

    /// Whether a device is, or was, to have the version.
    pub(in crate::rollout) fn is_admitted(&self, index: Index) -> bool {
        self.engine.is_in(index) && self.engine.place(index).is_some_and(Place::is_admitted)
    }
}

//! What follows from one event.

use tern_protocol::{
    rest::{Gate, Late, Refusal, Unit, Verdict},
    time::WallTime,
};
use tern_stats::levels::STEPS;

use super::{
    Engine, Phase, Value,
    member::{Arm, Counted, Member, Place},
    timers::Timer,
};
use crate::{
    draw::{Lot, fraction, hash},
    event::{Event, GateIndex, Index, Joined, Order, Why},
};

/// Rungs of time that are looked at: once, twice … 256 times the span.
const RUNGS: u8 = tern_stats::ladder::RUNGS as u8;

impl Engine {
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Joined(joined) => self.joined(joined),
            Event::Left(index, why) => self.left(*index, *why),
            Event::Heard(index) => self.heard(*index),
            Event::Serving(index) => self.serving(*index),
            Event::Confirmed(index) => self.confirmed(*index),
            Event::Refused(index, reason) => self.refused(*index, reason.0),
            Event::Rung(index, gate, rung, level) => self.rung(*index, *gate, *rung, *level),
            Event::Usual(index, gate, level) => self.usual(*index, *gate, *level),
            Event::Counted(index, windows, inferences) => {
                self.counted(*index, *windows, *inferences);
            }
            Event::Said(order, by) => self.said(*order, by),
            Event::Answered(gate, answer, reason) => {
                self.answers.insert(gate.0, (answer.0, reason.clone()));
                self.dirty = true;
            }
        }
    }

    fn joined(&mut self, joined: &Joined) {
        if let Some(index) = self.places.get(&joined.device).copied() {
            return self.came_back(index);
        }
        let Ok(index) = u32::try_from(self.members.len()) else {
            return;
        };
        let count = self.strata.len() as u32;
        let stratum = (joined.site.to_string(), joined.platform.clone());
        let stratum = *self.strata.entry(stratum).or_insert(count);
        let platform = self.platform(&joined.platform);
        let default = self.setup.plan.calendar.as_ref();
        let default = default.map_or("UTC", |calendar| calendar.zone.as_str());
        let zone = joined.zone.as_deref().unwrap_or(default).to_owned();
        let zone = self.zones.index(&zone);
        let turn = fraction(hash(self.setup.rollout, &joined.device, Lot::Turn));
        self.members.push(Member {
            device: joined.device.clone(),
            stratum,
            platform,
            zone,
            turn,
            ordered: None,
            arm: Arm::Treatment,
            place: Place::Outside,
            away: None,
            stage: 0,
            partner: None,
            tries: 0,
            counted: Counted::Not,
            windows: 0,
            inferences: 0,
            watched: None,
            timed: None,
            reached: Box::default(),
            usual: Box::default(),
        });
        self.places.insert(joined.device.clone(), index);
        self.counts.selected += 1;
        if self.phase != Phase::New {
            self.late(index);
        }
    }

    fn platform(&mut self, name: &str) -> u16 {
        let known = self.platforms.iter().position(|one| one == name);
        let place = known.unwrap_or_else(|| {
            self.platforms.push(name.to_owned());
            self.platforms.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// A device that came after the lots were drawn.
    fn late(&mut self, index: u32) {
        let member = &mut self.members[index as usize];
        let lot = fraction(hash(self.setup.rollout, &member.device, Lot::Control));
        let others = self.order.len() + self.control.len();
        let control = self.control.len() as f64 / (others.max(1)) as f64;
        match self.setup.plan.late {
            Late::Ignore => member.arm = Arm::Ignored,
            Late::Last => member.arm = Arm::Last,
            Late::Join
                if lot < control && !matches!(self.phase, Phase::Releasing | Phase::Complete) =>
            {
                member.arm = Arm::Control;
                self.counts.control += 1;
                self.control.push(index);
            }
            Late::Join => {}
        }
        self.take_in_late(index);
    }

    /// Lets a late device in if those beside whom it would stand are in.
    pub(super) fn take_in_late(&mut self, index: u32) {
        let member = &self.members[index as usize];
        let released = matches!(self.phase, Phase::Releasing | Phase::Complete);
        let reached = self.taken_in as f64 / (self.order.len().max(1)) as f64;
        let turn = match member.arm {
            Arm::Treatment => released || member.turn < reached,
            Arm::Last | Arm::Control => released && self.releases(),
            Arm::Ignored => false,
        };
        if turn && member.place == Place::Outside && !matches!(self.phase, Phase::Ended { .. }) {
            self.ask_in(index);
        }
    }

    fn came_back(&mut self, index: u32) {
        let member = &mut self.members[index as usize];
        if member.away.take().is_none() {
            return;
        }
        self.touched.insert(index);
        let (place, arm) = (member.place, member.arm);
        self.count_in(index, true);
        match place {
            Place::Pending => self.enqueue(index),
            Place::Outside if arm == Arm::Treatment => {
                // Its turn may have come while it was away.
                let ordered = self.members[index as usize].ordered;
                if ordered.is_some_and(|ordered| (ordered as usize) < self.taken_in) {
                    self.ask_in(index);
                } else {
                    self.take_in_late(index);
                }
            }
            Place::Outside => self.take_in_late(index),
            _ => {}
        }
    }

    fn left(&mut self, index: Index, why: Why) {
        let Some(member) = self.members.get_mut(index.0 as usize) else {
            return;
        };
        if member.away.is_some() {
            member.away = Some(why);
            return;
        }
        self.count_in(index.0, false);
        let member = &mut self.members[index.0 as usize];
        member.away = Some(why);
        member.timed = None;
        self.listened.remove(&index.0);
        self.touched.insert(index.0);
    }

    /// Counts a device that is in, or counts it no more.
    fn count_in(&mut self, index: u32, is_in: bool) {
        let (arm, place) = {
            let member = &self.members[index as usize];
            (member.arm, member.place)
        };
        let add = |count: &mut u64, holds: bool| {
            if holds && is_in {
                *count += 1;
            } else if holds {
                *count = count.saturating_sub(1);
            }
        };
        add(&mut self.counts.selected, true);
        add(
            &mut self.counts.control,
            arm == Arm::Control && !place.is_admitted(),
        );
        add(&mut self.counts.admitted, place.is_admitted());
        add(&mut self.counts.confirmed, place == Place::Confirmed);
        add(&mut self.counts.failed, matches!(place, Place::Failed(_)));
        add(&mut self.counts.lost, place == Place::Lost);
        add(&mut self.open, place.is_admitted() && !place.is_end());
        add(&mut self.waiting, place == Place::Pending);
    }

    /// Moves a device to another place, and counts it there.
    pub(super) fn move_to(&mut self, index: u32, place: Place) {
        let member = &mut self.members[index as usize];
        if member.place == place {
            return;
        }
        if member.away.is_some() {
            member.place = place;
            return;
        }
        self.count_in(index, false);
        self.members[index as usize].place = place;
        self.count_in(index, true);
        self.touched.insert(index);
    }

    fn heard(&mut self, index: Index) {
        let Some(member) = self.members.get(index.0 as usize) else {
            return;
        };
        if member.arm == Arm::Control && !member.place.is_admitted() {
            if self.listened.remove(&index.0).is_some() {
                self.look_in_time(index.0);
            }
            return;
        }
        if member.place != Place::Admitted {
            return;
        }
        let tries = member.tries;
        self.move_to(index.0, Place::Heard);
        let deadline = self.setup.plan.deadline;
        let timer = Timer::Deadline {
            index: index.0,
            tries,
        };
        self.timers.add(self.later(deadline.ms()), timer);
        if tries == 0 {
            self.look_in_time(index.0);
            for control in self.controls_of(index.0) {
                self.listened.insert(control, self.now);
            }
        }
    }

    /// Begins to look at a device in time.
    fn look_in_time(&mut self, index: u32) {
        self.members[index as usize].timed = Some(self.now);
        for gate in 0..self.setup.plan.gates.len() {
            if self.setup.plan.gates[gate].counts() == Unit::Time {
                let rung = 0;
                self.ask_to_look(index, GateIndex(gate as u8), rung);
            }
        }
    }

    fn ask_to_look(&mut self, index: u32, gate: GateIndex, rung: u8) {
        let Some(at) = self.look_at(index, gate, rung) else {
            return;
        };
        let gate = gate.0;
        self.timers.add(at, Timer::Look { index, gate, rung });
    }

    /// When a device is looked at for a rung.
    pub(super) fn look_at(&self, index: u32, gate: GateIndex, rung: u8) -> Option<WallTime> {
        let since = self.members.get(index as usize)?.timed?;
        let gate = self.setup.plan.gates.get(usize::from(gate.0))?;
        let (Gate::Silence(unheard) | Gate::Restarts(unheard)) = gate else {
            return None;
        };
        let span = unheard.after.ms().checked_shl(u32::from(rung))?;
        Some(WallTime(since.0.saturating_add(i64::try_from(span).ok()?)))
    }

    fn serving(&mut self, index: Index) {
        let Some(member) = self.members.get(index.0 as usize) else {
            return;
        };
        if member.place == Place::Admitted {
            self.heard(index);
        }
        let place = self.members[index.0 as usize].place;
        if matches!(place, Place::Heard | Place::Waiting) {
            self.move_to(index.0, Place::Serving);
        }
        self.watch(index.0);
    }

    /// Begins to count the windows of a device that serves the version, and of those that it is compared with.
    fn watch(&mut self, index: u32) {
        let member = &mut self.members[index as usize];
        if !member.place.is_admitted() || member.watched.is_some() {
            return;
        }
        member.watched = Some(self.now);
        for control in self.controls_of(index) {
            self.members[control as usize].watched = Some(self.now);
        }
    }

    /// Those of the control that are compared with a device, as long as its stage lasts.
    fn controls_of(&self, index: u32) -> Vec<u32> {
        let controls = self.compared.get(&index).into_iter().flatten().copied();
        controls
            .filter(|one| self.members[*one as usize].away.is_none())
            .collect()
    }

    fn confirmed(&mut self, index: Index) {
        let Some(member) = self.members.get(index.0 as usize) else {
            return;
        };
        if !member.place.is_admitted() || member.place == Place::Confirmed {
            return;
        }
        self.serving(index);
        self.move_to(index.0, Place::Confirmed);
        let stage = usize::from(self.members[index.0 as usize].stage);
        // That a shadow runs says nothing of how well it would serve.
        if !self.is_shadow(stage) {
            self.end(index.0, false);
        }
        let wanted = self.devices_wanted(stage);
        let facts = &mut self.stages[stage];
        facts.confirmed += 1;
        if facts.confirmed >= wanted && facts.soaking.is_none() {
            facts.soaking = Some(self.now);
        }
        self.dirty = true;
    }

    /// Counts how a device ended, once for each way.
    fn end(&mut self, index: u32, bad: bool) {
        let member = &mut self.members[index as usize];
        let counts = match member.counted {
            Counted::Not => true,
            Counted::Good => bad,
            Counted::Bad => false,
        };
        if !counts {
            return;
        }
        member.counted = if bad { Counted::Bad } else { Counted::Good };
        let platform = member.platform;
        let level = if bad { STEPS } else { 0 };
        self.ends.all.add_many(level, 1);
        let by_platform = self.ends.by_platform.entry(platform).or_default();
        by_platform.add_many(level, 1);
        self.dirty = true;
    }

    fn refused(&mut self, index: Index, reason: Refusal) {
        let Some(member) = self.members.get(index.0 as usize) else {
            return;
        };
        if !member.place.is_admitted() || matches!(member.place, Place::Waiting | Place::Failed(_))
        {
            return;
        }
        if member.place == Place::Admitted {
            self.heard(index);
        }
        let retry = &self.setup.plan.retry;
        let (times, after) = (retry.times.get(&reason).copied(), retry.after);
        let member = &mut self.members[index.0 as usize];
        if member.counted == Counted::Not && member.tries < times.unwrap_or(0) {
            member.tries += 1;
            self.move_to(index.0, Place::Waiting);
            let timer = Timer::Retry { index: index.0 };
            self.timers.add(self.later(after.ms()), timer);
            return;
        }
        self.move_to(index.0, Place::Failed(reason));
        self.end(index.0, true);
    }

    fn rung(&mut self, index: Index, gate: GateIndex, rung: u8, level: u16) {
        let Some(rule) = self.setup.plan.gates.get(usize::from(gate.0)) else {
            return;
        };
        let timed = rule.counts() == Unit::Time;
        if index.0 as usize >= self.members.len() || rung >= RUNGS {
            return;
        }
        if timed {
            let Some(at) = self.look_at(index.0, gate, rung) else {
                return;
            };
            let gate_number = gate.0;
            let timer = Timer::Look {
                index: index.0,
                gate: gate_number,
                rung,
            };
            self.timers.remove(at, timer);
            if rung + 1 < RUNGS {
                self.ask_to_look(index.0, gate, rung + 1);
            }
        }
        let gates = self.setup.plan.gates.len();
        let member = &mut self.members[index.0 as usize];
        if member.away.is_some() || !member.reach(gate.0, rung, gates) {
            return;
        }
        let usual = member.usual.get(usize::from(gate.0)).copied().flatten();
        let level = level.min(STEPS);
        let told = Value { level, usual };
        let value = told.of_one();
        let windows = 1_u64 << rung;
        let (admitted, stage, partner) = (
            member.place.is_admitted(),
            usize::from(member.stage),
            member.partner,
        );
        let place = usize::from(gate.0);
        if admitted {
            self.alone[place].treated(windows, value);
            // A stage's comparison ends with the stage. Its control is dealt anew then, so what its devices do later
            // would be compared with what the control did before: at another time of the day, and in another week.
            let compares = partner.is_some() && stage == self.stage && self.is_comparing();
            if compares {
                let ladder = &mut self.stages[stage].ladders[place];
                ladder.treated(windows, value);
                if let Some(change) = told.change() {
                    ladder.treated_change(windows, change);
                }
                self.half((index.0, gate.0, rung), true, told);
            }
        } else if member.arm == Arm::Control {
            let Some(treated) = partner else { return };
            let stage = self.stage;
            let ladder = &mut self.stages[stage].ladders[place];
            ladder.control(windows, value);
            if let Some(change) = told.change() {
                ladder.control_change(windows, change);
            }
            if self.members[treated as usize].partner == Some(index.0) {
                self.half((treated, gate.0, rung), false, told);
            }
        }
        self.dirty = true;
    }

    /// Whether there is a control that keeps what it has.
    const fn is_comparing(&self) -> bool {
        matches!(self.phase, Phase::Moving | Phase::Asking(_))
    }

    /// One value of a pair; with the other they are a pair.
    fn half(&mut self, key: (u32, u8, u8), treated: bool, value: Value) {
        match self.halves.remove(&key) {
            Some((is_treated, other)) if is_treated != treated => {
                let (treated, control) = if treated {
                    (value, other)
                } else {
                    (other, value)
                };
                // What is usual is known of both, or it is left out of both.
                let changes = treated.change().zip(control.change());
                let (treated, control) = changes.unwrap_or((treated.of_one(), control.of_one()));
                let gate = usize::from(key.1);
                self.stages[self.stage].ladders[gate].pair(1 << key.2, treated, control);
            }
            _ => {
                self.halves.insert(key, (treated, value));
            }
        }
    }

    fn usual(&mut self, index: Index, gate: GateIndex, level: u16) {
        let gates = self.setup.plan.gates.len();
        if let Some(member) = self.members.get_mut(index.0 as usize) {
            member.is_usual(gate.0, level.min(STEPS), gates);
        }
    }

    fn counted(&mut self, index: Index, windows: u64, inferences: u64) {
        let Some(member) = self.members.get_mut(index.0 as usize) else {
            return;
        };
        if !member.place.is_admitted() {
            return;
        }
        let facts = &mut self.stages[usize::from(member.stage)];
        // Totals of the device: told again, or late, they change nothing.
        facts.windows += windows.saturating_sub(member.windows);
        facts.inferences += inferences.saturating_sub(member.inferences);
        member.windows = member.windows.max(windows);
        member.inferences = member.inferences.max(inferences);
        self.dirty = true;
    }

    fn said(&mut self, order: Order, by: &str) {
        match order {
            Order::Approve => self.approve(by),
            Order::Pause => self.pause(by, true),
            Order::Resume => self.pause(by, false),
            Order::AbortBack => self.abort(by, true),
            Order::AbortStay => self.abort(by, false),
        }
    }

    /// What is due by time alone.
    pub(super) fn timers_due(&mut self) -> bool {
        if matches!(self.phase, Phase::Ended { .. }) {
            return false;
        }
        let due: Vec<(WallTime, Timer)> = self.timers.due(self.now).collect();
        let mut changed = false;
        for (at, timer) in due {
            // A look waits for its answer, unless nobody asks any more.
            if let Timer::Look { index, gate, rung } = timer
                && self.look_at(index, GateIndex(gate), rung) == Some(at)
            {
                continue;
            }
            self.timers.remove(at, timer);
            changed = true;
            match timer {
                Timer::Deadline { index, tries } => {
                    let member = &self.members[index as usize];
                    let still = matches!(member.place, Place::Heard | Place::Serving);
                    if still && member.tries == tries && member.away.is_none() {
                        self.move_to(index, Place::Lost);
                        self.end(index, true);
                    }
                }
                Timer::Retry { index } => {
                    if self.members[index as usize].place == Place::Waiting {
                        self.ask_in(index);
                    }
                }
                Timer::Look { .. } => {}
            }
        }
        changed
    }

    /// Whether other programs said no.
    pub(super) fn denied(&self) -> Option<(u8, &str)> {
        let no = self
            .answers
            .iter()
            .find(|(_, (verdict, _))| *verdict == Verdict::Fail);
        no.map(|(gate, (_, reason))| (*gate, reason.as_str()))
    }

    pub(super) fn later(&self, ms: u64) -> WallTime {
        WallTime(
            self.now
                .0
                .saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)),
        )
    }
}

//! One rollout: what is known of its devices, which stage it is in, and what it decides.
//!
//! [`Engine::apply`] takes events and a time, and gives decisions. What devices should have then is asked by
//! [`Engine::wanted`]; making it so may be tried as often as one likes. All of the state follows from the batches
//! that were applied, so none of it is stored.

mod admit;
mod ask;
mod hear;
mod judge;
mod member;
mod stage;
mod timers;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tern_protocol::{
    id::{DeviceId, RolloutId},
    rest::{DecidedOn, Decision, Deed, GateVerdict, Plan, Verdict},
    time::WallTime,
};
use tern_stats::{
    ladder::Ladder,
    levels::{Levels, STEPS},
};

pub use self::member::{Arm, Place};
use self::{
    member::Member,
    timers::{Timer, Timers},
};
use crate::{
    calendar::{ZoneIndex, Zones},
    event::{Batch, GateIndex, Index},
    pace::Meter,
};

/// Shortest time between two looks at the evidence, in milliseconds: looking costs some milliseconds, and harm does
/// not grow within one second.
pub const LOOK: i64 = 1_000;

/// What a rollout is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The plan; nothing is wrong with it.
    pub plan: Plan,
    /// The rollout.
    pub rollout: RolloutId,
    /// Bytes that a device has to fetch if it has nothing.
    pub bytes: u64,
}

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was drawn yet.
    New,
    /// It moves the devices of its stage and watches them.
    Moving,
    /// It moves no more devices until a person says what to do.
    Asking(Asked),
    /// A gate failed, and the plan says to hold: it moves no more devices, ever.
    Held,
    /// All stages passed: what was kept back is moved as well.
    Releasing,
    /// Every device has come to an end.
    Complete,
    /// It is over; devices go back, or stay.
    Ended {
        /// Whether they go back.
        back: bool,
    },
}

/// What a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Whether the next stage may begin: the evidence is good.
    Approval,
    /// What to do: the stage's cap is reached, and nothing is proven.
    Inconclusive,
}

/// What a device should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever it has.
    AsItIs,
    /// The version, beside what serves.
    Shadow,
    /// The version.
    Version,
    /// What it had before.
    Before,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Applied {
    /// Whether anything is different now: such a batch has to be stored, also if it holds no events.
    pub changed: bool,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
}

/// Something that only whoever sees the fleet can answer, by [`crate::event::Event::Rung`]: what a device did in the
/// span of time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The device.
    pub device: Index,
    /// The gate, which says what is asked.
    pub gate: GateIndex,
    /// The rung to answer with.
    pub rung: u8,
    /// Since when the device is looked at.
    pub since: WallTime,
}

/// What is known of a stage.
#[derive(Debug, Clone, PartialEq, Default)]
struct StageFacts {
    /// When it began.
    since: WallTime,
    /// Devices that it added.
    added: u64,
    /// Of those, serving for good at some time.
    confirmed: u64,
    /// Since when as many as it asks for do.
    soaking: Option<WallTime>,
    /// Windows that they closed with the version.
    windows: u64,
    /// Inferences in them.
    inferences: u64,
    /// Devices of it that one of the control is compared with.
    paired: u64,
    /// Comparison with the control, by gate.
    ladders: Vec<Ladder>,
}

/// What a device did, and what is usual for it, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Value {
    level: u16,
    usual: Option<u16>,
}

impl Value {
    fn of_one(self) -> f64 {
        f64::from(self.level) / f64::from(STEPS)
    }

    /// By how much it is above what is usual, if that is known.
    fn change(self) -> Option<f64> {
        let usual = f64::from(self.usual?) / f64::from(STEPS);
        Some(self.of_one() - usual)
    }
}

/// How devices of the version ended, each once for each way in which it ended.
#[derive(Debug, Clone, PartialEq, Default)]
struct Ends {
    all: Levels,
    by_platform: BTreeMap<u16, Levels>,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Engine {
    setup: Setup,
    now: WallTime,
    phase: Phase,
    paused: bool,
    stage: usize,
    members: Vec<Member>,
    places: HashMap<DeviceId, u32>,
    strata: BTreeMap<(String, String), u32>,
    platforms: Vec<String>,
    zones: Zones,
    /// Those that are not control, in the order in which they come.
    order: Vec<u32>,
    /// Control, in the order of its lots.
    control: Vec<u32>,
    /// Those of the control with which a device of this stage is compared.
    compared: BTreeMap<u32, Vec<u32>>,
    /// Of [`Self::order`], those that have been asked in.
    taken_in: usize,
    pending: BTreeMap<ZoneIndex, VecDeque<(u64, u32)>>,
    pending_seq: u64,
    meter: Meter,
    timers: Timers,
    stages: Vec<StageFacts>,
    /// What devices with the version did, whatever the control does, by gate.
    alone: Vec<Ladder>,
    /// First values of pairs whose second is not there yet: by the treated one, gate and rung.
    halves: HashMap<(u32, u8, u8), (bool, Value)>,
    ends: Ends,
    answers: BTreeMap<u8, (Verdict, String)>,
    counts: DecidedOn,
    /// Admitted devices that have not come to an end.
    open: u64,
    /// Devices that wait to be admitted.
    waiting: u64,
    /// Whether there is evidence that nobody has looked at.
    dirty: bool,
    looked: Option<WallTime>,
    verdicts: Vec<GateVerdict>,
    decided: u32,
    decisions: Vec<Decision>,
    /// Members whose wants may have changed since somebody asked.
    touched: BTreeSet<u32>,
    /// Members of the control that are waited for to be heard of, since when.
    listened: BTreeMap<u32, WallTime>,
}

impl Engine {
    /// A rollout to which nothing has happened.
    pub fn new(setup: Setup) -> Self {
        let gates = &setup.plan.gates;
        let alone = gates.iter().map(|_| Ladder::new(0.0)).collect();
        Self {
            now: WallTime(0),
            phase: Phase::New,
            paused: false,
            stage: 0,
            members: Vec::new(),
            places: HashMap::new(),
            strata: BTreeMap::new(),
            platforms: Vec::new(),
            zones: Zones::default(),
            order: Vec::new(),
            control: Vec::new(),
            compared: BTreeMap::new(),
            taken_in: 0,
            pending: BTreeMap::new(),
            pending_seq: 0,
            meter: Meter::default(),
            timers: Timers::default(),
            stages: vec![StageFacts::default(); setup.plan.stages.len()],
            alone,
            halves: HashMap::new(),
            ends: Ends::default(),
            answers: BTreeMap::new(),
            counts: DecidedOn::default(),
            open: 0,
            waiting: 0,
            dirty: false,
            looked: None,
            verdicts: Vec::new(),
            decided: 0,
            decisions: Vec::new(),
            touched: BTreeSet::new(),
            listened: BTreeMap::new(),
            setup,
        }
    }

    /// Takes events, and does what is due at the batch's time.
    pub fn apply(&mut self, batch: &Batch) -> Applied {
        // A clock that was set back stands still in here: order never comes from it.
        self.now = self.now.max(batch.at);
        for event in &batch.events {
            self.hear(event);
        }
        let mut changed = !batch.events.is_empty();
        if self.phase == Phase::New {
            self.start();
            changed = true;
        }
        changed |= self.timers_due();
        changed |= self.look();
        changed |= self.go_on();
        changed |= self.admit();
        changed |= self.finish();
        changed |= !self.decisions.is_empty();
        Applied {
            changed,
            decisions: std::mem::take(&mut self.decisions),
        }
    }

    /// What it is about.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Where it is.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether a person paused it.
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Its stage, from 0.
    pub const fn stage(&self) -> usize {
        self.stage
    }

    /// Devices by where they are.
    pub const fn counts(&self) -> DecidedOn {
        self.counts
    }

    /// Devices that wait to be admitted.
    pub const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// The index of a device that joined.
    pub fn index(&self, device: &DeviceId) -> Option<Index> {
        self.places.get(device).copied().map(Index)
    }

    /// How many joined.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none joined.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Where a device is.
    pub fn place(&self, index: Index) -> Option<Place> {
        self.member(index).map(|member| member.place)
    }

    /// Which arm a device is in.
    pub fn arm(&self, index: Index) -> Option<Arm> {
        self.member(index).map(|member| member.arm)
    }

    /// The stage that admitted a device.
    pub fn stage_of(&self, index: Index) -> Option<usize> {
        self.member(index)
            .filter(|member| member.place.is_admitted())
            .map(|member| usize::from(member.stage))
    }

    /// Whether a device is in: it matches the selector and no other rollout has it.
    pub fn is_in(&self, index: Index) -> bool {
        self.member(index)
            .is_some_and(|member| member.away.is_none())
    }

    /// Since when what a device does is counted; nothing if it is not.
    pub fn watched(&self, index: Index) -> Option<WallTime> {
        self.member(index)
            .filter(|member| member.away.is_none())
            .and_then(|member| member.watched)
    }

    /// Of the control: those that are waited for to be heard of since a moment, to tell by
    /// [`crate::event::Event::Heard`].
    pub fn listened(&self) -> impl Iterator<Item = (Index, WallTime)> + '_ {
        self.listened
            .iter()
            .map(|(index, since)| (Index(*index), *since))
    }

    /// Those of the control with which a device of this stage is compared. They are waited for to be heard of as soon
    /// as it is, and watched as soon as it serves.
    pub fn compared(&self, index: Index) -> impl Iterator<Item = Index> + '_ {
        let control = self.compared.get(&index.0).into_iter().flatten();
        control.copied().map(Index)
    }

    /// What a device should have.
    pub fn wanted(&self, index: Index) -> Wanted {
        let Some(member) = self.member(index) else {
            return Wanted::AsItIs;
        };
        if member.away.is_some() {
            return Wanted::AsItIs;
        }
        match (self.phase, member.place) {
            (Phase::Ended { back: true }, place) if place.is_admitted() => Wanted::Before,
            (Phase::Ended { .. }, _) | (_, Place::Outside | Place::Pending) => Wanted::AsItIs,
            (_, Place::Waiting) => Wanted::Before,
            _ if self.is_shadow(usize::from(member.stage)) => Wanted::Shadow,
            _ => Wanted::Version,
        }
    }

    /// Devices whose wants may have changed since this was last asked.
    pub fn touched(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.touched)
    }

    /// What whoever sees the fleet has to answer now.
    pub fn questions(&self, now: WallTime) -> Vec<Question> {
        let mut questions = Vec::new();
        for (at, timer) in self.timers.due(now) {
            if let Timer::Look { index, gate, rung } = timer
                && self.look_at(index, GateIndex(gate), rung) == Some(at)
                && let Some(since) = self.members[index as usize].timed
            {
                questions.push(Question {
                    device: Index(index),
                    gate: GateIndex(gate),
                    rung,
                    since,
                });
            }
        }
        questions
    }

    /// The gates that ask another program, if all others pass and it did not let this stage pass yet. Also while a
    /// person is asked because the cap is reached: what it says later still decides.
    pub fn asks(&self) -> Vec<GateIndex> {
        let open = matches!(
            self.phase,
            Phase::Moving | Phase::Asking(Asked::Inconclusive)
        );
        if !open || self.paused || !self.may_ask() {
            return Vec::new();
        }
        let gates = self.setup.plan.gates.iter().enumerate();
        let webhooks = gates.filter(|(index, gate)| {
            let answered = self.answers.get(&(*index as u8));
            let passed = answered.is_some_and(|(verdict, _)| *verdict == Verdict::Pass);
            gate.bound().is_none() && !passed
        });
        webhooks.map(|(index, _)| GateIndex(index as u8)).collect()
    }

    fn member(&self, index: Index) -> Option<&Member> {
        self.members.get(index.0 as usize)
    }

    fn is_shadow(&self, stage: usize) -> bool {
        let stage = self.setup.plan.stages.get(stage);
        stage.is_some_and(|stage| stage.shadow)
    }

    /// Writes down a decision.
    fn decide(&mut self, what: Deed, by: Option<String>, sentence: String) {
        let gates = match what {
            // What nobody looked at yet, or what follows from a person's word alone, stands on no numbers.
            Deed::Start | Deed::Pause | Deed::Resume => Vec::new(),
            _ => self.detailed(),
        };
        self.decided += 1;
        self.decisions.push(Decision {
            number: self.decided,
            at: self.now,
            stage: if self.phase == Phase::New {
                0
            } else {
                self.stage as u32 + 1
            },
            what,
            by,
            sentence,
            devices: self.counts,
            gates,
        });
    }
}

#[cfg(test)]
mod tests;

//! A fleet that does what it is told, and tells what it does. Time jumps from look to look; only what somebody who
//! decides may ask is simulated.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use rand::{SeedableRng as _, rngs::StdRng};
use tern_protocol::{
    rest::{Effect, Plan, Refusal, SimulatedFleet, Verdict},
    time::WallTime,
};

use super::{
    chance::uniform,
    device::{Counts, Device, Has, NEVER},
    presence::Pattern,
};
use crate::{
    engine::{Question, Wanted},
    event::{Answer, Batch, Event, GateIndex, Index, Joined, Reason, USUAL_WINDOWS},
};

/// Midnight of a Monday, UTC.
const MIDNIGHT: i64 = 1_767_571_200_000;

/// When rollouts are started: in the morning, and after two days of which one knows what is usual.
pub(super) const MORNING: i64 = 57 * 3_600_000;

/// Spans of time of which one knows what is usual: what fits into those two days.
const USUAL_SPANS: i64 = 128;

/// How long a device takes to verify, vet and load what it fetched, in milliseconds.
const LOADS: i64 = 10_000;

/// How long it serves a version on trial.
const TRIAL: i64 = 60_000;

/// Rungs.
const RUNGS: u8 = tern_stats::ladder::RUNGS as u8;

/// What is decided by, and what it says. The engine, or a rule that it is compared with.
pub(super) trait Decides {
    /// Takes what happened.
    fn apply(&mut self, batch: &Batch);
    /// As [`crate::Engine::wanted`].
    fn wanted(&self, index: Index) -> Wanted;
    /// As [`crate::Engine::touched`].
    fn touched(&mut self) -> BTreeSet<u32>;
    /// As [`crate::Engine::questions`].
    fn questions(&self, now: WallTime) -> Vec<Question>;
    /// As [`crate::Engine::watched`].
    fn watched(&self, index: Index) -> Option<WallTime>;
    /// As [`crate::Engine::compared`].
    fn compared(&self, index: Index) -> Vec<Index>;
    /// As [`crate::Engine::asks`].
    fn asks(&self) -> Vec<GateIndex>;
    /// Devices that serve the version for good.
    fn confirmed(&self) -> u64;
    /// Where it stands.
    fn stands(&self) -> Stands;
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// It goes on by itself.
    Goes,
    /// It waits for a person; evidence may still decide.
    Asks,
    /// It is over, or will not move by itself any more.
    Over,
}

/// Something that a device does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    /// It says anything at all.
    Speaks,
    /// It hears what it should have.
    Hears,
    /// It has fetched and tried.
    Tries,
    /// Its trial is over.
    Confirms,
    /// It has closed so many windows, by rung, since it was watched.
    Windows(u8, i64),
    /// The truth of so many predictions is known, by rung, since it was watched.
    Labels(u8, i64),
}

pub(super) struct World<'a> {
    fleet: &'a SimulatedFleet,
    effect: &'a Effect,
    patterns: Vec<Pattern>,
    gates: Vec<Counts>,
    pub(super) devices: Vec<Device>,
    rng: StdRng,
    seed: u64,
    /// Simulated time, in milliseconds since a midnight before the start.
    pub(super) now: i64,
    queue: BinaryHeap<Reverse<(i64, u32, Does)>>,
    /// When the version first harmed a device.
    pub(super) first_harm: i64,
    /// Devices that refused it because of what it is.
    pub(super) refused: u64,
    /// How far it is: when the share of devices that serve it for good had grown by a little.
    pub(super) progress: Vec<(u64, f64)>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        plan: &Plan,
        fleet: &'a SimulatedFleet,
        effect: &'a Effect,
        seed: u64,
    ) -> Self {
        let groups = fleet.groups.iter().enumerate();
        let mut devices = Vec::new();
        for (number, group) in groups {
            for _ in 0..group.count {
                let index = devices.len() as u32;
                devices.push(Device::new((number as u16, group), index, seed, effect));
            }
        }
        let patterns = fleet.groups.iter();
        Self {
            patterns: patterns
                .map(|group| Pattern::new(&group.online, seed))
                .collect(),
            gates: plan.gates.iter().map(Counts::of).collect(),
            devices,
            rng: StdRng::seed_from_u64(seed),
            seed,
            now: MORNING,
            queue: BinaryHeap::new(),
            first_harm: NEVER,
            refused: 0,
            progress: vec![(0, 0.0)],
            fleet,
            effect,
        }
    }

    /// All devices, as they join.
    pub(super) fn joins(&self) -> Batch {
        let joined = self.devices.iter().enumerate().map(|(index, device)| {
            let group = &self.fleet.groups[usize::from(device.group)];
            let device = format!("d{index:07}");
            Event::Joined(Box::new(Joined {
                device: device.parse().expect("letters and digits are an id"),
                site: group.site.clone(),
                platform: group.platform.clone(),
                zone: None,
            }))
        });
        Batch {
            at: wall(self.now),
            events: joined.collect(),
        }
    }

    /// Lets time pass until somebody looks, and tells what happened until then.
    pub(super) fn pass(&mut self, decides: &mut impl Decides) -> Batch {
        let told = decides.touched();
        for index in told {
            self.does(index, self.now, Does::Hears);
        }
        self.now += self.fleet.looks.ms().max(1_000) as i64;
        let mut events = Vec::new();
        while let Some(Reverse((at, index, does))) = self.queue.peek().copied() {
            if at > self.now {
                break;
            }
            self.queue.pop();
            self.happens(at, index, does, decides, &mut events);
        }
        for question in decides.questions(wall(self.now)) {
            let Question {
                device, gate, rung, ..
            } = question;
            if rung == 0 {
                events.push(Event::Usual(device, gate, self.usual_in_time(&question)));
            }
            let level = self.answer(&question);
            events.push(Event::Rung(device, gate, rung, level));
        }
        for gate in decides.asks() {
            // Another program that is asked agrees.
            let answer = Answer(Verdict::Pass);
            events.push(Event::Answered(gate, answer, "it agrees".into()));
        }
        Batch {
            at: wall(self.now),
            events,
        }
    }

    /// What follows once somebody who decides knows what happened.
    pub(super) fn known(&mut self, batch: &Batch, decides: &impl Decides) {
        for event in &batch.events {
            match event {
                Event::Heard(index) => {
                    for control in decides.compared(*index) {
                        self.does(control.0, self.now, Does::Speaks);
                    }
                }
                Event::Serving(index) => {
                    self.watch(*index, decides);
                    for control in decides.compared(*index) {
                        self.watch(control, decides);
                    }
                }
                _ => {}
            }
        }
        let share = decides.confirmed() as f64 / self.devices.len().max(1) as f64;
        if self
            .progress
            .last()
            .is_some_and(|last| share > last.1 + 0.004)
        {
            self.progress.push((self.passed(), share));
        }
    }

    /// Milliseconds since the start.
    pub(super) const fn passed(&self) -> u64 {
        (self.now - MORNING).unsigned_abs()
    }

    /// When a device that has the version is back at what it had, if it is told to now; never if it is not heard of
    /// any more.
    pub(super) fn back(&mut self, index: u32) -> Option<i64> {
        let device = &self.devices[index as usize];
        if self.effect.silent && device.harm <= self.now {
            return None;
        }
        Some(self.online(index, self.now))
    }

    /// Bytes that one device fetches.
    pub(super) const fn bytes(&self) -> u64 {
        self.fleet.bytes.get()
    }

    fn online(&mut self, index: u32, at: i64) -> i64 {
        let device = &mut self.devices[index as usize];
        let pattern = &self.patterns[usize::from(device.group)];
        pattern.next(index, &mut device.cursor, at).0
    }

    /// A device does something at a time, or as soon as it is online, unless it is not heard of any more.
    fn does(&mut self, index: u32, at: i64, does: Does) {
        let silent = self.effect.silent && self.devices[index as usize].harm <= at;
        if !silent {
            let at = self.online(index, at);
            self.queue.push(Reverse((at, index, does)));
        }
    }

    fn happens(
        &mut self,
        at: i64,
        number: u32,
        does: Does,
        decides: &impl Decides,
        events: &mut Vec<Event>,
    ) {
        let index = Index(number);
        match does {
            Does::Speaks => events.push(Event::Heard(index)),
            Does::Hears => self.hears(at, index, decides.wanted(index), events),
            Does::Tries => self.tries(at, index, decides.wanted(index), events),
            Does::Confirms => {
                let has = self.devices[number as usize].has;
                if matches!(has, Has::Version | Has::Shadow) {
                    events.push(Event::Confirmed(index));
                }
            }
            Does::Windows(_, since) | Does::Labels(_, since) => {
                if decides.watched(index) == Some(wall(since)) {
                    let shadow = decides.wanted(index) == Wanted::Shadow;
                    self.counts(at, index, does, shadow, events);
                }
            }
        }
    }

    fn hears(&mut self, at: i64, index: Index, wanted: Wanted, events: &mut Vec<Event>) {
        let device = &mut self.devices[index.0 as usize];
        match (wanted, device.has) {
            (Wanted::Version | Wanted::Shadow, Has::Nothing) => {
                events.push(Event::Heard(index));
                device.has = Has::Fetching;
                // A shadow that is to serve has fetched already.
                let bytes = if device.fetched {
                    0
                } else {
                    self.fleet.bytes.get()
                };
                device.fetched = true;
                let group = &self.fleet.groups[usize::from(device.group)];
                let length = bytes.saturating_mul(1_000) / group.bytes_per_s.max(1);
                let pattern = &self.patterns[usize::from(device.group)];
                let length = i64::try_from(length).unwrap_or(NEVER);
                let done = pattern.after(index.0, &mut device.cursor, at, length);
                self.does(index.0, done + LOADS, Does::Tries);
            }
            // What ran as a shadow is to serve: it is tried anew, without fetching.
            (Wanted::Version, Has::Shadow) => {
                events.push(Event::Heard(index));
                device.has = Has::Fetching;
                self.does(index.0, at + LOADS, Does::Tries);
            }
            (Wanted::Before, _) => {
                device.has = Has::Nothing;
                device.harm = NEVER;
            }
            _ => {}
        }
    }

    fn tries(&mut self, at: i64, index: Index, wanted: Wanted, events: &mut Vec<Event>) {
        let device = &mut self.devices[index.0 as usize];
        if device.has != Has::Fetching {
            return;
        }
        if !matches!(wanted, Wanted::Version | Wanted::Shadow) {
            device.has = Has::Nothing;
            return;
        }
        let by_harm = device.affected && self.effect.refuses;
        if by_harm || device.stubborn {
            device.has = Has::Nothing;
            let reason = if by_harm {
                self.refused += 1;
                self.first_harm = self.first_harm.min(at);
                Refusal::GoldenMismatch
            } else {
                Refusal::NoSpace
            };
            events.push(Event::Refused(index, Reason(reason)));
            return;
        }
        device.has = if wanted == Wanted::Shadow {
            Has::Shadow
        } else {
            Has::Version
        };
        if device.affected && device.has == Has::Version {
            let after = i64::try_from(self.effect.after.ms()).unwrap_or(NEVER);
            device.harm = at.saturating_add(after);
            self.first_harm = self.first_harm.min(device.harm);
        }
        events.push(Event::Serving(index));
        self.does(index.0, at + TRIAL, Does::Confirms);
    }

    /// Begins to count what a device does, if somebody wants to know.
    fn watch(&mut self, index: Index, decides: &impl Decides) {
        if decides.watched(index) != Some(wall(self.now)) {
            return;
        }
        let gates = self.gates.len();
        let device = &mut self.devices[index.0 as usize];
        device.watched = self.now;
        if device.sums.is_empty() {
            device.sums = vec![0; gates].into();
        }
        let windows = Does::Windows(0, self.now);
        let at = self.reaches(index, windows).1;
        self.does(index.0, at, windows);
        let labels = self.fleet.groups[usize::from(self.devices[index.0 as usize].group)].labels;
        if labels > 0.0 {
            let labels = Does::Labels(0, self.now);
            let at = self.reaches(index, labels).1;
            self.does(index.0, at, labels);
        }
    }

    /// The span of time in which what a rung adds is counted.
    fn reaches(&self, index: Index, does: Does) -> (i64, i64) {
        let device = &self.devices[index.0 as usize];
        let group = &self.fleet.groups[usize::from(device.group)];
        let window = group.window.ms() as f64;
        let (rung, since, each) = match does {
            Does::Labels(rung, since) => (rung, since, window / group.labels.max(1e-9)),
            Does::Windows(rung, since) => (rung, since, window),
            _ => (0, self.now, window),
        };
        // Windows do not begin when somebody begins to look.
        let first = since as f64 + window * uniform(self.seed, index.0, 30);
        let until = |count: u32| (first + f64::from(count) * each) as i64;
        (until(before(rung)), until(1 << rung))
    }

    fn counts(&mut self, at: i64, index: Index, does: Does, shadow: bool, events: &mut Vec<Event>) {
        let (rung, since, labels) = match does {
            Does::Windows(rung, since) => (rung, since, false),
            Does::Labels(rung, since) => (rung, since, true),
            _ => return,
        };
        let span = self.reaches(index, does);
        let device = &mut self.devices[index.0 as usize];
        let inferences = u64::from(self.fleet.groups[usize::from(device.group)].inferences);
        let (all, new) = (1_u64 << rung, (1_u64 << rung) - u64::from(before(rung)));
        for (place, counts) in self.gates.iter().enumerate() {
            let each = match counts {
                Counts::Wrong if labels => 1,
                Counts::OverMemory if !labels && !shadow => 1,
                Counts::Errors | Counts::Slow | Counts::Other if !labels && !shadow => inferences,
                Counts::OfShadow if !labels && shadow => inferences,
                _ => continue,
            };
            let world = (&self.fleet.drift, self.effect);
            if rung == 0 {
                let past = (
                    span.0 - i64::from(USUAL_WINDOWS) * (span.1 - span.0),
                    span.0,
                );
                let n = u64::from(USUAL_WINDOWS) * each;
                let usual = device.count_before(*counts, n, past, &self.fleet.drift, &mut self.rng);
                events.push(Event::Usual(index, GateIndex(place as u8), share(usual, n)));
            }
            let bad = device.count(*counts, new * each, span, world, &mut self.rng);
            let sum = if rung == 0 { 0 } else { device.sums[place] };
            device.sums[place] = sum + bad as u32;
            let level = share(u64::from(device.sums[place]), all * each);
            events.push(Event::Rung(index, GateIndex(place as u8), rung, level));
        }
        if !labels && matches!(device.has, Has::Version | Has::Shadow) {
            events.push(Event::Counted(index, all, all * inferences));
        }
        if rung + 1 < RUNGS {
            let next = if labels {
                Does::Labels(rung + 1, since)
            } else {
                Does::Windows(rung + 1, since)
            };
            let reached = self.reaches(index, next).1.max(at);
            self.does(index.0, reached, next);
        }
    }

    /// What a device usually does in time.
    fn usual_in_time(&mut self, question: &Question) -> u16 {
        let (index, spans) = (question.device.0, USUAL_SPANS);
        let since = question.since.0 - MIDNIGHT;
        let device = &mut self.devices[index as usize];
        let group = usize::from(device.group);
        let usual = match self.gates[usize::from(question.gate.0)] {
            Counts::Silence(length) => {
                let from = since - spans * length;
                let pattern = &self.patterns[group];
                pattern.silent(index, &mut device.cursor, from, length, 0..spans)
            }
            Counts::Restarts(length) => {
                let a_day = self.fleet.groups[group].restarts;
                let times = (since - spans * length, length);
                device.restarted(a_day, &Effect::default(), times, 0..spans, &mut self.rng)
            }
            _ => 0,
        };
        share(u64::from(usual), USUAL_SPANS.unsigned_abs())
    }

    /// What a device did in time.
    fn answer(&mut self, question: &Question) -> u16 {
        let index = question.device.0;
        let place = usize::from(question.gate.0);
        let spans = i64::from(before(question.rung))..1_i64 << question.rung;
        let since = question.since.0 - MIDNIGHT;
        let gates = self.gates.len();
        let device = &mut self.devices[index as usize];
        if device.sums.is_empty() {
            device.sums = vec![0; gates].into();
        }
        let new = match self.gates[place] {
            Counts::Silence(length) => {
                let harmed = self.effect.silent && device.harm < NEVER;
                let silenced = |span: &i64| harmed && device.harm <= since + span * length;
                let for_good = spans.clone().filter(silenced).count() as i64;
                let pattern = &self.patterns[usize::from(device.group)];
                let rest = spans.start..spans.end - for_good;
                for_good as u32 + pattern.silent(index, &mut device.cursor, since, length, rest)
            }
            Counts::Restarts(length) => {
                let a_day = self.fleet.groups[usize::from(device.group)].restarts;
                device.restarted(a_day, self.effect, (since, length), spans, &mut self.rng)
            }
            _ => 0,
        };
        let sum = if question.rung == 0 {
            0
        } else {
            device.sums[place]
        };
        device.sums[place] = sum + new;
        share(u64::from(device.sums[place]), 1 << question.rung)
    }
}

/// Windows of the rung before.
const fn before(rung: u8) -> u32 {
    (1 << rung) >> 1
}

/// A share in thousandths.
fn share(part: u64, whole: u64) -> u16 {
    (1_000.0 * part as f64 / whole.max(1) as f64).round() as u16
}

/// Simulated time as the hub knows it.
pub(super) const fn wall(at: i64) -> WallTime {
    WallTime(MIDNIGHT + at)
}

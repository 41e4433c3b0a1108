//! What others decide by, on the same simulated fleets: fixed thresholds. The same devices in the same order of lots,
//! the same stages, soaks and pace of one look after the other; only the rule is another.
//!
//! Thresholds are those that a sensible operator would set who knows the fleet: see [`Rule`]. Both rules are given the
//! benefit of the doubt where what they stand for says nothing: each measurement pools all that treated devices
//! counted since they have the version, which is steadier than the last interval alone; and no stage ends before half
//! of its devices serve the version, as with the engine. Both move the control at the end, as the engine does, and
//! neither asks a person.

use std::collections::{BTreeMap, BTreeSet};

use tern_protocol::{
    rest::{Effect, Gate, Share, SimulatedFleet, Size, Unit},
    time::WallTime,
};

use super::{
    End,
    device::Counts,
    outcome::{Ending, Outcome},
    presence::DAY,
    run,
    world::{Decides, Stands, World},
};
use crate::{
    draw::{self, Entrant, Lot},
    engine::{Question, Setup, Wanted},
    event::{Batch, Event, GateIndex, Index},
};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// As Argo Rollouts analyses a canary: every [`INTERVAL`] each metric, pooled over the treated devices, is
    /// measured against a threshold; more than [`FAILURE_LIMIT`] failed measurements of one metric stop it. Steps go on
    /// by time. A metric's threshold is what the fleet usually has at its worst hour, plus so many times the margin of
    /// the plan's gate; the plan's limit where it has one.
    Analysis {
        /// How many margins: 1 as the plan says; more as somebody sets who was woken for nothing.
        margins: u32,
    },
    /// As hawkBit triggers groups: the next group begins once [`SUCCESS`] of a group serve it, and it stops when more
    /// than [`ERROR`] of a group failed. It looks at nothing else, since devices report nothing else to it.
    Groups,
}

/// How often a metric is measured, in milliseconds: five minutes, as in most examples.
const INTERVAL: i64 = 300_000;

/// Failed measurements of one metric that are borne.
const FAILURE_LIMIT: u32 = 3;

/// The share of a group that has to succeed: some are always offline.
const SUCCESS: f64 = 0.8;

/// The share of a group that may fail.
const ERROR: f64 = 0.1;

/// One rollout of a version on a simulated fleet, decided by a rule. Devices and lots are those of
/// [`super::simulate`] with the same seed.
pub fn simulate(
    rule: Rule,
    setup: &Setup,
    fleet: &SimulatedFleet,
    effect: &Effect,
    seed: u64,
) -> Outcome {
    let mut world = World::new(&setup.plan, fleet, effect, seed);
    let mut decides = ByRule::new(rule, setup, fleet);
    run(&mut world, &mut decides, fleet);
    let end = match (decides.stopped, decides.is_done()) {
        (true, _) => End::Stopped,
        (false, true) => End::Complete,
        (false, false) => End::Unfinished,
    };
    let ending = Ending {
        end,
        stage: decides.stage as u32 + 1,
        sentence: decides.why.clone(),
        asked: 0,
        touched: decides.moved as u64,
        confirmed: decides.confirmed(),
        goes_back: decides.stopped,
    };
    Outcome::of(&mut world, effect, ending)
}

/// What a device did, as a rule sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    confirmed: bool,
    failed: bool,
    heard: Option<WallTime>,
    watched: Option<WallTime>,
    /// The rung that is asked for next in time, by gate.
    asked: [u8; 2],
}

struct ByRule<'a> {
    rule: Rule,
    setup: &'a Setup,
    thresholds: Vec<Option<f64>>,
    /// The gates of time, which are asked for.
    timed: Vec<(u8, i64)>,
    order: Vec<u32>,
    /// Of [`Self::order`], those that were to have it.
    moved: usize,
    stage: usize,
    /// Where the stage's devices begin in the order.
    began: usize,
    soaking: Option<WallTime>,
    devices: Vec<Seen>,
    /// The newest mean of each device by gate, with the windows it stands on.
    means: Vec<BTreeMap<u32, (f64, f64)>>,
    measured: Option<WallTime>,
    failures: Vec<u32>,
    now: WallTime,
    touched: BTreeSet<u32>,
    due: BTreeSet<(WallTime, u32, u8)>,
    stopped: bool,
    why: Option<String>,
}

impl<'a> ByRule<'a> {
    fn new(rule: Rule, setup: &'a Setup, fleet: &SimulatedFleet) -> Self {
        let gates = &setup.plan.gates;
        let timed = gates
            .iter()
            .enumerate()
            .filter_map(|(place, gate)| match gate {
                Gate::Silence(unheard) | Gate::Restarts(unheard) => {
                    Some((place as u8, unheard.after.ms() as i64))
                }
                _ => None,
            });
        Self {
            rule,
            setup,
            thresholds: gates
                .iter()
                .map(|gate| threshold(gate, fleet, rule))
                .collect(),
            // A plan has one gate of each kind.
            timed: timed.take(2).collect(),
            order: Vec::new(),
            moved: 0,
            stage: 0,
            began: 0,
            soaking: None,
            devices: Vec::new(),
            means: vec![BTreeMap::new(); gates.len()],
            measured: None,
            failures: vec![0; gates.len()],
            now: WallTime(0),
            touched: BTreeSet::new(),
            due: BTreeSet::new(),
            stopped: false,
            why: None,
        }
    }

    /// The same lots as the engine draws: the control comes last.
    fn draw(&mut self, batch: &Batch) {
        let mut strata = BTreeMap::new();
        let mut entrants = Vec::new();
        for (index, event) in batch.events.iter().enumerate() {
            let Event::Joined(joined) = event else {
                continue;
            };
            let next = strata.len() as u32;
            let stratum = (joined.site.clone(), joined.platform.clone());
            let stratum = *strata.entry(stratum).or_insert(next);
            let hash = |lot| draw::hash(self.setup.rollout, &joined.device, lot);
            entrants.push((index as u32, stratum, hash(Lot::Control), hash(Lot::Turn)));
        }
        self.devices = vec![Seen::default(); entrants.len()];
        let all = entrants.len() as u64;
        let control = self.setup.plan.control.of(all).min(all / 2) as usize;
        let by = |of: fn(&(u32, u32, u64, u64)) -> u64| {
            let entrant = |one: &(u32, u32, u64, u64)| Entrant {
                index: one.0,
                stratum: one.1,
                hash: of(one),
            };
            entrants.iter().map(entrant).collect::<Vec<_>>()
        };
        let mut drawn = draw::spread(by(|one| one.2));
        let others: BTreeSet<u32> = drawn.split_off(control).into_iter().collect();
        let turns = by(|one| one.3).into_iter();
        self.order = draw::spread(turns.filter(|one| others.contains(&one.index)).collect());
        let stages = self.order.len();
        self.order.extend(drawn);
        self.move_to(self.setup.plan.stages[0].to.of(stages as u64) as usize);
    }

    /// The devices of the plan's stages: all but the control.
    fn staged(&self) -> u64 {
        let all = self.order.len() as u64;
        all - self.setup.plan.control.of(all).min(all / 2)
    }

    fn move_to(&mut self, to: usize) {
        let to = to.max(self.moved).min(self.order.len());
        self.touched.extend(&self.order[self.moved..to]);
        (self.began, self.moved) = (self.moved, to);
        self.soaking = None;
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Heard(index) => {
                let device = &mut self.devices[index.0 as usize];
                if device.heard.is_none() {
                    device.heard = Some(self.now);
                    for (slot, (_, after)) in self.timed.iter().enumerate() {
                        let at = WallTime(self.now.0 + after);
                        self.due.insert((at, index.0, slot as u8));
                    }
                }
            }
            Event::Serving(index) => self.devices[index.0 as usize].watched = Some(self.now),
            Event::Confirmed(index) => self.devices[index.0 as usize].confirmed = true,
            Event::Refused(index, _) => self.devices[index.0 as usize].failed = true,
            Event::Rung(index, gate, rung, level) => {
                let mean = f64::from(*level) / 1_000.0;
                let weight = f64::from(1_u32 << rung);
                self.means[usize::from(gate.0)].insert(index.0, (mean, weight));
                let slot = self.timed.iter().position(|(place, _)| *place == gate.0);
                if let Some(slot) = slot {
                    self.ask_again(index.0, slot, rung + 1);
                }
            }
            _ => {}
        }
    }

    fn ask_again(&mut self, index: u32, slot: usize, rung: u8) {
        let after = self.timed[slot].1;
        let device = &mut self.devices[index as usize];
        let Some(since) = device.heard else { return };
        let at = |rung: u8| (WallTime(since.0 + (after << rung)), index, slot as u8);
        self.due.remove(&at(device.asked[slot]));
        device.asked[slot] = rung;
        if rung < tern_stats::ladder::RUNGS as u8 {
            self.due.insert(at(rung));
        }
    }

    fn stop(&mut self, why: String) {
        self.stopped = true;
        self.why = Some(why);
        self.touched.extend(&self.order[..self.moved]);
    }

    fn analyse(&mut self) {
        let due = self.measured.is_none_or(|at| self.now.0 - at.0 >= INTERVAL);
        if !due {
            return;
        }
        self.measured = Some(self.now);
        for (place, gate) in self.setup.plan.gates.iter().enumerate() {
            let Some(threshold) = self.thresholds[place] else {
                continue;
            };
            let (mean, known) = if gate.counts() == Unit::Devices {
                let ended = self.order[..self.moved]
                    .iter()
                    .map(|one| self.devices[*one as usize]);
                let ended: Vec<Seen> = ended.filter(|one| one.confirmed || one.failed).collect();
                let failed = ended.iter().filter(|one| one.failed).count();
                (failed as f64 / ended.len().max(1) as f64, !ended.is_empty())
            } else {
                let means = self.means[place].values();
                let (sum, weights) = means.fold((0.0, 0.0), |(sum, weights), (mean, weight)| {
                    (sum + mean * weight, weights + weight)
                });
                (sum / f64::max(weights, 1.0), weights > 0.0)
            };
            if known && mean > threshold {
                self.failures[place] += 1;
                if self.failures[place] > FAILURE_LIMIT {
                    let name = gate.title();
                    return self.stop(format!("{name}: {mean:.3} is above {threshold:.3}"));
                }
            }
        }
    }

    fn go_on(&mut self) {
        let group = &self.order[self.began..self.moved];
        let count = |of: fn(&Seen) -> bool| {
            let devices = group.iter().map(|one| &self.devices[*one as usize]);
            devices.filter(|one| of(one)).count() as f64
        };
        let size = group.len().max(1) as f64;
        let (good, bad) = (count(|one| one.confirmed), count(|one| one.failed));
        let ready = match self.rule {
            Rule::Groups if bad > ERROR * size => {
                return self.stop(format!("{bad} of {size} devices failed"));
            }
            Rule::Groups => good >= SUCCESS * size,
            Rule::Analysis { .. } => good >= 0.5 * size,
        };
        let stages = &self.setup.plan.stages;
        if !ready || self.stage >= stages.len() {
            return;
        }
        let since = *self.soaking.get_or_insert(self.now);
        if self.now.0 - since.0 < stages[self.stage].soak.ms() as i64 {
            return;
        }
        self.stage += 1;
        match stages.get(self.stage) {
            Some(stage) => self.move_to(stage.to.of(self.staged()) as usize),
            None if stages
                .last()
                .is_some_and(|last| last.to == Size::Share(Share::percent(100))) =>
            {
                self.move_to(self.order.len());
            }
            None => {}
        }
    }

    /// Whether every device that was moved has come to an end.
    fn is_done(&self) -> bool {
        let all = self.stage >= self.setup.plan.stages.len();
        let mut moved = self.order[..self.moved]
            .iter()
            .map(|one| self.devices[*one as usize]);
        all && moved.all(|one| one.confirmed || one.failed || self.is_lost(one))
    }

    /// It began to fetch, and nothing came of it within the plan's deadline.
    fn is_lost(&self, one: Seen) -> bool {
        let deadline = self.setup.plan.deadline.ms() as i64;
        one.heard.is_some_and(|at| self.now.0 - at.0 > deadline)
    }
}

impl Decides for ByRule<'_> {
    fn apply(&mut self, batch: &Batch) {
        self.now = batch.at;
        if self.devices.is_empty() {
            return self.draw(batch);
        }
        for event in &batch.events {
            self.hear(event);
        }
        if matches!(self.rule, Rule::Analysis { .. }) {
            self.analyse();
        }
        if !self.stopped {
            self.go_on();
        }
    }

    fn wanted(&self, index: Index) -> Wanted {
        let device = self.devices[index.0 as usize];
        if self.stopped {
            Wanted::Before
        } else if device.failed {
            Wanted::AsItIs
        } else {
            Wanted::Version
        }
    }

    fn touched(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.touched)
    }

    fn questions(&self, now: WallTime) -> Vec<Question> {
        let due = self.due.iter().take_while(|(at, ..)| *at <= now);
        let question = |(_, index, slot): &(WallTime, u32, u8)| {
            let device = self.devices[*index as usize];
            Some(Question {
                device: Index(*index),
                gate: GateIndex(self.timed[usize::from(*slot)].0),
                rung: device.asked[usize::from(*slot)],
                since: device.heard?,
            })
        };
        due.filter_map(question).collect()
    }

    fn watched(&self, index: Index) -> Option<WallTime> {
        self.devices[index.0 as usize].watched
    }

    fn compared(&self, _: Index) -> Vec<Index> {
        Vec::new()
    }

    fn asks(&self) -> Vec<GateIndex> {
        Vec::new()
    }

    fn confirmed(&self) -> u64 {
        self.devices.iter().filter(|one| one.confirmed).count() as u64
    }

    fn stands(&self) -> Stands {
        if self.stopped || self.is_done() {
            Stands::Over
        } else {
            Stands::Goes
        }
    }
}

/// What a sensible operator would set: see [`Rule`].
fn threshold(gate: &Gate, fleet: &SimulatedFleet, rule: Rule) -> Option<f64> {
    let margins = match rule {
        Rule::Analysis { margins } => f64::from(margins),
        Rule::Groups => 1.0,
    };
    let bound = gate.bound()?;
    let Some(margin) = bound.margin else {
        return bound.limit.map(Share::of_one);
    };
    let devices = fleet.devices().max(1) as f64;
    let mean = fleet.groups.iter().map(|group| {
        let rate = |rate: tern_protocol::rest::Rate| {
            let bad = rate.bad.of_one();
            (1.0 - bad) * rate.usual.of_one() + bad * 0.5 * rate.worst.of_one()
        };
        let usual = match Counts::of(gate) {
            Counts::Errors => rate(group.errors) + fleet.drift.errors.of_one(),
            Counts::Slow => rate(group.slow) + fleet.drift.slow.of_one(),
            Counts::Wrong => rate(group.wrong) + fleet.drift.wrong.of_one(),
            Counts::OverMemory => rate(group.over_memory),
            Counts::Silence(after) => {
                let (share, spell) = (group.online.share.of_one(), group.online.spell.ms() as f64);
                let off = spell * (1.0 - share) / share.max(1e-6);
                let open = match (group.online.from, group.online.to) {
                    (Some(from), Some(to)) => {
                        let minutes = i64::from(to.minute()) - i64::from(from.minute());
                        (minutes * 60_000).rem_euclid(DAY) as f64 / DAY as f64
                    }
                    _ => 1.0,
                };
                let through = if off > 0.0 {
                    (-(after as f64) / off).exp()
                } else {
                    0.0
                };
                1.0 - open * (1.0 - (1.0 - share) * through)
            }
            Counts::Restarts(after) => 1.0 - (-group.restarts * after as f64 / DAY as f64).exp(),
            Counts::Other | Counts::OfShadow | Counts::Nothing => rate(group.other),
        };
        usual * f64::from(group.count) / devices
    });
    Some(mean.sum::<f64>() + margins * margin.of_one())
}

//! What a plan would do to a fleet, before it does: the engine that decides rollouts, run on a simulated fleet.
//!
//! Called by the hub (rehearsals), by benches and by tests. Everything follows from the seed: the same one gives the
//! same outcome, so a seed is a bug report.
//!
//! Must never break:
//! - what decides here is [`Engine`] itself, told and asked as the hub tells and asks it;
//! - nobody answers when it asks: what needs a person is counted, not assumed away.

mod chance;
mod device;
pub mod load;
mod outcome;
mod presence;
pub mod rules;
pub mod sides;
pub mod standard;
pub mod summary;
mod world;

use std::collections::BTreeSet;

use tern_protocol::{
    id::RolloutId,
    rest::{Decision, Deed, Effect, Plan, Rehearsal, SimulatedFleet, Verdict},
    time::WallTime,
};

pub use self::outcome::{End, Outcome};
use self::{
    presence::DAY,
    world::{Decides, Stands, World},
};
use crate::{
    engine::{Asked, Engine, Phase, Question, Setup, Wanted},
    event::{Batch, GateIndex, Index},
};

/// How long a rollout that asks what to do is left alone before a run ends: evidence may still decide.
const LEFT_ALONE: i64 = 3 * DAY;

/// One rollout of a version on a simulated fleet.
pub fn simulate(setup: &Setup, fleet: &SimulatedFleet, effect: &Effect, seed: u64) -> Outcome {
    let mut decides = ByEngine {
        engine: Engine::new(setup.clone()),
        decisions: Vec::new(),
    };
    let mut world = World::new(&setup.plan, fleet, effect, seed);
    run(&mut world, &mut decides, fleet);
    let asked = decides.deeds(Deed::Ask).count() as u32;
    let stopped = decides
        .stopped()
        .map(|decision| (decision.stage, decision.sentence.clone()));
    let mut end = match decides.engine.phase() {
        Phase::Complete => End::Complete,
        Phase::Asking(_) => End::Asking,
        Phase::Ended { .. } | Phase::Held if stopped.is_some() => End::Stopped,
        Phase::Ended { .. } | Phase::Held => End::RanOut,
        _ => End::Unfinished,
    };
    if end == End::Unfinished && asked > 0 && world.now < horizon(fleet) {
        end = End::Asking;
    }
    let counts = decides.engine.counts();
    let goes_back = matches!(decides.engine.phase(), Phase::Ended { back: true });
    Outcome::of(
        &mut world,
        effect,
        outcome::Ending {
            end,
            stage: stopped
                .as_ref()
                .map_or(decides.engine.stage() as u32 + 1, |(stage, _)| *stage),
            sentence: stopped.map(|(_, sentence)| sentence).or_else(|| {
                decides
                    .decisions
                    .last()
                    .map(|decision| decision.sentence.clone())
            }),
            asked,
            touched: counts.admitted,
            confirmed: counts.confirmed,
            goes_back,
        },
    )
}

/// What a plan would do to a fleet: `runs` times with a version that does no harm, and as often with each of the usual
/// kinds of harm. Every run has lots, devices and chance of its own, which follow from its number.
pub fn rehearse(plan: &Plan, fleet: &SimulatedFleet, runs: u32) -> Rehearsal {
    let of = |effect: &Effect| simulate_many(plan, fleet, effect, runs);
    let harmless = of(&Effect::default());
    let harms = standard::harms(fleet);
    let harms = harms
        .into_iter()
        .map(|(name, effect)| summary::harm(name.into(), &of(&effect), effect));
    summary::rehearsal(fleet.devices(), &harmless, harms.collect())
}

/// So many rollouts of a version, each with lots, devices and chance of its own.
pub fn simulate_many(
    plan: &Plan,
    fleet: &SimulatedFleet,
    effect: &Effect,
    runs: u32,
) -> Vec<Outcome> {
    let setups = setups(plan, fleet, runs);
    setups
        .map(|(setup, seed)| simulate(&setup, fleet, effect, seed))
        .collect()
}

/// What each of so many runs is set up with, and its seed.
fn setups(plan: &Plan, fleet: &SimulatedFleet, runs: u32) -> impl Iterator<Item = (Setup, u64)> {
    (0..runs).map(|run| {
        let setup = Setup {
            plan: plan.clone(),
            rollout: RolloutId(run + 1),
            bytes: fleet.bytes.get(),
        };
        (setup, u64::from(run))
    })
}

fn horizon(fleet: &SimulatedFleet) -> i64 {
    world::MORNING.saturating_add(i64::try_from(fleet.horizon.ms()).unwrap_or(i64::MAX))
}

/// Lets a fleet and what decides about it go on until it is over.
fn run(world: &mut World, decides: &mut impl Decides, fleet: &SimulatedFleet) {
    decides.apply(&world.joins());
    let horizon = horizon(fleet);
    let mut asked = None;
    while world.now < horizon {
        let batch = world.pass(decides);
        decides.apply(&batch);
        world.known(&batch, decides);
        match decides.stands() {
            Stands::Over => return,
            Stands::Goes => asked = None,
            Stands::Asks => {
                let since = *asked.get_or_insert(world.now);
                if world.now - since >= LEFT_ALONE {
                    return;
                }
            }
        }
    }
}

/// The engine, as the hub has it.
struct ByEngine {
    engine: Engine,
    decisions: Vec<Decision>,
}

impl ByEngine {
    fn deeds(&self, what: Deed) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(move |one| one.what == what)
    }

    /// The decision to stop or hold for harm that was proven, if there was one.
    fn stopped(&self) -> Option<&Decision> {
        let mut ended = self.deeds(Deed::Stop).chain(self.deeds(Deed::Hold));
        ended.find(|decision| {
            decision
                .gates
                .iter()
                .any(|gate| gate.verdict == Verdict::Fail)
        })
    }
}

impl Decides for ByEngine {
    fn apply(&mut self, batch: &Batch) {
        self.decisions.extend(self.engine.apply(batch).decisions);
    }

    fn wanted(&self, index: Index) -> Wanted {
        self.engine.wanted(index)
    }

    fn touched(&mut self) -> BTreeSet<u32> {
        self.engine.touched()
    }

    fn questions(&self, now: WallTime) -> Vec<Question> {
        self.engine.questions(now)
    }

    fn watched(&self, index: Index) -> Option<WallTime> {
        self.engine.watched(index)
    }

    fn compared(&self, index: Index) -> Vec<Index> {
        self.engine.compared(index).collect()
    }

    fn asks(&self) -> Vec<GateIndex> {
        self.engine.asks()
    }

    fn confirmed(&self) -> u64 {
        self.engine.counts().confirmed
    }

    fn stands(&self) -> Stands {
        match self.engine.phase() {
            Phase::Complete
            | Phase::Ended { .. }
            | Phase::Held
            | Phase::Asking(Asked::Approval) => Stands::Over,
            Phase::Asking(Asked::Inconclusive) => Stands::Asks,
            _ => Stands::Goes,
        }
    }
}

#[cfg(test)]
mod tests;

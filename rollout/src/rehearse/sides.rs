//! The engine and the fixed-threshold rules side by side: the same fleets, the same versions, the same seeds.

use tern_protocol::rest::{Chance, Effect, Plan, SimulatedFleet, Spread};

use super::{
    End, Outcome,
    rules::{self, Rule},
    setups, simulate_many,
    summary::{chance, spread},
};

/// Margins of an operator who was woken for nothing.
pub const WIDE: u32 = 5;

/// What four ways to decide made of the same rollouts.
#[derive(Debug, Clone, PartialEq)]
pub struct Sides {
    /// The engine.
    pub engine: Vec<Outcome>,
    /// [`Rule::Analysis`] with the margins of the plan.
    pub analysis: Vec<Outcome>,
    /// [`Rule::Analysis`] with [`WIDE`] times the margins.
    pub wide: Vec<Outcome>,
    /// [`Rule::Groups`].
    pub groups: Vec<Outcome>,
}

/// So many rollouts, each decided in four ways.
pub fn side_by_side(plan: &Plan, fleet: &SimulatedFleet, effect: &Effect, runs: u32) -> Sides {
    let by = |rule| -> Vec<Outcome> {
        let setups = setups(plan, fleet, runs);
        setups
            .map(|(setup, seed)| rules::simulate(rule, &setup, fleet, effect, seed))
            .collect()
    };
    Sides {
        engine: simulate_many(plan, fleet, effect, runs),
        analysis: by(Rule::Analysis { margins: 1 }),
        wide: by(Rule::Analysis { margins: WIDE }),
        groups: by(Rule::Groups),
    }
}

/// Outcomes in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// How many were stopped.
    pub stopped: Chance,
    /// How many asked a person, and waited.
    pub asking: Chance,
    /// How many reached the end.
    pub finished: Chance,
    /// Devices that were harmed, in all runs.
    pub harmed: Option<Spread>,
    /// Their mean.
    pub harmed_mean: f64,
    /// Hours that devices served it while it did harm, until they were back or the run ended: their mean over all runs.
    pub harmed_hours_mean: f64,
    /// Hours from the first harm to the stop.
    pub hours_to_stop: Option<Spread>,
    /// Hours to the end, of those that reached it.
    pub hours_to_end: Option<Spread>,
}

/// Outcomes in numbers.
pub fn row(outcomes: &[Outcome]) -> Row {
    let hours = |ms: u64| ms as f64 / 3_600_000.0;
    let mean = |of: fn(&Outcome) -> f64| {
        outcomes.iter().map(of).sum::<f64>() / outcomes.len().max(1) as f64
    };
    let finished = outcomes.iter().filter(|one| one.end == End::Complete);
    Row {
        stopped: chance(outcomes, |one| one.end == End::Stopped),
        asking: chance(outcomes, |one| one.end == End::Asking),
        finished: chance(outcomes, |one| one.end == End::Complete),
        harmed: spread(outcomes.iter().map(|one| one.harmed as f64)),
        harmed_mean: mean(|one| one.harmed as f64),
        harmed_hours_mean: mean(|one| one.harmed_hours),
        hours_to_stop: spread(
            outcomes
                .iter()
                .filter_map(|one| one.harm_to_stop_ms)
                .map(hours),
        ),
        hours_to_end: spread(finished.map(|one| hours(one.at_ms))),
    }
}

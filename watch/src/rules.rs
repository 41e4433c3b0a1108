//! What others decide by, on the same simulated fleets: the usual rules of drift monitors, once a day.
//!
//! Each judges a day's rows of the whole fleet, and of each site, against the first four weeks of the same place in
//! production, which is kinder to them than the training set. A place has an alarm from the first of days in a row on
//! which the rule says drift. Rows that arrive after their day are left out. What a rule cannot say it does not have to:
//! the place is the fleet if the whole fleet drifted, else the site; and the reason is that.
//!
//! Must never break: they see the same rows as the engine, no more and no fewer.

mod table;

use std::collections::BTreeMap;

use crate::{
    finding::{Attribution, Place},
    hour::{Device, Hour, Site},
    scenario::{Alarm, Fleet, Outcome, Scenario, Shape, score},
};
use table::Table;

/// Days of production that a place is compared with.
const REFERENCE: u32 = 28;

/// Rows that a site has to have on a day to be judged; an operator who was woken for twelve rows sets such a limit.
const ROWS: u64 = 500;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// As Evidently's data drift preset does by default (0.7.23): of numbers the Wasserstein distance over the standard
    /// deviation is 0.1 or more, of classes the Jensen–Shannon distance in nats is; where the reference has 1,000 rows
    /// or fewer, the p-value of Kolmogorov–Smirnov or of χ² is below 0.05. Drift is if half of the columns drift.
    Evidently,
    /// The rule of thumb: an alarm if the population stability index of one column is above 0.2.
    Psi,
}

/// What a rule is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All rows of a day together.
    Fleet,
    /// That, and the rows of each site that has [`ROWS`] of them.
    Sites,
}

/// All rules.
pub const RULES: [(Rule, Scope, &str); 4] = [
    (Rule::Evidently, Scope::Fleet, "Evidently, fleet"),
    (Rule::Evidently, Scope::Sites, "Evidently, each site"),
    (Rule::Psi, Scope::Fleet, "PSI > 0.2, fleet"),
    (Rule::Psi, Scope::Sites, "PSI > 0.2, each site"),
];

/// Runs a scenario with all [`RULES`], in their order.
pub fn run(scenario: Scenario, shape: Shape, seed: u64) -> [Outcome; 4] {
    let mut fleet = Fleet::new(scenario, shape, seed);
    let truth = fleet.truth();
    let mut places: BTreeMap<Place, Watched> = BTreeMap::new();
    let mut sites: BTreeMap<Device, Site> = BTreeMap::new();
    let mut judges = RULES.map(|(rule, scope, _)| Judge {
        rule,
        scope,
        open: BTreeMap::new(),
        alarms: Vec::new(),
    });
    for day in 0..scenario.days() {
        let mut tomorrow = Hour::default();
        for _ in 0..24 {
            let arrival = fleet.step();
            let Some((hour, devices)) = arrival.last() else {
                continue;
            };
            tomorrow = Hour::first(hour.day() + 1);
            for one in devices {
                sites.insert(one.device, one.site);
                for place in [Place::Fleet, Place::Site(one.site)] {
                    places.entry(place).or_default().today.add(one);
                }
            }
        }
        for judge in &mut judges {
            judge.close(tomorrow, &places, day >= REFERENCE);
        }
        for watched in places.values_mut() {
            let today = std::mem::take(&mut watched.today);
            if day < REFERENCE {
                watched.reference.merge(&today);
            }
        }
    }
    judges.map(|judge| {
        score(
            truth.as_ref(),
            &judge.alarms,
            scenario.days(),
            |device, place| match place {
                Place::Site(site) => sites.get(&device) == Some(&site),
                _ => true,
            },
        )
    })
}

/// Rows of a place.
#[derive(Default)]
struct Watched {
    reference: Table,
    today: Table,
}

/// A rule at work.
struct Judge {
    rule: Rule,
    scope: Scope,
    /// Places that drift, with the number of their alarm.
    open: BTreeMap<Place, u32>,
    alarms: Vec<(u32, Alarm)>,
}

impl Judge {
    /// A day is over.
    fn close(&mut self, at: Hour, places: &BTreeMap<Place, Watched>, judged: bool) {
        let watched = places
            .iter()
            .filter(|(place, _)| **place == Place::Fleet || self.scope == Scope::Sites);
        let drifted: Vec<Place> = watched
            .filter(|(_, watched)| judged && self.drifts(watched))
            .map(|(place, _)| *place)
            .collect();
        self.open.retain(|place, _| drifted.contains(place));
        let whole = drifted.contains(&Place::Fleet);
        for place in drifted {
            if self.open.contains_key(&place) {
                continue;
            }
            let next = self.alarms.len() as u32;
            self.open.insert(place, next);
            // Sites of a fleet that drifts are part of the same alarm.
            if place == Place::Fleet || !whole {
                let attribution = if whole {
                    Attribution::Fleet
                } else {
                    Attribution::Sites
                };
                let alarm = Alarm {
                    at,
                    places: vec![place],
                    attribution: Some(attribution),
                    fits: true,
                };
                self.alarms.push((next, alarm));
            }
        }
    }

    fn drifts(&self, watched: &Watched) -> bool {
        if watched.today.rows() < ROWS {
            return false;
        }
        let drifts = watched.reference.drifts(&watched.today, self.rule);
        let drifting = drifts.iter().filter(|drifts| **drifts).count();
        match self.rule {
            Rule::Evidently => !drifts.is_empty() && 2 * drifting >= drifts.len(),
            Rule::Psi => drifting > 0,
        }
    }
}

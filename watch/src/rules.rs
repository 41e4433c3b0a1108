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

/// Runs a scenario with a rule.
pub fn run(rule: Rule, scope: Scope, scenario: Scenario, shape: Shape, seed: u64) -> Outcome {
    let mut fleet = Fleet::new(scenario, shape, seed);
    let truth = fleet.truth();
    let mut places: BTreeMap<Place, Watched> = BTreeMap::new();
    let mut sites: BTreeMap<Device, Site> = BTreeMap::new();
    let (mut alarms, mut next) = (Vec::new(), 0);
    let mut first = None;
    for _ in 0..scenario.days() {
        let mut day = 0;
        for _ in 0..24 {
            let arrival = fleet.step();
            let Some((hour, devices)) = arrival.last() else {
                continue;
            };
            day = hour.day();
            for one in devices {
                sites.insert(one.device, one.site);
                for place in [Place::Fleet, Place::Site(one.site)] {
                    if place == Place::Fleet || scope == Scope::Sites {
                        places.entry(place).or_default().today.add(one);
                    }
                }
            }
        }
        let begun = *first.get_or_insert(day);
        let mut drifted = Vec::new();
        for (place, watched) in &mut places {
            if watched.close(rule, day >= begun + REFERENCE) {
                drifted.push(*place);
            } else {
                watched.alarm = None;
            }
        }
        let whole = drifted.contains(&Place::Fleet);
        for place in drifted {
            let watched = places.entry(place).or_default();
            if watched.alarm.is_none() {
                watched.alarm = Some(next);
                let attribution = if whole {
                    Attribution::Fleet
                } else {
                    Attribution::Sites
                };
                let at = Hour::first(day + 1);
                // Sites of a fleet that drifts are part of the same alarm.
                if place == Place::Fleet || !whole {
                    let alarm = Alarm {
                        at,
                        places: vec![place],
                        attribution: Some(attribution),
                        fits: true,
                    };
                    alarms.push((next, alarm));
                    next += 1;
                }
            }
        }
    }
    score(
        truth.as_ref(),
        &alarms,
        scenario.days(),
        |device, place| match place {
            Place::Site(site) => sites.get(&device) == Some(&site),
            _ => true,
        },
    )
}

/// A place.
#[derive(Default)]
struct Watched {
    reference: Table,
    today: Table,
    alarm: Option<u32>,
}

impl Watched {
    /// A day is over: whether it drifted, if it is to be judged; else it becomes part of the reference.
    fn close(&mut self, rule: Rule, judged: bool) -> bool {
        let today = std::mem::take(&mut self.today);
        if !judged {
            self.reference.merge(&today);
            return false;
        }
        if today.rows() < ROWS {
            return false;
        }
        let drifts = self.reference.drifts(&today, rule);
        let drifting = drifts.iter().filter(|drifts| **drifts).count();
        match rule {
            Rule::Evidently => !drifts.is_empty() && 2 * drifting >= drifts.len(),
            Rule::Psi => drifting > 0,
        }
    }
}

//! How well a scenario's truth is found.

use super::{
    fleet::{Fleet, Shape},
    kind::{Scenario, Truth},
};
use crate::{
    Watch,
    finding::{Attribution, Change, Finding, Place},
    hour::{Device, Hour},
    settings::Settings,
};

/// One alarm, whoever raised it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// When.
    pub at: Hour,
    /// Where.
    pub places: Vec<Place>,
    /// Why, if that is said.
    pub attribution: Option<Attribution>,
    /// Whether it is of a kind in which what happened could show.
    pub fits: bool,
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four answers to four questions"
)]
pub struct Outcome {
    /// Whether there was something to find.
    pub real: bool,
    /// Whether it was found.
    pub found: bool,
    /// Whether an alarm named the right place within three days of the first one.
    pub placed: bool,
    /// Whether an alarm named the right reason within three days of the first one.
    pub attributed: bool,
    /// Hours from when it began to the first alarm.
    pub delay: Option<u32>,
    /// Alarms of nothing: in quiet runs all, in others those before it began, and of places that had no part in it.
    pub false_alarms: u32,
    /// All alarms from when it began, right or wrong.
    pub alarms: u32,
    /// Days of the run.
    pub days: u32,
}

/// Runs a scenario with the engine, looking once an hour. Calls `shows` with each change.
pub fn run(
    scenario: Scenario,
    shape: Shape,
    settings: &Settings,
    seed: u64,
    mut shows: impl FnMut(&Watch, Hour, &Change),
) -> Outcome {
    let mut fleet = Fleet::new(scenario, shape, seed);
    let truth = fleet.truth();
    let mut watch =
        Watch::new(settings.clone(), &fleet.model()).expect("the simulated model can be watched");
    let mut alarms = Vec::new();
    for _ in 0..scenario.days() * 24 {
        let mut now = Hour::default();
        for (hour, devices) in fleet.step() {
            watch.hour(hour, &devices);
            now = hour;
        }
        for change in watch.look(now) {
            shows(&watch, now, &change);
            if let Change::Opened(finding) | Change::Changed(finding) = &change {
                alarms.push((finding.id, alarm(now, finding, truth.as_ref())));
            }
        }
    }
    score(
        truth.as_ref(),
        &alarms,
        scenario.days(),
        |device, place| match place {
            Place::Site(site) => watch.site_of(device) == Some(site),
            Place::Version(_) | Place::Fleet => true,
            Place::Device(other) => other == device,
        },
    )
}

/// A finding as an alarm.
pub fn alarm(at: Hour, finding: &Finding, truth: Option<&Truth>) -> Alarm {
    Alarm {
        at,
        places: finding.places.clone(),
        attribution: Some(finding.attribution),
        fits: truth.is_some_and(|truth| truth.kinds.contains(&finding.kind)),
    }
}

/// Holds alarms, each with its number, against the truth. `inside` says whether a device is part of a place.
pub fn score(
    truth: Option<&Truth>,
    alarms: &[(u32, Alarm)],
    days: u32,
    inside: impl Fn(Device, Place) -> bool,
) -> Outcome {
    let mut outcome = Outcome {
        real: truth.is_some(),
        days,
        ..Outcome::default()
    };
    let mut wrong: Vec<u32> = Vec::new();
    let mut first = None;
    for (id, alarm) in alarms {
        let Some(truth) = truth else {
            wrong.push(*id);
            continue;
        };
        let concerns = |place: &Place| match (truth.place, *place) {
            (Place::Fleet | Place::Version(_), _) | (_, Place::Fleet | Place::Version(_)) => true,
            (Place::Device(device), place) => inside(device, place),
            (Place::Site(site), Place::Device(device)) => inside(device, Place::Site(site)),
            (own, other) => own == other,
        };
        let known = alarm.at.day() >= truth.onset && alarm.fits;
        if !known || !alarm.places.iter().any(concerns) {
            wrong.push(*id);
            continue;
        }
        let began = *first.get_or_insert(alarm.at);
        outcome.found = true;
        if alarm.at.0 <= began.0 + 72 {
            // All sites are the fleet; and all of a fleet that got a version at once are both.
            outcome.placed |= match truth.place {
                Place::Version(_) => alarm.attribution == Some(truth.attribution),
                Place::Fleet => alarm
                    .places
                    .iter()
                    .any(|place| matches!(place, Place::Fleet | Place::Version(_))),
                place => alarm.places == [place],
            };
            outcome.attributed |= alarm.attribution == Some(truth.attribution);
        }
    }
    let mut after: Vec<u32> = alarms
        .iter()
        .filter(|(_, alarm)| truth.is_some_and(|truth| alarm.at.day() >= truth.onset))
        .map(|(id, _)| *id)
        .collect();
    after.sort_unstable();
    after.dedup();
    outcome.alarms = after.len() as u32;
    wrong.sort_unstable();
    wrong.dedup();
    outcome.false_alarms = wrong.len() as u32;
    outcome.delay = first
        .zip(truth)
        .map(|(first, truth)| first.0.saturating_sub(truth.onset * 24));
    outcome
}

/// Many runs of one scenario together.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Runs.
    pub runs: u32,
    /// The share in which it was found, of those with something to find.
    pub found: f64,
    /// The share in which it was placed rightly.
    pub placed: f64,
    /// The share in which the right reason was given.
    pub attributed: f64,
    /// The median hours from when it began to the first alarm, of those that were found.
    pub delay: Option<u32>,
    /// Alarms from when it began, in the mean.
    pub alarms: f64,
    /// False alarms a year of watching.
    pub false_alarms_a_year: f64,
}

/// Sums runs up.
pub fn summary(outcomes: &[Outcome]) -> Summary {
    let n = outcomes.len().max(1) as f64;
    let share =
        |holds: fn(&Outcome) -> bool| outcomes.iter().filter(|one| holds(one)).count() as f64 / n;
    let mut delays: Vec<u32> = outcomes.iter().filter_map(|one| one.delay).collect();
    delays.sort_unstable();
    let days: u32 = outcomes.iter().map(|one| one.days).sum();
    let wrong: u32 = outcomes.iter().map(|one| one.false_alarms).sum();
    Summary {
        runs: outcomes.len() as u32,
        found: share(|one| one.found),
        placed: share(|one| one.placed),
        attributed: share(|one| one.attributed),
        alarms: outcomes
            .iter()
            .map(|one| f64::from(one.alarms))
            .sum::<f64>()
            / n,
        delay: delays.get(delays.len() / 2).copied(),
        false_alarms_a_year: f64::from(wrong) * 365.0 / f64::from(days.max(1)),
    }
}

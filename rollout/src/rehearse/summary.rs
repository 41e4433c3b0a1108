//! Many outcomes as numbers for people.

use tern_protocol::rest::{Chance, Effect, ProgressAt, Rehearsal, RehearsedHarm, Spread};
use tern_stats::interval::{Z_95, wilson};

use super::{End, Outcome};

/// Moments of a progress picture.
const MOMENTS: u64 = 60;

/// How often something happened.
pub fn chance<'a>(outcomes: &'a [Outcome], happened: impl Fn(&'a Outcome) -> bool) -> Chance {
    let times = outcomes.iter().filter(|one| happened(one)).count() as u64;
    let of = outcomes.len() as u64;
    let between = wilson(times, of, Z_95);
    Chance {
        times,
        of,
        low: between.map_or(0.0, |one| one.low),
        high: between.map_or(1.0, |one| one.high),
    }
}

/// Where values lie; nothing without any.
pub fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let at = |share: f64| values[(share * last as f64).round() as usize];
    Some(Spread {
        low: at(0.05),
        median: at(0.5),
        high: at(0.95),
    })
}

fn ended(end: End) -> impl Fn(&Outcome) -> bool {
    move |one| one.end == end
}

pub(super) fn rehearsal(
    devices: u64,
    harmless: &[Outcome],
    harms: Vec<RehearsedHarm>,
) -> Rehearsal {
    let finished = harmless.iter().filter(|one| one.end == End::Complete);
    Rehearsal {
        devices,
        runs: harmless.len() as u32,
        finished: chance(harmless, ended(End::Complete)),
        took_ms: spread(finished.map(|one| one.at_ms as f64)),
        bytes: spread(harmless.iter().map(|one| one.bytes as f64)),
        false_stops: chance(harmless, |one| one.false_stop),
        asked: chance(harmless, |one| one.asked > 0),
        progress: progress(harmless),
        harms,
    }
}

pub(super) fn harm(name: String, outcomes: &[Outcome], effect: Effect) -> RehearsedHarm {
    let stopped = || outcomes.iter().filter(|one| one.true_stop);
    RehearsedHarm {
        name,
        effect,
        stopped: chance(outcomes, |one| one.true_stop),
        asked: chance(outcomes, |one| one.asked > 0),
        finished: chance(outcomes, ended(End::Complete)),
        hurt: spread(stopped().map(|one| one.harmed as f64)),
        hurt_hours: spread(stopped().map(|one| one.harmed_hours)),
        touched: spread(stopped().map(|one| one.touched as f64)),
        took_ms: spread(
            stopped()
                .filter_map(|one| one.harm_to_stop_ms)
                .map(|ms| ms as f64),
        ),
    }
}

/// The share of devices that are done, over time, up to when the last of nine in ten runs ended.
fn progress(outcomes: &[Outcome]) -> Vec<ProgressAt> {
    let Some(ends) = spread(outcomes.iter().map(|one| one.at_ms as f64)) else {
        return Vec::new();
    };
    let done = |outcome: &Outcome, at: u64| {
        let before = outcome.progress.partition_point(|(when, _)| *when <= at);
        before
            .checked_sub(1)
            .map_or(0.0, |last| outcome.progress[last].1)
    };
    let moments = (0..=MOMENTS).map(|moment| ends.high as u64 * moment / MOMENTS);
    moments
        .filter_map(|after_ms| {
            let done = spread(outcomes.iter().map(|one| done(one, after_ms)))?;
            Some(ProgressAt { after_ms, done })
        })
        .collect()
}

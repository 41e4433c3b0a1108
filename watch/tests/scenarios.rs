//! Each scenario is found, placed and attributed, and the quiet ones are quiet. More seeds: the example `scenarios`.

use tern_watch::{
    Settings,
    scenario::{Outcome, Quiet, Scenario, Shape, run, summary},
};

fn outcomes(scenario: Scenario, seeds: std::ops::Range<u64>) -> Vec<Outcome> {
    let shape = Shape {
        sites: 8,
        devices: 6,
        size: 1.0,
    };
    seeds
        .map(|seed| run(scenario, shape, &Settings::default(), seed, |_, _, _| {}))
        .collect()
}

/// At most one false alarm in all of these runs, which together are half a year.
fn is_quiet(scenario: Scenario) {
    let outcomes = outcomes(scenario, 100..102);
    let wrong: u32 = outcomes.iter().map(|one| one.false_alarms).sum();
    assert!(wrong <= 1, "{outcomes:?}");
}

#[track_caller]
fn is_found(scenario: Scenario, hours: u32) {
    let outcomes = outcomes(scenario, 100..102);
    let all = summary(&outcomes);
    assert!(
        all.found > 0.99 && all.placed > 0.6 && all.attributed > 0.6,
        "{outcomes:?}"
    );
    assert!(
        all.delay.is_some_and(|delay| delay <= hours),
        "{outcomes:?}"
    );
}

#[test]
fn nothing_is_found_where_nothing_is() {
    is_quiet(Scenario::Quiet(Quiet::Plain));
}

#[test]
fn days_and_weeks_are_no_drift() {
    is_quiet(Scenario::Quiet(Quiet::Seasonal));
}

#[test]
fn other_bins_of_a_good_version_are_no_drift() {
    is_quiet(Scenario::Quiet(Quiet::GoodVersion));
}

#[test]
fn what_was_long_over_when_it_came_raises_no_alarm() {
    is_quiet(Scenario::Quiet(Quiet::LongOver));
}

#[test]
fn a_shift_of_all_sites() {
    is_found(Scenario::Sudden, 72);
}

#[test]
fn a_drift_of_all_sites() {
    is_found(Scenario::Gradual, 24 * 21);
}

#[test]
fn a_shift_of_one_site() {
    is_found(Scenario::OneSite, 96);
}

#[test]
fn a_sensor_of_one_device() {
    is_found(Scenario::Sensor, 24 * 7);
}

#[test]
fn another_mix_of_classes() {
    is_found(Scenario::Mix, 72);
}

#[test]
fn a_bad_version() {
    is_found(Scenario::BadVersion, 96);
    is_found(Scenario::BadVersionAtOnce, 96);
}

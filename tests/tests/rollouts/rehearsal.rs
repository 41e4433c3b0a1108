//! What a plan would do, before it does: on the fleet as it was recorded, and on one that somebody describes.

use std::fs;

use serde_json::{Value, json};
use tern_protocol::rest::{Chance, RehearsalRequest, Rehearsed, Share, SimulatedFleet, Spread};
use tern_tests::{
    agent::SLOT,
    cli,
    fleet::{Fleet, MODEL},
    played::Conduct,
};

use crate::field::{DEVICES, Field};

/// Runs with each kind of version: enough to see what is nearly always so.
const RUNS: u32 = 5;

/// The kinds of harm that are tried, as docs/decisions.md names them.
const HARMS: [&str; 5] = [
    "refused on one platform",
    "40 % slower",
    "3 points less accurate",
    "starts again after ten minutes",
    "one in four is never heard of again",
];

/// A plan as a person writes it.
fn plan(selector: &str) -> String {
    format!(
        "slot: {SLOT}\nmodel: {MODEL}\nversion: 2\nselector: {selector}\ncontrol: 40%\n\
         stages:\n  - {{to: 50%, soak: 1h, cap: 1d}}\n  - {{to: 100%, soak: 1h, cap: 1d}}\n\
         gates:\n  - serve-failure: {{limit: 10%}}\n  - errors: {{margin: 2%}}\n\
         \x20 - latency: {{budget: 12ms, margin: 5%}}\n  - accuracy: {{margin: 2%}}\n\
         \x20 - silence: {{after: 30m, margin: 15%}}\n  - memory: {{budget: 64MiB, margin: 5%}}\n"
    )
}

/// Two platforms, all devices alike.
const DESCRIBED: &str = "groups:
  - {site: harbour, platform: linux aarch64, count: 100, window: 1m, labels: 1}
  - {site: hill, platform: linux armv7, count: 60, window: 1m, labels: 1}
horizon: 10d
";

fn write(fleet: &Fleet, name: &str, text: &str) -> String {
    let file = fleet.dir().join(name);
    fs::write(&file, text).expect("a file in the test's own directory");
    file.to_str().expect("a plain name").to_owned()
}

#[track_caller]
fn rehearse(fleet: &Fleet, args: &[&str]) -> Rehearsed {
    let runs = RUNS.to_string();
    let args = [&["rollout", "rehearse"], args, &["--runs", &runs]].concat();
    serde_json::from_value(cli::tern_json(fleet, &args)).expect("as documented")
}

#[track_caller]
fn is_chance(what: &str, chance: Chance) {
    let Chance {
        times,
        of,
        low,
        high,
    } = chance;
    assert_eq!(of, u64::from(RUNS), "{what}");
    let share = times as f64 / of as f64;
    assert!(
        (0.0..=share).contains(&low) && (share..=1.0).contains(&high),
        "{what}: {chance:?}"
    );
    assert!(low < high, "so few runs leave room: {what}: {chance:?}");
}

#[track_caller]
fn is_spread(what: &str, spread: Option<Spread>) {
    if let Some(Spread { low, median, high }) = spread {
        let rises = 0.0 <= low && low <= median && median <= high && high.is_finite();
        assert!(rises, "{what}: {spread:?}");
    }
}

/// All numbers that the documentation promises, each within its interval.
#[track_caller]
fn is_whole(rehearsed: &Rehearsed, devices: u64) {
    let rehearsal = &rehearsed.rehearsal;
    assert_eq!((rehearsal.devices, rehearsal.runs), (devices, RUNS));
    is_chance("finished", rehearsal.finished);
    is_chance("false stops", rehearsal.false_stops);
    is_chance("asked", rehearsal.asked);
    is_spread("took", rehearsal.took_ms);
    is_spread("bytes", rehearsal.bytes);
    assert_eq!(rehearsal.took_ms.is_some(), rehearsal.finished.times > 0);
    assert_eq!(rehearsal.false_stops.times, 0, "{rehearsal:#?}");
    assert!(rehearsal.progress.len() > 1, "{:?}", rehearsal.progress);
    assert!(
        rehearsal
            .progress
            .is_sorted_by(|a, b| a.after_ms < b.after_ms),
        "{:?}",
        rehearsal.progress
    );
    for at in &rehearsal.progress {
        is_spread("progress", Some(at.done));
        assert!(at.done.high <= 1.0, "{at:?}");
    }
    let names: Vec<&str> = rehearsal
        .harms
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, HARMS);
    for harm in &rehearsal.harms {
        for chance in [harm.stopped, harm.asked, harm.finished] {
            is_chance(&harm.name, chance);
        }
        for spread in [harm.hurt, harm.hurt_hours, harm.touched, harm.took_ms] {
            is_spread(&harm.name, spread);
        }
        assert!(harm.effect.is_harm(), "{harm:?}");
        assert_eq!(harm.touched.is_some(), harm.stopped.times > 0, "{harm:?}");
        let touched = harm.touched.map_or(0.0, |touched| touched.high);
        assert!(touched <= devices as f64, "{harm:?}");
    }
    let refused = &rehearsal.harms[0];
    assert_eq!(refused.stopped.times, refused.stopped.of, "{refused:#?}");
}

#[test]
fn a_plan_is_rehearsed_on_the_fleet_as_it_was_recorded() {
    let field = Field::of(|_, _| Conduct::GOOD);
    field.goes_on_for(20);
    let fleet = &field.fleet;
    let file = write(fleet, "plan.yaml", &plan("site = harbour"));
    let rehearsed = rehearse(fleet, &[&file]);
    is_whole(&rehearsed, DEVICES as u64);
    assert!(rehearsed.recorded);
    let unknown = rehearsed.unknown.join("; ");
    assert!(unknown.contains("links"), "{unknown}");
    assert!(unknown.contains("memory"), "nothing knows of it: {unknown}");
    for known in ["windows", "labels", "latency"] {
        assert!(!unknown.contains(known), "{known} came: {unknown}");
    }

    // What was recorded is what was played.
    let groups = &rehearsed.fleet.groups;
    let of: Vec<_> = groups
        .iter()
        .map(|one| (&*one.platform, one.count))
        .collect();
    let half = DEVICES as u32 / 2;
    assert_eq!(of, [("linux aarch64", half), ("linux armv7", half)]);
    for group in groups {
        assert_eq!(group.site.as_str(), "harbour");
        assert_eq!(u64::from(group.inferences), Conduct::REQUESTS);
        assert!((0.8..=1.2).contains(&group.labels), "{group:?}");
        assert_eq!(group.errors.usual, Share::default(), "{group:?}");
        let wrong = group.wrong.usual.of_one();
        assert!((0.03..=0.2).contains(&wrong), "a tenth: {group:?}");
        let slow = group.slow.usual.of_one();
        assert!((0.15..=0.35).contains(&slow), "a quarter: {group:?}");
    }

    // Printed, it is a fleet that may be changed and given back.
    let printed = cli::tern(fleet, &["rollout", "rehearse", &file, "--print-fleet"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let mut twice: SimulatedFleet = serde_json::from_value(printed.json()).expect("a fleet");
    twice.groups[0].count *= 2;
    let twice = serde_json::to_string(&twice).expect("plain data");
    let twice = write(fleet, "twice.json", &twice);
    let rehearsed = rehearse(fleet, &[&file, "--fleet", &twice]);
    is_whole(&rehearsed, 3 * DEVICES as u64 / 2);
    assert!(!rehearsed.recorded && rehearsed.unknown.is_empty());

    let rollouts = fleet.client().rollouts().all().expect("they are listed");
    assert_eq!(rollouts.len(), 1, "nothing is started by it");
}

#[test]
fn a_plan_is_rehearsed_on_a_fleet_that_is_described_and_says_the_same_each_time() {
    let fleet = Fleet::empty();
    // Neither the model nor a device of it is there yet.
    let text = plan("site in (harbour, hill)").replace("version: 2\n", "");
    let file = write(&fleet, "plan.yaml", &text);
    let described = write(&fleet, "fleet.yaml", DESCRIBED);
    let rehearsed = rehearse(&fleet, &[&file, "--fleet", &described]);
    is_whole(&rehearsed, 160);
    assert!(!rehearsed.recorded && rehearsed.unknown.is_empty());
    let refused = rehearsed.rehearsal.harms[0].touched.expect("it is stopped");
    // Half of those that are not control, in each run.
    assert!(refused.low > 47.5 && refused.high < 48.5, "{refused:?}");

    let plan = cli::tern_json(&fleet, &["rollout", "plan", &file]);
    let request = RehearsalRequest {
        plan: serde_json::from_value(plan).expect("a plan"),
        fleet: Some(rehearsed.fleet.clone()),
        runs: RUNS,
    };
    let again = fleet.client().rehearse(&request).expect("it is rehearsed");
    assert_eq!(again, rehearsed, "by API as by command line");

    let args = [
        "rollout", "rehearse", &file, "--fleet", &described, "--runs", "5",
    ];
    let shown = cli::tern(&fleet, &args);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let says = [
        "a version that does no harm",
        "160 devices, as described",
        "reaches all",
        "stopped wrongly",
        "versions that do harm",
        "HURT BEFORE",
    ];
    for says in says.into_iter().chain(HARMS) {
        assert!(shown.out.contains(says), "{says}: {}", shown.out);
    }
}

#[test]
fn what_cannot_be_rehearsed_is_said_with_its_place() {
    let fleet = Fleet::empty();
    let good = write(&fleet, "good.yaml", &plan("site = harbour"));
    let bad = plan("site = harbour").replace("to: 100%", "to: 20%");
    let bad = write(&fleet, "bad.yaml", &bad);
    let none = write(&fleet, "none.yaml", "slot: [");
    let nobody = plan("site = moon").replace("version: 2\n", "");
    let nobody = write(&fleet, "nobody.yaml", &nobody);
    let described = write(&fleet, "fleet.yaml", DESCRIBED);
    let empty = write(&fleet, "empty.yaml", "groups: []\n");
    let window = DESCRIBED.replace("window: 1m", "window: 1ms");
    let window = write(&fleet, "window.yaml", &window);
    let colour = write(&fleet, "colour.yaml", "groups: [{count: 3, colour: red}]\n");
    let missing = fleet.dir().join("missing.yaml");
    let missing = missing.to_str().expect("a plain name");
    for (args, says) in [
        (&[&*bad, "--fleet", &described][..], "stages[1].to"),
        (&[&*none], "is no plan"),
        (&[missing], "cannot be read"),
        (&[&*nobody], "no device matches the plan's selector"),
        (&[&*good], "there is no model"),
        (&[&*good, "--fleet", &empty], "groups: 0 devices"),
        (&[&*good, "--fleet", &window], "groups[0].window"),
        (&[&*good, "--fleet", &colour], "is no fleet"),
        (&[&*good, "--runs", "0"], "--runs"),
    ] {
        let ran = cli::tern(&fleet, &[&["rollout", "rehearse"], args].concat());
        assert_eq!(ran.code, Some(2), "{says}: {ran:?}");
        assert!(ran.log.contains(says), "{says}: {ran:?}");
        assert_eq!(ran.out, "", "{says}");
    }

    let plan = json!({
        "slot": SLOT, "model": MODEL, "version": 2,
        "stages": [{ "to": "50%" }, { "to": "20%" }, { "to": "100%" }],
    });
    let body = json!({ "plan": plan, "fleet": { "groups": [{ "count": 0 }] } });
    let url = format!("{}/api/v1/w/default/plans/rehearse", fleet.hub.url());
    let answer = fleet.hub.http().post(&url, &body.to_string());
    let answer = answer.expect("the hub answers");
    assert_eq!(answer.status, 422, "{answer:?}");
    let problem = answer.json();
    let findings = problem["findings"].as_array().expect("what is wrong, each");
    let at: Vec<&Value> = findings.iter().map(|one| &one["subject"]).collect();
    assert_eq!(at, ["stages[1].to", "groups"], "{problem}");
}

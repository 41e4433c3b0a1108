//! Who gets what, and when.

use std::collections::BTreeSet;

use tern_protocol::rest::{
    Abort, Moved, RolloutDeviceState, RolloutState, RolloutView, Selector, Widen,
};
use tern_tests::{
    agent::SLOT,
    cli,
    fleet::{Fleet, MODEL, meter},
    package, wait,
};

#[test]
fn a_share_moves_and_keeps_its_devices_as_it_widens_pauses_and_is_aborted() {
    let fleet = Fleet::of(6);
    // Only who moves matters here, so the models are small.
    let versions = [1, 2].map(|seed| package::random(fleet.dir(), seed, 16));
    fleet.serve(&versions[0]);
    let second = fleet.publish(&versions[1]);

    let started = fleet.roll_out_to(second.version, Selector::default(), 50);
    let half = fleet.rollout_until(started.id, "to prove its half", |view| {
        view.counts.targeted > 0 && view.counts.serving == view.counts.targeted
    });
    assert!((1..6).contains(&half.counts.targeted), "{half:?}");
    let moved = serving(&half);
    agents_agree(&fleet, &moved);

    // Paused, it assigns nothing more, even when it is widened.
    let client = fleet.client();
    let paused = client
        .pause(started.id)
        .expect("a running rollout can be paused");
    assert_eq!(paused.state, RolloutState::Paused);
    client
        .widen(started.id, Widen { percent: 100 })
        .expect("a paused rollout can be widened");
    let back = client
        .widen(started.id, Widen { percent: 10 })
        .expect_err("a share only grows");
    assert!(
        back.problem().is_some_and(|problem| problem.status < 500),
        "{back}"
    );
    // The hub looks at its rollouts every five seconds if nothing else makes it.
    let seen = fleet.agents[0].status().uptime_ms;
    wait::until("the hub to have looked", || {
        let passed = fleet.agents[0].status().uptime_ms - seen;
        wait::that(passed > 6_000, || format!("{passed} ms"))
    });
    agents_agree(&fleet, &moved);

    client
        .resume(started.id)
        .expect("a paused rollout can be resumed");
    let all = fleet.rollout_until(started.id, "to prove all", |view| view.counts.serving == 6);
    assert!(
        serving(&all).is_superset(&moved),
        "the same devices stay in as it grows"
    );
    for agent in &fleet.agents {
        agent.serves(2);
    }

    let aborted = client.abort(started.id, Abort { moved: Moved::Back });
    assert_eq!(
        aborted.expect("a rollout can be aborted").state,
        RolloutState::Aborted
    );
    for agent in &fleet.agents {
        agent.serves(1);
    }
    agents_agree(&fleet, &BTreeSet::new());
    let over = client
        .resume(started.id)
        .expect_err("what is over stays over");
    assert!(
        over.problem()
            .is_some_and(|problem| (400..500).contains(&problem.status)),
        "{over}"
    );
}

#[test]
fn a_rollout_reaches_the_devices_it_selects_also_those_that_join_later() {
    let mut fleet = Fleet::empty();
    for (number, lens) in [(1, "glass"), (2, "plastic"), (3, "plastic")] {
        fleet.add(&meter(number).label("lens", lens));
    }
    let package = package::random(fleet.dir(), 1, 16);
    let version = fleet.publish(&package);
    let plastic = Selector {
        labels: [("lens".into(), "plastic".into())].into(),
        ..Selector::default()
    };
    let rollout = fleet.roll_out_to(version.version, plastic, 100);
    let done = fleet.rollout_until(rollout.id, "to prove two", |view| view.counts.serving == 2);
    assert_eq!(serving(&done), names(&["meter-02", "meter-03"]));

    let late = fleet.add(&meter(4).label("lens", "plastic"));
    fleet.agents[late].serves(1);
    let done = fleet.rollout_until(rollout.id, "to prove three", |view| {
        view.counts.serving == 3
    });
    assert_eq!(serving(&done), names(&["meter-02", "meter-03", "meter-04"]));
    assert_eq!(
        fleet.agents[0].status().version(),
        None,
        "glass was not selected"
    );
    assert!(
        fleet
            .device("meter-01")
            .slots
            .iter()
            .all(|slot| slot.assigned.is_none())
    );
}

#[test]
fn a_rollout_reaches_the_devices_of_which_an_expression_holds() {
    let mut fleet = Fleet::empty();
    for (number, lens) in [(1, "glass"), (2, "plastic"), (3, "plastic"), (4, "plastic")] {
        let device = meter(number).label("lens", lens);
        fleet.add(&if number == 3 {
            device.label("fragile", "")
        } else {
            device
        });
    }
    let package = package::random(fleet.dir(), 1, 16);
    let version = fleet.publish(&package);
    let start = |select: &str| {
        let target = format!("{MODEL}@{}", version.version);
        let args = [
            "rollout", "start", &target, "--slot", SLOT, "--select", select,
        ];
        cli::tern(&fleet, &args)
    };
    let select = "label.lens in (plastic, quartz) and not (label.fragile or site = harbour)";
    let started = start(select);
    assert_eq!(started.code, Some(0), "{started:?}");
    assert!(started.out.contains(select), "{}", started.out);
    let rollouts = fleet.client().rollouts().all().expect("it lists rollouts");
    let done = fleet.rollout_until(rollouts[0].id, "to be proven", |view| {
        view.state == RolloutState::Complete
    });
    assert_eq!(serving(&done), names(&["meter-02", "meter-04"]));
    let page = format!("{}/rollouts/{}", fleet.hub.url(), done.id);
    let page = fleet.hub.http().get(&page).expect("the page");
    assert!(page.body.contains(select), "{}", page.body);

    let refused = start("lens = plastic");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.log.contains("`label.NAME` is expected, not `lens`"),
        "{refused:?}"
    );
    // And whoever asks by REST.
    let body = serde_json::json!({
        "slot": SLOT, "model": MODEL, "version": 1, "selector": { "expression": "site in ()" },
    });
    let url = format!("{}/api/v1/w/default/rollouts", fleet.hub.url());
    let answer = fleet
        .hub
        .http()
        .post(&url, &body.to_string())
        .expect("an answer");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert!(
        answer.body.contains("a value is expected, not `)`"),
        "{answer:?}"
    );
}

fn serving(view: &RolloutView) -> BTreeSet<String> {
    let there = view
        .devices
        .iter()
        .filter(|one| one.state == RolloutDeviceState::Serving);
    there.map(|one| one.device.to_string()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The agents themselves say that exactly `moved` serve version 2, the others version 1.
#[track_caller]
fn agents_agree(fleet: &Fleet, moved: &BTreeSet<String>) {
    for agent in &fleet.agents {
        let expected = if moved.contains(agent.device()) { 2 } else { 1 };
        assert_eq!(
            agent.status().version(),
            Some(expected),
            "{}",
            agent.device()
        );
    }
}

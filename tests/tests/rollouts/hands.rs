//! What persons do with rollouts that decide by evidence.

use tern_protocol::rest::{Deed, RolloutState};
use tern_tests::{
    agent::SLOT,
    cli,
    fleet::{Fleet, MODEL, meter},
    package,
    played::Conduct,
    wait,
};

use crate::field::{Field, THROUGH, USUAL, deeds, plan};

#[test]
fn a_plan_is_a_file_that_is_checked_kept_and_started() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let file = field.fleet.dir().join("plan.yaml");
    let path = file.to_str().expect("a path");
    let wrong = format!(
        "slot: {SLOT}\nmodel: {MODEL}\nversion: 2\ncontrol: 0\nstages:\n  - to: 50%\n  - to: 20%\n"
    );
    std::fs::write(&file, wrong).expect("it is written");
    let checked = cli::tern(&field.fleet, &["rollout", "plan", path, "--check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    for says in [
        "stages[1].to: is 20% and the stage before goes to 50%",
        "the plan keeps none",
    ] {
        assert!(checked.out.contains(says), "{}", checked.out);
    }
    let refused = cli::tern(&field.fleet, &["rollout", "start", "--plan", path]);
    assert_eq!(refused.code, Some(2), "{refused:?}");

    std::fs::write(&file, "slot: [").expect("it is written");
    let refused = cli::tern(&field.fleet, &["rollout", "plan", path, "--check"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.log.contains("is no plan"), "{refused:?}");

    let right = format!(
        "# Slowly, please.\nslot: {SLOT}\nmodel: {MODEL}\nselector: site in (harbour) and not label.fragile\n\
         control: 25%\nstages:\n  - {{to: 4, soak: 1s}}\n  - {{to: 100%, soak: 1s}}\n\
         gates:\n  - serve-failure: {{limit: 10%}}\n  - errors: {{margin: 2%}}\n"
    );
    std::fs::write(&file, right).expect("it is written");
    let checked = cli::tern(&field.fleet, &["rollout", "plan", path, "--check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked
            .out
            .contains("60 devices selected now, 15 kept as control"),
        "{}",
        checked.out
    );
    let kept = cli::tern(&field.fleet, &["rollout", "plan", path, "--save", "slow"]);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    let listed = cli::tern(&field.fleet, &["rollout", "template", "list", MODEL]);
    assert!(
        listed.out.contains("slow") && listed.out.contains("4, 100%"),
        "{listed:?}"
    );
    let target = format!("{MODEL}@2");
    let started = cli::tern(
        &field.fleet,
        &[
            "rollout",
            "start",
            &target,
            "--template",
            "slow",
            "--watch",
            "--timeout",
            "2m",
        ],
    );
    assert_eq!(started.code, Some(0), "{started:?}");
    let replayed = cli::tern(&field.fleet, &["rollout", "replay", "2"]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert!(replayed.out.contains("byte for byte"), "{}", replayed.out);
    let shown = cli::tern(&field.fleet, &["rollout", "show", "2"]);
    assert!(
        shown.out.contains("serve-failure") && shown.out.contains("release"),
        "{}",
        shown.out
    );
    let removed = cli::tern(
        &field.fleet,
        &["rollout", "template", "remove", MODEL, "slow"],
    );
    assert_eq!(removed.code, Some(0), "{removed:?}");

    let schema = cli::tern(&field.fleet, &["rollout", "plan", "--schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.out).expect("it is JSON");
    let of_plan = &schema["components"]["schemas"]["Plan"]["properties"];
    assert!(of_plan["stages"].is_object(), "{schema}");
}

#[test]
fn one_command_freezes_all_and_one_thaws() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let frozen = cli::tern(&field.fleet, &["freeze", "--reason", "storm tonight"]);
    assert_eq!(frozen.code, Some(0), "{frozen:?}");
    assert!(frozen.out.contains("storm tonight"), "{}", frozen.out);
    let id = field.start(&plan(USUAL));
    let by_hand = field.fleet.roll_out(field.versions[1].version);
    field.fleet.rollout_until(id, "to begin", |view| {
        view.evidence
            .as_ref()
            .is_some_and(|evidence| !evidence.decisions.is_empty())
    });
    assert!(field.played.serving().values().all(|version| *version == 1));
    for page in ["/", "/rollouts"] {
        let url = format!("{}{page}", field.fleet.hub.url());
        let page = field.fleet.hub.http().get(&url).expect("the page");
        assert!(page.body.contains("storm tonight"), "{}", page.body);
    }
    field
        .fleet
        .client()
        .abort(by_hand.id, tern_protocol::rest::Abort::default())
        .expect("it is aborted");
    assert_eq!(cli::tern(&field.fleet, &["thaw"]).code, Some(0));
    assert_eq!(
        cli::tern(&field.fleet, &["freeze", "--status"]).code,
        Some(1)
    );
    field.fleet.rollout_until(id, "to be complete", |view| {
        view.state == RolloutState::Complete
    });
    let audit = cli::tern(&field.fleet, &["audit", "list"]);
    for deed in ["rollout.freeze", "rollout.thaw", "rollout.start"] {
        assert!(audit.out.contains(deed), "{}", audit.out);
    }
}

#[test]
fn a_stage_that_asks_waits_for_a_person_who_may_approve_pause_and_abort() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let mut asks = plan(USUAL);
    asks.stages[0].approval = true;
    let id = field.start(&asks);
    let waits = field
        .fleet
        .rollout_until(id, "to ask", |view| view.state == RolloutState::Waiting);
    assert_eq!(deeds(&waits), [Deed::Start, Deed::Ask]);
    assert!(
        waits.reason.contains("waits for a person's approval"),
        "{}",
        waits.reason
    );
    let before = waits.counts.targeted;
    let number = id.to_string();
    let watched = cli::tern(&field.fleet, &["rollout", "watch", &number]);
    assert_eq!(watched.code, Some(1), "{watched:?}");
    let approved = cli::tern(&field.fleet, &["rollout", "approve", &number]);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    let second = field
        .fleet
        .rollout_until(id, "to go on", |view| view.counts.targeted > before);
    assert!(deeds(&second).contains(&Deed::Approve));
    let client = field.fleet.client();
    client.pause(id).expect("it is paused");
    field.fleet.rollout_until(id, "to note the pause", |view| {
        deeds(view).contains(&Deed::Pause)
    });
    client
        .abort(id, tern_protocol::rest::Abort::default())
        .expect("it is aborted");
    field.fleet.rollout_until(id, "to be taken back", |view| {
        view.state == RolloutState::Aborted
            && view.counts.stages.assigned == 0
            && deeds(view).contains(&Deed::Abort)
    });
    wait::until("all to serve version 1", || {
        let serving = field.played.serving();
        wait::that(serving.values().all(|version| *version == 1), || {
            format!("{serving:?}")
        })
    });
    field.replays(id);
    let over = client.approve(id).expect_err("it is over");
    assert!(
        over.problem().is_some_and(|problem| problem.status == 409),
        "{over}"
    );
}

#[test]
fn a_closed_calendar_moves_nobody_and_says_so() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let mut closed = plan(USUAL);
    // The hour that begins in twelve hours, in the zone in which the devices live.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let now = now.as_secs() / 3_600 % 24;
    let (from, to) = ((now + 11) % 24, (now + 12) % 24);
    let hours = format!(r#"{{"open":[{{"from":"{from:02}:00","to":"{to:02}:00"}}]}}"#);
    closed.calendar = Some(serde_json::from_str(&hours).expect("a calendar"));
    let id = field.start(&closed);
    let view = field.fleet.rollout_until(id, "to begin", |view| {
        view.evidence
            .as_ref()
            .is_some_and(|evidence| evidence.waiting > 0)
    });
    assert_eq!(view.counts.targeted, 0);
    let waiting = view
        .devices
        .iter()
        .filter(|one| one.reason.contains("calendar"));
    assert_eq!(waiting.count(), 18, "{:?}", view.devices);
}

#[test]
fn of_two_rollouts_the_one_with_precedence_has_the_device() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let mut first = plan(r#"{"serve-failure":{"limit":"10%"}}"#);
    first.precedence = 7;
    first.control = serde_json::from_str("0").expect("a size");
    first.stages.remove(0);
    let id = field.start(&first);
    field.fleet.rollout_until(id, "to be complete", |view| {
        view.state == RolloutState::Complete
    });
    // A newer one by hand takes nobody from it.
    let one = field
        .fleet
        .client()
        .model(&MODEL.parse().expect("a name"))
        .expect("it is there");
    let oldest = one
        .versions
        .iter()
        .map(|view| view.version)
        .min()
        .expect("a version");
    let by_hand = field.fleet.roll_out(oldest);
    let by_hand = field
        .fleet
        .rollout_until(by_hand.id, "to be superseded", |view| {
            view.state == RolloutState::Superseded
        });
    assert_eq!(by_hand.counts.targeted, 0, "{by_hand:?}");
    assert!(field.played.serving().values().all(|version| *version == 2));
}

#[test]
fn a_page_shows_stages_gates_and_decisions_and_the_overview_says_who_waits() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let mut asks = plan(USUAL);
    asks.stages[0].approval = true;
    let id = field.start(&asks);
    field
        .fleet
        .rollout_until(id, "to ask", |view| view.state == RolloutState::Waiting);
    let url = format!("{}/rollouts/{id}", field.fleet.hub.url());
    let page = field.fleet.hub.http().get(&url).expect("the page").body;
    for says in [
        "Stage 1",
        "Control",
        "serve-failure",
        "Approve next stage",
        "polyline",
        "passed all gates",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let overview = field
        .fleet
        .hub
        .http()
        .get(&field.fleet.hub.url())
        .expect("the page")
        .body;
    assert!(overview.contains("waits for a person"), "{overview}");
}

#[test]
fn real_agents_go_through_the_stages() {
    let mut fleet = Fleet::empty();
    for number in 1..=6 {
        fleet.add(&meter(number).activation("trial = \"1s\""));
    }
    let versions = [1, 2].map(|seed| package::random(fleet.dir(), seed, 16));
    fleet.serve(&versions[0]);
    fleet.publish(&versions[1]);
    let inputs = versions[0].samples();
    let addresses: Vec<_> = fleet
        .agents
        .iter()
        .map(tern_tests::agent::Agent::address)
        .collect();
    let traffic = tern_tests::traffic::Traffic::start(addresses, &inputs);
    let json = plan(r#"{"serve-failure":{"limit":"20%"}},{"errors":{"margin":"5%"}}"#);
    let view = fleet.client().start_plan(&json).expect("it starts");
    let done = fleet.rollout_until(view.id, "to be complete", |view| {
        assert!(!view.state.is_over(), "{view:#?}");
        view.state == RolloutState::Complete
    });
    assert_eq!(done.counts.stages.confirmed, 6, "{done:?}");
    assert_eq!(deeds(&done), THROUGH);
    for agent in &fleet.agents {
        agent.serves(2);
    }
    let answers = traffic.stop();
    assert!(answers.failed.is_empty(), "{:?}", answers.failed.first());
}

#[test]
fn a_shadow_stage_sees_real_traffic_and_a_candidate_that_answers_otherwise_reaches_nobody() {
    let mut fleet = Fleet::empty();
    for number in 1..=4 {
        fleet.add(&meter(number).activation("trial = \"1s\""));
    }
    let first = package::random(fleet.dir(), 1, 16);
    fleet.serve(&first);
    let addresses = fleet.agents.iter().map(tern_tests::agent::Agent::address);
    let traffic =
        tern_tests::traffic::Traffic::start(addresses.collect::<Vec<_>>(), &first.samples());

    // Nearly the same weights: it may serve. Others: their answers are held against them.
    for (package, expected) in [
        (package::random(fleet.dir(), 2, 16), Deed::Ask),
        (package::nudged(fleet.dir(), 1, 16), Deed::Advance),
    ] {
        let version = fleet.publish(&package).version;
        let mut shadows = plan(r#"{"serve-failure":{"limit":"20%"}}"#);
        let disagreement = r#"{"disagreement":{"limit":"30%"}}"#;
        shadows
            .gates
            .push(serde_json::from_str(disagreement).expect("a gate"));
        shadows.version = Some(version);
        shadows.control = "0".parse().expect("a size");
        shadows.stages[0].to = "100%".parse().expect("a size");
        shadows.stages[0].shadow = true;
        shadows.stages[0].cap = "20s".parse().expect("a span");
        shadows.stages[1].to = "100%".parse().expect("a size");
        let id = fleet.client().start_plan(&shadows).expect("it starts").id;
        let view = fleet.rollout_until(id, "to be judged", |view| {
            deeds(view)
                .iter()
                .any(|deed| [Deed::Ask, Deed::Advance, Deed::Stop].contains(deed))
        });
        let judged = deeds(&view)[1];
        if expected == Deed::Advance {
            assert_eq!(judged, Deed::Advance, "{view:#?}");
            fleet.rollout_until(id, "to be complete", |view| {
                view.state == RolloutState::Complete
            });
            for agent in &fleet.agents {
                agent.serves(version.get());
            }
        } else {
            assert_ne!(judged, Deed::Advance, "{view:#?}");
            for agent in &fleet.agents {
                assert_eq!(agent.status().version(), Some(1), "nobody serves it");
            }
            let seen = view.evidence.as_ref().expect("it has a plan");
            let seen = seen.gates.iter().find(|gate| gate.gate == "disagreement");
            assert!(seen.is_some_and(|gate| gate.treated > 0), "{view:#?}");
            if !view.state.is_over() {
                let abort = tern_protocol::rest::Abort::default();
                fleet.client().abort(id, abort).expect("it is aborted");
            }
        }
    }
    let answers = traffic.stop();
    assert!(answers.failed.is_empty(), "{:?}", answers.failed.first());
}

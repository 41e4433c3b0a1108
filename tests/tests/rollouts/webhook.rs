//! A gate that asks a program of somebody else.

use std::collections::BTreeSet;

use tern_protocol::{
    id::RolloutId,
    rest::{Deed, Plan, RolloutState, RolloutView, Verdict},
};
use tern_tests::{
    fleet::MODEL,
    played::Conduct,
    receiver::{Got, Receiver},
    wait,
};

use crate::field::{FIRST, Field, THROUGH, USUAL, deeds, plan};

const PASS: &str = r#"{"verdict":"pass","reason":"the line lead has seen it"}"#;
const FAIL: &str = r#"{"verdict":"fail","reason":"bottles on the floor"}"#;

/// What is usual, and this receiver asked about it every second.
fn asking(receiver: &Receiver) -> Plan {
    let url = receiver.url();
    plan(&format!(
        r#"{USUAL},{{"webhook":{{"url":"{url}","every":"1s"}}}}"#
    ))
}

fn sentence(view: &RolloutView) -> String {
    let evidence = view.evidence.as_ref().expect("it has a plan");
    let gate = evidence.gates.iter().find(|one| one.gate == "webhook");
    gate.map(|one| one.sentence.clone()).unwrap_or_default()
}

/// Waits until the gate says this, with nobody moved beyond the first stage.
#[track_caller]
fn until_it_says(field: &Field, id: RolloutId, what: &str) {
    let told = format!("to say: {what}");
    field.fleet.rollout_until(id, &told, |view| {
        assert!(!view.state.is_over(), "{what}: {}", view.reason);
        assert!(
            view.counts.targeted <= FIRST as u64,
            "{what}: it went on: {view:#?}"
        );
        sentence(view).contains(what)
    });
}

/// A question, as it is documented.
#[track_caller]
fn assert_asked(got: &Got, id: RolloutId, stage: u64, admitted: usize) {
    assert!(got.request.starts_with("POST /hook?token="), "{got:?}");
    assert_eq!(got.header("content-type"), "application/json");
    let body = got.json();
    let says = |name: &str| body[name].to_string();
    assert_eq!(says("workspace"), r#""default""#);
    assert_eq!(says("rollout"), id.to_string());
    assert_eq!(says("model"), format!("\"{MODEL}\""));
    assert_eq!(says("version"), "2");
    assert_eq!(says("stage"), stage.to_string());
    assert_eq!(body["devices"]["admitted"], admitted, "{body}");
    let gates = body["gates"].as_array().expect("the gates' verdicts");
    assert_eq!(gates.len(), 5, "the usual four and its own: {body}");
    for gate in gates {
        // It is asked about what all others let pass.
        let asks = gate["gate"] == "webhook";
        let verdict = if asks { "inconclusive" } else { "pass" };
        assert_eq!(gate["verdict"], verdict, "{gate}");
        assert!(asks || gate["treated"].as_u64() > Some(0), "{gate}");
        assert!(gate["sentence"].is_string() && gate["harm"].is_number());
    }
}

#[test]
fn a_pass_lets_each_stage_go_on_and_is_asked_for_once_in_each() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let receiver = Receiver::start(&[]);
    receiver.says(200, PASS);
    let id = field.start(&asking(&receiver));
    let done = field.over(id, "it passes");
    assert_eq!(done.state, RolloutState::Complete, "{}", done.reason);
    assert_eq!(deeds(&done), THROUGH);
    let got = receiver.got();
    assert_eq!(got.len(), 2, "one question in each stage: {got:#?}");
    assert_asked(&got[0], id, 1, FIRST);
    assert_asked(&got[1], id, 2, 2 * FIRST);
    let evidence = done.evidence.as_ref().expect("it has a plan");
    let advance = &evidence.decisions[1];
    let said = advance.gates.iter().find(|one| one.gate == "webhook");
    let said = said.expect("the decision names the gate");
    assert_eq!(said.verdict, Verdict::Pass);
    assert!(said.sentence.contains("the line lead has seen it"));
    field.replays(id);
}

#[test]
fn a_fail_stops_it_and_takes_back_what_was_moved() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let receiver = Receiver::start(&[]);
    receiver.says(200, FAIL);
    let id = field.start(&asking(&receiver));
    let touched = field.stops(id, "webhook");
    assert_eq!(touched.len(), FIRST);
    field.all_serve(1, &BTreeSet::new());
    let view = field.fleet.client().rollout(id).expect("it is there");
    assert!(view.reason.contains("bottles on the floor"), "{view:?}");
    assert_eq!(receiver.got().len(), 1, "it is not asked again");
}

#[test]
fn whatever_else_it_says_is_no_pass_and_it_is_asked_again() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let receiver = Receiver::start(&[]);
    receiver.says(500, PASS);
    let id = field.start(&asking(&receiver));
    until_it_says(&field, id, "answered 500");
    for (status, body, says) in [
        (302, PASS, "answered 302"),
        (200, "all is well", "its answer is not"),
        (204, "", "its answer is not"),
        (
            200,
            r#"{"verdict":"inconclusive","reason":"at lunch"}"#,
            "at lunch",
        ),
        (
            200,
            r#"{"verdict":"yes","reason":"go"}"#,
            "its answer is not",
        ),
    ] {
        receiver.says(status, body);
        until_it_says(&field, id, says);
    }
    let before = receiver.got().len();
    receiver.hold();
    until_it_says(&field, id, "no answer within 10 s");
    // One that is slow is not asked again and again meanwhile; perhaps once more, now that it is late.
    let asked = receiver.got().len() - before;
    assert!((1..=2).contains(&asked), "{asked} questions in ten seconds");
    let view = field.fleet.client().rollout(id).expect("it is there");
    assert_eq!(deeds(&view), [Deed::Start]);

    receiver.says(200, PASS);
    receiver.let_go();
    let done = field.over(id, "it passes at last");
    assert_eq!(deeds(&done), THROUGH);
    field.replays(id);
}

#[test]
fn without_a_word_a_person_is_asked_at_the_cap_and_a_pass_that_comes_later_counts() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let receiver = Receiver::start(&[]);
    receiver.says(503, "");
    let mut plan = asking(&receiver);
    plan.stages[0].cap = "10s".parse().expect("a span");
    let id = field.start(&plan);
    let waits = field.fleet.rollout_until(id, "to ask a person", |view| {
        assert!(view.counts.targeted <= FIRST as u64, "{view:#?}");
        view.state == RolloutState::Waiting
    });
    assert_eq!(deeds(&waits), [Deed::Start, Deed::Ask]);
    assert!(waits.reason.contains("webhook"), "{}", waits.reason);
    receiver.says(200, PASS);
    let done = field.fleet.rollout_until(id, "to go on by itself", |view| {
        assert!(!view.state.is_over(), "{}", view.reason);
        view.state == RolloutState::Complete
    });
    let by_itself = [
        Deed::Start,
        Deed::Ask,
        Deed::Advance,
        Deed::Release,
        Deed::Complete,
    ];
    assert_eq!(deeds(&done), by_itself);
    field.replays(id);
}

#[test]
fn a_hub_that_is_killed_with_a_question_open_asks_again_and_goes_on() {
    let mut field = Field::of(|_, _| Conduct::GOOD);
    let receiver = Receiver::start(&[]);
    receiver.says(200, PASS);
    receiver.hold();
    let id = field.start(&asking(&receiver));
    wait::until("a question", || {
        wait::that(!receiver.got().is_empty(), || "none yet".into())
    });
    field.fleet.hub.kill_9();
    // What nobody hears any more is no answer.
    receiver.let_go();
    field.fleet.run_hub();
    let done = field.over(id, "it was killed");
    assert_eq!(deeds(&done), THROUGH);
    let stages = receiver.got();
    let stages: Vec<_> = stages
        .iter()
        .map(|got| got.json()["stage"].clone())
        .collect();
    assert_eq!(stages, [1, 1, 2], "the first was asked twice");
    field.all_serve(2, &BTreeSet::new());
    field.replays(id);
}

//! Steering a rollout, and stopping all of them, in a real browser: by mouse and by keyboard.

use tern_protocol::rest::{AttentionKind, Deed, Plan, RolloutState};
use tern_tests::{
    browser::{Browser, control, field as element, keys},
    played::Conduct,
    wait,
};

use crate::field::{DEVICES, FIRST, Field, USUAL, deeds, plan_of};

/// A person approves each stage.
fn approved() -> Plan {
    plan_of(&format!(
        r#""control":"40%","stages":[{{"to":"50%","soak":"1s","approval":true}},{{"to":"100%","soak":"1s","approval":true}}],
        "gates":[{USUAL}]"#
    ))
}

#[test]
fn a_rollout_that_waits_is_approved_by_mouse_and_all_are_frozen_and_thawed_by_keyboard() {
    let field = Field::of(|_, _| Conduct::GOOD);
    let Some(browser) = Browser::start(field.fleet.dir()) else {
        return;
    };
    let id = field.start(&approved());
    field
        .fleet
        .rollout_until(id, "to ask", |view| view.state == RolloutState::Waiting);
    let url = field.fleet.hub.url();
    let page = format!("{url}/rollouts/{id}");

    // From what needs a person to its page, and there to the button.
    browser.open(&url);
    browser.shows("waits for a person");
    browser.open(&page);
    browser.shows("waits for a person's approval");
    browser.assert_sound();
    browser.click(&control("Approve next stage …"));
    browser.shows("Begin the next stage?");
    browser.click(&control("Not yet"));
    let open = "return document.getElementById('approve').open";
    wait::until("the question to be gone", || {
        wait::that(browser.run(open) == false, || browser.text())
    });
    browser.click(&control("Approve next stage …"));
    browser.shows("Begin the next stage?");
    browser.click(&control("Approve"));
    browser.shows("Approved; it goes on at its next look.");
    let second = field.fleet.rollout_until(id, "to go on", |view| {
        view.counts.targeted == 2 * FIRST as u64 && view.state == RolloutState::Waiting
    });
    assert_eq!(
        deeds(&second),
        [Deed::Start, Deed::Ask, Deed::Approve, Deed::Ask],
        "what was not approved at first was not told the hub"
    );
    browser.shows("Stage 2");
    browser.assert_sound();

    // The red button, without a mouse; the reason for those who find it.
    browser.open(&format!("{url}/rollouts"));
    browser.tab_to(&control("Freeze all rollouts …"));
    browser.press(keys::ENTER);
    browser.shows("Freeze all rollouts?");
    browser.press(keys::ESCAPE);
    assert_eq!(field.fleet.client().frozen().expect("it says so"), None);
    browser.tab_to(&control("Freeze all rollouts …"));
    browser.press(keys::ENTER);
    browser.tab_to(&element("reason"));
    browser.press("storm tonight");
    browser.tab_to(&control("Freeze"));
    browser.press(keys::ENTER);
    browser.shows("Frozen: no device is moved until somebody thaws it.");
    browser.shows("storm tonight");
    browser.assert_sound();
    browser.open(&url);
    browser.shows("froze the workspace, so no device is moved: storm tonight");
    browser.assert_sound();

    // What is approved now is decided, and carried out by nobody.
    browser.open(&page);
    browser.click(&control("Approve next stage …"));
    browser.click(&control("Approve"));
    browser.shows("Approved; it goes on at its next look.");
    field.fleet.rollout_until(id, "to be approved", |view| {
        let approved = deeds(view).into_iter().filter(|one| *one == Deed::Approve);
        approved.count() == 2
    });
    let before = field.played.serving();
    field.goes_on_for(8);
    assert_eq!(field.played.serving(), before, "somebody was moved");
    let moved = before.values().filter(|version| **version == 2).count();
    assert_eq!(moved, 2 * FIRST);
    let told = field.fleet.overview().attention;
    let frozen = told.iter().any(|one| one.kind == AttentionKind::Frozen);
    assert!(frozen, "{told:?}");

    browser.open(&format!("{url}/rollouts"));
    browser.tab_to(&control("Thaw"));
    browser.press(keys::ENTER);
    browser.shows("Thawed; rollouts go on.");
    browser.shows("Freeze all rollouts …");
    let done = field.fleet.rollout_until(id, "to be complete", |view| {
        view.state == RolloutState::Complete
    });
    assert_eq!(done.counts.serving, DEVICES as u64);
    browser.open(&url);
    let text = browser.text();
    assert!(!text.contains("froze the workspace"), "{text}");
    browser.assert_sound();
}

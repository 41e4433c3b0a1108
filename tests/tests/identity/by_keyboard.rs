//! The pages of access in a real browser, used without a mouse.

use serde_json::json;
use tern_protocol::rest::{IdentityState, NewUser, NoticeKind, SetupLink};
use tern_tests::{
    admin,
    agent::Agent,
    browser::{Browser, control, field, keys},
    fleet::{Fleet, meter},
    receiver::Receiver,
    wait,
};

fn fill(browser: &Browser, id: &str, text: &str) {
    browser.tab_to(&field(id));
    browser.press(text);
}

fn log_in(browser: &Browser, fleet: &Fleet, path: &str) {
    browser.open(&format!("{}{path}", fleet.hub.url()));
    browser.arrives_at("/login");
    fill(browser, "user", admin::NAME);
    fill(browser, "password", admin::PASSWORD);
    browser.press(keys::ENTER);
}

#[test]
fn a_device_is_invited_accepted_and_revoked_by_keyboard_alone() {
    let fleet = Fleet::secured(&[]);
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    log_in(&browser, &fleet, "/access/invitations");
    browser.arrives_at("/access/invitations");
    browser.tab_to(&control("Invite devices"));
    browser.press(keys::ENTER);
    fill(&browser, "site", "harbour");
    browser.tab_to(&field("approval"));
    browser.press(" ");
    browser.press(keys::ENTER);
    browser.shows("tern-agent join tern-join-1-");
    let text = browser.text();
    let token = text.lines().find(|line| line.starts_with("tern-join-1-"));
    let token = token.expect("the token alone is shown too").to_owned();
    browser.assert_sound();

    let mut agent = Agent::prepare(fleet.dir(), &meter(1), None);
    let joining = agent.joins(&token);
    browser.open(&format!("{}/access", fleet.hub.url()));
    browser.shows("meter-01");
    browser.assert_sound();
    browser.tab_to(&control("Accept"));
    browser.press(keys::ENTER);
    browser.shows("Accepted meter-01");
    assert!(joining.finish().success(), "it is let in");
    agent.run();
    fleet.online("meter-01");
    assert_eq!(fleet.device("meter-01").site.as_str(), "harbour");

    browser.open(&format!("{}/access/identities", fleet.hub.url()));
    browser.shows("meter-01");
    browser.assert_sound();
    let revoke = control("Revoke …");
    browser.tab_to(&revoke);
    browser.press(keys::ENTER);
    browser.shows("Revoke meter-01?");
    browser.press(keys::ESCAPE);
    browser.tab_to(&revoke);
    browser.press(keys::ENTER);
    browser.press("stolen");
    browser.press(keys::ENTER);
    browser.shows("Revoked");
    wait::until("the identity to be revoked", || {
        let identities = fleet.identities("meter-01");
        let revoked = identities[0].state == IdentityState::Revoked;
        wait::that(revoked, || format!("{identities:?}"))
    });

    browser.open(&format!("{}/access/audit", fleet.hub.url()));
    browser.shows("identity.revoke");
    browser.shows("stolen");
    browser.tab_to(&control("Verify the whole log"));
    browser.press(keys::ENTER);
    browser.shows("Whole: ");
    browser.assert_sound();
}

#[test]
fn a_new_colleague_sets_a_password_and_a_second_factor_by_keyboard_alone() {
    let fleet = Fleet::secured(&[]);
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    let new = NewUser {
        name: "grace".parse().expect("a name"),
        hub_admin: false,
    };
    let made = fleet.as_admin("POST", "/users", &json!(new)).json();
    let link: SetupLink = serde_json::from_value(made).expect("a link");
    let member = json!({ "role": "operator" });
    fleet.as_admin("PUT", "/w/default/members/grace", &member);

    let password = "cobol and compilers";
    browser.open(&link.link);
    browser.assert_sound();
    fill(&browser, "new-password", password);
    fill(&browser, "again", password);
    browser.press(keys::ENTER);
    browser.arrives_at("/");
    assert!(!browser.address().contains('#'), "the code is gone");

    browser.open(&format!("{}/account", fleet.hub.url()));
    fill(&browser, "factor-password", password);
    browser.press(keys::ENTER);
    let secret = wait::until("the secret to be shown", || {
        let secret = browser.run("return document.getElementById('factor-secret').innerText");
        let secret = secret.as_str().unwrap_or_default().to_owned();
        if secret.len() >= 32 {
            Ok(secret)
        } else {
            Err(secret)
        }
    });
    fill(&browser, "factor-code", &code(&secret));
    browser.press(keys::ENTER);
    browser.shows("Recovery codes");
    browser.assert_sound();
    let codes = browser.run("return document.getElementById('factor-recovery').innerText");
    let codes = codes.as_str().expect("codes").to_owned();
    let recovery = codes.lines().next().expect("there are some").trim();

    let log_out = "[...document.querySelectorAll('main button')]\
                   .find(e => e.textContent.trim() === 'Log out')";
    browser.tab_to(log_out);
    browser.press(keys::ENTER);
    browser.arrives_at("/login");
    browser.console();
    fill(&browser, "user", "grace");
    fill(&browser, "password", password);
    browser.press(keys::ENTER);
    browser.shows("One more step");
    // The field has the focus already.
    browser.press(recovery);
    browser.press(keys::ENTER);
    browser.arrives_at("/");
}

/// The code that an authenticator shows now.
fn code(secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).expect("Base32");
    let built = totp_rs::Builder::new().with_secret(secret).build();
    built.expect("a good secret").generate_current().to_string()
}

#[test]
fn a_webhook_is_added_tested_and_removed_by_keyboard_alone() {
    let fleet = Fleet::secured(&[]);
    let Some(browser) = Browser::start(fleet.dir()) else {
        return;
    };
    let receiver = Receiver::start(&[]);
    log_in(&browser, &fleet, "/access/notifications");
    browser.arrives_at("/access/notifications");
    browser.tab_to(&control("Add a webhook"));
    browser.press(keys::ENTER);
    fill(&browser, "url", "http://hooks.example/");
    fill(&browser, "webhook-name", "night shift");
    browser.tab_to(&field("webhook-attention"));
    browser.press(" ");
    browser.assert_sound();
    browser.tab_to(&control("Add webhook"));
    browser.press(keys::ENTER);
    browser.shows("is plain HTTP and not on this machine");
    // What was refused is said beside its field, which has the focus.
    browser.console();
    browser.run("document.getElementById('url').select()");
    browser.press(&receiver.url());
    browser.press(keys::ENTER);
    browser.shows("tern_whs_");
    browser.shows("http://localhost");
    browser.assert_sound();
    let made = fleet.client().subscriptions().all().expect("it is listed");
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].name, "night shift");
    let notices = &made[0].notices;
    assert!(notices.contains(&NoticeKind::RolloutStopped), "{notices:?}");
    assert!(!notices.contains(&NoticeKind::Attention), "{notices:?}");

    browser.tab_to(&control("Test"));
    browser.press(keys::ENTER);
    browser.shows("took it");
    browser.shows("arrived");
    assert_eq!(receiver.got().len(), 1);
    browser.assert_sound();
    browser.tab_to(&control("Remove …"));
    browser.press(keys::ENTER);
    browser.shows("Remove subscription 1?");
    browser.tab_to(&control("Remove"));
    browser.press(keys::ENTER);
    browser.shows("Nobody is told anything yet");
    browser.assert_sound();
}

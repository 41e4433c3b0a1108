//! How devices come in.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Barrier, thread};

use serde_json::json;
use tern_cli::client::Verdict;
use tern_protocol::rest::{IdentityState, NewInvitation, Selector};
use tern_tests::{
    admin::Invitation as _,
    agent::Agent,
    enrolled::{self, Enrolled},
    fleet::{Fleet, meter},
    package, pki, wait,
};

#[test]
fn a_device_joins_gets_a_model_and_serves_it_over_mutual_tls() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    let samples = package.samples();
    for sample in samples.iter().take(20) {
        fleet.agents[0].infer(sample);
    }
    fleet.counts_exactly(0);
    let identities = fleet.identities("meter-01");
    assert_eq!(identities.len(), 1, "{identities:?}");
    assert_eq!(identities[0].state, IdentityState::Active);
}

#[test]
fn an_identity_is_private_and_written_once() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    let agent = &mut fleet.agents[0];
    let file = agent.identity();
    let mode = fs::metadata(&file).expect("it joined").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = fs::read(&file).expect("it joined");
    agent.terminate();
    agent.run();
    // A second token does not put another identity in its place.
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let (status, said) = fleet.agents[0].join(&token);
    assert!(
        status.success() && said.contains("joined already"),
        "{said}"
    );
    assert_eq!(fs::read(&file).expect("it is there"), before);
    fleet.online("meter-01");
}

#[test]
fn two_that_race_for_the_last_use_of_a_token_are_one_too_many() {
    let fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let racers: Vec<Agent> = (1..=2)
        .map(|number| Agent::prepare(fleet.dir(), &meter(number), None))
        .collect();
    let runs: Vec<_> = racers.iter().map(|agent| agent.joins(&token)).collect();
    let ends: Vec<bool> = runs.into_iter().map(|run| run.finish().success()).collect();
    assert_eq!(ends.iter().filter(|&&won| won).count(), 1, "{ends:?}");
}

#[test]
fn of_twelve_that_join_at_the_same_moment_three_uses_let_three_in() {
    let fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(3)).token;
    let start = Barrier::new(12);
    let won = thread::scope(|scope| {
        let race = |number: usize| {
            let (fleet, token, start) = (&fleet, &token, &start);
            scope.spawn(move || {
                let key = pki::new_key();
                start.wait();
                enrolled::ask_to_join(fleet, token, &format!("racer-{number}"), &key).status
            })
        };
        let racers: Vec<_> = (0..12).map(race).collect();
        let ends = racers
            .into_iter()
            .map(|racer| racer.join().expect("no panic"));
        ends.filter(|&status| status == 200).count()
    });
    assert_eq!(won, 3);
    let invitations = fleet.client().invitations().all().expect("they are listed");
    let over = invitations.iter().filter(|view| view.used > view.uses);
    assert_eq!(over.count(), 0, "{invitations:?}");
}

#[test]
fn a_device_that_asks_again_with_its_key_is_counted_once() {
    let fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let key = pki::new_key();
    for _ in 0..3 {
        let answer = enrolled::ask_to_join(&fleet, &token, "meter-01", &key);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let invitations = fleet.client().invitations().all().expect("they are listed");
    assert_eq!(invitations[0].used, 1);
    assert_eq!(fleet.identities("meter-01").len(), 1);
}

#[test]
fn used_up_expired_and_revoked_tokens_let_nobody_in() {
    let fleet = Fleet::secured(&[]);
    let used = fleet.invite(&NewInvitation::default_of(1)).token;
    Enrolled::join(&fleet, &used, "meter-01");
    let revoked = fleet.invite(&NewInvitation::default_of(5));
    let gone = fleet.client().uninvite(revoked.invitation.id);
    gone.expect("an invitation can be revoked");
    let short = fleet.invite(&NewInvitation {
        expires_in_s: 1,
        ..NewInvitation::default_of(5)
    });
    let refused = |token: &str, device: &str| {
        let answer = enrolled::ask_to_join(&fleet, token, device, &pki::new_key());
        wait::that(answer.status == 401, || format!("{answer:?}"))?;
        // It says what to do, and not which of the three it was to whoever guesses.
        wait::that(answer.body.contains("tern device invite"), || {
            answer.body.clone()
        })
    };
    refused(&used, "meter-02").expect("a used-up token is refused");
    refused(&revoked.token, "meter-02").expect("a revoked token is refused");
    // Whoever is let in before it expires has another name each time.
    let mut tries = 0;
    wait::until("a token to expire", || {
        tries += 1;
        refused(&short.token, &format!("early-{tries}"))
    });
    let agent = Agent::prepare(fleet.dir(), &meter(2), None);
    let (status, said) = agent.join(&revoked.token);
    assert!(!status.success(), "{said}");
    assert!(said.contains("tern device invite"), "{said}");
    assert!(!agent.identity().exists());
}

#[test]
fn a_token_for_one_device_and_one_hardware_lets_no_other_in() {
    let fleet = Fleet::secured(&[]);
    let invited = fleet.invite(&NewInvitation {
        device: Some("meter-01".parse().expect("a name")),
        ..NewInvitation::default_of(1)
    });
    let other = enrolled::ask_to_join(&fleet, &invited.token, "meter-02", &pki::new_key());
    assert!((400..500).contains(&other.status), "{other:?}");
    Enrolled::join(&fleet, &invited.token, "meter-01");
    let invited = fleet.invite(&NewInvitation {
        hardware_id: Some("serial-1".into()),
        ..NewInvitation::default_of(9)
    });
    let silent = enrolled::ask_to_join(&fleet, &invited.token, "meter-03", &pki::new_key());
    assert!((400..500).contains(&silent.status), "{silent:?}");
}

#[test]
fn a_device_is_where_its_invitation_says_whatever_it_says() {
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation {
        site: Some("vault".parse().expect("a name")),
        labels: [("tier".to_owned(), "gold".to_owned())].into(),
        ..NewInvitation::default_of(1)
    });
    let settings = meter(1).label("tier", "lead");
    let mut agent = Agent::prepare(fleet.dir(), &settings, None);
    let (status, said) = agent.join(&token.token);
    assert!(status.success(), "{said}");
    agent.run();
    fleet.agents.push(agent);
    fleet.online("meter-01");
    wait::until("the device to be at its site", || {
        let view = fleet.device("meter-01");
        let bound = view.site.as_str() == "vault" && view.labels["tier"] == "gold";
        wait::that(bound, || format!("{view:?}"))
    });
}

#[test]
fn a_device_waits_until_it_is_accepted_and_then_serves() {
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation {
        approval: true,
        ..NewInvitation::default_of(2)
    });
    let mut agent = Agent::prepare(fleet.dir(), &meter(1), None);
    let joining = agent.joins(&token.token);
    let waits = wait::until("a pending identity", || {
        let all = fleet.identities("meter-01");
        let pending = all
            .into_iter()
            .find(|one| one.state == IdentityState::Pending);
        pending.ok_or_else(|| "none".into())
    });
    assert!(
        fleet
            .try_device("meter-01")
            .is_err_and(|err| !err.is_empty())
    );
    fleet.judge(waits.id, Verdict::Accept, "it is ours");
    assert!(joining.finish().success());
    agent.run();
    fleet.agents.push(agent);
    fleet.online("meter-01");
    fleet.serve(package::digits(0));
    // Another one is rejected, and hears so.
    let rejected = Enrolled::join(&fleet, &token.token, "meter-02");
    assert!(rejected.credentials.is_none());
    let id = fleet.identities("meter-02")[0].id;
    fleet.judge(id, Verdict::Reject, "not ours");
    let again = enrolled::ask_to_join(&fleet, &token.token, "meter-02", &rejected.key);
    assert_eq!(again.status, 403, "{again:?}");
}

#[test]
fn a_new_key_waits_beside_the_old_one_and_takes_its_place_when_accepted() {
    let fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(3)).token;
    let old = Enrolled::join(&fleet, &token, "meter-01");
    let session = old.connect(&fleet);
    let new = Enrolled::join(&fleet, &token, "meter-01");
    assert!(new.credentials.is_none(), "it waits, without approval too");
    assert!(!session.has_ended());
    let all = fleet.identities("meter-01");
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[1].replaces, Some(all[0].id), "{all:?}");
    fleet.judge(all[1].id, Verdict::Accept, "a new board");
    session.ended();
    old.refused(&fleet);
    let answer = enrolled::ask_to_join(&fleet, &token, "meter-01", &new.key);
    assert!(answer.body.contains("BEGIN CERTIFICATE"), "{answer:?}");
    let states: Vec<_> = fleet
        .identities("meter-01")
        .iter()
        .map(|one| one.state)
        .collect();
    assert_eq!(states, [IdentityState::Superseded, IdentityState::Active]);
    let audited = fleet
        .client()
        .audit(Vec::new(), None)
        .all()
        .expect("it is readable");
    let accepts = audited
        .iter()
        .filter(|entry| entry.action == "identity.accept");
    assert_eq!(accepts.count(), 1, "{audited:?}");
}

#[test]
fn an_agent_joins_only_the_hub_that_its_token_pins() {
    let (fleet, other) = (Fleet::secured(&[]), Fleet::secured(&[]));
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let mut token: tern_protocol::join::JoinToken = token.parse().expect("it is one");
    // Somebody answers in the hub's place.
    token.https = vec![other.hub.url()];
    let agent = Agent::prepare(fleet.dir(), &meter(1), None);
    let (status, said) = agent.join(&token.to_string());
    assert!(!status.success(), "{said}");
    assert!(!agent.identity().exists());
    assert!(!other.hub.log().contains(&token.secret));
    // The secret never left: it is still good.
    token.https = vec![fleet.hub.url()];
    let (status, said) = agent.join(&token.to_string());
    assert!(status.success(), "{said}");
}

#[test]
fn a_device_may_join_while_a_rollout_runs() {
    let mut fleet = Fleet::secured(&[]);
    let version = fleet.publish(package::digits(0));
    fleet.roll_out_to(version.version, Selector::default(), 100);
    fleet.add_joined(&meter(1));
    fleet.agents[0].serves(version.version.get());
}

#[test]
fn a_workspace_made_while_the_hub_runs_hears_its_devices_at_once() {
    let fleet = Fleet::secured(&[]);
    fleet.as_admin("POST", "/workspaces", &json!({ "id": "mill" }));
    let wanted = json!({ "expires_in_s": 600 });
    let invited = fleet
        .as_admin("POST", "/w/mill/invitations", &wanted)
        .json();
    let token = invited["token"].as_str().expect("a token");
    let mut agent = Agent::prepare(fleet.dir(), &meter(1), None);
    let (status, said) = agent.join(token);
    assert!(status.success(), "{said}");
    agent.run();
    wait::until("the new workspace to have its device online", || {
        let devices = fleet.as_admin("GET", "/w/mill/devices", &json!(null));
        let devices = devices.json();
        wait::that(devices["items"][0]["online"] == true, || {
            devices.to_string()
        })
    });
    assert!(fleet.devices().is_empty(), "it belongs to no other");
}

//! Which certificates open the door, and how one is taken away.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tern_cli::client::Verdict;
use tern_protocol::{
    id::WorkspaceId,
    rest::{AuthorityView, IdentityState, NewInvitation},
};
use tern_tests::{
    admin::Invitation as _,
    enrolled::Enrolled,
    fleet::{Fleet, meter},
    mqtt::Mqtt,
    package,
    pki::{self, Authority, Credentials, Days},
    wait,
};

/// How long a revoked device may go on. A bound of the product, not of this machine.
const CUT: Duration = Duration::from_secs(2);

/// An authority as a thief of the hub's data has it: the hub's own, or that of a workspace.
fn stolen(fleet: &Fleet, workspace: Option<&str>) -> Authority {
    let listed = fleet.hub.ca(&["list", "--json"]);
    let listed: Vec<AuthorityView> = serde_json::from_str(&listed).expect("as documented");
    let found = listed
        .iter()
        .find(|view| view.workspace.as_ref().map(WorkspaceId::as_str) == workspace);
    let file = fleet.hub.data().join("ca");
    let file = file.join(&found.expect("there is one").id);
    Authority::stolen(&file.with_extension("crt"), &file.with_extension("key"))
}

#[test]
fn certificates_that_prove_nothing_open_no_door() {
    let fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let device = Enrolled::join(&fleet, &token, "meter-01");
    let name = device.name();
    let hub = stolen(&fleet, None);
    let namesake = Authority::namesake(hub.pem());
    let impostor = Authority::new("Tern hub CA of somebody else");
    let key = &device.key;
    let good = Days(-1, 30);
    for (what, credentials) in [
        ("no certificate", None),
        ("wrong authority", Some(impostor.client(&name, good))),
        (
            "wrong authority, right key",
            Some(impostor.client_of(key, &name, good)),
        ),
        ("expired", Some(hub.client_of(key, &name, Days(-30, -1)))),
        (
            "not yet valid",
            Some(hub.client_of(key, &name, Days(1, 30))),
        ),
        ("stolen name", Some(hub.client(&name, good))),
        (
            "right key, name of another",
            Some(hub.client_of(key, "default/d/x", good)),
        ),
        (
            "right key, another workspace",
            Some(hub.client_of(key, "other/d/meter-01", good)),
        ),
        ("no such name", Some(hub.client("tern-hub", good))),
        (
            "another authority with the hub's name, right key",
            Some(namesake.client_of(key, &name, good)),
        ),
        (
            "its own certificate, another key",
            Some(Credentials {
                key: pki::new_key().serialize_pem(),
                ..device.credentials.clone().expect("it is active")
            }),
        ),
    ] {
        let tls = pki::tls(&fleet.hub.ca(&["export"]), credentials.as_ref());
        let heard = Mqtt::refused(fleet.hub.mqtt(), &name, tls);
        assert!(!heard.is_empty(), "{what}");
    }
    // Its own one still does.
    device.connect(&fleet);
}

#[test]
fn the_authority_of_a_workspace_vouches_for_no_device_of_another() {
    let mut fleet = Fleet::secured(&[]);
    fleet.as_admin("POST", "/workspaces", &json!({ "id": "other" }));
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let device = Enrolled::join(&fleet, &token, "meter-01");
    fleet.hub.ca(&["rotate", "--workspace", "other"]);
    assert!(fleet.hub.terminate().success());
    fleet.run_hub();
    let other = stolen(&fleet, Some("other"));
    let forged = other.client_of(&device.key, &device.name(), Days(-1, 30));
    let tls = pki::tls(&fleet.hub.ca(&["export"]), Some(&forged));
    Mqtt::refused(fleet.hub.mqtt(), &device.name(), tls);
    device.connect(&fleet);
}

#[test]
fn the_keys_of_the_hub_are_its_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::secured(&[]);
    for entry in fs::read_dir(fleet.hub.data().join("ca")).expect("it has authorities") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|end| end == "key") {
            let mode = fs::metadata(&path)
                .expect("it is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }
    assert!(!fleet.hub.ca(&["export"]).contains("PRIVATE KEY"));
    // Nor can anybody else read the rest.
    let data = fleet.hub.data();
    let mut looked = 0;
    for entry in fs::read_dir(&data).expect("it is there") {
        let path = entry.expect("it can be read").path();
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o077, 0, "{}", path.display());
        looked += u32::from(path.starts_with(data.join("tern.sqlite")));
    }
    assert_eq!(looked, 1);
    let mode = fs::metadata(&data).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o077, 0);
}

#[test]
fn a_revoked_device_is_cut_within_two_seconds_and_stays_out_over_restarts() {
    let mut fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(2)).token;
    let device = Enrolled::join(&fleet, &token, "meter-01");
    let other = Enrolled::join(&fleet, &token, "meter-02");
    let (session, stays) = (device.connect(&fleet), other.connect(&fleet));
    let id = fleet.identities("meter-01")[0].id;
    let asked = Instant::now();
    fleet.judge(id, Verdict::Revoke, "it was stolen");
    session.ended();
    let took = asked.elapsed();
    assert!(took < CUT, "it went on for {took:?}");
    assert!(!stays.has_ended());
    device.refused(&fleet);
    assert_eq!(device.renew(&fleet).status, 403);
    for restart in ["kill -9", "SIGTERM"] {
        match restart {
            "kill -9" => fleet.hub.kill_9(),
            _ => assert!(fleet.hub.terminate().success()),
        }
        fleet.run_hub();
        device.refused(&fleet);
        other.connect(&fleet);
    }
    assert_eq!(
        fleet.identities("meter-01")[0].state,
        IdentityState::Revoked
    );
}

#[test]
fn a_revoked_agent_goes_on_serving_what_it_has() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    let id = fleet.identities("meter-01")[0].id;
    fleet.judge(id, Verdict::Revoke, "");
    wait::until("the agent to be offline", || {
        wait::that(!fleet.agents[0].status().online, || "online".into())
    });
    fleet.agents[0].infer(&package.samples()[0]);
}

#[test]
fn devices_of_an_old_authority_stay_connected_and_renew_under_the_new_one() {
    let fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(1)).token;
    let old = Enrolled::join(&fleet, &token, "voice");
    let session = old.connect(&fleet);
    let before = authority(&fleet, "voice");
    fleet.hub.ca(&["rotate"]);
    let renewed = wait::until("a certificate of the new authority", || {
        let answer = old.renew(&fleet);
        wait::that(answer.status == 200, || format!("{answer:?}"))?;
        let now = authority(&fleet, "voice");
        wait::that(now != before, || now.clone())?;
        Ok(now)
    });
    assert!(!session.has_ended());
    // Whoever knows only the old authority still verifies the hub, with the old certificate.
    drop(session);
    old.connect(&fleet);
    let listed = fleet.as_admin("GET", "/authorities", &Value::Null).json();
    let listed = listed["items"].as_array().expect("a page").clone();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let issuing: Vec<_> = listed.iter().filter(|one| one["issues"] == true).collect();
    assert_eq!(issuing.len(), 1, "{listed:?}");
    assert_eq!(issuing[0]["id"], renewed.as_str());
}

#[test]
fn an_agent_outlives_a_rotation_of_the_authority_and_restarts_on_both_sides() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    fleet.hub.ca(&["rotate"]);
    assert!(fleet.hub.terminate().success());
    fleet.run_hub();
    fleet.agents[0].terminate();
    fleet.agents[0].run();
    fleet.online("meter-01");
}

/// Who issued the newest certificate of a device's first identity.
#[track_caller]
fn authority(fleet: &Fleet, device: &str) -> String {
    let identity = fleet.identities(device).remove(0);
    identity.certificate.expect("it is active").authority
}

//! What people see of the messages of devices that speak over mutual TLS.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;
use tern_tests::{
    admin::{self, Invitation as _},
    binaries,
    fleet::{Fleet, meter},
    package,
};

/// `tern` at a secured hub, as whoever has this token.
fn tern(fleet: &Fleet, token: &str, args: &[&str]) -> Command {
    let ca = fleet.dir().join("ca.pem");
    fs::write(&ca, fleet.hub.ca(&["export"])).expect("a file in the test's own");
    let mut command = Command::new(binaries::path("tern"));
    command
        .args(args)
        .env("TERN_HUB", fleet.hub.url())
        .env("TERN_TOKEN", token)
        .env("TERN_CA", ca)
        .env("TERN_CONFIG_DIR", fleet.dir().join("nobody"))
        .env_remove("TERN_MQTT")
        .env_remove("TERN_WORKSPACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn a_secured_hub_passes_on_what_goes_by_and_no_secret() {
    let mut fleet = Fleet::secured(&["--certificate-life", "20s"]);
    fleet.add_joined(&meter(1));
    let admin = fleet.admin.clone().expect("the hub is secured");
    let words = ["tap", "--timeout", "25s", "--json"];
    let all = tern(&fleet, &admin.token, &words).spawn();
    let all = all.expect("the binary runs");
    let words = [
        "tap",
        "--device",
        "meter-01",
        "--channel",
        "state",
        "--count",
        "2",
    ];
    let one = tern(&fleet, &admin.token, &words).spawn();
    let one = one.expect("the binary runs");
    // Meanwhile: a model comes, another device joins, certificates are renewed.
    let package = package::digits(0);
    fleet.serve(package);
    let invited = fleet.invite(&tern_protocol::rest::NewInvitation::default_of(1));
    let second = fleet.add_joined(&meter(2));
    fleet.agents[0].infer(&package.samples()[0]);
    let one = one.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&one.stdout).into_owned();
    assert_eq!(one.status.code(), Some(0), "{text}");
    assert!(
        text.contains("meter-01") && !text.contains("meter-02"),
        "{text}"
    );
    let said = String::from_utf8_lossy(&one.stderr).into_owned();
    assert!(said.contains("listening to workspace default"), "{said}");
    let all = all.wait_with_output().expect("it ends");
    assert_eq!(all.status.code(), Some(0));
    let text = String::from_utf8_lossy(&all.stdout).into_owned();
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let lines: Vec<_> = lines.map(|line| line.expect("JSON")).collect();
    for channel in ["state", "log", "ack", "desired", "want", "blob", "link"] {
        let some = lines.iter().any(|line| line["channel"] == channel);
        assert!(some, "nothing of {channel} in {text}");
    }
    let unread = lines.iter().find(|line| !line["error"].is_null());
    assert_eq!(unread, None);
    let identity = fs::read_to_string(fleet.agents[second].identity()).expect("it joined");
    let identity: Value = serde_json::from_str(&identity).expect("JSON");
    let key = identity["key_pem"].as_str().expect("a key");
    let key = key.lines().nth(1).expect("a line of it");
    for secret in [
        &admin.token,
        admin::PASSWORD,
        &invited.token,
        key,
        &admin.code,
    ] {
        assert!(!text.contains(secret), "a secret is in {text}");
        assert!(!said.contains(secret), "a secret is in {said}");
    }
}

#[test]
fn who_is_no_member_hears_nothing() {
    let fleet = Fleet::secured(&[]);
    let stranger = tern(&fleet, "tern_pat_of-nobody", &["tap", "--count", "1"]).output();
    let stranger = stranger.expect("the binary runs");
    assert_eq!(stranger.status.code(), Some(2));
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(said.contains("tern login"), "{said}");
    assert!(!said.contains("of-nobody"), "{said}");
    // Nor does who asks the broker itself: it says what to do.
    let broker = fleet.hub.mqtt().to_string();
    let admin = fleet.admin.as_ref().expect("the hub is secured");
    let args = ["tap", "--mqtt", &broker, "--count", "1", "--timeout", "20s"];
    let plain = tern(&fleet, &admin.token, &args).output();
    let plain = plain.expect("the binary runs");
    assert_eq!(plain.status.code(), Some(2));
    let said = String::from_utf8_lossy(&plain.stderr).into_owned();
    assert!(said.contains("leave --mqtt"), "{said}");
}

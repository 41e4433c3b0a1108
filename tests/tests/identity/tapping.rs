//! What people see of the messages of devices that speak over mutual TLS.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;
use tern_protocol::rest::NewInvitation;
use tern_tests::{
    admin::{self, Invitation as _},
    binaries,
    fleet::{Fleet, meter},
    package,
    process::Process,
    wait,
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
    let packages = [package::digits(0), package::digits(1)];
    fleet.serve(packages[0]);
    let admin = fleet.admin.clone().expect("the hub is secured");
    let tap = |name: &str, args: &[&str]| {
        let command = tern(&fleet, &admin.token, &[&["tap"], args].concat());
        Process::spawn(fleet.dir(), name, command)
    };
    let all = tap("tap-all", &["--json"]);
    let state = ["--device", "meter-01", "--channel", "state", "--count", "2"];
    let one = tap("tap-one", &state);
    let sample = &packages[0].samples()[0];
    wait::until("both to listen", || {
        // What the device says of it shows that the one for programs does.
        fleet.agents[0].infer(sample);
        let said = one.log();
        let both = said.contains("listening to workspace default") && !all.output().is_empty();
        wait::that(both, || said)
    });
    // Another version comes, another device joins, certificates are renewed.
    fleet.serve(packages[1]);
    let invited = fleet.invite(&NewInvitation::default_of(1));
    let second = fleet.add_joined(&meter(2));
    let text = wait::until("something of each channel", || {
        let text = all.output();
        // The last line may be half a one.
        let whole = &text[..=text.rfind('\n').ok_or("nothing")?];
        let lines = whole.lines().map(serde_json::from_str::<Value>);
        let lines: Vec<_> = lines.map(|line| line.expect("JSON")).collect();
        for channel in ["state", "log", "ack", "desired", "want", "blob", "link"] {
            let some = lines.iter().any(|line| line["channel"] == channel);
            wait::that(some, || format!("nothing of {channel} in {whole}"))?;
        }
        let unread = lines.iter().find(|line| !line["error"].is_null());
        assert_eq!(unread, None);
        Ok(text)
    });
    let of_one = fleet.dir().join("tap-one.out");
    assert!(one.finish().success());
    let of_one = fs::read_to_string(of_one).expect("it was written");
    assert!(
        of_one.contains("meter-01") && !of_one.contains("meter-02"),
        "{of_one}"
    );
    let said = all.log();
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

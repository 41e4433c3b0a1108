//! Nothing is loaded that is not signed, whoever says so.

use std::{fs, path::PathBuf};

use serde_json::json;
use tern_protocol::{
    blob::BlobRef,
    codec,
    desired::{Desired, DesiredSlot},
    id::Revision,
    reported::RejectReason,
};
use tern_tests::{
    agent::{SLOT, Status},
    cli::{Ran, tern, tern_json},
    fleet::{Fleet, MODEL, meter},
    mqtt::Mqtt,
    package, wait,
};

/// The passphrase of every key here.
const PASSPHRASE: &str = "correct horse battery staple";

fn passphrase(fleet: &Fleet) -> String {
    let path = fleet.dir().join("passphrase");
    fs::write(&path, PASSPHRASE).expect("the directory can be written");
    path.display().to_string()
}

/// Makes a key; the paths of it and of its public half.
#[track_caller]
fn new_key(fleet: &Fleet, name: &str) -> (String, String) {
    let file = fleet.dir().join(name).display().to_string();
    let made = tern_json(
        fleet,
        &["key", "new", &file, "--passphrase-file", &passphrase(fleet)],
    );
    assert_eq!(made["file"], json!(file));
    let public = made["public_file"].as_str().expect("a path").to_owned();
    (file, public)
}

/// Runs `tern key …` with these keys and without questions.
#[track_caller]
fn key(fleet: &Fleet, args: &[&str], keys: &[&str]) -> Ran {
    let passphrase = passphrase(fleet);
    let mut all = vec!["key"];
    all.extend(args);
    for key in keys {
        all.extend(["--key", key]);
    }
    all.extend(["--passphrase-file", &passphrase, "--yes", "--json"]);
    tern(fleet, &all)
}

#[track_caller]
fn until(fleet: &Fleet, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
    wait::until(what, || {
        let status = fleet.agents[0].status();
        wait::that(holds(&status), || format!("{status:?}"))?;
        Ok(status)
    })
}

fn identity(fleet: &Fleet) -> PathBuf {
    fleet.agents[0].identity()
}

#[test]
fn a_device_pins_the_root_when_it_joins_and_goes_by_what_is_signed() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    let pinned: serde_json::Value =
        serde_json::from_slice(&fs::read(identity(&fleet)).expect("it is there")).expect("JSON");
    let root = pinned["credentials"]["root"]
        .as_str()
        .expect("a root is pinned");
    assert!(root.contains("\"_type\":\"root\""), "{root}");

    let version = fleet.publish(package::digits(0));
    assert!(version.signed, "the hub signs in development: {version:?}");
    fleet.roll_out(version.version);
    fleet.agents[0].serves(version.version.get());
    let status = fleet.agents[0].status();
    assert_eq!((status.trust.root, status.trust.problem), (1, None));
    assert!(status.trust.targets >= 2, "the first list was empty");
    let trust = tern_json(&fleet, &["key", "show"]);
    assert_eq!(trust["development"], json!(true), "{trust}");
}

#[test]
fn keys_go_offline_while_agents_run_and_only_their_holders_sign_from_then_on() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    let first = fleet.serve(package::digits(0));
    let (root, root_public) = new_key(&fleet, "root.key");
    let (release, release_public) = new_key(&fleet, "release.key");
    let mode = fs::metadata(&root).expect("it is there").permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o600,
        "only its owner reads it"
    );
    let again = tern(
        &fleet,
        &[
            "key",
            "new",
            &root,
            "--passphrase-file",
            &passphrase(&fleet),
        ],
    );
    assert_eq!(again.code, Some(2), "a key is never overwritten: {again:?}");

    let rotated = key(
        &fleet,
        &[
            "rotate",
            "--root",
            &root_public,
            "--release",
            &release_public,
        ],
        &[&root, &release],
    );
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let trust = rotated.json();
    assert_eq!(trust["development"], json!(false), "{trust}");
    assert!(trust["draft_root"].is_null(), "{trust}");
    until(&fleet, "the agent to follow to root 2", |status| {
        status.trust.root == 2
    });
    assert_eq!(
        fleet.agents[0].status().version(),
        Some(first.version.get())
    );

    // The hub alone signs nothing any more.
    let second = fleet.publish(package::digits(1));
    assert!(!second.signed, "{second:?}");
    let target = format!("{MODEL}@{}", second.version);
    let start = ["rollout", "start", &target, "--slot", SLOT];
    let refused = tern(&fleet, &start);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.log.contains("tern key sign"), "{}", refused.log);
    let other = key(&fleet, &["sign"], &[&root]);
    assert_eq!(other.code, Some(2), "a root key signs no models: {other:?}");

    let signed = key(&fleet, &["sign"], &[&release]);
    assert_eq!(signed.code, Some(0), "{signed:?}");
    fleet.roll_out(second.version);
    fleet.agents[0].serves(second.version.get());

    // Publishing and signing in one go.
    let model = fleet.dir().join("random-9-20");
    let third = package::random(fleet.dir(), 9, 20);
    assert_eq!(third.dir, model);
    let published = tern(
        &fleet,
        &[
            "model",
            "publish",
            MODEL,
            &third.dir.display().to_string(),
            "--key",
            &release,
            "--passphrase-file",
            &passphrase(&fleet),
            "--yes",
        ],
    );
    assert_eq!(published.code, Some(0), "{published:?}");
    let shown = tern_json(&fleet, &["model", "show", MODEL, "3"]);
    assert_eq!(shown["signed"], json!(true), "{shown}");
    let verified = fleet.as_admin("GET", "/audit/verify", &json!(null));
    assert_eq!(verified.json()["whole"], json!(true), "{}", verified.body);
}

#[test]
fn two_of_three_people_have_to_agree_on_keys() {
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    let people = ["anna", "boris", "chen"].map(|name| new_key(&fleet, name));
    let args = [
        "rotate",
        "--root",
        &people[0].1,
        "--root",
        &people[1].1,
        "--root",
        &people[2].1,
        "--root-threshold",
        "2",
    ];
    let planned = key(&fleet, &args, &[&people[0].0]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(
        !planned.json()["draft_root"].is_null(),
        "one of two has signed"
    );
    let another = key(&fleet, &["rotate", "--online"], &[]);
    assert_eq!(another.code, Some(2), "one change at a time: {another:?}");
    let signed = key(&fleet, &["sign"], &[&people[2].0]);
    assert!(
        signed.json()["draft_root"].is_null(),
        "two of three have: {signed:?}"
    );
    until(&fleet, "the agent to follow", |status| {
        status.trust.root == 2
    });

    // From here on the hub's new key for what it signs itself takes two of them too.
    let planned = key(&fleet, &["rotate", "--online"], &[&people[1].0]);
    assert!(!planned.json()["draft_root"].is_null(), "{planned:?}");
    let withdrawn = tern(&fleet, &["key", "withdraw", "--json"]);
    assert!(withdrawn.json()["draft_root"].is_null(), "{withdrawn:?}");
    let planned = key(
        &fleet,
        &["rotate", "--online"],
        &[&people[1].0, &people[0].0],
    );
    assert!(planned.json()["draft_root"].is_null(), "{planned:?}");
    until(&fleet, "the agent to follow", |status| {
        status.trust.root == 3
    });
    fleet.serve(package::digits(0));
}

#[test]
fn a_revoked_version_is_refused_and_replaced() {
    let mut fleet = Fleet::of(2);
    let good = fleet.serve(package::digits(0));
    let bad = fleet.serve(package::digits(1));
    let revoked = tern_json(
        &fleet,
        &[
            "model",
            "revoke",
            MODEL,
            &bad.version.to_string(),
            "--reason",
            "reads 6 for 8",
        ],
    );
    assert_eq!(
        revoked["revoked"]["replacement"],
        json!(good.version.get()),
        "{revoked}"
    );
    for agent in &fleet.agents {
        agent.serves(good.version.get());
    }
    let target = format!("{MODEL}@{}", bad.version);
    let refused = tern(&fleet, &["rollout", "start", &target, "--slot", SLOT]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.log.contains("revoked"), "{}", refused.log);
    wait::until("the rollout of it to have ended", || {
        let ended = fleet
            .client()
            .rollouts()
            .all()
            .map_err(|err| err.to_string())?;
        let of_bad = ended
            .into_iter()
            .filter(|rollout| rollout.version == bad.version);
        let states: Vec<_> = of_bad
            .map(|rollout| (rollout.state, rollout.reason))
            .collect();
        assert!(!states.is_empty(), "it was rolled out");
        let over = states.iter().all(|(_, reason)| reason.contains("revoked"));
        wait::that(over, || format!("{states:?}"))
    });

    // A device that comes later, and a broker that still says what was wanted before.
    fleet.add(&meter(3));
    wait::until("it to know what is signed", || {
        let status = fleet.agents[2].status();
        wait::that(status.trust.targets >= 4, || format!("{status:?}"))
    });
    say_desired(&fleet, 2, 1_000, &bad.version.to_string(), bad.bundle);
    let rejected = rejection(&fleet, 2);
    assert_eq!(rejected.0, RejectReason::Revoked, "{rejected:?}");
    assert!(rejected.1.contains("reads 6 for 8"), "{rejected:?}");
}

/// Says a desired state to an agent past the hub, as a broker could that somebody took over.
#[track_caller]
fn say_desired(fleet: &Fleet, agent: usize, revision: u64, version: &str, bundle: BlobRef) {
    let mqtt = Mqtt::connect(fleet.hub.mqtt(), "somebody");
    let desired = Desired {
        revision: Revision(revision),
        slots: vec![DesiredSlot {
            slot: SLOT.parse().expect("a name"),
            model: MODEL.parse().expect("a name"),
            version: version.parse().expect("a version"),
            bundle,
            offers: Vec::new(),
        }],
        shadows: Vec::new(),
        requests: Vec::new(),
        erasures: Vec::new(),
    };
    let device = fleet.agents[agent].device();
    let topic = format!("tern/1/default/d/{device}/down/desired");
    mqtt.say(&topic, true, codec::encode(&desired));
    mqtt.settled();
}

#[track_caller]
fn rejection(fleet: &Fleet, agent: usize) -> (RejectReason, String) {
    wait::until("a refusal", || {
        let status = fleet.agents[agent].status();
        let rejected = status.slot().rejected.clone();
        let rejected = rejected.ok_or_else(|| format!("{status:?}"))?;
        Ok((rejected.reason, rejected.text))
    })
}

#[test]
fn whoever_has_the_broker_cannot_make_devices_load_another_bundle() {
    let fleet = Fleet::of(1);
    let good = fleet.serve(package::digits(0));
    let other = fleet.publish(package::digits(1));
    // The second version's bundle under the first one's name, and a version that nobody published.
    say_desired(&fleet, 0, 1_000, &good.version.to_string(), other.bundle);
    let (reason, text) = rejection(&fleet, 0);
    assert_eq!(reason, RejectReason::Unsigned, "{text}");
    say_desired(&fleet, 0, 1_001, "9", BlobRef::of(b"of nobody"));
    until(&fleet, "it to wait for a signature", |status| {
        let progress = status.slot().progress.as_ref();
        progress.is_some_and(|p| p.phase == tern_protocol::reported::Phase::Unsigned)
    });
    assert_eq!(fleet.agents[0].status().version(), Some(good.version.get()));
}

#[test]
fn old_metadata_are_refused_and_what_is_trusted_stays() {
    let fleet = Fleet::of(1);
    let listener = Mqtt::connect(fleet.hub.mqtt(), "somebody");
    let topic = "tern/1/default/meta/timestamp";
    listener.hear(topic);
    let old = wait::until("the first timestamp", || {
        let heard = listener.heard(|heard| heard == topic).into_iter().next();
        heard.ok_or_else(|| "nothing yet".to_owned())
    });
    let version = fleet.serve(package::digits(0));
    let before = until(&fleet, "the list with the version", |status| {
        status.trust.targets >= 2
    });
    listener.say(topic, true, old);
    let after = until(&fleet, "a refusal", |status| status.trust.problem.is_some());
    assert_eq!(after.trust.targets, before.trust.targets);
    assert_eq!(after.version(), Some(version.version.get()));
    // The hub says it right again as soon as something changes.
    fleet.publish(package::digits(1));
    let mended = until(&fleet, "the newest list", |status| {
        status.trust.targets > before.trust.targets
    });
    assert_eq!(mended.trust.problem, None);
}

#[test]
fn what_is_held_survives_kill_9_and_a_changed_byte_is_fetched_again() {
    let mut fleet = Fleet::of(1);
    let version = fleet.serve(package::digits(0));
    let held = fleet.agents[0].dir().join("state/trust/held.cbor");
    let before = until(&fleet, "the list with the version", |status| {
        status.trust.targets >= 2
    });
    fleet.agents[0].kill_9();
    let mut bytes = fs::read(&held).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&held, bytes).expect("it can be written");
    fleet.agents[0].run();
    fleet.agents[0].serves(version.version.get());
    let after = until(&fleet, "the list again", |status| {
        status.trust.targets == before.trust.targets
    });
    assert_eq!(after.trust.problem, None);
    wait::until("the hub to know", || {
        let shown = fleet.try_device(fleet.agents[0].device())?;
        let targets = shown.trust.as_ref().map(|trust| trust.targets);
        wait::that(targets == Some(before.trust.targets), || {
            format!("{shown:?}")
        })
    });
}

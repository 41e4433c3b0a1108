//! What the hub's own broker lets a device say and hear: nothing that is not its own.

use std::time::{Duration, Instant};

use serde_json::json;
use tern_protocol::{limits, rest::NewInvitation};
use tern_tests::{admin::Invitation as _, enrolled::Enrolled, fleet::Fleet, mqtt::Mqtt, wait};

/// A hub with two devices that do as a test wants.
fn two() -> (Fleet, Enrolled, Enrolled) {
    let fleet = Fleet::secured(&[]);
    let token = fleet.invite(&NewInvitation::default_of(2)).token;
    let thief = Enrolled::join(&fleet, &token, "thief");
    let victim = Enrolled::join(&fleet, &token, "victim");
    (fleet, thief, victim)
}

/// Fails if `say` reaches the one who hears, or is kept.
#[track_caller]
fn goes_nowhere(fleet: &Fleet, who: &Enrolled, topic: &str, hears: &Mqtt) {
    let mqtt = who.connect(fleet);
    mqtt.say(topic, true, b"false".to_vec());
    // Either the broker ends the connection or it drops the message.
    wait::until("the broker's answer", || {
        wait::that(mqtt.has_ended() || mqtt.is_settled(), || topic.into())
    });
    let heard = hears.heard(|_| true);
    assert!(!heard.contains(&b"false".to_vec()), "{topic}");
}

#[test]
fn a_device_may_hear_what_is_its_own_and_what_is_for_all() {
    let (fleet, thief, _) = two();
    let mqtt = thief.connect(&fleet);
    for filter in [
        &thief.topic("down/desired"),
        &thief.topic("down/ack"),
        "tern/1/default/b/+",
    ] {
        mqtt.hear(filter);
    }
    mqtt.say(&thief.topic("up/want"), false, b"nonsense".to_vec());
    mqtt.settled();
    assert!(!mqtt.has_ended());
}

#[test]
fn a_device_says_nothing_on_topics_of_others() {
    let (fleet, thief, victim) = two();
    let hears = victim.connect(&fleet);
    hears.hear(&victim.topic("down/desired"));
    hears.hear(&victim.topic("down/ack"));
    hears.hear("tern/1/default/b/+");
    for topic in [
        &victim.topic("up/state"),
        &victim.topic("up/log"),
        &victim.topic("down/desired"),
        &thief.topic("down/desired"),
        &thief.topic("up/more"),
        "tern/1/default/b/00ff",
        "anything",
    ] {
        goes_nowhere(&fleet, &thief, topic, &hears);
    }
    // Nothing was kept for whoever comes later.
    drop(hears);
    let late = victim.connect(&fleet);
    late.hear(&victim.topic("down/desired"));
    late.hear("tern/1/default/b/+");
    assert!(!late.heard(|_| true).contains(&b"false".to_vec()));
}

#[test]
fn a_device_hears_nothing_by_wildcards_over_others() {
    let (fleet, thief, victim) = two();
    for filter in [
        "#",
        "+/#",
        "tern/#",
        "tern/1/default/#",
        "tern/1/default/d/+/up/#",
        "tern/1/default/d/+/down/desired",
        &victim.topic("down/desired"),
        &victim.topic("up/#"),
        "tern/1/+/b/+",
        "$share/group/tern/1/default/d/victim/down/desired",
    ] {
        let mqtt = thief.connect(&fleet);
        assert!(!mqtt.asks_to_hear(filter), "{filter} was granted");
    }
}

#[test]
fn a_device_reaches_no_other_workspace() {
    let (fleet, thief, _) = two();
    fleet.as_admin("POST", "/workspaces", &json!({ "id": "other" }));
    for filter in ["tern/1/other/b/+", "tern/1/other/d/thief/down/desired"] {
        let mqtt = thief.connect(&fleet);
        assert!(!mqtt.asks_to_hear(filter), "{filter} was granted");
    }
    let hears = thief.connect(&fleet);
    hears.hear(&thief.topic("down/ack"));
    let (first, second) = ("tern/1/other/d/thief/up/state", "tern/1/other/b/00ff");
    drop(hears);
    let silent = thief.connect(&fleet);
    for topic in [first, second] {
        goes_nowhere(&fleet, &thief, topic, &silent);
    }
}

#[test]
fn a_device_neither_hears_nor_says_anything_below_sys() {
    let (fleet, thief, victim) = two();
    for filter in ["$SYS/#", "$SYS/brokers", "$SYS/brokers/+/clients/#"] {
        let mqtt = thief.connect(&fleet);
        assert!(!mqtt.asks_to_hear(filter), "{filter} was granted");
    }
    let hears = victim.connect(&fleet);
    goes_nowhere(&fleet, &thief, "$SYS/brokers", &hears);
}

#[test]
fn a_packet_that_is_too_large_ends_its_connection_and_no_other() {
    let (fleet, thief, victim) = two();
    let (flood, other) = (thief.connect(&fleet), victim.connect(&fleet));
    flood.say(&thief.topic("up/log"), false, vec![0; 3 * limits::PAYLOAD]);
    flood.ended();
    other.say(&victim.topic("up/want"), false, vec![0; 8]);
    other.settled();
}

#[test]
fn a_flood_of_retained_messages_is_not_kept() {
    let (fleet, thief, victim) = two();
    let hears = victim.connect(&fleet);
    for number in 0..20 {
        goes_nowhere(
            &fleet,
            &thief,
            &thief.topic(&format!("up/{number}")),
            &hears,
        );
        goes_nowhere(&fleet, &thief, &format!("flood/{number}"), &hears);
    }
    // And one that floods what it may say disturbs no other.
    let flood = thief.connect(&fleet);
    // The broker ends it at a message of its choice: wants may not be retained.
    let want = thief.topic("up/want");
    let _ = (0..200_u8).all(|number| flood.try_say(&want, true, vec![number; 64]));
    victim.connect(&fleet).hear(&victim.topic("down/ack"));
}

#[test]
fn no_certificate_takes_over_the_client_id_of_another() {
    let (fleet, thief, victim) = two();
    let session = victim.connect(&fleet);
    session.hear(&victim.topic("down/ack"));
    for id in [&victim.name(), "victim", "", "tern-hub", "hub"] {
        Mqtt::refused(fleet.hub.mqtt(), id, thief.tls());
    }
    session.say(&victim.topic("up/want"), false, vec![0; 8]);
    session.settled();
    assert!(!session.has_ended());
}

#[test]
fn a_device_that_connects_again_takes_over_its_own_session() {
    let (fleet, device, _) = two();
    let before = device.connect(&fleet);
    let now = device.connect(&fleet);
    before.ended();
    now.say(&device.topic("up/want"), false, vec![0; 8]);
    now.settled();
    assert!(!now.has_ended());
}

#[test]
fn a_device_that_says_too_much_is_slowed_down_and_no_other() {
    // As the door has them: so much at once, and so much a second after that.
    const BURST: usize = 8 << 20;
    const PER_S: usize = 2 << 20;
    let (fleet, flood, other) = two();
    let (flooding, patient) = (flood.connect(&fleet), other.connect(&fleet));
    let begun = Instant::now();
    let size = limits::PAYLOAD / 2;
    for _ in 0..(BURST + 2 * PER_S) / size {
        flooding.say(&flood.topic("up/want"), false, vec![0; size]);
    }
    patient.say(&other.topic("up/want"), false, vec![0; 8]);
    patient.settled();
    assert!(!flooding.is_settled());
    flooding.settled();
    // Nothing was refused, and it took as long as it must.
    assert!(!flooding.has_ended());
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1_500), "{took:?}");
}

//! The topic rules as they are shipped for Mosquitto, on a real one.
//!
//! Mosquitto drops what it denies in silence, so each test says afterwards something that is allowed
//! and looks at what had arrived by then: the broker keeps the order of one connection.

use tern_tests::{
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    pki::{self, Authority, Days},
    wait,
};

fn up(device: &str, channel: &str) -> String {
    format!("tern/1/default/d/{device}/up/{channel}")
}

fn down(device: &str, channel: &str) -> String {
    format!("tern/1/default/d/{device}/down/{channel}")
}

/// A hub's two connections: one hears all that it may, one speaks.
struct Hub {
    ears: Mqtt,
    voice: Mqtt,
}

#[track_caller]
fn hub(broker: &Mosquitto) -> Hub {
    let connect = |name: &str| {
        let credentials = broker.authority.client(name, Days(-1, 30));
        Mqtt::connect_tls(broker.address, name, broker.tls(&credentials))
    };
    let (ears, voice) = (connect("tern-hub-in"), connect("tern-hub-out"));
    ears.hear("#");
    Hub { ears, voice }
}

#[track_caller]
fn device(broker: &Mosquitto, device: &str) -> Mqtt {
    let credentials = broker.device(device);
    let id = format!("default/d/{device}");
    Mqtt::connect_tls(broker.address, &id, broker.tls(&credentials))
}

/// Waits until `client` has heard `payload` on `topic`.
#[track_caller]
fn hears(client: &Mqtt, topic: &str, payload: &[u8]) {
    wait::until(&format!("{topic} to be heard"), || {
        let heard = client.heard(|on| on == topic);
        wait::that(heard.iter().any(|bytes| bytes == payload), || {
            format!("{} messages", heard.len())
        })
    });
}

#[test]
fn mosquitto_lets_a_device_do_what_it_needs() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let (hub, meter) = (hub(&broker), device(&broker, "meter-01"));
    for channel in ["desired", "ack", "call"] {
        meter.hear(&down("meter-01", channel));
    }
    meter.hear("tern/1/default/b/+");
    meter.hear("tern/1/default/meta/+");
    for channel in ["link", "state", "log", "want"] {
        meter.say(&up("meter-01", channel), false, channel.into());
        hears(&hub.ears, &up("meter-01", channel), channel.as_bytes());
    }
    let blob = "tern/1/default/b/00ff";
    for topic in [
        &down("meter-01", "desired"),
        &down("meter-01", "ack"),
        blob,
        "tern/1/default/meta/root",
    ] {
        hub.voice.say(topic, false, topic.as_bytes().to_vec());
        hears(&meter, topic, topic.as_bytes());
    }
    // What is retained waits for whoever comes later.
    hub.voice
        .say(&down("meter-02", "desired"), true, b"kept".to_vec());
    hub.voice.settled();
    let late = device(&broker, "meter-02");
    late.hear(&down("meter-02", "desired"));
    hears(&late, &down("meter-02", "desired"), b"kept");
}

#[test]
fn mosquitto_denies_what_is_said_on_the_topics_of_others() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let (hub, thief) = (hub(&broker), device(&broker, "thief"));
    let victim = device(&broker, "meter-01");
    victim.hear(&down("meter-01", "desired"));
    victim.hear("tern/1/default/b/+");
    for topic in [
        &up("meter-01", "state"),
        &down("meter-01", "desired"),
        &down("thief", "desired"),
        &up("thief", "anything"),
        &up("thief", "log/more"),
        "tern/1/default/b/00ff",
        "tern/1/default/meta/root",
        "tern/1/other/d/thief/up/state",
        "tern/1/other/b/00ff",
        "$SYS/broker/clients/total",
        "anything",
    ] {
        thief.say(topic, true, b"false".to_vec());
    }
    thief.settled();
    thief.say(&up("thief", "log"), false, b"true".to_vec());
    hears(&hub.ears, &up("thief", "log"), b"true");
    hub.voice
        .say(&down("meter-01", "desired"), false, b"true".to_vec());
    hears(&victim, &down("meter-01", "desired"), b"true");
    for client in [&hub.ears, &victim] {
        let heard = client.heard(|_| true);
        assert!(!heard.contains(&b"false".to_vec()), "{heard:?}");
    }
    // Nor was anything kept for later.
    let late = device(&broker, "meter-01");
    late.hear(&down("meter-01", "desired"));
    late.hear("tern/1/default/b/+");
    hub.voice
        .say("tern/1/default/b/01", false, b"after".to_vec());
    hears(&late, "tern/1/default/b/01", b"after");
    assert_eq!(late.heard(|_| true).len(), 1);
}

#[test]
fn mosquitto_lets_nobody_hear_what_is_for_others() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let (hub, curious) = (hub(&broker), device(&broker, "curious"));
    let victim = device(&broker, "meter-01");
    let other = broker.authority.client("other/d/curious", Days(-1, 30));
    let other = Mqtt::connect_tls(broker.address, "other/d/curious", broker.tls(&other));
    // It is granted, and never served.
    for filter in [
        "#",
        "+/#",
        "$SYS/#",
        "tern/1/default/d/+/up/#",
        "tern/1/default/d/meter-01/down/#",
        "tern/1/default/#",
        "tern/1/other/#",
    ] {
        curious.asks_to_hear(filter);
        other.asks_to_hear(filter);
    }
    curious.hear(&down("curious", "ack"));
    hub.voice
        .say(&down("meter-01", "desired"), true, b"secret".to_vec());
    victim.say(&up("meter-01", "log"), false, b"secret".to_vec());
    hears(&hub.ears, &up("meter-01", "log"), b"secret");
    hub.voice
        .say(&down("curious", "ack"), false, b"mine".to_vec());
    hears(&curious, &down("curious", "ack"), b"mine");
    for client in [&curious, &other] {
        let heard = client.heard(|topic| !topic.ends_with("curious/down/ack"));
        assert_eq!(heard, Vec::<Vec<u8>>::new());
    }
    assert!(!curious.has_ended() && !other.has_ended());
}

#[test]
fn mosquitto_refuses_messages_that_are_too_large() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let hub = hub(&broker);
    let limit = tern_protocol::limits::PAYLOAD;
    let meter = device(&broker, "meter-01");
    meter.say(&up("meter-01", "log"), false, vec![1; limit]);
    hears(&hub.ears, &up("meter-01", "log"), &vec![1; limit]);
    let flood = device(&broker, "flood");
    flood.say(&up("flood", "log"), false, vec![2; limit + 1]);
    flood.say(&up("flood", "log"), false, vec![3; 3 * limit]);
    flood.ended();
    meter.say(&up("meter-01", "log"), false, b"after".to_vec());
    hears(&hub.ears, &up("meter-01", "log"), b"after");
    let heard = hub.ears.heard(|topic| topic == up("flood", "log"));
    assert!(heard.is_empty(), "{} messages", heard.len());
}

#[test]
fn mosquitto_keeps_a_session_from_another_certificate_with_its_client_id() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let hub = hub(&broker);
    let victim = device(&broker, "meter-01");
    victim.hear(&down("meter-01", "desired"));
    let thief = broker.device("thief");
    // It gets in as itself, whatever it calls itself.
    let thief = Mqtt::connect_tls(broker.address, "default/d/meter-01", broker.tls(&thief));
    thief.asks_to_hear(&down("meter-01", "desired"));
    hub.voice
        .say(&down("meter-01", "desired"), false, b"mine".to_vec());
    hears(&victim, &down("meter-01", "desired"), b"mine");
    thief.say(&up("thief", "log"), false, b"as itself".to_vec());
    hears(&hub.ears, &up("thief", "log"), b"as itself");
    assert!(!victim.has_ended());
    assert_eq!(thief.heard(|_| true), Vec::<Vec<u8>>::new());
}

#[test]
fn mosquitto_refuses_certificates_that_prove_nothing() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let (id, trusted) = ("default/d/meter-01", broker.authority.pem());
    // The same name as the hub's authority, another key.
    let impostor = Authority::new("Tern hub CA of a test");
    for (what, credentials) in [
        ("none", None),
        ("wrong authority", Some(impostor.client(id, Days(-1, 30)))),
        ("expired", Some(broker.authority.client(id, Days(-30, -1)))),
        ("not yet", Some(broker.authority.client(id, Days(1, 30)))),
    ] {
        let tls = pki::tls(trusted, credentials.as_ref());
        let heard = Mqtt::refused(broker.address, id, tls);
        assert!(!heard.is_empty(), "{what}");
    }
    // Names that would be wildcards in the rules.
    for name in ["default/d/+", "#", "+/d/+"] {
        let credentials = broker.authority.client(name, Days(-1, 30));
        let greedy = Mqtt::open(broker.address, name, Some(broker.tls(&credentials)));
        wait::until("the greedy to be answered", || {
            wait::that(greedy.has_ended() || greedy.is_connected(), || {
                "nothing yet".into()
            })
        });
        if !greedy.has_ended() {
            greedy.asks_to_hear("tern/1/default/d/meter-01/down/desired");
            greedy.asks_to_hear("#");
            let hub = hub(&broker);
            hub.voice
                .say(&down("meter-01", "desired"), false, b"secret".to_vec());
            hub.voice.settled();
            hub.voice
                .say("tern/1/default/b/00", false, b"public".to_vec());
            hub.voice.settled();
            assert!(!greedy.heard(|_| true).contains(&b"secret".to_vec()));
        }
    }
}

#[test]
fn mosquitto_silences_a_revoked_device_that_is_connected() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let hub = hub(&broker);
    let (revoked, meter) = (device(&broker, "meter-01"), device(&broker, "meter-02"));
    revoked.say(&up("meter-01", "log"), false, b"before".to_vec());
    hears(&hub.ears, &up("meter-01", "log"), b"before");
    broker.add_rules("\nuser default/d/meter-01\ntopic deny #\n");
    revoked.say(&up("meter-01", "log"), false, b"after".to_vec());
    revoked.settled();
    meter.say(&up("meter-02", "log"), false, b"after".to_vec());
    hears(&hub.ears, &up("meter-02", "log"), b"after");
    let heard = hub.ears.heard(|topic| topic == up("meter-01", "log"));
    assert_eq!(heard, [b"before".to_vec()]);
}

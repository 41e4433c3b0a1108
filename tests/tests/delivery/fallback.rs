//! One way when the other fails.

use tern_tests::{
    fleet::{Fleet, meter},
    wait,
};

use super::{DOWNLOADED, counter, plain, publish_big};

/// After its first chunk a blob is published for hours: as a broker that drops it.
const STUCK: [&str; 2] = ["--blob-egress-limit", "1"];

#[test]
fn when_no_more_chunks_come_by_mqtt_the_rest_comes_by_https_and_the_hub_is_told() {
    let mut fleet = Fleet::with_hub(&STUCK);
    let settings = plain(&fleet, 1, "silence = \"1s\"");
    fleet.add(&settings);
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    let status = fleet.agents[0].serves(version.version.get());
    let by_mqtt = status.chunk_bytes - status.https_bytes;
    assert!(by_mqtt > 0, "the first chunks came by MQTT: {status:?}");
    assert_eq!(
        status.chunk_bytes,
        version.total_bytes + status.metadata_bytes,
        "{status:?}"
    );
    assert_eq!(status.way_changes, 1, "{status:?}");
    assert_eq!(
        counter(&fleet, DOWNLOADED),
        status.https_bytes,
        "what was here was not downloaded"
    );
    wait::until("the hub to know why it came late", || {
        let events = fleet.client().events(100).map_err(|err| err.to_string())?;
        let mut texts = events.iter().map(|event| &event.text);
        let told = texts.any(|text| text.contains("silent: no chunk by MQTT"));
        wait::that(told, || format!("{events:?}"))
    });
}

#[test]
fn a_joined_device_falls_back_over_mutual_tls() {
    let mut fleet = Fleet::secured(&STUCK);
    fleet.add_joined(&meter(1).delivery("silence = \"1s\""));
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    let status = fleet.agents[0].serves(version.version.get());
    assert_eq!(status.way_changes, 1, "{status:?}");
    assert_eq!(counter(&fleet, DOWNLOADED), status.https_bytes);
    assert!(status.https_bytes > version.total_bytes / 2, "{status:?}");
}

#[test]
fn by_setting_mqtt_alone_is_waited_for() {
    let mut fleet = Fleet::with_hub(&STUCK);
    let settings = plain(&fleet, 1, "via = \"mqtt\"\nsilence = \"1s\"");
    fleet.add(&settings);
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    // It asks, and asks again: by then the other setting would have left MQTT.
    wait::until("three wants for what does not come", || {
        let wants = counter(&fleet, "tern_wants_total");
        wait::that(wants >= 1 + 3 + 2, || wants.to_string())
    });
    let status = fleet.agents[0].status();
    assert_eq!((status.https_bytes, status.version()), (0, None));
    assert!(status.coming.iter().all(|coming| coming.via == "MQTT"));
}

#[test]
fn when_https_fails_too_mqtt_has_its_turn_again() {
    let mut fleet = Fleet::with_hub(&STUCK);
    // Nobody listens there.
    let settings = meter(1).delivery("hub = \"http://127.0.0.1:9\"\nsilence = \"1s\"");
    fleet.add(&settings);
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    wait::until("the agent to have tried both", || {
        let status = fleet.agents[0].status();
        let by_mqtt = status.coming.iter().any(|coming| coming.via == "MQTT");
        wait::that(status.way_changes >= 2 && by_mqtt, || format!("{status:?}"))
    });
    fleet.hub.terminate();
    fleet.hub.set_args(&[]);
    fleet.run_hub();
    let status = fleet.agents[0].serves(version.version.get());
    assert_eq!(status.https_bytes, 0, "{status:?}");
    assert_eq!(
        status.chunk_bytes,
        version.total_bytes + status.metadata_bytes,
        "{status:?}"
    );
}

#[test]
fn a_hub_without_a_place_is_asked_again_and_its_answer_is_named() {
    let mut fleet = Fleet::with_hub(&["--downloads", "0"]);
    let settings = plain(&fleet, 1, "via = \"https\"");
    fleet.add(&settings);
    let (_, version) = publish_big(&fleet, 1);
    fleet.roll_out(version.version);
    wait::until("the trouble in /status", || {
        let status = fleet.agents[0].status();
        let troubles = status.coming.iter().filter_map(|it| it.trouble.as_ref());
        let named = troubles.filter(|text| text.starts_with("busy: the hub answers 429"));
        wait::that(named.count() > 0, || format!("{status:?}"))
    });
    assert!(counter(&fleet, "tern_downloads_refused_total") > 0);
}

//! What happened, why, and what it cost, as an operator sees it later.

use tern_protocol::rest::{AttentionKind, Health, Revoke, Stage, TimelineEntry};
use tern_tests::{
    fleet::{Fleet, MODEL, meter},
    package, wait,
};

fn kinds(timeline: &[TimelineEntry]) -> Vec<&str> {
    // Oldest first, as it is told.
    timeline
        .iter()
        .rev()
        .map(|entry| entry.kind.as_str())
        .collect()
}

/// Whether the words stand there in this order, whatever is between them.
fn in_order(words: &[&str], told: &[&str]) -> bool {
    let mut told = told.iter();
    words.iter().all(|word| told.any(|told| told == word))
}

#[test]
fn a_device_tells_its_story_and_a_restart_of_the_hub_keeps_it() {
    let mut fleet = Fleet::empty();
    for number in 1..=3 {
        fleet.add(&meter(number));
    }
    fleet.serve(package::digits(0));
    let story = [
        "appeared", "started", "assigned", "fetching", "fetched", "verified", "vetted", "serving",
        "proven",
    ];
    let device = "meter-02".parse().expect("a name");
    let timeline = |fleet: &Fleet| {
        let read = fleet.client().timeline(&device, None, 100);
        read.map_err(|err| err.to_string())
    };
    wait::until("the whole story", || {
        let told = timeline(&fleet)?;
        let kinds = kinds(&told);
        // What the hub saw and what the device told may be a blink apart.
        let all = story.iter().all(|word| kinds.contains(word));
        let mostly = in_order(
            &["assigned", "fetching", "fetched", "verified", "vetted"],
            &kinds,
        );
        wait::that(all && mostly, || format!("{kinds:?}"))
    });
    let told = timeline(&fleet).expect("it reads");
    let entry = |kind: &str| {
        let found = told.iter().find(|entry| entry.kind == kind);
        found.unwrap_or_else(|| panic!("{kind} is in {told:?}"))
    };
    let assigned = entry("assigned");
    assert!(
        assigned.rollout.is_some() && assigned.says.contains("rollout"),
        "{assigned:?}"
    );
    assert!(entry("vetted").text.contains("a sample"), "measured");
    assert!(entry("fetched").text.contains("by MQTT"), "by which way");

    assert!(fleet.hub.terminate().success());
    fleet.run_hub();
    fleet.online("meter-02");
    let again = timeline(&fleet).expect("it reads");
    for entry in &told {
        assert!(again.contains(entry), "{entry:?} is lost");
    }
}

#[test]
fn what_left_the_hub_is_told_apart_from_what_devices_took() {
    let mut fleet = Fleet::empty();
    for number in 1..=4 {
        fleet.add(&meter(number));
    }
    let version = fleet.serve(package::digits(0));
    let settled = |fleet: &Fleet| {
        wait::until("what was delivered", || {
            let view = fleet.client().delivery(10).map_err(|err| err.to_string())?;
            let done = view.versions.first().is_some_and(|of| {
                of.parts.len() == 4 && of.parts.iter().all(|part| part.devices_done == 4)
            });
            wait::that(done, || format!("{view:?}"))?;
            Ok(view)
        })
    };
    let view = settled(&fleet);
    let moved = view.versions[0].moved;
    assert_eq!(moved.taken_bytes, 4 * version.total_bytes);
    // Each chunk goes out once, but for a device that comes late for one.
    assert_eq!(
        moved.published_bytes - moved.repeated_bytes + moved.downloaded_bytes,
        version.total_bytes
    );
    assert_eq!(moved.saved_bytes, moved.taken_bytes - moved.left_bytes());
    assert_eq!(view.versions[0].stages.stored, 4);
    assert!(fleet.hub.terminate().success());
    fleet.run_hub();
    assert_eq!(
        settled(&fleet).versions[0].moved,
        moved,
        "a restart keeps it"
    );
}

#[test]
fn a_revoked_version_with_nothing_in_its_place_is_an_alarm() {
    let mut fleet = Fleet::empty();
    fleet.add(&meter(1));
    let version = fleet.serve(package::digits(0));
    let healthy = fleet.device("meter-01");
    assert!(
        healthy.slots[0].stage >= Some(Stage::Serving),
        "{healthy:?}"
    );
    let revoke = Revoke {
        reason: "it leaks".into(),
        replacement: None,
    };
    let model = MODEL.parse().expect("a name");
    let revoked = fleet
        .client()
        .revoke_version(&model, version.version, &revoke);
    assert_eq!(
        revoked
            .expect("it is revoked")
            .revoked
            .and_then(|r| r.replacement),
        None
    );
    wait::until("the alarm", || {
        let device = fleet.device("meter-01");
        let serves = device.slots[0].serving.as_ref();
        let marked = serves.is_some_and(|serves| serves.revoked.as_deref() == Some("it leaks"));
        let alarmed = device.health == Health::Failing && device.health_reason.contains("revoked");
        let overview = fleet.overview();
        let told = overview
            .attention
            .iter()
            .any(|one| one.kind == AttentionKind::RevokedServing && one.devices == 1);
        wait::that(marked && alarmed && told, || {
            format!("{device:?} {:?}", overview.attention)
        })
    });
    // A working model stays.
    fleet.agents[0].infer(&package::digits(0).samples()[0]);
    // A good version ends it.
    fleet.serve(package::digits(1));
    wait::until("the end of the alarm", || {
        let overview = fleet.overview();
        let quiet = overview
            .attention
            .iter()
            .all(|one| one.kind == AttentionKind::DevelopmentKeys);
        wait::that(quiet, || format!("{:?}", overview.attention))
    });
}

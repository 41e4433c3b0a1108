use std::collections::BTreeMap;

use sea_orm::TransactionTrait as _;
use tern_protocol::{
    blob::BlobRef,
    codec,
    digest::Digest,
    id::{BootId, DeviceId, ModelVersion, Revision, RolloutId, WorkspaceId},
    log::{Event, EventKind},
    reported::{
        Link, OutboxReport, Platform, RejectReason, Rejected, Reported, Resources, Serving,
        SlotReport, SlotVersion,
    },
    rest::{Health, HealthCount},
    time::{Instant, Uptime, WallTime},
};
use tokio::sync::mpsc;

use super::{
    anchor::Heard,
    assign::{Assignment, Cause, Tell, all_desired, assign},
    facts::{Assigned, Target, facts},
    intake::{Freshness, Message, Said},
    timeline::TimelineFilter,
    *,
};
use crate::app::{App, fresh};

mod shadow;

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn id(name: &str) -> DeviceId {
    name.parse().expect("a name")
}

fn at(boot: u32, uptime: u64) -> Instant {
    Instant {
        boot: BootId(boot),
        uptime: Uptime(uptime),
    }
}

fn version(number: u32) -> SlotVersion {
    SlotVersion {
        model: "digits".parse().expect("a name"),
        version: ModelVersion::new(number).expect("over 0"),
        bundle: Digest::of(format!("bundle {number}").as_bytes()),
    }
}

fn weights(number: u32) -> Digest {
    Digest::of(format!("weights {number}").as_bytes())
}

fn serving(number: u32) -> Serving {
    Serving {
        version: version(number),
        weights: weights(number),
        since: at(1, 500),
        inferences: 7,
        errors: 0,
        golden_difference: 0.0,
        confirmed: false,
    }
}

fn reported(site: &str, serving: Option<Serving>) -> Reported {
    Reported {
        agent: "0.1.0".into(),
        now: at(1, 1_000),
        wall: None,
        site: site.parse().expect("a name"),
        labels: BTreeMap::from([("lens".into(), "glass".into())]),
        platform: Platform::default(),
        resources: Resources::default(),
        answers: Revision(0),
        slots: vec![SlotReport {
            slot: "reader".parse().expect("a name"),
            serving,
            previous: None,
            progress: None,
            rejected: None,
            shadow: None,
        }],
        outbox: OutboxReport::default(),
        malformed: 0,
        trust: None,
        deltas: None,
        erased: None,
        captures: None,
    }
}

fn target(number: u32) -> Target {
    let SlotVersion {
        model,
        version,
        bundle,
    } = version(number);
    Target {
        model,
        version,
        bundle: BlobRef {
            digest: bundle,
            len: 10,
        },
        weights: weights(number),
    }
}

fn state(device: &str, reported: Reported, freshness: Freshness) -> Message {
    let bytes = codec::encode(&reported).into();
    let reported = Box::new(reported);
    said(
        device,
        Said::State {
            reported,
            bytes,
            freshness,
        },
    )
}

fn link(device: &str, online: bool, boot: u32) -> Message {
    let link = Link {
        online,
        boot: BootId(boot),
    };
    said(
        device,
        Said::Link {
            link,
            freshness: Freshness::Live,
        },
    )
}

fn said(device: &str, said: Said) -> Message {
    Message {
        workspace: workspace(),
        device: id(device),
        received: WallTime(1_000_000),
        said,
    }
}

/// Takes in these messages; gives what devices have to be told.
async fn take_in(app: &App, messages: Vec<Message>) -> Vec<Tell> {
    let (queue, waiting) = intake::queue();
    let (tell, mut told) = mpsc::channel(16);
    for message in messages {
        queue.send(message).await.expect("room in the queue");
    }
    drop(queue);
    intake::run(app.clone(), waiting, tell).await;
    let mut all = Vec::new();
    while let Some(tell) = told.recv().await {
        all.push(tell);
    }
    all
}

async fn assign_one(app: &App, device: &str, number: u32) -> Revision {
    let txn = app.store.write().begin().await.expect("begins");
    let wanted = Some(Assigned {
        target: target(number),
        rollout: RolloutId(1),
    });
    let assignments = [Assignment {
        device: id(device),
        wanted,
        cause: Cause {
            at: WallTime(5),
            actor: Some("user anna".into()),
            text: String::new(),
        },
    }];
    let slot = "reader".parse().expect("a name");
    let done = assign(&txn, &workspace(), &slot, &assignments)
        .await
        .expect("assigns");
    txn.commit().await.expect("commits");
    done[0].desired.revision
}

async fn view(app: &App, device_id: &str) -> tern_protocol::rest::DeviceView {
    let view = device(&app.store, &workspace(), &id(device_id))
        .await
        .expect("reads");
    view.expect("it is known")
}

#[tokio::test]
async fn a_device_appears_on_first_contact_and_goes_offline() {
    let (_dir, app) = fresh().await;
    take_in(&app, vec![link("a", true, 1)]).await;
    let seen = view(&app, "a").await;
    assert_eq!(
        (seen.online, seen.health, seen.site.as_str()),
        (true, Health::Updating, "unknown")
    );

    take_in(
        &app,
        vec![state(
            "a",
            reported("north", Some(serving(1))),
            Freshness::Live,
        )],
    )
    .await;
    let seen = view(&app, "a").await;
    assert_eq!(
        (seen.health, seen.site.as_str()),
        (Health::Healthy, "north")
    );
    assert_eq!(seen.labels["lens"], "glass");
    assert_eq!(
        seen.slots[0].serving.as_ref().map(|s| s.inferences),
        Some(7)
    );
    let since = seen.slots[0]
        .serving
        .as_ref()
        .and_then(|serving| serving.since);
    assert_eq!(
        since,
        Some(WallTime(999_500)),
        "repaired by the anchor of its boot"
    );

    take_in(&app, vec![link("a", false, 1)]).await;
    assert_eq!(view(&app, "a").await.health, Health::Offline);
}

#[tokio::test]
async fn an_old_last_will_does_not_take_a_device_offline() {
    let (_dir, app) = fresh().await;
    take_in(&app, vec![link("a", true, 2), link("a", false, 1)]).await;
    assert!(view(&app, "a").await.online, "the will of an earlier boot");
    take_in(&app, vec![link("a", false, 2), said("a", Said::Something)]).await;
    assert!(view(&app, "a").await.online, "it sends, so it is there");
    take_in(&app, vec![link("a", true, 1)]).await;
    take_in(&app, vec![link("a", false, 1)]).await;
    assert!(
        !view(&app, "a").await.online,
        "a device that lost its disk counts boots anew"
    );
}

#[tokio::test]
async fn retained_state_says_what_was_not_that_the_device_is_there() {
    let (_dir, app) = fresh().await;
    let state = state("a", reported("north", None), Freshness::Retained);
    take_in(&app, vec![state]).await;
    let seen = view(&app, "a").await;
    assert_eq!(
        (seen.online, seen.health, seen.site.as_str()),
        (false, Health::Offline, "north")
    );
}

#[tokio::test]
async fn revisions_only_rise_and_health_follows_what_is_wanted() {
    let (_dir, app) = fresh().await;
    take_in(
        &app,
        vec![state(
            "a",
            reported("north", Some(serving(1))),
            Freshness::Live,
        )],
    )
    .await;
    assert_eq!(assign_one(&app, "a", 2).await, Revision(1));
    assert_eq!(view(&app, "a").await.health, Health::Updating);
    assert_eq!(assign_one(&app, "a", 1).await, Revision(2));
    assert_eq!(view(&app, "a").await.health, Health::Healthy);
    assert_eq!(assign_one(&app, "a", 3).await, Revision(3));

    let mut refusing = reported("north", Some(serving(1)));
    refusing.slots[0].rejected = Some(Rejected {
        version: version(3),
        reason: RejectReason::GoldenMismatch,
        text: "off by 0.5".into(),
    });
    take_in(&app, vec![state("a", refusing, Freshness::Live)]).await;
    let seen = view(&app, "a").await;
    assert_eq!(seen.health, Health::Failing);
    assert!(
        seen.health_reason.contains("golden-mismatch: off by 0.5"),
        "{}",
        seen.health_reason
    );
}

#[tokio::test]
async fn a_restored_hub_gets_ahead_of_its_devices_again() {
    let (_dir, app) = fresh().await;
    let mut ahead = reported("north", Some(serving(1)));
    ahead.answers = Revision(41);
    let told = take_in(&app, vec![state("a", ahead, Freshness::Live)]).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].desired.revision, Revision(42));
    assert_eq!(assign_one(&app, "a", 2).await, Revision(43));
}

#[tokio::test]
async fn all_desired_states_are_found_page_by_page() {
    let (_dir, app) = fresh().await;
    let messages = (0..7).map(|n| link(&format!("d{n}"), true, 1)).collect();
    take_in(&app, messages).await;
    for n in 0..5 {
        assign_one(&app, &format!("d{n}"), 1).await;
    }
    let all = all_desired(&app.store, &workspace(), None)
        .await
        .expect("reads");
    assert_eq!(
        all.len(),
        5,
        "devices of which nothing was ever wanted are left out"
    );
    let rest = all_desired(&app.store, &workspace(), Some(&id("d3")))
        .await
        .expect("reads");
    assert_eq!(
        rest.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["d4"]
    );
    assert_eq!(rest[0].1.slots[0].bundle, target(1).bundle);
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let (_dir, app) = fresh().await;
    let site = |n: usize| {
        if n.is_multiple_of(2) {
            "north"
        } else {
            "south"
        }
    };
    let messages = (0..6).map(|n| {
        let mut reported = reported(site(n), (n < 3).then(|| serving(1)));
        reported
            .labels
            .insert("batch".into(), format!("b{}", n / 3));
        state(&format!("d{n}"), reported, Freshness::Live)
    });
    take_in(&app, messages.collect()).await;
    let list = async |filter: DeviceFilter| {
        let page = devices(&app.store, &workspace(), &filter)
            .await
            .expect("reads");
        let ids: Vec<String> = page
            .items
            .iter()
            .map(|device| device.id.to_string())
            .collect();
        (ids.join(" "), page.next)
    };
    let all = DeviceFilter::default();
    assert_eq!(list(all.clone()).await, ("d0 d1 d2 d3 d4 d5".into(), None));
    let north = DeviceFilter {
        site: "north".parse().ok(),
        ..all.clone()
    };
    assert_eq!(list(north).await.0, "d0 d2 d4");
    let failing = DeviceFilter {
        health: Some(Health::Failing),
        ..all.clone()
    };
    assert_eq!(list(failing).await.0, "d3 d4 d5");
    let batch = DeviceFilter {
        label: Some(("batch".into(), "b1".into())),
        ..all.clone()
    };
    assert_eq!(list(batch).await.0, "d3 d4 d5");
    let page = DeviceFilter {
        limit: Some(4),
        ..all.clone()
    };
    assert_eq!(list(page).await, ("d0 d1 d2 d3".into(), Some("d3".into())));
    let rest = DeviceFilter {
        limit: Some(4),
        after: Some(id("d3")),
        ..all
    };
    assert_eq!(list(rest).await, ("d4 d5".into(), None));

    let counts = health_counts(&app.store, &workspace())
        .await
        .expect("reads");
    let healthy = HealthCount {
        health: Health::Healthy,
        devices: 3,
    };
    assert_eq!((counts.len(), counts[0]), (4, healthy));
    let serving = serving_counts(&app.store, &workspace())
        .await
        .expect("reads");
    assert_eq!(
        serving
            .iter()
            .map(|count| count.devices)
            .collect::<Vec<_>>(),
        [3, 3]
    );
    let sites = sites(&app.store, &workspace()).await.expect("reads");
    assert_eq!(
        sites.iter().map(|site| site.devices).collect::<Vec<_>>(),
        [3, 3]
    );
}

#[tokio::test]
async fn totals_add_up_even_before_the_device_is_known() {
    let (_dir, app) = fresh().await;
    let txn = app.store.write().begin().await.expect("begins");
    for _ in 0..3 {
        // Several at once, in statements of several lengths.
        let counts = ["a", "b", "c"].map(|device| {
            let (windows, inferences) = if device == "a" { (2, 50) } else { (0, 0) };
            ((workspace(), id(device)), (windows, inferences))
        });
        let counted = count_windows(&txn, counts, WallTime(5)).await;
        counted.expect("counts");
    }
    txn.commit().await.expect("commits");
    take_in(
        &app,
        vec![state("a", reported("north", None), Freshness::Live)],
    )
    .await;
    let seen = view(&app, "a").await;
    assert_eq!(
        (seen.windows, seen.inferences, seen.first_seen),
        (6, 150, WallTime(5))
    );
    let totals = totals(&app.store, &workspace()).await.expect("reads");
    assert_eq!(
        (totals.devices, totals.windows, totals.inferences),
        (3, 6, 150)
    );
}

#[tokio::test]
async fn the_earliest_anchor_of_a_boot_is_kept_unless_the_hub_was_set() {
    let (_dir, app) = fresh().await;
    let db = app.store.write();
    let heard = |uptime, received| Heard {
        device: id("a"),
        now: at(1, uptime),
        received: WallTime(received),
    };
    let hour = 60 * 60 * 1000;
    for (message, expected) in [
        (heard(1_000, 50_000), 49_000),
        (heard(2_000, 53_000), 49_000), // two seconds late
        (heard(3_000, 51_500), 48_500), // less late than the first
        (heard(4_000, 52_500 + hour), 48_500 + hour), // the hub's clock was set
    ] {
        learn_anchors(db, &workspace(), &[message])
            .await
            .expect("learns");
        let known = anchors(db, &workspace(), &id("a")).await.expect("reads");
        assert_eq!(known, [(BootId(1), expected)]);
    }
}

#[tokio::test]
async fn events_are_newest_first() {
    let (_dir, app) = fresh().await;
    let event = |text: &str| Event {
        kind: EventKind::Serving,
        slot: "reader".parse().ok(),
        model: Some(version(1).model),
        version: Some(version(1).version),
        text: text.into(),
    };
    let long = "ä".repeat(5_000);
    let happened = [(WallTime(1), event("first")), (WallTime(2), event(&long))];
    let db = app.store.write();
    record_events(db, &workspace(), &id("a"), &happened)
        .await
        .expect("stores");
    record_events(db, &workspace(), &id("b"), &happened[..1])
        .await
        .expect("stores");
    let of_all = events(&app.store, &workspace(), None, 10)
        .await
        .expect("reads");
    assert_eq!((of_all.len(), of_all[0].device.as_str()), (3, "b"));
    let of_a = events(&app.store, &workspace(), Some(&id("a")), 1)
        .await
        .expect("reads");
    assert_eq!(
        (of_a.len(), of_a[0].text.len(), of_a[0].kind.as_str()),
        (1, 1_024, "serving")
    );
}

#[tokio::test]
async fn facts_tell_rollouts_what_they_need() {
    let (_dir, app) = fresh().await;
    take_in(
        &app,
        vec![state(
            "a",
            reported("north", Some(serving(1))),
            Freshness::Live,
        )],
    )
    .await;
    take_in(&app, vec![link("b", true, 1)]).await;
    assign_one(&app, "a", 2).await;
    let slot = "reader".parse().expect("a name");
    let all = facts(app.store.read(), &workspace(), &slot)
        .await
        .expect("reads");
    assert_eq!(
        all.len(),
        1,
        "a device that has not reported the slot is left out"
    );
    assert_eq!(
        all[0].serving.map(|served| served.weights),
        Some(weights(1))
    );
    let assigned = all[0].assigned.as_ref().map(|assigned| &assigned.target);
    assert_eq!(assigned, Some(&target(2)));
}

#[tokio::test]
async fn a_device_is_where_its_identity_binds_it_whatever_it_says() {
    use crate::access::{audit::Actor, identity};
    use tern_protocol::{join::JoinToken, rest};
    let (_dir, app) = fresh().await;
    let new = rest::NewInvitation {
        site: Some("north".parse().expect("a name")),
        labels: BTreeMap::from([("line".into(), "4".into())]),
        device: None,
        hardware_id: None,
        uses: 1,
        expires_in_s: 60,
        approval: false,
    };
    let invited = identity::invite(&app, &workspace(), new, &Actor::hub()).await;
    let token: JoinToken = invited.expect("invites").token.parse().expect("a token");
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key);
    let join = rest::Join {
        secret: token.secret,
        device: id("d1"),
        hardware_id: None,
        csr: request.expect("signs").pem().expect("PEM"),
    };
    identity::join(&app, &join, None).await.expect("joins");
    let mut says = reported("south", None);
    says.labels.insert("line".into(), "9".into());
    take_in(
        &app,
        vec![
            state("d1", says.clone(), Freshness::Live),
            state("d2", says, Freshness::Live),
        ],
    )
    .await;
    let bound = view(&app, "d1").await;
    assert_eq!(bound.site.as_str(), "north");
    let labels = [("lens", "glass"), ("line", "4")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(bound.labels, BTreeMap::from(labels));
    let free = view(&app, "d2").await;
    assert_eq!((free.site.as_str(), &*free.labels["line"]), ("south", "9"));
}

#[tokio::test]
async fn a_timeline_is_bounded_paged_and_in_the_order_of_what_happened() {
    let (_dir, app) = fresh().await;
    let db = app.store.write();
    let device = id("meter");
    let entry = |at: i64, kind: &str, slot: Option<&str>| rows::event::Model {
        slot: slot.map(Into::into),
        ..timeline::news::row("default", "meter", WallTime(at), kind)
    };
    // A device on a bad link, and later what it tells of earlier.
    for n in 0..200 {
        let away = vec![entry(n * 10, "away", None)];
        timeline::record(db, away).await.expect("stores");
    }
    let many = (0..1_000).map(|n| entry(1_999 - n, "serving", Some("reader")));
    for chunk in many.collect::<Vec<_>>().chunks(100) {
        timeline::record(db, chunk.to_vec()).await.expect("stores");
    }
    let mut filter = TimelineFilter {
        limit: Some(200),
        ..TimelineFilter::default()
    };
    let mut all = Vec::new();
    loop {
        let page = super::timeline(&app.store, &workspace(), &device, &filter).await;
        let page = page.expect("reads");
        all.extend(page.items);
        let Some(next) = page.next else { break };
        filter.after = Some(next.parse().expect("a cursor"));
    }
    assert_eq!(all.len() as i64, timeline::KEPT);
    assert!(
        all.windows(2).all(|two| two[0].at >= two[1].at),
        "newest first"
    );
    // The last that were told are kept, however early they happened.
    assert_eq!(all[0].at, WallTime(1_499));
    filter = TimelineFilter {
        slot: Some("other".parse().expect("a name")),
        ..TimelineFilter::default()
    };
    let other = super::timeline(&app.store, &workspace(), &device, &filter).await;
    assert_eq!(other.expect("reads").items, []);
    for bad in ["", "1", "a.b", "1.2.3"] {
        assert!(bad.parse::<timeline::Cursor>().is_err(), "{bad}");
    }
}

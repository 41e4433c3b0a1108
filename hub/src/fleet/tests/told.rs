//! What is told of devices: lists, totals, events, timelines.

use super::*;

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

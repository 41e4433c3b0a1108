use proptest::prelude::*;
use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::{codec, log::Body, window::Window};
use tern_stats::window::merge;

use super::*;
use crate::monitor::fixture::{Device, NOON, World, at};

const DAY: u64 = 86_400_000;

/// A row, without its time and version: level, site, windows, inferences, and its body.
type Row = (i64, String, i64, i64, Window);

async fn rows(world: &World, table: &str) -> Vec<Row> {
    let columns = if table == "rollup" {
        "level, site"
    } else {
        "start AS level, device AS site"
    };
    let select = format!(
        "SELECT {columns}, windows, inferences, body FROM {table} ORDER BY level, start, site, version"
    );
    let select = Statement::from_string(world.app.store.backend(), select);
    let rows = world.app.store.read().query_all_raw(select).await;
    let row = |row: &sea_orm::QueryResult| {
        let body: Vec<u8> = row.try_get("", "body").expect("bytes");
        (
            row.try_get("", "level").expect("a number"),
            row.try_get("", "site").expect("a name"),
            row.try_get("", "windows").expect("a number"),
            row.try_get("", "inferences").expect("a number"),
            codec::decode(&body).expect("a window"),
        )
    };
    rows.expect("reads").iter().map(row).collect()
}

async fn count(world: &World, table: &str) -> i64 {
    let select = format!("SELECT COUNT(*) FROM {table}");
    let select = Statement::from_string(world.app.store.backend(), select);
    let row = world.app.store.read().query_one_raw(select).await;
    let row = row.expect("reads").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

async fn all(world: &World) {
    while pass(&world.app, &Retention::default())
        .await
        .expect("rolls up")
    {}
}

fn window(body: &Body) -> &Window {
    match body {
        Body::Window(window) => window,
        _ => panic!("no window"),
    }
}

#[tokio::test]
async fn windows_that_share_nothing_are_added_in_smaller_passes() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let bodies = (0..2_500_u64).map(|minute| {
        let opened = minute * 60_000;
        device.window(opened, opened + 60_000, 10)
    });
    let (id, mut batch) = device.batch(bodies.collect());
    batch.now = at(1, 2 * DAY);
    world.ingest(vec![(id, batch)]).await;
    let mut passes = 0;
    while pass(&world.app, &Retention::default())
        .await
        .expect("rolls up")
    {
        passes += 1;
    }
    assert!(passes >= 2, "{passes}");
    let rows = rows(&world, "rollup").await;
    let minutes = rows.iter().filter(|row| row.0 == Level::Minute.number());
    let minutes = minutes.filter(|row| row.1 == ALL_SITES);
    assert_eq!(minutes.map(|row| row.2).sum::<i64>(), 2_500);
}

#[tokio::test]
async fn windows_become_minutes_hours_and_days_of_sites_of_all_and_of_devices() {
    let world = World::new().await;
    let (mut here, mut there) = (Device::new("meter-1"), Device::new("meter-2"));
    let first = here.batch(vec![here.window(0, 1_000, 5), here.window(1_000, 2_000, 7)]);
    let second = there.batch(vec![there.window(0, 2_000, 11)]);
    world.ingest(vec![first, second]).await;
    all(&world).await;

    // Both are nowhere yet, so one site and all sites say the same.
    let sums = rows(&world, "rollup").await;
    let counts: Vec<_> = sums
        .iter()
        .map(|(level, site, windows, inferences, _)| (*level, site.as_str(), *windows, *inferences))
        .collect();
    let level = |level| [(level, "*", 3, 23), (level, "unknown", 3, 23)];
    assert_eq!(counts, [level(0), level(1), level(2)].concat());
    assert!(sums.iter().all(|(.., body)| *body == sums[0].4));
    let devices = rows(&world, "device_day").await;
    let devices: Vec<_> = devices
        .iter()
        .map(|(_, device, windows, inferences, body)| {
            (
                device.as_str(),
                *windows,
                *inferences,
                body.inferences,
                body.features.len(),
            )
        })
        .collect();
    assert_eq!(
        devices,
        [("meter-1", 2, 12, 12, 0), ("meter-2", 1, 11, 11, 0)]
    );

    // Later ones are added to what is there, also after a restart, which knows nothing else.
    world
        .ingest(vec![here.batch(vec![here.window(2_000, 3_000, 2)])])
        .await;
    all(&world).await;
    all(&world).await;
    let sums = rows(&world, "rollup").await;
    assert_eq!(sums.len(), 6);
    assert!(sums.iter().all(|(_, _, windows, inferences, body)| {
        (*windows, *inferences, body.inferences) == (4, 25, 25)
    }));
}

#[tokio::test]
async fn a_window_that_comes_weeks_late_counts_once_on_its_own_day() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let (id, mut batch) = device.batch(vec![
        device.window(0, 60_000, 5),
        device.window(20 * DAY - 60_000, 20 * DAY, 7),
    ]);
    batch.now = at(1, 20 * DAY);
    world.ingest(vec![(id, batch)]).await;
    all(&world).await;
    let sums = rows(&world, "rollup").await;
    let of = |level: i64| -> Vec<i64> {
        let of = sums
            .iter()
            .filter(|row| row.0 == level && row.1 == ALL_SITES);
        of.map(|row| row.3).collect()
    };
    // Minutes of three weeks ago are kept no more.
    assert_eq!((of(0), of(1), of(2)), (vec![7], vec![5, 7], vec![5, 7]));
    assert_eq!(count(&world, "device_day").await, 2);
}

#[tokio::test]
async fn what_does_not_merge_is_left_out_and_counted() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let mut other = device.window(1_000, 2_000, 7);
    if let Body::Window(window) = &mut other {
        window.classes = vec![0; 5];
    }
    let batch = device.batch(vec![device.window(0, 1_000, 5), other]);
    world.ingest(vec![batch]).await;
    all(&world).await;
    let sums = rows(&world, "rollup").await;
    assert!(
        sums.iter()
            .all(|(_, _, windows, inferences, _)| (*windows, *inferences) == (1, 5))
    );
    assert_eq!(world.app.counters.rollups_refused.get(), 1);
}

#[tokio::test]
async fn windows_go_when_they_are_old_and_rolled_up_and_not_before() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let batch = device.batch(vec![device.window(0, 1_000, 5)]);
    world.ingest(vec![batch]).await;
    let (retention, stop) = (Retention::default(), CancellationToken::new());
    let remove = || retain::remove(&world.app, &world.workspace, &retention, &stop);

    assert_eq!(remove().await.expect("removes"), 0);
    world.app.clock.advance(Duration::from_hours(8 * 24));
    assert_eq!(
        remove().await.expect("removes"),
        0,
        "nobody has summed it up"
    );
    all(&world).await;
    assert_eq!(
        count(&world, "rollup").await,
        4,
        "its minute is too old by now"
    );
    assert_eq!(remove().await.expect("removes"), 1);
    assert_eq!(count(&world, "telemetry_window").await, 0);
    world.app.clock.advance(Duration::from_hours(90 * 24));
    assert_eq!(
        remove().await.expect("removes"),
        3,
        "its hours and its device's day"
    );
    assert_eq!(count(&world, "rollup").await, 2);
    assert!(world.app.clock.now().0 > NOON);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// However windows are cut into batches and passes, sums are what all of them merged say.
    #[test]
    fn sums_are_exact_whatever_the_passes(
        lengths in prop::collection::vec((0_u64..59_000, 1_u64..900, 0_u64..40), 1..20),
        cuts in prop::collection::vec(any::<bool>(), 20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let world = World::new().await;
            let mut device = Device::new("meter-1");
            let bodies: Vec<Body> = lengths.iter().map(|(at, ms, n)| device.window(*at, at + ms, *n)).collect();
            let mut whole = window(&bodies[0]).clone();
            for body in &bodies[1..] {
                merge(&mut whole, window(body)).expect("merges");
            }
            for (body, cut) in bodies.into_iter().zip(cuts) {
                let batch = device.batch(vec![body]);
                world.ingest(vec![batch]).await;
                if cut {
                    all(&world).await;
                }
            }
            all(&world).await;
            let sums = rows(&world, "rollup").await;
            for level in [1, 2] {
                let of: Vec<&Row> = sums.iter().filter(|row| row.0 == level && row.1 == ALL_SITES).collect();
                let inferences: i64 = of.iter().map(|row| row.3).sum();
                assert_eq!(inferences, whole.inferences as i64);
                let mut all = of[0].4.clone();
                for row in &of[1..] {
                    merge(&mut all, &row.4).expect("merges");
                }
                assert_eq!(all, whole);
            }
        });
    }
}

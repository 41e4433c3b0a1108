//! Charts from sums, when windows are too many or gone.

use std::time::Duration;

use tern_protocol::{
    rest::{Baseline, Counted, Part},
    window::FeatureCounts,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{config::Retention, monitor::rollup};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Hours of which there are windows.
const HOURS: u64 = 4 * 24 - 1;

/// Two devices on two versions that close a window each full hour for four days until noon, of 100 and of 50
/// inferences.
async fn four_days(world: &World) {
    let mut one = Device::new("meter-1");
    let mut two = Device {
        version: 2,
        ..Device::new("meter-2")
    };
    let batches = [(&mut one, 100), (&mut two, 50)].map(|(device, n)| {
        let begins = (-(NOON - 4 * DAY)).rem_euclid(HOUR).unsigned_abs();
        let bodies = (0..HOURS).map(|hour| {
            let opened = begins + hour * HOUR.unsigned_abs();
            device.window(opened, opened + HOUR.unsigned_abs(), n)
        });
        let bodies = bodies.collect();
        let (id, mut batch) = device.batch(bodies);
        batch.now = at(1, 4 * DAY.unsigned_abs());
        (id, batch)
    });
    world.ingest(batches.into()).await;
    while rollup::pass(&world.app, &Retention::default())
        .await
        .expect("rolls up")
    {}
}

fn over(metric: Metric, days: i64, step: i64) -> ChartQuery {
    ChartQuery::recent(metric, WallTime(NOON)).between(
        Some(WallTime(NOON - days * DAY)),
        Some(WallTime(NOON)),
        Some(step.unsigned_abs()),
    )
}

async fn draw(world: &World, query: &ChartQuery) -> Chart {
    let drawn = chart(&world.app.store, &world.workspace, query).await;
    drawn.expect("draws")
}

/// Inferences of a chart of traffic.
fn inferences(chart: &Chart) -> f64 {
    let points = chart.series.iter().flat_map(|series| &series.points);
    points.map(|point| point.n as f64).sum()
}

async fn forget_windows(world: &World) {
    let retention = Retention {
        windows: Duration::from_secs(1),
        ..Retention::default()
    };
    let stop = CancellationToken::new();
    world.app.clock.advance(Duration::from_mins(1));
    let gone = rollup::retain::remove(&world.app, &world.workspace, &retention, &stop).await;
    assert!(gone.expect("removes") >= 2 * HOURS);
}

#[tokio::test]
async fn sums_draw_what_windows_drew() {
    let world = World::new().await;
    publish(&world).await;
    four_days(&world).await;
    let metrics = [
        Metric::Traffic,
        Metric::Latency,
        Metric::Prediction,
        Metric::Confidence,
    ];
    let by_version = |metric, step| ChartQuery {
        group: GroupBy::Version,
        ..over(metric, 3, step)
    };
    // Aligned with the sums, so that both draw the same intervals.
    let start = (NOON - 3 * DAY) / DAY * DAY;
    let aligned = |query: ChartQuery| ChartQuery {
        from: WallTime(start),
        to: WallTime(start + 3 * DAY),
        ..query
    };
    let mut windows = Vec::new();
    for metric in metrics {
        windows.push(draw(&world, &aligned(by_version(metric, DAY))).await);
    }
    forget_windows(&world).await;
    for (metric, before) in metrics.into_iter().zip(windows) {
        let after = draw(&world, &aligned(by_version(metric, DAY))).await;
        assert_eq!(text(&after), text(&before), "{metric:?}");
        assert!(!after.series.is_empty());
    }
}

#[tokio::test]
async fn a_chart_takes_the_sums_that_are_as_fine_as_it_and_begins_and_ends_with_them() {
    let world = World::new().await;
    four_days(&world).await;
    let fine = draw(&world, &over(Metric::Traffic, 1, 900_000)).await;
    assert_eq!((fine.step_ms, fine.from), (900_000, WallTime(NOON - DAY)));
    forget_windows(&world).await;

    // Minutes are kept for two days, hours for longer.
    let minutes = draw(&world, &over(Metric::Traffic, 1, 900_000)).await;
    assert_eq!(minutes.step_ms, 900_000);
    let hours = draw(&world, &over(Metric::Traffic, 4, 2 * HOUR + 1)).await;
    assert_eq!(hours.step_ms, 3 * HOUR.unsigned_abs());
    assert_eq!(hours.from.0 % HOUR, 0);
    let days = draw(&world, &over(Metric::Traffic, 4, DAY)).await;
    assert_eq!((days.step_ms, days.from.0 % DAY), (DAY.unsigned_abs(), 0));
    for chart in [hours, days] {
        assert!(
            (inferences(&chart) - HOURS as f64 * 150.0).abs() < 1.0,
            "all of it"
        );
    }

    let device = ChartQuery {
        device: Some(name("meter-2")),
        ..over(Metric::Traffic, 4, HOUR)
    };
    let device = draw(&world, &device).await;
    assert_eq!(device.step_ms, DAY.unsigned_abs());
    assert!((inferences(&device) - HOURS as f64 * 50.0).abs() < 1.0);
}

#[tokio::test]
async fn parts_in_a_rollout_are_told_apart_by_sums() {
    let world = World::new().await;
    four_days(&world).await;
    let arms = "UPDATE rollup SET arm = 'control' WHERE version = 1";
    let arms = Statement::from_string(world.app.store.backend(), arms);
    let done = world.app.store.write().execute_raw(arms).await;
    done.expect("changes");
    let by_arm = ChartQuery {
        group: GroupBy::Arm,
        ..over(Metric::Traffic, 4, DAY)
    };
    let chart = draw(&world, &by_arm).await;
    let names: Vec<_> = chart
        .series
        .iter()
        .map(|series| series.name.as_str())
        .collect();
    assert_eq!(names, ["neither", "control"]);
    let control = ChartQuery {
        arm: Some(Part::Control),
        ..over(Metric::Traffic, 4, DAY)
    };
    assert!((inferences(&draw(&world, &control).await) - HOURS as f64 * 100.0).abs() < 1.0);
}

#[tokio::test]
async fn among_many_windows_those_of_a_version_are_drawn_from_sums() {
    let world = World::new().await;
    publish(&world).await;
    let mut device = Device::new("meter-1");
    let bodies = (0..4_200_u64).map(|minute| {
        let opened = minute * 60_000;
        device.window(opened, opened + 60_000, 10)
    });
    let (id, mut batch) = device.batch(bodies.collect());
    batch.now = at(1, 3 * DAY.unsigned_abs());
    world.ingest(vec![(id, batch)]).await;
    while rollup::pass(&world.app, &Retention::default())
        .await
        .expect("rolls up")
    {}
    // Not at a full hour, where windows would have drawn.
    let query = ChartQuery {
        from: WallTime(NOON - 4 * DAY + 1_234),
        version: Some(tern_protocol::id::ModelVersion::FIRST),
        ..over(Metric::Traffic, 4, DAY / 4)
    };
    let drawn = draw(&world, &query).await;
    assert_eq!(drawn.from.0 % HOUR, 0, "{drawn:?}");
    assert!((inferences(&drawn) - 42_000.0).abs() < 1.0, "{drawn:?}");
    // A device's own windows are found by themselves.
    let of_device = ChartQuery {
        device: Some(name("meter-1")),
        ..query
    };
    let drawn = draw(&world, &of_device).await;
    assert_eq!(drawn.from, of_device.from, "{drawn:?}");
    assert!((inferences(&drawn) - 42_000.0).abs() < 1.0, "{drawn:?}");
}

#[tokio::test]
async fn a_device_that_came_today_is_drawn_as_finely_as_asked() {
    let world = World::new().await;
    publish(&world).await;
    let mut device = Device::new("meter-1");
    let bodies = (0..5_u64).map(|minute| {
        let opened = minute * 60_000;
        device.window(opened, opened + 60_000, 10)
    });
    let (id, mut batch) = device.batch(bodies.collect());
    batch.now = at(1, 300_000);
    world.ingest(vec![(id, batch)]).await;
    while rollup::pass(&world.app, &Retention::default())
        .await
        .expect("rolls up")
    {}
    // From before its first window, but after its day began.
    let query = ChartQuery {
        device: Some(name("meter-1")),
        from: WallTime(NOON - HOUR),
        ..over(Metric::Traffic, 1, 60_000)
    };
    let drawn = draw(&world, &query).await;
    assert_eq!((drawn.step_ms, drawn.from), (60_000, query.from));
    assert!((inferences(&drawn) - 50.0).abs() < 1.0, "{drawn:?}");
}

#[tokio::test]
async fn of_many_sites_each_is_told_by_days_and_all_by_hours() {
    let world = World::new().await;
    publish(&world).await;
    four_days(&world).await;
    // Sixty sites like the one there is.
    let copies = "INSERT INTO rollup WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) \
        SELECT workspace, level, start, slot, model, version, 'site-' || i, arm, windows, inferences, errors, body \
        FROM rollup, n WHERE site = 'unknown'";
    let copies = sea_orm::Statement::from_string(world.app.store.backend(), copies);
    let copied = sea_orm::ConnectionTrait::execute_raw(world.app.store.write(), copies).await;
    copied.expect("copies");
    let query = DistancesQuery {
        model: name("digits"),
        version: tern_protocol::id::ModelVersion::FIRST,
        site: None,
        from: WallTime(NOON - 30 * HOUR),
        to: WallTime(NOON),
        baseline: Baseline::Training,
    };
    let view = distances(&world.app, &world.workspace, &query).await;
    let places = view.expect("compares").places;
    assert_eq!(places.len(), 62, "all, and each");
    let (all, site) = (&places[0], &places[1]);
    assert_eq!((all.from.0 % HOUR, all.to.0 % HOUR), (0, 0));
    let near = |at: WallTime, asked: i64| (at.0 - asked).abs() < HOUR;
    assert!(near(all.from, NOON - 30 * HOUR) && near(all.to, NOON));
    assert_eq!((site.from.0 % DAY, site.to.0 % DAY), (0, 0));
    assert!(site.from.0 < all.from.0 && site.to.0 > all.to.0);
    let one = DistancesQuery {
        site: Some(name("site-7")),
        ..query
    };
    let view = distances(&world.app, &world.workspace, &one).await;
    let places = view.expect("compares").places;
    assert_eq!(places.len(), 1);
    assert!(near(places[0].from, NOON - 30 * HOUR), "{places:?}");
}

#[tokio::test]
async fn distances_are_from_training_or_from_the_week_before_and_name_what_moved() {
    let world = World::new().await;
    publish(&world).await;
    let mut device = Device::new("meter-1");
    // Ten days: features as in training for nine, then the second of them elsewhere.
    let bodies = (0..10 * 24 - 1_u64).map(|hour| {
        let begins = (-(NOON - 10 * DAY)).rem_euclid(HOUR).unsigned_abs();
        let opened = begins + hour * HOUR.unsigned_abs();
        let mut body = device.window(opened, opened + HOUR.unsigned_abs(), 100);
        if let Body::Window(window) = &mut body {
            let moved = hour >= 9 * 24;
            window.classes = vec![50, 50];
            window.features = vec![
                FeatureCounts(vec![0, 50 + hour % 3, 50 - hour % 3, 0, 0]),
                if moved {
                    FeatureCounts(vec![0, 0, 10 + hour % 3, 80 - hour % 3, 10])
                } else {
                    FeatureCounts(vec![0, 49 + hour % 3, 51 - hour % 3, 0, 0])
                },
            ];
            window.repeated = vec![0, if moved { 40 } else { 0 }];
        }
        body
    });
    let bodies = bodies.collect();
    let (id, mut batch) = device.batch(bodies);
    batch.now = at(1, 10 * DAY.unsigned_abs());
    world.ingest(vec![(id, batch)]).await;
    while rollup::pass(&world.app, &Retention::default())
        .await
        .expect("rolls up")
    {}
    let query = |baseline| DistancesQuery {
        model: name("digits"),
        version: tern_protocol::id::ModelVersion::FIRST,
        site: None,
        from: WallTime(NOON - 12 * HOUR),
        to: WallTime(NOON),
        baseline,
    };
    for baseline in [Baseline::Training, Baseline::WeekBefore] {
        let view = distances(&world.app, &world.workspace, &query(baseline)).await;
        let view = view.expect("compares");
        let sites: Vec<_> = view.places.iter().map(|place| place.site.clone()).collect();
        assert_eq!(sites, [None, Some(name("unknown"))], "{baseline:?}");
        let far = &view.places[0].distances[0];
        assert_eq!(
            (far.counted, far.name.as_str()),
            (Counted::Feature, "right"),
            "{view:#?}"
        );
        assert!(
            far.jensen_shannon.low.is_some_and(|low| low > 0.5),
            "{far:?}"
        );
        assert!(
            far.missing
                .is_some_and(|missing| (missing - 0.1).abs() < 0.01),
            "{far:?}"
        );
        assert!(
            far.repeated
                .is_some_and(|repeated| (repeated - 0.4).abs() < 0.01),
            "{far:?}"
        );
        let near = view.places[0]
            .distances
            .iter()
            .find(|one| one.name == "left");
        assert!(
            near.is_some_and(|near| near.jensen_shannon.value < 0.1),
            "{near:?}"
        );
    }
    let wrong = DistancesQuery {
        version: tern_protocol::id::ModelVersion::new(9).expect("from 1 up"),
        ..query(Baseline::Training)
    };
    let refused = distances(&world.app, &world.workspace, &wrong).await;
    assert!(
        matches!(refused, Err(DistancesError::NotFound { .. })),
        "{refused:?}"
    );
    let backwards = DistancesQuery {
        to: WallTime(0),
        ..query(Baseline::Training)
    };
    let refused = distances(&world.app, &world.workspace, &backwards).await;
    assert!(matches!(refused, Err(DistancesError::Time)), "{refused:?}");
}

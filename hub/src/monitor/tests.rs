use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::{
    id::Sequence,
    log::Body,
    rest::{Chart, GroupBy, LabelImport, Metric, NewLabel},
    time::{Uptime, WallTime},
};

use super::{
    fixture::{Device, NOON, World, at, name, prediction},
    *,
};
use crate::access::audit::Actor;
use crate::registry::{self, fixture::package};
use crate::store::raw;
use tern_protocol::shadow::ShadowWindow;

mod ingested;
mod rolled;
mod shadows;

async fn publish(world: &World) {
    let new = package(1.0).upload(&world.app.blobs).await;
    let published = registry::publish(
        &world.app,
        &Actor::machine(),
        &world.workspace,
        &name("digits"),
        new,
    )
    .await;
    published.expect("publishes");
}

/// A chart of the minute before noon, in 6 intervals.
async fn drawn(world: &World, metric: Metric, group: GroupBy) -> Chart {
    let query = ChartQuery {
        group,
        ..ChartQuery::recent(metric, WallTime(NOON))
    };
    let query = query.between(
        Some(WallTime(NOON - 60_000)),
        Some(WallTime(NOON)),
        Some(10_000),
    );
    chart(&world.app.store, &world.workspace, &query)
        .await
        .expect("draws")
}

/// A chart as lines `name: values`.
fn text(chart: &Chart) -> Vec<String> {
    let line = |series: &tern_protocol::rest::Series| {
        let values = series.points.iter().map(|point| match point.value {
            Some(value) => format!("{value:.3}"),
            None => "-".into(),
        });
        format!("{}: {}", series.name, values.collect::<Vec<_>>().join(" "))
    };
    chart.series.iter().map(line).collect()
}

#[tokio::test]
async fn charts_say_what_windows_said() {
    let world = World::new().await;
    publish(&world).await;
    let mut one = Device::new("meter-1");
    let mut two = Device {
        version: 2,
        ..Device::new("meter-2")
    };
    // meter-1: 100 in the first ten seconds, 40 spread over the next twenty. meter-2: 10 at the end.
    let first = vec![one.window(0, 10_000, 100), one.window(10_000, 30_000, 40)];
    let second = vec![two.window(50_000, 60_000, 10)];
    let batches = vec![one.batch(first), two.batch(second)];
    world.ingest(batches).await;

    let lines = text(&drawn(&world, Metric::Traffic, GroupBy::None).await);
    assert_eq!(lines, ["inferences: 10.000 2.000 2.000 - - 1.000"]);
    let lines = text(&drawn(&world, Metric::Traffic, GroupBy::Version).await);
    assert_eq!(
        lines,
        [
            "digits v1: 10.000 2.000 2.000 - - -",
            "digits v2: - - - - - 1.000"
        ]
    );
    let lines = text(&drawn(&world, Metric::Errors, GroupBy::None).await);
    assert_eq!(lines, ["errors: 0.091 0.091 0.091 - - 0.091"]);
    let lines = text(&drawn(&world, Metric::Confidence, GroupBy::None).await);
    assert_eq!(lines, ["confidence: 0.925 0.925 0.925 - - 0.925"]);
    let chart = drawn(&world, Metric::Latency, GroupBy::Site).await;
    let names: Vec<_> = chart
        .series
        .iter()
        .map(|series| series.name.as_str())
        .collect();
    assert_eq!(names, ["unknown p50", "unknown p90", "unknown p99"]);
    assert_eq!(
        (chart.series[0].points[0].value, chart.series[0].points[0].n),
        (Some(100.0), 100)
    );
    // Version 1 names its classes, nobody published version 2.
    let lines = text(&drawn(&world, Metric::Prediction, GroupBy::Version).await);
    assert_eq!(
        lines,
        [
            "digits v1 yes: 1.000 1.000 1.000 - - -",
            "digits v2 1: - - - - - 1.000"
        ]
    );
}

#[tokio::test]
async fn a_chart_of_nothing_has_no_series() {
    let world = World::new().await;
    for metric in [
        Metric::Traffic,
        Metric::Latency,
        Metric::Prediction,
        Metric::Accuracy,
    ] {
        assert!(drawn(&world, metric, GroupBy::Site).await.series.is_empty());
    }
}

fn label(number: u64, truth: &str) -> NewLabel {
    NewLabel {
        device: name("meter-1"),
        prediction: prediction(number),
        truth: truth.into(),
    }
}

#[tokio::test]
async fn labels_stand_alone_and_say_what_is_wrong() {
    let world = World::new().await;
    publish(&world).await;
    let mut device = Device::new("meter-1");
    let batch = device.batch(vec![device.capture(1, 0, 1.0), device.capture(2, 1, 0.5)]);
    world.ingest(vec![batch]).await;

    let labels = vec![
        label(1, "no"),
        label(2, "no"),
        label(3, "yes"),
        label(2, "maybe"),
        label(2, "yes"),
        label(1, "no"),
    ];
    let result = labels::import(
        &world.app,
        &Actor::machine(),
        &world.workspace,
        LabelImport {
            labels,
            dry_run: false,
        },
    )
    .await;
    let result = result.expect("imports");
    assert_eq!((result.added, result.changed, result.unchanged), (2, 1, 1));
    let refused: Vec<_> = result.refused.iter().map(|refused| refused.index).collect();
    assert_eq!(refused, [2, 3]);
    assert!(
        result.refused[0]
            .reason
            .contains("no capture of prediction 1-3"),
        "{result:?}"
    );
    assert!(
        result.refused[1].reason.contains("`no`, `yes`"),
        "{result:?}"
    );

    let again = LabelImport {
        labels: vec![label(2, "yes")],
        dry_run: false,
    };
    let again = labels::import(&world.app, &Actor::machine(), &world.workspace, again)
        .await
        .expect("imports");
    assert_eq!((again.added, again.unchanged), (0, 1));
    let totals = totals(&world.app, &world.workspace).await.expect("reads");
    assert_eq!((totals.captures, totals.labels), (2, 2));

    let many = LabelImport {
        labels: vec![label(1, "no"); labels::LABELS + 1],
        dry_run: false,
    };
    let many = labels::import(&world.app, &Actor::machine(), &world.workspace, many).await;
    assert!(matches!(many, Err(labels::ImportError::TooMany(_))));
}

#[tokio::test]
async fn accuracy_weighs_captures_by_how_rarely_they_are_made() {
    let world = World::new().await;
    publish(&world).await;
    let mut device = Device::new("meter-1");
    // Ten sure ones, each standing for ten, all right; ten unsure ones, each for itself, all wrong.
    let sure = (1..=10).map(|number| device.capture(number, 1, 0.1));
    let unsure = (11..=20).map(|number| device.capture(number, 0, 1.0));
    let bodies = sure.chain(unsure).collect();
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let labels = (1..=20).map(|number| label(number, "yes")).collect();
    let import = LabelImport {
        labels,
        dry_run: false,
    };
    labels::import(&world.app, &Actor::machine(), &world.workspace, import)
        .await
        .expect("imports");

    let query = AccuracyQuery::default();
    let rows = accuracy(&world.app.store, &world.workspace, &query)
        .await
        .expect("estimates");
    assert_eq!(rows.len(), 2, "all sites and one site");
    assert_eq!((rows[0].site.clone(), rows[0].labels), (None, 20));
    assert!((rows[0].accuracy - 100.0 / 110.0).abs() < 1e-6, "{rows:?}");
    assert!(rows[0].low < rows[0].accuracy && rows[0].accuracy < rows[0].high);
    // All captures came at the same moment; the newest by number are the unsure ones.
    let query = AccuracyQuery {
        last: Some(10),
        ..query
    };
    let rows = accuracy(&world.app.store, &world.workspace, &query)
        .await
        .expect("estimates");
    assert_eq!((rows[0].labels, rows[0].accuracy), (10, 0.0));

    let chart = drawn(&world, Metric::Accuracy, GroupBy::Site).await;
    let shown: Vec<_> = chart.series[0]
        .points
        .iter()
        .filter(|p| p.value.is_some())
        .collect();
    assert_eq!((shown.len(), shown[0].n), (1, 20));
    assert!(shown[0].low.is_some() && shown[0].high.is_some());
}

/// A device with a budget gives nearly every capture a probability of its own.
#[tokio::test]
async fn accuracy_counts_all_labels_however_many_probabilities_they_have() {
    let world = World::new().await;
    publish(&world).await;
    let labels = "INSERT INTO label (workspace, device, boot, number, site, slot, model, version, predicted_at, class, \
        truth, probability) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24000) \
        SELECT 'default', 'meter-1', 1, i, 'harbour', 'reader', 'digits', 1, i, i % 4 / 3, 0, 0.2 + i / 1000000.0 FROM n";
    let stored = raw::exec(world.app.store.write(), "storing labels", labels, []).await;
    assert_eq!(stored.expect("stores"), 24_000);
    let rows = accuracy(
        &world.app.store,
        &world.workspace,
        &AccuracyQuery::default(),
    )
    .await;
    let rows = rows.expect("estimates");
    assert_eq!(rows[0].labels, 24_000);
    assert!((rows[0].accuracy - 0.75).abs() < 1e-3, "{rows:?}");
    assert!((rows[0].low..=rows[0].high).contains(&0.75), "{rows:?}");
}

#[tokio::test]
async fn captures_come_page_by_page_newest_first() {
    let world = World::new().await;
    publish(&world).await;
    let mut device = Device::new("meter-1");
    let bodies = (1..=7)
        .map(|number| device.capture(number, 1, 1.0))
        .collect();
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let import = LabelImport {
        labels: vec![label(6, "no")],
        dry_run: false,
    };
    labels::import(&world.app, &Actor::machine(), &world.workspace, import)
        .await
        .expect("imports");

    let mut query = CaptureQuery {
        limit: Some(3),
        ..CaptureQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = captures(&world.app, &world.workspace, &query)
            .await
            .expect("lists");
        assert!(page.items.len() <= 3);
        seen.extend(page.items.iter().map(|capture| capture.prediction.number));
        match page.next {
            Some(next) => query.after = Some(next.parse().expect("a number")),
            None => break,
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);

    let query = CaptureQuery {
        labelled: Some(true),
        ..CaptureQuery::default()
    };
    let page = captures(&world.app, &world.workspace, &query)
        .await
        .expect("lists");
    let capture = &page.items[0];
    assert_eq!((page.items.len(), capture.prediction), (1, prediction(6)));
    assert_eq!(
        (capture.class.as_str(), capture.truth.as_deref()),
        ("yes", Some("no"))
    );
    assert_eq!(
        (&capture.shape[..], &capture.input[..]),
        (&[1, 2][..], &[6.0, 0.5][..])
    );
    assert_eq!(capture.at, WallTime(NOON - 10_000));
    let query = CaptureQuery {
        labelled: Some(false),
        ..CaptureQuery::default()
    };
    let page = captures(&world.app, &world.workspace, &query)
        .await
        .expect("lists");
    assert_eq!(page.items.len(), 6);
}

#[tokio::test]
async fn the_overview_adds_up() {
    let world = World::new().await;
    publish(&world).await;
    let mut device = Device::new("meter-1");
    let bodies = vec![
        device.window(0, 60_000, 120),
        device.label(5, 1, 1),
        device.label(6, 1, 0),
    ];
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let overview = overview(&world.app, &world.workspace).await.expect("reads");
    assert_eq!((overview.devices, overview.sites.len()), (1, 1));
    assert_eq!(
        (overview.sites[0].inferences_per_s, overview.sites[0].labels),
        (2.0, 2)
    );
    assert_eq!(overview.sites[0].accuracy, Some(0.5));
    let totals = overview.totals;
    assert_eq!(
        (totals.inferences, totals.windows, totals.labels),
        (120, 1, 2)
    );
}

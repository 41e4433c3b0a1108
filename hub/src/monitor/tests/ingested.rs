//! Ingest over a real database.

use proptest::prelude::*;
use tern_protocol::{
    id::{DeviceId, OutboxId},
    log::{Ack, Batch, Entry, Event, EventKind},
    rest::{AttentionKind, Doubt},
};

use super::*;

async fn counted(world: &World) -> (u64, u64) {
    let totals = totals(&world.app, &world.workspace).await.expect("reads");
    (totals.windows, totals.inferences)
}

async fn times(world: &World) -> Vec<(i64, i64)> {
    let select = "SELECT opened, closed FROM telemetry_window ORDER BY id";
    let select = Statement::from_string(world.app.store.backend(), select);
    let rows = world
        .app
        .store
        .read()
        .query_all_raw(select)
        .await
        .expect("reads");
    let pair = |row: &sea_orm::QueryResult| {
        (
            row.try_get("", "opened").expect("a time"),
            row.try_get("", "closed").expect("a time"),
        )
    };
    rows.iter().map(pair).collect()
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_comes() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let first = device.batch(vec![
        device.window(0, 1_000, 5),
        device.window(1_000, 2_000, 7),
    ]);
    let second = device.batch(vec![device.window(2_000, 3_000, 11)]);
    let ack = |stored| {
        (
            name("meter-1"),
            Ack {
                outbox: device.outbox,
                stored: Sequence(stored),
            },
        )
    };

    // Out of order and repeated, in one group: the gap is answered with what is stored.
    let acks = world
        .ingest(vec![second.clone(), first.clone(), first.clone()])
        .await;
    assert_eq!(acks, [ack(2)]);
    assert_eq!(counted(&world).await, (2, 12));
    assert_eq!(world.app.counters.batches_gapped.get(), 1);
    // After a restart the table knows what memory has forgotten.
    assert_eq!(world.ingest(vec![first, second.clone()]).await, [ack(3)]);
    assert_eq!(counted(&world).await, (3, 23));
    assert_eq!(
        world.ingest(vec![second]).await,
        [ack(3)],
        "repeated ones are acknowledged"
    );
    assert_eq!(counted(&world).await, (3, 23));
}

#[tokio::test]
async fn a_device_that_lost_its_disk_begins_again() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let batch = device.batch(vec![device.window(0, 1_000, 5)]);
    world.ingest(vec![batch]).await;
    let mut again = Device {
        outbox: OutboxId(42),
        ..Device::new("meter-1")
    };
    let batch = again.batch(vec![again.window(0, 1_000, 5)]);
    let acks = world.ingest(vec![batch]).await;
    assert_eq!(
        acks[0].1,
        Ack {
            outbox: OutboxId(42),
            stored: Sequence(1)
        }
    );
    assert_eq!(counted(&world).await, (2, 10));
}

#[tokio::test]
async fn unknown_kinds_and_bad_values_do_not_stop_an_outbox() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let mut huge = device.window(0, 1_000, 1);
    if let Body::Window(window) = &mut huge {
        window.inferences = u64::MAX;
    }
    let odd = device.capture(1, 0, f32::NAN);
    let event = Event {
        kind: EventKind::Started,
        slot: None,
        model: None,
        version: None,
        text: "hello".into(),
    };
    let bodies = vec![
        Body::Unknown,
        odd,
        huge.clone(),
        huge,
        Body::Event(Box::new(event)),
        Body::Unknown,
    ];
    let batch = device.batch(bodies);
    let acks = world.ingest(vec![batch]).await;
    assert_eq!(acks[0].1.stored, Sequence(6));
    assert_eq!(world.app.counters.entries_unknown.get(), 3);
    assert_eq!(counted(&world).await, (2, 2 << 40));
    drawn(&world, Metric::Traffic, GroupBy::None).await;
    let events = crate::fleet::events(&world.app.store, &world.workspace, None, 9).await;
    let events = events.expect("reads");
    assert_eq!((events.len(), events[0].at), (1, WallTime(NOON - 10_000)));
}

#[tokio::test]
async fn times_are_repaired_and_impossible_ones_are_in_quarantine_and_count() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let window = |opened, closed| {
        let mut body = Device::new("x").window(0, 0, 1);
        if let Body::Window(window) = &mut body {
            (window.opened, window.closed) = (opened, closed);
        }
        body
    };
    let (id, mut batch) = device.batch(vec![
        window(at(1, 0), at(1, 30_000)),
        window(at(1, 0), at(1, u64::MAX)),
        window(at(0, 1_000), at(0, 2_000)),
        window(at(7, 0), at(7, 5)),
    ]);
    // An entry of an earlier boot, with the device's own clock; and one from a clock never set.
    batch.entries[2].at = at(0, 3_000);
    batch.entries[2].wall = Some(WallTime(NOON - 500_000));
    batch.entries[3].at = at(7, 9);
    batch.entries[3].wall = Some(WallTime(12));
    batch.now.uptime = Uptime(60_000);
    world.ingest(vec![(id, batch)]).await;
    let times = times(&world).await;
    assert_eq!(times[0], (NOON - 60_000, NOON - 30_000));
    assert_eq!(times[1], (NOON - 60_000, NOON));
    assert_eq!(times[2], (NOON - 502_000, NOON - 501_000));
    assert_eq!(times[3], (NOON - 60_000, NOON));
    assert_eq!(counted(&world).await, (4, 4), "all count");
    assert_eq!(world.app.counters.quarantined.get(), 2);
    let (store, workspace) = (&world.app.store, &world.workspace);
    let quarantined = quarantine(store, workspace, None).await.expect("reads");
    let doubts: Vec<_> = quarantined.iter().map(|q| (q.doubt, q.windows)).collect();
    assert!(doubts.contains(&(Doubt::Future, 1)), "{doubts:?}");
    assert!(doubts.contains(&(Doubt::Impossible, 1)), "{doubts:?}");
    let other = name("meter-2");
    let none = quarantine(store, workspace, Some(&other)).await;
    assert_eq!(none.expect("reads"), []);
    let overview = overview(&world.app, workspace).await.expect("reads");
    let kinds: Vec<_> = overview.attention.iter().map(|a| a.kind).collect();
    assert_eq!(kinds, [AttentionKind::Quarantine]);
    // No chart draws what is in quarantine.
    let drawn = drawn(&world, Metric::Traffic, GroupBy::None).await;
    let late = &drawn.series[0].points[3..];
    assert!(
        late.iter().all(|p| p.value.is_none_or(|v| v == 0.0)),
        "{drawn:?}"
    );
}

#[tokio::test]
async fn strangers_and_disorder_are_counted_and_hold_nobody_up() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let (id, mut disorder) = device.batch(vec![device.window(0, 1, 1), device.window(1, 2, 1)]);
    disorder.entries.reverse();
    let mut stranger = World::new().await;
    stranger.workspace = name("elsewhere");
    let mut other = Device::new("meter-2");
    let fine = other.batch(vec![other.window(0, 1, 1)]);
    assert_eq!(stranger.ingest(vec![fine.clone()]).await, []);
    assert_eq!(stranger.app.counters.malformed.get(), 1);
    assert_eq!(world.ingest(vec![(id, disorder), fine]).await.len(), 1);
    assert_eq!(world.app.counters.malformed.get(), 1);
    assert_eq!(counted(&world).await, (1, 1));
}

/// A batch of the entries after `after` up to `end`, each a window with as many inferences as its
/// sequence says.
fn slice(device: &Device, acked: u64, after: u64, end: u64) -> (DeviceId, Batch) {
    let entries = (after + 1..=end).map(|sequence| Entry {
        sequence: Sequence(sequence),
        at: at(1, 50_000),
        wall: None,
        body: device.window(0, 1_000, sequence),
    });
    let batch = Batch {
        outbox: device.outbox,
        acked: Sequence(acked),
        after: Sequence(after),
        now: at(1, 60_000),
        entries: entries.collect(),
    };
    (device.id.clone(), batch)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever arrives in whatever order, over several lives of the ingest: the database counts
    /// each entry up to the last acknowledged one exactly once.
    #[test]
    fn counts_are_exact(
        rounds in prop::collection::vec(
            prop::collection::vec((0u64..12, 0u64..6), 1..8), 1..5,
        ),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (windows, inferences, stored) = runtime.block_on(async {
            let world = World::new().await;
            let device = Device::new("meter-1");
            let mut stored = 0;
            for round in rounds {
                // A device never sends what it has not written nor claims what it was not told.
                let batch = |(after, len): (u64, u64)| slice(&device, stored, after, after + len);
                let acks = world.ingest(round.into_iter().map(batch).collect()).await;
                stored = acks.last().map_or(stored, |(_, ack)| ack.stored.0);
            }
            let (windows, inferences) = counted(&world).await;
            (windows, inferences, stored)
        });
        prop_assert_eq!(windows, stored);
        prop_assert_eq!(inferences, stored * (stored + 1) / 2);
    }
}

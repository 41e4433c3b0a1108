//! Windows of shadows: stored once, and in no total.

use super::*;

async fn followed(world: &World, after: i64) -> Vec<follow::Followed<ShadowWindow>> {
    let db = world.app.store.read();
    let page = follow::shadow_windows(db, &world.workspace, after, 100).await;
    page.expect("reads")
}

#[tokio::test]
async fn windows_of_shadows_are_stored_once_however_often_they_come_and_count_nowhere() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let first = device.batch(vec![
        device.window(0, 10_000, 5),
        device.shadow(0, 10_000, 4),
    ]);
    let second = device.batch(vec![
        device.shadow(10_000, 20_000, 7),
        device.window(10_000, 20_000, 6),
    ]);
    // Out of order, repeated, and once more after a restart.
    let batches = vec![second.clone(), first.clone(), first.clone(), second.clone()];
    world.ingest(batches).await;
    let acks = world.ingest(vec![first, second.clone(), second]).await;
    assert_eq!(acks[0].1.stored, Sequence(4));

    let windows = followed(&world, 0).await;
    let told: Vec<_> = windows.iter().map(|w| w.window.compared).collect();
    assert_eq!(told, [4, 7]);
    let one = &windows[1];
    assert_eq!(
        (one.device.as_str(), one.site.as_str()),
        ("meter-1", "unknown")
    );
    assert_eq!(
        (one.opened, one.closed),
        (WallTime(NOON - 50_000), WallTime(NOON - 40_000))
    );
    assert_eq!(
        Body::Shadow(Box::new(one.window.clone())),
        device.shadow(10_000, 20_000, 7)
    );
    assert_eq!(followed(&world, windows[0].id).await, windows[1..]);
    assert_eq!(followed(&world, one.id).await, []);

    let totals = totals(&world.app, &world.workspace).await.expect("reads");
    assert_eq!((totals.windows, totals.inferences), (2, 11));
    let select = "SELECT compared, agreed, errors, skipped, live_version, version FROM shadow_window \
                  ORDER BY id LIMIT 1";
    let select = Statement::from_string(world.app.store.backend(), select);
    let row = world.app.store.read().query_one_raw(select).await;
    let row = row.expect("reads").expect("a row");
    let numbers = (0..6).map(|column| row.try_get_by_index::<i64>(column).expect("a number"));
    assert_eq!(numbers.collect::<Vec<_>>(), [4, 3, 2, 30, 1, 9]);
}

#[tokio::test]
async fn a_window_of_a_shadow_that_cannot_be_does_not_stop_an_outbox() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let mut odd = device.shadow(0, 10_000, 4);
    if let Body::Shadow(window) = &mut odd {
        window.agreed = 5;
    }
    let mut huge = device.shadow(0, 10_000, 4);
    if let Body::Shadow(window) = &mut huge {
        (window.compared, window.agreed) = (u64::MAX, u64::MAX);
    }
    let batch = device.batch(vec![odd, huge]);
    let acks = world.ingest(vec![batch]).await;
    assert_eq!(acks[0].1.stored, Sequence(2));
    assert_eq!(world.app.counters.entries_unknown.get(), 1);
    assert_eq!(followed(&world, 0).await.len(), 1);
}

#[tokio::test]
async fn windows_are_followed_in_the_order_in_which_they_came_by_an_index() {
    let world = World::new().await;
    let mut device = Device::new("meter-1");
    let windows = (0..5).map(|n| device.window(n * 1_000, (n + 1) * 1_000, n + 1));
    let windows = windows.collect();
    let batch = device.batch(windows);
    world.ingest(vec![batch]).await;
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let db = world.app.store.read();
        let page = follow::windows(db, &world.workspace, after, 2).await;
        let page = page.expect("reads");
        let Some(last) = page.last() else { break };
        after = last.id;
        seen.extend(page.iter().map(|followed| followed.window.inferences));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    if crate::store::testing::on_server() {
        // It explains its plans otherwise, and sorts five rows as it likes.
        return;
    }
    for (table, index) in [
        ("telemetry_window", "telemetry_by_order"),
        ("shadow_window", "shadow_by_order"),
    ] {
        let plan = format!(
            "EXPLAIN QUERY PLAN SELECT id, body FROM {table} \
             WHERE workspace = 'default' AND id > 7 ORDER BY id LIMIT 9"
        );
        let plan = Statement::from_string(world.app.store.backend(), plan);
        let rows = world.app.store.read().query_all_raw(plan).await;
        let rows = rows.expect("explains");
        let steps = rows.iter().map(|row| row.try_get::<String>("", "detail"));
        let steps: Vec<_> = steps.map(|step| step.expect("a text")).collect();
        assert_eq!(steps.len(), 1, "nothing is sorted: {steps:?}");
        assert!(steps[0].contains(index), "{steps:?}");
    }
}

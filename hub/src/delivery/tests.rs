//! What is written down of a wave: what left, what devices took, what that saved.

use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, SlotName, WorkspaceId},
    rest::{BlobPart, VersionView},
};

use super::{history, ledger::Again, view};
use crate::{
    access::audit::Actor,
    app::{App, fresh},
    fleet::{self, timeline::TimelineFilter},
    registry::{self, Published, fixture::package},
    store::Store,
};

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn device(number: u32) -> DeviceId {
    format!("meter-{number}").parse().expect("a name")
}

/// A published version.
async fn published(app: &App) -> VersionView {
    let new = package(1.0).upload(&app.blobs).await;
    let model = "digits".parse().expect("a name");
    let published = registry::publish(app, &Actor::machine(), &workspace(), &model, new).await;
    match published.expect("passes vetting") {
        Published::New(version) | Published::Known(version) => version,
    }
}

/// Ten devices ask for a blob of a version, which is published once.
async fn wave(app: &App, digest: Digest, len: u64) {
    for number in 0..10 {
        app.ledger.asked(
            (workspace(), digest),
            &device(number),
            app.clock.now(),
            len,
            len,
        );
    }
    app.ledger
        .published((workspace(), digest), len, len, Again::No);
    history::write(app).await;
}

fn stored(app: &App, number: u32, of: &VersionView) {
    let slot: SlotName = "reader".parse().expect("a name");
    app.ledger.stored(
        &workspace(),
        &device(number),
        &slot,
        (of.model.clone(), of.version),
    );
}

#[tokio::test]
async fn ten_devices_take_ten_times_what_left_and_a_restart_keeps_it() {
    let (dir, app) = fresh().await;
    let made = published(&app).await;
    wave(&app, made.onnx.digest, 1_000).await;
    let view_now = view(&app, &workspace(), None).await.expect("reads");
    assert_eq!(view_now.totals.published_bytes, 1_000);
    assert_eq!(view_now.totals.taken_bytes, 0, "nobody has told of a byte");
    // Half of it came to one of them, as its next want tells.
    app.ledger.asked(
        (workspace(), made.onnx.digest),
        &device(0),
        app.clock.now(),
        1_000,
        400,
    );
    history::write(&app).await;
    let view_now = view(&app, &workspace(), None).await.expect("reads");
    assert_eq!(view_now.totals.taken_bytes, 600);
    (0..10).for_each(|number| stored(&app, number, &made));
    history::write(&app).await;

    app.store.close().await;
    let store = Store::open(dir.path()).await.expect("opens again");
    let app = crate::app::over(dir.path(), store, app.clock.clone()).await;
    let view = view(&app, &workspace(), None).await.expect("reads");
    let [version] = &view.versions[..] else {
        panic!("one version moved: {:?}", view.versions);
    };
    assert_eq!(version.version.version, made.version);
    let [part] = &version.parts[..] else {
        panic!("one part moved: {:?}", version.parts);
    };
    assert_eq!(part.part, BlobPart::Model);
    assert_eq!((part.devices_asked, part.devices_done), (10, 10));
    assert_eq!(part.moved.taken_bytes, 10_000);
    assert_eq!(view.totals.saved_bytes, 9_000);
    // It tells each device's story, too.
    let filter = TimelineFilter::default();
    let story = fleet::timeline(&app.store, &workspace(), &device(3), &filter).await;
    let story = story.expect("reads").items;
    assert_eq!(story[0].kind, "fetched");
    assert_eq!(story[0].text, "1000 B by MQTT, within a second");
}

#[tokio::test]
async fn what_is_downloaded_saves_nothing_and_what_nobody_names_is_metadata() {
    let (_dir, app) = fresh().await;
    let made = published(&app).await;
    let key = (workspace(), made.onnx.digest);
    app.ledger
        .downloaded(key.clone(), Some(&device(1)), app.clock.now(), 1_000, 400);
    app.ledger
        .downloaded(key, Some(&device(1)), app.clock.now(), 1_000, 600);
    let other = (workspace(), Digest::of(b"metadata"));
    app.ledger
        .asked(other.clone(), &device(1), app.clock.now(), 50, 50);
    app.ledger.published(other, 50, 50, Again::Yes);
    history::write(&app).await;
    stored(&app, 1, &made);
    history::write(&app).await;
    let view = view(&app, &workspace(), None).await.expect("reads");
    let totals = view.totals;
    assert_eq!(
        (totals.downloaded_bytes, totals.taken_bytes),
        (1_000, 1_000)
    );
    assert_eq!((totals.saved_bytes, totals.published_bytes), (0, 0));
    assert_eq!(view.metadata.published_bytes, 50);
    assert_eq!(view.metadata.repeated_bytes, 50);
}

#[tokio::test]
async fn what_a_device_never_had_whole_is_settled_after_a_month() {
    let (_dir, app) = fresh().await;
    let made = published(&app).await;
    wave(&app, made.onnx.digest, 1_000).await;
    app.ledger.asked(
        (workspace(), made.onnx.digest),
        &device(0),
        app.clock.now(),
        1_000,
        100,
    );
    history::write(&app).await;
    app.clock.advance(std::time::Duration::from_hours(24 * 31));
    history::settle(&app).await.expect("settles");
    let view = view(&app, &workspace(), None).await.expect("reads");
    assert_eq!(view.totals.taken_bytes, 900);
    // It has it whole after all: what it took before is not counted again.
    stored(&app, 0, &made);
    history::write(&app).await;
    let again = super::view(&app, &workspace(), None).await.expect("reads");
    assert_eq!(again.totals.taken_bytes, 900);
}

#[tokio::test]
async fn a_delta_belongs_to_the_version_that_it_leads_to() {
    let (_dir, app) = fresh().await;
    let made = published(&app).await;
    let delta = Digest::of(b"delta");
    let insert = Statement::from_sql_and_values(
        app.store.backend(),
        "INSERT INTO delta (workspace, model, version, base, onnx, onnx_len, base_onnx, base_len, \
         created, state, reason, attempts, digest, len) \
         VALUES ('default', 'digits', 1, 9, '', 500, '', 0, 0, 'ready', '', 0, $1, 70)",
        [delta.to_string().into()],
    );
    app.store.write().execute_raw(insert).await.expect("writes");
    wave(&app, delta, 70).await;
    (0..10).for_each(|number| stored(&app, number, &made));
    history::write(&app).await;
    let view = view(&app, &workspace(), None).await.expect("reads");
    let part = &view.versions[0].parts[0];
    assert_eq!((part.part, part.devices_done), (BlobPart::Delta, 10));
    assert_eq!((part.moved.taken_bytes, part.moved.saved_bytes), (700, 630));
    assert_eq!(view.totals.spared_bytes, 10 * (500 - 70));
    assert_eq!(view.metadata.published_bytes, 0);
}

//! Deletions that hold, requests that reach devices, inputs that nobody reads on the disk.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Statement};
use tern_protocol::{
    capture::Reasons,
    digest::Digest,
    id::PredictionId,
    log::Body,
    rest::{
        CaptureReason, CaptureView, DeletionView, KeptOf, LabelImport, NewCaptureDeletion,
        NewCaptureRequest, NewLabel, NoInput,
    },
};
use tokio::sync::mpsc;

use super::{
    deletions,
    kept::{self, KeptQuery},
    orders, requests,
    seal::Keys,
    tombstones::Tombstones,
    *,
};
use crate::{
    access::audit::{self, Actor, AuditFilter},
    config::{KeepCaptures, Retention},
    fleet,
    monitor::{
        self, AccuracyQuery, CaptureQuery,
        fixture::{Device, World, at, name, prediction},
        labels, rollup,
    },
    store::raw,
};

async fn sql(world: &World, sql: &str) {
    let statement = Statement::from_string(world.app.store.backend(), sql);
    let done = world.app.store.write().execute_raw(statement).await;
    done.expect("it is fine");
}

/// A world with a device `meter` at `harbour`, whose agent knows deletions.
async fn world() -> (World, Device) {
    let world = World::new().await;
    sql(
        &world,
        "INSERT INTO device (workspace, id, site, labels, online, boot, health, health_reason, first_seen, \
         last_seen, reported_revision, desired_revision, inferences, windows, erased) VALUES ('default', \
         'meter', 'harbour', '{}', TRUE, 1, 'healthy', '', 0, 0, 0, 0, 0, 0, 0)",
    )
    .await;
    (world, Device::new("meter"))
}

async fn listed(world: &World) -> Vec<CaptureView> {
    let page = monitor::captures(&world.app, &world.workspace, &CaptureQuery::default()).await;
    page.expect("lists").items
}

async fn numbers(world: &World) -> Vec<u64> {
    let all = listed(world).await;
    let mut numbers: Vec<_> = all
        .iter()
        .map(|capture| capture.prediction.number)
        .collect();
    numbers.sort_unstable();
    numbers
}

fn of(mut body: Body, whose: Digest) -> Body {
    match &mut body {
        Body::Capture(capture) => capture.subject = Some(whose),
        Body::Label(label) => label.subject = Some(whose),
        _ => {}
    }
    body
}

async fn delete(world: &World, new: NewCaptureDeletion) -> DeletionView {
    let actor = Actor::machine();
    let deleted = deletions::delete(&world.app, &actor, &world.workspace, new).await;
    deleted.expect("deletes")
}

fn nothing() -> NewCaptureDeletion {
    NewCaptureDeletion {
        device: None,
        predictions: Vec::new(),
        subject: None,
        reason: String::new(),
    }
}

fn all() -> NewCaptureDeletion {
    NewCaptureDeletion {
        device: Some(name("meter")),
        reason: "it was sold".into(),
        ..nothing()
    }
}

#[tokio::test]
async fn what_a_device_told_is_deleted_with_proof_and_does_not_come_back() {
    let (world, mut device) = world().await;
    let bodies = vec![
        device.capture(1, 0, 1.0),
        device.capture(2, 1, 0.5),
        device.label(1, 0, 1),
    ];
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let deleted = delete(&world, all()).await;
    let (receipt, proof) = (&deleted.receipt, deleted.proof.expect("a proof"));
    assert_eq!((receipt.captures, receipt.labels), (2, 1));
    assert!(proof.whole && proof.left == 0, "{proof:?}");
    assert_eq!((proof.devices, proof.confirmed, proof.too_old), (1, 0, 0));
    assert!(listed(&world).await.is_empty());

    // Written before the deletion, and sent after it: acknowledged and not stored.
    let late = vec![
        device.capture(3, 0, 1.0),
        device.label(2, 0, 1),
        device.window(0, 10_000, 5),
    ];
    let batch = device.batch(late);
    let acks = world.ingest(vec![batch]).await;
    assert_eq!(acks[0].1.stored.0, 6);
    assert_eq!(world.app.counters.entries_deleted.get(), 2);
    assert!(listed(&world).await.is_empty());
    // The same in a later boot, by entries whose time nobody knows.
    let (id, mut batch) = device.batch(vec![device.capture(4, 0, 1.0)]);
    batch.now = at(2, 1_000);
    batch.entries[0].at = at(0, 9);
    world.ingest(vec![(id, batch)]).await;
    assert!(listed(&world).await.is_empty());

    // After it, life goes on.
    world.app.clock.advance(Duration::from_mins(1));
    let batch = device.batch(vec![device.capture(5, 0, 1.0)]);
    world.ingest(vec![batch]).await;
    assert_eq!(numbers(&world).await, [5]);
    let again = deletions::show(&world.app, &world.workspace, receipt.id).await;
    let again = again.expect("it is there").proof.expect("a proof");
    assert!(again.whole && again.left == 0, "{again:?}");
    let filter = AuditFilter {
        action: Some("capture.delete".into()),
        ..AuditFilter::default()
    };
    let entries = audit::list(&world.app.store, &filter)
        .await
        .expect("reads")
        .items;
    assert_eq!(entries.len(), 1);
    assert!(
        entries[0]
            .detail
            .contains("2 captures, 1 truths; it was sold"),
        "{entries:?}"
    );
}

#[tokio::test]
async fn a_proof_says_when_the_log_or_the_receipt_was_changed() {
    let (world, _) = world().await;
    let first = delete(&world, all()).await.receipt;
    world.app.clock.advance(Duration::from_secs(1));
    let second = delete(&world, all()).await.receipt;
    assert!(second.id > first.id);
    let proof = async |id| {
        let shown = deletions::show(&world.app, &world.workspace, id).await;
        shown.expect("it is there").proof.expect("a proof")
    };
    sql(
        &world,
        "UPDATE audit SET detail = 'nothing happened' WHERE seq = 2",
    )
    .await;
    let broken = proof(first.id).await;
    assert!(!broken.whole && broken.broken.is_some_and(|text| text.contains("entry 2")));
    let update = format!(
        "UPDATE capture_deletion SET receipt = REPLACE(receipt, '\"captures\":0', '\"captures\":9') WHERE id = {}",
        second.id
    );
    sql(&world, &update).await;
    let broken = proof(second.id)
        .await
        .broken
        .expect("it is another receipt");
    assert!(broken.contains("another receipt"), "{broken}");
    let missing = deletions::show(&world.app, &world.workspace, 7).await;
    assert!(matches!(missing, Err(CaptureError::NotFound(_))));
}

#[tokio::test]
async fn a_person_is_forgotten_with_what_comes_later_and_nobody_else_is() {
    let (world, mut device) = world().await;
    let (ada, bob) = (Digest::of(b"ada"), Digest::of(b"bob"));
    let bodies = vec![
        of(device.capture(1, 0, 1.0), ada),
        of(device.capture(2, 0, 1.0), bob),
        device.capture(3, 0, 1.0),
        of(device.label(3, 0, 1), ada),
    ];
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    assert_eq!(listed(&world).await[1].subject, Some(bob));
    let deleted = delete(
        &world,
        NewCaptureDeletion {
            subject: Some(ada),
            ..nothing()
        },
    )
    .await;
    assert_eq!((deleted.receipt.captures, deleted.receipt.labels), (2, 1));
    assert_eq!(numbers(&world).await, [2]);
    // As the hub knows it after a start.
    let tombstones = Tombstones::default();
    tombstones.load(&world.app.store).await.expect("reads");
    let mut app = world.app.clone();
    app.captures.tombstones = tombstones;
    let world = World { app, ..world };
    world.app.clock.advance(Duration::from_mins(5));
    let later = vec![
        of(device.capture(4, 0, 1.0), ada),
        // It does not say whose it is, and the hub knows.
        device.label(1, 0, 0),
        of(device.capture(5, 0, 1.0), bob),
    ];
    let batch = device.batch(later);
    world.ingest(vec![batch]).await;
    assert_eq!(numbers(&world).await, [2, 5]);
    assert_eq!(world.app.counters.entries_deleted.get(), 2);
}

#[tokio::test]
async fn single_predictions_are_deleted_and_impossible_deletions_are_not() {
    let (world, mut device) = world().await;
    let bodies = (1..=3)
        .map(|number| device.capture(number, 0, 1.0))
        .collect();
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    // What people said about them, and who has them on the screen, goes with them.
    for number in 1..=3 {
        for insert in [
            "INSERT INTO verdict (workspace, model, device, boot, number, labeller, decides, truth, at) \
             VALUES ('default', 'digits', 'meter', 1, {number}, 'ada', 0, 1, 0)",
            "INSERT INTO lease (workspace, device, boot, number, labeller, until) \
             VALUES ('default', 'meter', 1, {number}, 'ada', 0)",
        ] {
            sql(&world, &insert.replace("{number}", &number.to_string())).await;
        }
    }
    let left = async |table: &str| {
        let count = format!("SELECT COUNT(*) FROM {table}");
        let row = raw::row(world.app.store.read(), "counting", &count, []).await;
        let row = row.expect("reads").expect("a row");
        row.try_get_by_index::<i64>(0).expect("a number")
    };
    let two = NewCaptureDeletion {
        predictions: vec![prediction(1), prediction(3)],
        ..all()
    };
    let deleted = delete(&world, two).await;
    assert_eq!(deleted.receipt.captures, 2);
    assert_eq!(deleted.proof.map(|proof| proof.left), Some(0));
    assert_eq!((left("verdict").await, left("lease").await), (1, 1));
    assert_eq!(numbers(&world).await, [2]);
    let batch = device.batch(vec![device.capture(3, 0, 1.0), device.capture(4, 0, 1.0)]);
    world.ingest(vec![batch]).await;
    assert_eq!(numbers(&world).await, [2, 4]);
    let many: Vec<PredictionId> = (0..101).map(prediction).collect();
    for (new, said) in [
        (nothing(), "either"),
        (
            NewCaptureDeletion {
                subject: Some(Digest::of(b"x")),
                ..all()
            },
            "either",
        ),
        (
            NewCaptureDeletion {
                predictions: many,
                ..all()
            },
            "at most 100",
        ),
        (
            NewCaptureDeletion {
                device: Some(name("stranger")),
                ..nothing()
            },
            "no device stranger",
        ),
        (
            NewCaptureDeletion {
                reason: "x".repeat(201),
                ..all()
            },
            "200 bytes",
        ),
    ] {
        let refused = deletions::delete(&world.app, &Actor::machine(), &world.workspace, new).await;
        let refused = refused.expect_err("it is impossible").to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[tokio::test]
async fn devices_are_told_what_is_asked_and_what_to_forget_until_they_did() {
    let (world, mut device) = world().await;
    let (tells, mut told) = mpsc::channel(9);
    let mut look = async || {
        orders::pass(&world.app, &tells).await.expect("it looks");
        told.try_recv().ok().map(|tell| tell.desired)
    };
    assert_eq!(look().await, None);
    let asked = NewCaptureRequest {
        device: None,
        site: Some(name("harbour")),
        model: None,
        slot: None,
        count: 2,
        within_s: 3_600,
    };
    let ask = async |new| requests::ask(&world.app, &Actor::machine(), &world.workspace, new).await;
    let elsewhere = NewCaptureRequest {
        site: Some(name("hill")),
        ..asked.clone()
    };
    let request = ask(asked.clone()).await.expect("asks");
    ask(elsewhere).await.expect("asks");
    let desired = look().await.expect("it is told");
    assert_eq!((desired.revision.0, desired.requests.len()), (1, 1));
    assert_eq!(
        (desired.requests[0].id, desired.requests[0].count),
        (request.id, 2)
    );
    assert_eq!(look().await, None, "once");

    let mut body = device.capture(1, 0, 0.0);
    if let Body::Capture(capture) = &mut body {
        capture.request = Some(request.id);
        capture.reasons = Reasons::REQUESTED;
    }
    let batch = device.batch(vec![body]);
    world.ingest(vec![batch]).await;
    let requests_now = requests::list(&world.app.store, &world.workspace)
        .await
        .expect("lists");
    let came = requests_now.items.iter().find(|it| it.id == request.id);
    assert_eq!(came.map(|it| (it.came, it.devices)), Some((1, 1)));
    assert_eq!(listed(&world).await[0].reasons, [CaptureReason::Requested]);

    world.app.clock.advance(Duration::from_hours(1));
    let desired = look().await.expect("its time is over");
    assert_eq!((desired.revision.0, desired.requests.len()), (2, 0));

    // It has not answered the newest revision: it will hear of this with it.
    let deletion = delete(&world, all()).await.receipt.id;
    assert_eq!(look().await, None);
    sql(&world, "UPDATE device SET reported_revision = 2").await;
    let desired = look().await.expect("it is told");
    assert_eq!(desired.erasures.len(), 1);
    assert!(desired.erasures[0].id == deletion && desired.erasures[0].is_all());
    sql(
        &world,
        &format!("UPDATE device SET reported_revision = 3, erased = {deletion}"),
    )
    .await;
    assert_eq!(look().await, None, "it did");
    let proof = deletions::show(&world.app, &world.workspace, deletion).await;
    assert_eq!(
        proof
            .expect("it is there")
            .proof
            .map(|proof| proof.confirmed),
        Some(1)
    );
    let workspace = &world.workspace;
    let desired = fleet::assign::desired(world.app.store.read(), workspace, &device.id).await;
    assert_eq!(
        desired.expect("reads").map(|desired| desired.erasures),
        Some(Vec::new())
    );
    for (new, said) in [
        (
            NewCaptureRequest {
                count: 0,
                ..asked.clone()
            },
            "`count`",
        ),
        (
            NewCaptureRequest {
                within_s: 5,
                ..asked.clone()
            },
            "`within_s`",
        ),
        (
            NewCaptureRequest {
                site: None,
                ..asked.clone()
            },
            "say of which",
        ),
    ] {
        let refused = ask(new).await.expect_err("it is impossible").to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[tokio::test]
async fn inputs_are_encrypted_at_rest_and_a_hub_without_the_key_says_so() {
    let (mut world, mut device) = world().await;
    let with = |world: World, keys: &[[u8; 32]]| {
        let mut app = world.app.clone();
        app.captures.keys = Keys::of(keys);
        World { app, ..world }
    };
    world = with(world, &[[1; 32]]);
    let mut body = device.capture(1, 0, 1.0);
    if let Body::Capture(capture) = &mut body {
        let values: Vec<f32> = (0..64).map(|value| value as f32 + 0.25).collect();
        capture.input = tern_protocol::tensor::Tensor::from_f32(&[1, 64], &values);
    }
    let plain = match &body {
        Body::Capture(capture) => capture.input.data.clone(),
        _ => panic!("it is one"),
    };
    let batch = device.batch(vec![body]);
    world.ingest(vec![batch]).await;
    let select = "SELECT input FROM capture";
    let row = raw::row(world.app.store.read(), "reading", select, []).await;
    let row = row.expect("reads").expect("a row");
    let stored: Vec<u8> = row.try_get_by_index(0).expect("bytes");
    assert!(!stored.windows(16).any(|bytes| bytes == &plain[16..32]));
    assert!((listed(&world).await[0].input[3] - 3.25).abs() < 1e-6);
    world = with(world, &[]);
    let hidden = listed(&world).await;
    assert_eq!(
        (hidden[0].no_input, hidden[0].input.len()),
        (Some(NoInput::Encrypted), 0)
    );
    world = with(world, &[[2; 32], [1; 32]]);
    assert_eq!(listed(&world).await[0].input.len(), 64);
    // One row's bytes under another prediction.
    let batch = device.batch(vec![device.capture(2, 0, 1.0)]);
    world.ingest(vec![batch]).await;
    sql(
        &world,
        "UPDATE capture SET input = (SELECT input FROM capture WHERE number = 1) WHERE number = 2",
    )
    .await;
    assert_eq!(listed(&world).await[0].no_input, Some(NoInput::Damaged));
}

#[tokio::test]
async fn captures_go_when_they_are_too_old_and_truths_about_them_stay() {
    let (world, mut device) = world().await;
    let bodies = vec![
        of(device.capture(1, 0, 1.0), Digest::of(b"ada")),
        of(device.capture(2, 0, 1.0), Digest::of(b"bob")),
        device.label(2, 0, 1),
    ];
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let keep = |workspace: Option<&str>, hours| Retention {
        captures: vec![KeepCaptures {
            workspace: workspace.map(name),
            kept: Duration::from_hours(hours),
        }],
        ..Retention::default()
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let left = async |retention: Retention| {
        let removed = rollup::retain::remove(&world.app, &world.workspace, &retention, &stop).await;
        removed.expect("removes");
        numbers(&world).await.len()
    };
    world.app.clock.advance(Duration::from_hours(3));
    assert_eq!(left(Retention::default()).await, 2);
    assert_eq!(left(keep(Some("other"), 2)).await, 2);
    assert_eq!(left(keep(None, 4)).await, 2);
    assert_eq!(left(keep(Some("default"), 2)).await, 0);
    let subjects = "SELECT COUNT(*) FROM prediction_subject";
    let count = requests::count(world.app.store.read(), subjects, []).await;
    assert_eq!(count.expect("reads"), 1, "of whom there is a truth");
}

#[tokio::test]
async fn no_estimate_counts_what_was_not_drawn() {
    let (world, mut device) = world().await;
    let bodies = (1..=20).map(|number| {
        let drawn = number <= 10;
        let mut body = device.capture(number, 0, if drawn { 0.5 } else { 0.0 });
        if let Body::Capture(capture) = &mut body
            && !drawn
        {
            capture.reasons = Reasons::DISAGREED;
        }
        body
    });
    let batch = device.batch(bodies.collect());
    world.ingest(vec![batch]).await;
    assert_eq!(listed(&world).await.len(), 20);
    // Where versions disagree, errors are frequent.
    let labels = (1..=20).map(|number| NewLabel {
        device: name("meter"),
        prediction: prediction(number),
        truth: u32::from(number > 10).to_string(),
    });
    let import = LabelImport {
        labels: labels.collect(),
        dry_run: false,
    };
    let imported = labels::import(&world.app, &Actor::machine(), &world.workspace, import).await;
    assert_eq!(imported.expect("imports").added, 20);
    let query = AccuracyQuery::default();
    let rows = monitor::accuracy(&world.app.store, &world.workspace, &query).await;
    let rows = rows.expect("counts");
    assert!(
        rows.iter()
            .all(|row| row.labels == 10 && row.accuracy >= 1.0),
        "{rows:?}"
    );
    // A device that says nothing of why must have drawn.
    let batch = device.batch(vec![device.capture(21, 0, 0.0)]);
    world.ingest(vec![batch]).await;
    assert_eq!(world.app.counters.entries_unknown.get(), 1);
}

#[tokio::test]
async fn what_is_kept_is_counted_by_version_site_reason_and_day() {
    let (world, mut device) = world().await;
    let mut bodies: Vec<Body> = (1..=3)
        .map(|number| device.capture(number, 1, 0.5))
        .collect();
    for (body, reasons) in bodies.iter_mut().zip([
        Reasons::UNSURE,
        Reasons::UNSURE.and(Reasons::RANDOM),
        Reasons::default(),
    ]) {
        if let Body::Capture(capture) = body {
            capture.reasons = reasons;
        }
    }
    bodies.push(device.label(2, 1, 1));
    let batch = device.batch(bodies);
    world.ingest(vec![batch]).await;
    let of = async |model: Option<&str>| {
        let query = KeptQuery {
            model: model.map(name),
            site: None,
        };
        let kept = kept::kept(&world.app, &world.workspace, &query).await;
        kept.expect("counts")
    };
    let all = of(None).await;
    assert_eq!(
        (all.all.captures, all.all.labelled, all.more),
        (3, 1, false)
    );
    assert!(all.all.bytes > 3 * 8, "{all:?}");
    let named = |of: &[KeptOf]| -> Vec<(String, u64)> {
        of.iter()
            .map(|of| (of.name.clone(), of.kept.captures))
            .collect()
    };
    assert_eq!(named(&all.versions), [("digits v1".to_owned(), 3)]);
    assert_eq!(named(&all.sites), [("harbour".to_owned(), 3)]);
    let mut reasons = named(&all.reasons);
    reasons.sort();
    let expected = [("not said", 1), ("random", 1), ("unsure", 2)];
    assert_eq!(
        reasons,
        expected.map(|(name, count)| (name.to_owned(), count))
    );
    assert_eq!((all.days.len(), all.days[0].kept.captures), (1, 3));
    assert_eq!((all.devices.len(), all.devices[0].kept.captures), (1, 3));
    assert_eq!(of(Some("nobody")).await.all.captures, 0);
    world.app.clock.advance(Duration::from_hours(25));
    assert_eq!(of(Some("digits")).await.devices, []);
}

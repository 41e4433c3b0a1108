//! Versions over a real store and real blobs: what is in them, what is not, and what stays apart.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tern_protocol::{
    digest::Digest,
    id::DatasetId,
    rest::{
        DatasetBuild, DatasetImport, DatasetOrder, DatasetPick, DatasetState, DatasetView,
        ImportFile, ImportSource, NewCaptureDeletion, NewDataset, Share, Split,
    },
};

use super::{
    ask, check_out, compare,
    look::{self, find, rows},
    stored,
    worker::pass,
    *,
};
use crate::{
    access::audit::Actor,
    captures::{deletions, seal::Keys},
    garbage,
    monitor::fixture::{Device, NOON, World, name},
    registry::{self, fixture::package},
};

/// A world with model `digits`, and devices at two sites that captured inputs whose truth is known.
struct Labelled {
    world: World,
    devices: Vec<Device>,
}

async fn sql(world: &World, text: &str) {
    let db = world.app.store.write();
    let statement = sea_orm::Statement::from_string(world.app.store.backend(), text);
    let done = sea_orm::ConnectionTrait::execute_raw(db, statement).await;
    done.expect("it is fine");
}

impl Labelled {
    async fn new(devices: &[(&str, &str)]) -> Self {
        Self::over(World::new().await, devices).await
    }

    async fn over(world: World, devices: &[(&str, &str)]) -> Self {
        let new = package(1.0).upload(&world.app.blobs).await;
        let model = name("digits");
        let by = Actor::machine();
        registry::publish(&world.app, &by, &world.workspace, &model, new)
            .await
            .expect("publishes");
        for (device, site) in devices {
            let insert = format!(
                "INSERT INTO device (workspace, id, site, labels, online, boot, health, health_reason, first_seen, \
                 last_seen, reported_revision, desired_revision, inferences, windows, erased) VALUES ('default', \
                 '{device}', '{site}', '{{}}', TRUE, 1, 'healthy', '', 0, 0, 0, 0, 0, 0, 0)"
            );
            sql(&world, &insert).await;
        }
        let devices = devices.iter().map(|(id, _)| Device::new(id)).collect();
        Self { world, devices }
    }

    /// Each device captures inputs of these numbers; each other one is a `yes`.
    async fn capture(&mut self, numbers: std::ops::Range<u64>) {
        for (at, device) in self.devices.iter_mut().enumerate() {
            let mut bodies = Vec::new();
            for number in numbers.clone() {
                // An input of its own on each device.
                let own = number + 1_000 * at as u64;
                bodies.push(device.capture(own, 0, 0.5));
                bodies.push(device.label(own, 0, (number % 2) as u32));
            }
            let batch = device.batch(bodies);
            self.world.ingest(vec![batch]).await;
        }
        // Labels that came now are not in what was asked for before.
        self.world
            .app
            .clock
            .advance(std::time::Duration::from_secs(1));
    }

    async fn build(&self, dataset: &str, change: impl FnOnce(&mut DatasetBuild)) -> DatasetView {
        let mut build = DatasetBuild::of(name("digits"));
        change(&mut build);
        self.order(dataset, DatasetOrder::Build(build)).await
    }

    async fn order(&self, dataset: &str, order: DatasetOrder) -> DatasetView {
        let World { app, workspace, .. } = &self.world;
        let new = NewDataset {
            name: name(dataset),
            key: None,
            order,
        };
        let by = Actor::machine();
        let asked = begin(app, &by, workspace, new).await.expect("is taken");
        assert!(pass(app).await.expect("the database works"));
        self.now(asked.id).await
    }

    async fn now(&self, id: DatasetId) -> DatasetView {
        let World { app, workspace, .. } = &self.world;
        let found = find(app, workspace, &DatasetPick::Id(id)).await;
        found.expect("is there").view
    }

    /// Ids of the rows of a split, sorted; with the label.
    async fn rows(&self, of: &DatasetView, split: Split) -> BTreeMap<String, Row> {
        let World { app, workspace, .. } = &self.world;
        let mut all = BTreeMap::new();
        let mut some = rows(app, workspace, of.id, split).await.expect("opens");
        while let Some(some) = some.recv().await {
            all.extend(
                some.expect("reads")
                    .into_iter()
                    .map(|row| (row.id.clone(), row)),
            );
        }
        all
    }

    async fn ids(&self, of: &DatasetView, split: Split) -> BTreeSet<String> {
        self.rows(of, split).await.into_keys().collect()
    }

    async fn delete(&self, new: NewCaptureDeletion) -> Vec<String> {
        let World { app, workspace, .. } = &self.world;
        let deleted = deletions::delete(app, &Actor::machine(), workspace, new).await;
        deleted.expect("deletes").receipt.datasets
    }
}

fn of_device(device: &str) -> NewCaptureDeletion {
    NewCaptureDeletion {
        device: Some(name(device)),
        predictions: Vec::new(),
        subject: None,
        reason: "asked for".into(),
    }
}

const FLEET: [(&str, &str); 5] = [
    ("meter-1", "harbour"),
    ("meter-2", "harbour"),
    ("meter-3", "harbour"),
    ("meter-4", "harbour"),
    ("meter-5", "hill"),
];

#[track_caller]
fn done(view: &DatasetView) -> &DatasetView {
    assert_eq!(view.state, DatasetState::Done, "{view:?}");
    view
}

#[tokio::test]
async fn labelled_captures_become_rows_with_their_weights_and_truths() {
    let mut labelled = Labelled::new(&FLEET).await;
    labelled.capture(0..20).await;
    let view = labelled.build("digits", |_| {}).await;
    let counted = done(&view).rows.clone().expect("rows");
    assert_eq!(counted.splits.all(), 100);
    assert_eq!(counted.splits.kept_out, 0);
    assert!((8..=35).contains(&counted.splits.held_out), "{counted:?}");
    assert_eq!(counted.classes.values().sum::<u64>(), counted.splits.train);
    assert_eq!(view.untrainable, None);
    let train = labelled.rows(&view, Split::Train).await;
    let row = train.values().next().expect("a row");
    assert_eq!((row.weight, row.source.as_str()), (2.0, "device"));
    assert!(matches!(&row.label, Label::Class(name) if name == "no" || name == "yes"));
    assert!(matches!(&row.input, Input::Tensor(bytes) if bytes.len() == 8));
    assert!(
        row.capture().is_some() && row.at > NOON - 100_000,
        "{row:?}"
    );

    // Only what was asked for.
    let of = |classes: &[&str], sites: &[&str], without: &[&str]| {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let classes: Vec<String> = names(classes);
        let sites = sites.iter().map(|site| name(site)).collect();
        let without = without.iter().map(|device| name(device)).collect();
        move |build: &mut DatasetBuild| {
            build.classes = classes;
            build.sites = sites;
            build.without = without;
        }
    };
    let yes = labelled
        .build("other", of(&["yes"], &["harbour"], &["meter-1"]))
        .await;
    assert_eq!(done(&yes).rows.clone().expect("rows").splits.all(), 30);
    let why = yes.untrainable.clone().expect("one class");
    assert!(why.contains("class yes"), "{why}");
    let found = find(
        &labelled.world.app,
        &labelled.world.workspace,
        &DatasetPick::Id(yes.id),
    )
    .await;
    let refused = look::trainable(&found.expect("is there")).expect_err("one class");
    assert!(
        refused.to_string().contains("nothing to tell apart"),
        "{refused}"
    );
    let nobody = labelled.build("nobody", of(&[], &["nowhere"], &[])).await;
    assert!(
        done(&nobody)
            .untrainable
            .clone()
            .expect("empty")
            .contains("no row")
    );
}

#[tokio::test]
async fn what_is_kept_out_is_whole_devices_or_the_latest_of_one_alone() {
    let mut labelled = Labelled::new(&FLEET).await;
    labelled.capture(0..20).await;
    let view = labelled
        .build("digits", |build| build.keep_out = Share::percent(20))
        .await;
    let kept = labelled.rows(done(&view), Split::KeptOut).await;
    let trained = labelled.rows(&view, Split::Train).await;
    let devices = |rows: &BTreeMap<String, Row>, site: &str| -> BTreeSet<String> {
        let of = rows.values().filter(|row| row.site == site);
        of.map(|row| row.device.clone()).collect()
    };
    let (out, within) = (devices(&kept, "harbour"), devices(&trained, "harbour"));
    assert_eq!(out.len(), 1);
    assert!(out.is_disjoint(&within));
    let hill = |rows: &BTreeMap<String, Row>| -> Vec<i64> {
        let of = rows.values().filter(|row| row.site == "hill");
        of.map(|row| row.at).collect()
    };
    // All of its captures are of one moment here, so all are on one side.
    assert!(hill(&kept).is_empty() || hill(&trained).is_empty());

    // The same the next time, and more of the same devices.
    labelled.capture(20..40).await;
    let next = labelled
        .build("digits", |build| {
            build.keep_out = Share::percent(20);
            build.base = Some(DatasetPick::Id(view.id));
        })
        .await;
    let again = labelled.rows(done(&next), Split::KeptOut).await;
    assert_eq!(devices(&again, "harbour"), out);
    assert!(again.len() > kept.len());
    assert_eq!(next.rows.clone().expect("rows").splits.all(), 200);
}

#[tokio::test]
async fn splits_never_leak_between_versions_of_a_name() {
    let mut labelled = Labelled::new(&FLEET).await;
    labelled.capture(0..20).await;
    let mut seen: BTreeMap<Split, BTreeSet<String>> = BTreeMap::new();
    let mut versions = Vec::new();
    for (round, held) in [(1_u64, 20), (2, 70), (3, 0), (4, 40)] {
        labelled.capture(round * 20..round * 20 + 10).await;
        let view = labelled
            .build("digits", |build| {
                build.held_out = Some(Share::percent(held));
                build.keep_out = Share::percent(if round > 2 { 25 } else { 0 });
                // With and without a version before.
                build.base = versions
                    .last()
                    .filter(|_| round.is_multiple_of(2))
                    .map(|of: &DatasetView| DatasetPick::Id(of.id));
            })
            .await;
        for split in Split::ALL {
            let ids = labelled.ids(done(&view), split).await;
            seen.entry(split).or_default().extend(ids);
        }
        versions.push(view);
    }
    let [held, kept, train] = Split::ALL.map(|split| seen.remove(&split).expect("a split"));
    assert!(!held.is_empty() && !kept.is_empty());
    assert!(train.is_disjoint(&held) && train.is_disjoint(&kept) && held.is_disjoint(&kept));

    // An input that was held out is not trained on under another id either.
    let held_row = labelled.rows(&versions[0], Split::HeldOut).await;
    let held_row = held_row.values().next().expect("a row");
    let Input::Tensor(bytes) = &held_row.input else {
        panic!("a tensor")
    };
    let value = f32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    let csv = format!("a,b,truth\n{value},0.5,yes\n70000,0.25,no\n");
    let import = labelled.import(&csv, "truth", |import| {
        import.tensor = Some(tern_protocol::rest::TensorForm {
            name: "image".into(),
            dtype: tern_protocol::tensor::Dtype::F32,
            shape: vec![2],
        });
        import.files[0].split = Some(Split::Train);
    });
    let imported = labelled.order("digits", import.await).await;
    let splits = done(&imported).rows.clone().expect("rows").splits;
    assert_eq!((splits.train, splits.held_out), (1, 1));
}

impl Labelled {
    async fn import(
        &self,
        csv: &str,
        label: &str,
        change: impl FnOnce(&mut DatasetImport),
    ) -> DatasetOrder {
        let blobs = &self.world.app.blobs;
        let blob = blobs.put_bytes(Bytes::from(csv.to_owned())).await;
        let mut import = DatasetImport {
            files: vec![ImportFile {
                split: None,
                from: ImportSource::Blob(blob.expect("stores").digest),
            }],
            label: label.into(),
            features: Vec::new(),
            held_out: None,
            tensor: None,
            numbers: None,
            new_schema: false,
        };
        change(&mut import);
        DatasetOrder::Import(import)
    }
}

#[tokio::test]
async fn files_are_described_checked_and_refused_with_a_reason() {
    let labelled = Labelled::new(&[]).await;
    let csv = "colour,size,fault\nred,1.5,yes\nblue,,no\nred,2,no\n,3,yes\n";
    let order = labelled.import(csv, "fault", |_| {}).await;
    let first = labelled.order("parts", order).await;
    let World { app, workspace, .. } = &labelled.world;
    let detail = look::one(app, workspace, &DatasetPick::Id(done(&first).id)).await;
    let manifest = detail.expect("is there").manifest.expect("is done");
    let tern_protocol::rest::DatasetInput::Table { columns } = &manifest.input else {
        panic!("a table")
    };
    assert_eq!(columns[0].categories, ["blue", "red"]);
    let size = &manifest.statistics.columns[1];
    assert_eq!((size.count, size.missing), (3, 1));
    let most = size.number.as_ref().expect("numbers").max;
    assert!((most - 3.0).abs() < f64::EPSILON, "{most}");
    assert_eq!(manifest.statistics.classes["yes"].train, 2);

    // What was uploaded goes with the version that is made of it.
    let upload = Digest::of(csv.as_bytes());
    assert_eq!(app.blobs.head(upload).await.expect("looks"), None);

    for (csv, why) in [
        (
            "colour,mass,fault\nred,1,yes\n",
            "column `size` is missing; column `mass` is new",
        ),
        (
            "colour,size,fault\nred,large,yes\n",
            "column `size` was a number and is a category",
        ),
        ("colour,size,fault\nred,1,perhaps\n", "`perhaps`"),
        ("colour,size,wrong\nred,1,yes\n", "no column `fault`"),
        ("colour,size,fault\nred,1,\n", "`fault` is empty"),
        ("colour,size,fault\nred,1\n", "record 1"),
        ("colour,size,fault\n", "no row"),
        ("colour,colour,fault\nred,1,yes\n", "there twice"),
        ("colour,size,device,fault\nred,1,../x,yes\n", "not a name"),
    ] {
        let order = labelled.import(csv, "fault", |_| {}).await;
        let refused = labelled.order("parts", order).await;
        assert_eq!(refused.state, DatasetState::Failed, "{csv}");
        let said = refused.reason.clone().expect("a reason");
        assert!(said.contains(why) && !refused.again, "{csv:?} gave {said}");
    }
    // What is meant is taken; known categories keep their places.
    let csv = "size,colour,fault\n1,green,perhaps\n2,red,yes\n";
    let order = labelled
        .import(csv, "fault", |import| import.new_schema = true)
        .await;
    let next = labelled.order("parts", order).await;
    let found = find(app, workspace, &DatasetPick::Id(done(&next).id)).await;
    let manifest = look::manifest(app, &found.expect("is there"))
        .await
        .expect("reads");
    let tern_protocol::rest::DatasetInput::Table { columns } = &manifest.input else {
        panic!("a table")
    };
    assert_eq!(columns[0].name, "colour");
    assert_eq!(columns[0].categories, ["blue", "red", "green"]);

    let (older, newer) = (DatasetPick::Id(first.id), DatasetPick::Id(next.id));
    let diff = compare::diff(app, workspace, &older, &newer);
    let diff = diff.await.expect("compares");
    assert_eq!(
        (diff.common, diff.added.all(), diff.removed.all()),
        (0, 2, 4)
    );
    assert!(diff.schema.is_empty());
}

#[tokio::test]
async fn a_column_that_is_called_as_one_of_ours_is_told_and_may_be_a_feature() {
    let labelled = Labelled::new(&[]).await;
    let csv = "id,weight,size,late\na,2.5,1,yes\nb,7,2,no\n";
    let order = labelled.import(csv, "late", |_| {}).await;
    let first = labelled.order("parcels", order).await;
    let counted = done(&first).rows.clone().expect("rows");
    assert_eq!(counted.as_called, ["id", "weight"]);
    let rows = labelled.rows(&first, Split::Train).await;
    assert_eq!(
        (rows["b"].weight, &rows["b"].input),
        (7.0, &Input::Table(vec![Cell::Number(2.0)]))
    );

    let keep = |features: &[&str]| {
        let features = features.iter().map(|name| (*name).to_owned()).collect();
        move |import: &mut DatasetImport| {
            import.features = features;
            import.new_schema = true;
        }
    };
    let order = labelled.import(csv, "late", keep(&["weight"])).await;
    let next = labelled.order("parcels", order).await;
    let counted = done(&next).rows.clone().expect("rows");
    assert_eq!(counted.as_called, ["id"]);
    let World { app, workspace, .. } = &labelled.world;
    let detail = look::one(app, workspace, &DatasetPick::Id(next.id)).await;
    let manifest = detail.expect("is there").manifest.expect("is done");
    assert_eq!(manifest.made_from.as_called, ["id"]);
    let tern_protocol::rest::DatasetInput::Table { columns } = &manifest.input else {
        panic!("a table")
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["size", "feature_weight"]);
    // As it is written, both columns are there, each under a name of its own.
    let rows = labelled.rows(&next, Split::Train).await;
    let input = Input::Table(vec![Cell::Number(2.0), Cell::Number(7.0)]);
    assert_eq!((rows["b"].weight, &rows["b"].input), (1.0, &input));

    for (csv, features, why) in [
        (csv, &["mass"][..], "no column `mass`"),
        (csv, &["late"][..], "`late` is the truth"),
        (
            "id,device,source,size,late\nmeter-1/1-3,meter-1,person,1,yes\n",
            &["device"][..],
            "row 1: it is capture meter-1/1-3",
        ),
    ] {
        let order = labelled.import(csv, "late", keep(features)).await;
        let refused = labelled.order("parcels", order).await;
        let said = refused.reason.clone().expect("a reason");
        assert!(said.contains(why), "{csv:?} gave {said}");
    }
    let order = labelled.import(csv, "late", |_| {}).await;
    let refused = labelled.order("parcels", order).await;
    let said = refused.reason.clone().expect("a reason");
    assert!(
        said.contains("column `feature_weight` is missing"),
        "{said}"
    );
}

#[tokio::test]
async fn a_file_is_read_within_bounds() {
    let labelled = Labelled::new(&[]).await;
    let long = "x".repeat(5 << 20);
    for (csv, why) in [
        (
            format!("a,fault\n1,no\n\"{long}"),
            "more than 4194304 bytes; is a quote not closed?",
        ),
        (format!("a,\"{long}"), "more than 4194304 bytes"),
        (
            format!("a,fault\n{},no\n", &long[..70_000]),
            "more than 65536 bytes",
        ),
    ] {
        let order = labelled.import(&csv, "fault", |_| {}).await;
        let refused = labelled.order("parts", order).await;
        assert_eq!(refused.state, DatasetState::Failed);
        let said = refused.reason.clone().expect("a reason");
        assert!(said.contains(why) && !refused.again, "{said}");
    }
}

#[tokio::test]
async fn a_capture_that_was_deleted_is_in_no_new_version_and_old_ones_are_withdrawn() {
    let mut labelled = Labelled::new(&FLEET[..2]).await;
    labelled.capture(0..10).await;
    let first = labelled.build("digits", |_| {}).await;
    let child = labelled
        .build("digits", |build| {
            build.base = Some(DatasetPick::Id(first.id));
        })
        .await;
    let without = labelled
        .build("digits", |build| build.without = vec![name("meter-1")])
        .await;
    let World { app, workspace, .. } = &labelled.world;
    let found = find(app, workspace, &DatasetPick::Id(done(&first).id))
        .await
        .expect("is there");
    let files = look::manifest(app, &found).await.expect("reads");
    assert_eq!(
        labelled.delete(of_device("meter-1")).await,
        ["digits@1", "digits@2"]
    );

    for view in [&first, &child] {
        let now = labelled.now(view.id).await;
        assert!(
            now.withdrawn.is_some() && now.untrainable.is_some(),
            "{now:?}"
        );
        let refused = rows(app, workspace, view.id, Split::Train).await;
        assert!(
            refused
                .expect_err("withdrawn")
                .to_string()
                .contains("withdrawn")
        );
        let dir = tempfile::tempdir().expect("a directory");
        assert!(
            check_out(app, workspace, view.id, dir.path())
                .await
                .is_err()
        );
    }
    let files_left = garbage::references(app.store.read()).await.expect("reads");
    let digest = first.digest.expect("a digest");
    assert!(!files_left.contains(&digest) && !files.files.is_empty());
    assert_eq!(app.blobs.head(digest).await.expect("looks"), None);
    assert!(!labelled.ids(&without, Split::Train).await.is_empty());

    // Neither from captures nor from what was withdrawn.
    let next = labelled.build("digits", |_| {}).await;
    for split in Split::ALL {
        let ids = labelled.ids(done(&next), split).await;
        assert!(ids.iter().all(|id| id.starts_with("meter-2/")), "{ids:?}");
    }
    let by = Actor::machine();
    let mut order = DatasetBuild::of(name("digits"));
    order.base = Some(DatasetPick::Id(first.id));
    let refused = build(app, &by, workspace, &name("digits"), &order, None).await;
    assert!(
        refused
            .expect_err("withdrawn")
            .to_string()
            .contains("withdrawn")
    );
}

#[tokio::test]
async fn what_is_cut_off_is_made_again_and_what_is_stopped_leaves_nothing() {
    let mut labelled = Labelled::new(&FLEET[..2]).await;
    labelled.capture(0..10).await;
    let World { app, workspace, .. } = &labelled.world;
    let by = Actor::machine();
    let order = DatasetBuild::of(name("digits"));
    let id = build(
        app,
        &by,
        workspace,
        &name("digits"),
        &order,
        Some("7/build/1"),
    )
    .await;
    let id = id.expect("is taken");
    let again = build(
        app,
        &by,
        workspace,
        &name("digits"),
        &order,
        Some("7/build/1"),
    )
    .await;
    assert_eq!(again.expect("is known"), id);

    // As if the hub had been killed after it noted some rows.
    sql(
        &labelled.world,
        &format!(
            "INSERT INTO dataset_split (workspace, name, id, input, split, device, dataset) \
             VALUES ('default', 'digits', 'meter-1/1-3', NULL, 1, 'meter-1', {id})"
        ),
    )
    .await;
    assert_eq!(labelled.now(id).await.state, DatasetState::Running);
    assert!(pass(app).await.expect("works"));
    let view = labelled.now(id).await;
    assert_eq!(done(&view).rows.clone().expect("rows").splits.all(), 20);
    assert!(!pass(app).await.expect("works"), "nothing is left to do");

    let other = build(
        app,
        &by,
        workspace,
        &name("digits"),
        &order,
        Some("7/build/2"),
    )
    .await;
    let other = other.expect("is taken");
    ask::stop_by_key(app, &by, workspace, "7/build/2")
        .await
        .expect("stops");
    assert!(!pass(app).await.expect("works"));
    let stopped = labelled.now(other).await;
    assert_eq!((stopped.state, stopped.number), (DatasetState::Stopped, 2));

    // What was uploaded for one that is stopped goes at once, and what was noted of its rows.
    let csv = "a,truth\n1,yes\n2,no\n";
    let new = NewDataset {
        name: name("small"),
        key: None,
        order: labelled.import(csv, "truth", |_| {}).await,
    };
    let import = begin(app, &by, workspace, new).await.expect("is taken").id;
    sql(
        &labelled.world,
        &format!(
            "INSERT INTO dataset_split (workspace, name, id, input, split, device, dataset) \
             VALUES ('default', 'small', 'row-1', NULL, 1, '', {import})"
        ),
    )
    .await;
    let upload = Digest::of(csv.as_bytes());
    assert!(app.blobs.head(upload).await.expect("looks").is_some());
    ask::stop(app, &by, workspace, &DatasetPick::Id(import))
        .await
        .expect("stops");
    assert_eq!(app.blobs.head(upload).await.expect("looks"), None);
    let noted = "SELECT id FROM dataset_split WHERE name = 'small'";
    let noted = SQL.rows(app.store.read(), noted, []).await;
    assert_eq!(noted.expect("reads").len(), 0);
    assert!(!pass(app).await.expect("works"));

    // Its number is not given again, and it can be removed.
    let removed = ask::remove(app, &by, workspace, &DatasetPick::Id(view.id)).await;
    assert_eq!(removed.expect("removes").state, DatasetState::Removed);
    let next = labelled.build("digits", |_| {}).await;
    assert_eq!(next.number, 3);
    let known = stored::all(
        app.store.read(),
        "name = 'digits' AND number = $1",
        [1.into()],
    )
    .await;
    assert_eq!(known.expect("reads").len(), 1);
}

#[tokio::test]
async fn with_a_key_no_row_is_on_the_disk_as_it_is_and_it_is_written_out_whole() {
    let mut world = World::new().await;
    world.app.captures.keys = Keys::of(&[[9; 32]]);
    let mut labelled = Labelled::over(world, &FLEET[..2]).await;
    labelled.capture(0..40).await;
    let view = labelled.build("digits", |_| {}).await;
    let World { app, workspace, .. } = &labelled.world;
    let dir = tempfile::tempdir().expect("a directory");
    check_out(app, workspace, done(&view).id, dir.path())
        .await
        .expect("is written");
    let manifest = std::fs::read(dir.path().join("dataset.json")).expect("is there");
    assert_eq!(view.digest, Some(Digest::of(&manifest)));
    let out = std::fs::read(dir.path().join("train.parquet")).expect("is there");
    let inside = b"meter-1/1-";
    let holds = |bytes: &[u8]| bytes.windows(inside.len()).any(|some| some == inside);
    assert!(holds(&out));
    for shelf in std::fs::read_dir(labelled.world.blobs().join("sha256")).expect("blobs") {
        for file in std::fs::read_dir(shelf.expect("a shelf").path()).expect("a shelf") {
            let path = file.expect("a file").path();
            assert!(
                !holds(&std::fs::read(&path).expect("reads")),
                "{}",
                path.display()
            );
        }
    }
}

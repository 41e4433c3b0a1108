//! What is asked of versions: that they are made, that this stops, that their files go.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Value};
use tern_dataset::OWN;
use tern_protocol::{
    digest::Digest,
    id::{DatasetId, DatasetName, WorkspaceId},
    rest::{
        Change, DatasetBuild, DatasetImport, DatasetOrder, DatasetPick, DatasetView, ImportSource,
        NewDataset, PREPARATION_STEPS,
    },
};

use super::{
    DatasetError, SQL, datastores,
    ledger::Ledger,
    look,
    stored::{self, DONE, FAILED, REMOVED, RUNNING, STOPPED, Stored, key},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    garbage,
    store::{StoreError, parsed, to_json},
};

/// Versions of one workspace that may wait to be made.
const WAITING: i64 = 100;

/// Files of one import.
const FILES: usize = 64;

/// Longest key, in bytes.
const KEY: usize = 200;

/// Names in one list of an order.
const NAMED: usize = 10_000;

/// Begins a version; the same key in the same workspace gives the one that was begun with it.
pub async fn build(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    name: &DatasetName,
    order: &DatasetBuild,
    key: Option<&str>,
) -> Result<DatasetId, DatasetError> {
    let new = NewDataset {
        name: name.clone(),
        key: key.map(str::to_owned),
        order: DatasetOrder::Build(order.clone()),
    };
    Ok(begin(app, by, workspace, new).await?.id)
}

/// As [`build`], of whatever a version is made of.
pub async fn begin(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    new: NewDataset,
) -> Result<DatasetView, DatasetError> {
    if let Some(key) = &new.key {
        check_key(key)?;
        if let Some(known) = look::by_key(app, workspace, key).await? {
            return Ok(known);
        }
    }
    let NewDataset {
        name,
        key: asked_as,
        mut order,
    } = new;
    check(app, workspace, &order).await?;
    let uploads = uploads(app, &order).await?;
    let now = app.clock.now();
    let txn = SQL.begin(&app.store).await?;
    if let Some(key) = &asked_as {
        // Somebody else may have been faster.
        let values = [workspace.as_str().into(), key.as_str().into()];
        let known = stored::all(&txn, "workspace = $1 AND key = $2", values).await?;
        if let Some(known) = known.into_iter().next() {
            return Ok(known.view);
        }
    }
    let waiting = "SELECT COUNT(*) AS many FROM dataset WHERE workspace = $1 AND state = $2";
    let values = [workspace.as_str().into(), RUNNING.into()];
    if count(&txn, waiting, values).await? >= WAITING {
        return Err(DatasetError::Conflict(format!(
            "{WAITING} versions wait to be made already; try again when some are done"
        )));
    }
    let base = base(&txn, workspace, &mut order).await?;
    let model = match &order {
        DatasetOrder::Build(build) => Some(build.model.clone()),
        DatasetOrder::Import(_) | DatasetOrder::Prepare(_) => {
            base.as_ref().and_then(|base| base.view.model.clone())
        }
    };
    let last =
        "SELECT COALESCE(MAX(number), 0) AS many FROM dataset WHERE workspace = $1 AND name = $2";
    let values = [workspace.as_str().into(), name.as_str().into()];
    let number = count(&txn, last, values).await? + 1;
    let insert = "INSERT INTO dataset (workspace, name, number, key, state, actor, at, asked, model, base) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";
    let values: [Value; 10] = [
        workspace.as_str().into(),
        name.as_str().into(),
        number.into(),
        asked_as.into(),
        RUNNING.into(),
        by.name.as_str().into(),
        now.0.into(),
        to_json(&order).into(),
        model.map(|model| model.to_string()).into(),
        base.as_ref().map(Stored::key).into(),
    ];
    let row = SQL.row(&txn, insert, values).await?;
    let row = row.ok_or(StoreError::Value {
        what: "id of a new dataset",
        value: "none".into(),
    })?;
    let id: i64 = SQL.at(&row, 0)?;
    for digest in uploads {
        // From here on nobody else writes, whoever collects garbage among them.
        let blob = app.blobs.claim(digest).await?;
        let blob = blob.ok_or_else(|| not_uploaded(digest))?;
        let insert = "INSERT INTO dataset_file (dataset, path, digest, len, sealed) VALUES ($1, $2, $3, $4, 0)";
        let digest = digest.to_string();
        let values: [Value; 4] = [
            id.into(),
            format!("upload/{digest}").into(),
            digest.into(),
            blob.len.cast_signed().into(),
        ];
        SQL.exec(&txn, insert, values).await?;
    }
    let action = match &order {
        DatasetOrder::Build(_) => "dataset.build",
        DatasetOrder::Import(_) => "dataset.import",
        DatasetOrder::Prepare(_) => "dataset.prepare",
    };
    let deed = Deed::new(action, format!("dataset {name}@{number}"));
    let deed = deed.within(workspace).after(&order);
    audit::record(&txn, &app.clock, by, deed).await?;
    SQL.commit(txn).await?;
    app.datasets.wake.notify();
    app.changes.send(workspace, Change::Datasets);
    let id = DatasetId(id.cast_unsigned());
    Ok(look::find(app, workspace, &DatasetPick::Id(id)).await?.view)
}

async fn count(
    db: &impl ConnectionTrait,
    select: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<i64, StoreError> {
    let row = SQL.row(db, select, values).await?;
    row.map_or(Ok(0), |row| SQL.at(&row, 0))
}

fn check_key(key: &str) -> Result<(), DatasetError> {
    if key.is_empty() || key.len() > KEY || key.contains('\0') {
        return Err(DatasetError::Refused(format!("a key has 1 to {KEY} bytes")));
    }
    Ok(())
}

/// What can be said of an order without looking at rows.
async fn check(
    app: &App,
    workspace: &WorkspaceId,
    order: &DatasetOrder,
) -> Result<(), DatasetError> {
    let refused = |text: String| Err(DatasetError::Refused(text));
    match order {
        DatasetOrder::Build(build) => {
            let lists = [build.sites.len(), build.classes.len(), build.without.len()];
            if lists.into_iter().any(|len| len > NAMED) {
                return refused(format!(
                    "at most {NAMED} sites, classes or devices in a list"
                ));
            }
            let whole = [Some(build.keep_out), build.held_out];
            if whole
                .into_iter()
                .flatten()
                .any(|share| share.of_one() >= 1.0)
            {
                return refused("`keep_out` and `held_out` are less than 100%".into());
            }
            let db = app.store.read();
            if crate::registry::newest_inputs(db, workspace, &build.model)
                .await?
                .is_none()
            {
                return Err(DatasetError::NotFound(format!("model {}", build.model)));
            }
        }
        DatasetOrder::Import(import) => check_import(app, workspace, import).await?,
        DatasetOrder::Prepare(prepare) => {
            let steps = prepare.preparation.steps.len();
            if !(1..=PREPARATION_STEPS).contains(&steps) {
                return refused(format!("a preparation has 1 to {PREPARATION_STEPS} steps"));
            }
        }
    }
    Ok(())
}

async fn check_import(
    app: &App,
    workspace: &WorkspaceId,
    import: &DatasetImport,
) -> Result<(), DatasetError> {
    let refused = |text: String| Err(DatasetError::Refused(text));
    if !(1..=FILES).contains(&import.files.len()) {
        return refused(format!("an import has 1 to {FILES} files"));
    }
    if import.label.is_empty() || (OWN.contains(&import.label.as_str()) && import.label != "label")
    {
        return refused(format!("`{}` is no column with the truth", import.label));
    }
    if import.features.len() > NAMED {
        return refused(format!("at most {NAMED} columns in `features`"));
    }
    if let Some(form) = &import.tensor
        && !matches!(form.elements(), Some(1..=tern_protocol::steps::ELEMENTS))
    {
        return refused(format!(
            "a tensor of {:?} has none or too many elements",
            form.shape
        ));
    }
    if import.held_out.is_some_and(|share| share.of_one() >= 1.0) {
        return refused("`held_out` is less than 100%".into());
    }
    for file in &import.files {
        if let ImportSource::Datastore { name, path } = &file.from {
            datastores::check_path(path)?;
            datastores::place(app, workspace, name).await?;
        }
    }
    Ok(())
}

/// The blobs of an import, each once.
async fn uploads(app: &App, order: &DatasetOrder) -> Result<BTreeSet<Digest>, DatasetError> {
    let DatasetOrder::Import(import) = order else {
        return Ok(BTreeSet::new());
    };
    let mut found = BTreeSet::new();
    for file in &import.files {
        if let ImportSource::Blob(digest) = file.from {
            // Hashed before the database waits for it.
            let known = app.blobs.claim_known(digest).await?;
            known.ok_or_else(|| not_uploaded(digest))?;
            found.insert(digest);
        }
    }
    Ok(found)
}

fn not_uploaded(digest: Digest) -> DatasetError {
    DatasetError::Refused(format!(
        "blob {digest} was not uploaded; send the file with PUT /blobs/{digest} first"
    ))
}

/// The version that an order begins with, named by its id in the order from now on.
async fn base(
    txn: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    order: &mut DatasetOrder,
) -> Result<Option<Stored>, DatasetError> {
    let named = match order {
        DatasetOrder::Build(build) => build.base.as_mut(),
        DatasetOrder::Import(_) => None,
        DatasetOrder::Prepare(prepare) => Some(&mut prepare.base),
    };
    let Some(named) = named else {
        return Ok(None);
    };
    let base = stored::pick(txn, workspace, named).await?;
    look::usable(&base)?;
    *named = DatasetPick::Id(base.id());
    Ok(Some(base))
}

/// Stops the making of a version, and forgets what it was to be made of and what was noted of its rows; one that is not
/// being made stays as it is.
pub async fn stop(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    pick: &DatasetPick,
) -> Result<DatasetView, DatasetError> {
    let txn = SQL.begin(&app.store).await?;
    let found = stored::pick(&txn, workspace, pick).await?;
    let update =
        "UPDATE dataset SET state = $1, finished = $2, reason = $3 WHERE id = $4 AND state = $5";
    let values: [Value; 5] = [
        STOPPED.into(),
        app.clock.now().0.into(),
        format!("{} stopped it", by.name).into(),
        found.key().into(),
        RUNNING.into(),
    ];
    let mut gone = Vec::new();
    if SQL.exec(&txn, update, values).await? > 0 {
        // Whoever makes it notes rows only of what is being made, so nothing comes after this.
        Ledger::forget(&txn, found.id()).await?;
        gone = drop_files(&txn, found.id()).await?;
        let deed = Deed::new("dataset.stop", format!("dataset {}", found.view.title()));
        audit::record(&txn, &app.clock, by, deed.within(workspace)).await?;
    }
    SQL.commit(txn).await?;
    discard(app, &gone).await;
    app.datasets.wake.notify();
    app.changes.send(workspace, Change::Datasets);
    Ok(look::find(app, workspace, &DatasetPick::Id(found.id()))
        .await?
        .view)
}

/// As [`stop`], of the version that was begun with a key, if there is one.
pub async fn stop_by_key(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    key: &str,
) -> Result<(), DatasetError> {
    if let Some(known) = look::by_key(app, workspace, key).await? {
        stop(app, by, workspace, &DatasetPick::Id(known.id)).await?;
    }
    Ok(())
}

/// Removes the files of a version. That there was one, its splits and what was trained on it stay known.
pub async fn remove(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    pick: &DatasetPick,
) -> Result<DatasetView, DatasetError> {
    let txn = SQL.begin(&app.store).await?;
    let found = stored::pick(&txn, workspace, pick).await?;
    let waits = "SELECT COUNT(*) AS many FROM dataset WHERE base = $1 AND state = $2";
    if count(&txn, waits, [found.key().into(), RUNNING.into()]).await? > 0 {
        return Err(DatasetError::Conflict(format!(
            "a version is being made of {}; wait for it, or stop it",
            found.view.title()
        )));
    }
    let update =
        "UPDATE dataset SET state = $1, finished = $2 WHERE id = $3 AND state IN ($4, $5, $6)";
    let values: [Value; 6] = [
        REMOVED.into(),
        app.clock.now().0.into(),
        found.key().into(),
        DONE.into(),
        FAILED.into(),
        STOPPED.into(),
    ];
    let removed = SQL.exec(&txn, update, values).await? > 0;
    if !removed && found.view.state == tern_protocol::rest::DatasetState::Running {
        return Err(DatasetError::Conflict(format!(
            "{} is being made; stop it first",
            found.view.title()
        )));
    }
    let gone = drop_files(&txn, found.id()).await?;
    if removed {
        let deed = Deed::new("dataset.remove", format!("dataset {}", found.view.title()));
        audit::record(&txn, &app.clock, by, deed.within(workspace)).await?;
    }
    SQL.commit(txn).await?;
    discard(app, &gone).await;
    app.changes.send(workspace, Change::Datasets);
    Ok(look::find(app, workspace, &DatasetPick::Id(found.id()))
        .await?
        .view)
}

/// Forgets the files of a version; their blobs.
pub(super) async fn drop_files(
    txn: &impl ConnectionTrait,
    id: DatasetId,
) -> Result<Vec<Digest>, StoreError> {
    let of = "SELECT digest FROM dataset_file WHERE dataset = $1";
    let rows = SQL.rows(txn, of, [key(id).into()]).await?;
    let gone = rows.iter().map(|row| {
        let text: String = SQL.at(row, 0)?;
        parsed::<Digest>("digest", &text)
    });
    let gone = gone.collect::<Result<_, _>>()?;
    let delete = "DELETE FROM dataset_file WHERE dataset = $1";
    SQL.exec(txn, delete, [key(id).into()]).await?;
    Ok(gone)
}

/// Removes blobs that no version names any more. What cannot be removed now, the collection of garbage removes.
pub(super) async fn discard(app: &App, gone: &[Digest]) {
    if let Err(err) = garbage::discard(&app.store, &app.blobs, gone).await {
        tracing::warn!(
            error = crate::store::chain(&err),
            "files of a dataset are not removed yet"
        );
    }
}

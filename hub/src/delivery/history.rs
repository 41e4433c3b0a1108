//! Writes down what moved to devices, version by version, so that a wave can be looked at when it is over
//! and after a restart.
//!
//! What a device took of a part is what it lacked when it first asked, counted once it has all of the
//! version, or as far as it got. What left is counted chunk by chunk and piece by piece. The difference is
//! what sending to many at once saved.
//!
//! Must never break: what was counted is written once, also if the database says no the first time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, Statement, TransactionTrait as _,
    sea_query::{Expr, ExprTrait as _, OnConflict},
};
use tern_protocol::{
    id::{ModelName, ModelVersion, WorkspaceId},
    rest::{BlobPart, Change},
    time::WallTime,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{
    carousel::Key,
    ledger::{Asked, Moved, News, Stored},
    rows::{delivery, device},
    told::in_words,
};
use crate::{
    app::App,
    fleet, registry,
    store::{Doing as _, StoreError, chain},
};

const DOING: &str = "writing down what was delivered";

/// How often what moved is written. Each write is a transaction that waits for the disk.
const EVERY: Duration = Duration::from_secs(1);

/// A device that never got all of a version is settled after this with what it took.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

/// Between two looks for such devices.
const LOOK: Duration = Duration::from_hours(1);

/// Rows in one statement, well under SQLite's 32,766 bound values.
const ROWS: usize = 500;

/// Writes what moved, until `stop`, and then once more.
pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => write(&app).await,
            _ = look.tick() => {
                if let Err(err) = settle(&app).await {
                    tracing::warn!(error = chain(&err), "old deliveries were not settled");
                }
            }
        }
    }
    write(&app).await;
}

/// Writes what moved since the last time.
pub async fn write(app: &App) {
    let news = app.ledger.take();
    if news.is_empty() {
        return;
    }
    match store(app, &news).await {
        Ok(workspaces) => {
            for workspace in workspaces {
                app.changes.send(&workspace, Change::Delivery);
            }
        }
        Err(err) => {
            tracing::warn!(error = chain(&err), "what was delivered is written later");
            app.ledger.give_back(news);
        }
    }
}

/// What devices said of one blob.
type Devices<'a> = Vec<(&'a str, Asked)>;

async fn store(app: &App, news: &News) -> Result<BTreeSet<WorkspaceId>, StoreError> {
    let now = app.clock.now();
    let txn = app.store.write().begin().await.doing(DOING)?;
    let mut by_blob: BTreeMap<&Key, (Moved, Devices<'_>)> = BTreeMap::new();
    for (key, moved) in &news.blobs {
        by_blob.entry(key).or_default().0 = *moved;
    }
    for ((key, device), asked) in &news.asked {
        let (moved, devices) = by_blob.entry(key).or_default();
        moved.len = asked.len;
        devices.push((device.as_str(), *asked));
    }
    for (key, (moved, devices)) in by_blob {
        let named = registry::part_named(&txn, &key.0, key.1).await?;
        let place = Place::of(key, named);
        let asked = match place.part {
            // Nobody says that they have all of signed metadata.
            BlobPart::Metadata => 0,
            _ => write_asked(&txn, &place, &devices).await?,
        };
        add(&txn, &place, moved, asked, now).await?;
    }
    for stored in &news.stored {
        done(&txn, stored, now).await?;
    }
    txn.commit().await.doing(DOING)?;
    let workspaces = news.blobs.keys().map(|key| &key.0);
    let asking = news.asked.keys().map(|(key, _)| &key.0);
    let storing = news.stored.iter().map(|stored| &stored.workspace);
    let all = workspaces.chain(asking).chain(storing).cloned();
    Ok(all.collect())
}

/// Where what moved of a blob is counted.
struct Place {
    workspace: String,
    model: String,
    version: i64,
    blob: String,
    part: BlobPart,
}

impl Place {
    fn of((workspace, digest): &Key, named: Option<(ModelName, ModelVersion, BlobPart)>) -> Self {
        let workspace = workspace.to_string();
        match named {
            Some((model, version, part)) => Self {
                workspace,
                model: model.to_string(),
                version: version.get().into(),
                blob: digest.to_string(),
                part,
            },
            None => Self {
                workspace,
                model: String::new(),
                version: 0,
                blob: String::new(),
                part: BlobPart::Metadata,
            },
        }
    }
}

fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Adds to what moved of a part.
async fn add(
    txn: &DatabaseTransaction,
    place: &Place,
    moved: Moved,
    asked: u64,
    now: WallTime,
) -> Result<(), StoreError> {
    use delivery::Column;
    let row = delivery::Model {
        workspace: place.workspace.clone(),
        model: place.model.clone(),
        version: place.version,
        blob: place.blob.clone(),
        part: place.part.word().into(),
        len: column(moved.len),
        began: now.0,
        latest: now.0,
        published: column(moved.published),
        repeated: column(moved.repeated),
        chunks: column(moved.chunks),
        chunks_repeated: column(moved.chunks_repeated),
        downloaded: column(moved.downloaded),
        taken: 0,
        spared: 0,
        devices_asked: column(asked),
        devices_done: 0,
    };
    let sums = [
        Column::Published,
        Column::Repeated,
        Column::Chunks,
        Column::ChunksRepeated,
        Column::Downloaded,
        Column::DevicesAsked,
    ];
    let sums = sums.map(|column| {
        let name = sea_orm::Iden::unquoted(&column).to_owned();
        let new = Expr::cust(format!("excluded.{name}"));
        let sum = Expr::col((delivery::Entity, column)).add(new);
        (column, sum)
    });
    let key = [
        Column::Workspace,
        Column::Model,
        Column::Version,
        Column::Blob,
    ];
    let on_conflict = OnConflict::columns(key)
        .update_columns([Column::Latest, Column::Len])
        .values(sums)
        .to_owned();
    let insert = delivery::Entity::insert(row.into_active_model().reset_all());
    let insert = insert.on_conflict(on_conflict);
    insert.exec_without_returning(txn).await.doing(DOING)?;
    Ok(())
}

/// Writes what devices said of a part; how many of them asked for the first time.
async fn write_asked(
    txn: &DatabaseTransaction,
    place: &Place,
    devices: &[(&str, Asked)],
) -> Result<u64, StoreError> {
    use device::Column;
    let old = |column| Expr::col((device::Entity, column));
    let new = |name: &str| Expr::cust(format!("excluded.{name}"));
    let lacks = Expr::case(new("lacks").lt(0), old(Column::Lacks)).finally(new("lacks"));
    let lacked = Expr::case(new("lacked").gt(old(Column::Lacked)), new("lacked"))
        .finally(old(Column::Lacked));
    let on_conflict = OnConflict::columns([Column::Workspace, Column::Device, Column::Blob])
        .value(Column::Lacks, lacks)
        .value(Column::Lacked, lacked)
        .value(
            Column::Downloaded,
            old(Column::Downloaded).add(new("downloaded")),
        )
        .to_owned();
    let mut first = 0;
    for devices in devices.chunks(ROWS) {
        let names = devices.iter().map(|(device, _)| *device);
        let known = device::Entity::find()
            .filter(Column::Workspace.eq(place.workspace.as_str()))
            .filter(Column::Blob.eq(place.blob.as_str()))
            .filter(Column::Device.is_in(names))
            .all(txn)
            .await
            .doing(DOING)?;
        first += devices.len().saturating_sub(known.len()) as u64;
        let rows = devices.iter().map(|(device, asked)| {
            let row = device::Model {
                workspace: place.workspace.clone(),
                device: (*device).into(),
                blob: place.blob.clone(),
                model: place.model.clone(),
                version: place.version,
                asked: asked.since.0,
                lacked: column(asked.lacked),
                lacks: asked.lacks.map_or(-1, column),
                downloaded: column(asked.downloaded),
            };
            row.into_active_model().reset_all()
        });
        let insert = device::Entity::insert_many(rows).on_conflict(on_conflict.clone());
        insert.exec_without_returning(txn).await.doing(DOING)?;
    }
    Ok(first)
}

/// A device has all of a version: what it lacked it has taken.
async fn done(txn: &DatabaseTransaction, stored: &Stored, now: WallTime) -> Result<(), StoreError> {
    use device::Column;
    let Stored {
        workspace,
        device,
        slot,
        model,
        version,
    } = stored;
    let blobs = registry::parts_of(txn, workspace, model, *version).await?;
    let rows = device::Entity::find()
        .filter(Column::Workspace.eq(workspace.as_str()))
        .filter(Column::Device.eq(device.as_str()))
        .filter(Column::Blob.is_in(blobs.iter().map(|part| part.digest.to_string())))
        .all(txn)
        .await
        .doing(DOING)?;
    if rows.is_empty() {
        return Ok(());
    }
    let (mut whole, mut downloaded) = (0_i64, 0_i64);
    let of = |row: &device::Model| {
        let part = blobs
            .iter()
            .find(|part| part.digest.to_string() == row.blob);
        part.copied()
    };
    // Who took the file as well had no use for its delta.
    let whole_file = rows
        .iter()
        .any(|row| of(row).is_some_and(|part| part.part == BlobPart::Model));
    for row in &rows {
        let spared = of(row)
            .filter(|_| !whole_file)
            .map_or(0, |part| part.spares);
        whole = whole.saturating_add(row.whole());
        downloaded = downloaded.saturating_add(row.of_it_downloaded());
        credit(txn, row, row.whole(), (1, spared)).await?;
        remove(txn, row).await?;
    }
    let began = rows.iter().map(|row| row.asked).min().unwrap_or(now.0);
    // The device knows better than the hub when it had all; its word usually comes first.
    let of = (model, *version);
    let verified = fleet::timeline::verified(txn, workspace, device, slot, of).await?;
    let verified = verified.filter(|at| at.0 > began);
    let at = verified.map_or(now, |at| WallTime(at.0 - 1));
    let text = in_words(whole, downloaded, at.0.saturating_sub(began));
    fleet::timeline::fetched(txn, workspace, device, slot, of, (at, text)).await
}

async fn credit(
    db: &impl ConnectionTrait,
    row: &device::Model,
    taken: i64,
    (done, spared): (i64, u64),
) -> Result<(), StoreError> {
    let update = Statement::from_sql_and_values(
        db.get_database_backend(),
        "UPDATE delivery SET taken = taken + $1, devices_done = devices_done + $2, \
         spared = spared + $3 \
         WHERE workspace = $4 AND model = $5 AND version = $6 AND blob = $7",
        [
            taken.into(),
            done.into(),
            i64::try_from(spared).unwrap_or(i64::MAX).into(),
            row.workspace.as_str().into(),
            row.model.as_str().into(),
            row.version.into(),
            row.blob.as_str().into(),
        ],
    );
    db.execute_raw(update).await.doing(DOING)?;
    Ok(())
}

async fn remove(db: &impl ConnectionTrait, row: &device::Model) -> Result<(), StoreError> {
    let key = (row.workspace.clone(), row.device.clone(), row.blob.clone());
    let delete = device::Entity::delete_by_id(key).exec(db).await;
    delete.doing(DOING)?;
    Ok(())
}

/// Settles what devices began to fetch long ago and never had whole.
pub(super) async fn settle(app: &App) -> Result<(), StoreError> {
    let long = i64::try_from(FORGOTTEN.as_millis()).unwrap_or(i64::MAX);
    let before = app.clock.now().0.saturating_sub(long);
    let txn = app.store.write().begin().await.doing(DOING)?;
    let rows = device::Entity::find()
        .filter(device::Column::Asked.lt(before))
        .all(&txn)
        .await
        .doing(DOING)?;
    for row in rows {
        credit(&txn, &row, row.taken(), (0, 0)).await?;
        remove(&txn, &row).await?;
    }
    txn.commit().await.doing(DOING)
}

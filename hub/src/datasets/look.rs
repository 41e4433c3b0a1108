//! What there is of versions: in short, whole, and row by row.

use std::collections::BTreeMap;

use tern_dataset::{Rows, elements};
use tern_protocol::{
    digest::Digest,
    id::{DatasetId, DatasetName, WorkspaceId},
    rest::{
        ColumnKind, DatasetDetail, DatasetInput, DatasetManifest, DatasetPick, DatasetRow,
        DatasetState, DatasetView, Page, Split,
    },
    time::WallTime,
};

pub use super::stored::Stored as Found;
use super::{
    Cell, DatasetError, Input, Row, SQL,
    batches::{Batches, in_batches, pass_on},
    stored, trained,
    vault::{Shelf, Vault},
};
use crate::{
    app::App,
    store::{StoreError, parsed},
};

/// Versions on one page.
const LISTED: i64 = 500;

/// Longest manifest, in bytes: a thousand columns with their statistics are half a megabyte.
pub(super) const MANIFEST: u64 = 64 * 1024 * 1024;

/// Rows that are shown at most.
const SHOWN: usize = 200;

/// The version that is meant.
pub async fn find(
    app: &App,
    workspace: &WorkspaceId,
    pick: &DatasetPick,
) -> Result<Found, DatasetError> {
    stored::pick(app.store.read(), workspace, pick).await
}

/// The version that was begun with a key.
pub async fn by_key(
    app: &App,
    workspace: &WorkspaceId,
    key: &str,
) -> Result<Option<DatasetView>, DatasetError> {
    let values = [workspace.as_str().into(), key.into()];
    let known = stored::all(app.store.read(), "workspace = $1 AND key = $2", values).await?;
    Ok(known.into_iter().next().map(|known| known.view))
}

/// Versions, the newest first: of one name, or of each name the newest.
pub async fn list(
    app: &App,
    workspace: &WorkspaceId,
    name: Option<&DatasetName>,
) -> Result<Page<DatasetView>, DatasetError> {
    let db = app.store.read();
    let found = if let Some(name) = name {
        let condition = format!("workspace = $1 AND name = $2 ORDER BY number DESC LIMIT {LISTED}");
        let values = [workspace.as_str().into(), name.as_str().into()];
        stored::all(db, &condition, values).await?
    } else {
        let condition = format!(
            "workspace = $1 AND number = (SELECT MAX(o.number) FROM dataset o WHERE o.workspace = dataset.workspace \
             AND o.name = dataset.name) ORDER BY id DESC LIMIT {LISTED}"
        );
        stored::all(db, &condition, [workspace.as_str().into()]).await?
    };
    Ok(Page {
        items: found.into_iter().map(|found| found.view).collect(),
        next: None,
    })
}

/// All that is known of a version.
pub async fn one(
    app: &App,
    workspace: &WorkspaceId,
    pick: &DatasetPick,
) -> Result<DatasetDetail, DatasetError> {
    let found = find(app, workspace, pick).await?;
    let db = app.store.read();
    let condition = format!("base = $1 ORDER BY id DESC LIMIT {LISTED}");
    let children = stored::all(db, &condition, [found.key().into()]).await?;
    let manifest = if usable(&found).is_ok() {
        Some(manifest(app, &found).await?)
    } else {
        None
    };
    Ok(DatasetDetail {
        manifest,
        children: children.into_iter().map(|child| child.view).collect(),
        trained: trained::on(db, workspace, found.id()).await?,
        dataset: found.view,
        order: found.order,
    })
}

/// Whether there are rows; why not.
pub fn usable(found: &Found) -> Result<(), DatasetError> {
    let view = &found.view;
    let title = view.title();
    match (&view.withdrawn, view.state) {
        (Some(withdrawn), _) => Err(DatasetError::Conflict(format!(
            "{title} was withdrawn: {}",
            withdrawn.reason
        ))),
        (None, DatasetState::Done) => Ok(()),
        (None, state) => Err(DatasetError::Conflict(format!(
            "{title} has no rows: it is {}",
            state.word()
        ))),
    }
}

/// Whether something can be trained on a version; why not.
pub fn trainable(found: &Found) -> Result<(), DatasetError> {
    match &found.view.untrainable {
        None => Ok(()),
        Some(why) => Err(DatasetError::Refused(format!(
            "nothing can be trained on {}: {why}",
            found.view.title()
        ))),
    }
}

/// What a version is.
pub async fn manifest(app: &App, found: &Found) -> Result<DatasetManifest, DatasetError> {
    usable(found)?;
    let digest = found.view.digest.ok_or(StoreError::Value {
        what: "digest of a dataset",
        value: String::new(),
    })?;
    let bytes = app.blobs.read_all(digest, MANIFEST).await?;
    let manifest = serde_json::from_slice(&bytes).map_err(|err| StoreError::Value {
        what: "manifest of a dataset",
        value: err.to_string(),
    })?;
    Ok(manifest)
}

/// Names of the files of a version, with their lengths.
pub async fn files(app: &App, found: &Found) -> Result<Vec<(String, u64)>, DatasetError> {
    usable(found)?;
    let select = "SELECT path, len FROM dataset_file WHERE dataset = $1 ORDER BY path";
    let rows = SQL
        .rows(app.store.read(), select, [found.key().into()])
        .await?;
    let files = rows.iter().map(|row| {
        let len: i64 = SQL.at(row, 1)?;
        Ok::<_, StoreError>((SQL.at(row, 0)?, len.max(0).unsigned_abs()))
    });
    Ok(files.collect::<Result<_, _>>()?)
}

/// A file of a version.
pub(super) async fn shelf(app: &App, found: &Found, path: &str) -> Result<Shelf, DatasetError> {
    usable(found)?;
    let select = "SELECT digest, len, sealed FROM dataset_file WHERE dataset = $1 AND path = $2";
    let values = [found.key().into(), path.into()];
    let row = SQL.row(app.store.read(), select, values).await?;
    let row = row
        .ok_or_else(|| DatasetError::NotFound(format!("file {path} in {}", found.view.title())))?;
    let digest: String = SQL.at(&row, 0)?;
    let len = SQL.at::<i64>(&row, 1)?.max(0).unsigned_abs();
    let sealed = SQL.at::<i64>(&row, 2)? != 0;
    let file = app
        .blobs
        .open_file(parsed::<Digest>("digest", &digest)?)
        .await?;
    Ok(if sealed {
        let vault = Vault {
            keys: app.captures.keys.clone(),
            workspace: found.workspace.clone(),
            id: found.id(),
        };
        Shelf::sealed(file, len, vault, path.to_owned())
    } else {
        Shelf::plain(file, len)
    })
}

/// A file of a version as it is written out: its length, and a reader for a thread that may wait.
pub async fn file(
    app: &App,
    found: &Found,
    path: &str,
) -> Result<(u64, impl std::io::Read + Send + use<>), DatasetError> {
    let shelf = shelf(app, found, path).await?;
    let len = parquet::file::reader::Length::len(&shelf);
    Ok((len, shelf.read_from(0)))
}

/// Rows of a split, some at a time, in the order in which they were written. Whoever drops the receiver ends it.
pub async fn rows(
    app: &App,
    workspace: &WorkspaceId,
    id: DatasetId,
    split: Split,
) -> Result<Batches<Row>, DatasetError> {
    let found = find(app, workspace, &DatasetPick::Id(id)).await?;
    rows_of(app, &found, split).await
}

/// As [`rows`].
pub(super) async fn rows_of(
    app: &App,
    found: &Found,
    split: Split,
) -> Result<Batches<Row>, DatasetError> {
    let manifest = manifest(app, found).await?;
    let mut shelves = Vec::new();
    for path in &manifest.splits.of(split).files {
        shelves.push(shelf(app, found, path).await?);
    }
    Ok(in_batches(move |take| {
        for shelf in shelves {
            let rows = Rows::new(shelf, &manifest.input, &manifest.label)?;
            if !pass_on(rows, take)? {
                break;
            }
        }
        Ok(())
    }))
}

/// The first rows of a split, to look at.
pub async fn some_rows(
    app: &App,
    found: &Found,
    split: Split,
    limit: usize,
) -> Result<Vec<DatasetRow>, DatasetError> {
    let manifest = manifest(app, found).await?;
    let mut rows = rows_of(app, found, split).await?;
    let limit = limit.min(SHOWN);
    let mut shown = Vec::new();
    while shown.len() < limit
        && let Some(some) = rows.recv().await
    {
        shown.extend(some?.into_iter().map(|row| to_show(row, &manifest.input)));
    }
    shown.truncate(limit);
    Ok(shown)
}

fn to_show(row: Row, input: &DatasetInput) -> DatasetRow {
    let mut categories = BTreeMap::new();
    let values = match (row.input, input) {
        (Input::Tensor(bytes), DatasetInput::Tensor(form)) => elements(form.dtype, &bytes),
        (Input::Table(cells), DatasetInput::Table { columns }) => {
            let of = columns.iter().zip(cells).map(|(column, cell)| match cell {
                Cell::Number(number) if column.kind == ColumnKind::Number => number as f32,
                Cell::Category(name) => {
                    let place = column.categories.iter().position(|known| *known == name);
                    categories.insert(column.name.clone(), name);
                    place.map_or(f32::NAN, |place| place as f32)
                }
                Cell::Number(_) | Cell::Missing => f32::NAN,
            });
            of.collect()
        }
        _ => Vec::new(),
    };
    DatasetRow {
        id: row.id,
        device: row.device,
        site: row.site,
        at: WallTime(row.at),
        source: row.source,
        weight: row.weight,
        label: row.label.text(),
        values: values
            .into_iter()
            .map(|value| (!value.is_nan()).then_some(value))
            .collect(),
        categories,
    }
}

//! Makes a version, from what was asked for to the transaction in which it is done.
//!
//! Must never break: it is done in one transaction, and only if nobody stopped it, no capture was deleted meanwhile and the
//! version that it began with is still there; whatever was made before that is found by nobody.

mod captures;
mod import;
mod prepare;
mod sink;

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Value};
use tern_dataset::Truths;
use tern_protocol::{
    digest::Digest,
    id::DatasetId,
    rest::{
        ColumnKind, DATASET_MANIFEST, DatasetColumn, DatasetInput, DatasetLabel, DatasetManifest,
        DatasetOrder, DatasetPick, DatasetRows, DatasetSplit, DatasetSplits, DatasetState,
        MadeFrom, Prepared, Split,
    },
};

use self::sink::{Made, Sink};
use super::{
    DatasetError, FILE, Input, Label, ROWS, SQL, ask,
    ledger::{Apart, Ledger, Proposed},
    look,
    stored::{self, DONE, RUNNING, Stored, key},
    vault::{Shelved, Vault},
};
use crate::{
    app::App,
    store::{StoreError, to_json},
};

/// Columns of a table, at most.
pub(super) const COLUMNS: usize = 4_096;

/// What rows of a version look like.
#[derive(Debug, Clone, PartialEq)]
struct Shape {
    input: DatasetInput,
    truths: Truths,
    /// Classes in the order that they have to have; more may follow.
    classes: Vec<String>,
}

impl Shape {
    /// That of a version that there is.
    fn of(manifest: &DatasetManifest) -> Self {
        let (truths, classes) = match &manifest.label {
            DatasetLabel::Classes { classes } => (Truths::Classes, classes.clone()),
            DatasetLabel::Number => (Truths::Numbers, Vec::new()),
        };
        Self {
            input: manifest.input.clone(),
            truths,
            classes,
        }
    }

    /// What of another one differs, in words.
    fn differs(&self, other: &Self) -> Vec<String> {
        let mut said = schema_differs(&self.input, &other.input);
        if self.truths != other.truths {
            let word = |truths| match truths {
                Truths::Classes => "classes",
                Truths::Numbers => "numbers",
            };
            said.push(format!(
                "truths were {} and are {}",
                word(self.truths),
                word(other.truths)
            ));
        }
        said
    }
}

/// What of two inputs differs, in words.
pub(super) fn schema_differs(from: &DatasetInput, to: &DatasetInput) -> Vec<String> {
    const TOLD: usize = 20;
    let mut said = Vec::new();
    match (from, to) {
        (DatasetInput::Tensor(from), DatasetInput::Tensor(to)) => {
            if (from.dtype, &from.shape) != (to.dtype, &to.shape) {
                said.push(format!(
                    "inputs were {} {:?} and are {} {:?}",
                    from.dtype, from.shape, to.dtype, to.shape
                ));
            }
        }
        (DatasetInput::Table { columns: from }, DatasetInput::Table { columns: to }) => {
            let word = |kind| match kind {
                ColumnKind::Number => "a number",
                ColumnKind::Category => "a category",
            };
            let find = |all: &[DatasetColumn], name: &str| {
                all.iter().find(|of| of.name == name).map(|of| of.kind)
            };
            for of in from {
                match find(to, &of.name) {
                    None => said.push(format!("column `{}` is missing", of.name)),
                    Some(kind) if kind != of.kind => said.push(format!(
                        "column `{}` was {} and is {}",
                        of.name,
                        word(of.kind),
                        word(kind)
                    )),
                    Some(_) => {}
                }
            }
            for of in to {
                if find(from, &of.name).is_none() {
                    said.push(format!("column `{}` is new", of.name));
                }
            }
        }
        (DatasetInput::Tensor(_), DatasetInput::Table { .. }) => {
            said.push("inputs were a tensor and are a table".into());
        }
        (DatasetInput::Table { .. }, DatasetInput::Tensor(_)) => {
            said.push("inputs were a table and are a tensor".into());
        }
    }
    if said.len() > TOLD {
        let more = said.len() - TOLD;
        said.truncate(TOLD);
        said.push(format!("and {more} differences more"));
    }
    said
}

/// A version that is being made.
struct Making<'a> {
    app: &'a App,
    of: &'a Stored,
    ledger: Ledger,
    sink: Sink,
    rows: u64,
    base_rows: u64,
    captures: u64,
    moved: u64,
    left_out: BTreeMap<String, u64>,
    as_called: Vec<String>,
}

impl<'a> Making<'a> {
    async fn begin(
        app: &'a App,
        of: &'a Stored,
        shape: &Shape,
        apart: Apart,
    ) -> Result<Self, DatasetError> {
        let vault = Vault {
            keys: app.captures.keys.clone(),
            workspace: of.workspace.clone(),
            id: of.id(),
        };
        let mut files = Vec::new();
        for _ in Split::ALL {
            files.push(app.blobs.nameless().await?);
        }
        Ok(Self {
            app,
            of,
            ledger: ledger(of, apart),
            sink: Sink::start(vault, files, shape.input.clone(), shape.truths),
            rows: 0,
            base_rows: 0,
            captures: 0,
            moved: 0,
            left_out: BTreeMap::new(),
            as_called: Vec::new(),
        })
    }

    /// Adds rows.
    async fn put(&mut self, mut rows: Vec<Proposed>) -> Result<(), DatasetError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.rows += rows.len() as u64;
        if self.rows > ROWS {
            return Err(DatasetError::Refused(format!(
                "a version has at most {ROWS} rows; choose fewer"
            )));
        }
        self.moved += self.ledger.settle(self.app, &mut rows).await?;
        let rows = rows.into_iter().map(|of| (of.split, of.row)).collect();
        self.sink.put(rows).await
    }

    /// Leaves something out, and says so.
    fn leave_out(&mut self, why: &str) {
        if let Some(count) = self.left_out.get_mut(why) {
            *count += 1;
        } else if self.left_out.len() < 100 {
            self.left_out.insert(why.to_owned(), 1);
        }
    }

    /// All rows are there: what it is, and its files.
    async fn finish(
        self,
        shape: Shape,
        prepared: Option<Prepared>,
    ) -> Result<(DatasetManifest, Made), DatasetError> {
        let made = self.sink.finish().await?;
        let view = &self.of.view;
        let mut splits = DatasetSplits::default();
        let mut files = BTreeMap::new();
        for (split, shelved, rows) in &made.files {
            *splits.of_mut(*split) = DatasetSplit {
                rows: *rows,
                files: vec![shelved.path.clone()],
            };
            files.insert(shelved.path.clone(), shelved.plain);
        }
        let label = match shape.truths {
            Truths::Numbers => DatasetLabel::Number,
            Truths::Classes => DatasetLabel::Classes {
                classes: with_more(shape.classes, made.counting.classes().cloned()),
            },
        };
        let input = match shape.input {
            DatasetInput::Table { columns } => {
                let found = made.counting.categories();
                let columns = columns.into_iter().zip(found).map(|(column, found)| {
                    let categories = with_more(column.categories, found);
                    DatasetColumn {
                        categories,
                        ..column
                    }
                });
                DatasetInput::Table {
                    columns: columns.collect(),
                }
            }
            DatasetInput::Tensor(form) => DatasetInput::Tensor(form),
        };
        let manifest = DatasetManifest {
            name: view.name.clone(),
            number: view.number,
            id: view.id,
            model: view.model.clone(),
            input,
            label,
            splits,
            files,
            statistics: made.counting.told(),
            prepared,
            parents: view.base.into_iter().collect(),
            made_from: MadeFrom {
                order: self.of.order.clone(),
                base_rows: self.base_rows,
                captures: self.captures,
                left_out: self.left_out,
                moved: self.moved,
                as_called: self.as_called,
            },
        };
        Ok((manifest, made))
    }
}

fn ledger(of: &Stored, apart: Apart) -> Ledger {
    Ledger {
        workspace: of.workspace.clone(),
        name: of.view.name.clone(),
        dataset: of.id(),
        apart,
    }
}

/// Names in the order that they have, and those that are new after them.
fn with_more(mut names: Vec<String>, found: impl IntoIterator<Item = String>) -> Vec<String> {
    let known: std::collections::HashSet<String> = names.iter().cloned().collect();
    names.extend(found.into_iter().filter(|name| !known.contains(name)));
    names
}

/// The newest version of the same name that is done, before this one.
async fn before(app: &App, of: &Stored) -> Result<Option<DatasetManifest>, DatasetError> {
    let condition = format!(
        "workspace = $1 AND name = $2 AND state = {DONE} AND withdrawn IS NULL AND number < $3 \
         ORDER BY number DESC LIMIT 1"
    );
    let values: [Value; 3] = [
        of.workspace.as_str().into(),
        of.view.name.as_str().into(),
        i64::from(of.view.number).into(),
    ];
    let found = stored::all(app.store.read(), &condition, values).await?;
    match found.into_iter().next() {
        Some(found) => Ok(Some(look::manifest(app, &found).await?)),
        None => Ok(None),
    }
}

/// Refuses what looks other than the version before, unless it may.
fn must_fit(
    before: Option<&DatasetManifest>,
    shape: &Shape,
    new_schema: bool,
) -> Result<(), DatasetError> {
    let Some(before) = before.filter(|_| !new_schema) else {
        return Ok(());
    };
    let said = Shape::of(before).differs(shape);
    if said.is_empty() {
        return Ok(());
    }
    Err(DatasetError::Refused(format!(
        "it does not fit {}@{}: {}; `--new-schema` says that this is meant",
        before.name,
        before.number,
        said.join("; ")
    )))
}

/// The last deletion of captures; whoever sees another one begins again.
async fn deletions(db: &impl ConnectionTrait, of: &Stored) -> Result<i64, StoreError> {
    let select = "SELECT COALESCE(MAX(id), 0) FROM capture_deletion WHERE workspace = $1";
    let row = SQL.row(db, select, [of.workspace.as_str().into()]).await?;
    row.map_or(Ok(0), |row| SQL.at(&row, 0))
}

/// Makes it.
pub(super) async fn make(app: &App, of: &Stored) -> Result<(), DatasetError> {
    loop {
        let deletions = deletions(app.store.read(), of).await?;
        let txn = SQL.begin(&app.store).await?;
        Ledger::forget(&txn, of.id()).await?;
        SQL.commit(txn).await?;
        let (manifest, made) = match &of.order {
            DatasetOrder::Build(build) => captures::make(app, of, build).await?,
            DatasetOrder::Import(import) => import::make(app, of, import).await?,
            DatasetOrder::Prepare(prepare) => prepare::make(app, of, prepare).await?,
        };
        if publish(app, of, manifest, made, deletions).await? {
            return Ok(());
        }
        tracing::info!(
            dataset = of.view.title(),
            "captures were deleted meanwhile; it is made again"
        );
    }
}

/// Stores the files and says that it is done; not if captures were deleted since it was begun.
async fn publish(
    app: &App,
    of: &Stored,
    manifest: DatasetManifest,
    made: Made,
    deletions_seen: i64,
) -> Result<bool, DatasetError> {
    let rows = DatasetRows {
        as_called: manifest.made_from.as_called.clone(),
        ..made.counting.rows(match &manifest.label {
            DatasetLabel::Classes { classes } => classes,
            DatasetLabel::Number => &[],
        })
    };
    let mut stored = Vec::new();
    for (_, shelved, _) in made.files {
        let Shelved {
            path,
            plain,
            stored: bytes,
            sealed,
            file,
        } = shelved;
        let stream = tokio_util::io::ReaderStream::new(tokio::fs::File::from_std(file));
        app.blobs.put(stream, bytes.digest, FILE).await?;
        stored.push((path, bytes.digest, plain.len, sealed));
    }
    let json = serde_json::to_vec(&manifest).expect("REST types are always JSON");
    if json.len() as u64 > look::MANIFEST {
        return Err(DatasetError::Refused(
            "its manifest would be too long; are there too many columns or names?".into(),
        ));
    }
    let len = json.len() as u64;
    let blob = app.blobs.put_bytes(json.into()).await?;
    stored.push((DATASET_MANIFEST.into(), blob.digest, len, false));

    let txn = SQL.begin(&app.store).await?;
    if deletions(&txn, of).await? != deletions_seen {
        return Ok(false);
    }
    if let Some(base) = of.view.base {
        let base = stored::pick(&txn, &of.workspace, &DatasetPick::Id(base)).await?;
        look::usable(&base)?;
    }
    let uploads = ask::drop_files(&txn, of.id()).await?;
    let mut bytes = 0;
    for (path, digest, len, sealed) in stored {
        bytes += len;
        // As at publishing: what is there now is there when the row is.
        app.blobs.claim(digest).await?.ok_or(DatasetError::Away(
            "its files were removed as garbage before it was done".into(),
        ))?;
        name_file(&txn, of.id(), &path, digest, len, sealed).await?;
    }
    let update = "UPDATE dataset SET state = $1, finished = $2, counted = $3, digest = $4, bytes = $5, reason = NULL \
        WHERE id = $6 AND state = $7";
    let values: [Value; 7] = [
        DONE.into(),
        app.clock.now().0.into(),
        to_json(&rows).into(),
        blob.digest.to_string().into(),
        bytes.cast_signed().into(),
        of.key().into(),
        RUNNING.into(),
    ];
    if SQL.exec(&txn, update, values).await? == 0 {
        return Err(DatasetError::Stopped);
    }
    SQL.commit(txn).await?;
    ask::discard(app, &uploads).await;
    tracing::info!(
        dataset = of.view.title(),
        digest = %blob.digest,
        rows = rows.splits.all(),
        "a version of a dataset is done"
    );
    Ok(true)
}

async fn name_file(
    txn: &impl ConnectionTrait,
    id: DatasetId,
    path: &str,
    digest: Digest,
    len: u64,
    sealed: bool,
) -> Result<(), StoreError> {
    let insert =
        "INSERT INTO dataset_file (dataset, path, digest, len, sealed) VALUES ($1, $2, $3, $4, $5)";
    let values: [Value; 5] = [
        key(id).into(),
        path.into(),
        digest.to_string().into(),
        len.cast_signed().into(),
        i64::from(sealed).into(),
    ];
    SQL.exec(txn, insert, values).await.map(drop)
}

/// The version that an order begins with, which was resolved when it was asked for.
async fn base_of(app: &App, of: &Stored, pick: &DatasetPick) -> Result<Stored, DatasetError> {
    let base = look::find(app, &of.workspace, pick).await?;
    debug_assert!(base.view.state != DatasetState::Running);
    look::usable(&base)?;
    Ok(base)
}

/// What a row must be to fit a shape.
fn fits(shape: &Shape, input: &Input, label: &Label) -> bool {
    let input = match (&shape.input, input) {
        (DatasetInput::Tensor(form), Input::Tensor(bytes)) => {
            form.elements().map(|n| n * form.dtype.size()) == Some(bytes.len())
        }
        (DatasetInput::Table { columns }, Input::Table(cells)) => columns.len() == cells.len(),
        _ => false,
    };
    let label = match label {
        Label::Class(_) => shape.truths == Truths::Classes,
        Label::Number(number) => shape.truths == Truths::Numbers && number.is_finite(),
    };
    input && label
}

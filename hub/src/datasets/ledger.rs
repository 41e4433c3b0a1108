//! In which split rows of a name were first: what makes splits leak nothing from version to version.
//!
//! Must never break: rows are noted before they are written, so that a version that is done has all of its rows here.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use tern_protocol::{
    digest::Digest,
    id::{DatasetId, DatasetName, WorkspaceId},
    rest::Split,
};

use super::{
    DatasetError, Row, SQL,
    side::Known,
    stored::{RUNNING, key},
};
use crate::{
    app::App,
    monitor::{
        rows::{Predicted, of_predictions},
        sql::{Bulk, Select, places},
    },
    store::{Doing as _, StoreError},
};

const SPLITS: Bulk = Bulk {
    table: "dataset_split",
    columns: &[
        "workspace",
        "name",
        "id",
        "input",
        "split",
        "device",
        "dataset",
    ],
    conflict: "ON CONFLICT DO NOTHING",
};

const CAPTURES: Bulk = Bulk {
    table: "dataset_capture",
    columns: &[
        "dataset",
        "workspace",
        "device",
        "boot",
        "number",
        "subject",
    ],
    conflict: "ON CONFLICT DO NOTHING",
};

const DOING: &str = "noting rows of a dataset";

/// What tells rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// Their ids, and their inputs.
    Inputs,
    /// Their ids alone: of what was prepared, many inputs become one.
    Ids,
}

/// A row, and where it would be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposed {
    pub(super) row: Row,
    pub(super) split: Split,
    /// Whose it is.
    pub(super) subject: Option<Vec<u8>>,
}

/// The ledger of a name, on behalf of a version that is being made.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) workspace: WorkspaceId,
    pub(super) name: DatasetName,
    pub(super) dataset: DatasetId,
    pub(super) apart: Apart,
}

const fn number(split: Split) -> i64 {
    match split {
        Split::Train => 0,
        Split::HeldOut => 1,
        Split::KeptOut => 2,
    }
}

const fn split(number: i64) -> Split {
    match number {
        0 => Split::Train,
        1 => Split::HeldOut,
        _ => Split::KeptOut,
    }
}

impl Ledger {
    /// Forgets what an earlier attempt at the same version noted, or a version that is not made.
    pub(super) async fn forget(
        txn: &impl ConnectionTrait,
        dataset: DatasetId,
    ) -> Result<(), StoreError> {
        for table in ["dataset_split", "dataset_capture"] {
            let delete = format!("DELETE FROM {table} WHERE dataset = $1");
            SQL.exec(txn, &delete, [key(dataset).into()]).await?;
        }
        Ok(())
    }

    /// Puts each row where a row of its id or input was before, notes those that are new, and which captures they are.
    /// How many were moved.
    pub(super) async fn settle(
        &self,
        app: &App,
        rows: &mut [Proposed],
    ) -> Result<u64, DatasetError> {
        let inputs: Vec<Option<Digest>> = rows
            .iter()
            .map(|of| (self.apart == Apart::Inputs).then(|| of.row.input.digest()))
            .collect();
        let txn = SQL.begin(&app.store).await?;
        self.is_wanted(&txn).await?;
        let mut by_id: HashMap<String, Split> = HashMap::new();
        let ids = rows.iter().map(|of| Value::from(of.row.id.as_str()));
        for row in self.known(&txn, "id", ids.collect()).await? {
            by_id.insert(SQL.at(&row, 0)?, split(SQL.at(&row, 2)?));
        }
        let mut by_input: HashMap<Vec<u8>, Split> = HashMap::new();
        let digests = inputs.iter().flatten();
        let digests = digests.map(|digest| Value::from(digest.as_bytes().to_vec()));
        for row in self.known(&txn, "input", digests.collect()).await? {
            let input: Option<Vec<u8>> = SQL.at(&row, 1)?;
            by_input.insert(input.unwrap_or_default(), split(SQL.at(&row, 2)?));
        }
        let (mut moved, mut fresh, mut captures) = (0, Vec::new(), Vec::new());
        for (of, input) in rows.iter_mut().zip(inputs) {
            let input = input.map(|digest| digest.as_bytes().to_vec());
            let before = by_id.get(&of.row.id).copied();
            let before = before.or_else(|| by_input.get(input.as_deref()?).copied());
            if let Some(before) = before {
                moved += u64::from(before != of.split);
                of.split = before;
            }
            if !by_id.contains_key(&of.row.id) {
                fresh.extend([
                    Value::from(self.workspace.as_str()),
                    self.name.as_str().into(),
                    of.row.id.as_str().into(),
                    input.clone().into(),
                    number(of.split).into(),
                    of.row.device.as_str().into(),
                    key(self.dataset).into(),
                ]);
                by_id.insert(of.row.id.clone(), of.split);
            }
            if let Some(input) = input {
                by_input.entry(input).or_insert(of.split);
            }
            if let Some((device, boot, number)) = of.row.capture() {
                captures.extend([
                    Value::from(key(self.dataset)),
                    self.workspace.as_str().into(),
                    device.into(),
                    boot.into(),
                    number.into(),
                    of.subject.clone().into(),
                ]);
            }
        }
        SPLITS.insert(&txn, fresh, DOING).await?;
        CAPTURES.insert(&txn, captures, DOING).await?;
        SQL.commit(txn).await?;
        Ok(moved)
    }

    /// Whether somebody still waits for the version.
    async fn is_wanted(&self, db: &impl ConnectionTrait) -> Result<(), DatasetError> {
        let select = "SELECT state FROM dataset WHERE id = $1";
        let row = SQL.row(db, select, [key(self.dataset).into()]).await?;
        let state = row.map(|row| SQL.at::<i64>(&row, 0)).transpose()?;
        if state == Some(RUNNING) {
            Ok(())
        } else {
            Err(DatasetError::Stopped)
        }
    }

    async fn known(
        &self,
        db: &impl ConnectionTrait,
        column: &str,
        asked: Vec<Value>,
    ) -> Result<Vec<sea_orm::QueryResult>, StoreError> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let backend = db.get_database_backend();
        let mark = |number: usize| match backend {
            sea_orm::DatabaseBackend::Postgres => format!("${number}"),
            _ => "?".to_owned(),
        };
        // Places without numbers throughout: SQLite does not mix them well with numbered ones.
        let mut sql = format!(
            "SELECT id, input, split FROM dataset_split WHERE workspace = {} AND name = {} AND {column} IN (VALUES ",
            mark(1),
            mark(2)
        );
        places(&mut sql, backend, 3, asked.len(), 1);
        sql.push(')');
        let mut values = vec![
            Value::from(self.workspace.as_str()),
            self.name.as_str().into(),
        ];
        values.extend(asked);
        db.query_all_raw(Select::new(sql, values).done(backend))
            .await
            .doing("looking for rows of a dataset")
    }

    /// On which side devices were before.
    pub(super) async fn devices(&self, app: &App) -> Result<HashMap<String, Known>, StoreError> {
        let select = "SELECT device, MIN(CASE WHEN split = 0 THEN 0 ELSE 1 END), \
            MAX(CASE WHEN split = 2 THEN 1 ELSE 0 END) FROM dataset_split \
            WHERE workspace = $1 AND name = $2 AND device <> '' GROUP BY device";
        let values = [self.workspace.as_str().into(), self.name.as_str().into()];
        let rows = SQL.rows(app.store.read(), select, values).await?;
        let mut known = HashMap::with_capacity(rows.len());
        for row in rows {
            // A device of which both is known was alone at its site once: it is trained on.
            let trained = as_number(&row, 1)? == 0;
            let kept = as_number(&row, 2)? == 1;
            let side = match (trained, kept) {
                (true, _) => Known::Trained,
                (false, true) => Known::Kept,
                (false, false) => continue,
            };
            known.insert(SQL.at(&row, 0)?, side);
        }
        Ok(known)
    }
}

#[derive(FromQueryResult)]
struct Held {
    device: String,
    boot: i64,
    number: i64,
    subject: Option<Vec<u8>>,
}

/// Those of these captures that a version has, and whose they are, of those that are somebody's.
pub(super) async fn held(
    app: &App,
    workspace: &WorkspaceId,
    dataset: DatasetId,
    captures: &[Predicted],
) -> Result<HashMap<Predicted, Option<Vec<u8>>>, StoreError> {
    let select = format!(
        "SELECT device, boot, number, subject FROM \
         (SELECT * FROM dataset_capture WHERE dataset = {}) AS held",
        key(dataset)
    );
    let key = |held: &Held| (held.device.clone(), held.boot, held.number);
    let doing = "reading captures of a dataset";
    let held = of_predictions(app.store.read(), workspace, &select, captures, key, doing).await?;
    let whose = held.into_iter().map(|(key, held)| (key, held.subject));
    Ok(whose.collect())
}

/// The capture that a row is, if it is one.
pub(crate) fn predicted(row: &Row) -> Option<Predicted> {
    let (device, boot, number) = row.capture()?;
    Some((device.to_owned(), boot, number))
}

/// A small number that a database computed: PostgreSQL gives the type of its literals.
fn as_number(row: &sea_orm::QueryResult, place: usize) -> Result<i64, StoreError> {
    SQL.at::<i64>(row, place)
        .or_else(|_| SQL.at::<i32>(row, place).map(i64::from))
}

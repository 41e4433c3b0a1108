//! Where a prediction, a version, a dataset come from, and what became of them.
//!
//! Called by API and dashboard. Nothing is stored here (`schema` is an index): all that links things is read from the tables of the domains that
//! made them, when somebody asks. [`graph`] is pure; [`back`] says what one thing comes from, [`forward`] what it led to,
//! [`facts`] what is known of it.
//!
//! Must never break: an answer is bounded, however much hangs on what was asked; what is left out is counted; nothing of
//! another workspace is in it.

mod back;
mod facts;
mod forward;
mod graph;
pub mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use sea_orm::{DatabaseConnection, QueryResult, TryGetable, Value};
use tern_protocol::{
    id::WorkspaceId,
    rest::{LineageOf, LineageView, LineageWay},
};

use self::graph::{Direction, Graph};
use crate::store::{Statements, Store, StoreError};

const SQL: Statements = Statements::of("reading where things come from");

/// Neighbours of one thing that are listed.
const NEIGHBOURS: usize = 20;

/// Devices among them, of which there are many that tell nothing else.
const DEVICES: usize = 5;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// It is not there.
    #[error("{0} is not known here{1}")]
    NotFound(LineageOf, &'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A thing beside another: how one led to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Neighbour {
    of: LineageOf,
    how: String,
}

/// Neighbours of a thing, and how many more there are.
#[derive(Debug, Default)]
struct Neighbours {
    list: Vec<Neighbour>,
    /// What was found and is not listed, each counted once.
    left: BTreeSet<LineageOf>,
    more: u64,
}

impl Neighbours {
    /// Adds one, unless as many as are listed are there: then it is counted.
    fn add(&mut self, of: LineageOf, how: impl Into<String>) {
        if self.list.iter().any(|one| one.of == of) {
            return;
        }
        if self.list.len() < NEIGHBOURS {
            let how = how.into();
            self.list.push(Neighbour { of, how });
        } else if self.left.insert(of) {
            self.more += 1;
        }
    }

    /// Adds the first that a query names, so many at most, and counts the rest.
    async fn add_found(
        &mut self,
        look: Look<'_>,
        (select, values): (&str, Vec<Value>),
        most: usize,
        named: impl Fn(&QueryResult) -> Result<Option<Neighbour>, StoreError>,
    ) -> Result<(), StoreError> {
        let first = format!("{select} LIMIT {most}");
        let rows = look.rows(&first, values.clone()).await?;
        for row in &rows {
            if let Some(Neighbour { of, how }) = named(row)? {
                self.add(of, how);
            }
        }
        if rows.len() == most {
            let all = format!("SELECT COUNT(*) AS n FROM ({select}) AS found");
            let all = look.row(&all, values).await?;
            let all = all.map_or(Ok(0), |row| count(&row, "n"))?;
            self.more += all.saturating_sub(rows.len() as u64);
        }
        Ok(())
    }
}

/// What a row names, and that it led there in these words.
fn told(
    how: &str,
    named: impl Fn(&QueryResult) -> Result<Option<LineageOf>, StoreError>,
) -> impl Fn(&QueryResult) -> Result<Option<Neighbour>, StoreError> {
    move |row| {
        let of = named(row)?;
        Ok(of.map(|of| Neighbour {
            of,
            how: how.to_owned(),
        }))
    }
}

/// What is asked in one workspace.
#[derive(Clone, Copy)]
struct Look<'a> {
    db: &'a DatabaseConnection,
    workspace: &'a WorkspaceId,
}

impl Look<'_> {
    /// Rows of a query whose `$1` is the workspace.
    async fn rows(
        self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let workspace = Value::from(self.workspace.as_str());
        SQL.rows(self.db, sql, [workspace].into_iter().chain(values))
            .await
    }

    /// The first of them.
    async fn row(
        self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<QueryResult>, StoreError> {
        let workspace = Value::from(self.workspace.as_str());
        SQL.row(self.db, sql, [workspace].into_iter().chain(values))
            .await
    }
}

/// A column by its name.
fn column<T: TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    SQL.column(row, name)
}

/// A name as it is stored; what cannot be read any more is left out.
fn named<T: std::str::FromStr>(row: &QueryResult, name: &str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = column(row, name)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// A number that is never negative.
fn count(row: &QueryResult, name: &str) -> Result<u64, StoreError> {
    SQL.count(row, name)
}

/// A version as two columns.
fn version(row: &QueryResult, model: &str, number: &str) -> Result<Option<LineageOf>, StoreError> {
    let model = named(row, model)?;
    let number: Option<i64> = column(row, number)?;
    let number = number
        .and_then(|number| u32::try_from(number).ok())
        .and_then(tern_protocol::id::ModelVersion::new);
    Ok(model
        .zip(number)
        .map(|(model, number)| LineageOf::Version(model, number)))
}

/// What something comes from and led to.
pub async fn lineage(
    store: &Store,
    workspace: &WorkspaceId,
    of: &LineageOf,
    way: LineageWay,
) -> Result<LineageView, LineageError> {
    let look = Look {
        db: store.read(),
        workspace,
    };
    if !facts::is_known(look, of).await? {
        let advice = match of {
            LineageOf::Prediction(..) => {
                "; only predictions whose input was kept, or whose truth was told, are: ask for the version that the \
                 device served then (`tern device show`), as version:MODEL/N"
            }
            _ => "",
        };
        return Err(LineageError::NotFound(of.clone(), advice));
    }
    let mut graph = Graph::new(of.clone());
    for direction in [Direction::Back, Direction::Forward] {
        let wanted = match direction {
            Direction::Back => way != LineageWay::Forward,
            Direction::Forward => way != LineageWay::Back,
        };
        if !wanted {
            continue;
        }
        graph.begin(direction);
        while let Some(one) = graph.next() {
            let found = match direction {
                Direction::Back => back::of(look, &one).await?,
                Direction::Forward => forward::of(look, &one).await?,
            };
            graph.add(&one, found);
        }
    }
    let mut view = graph.view();
    for node in &mut view.nodes {
        let known = facts::of(look, &node.of).await?;
        (node.facts, node.at) = (known.text, known.at);
    }
    Ok(view)
}

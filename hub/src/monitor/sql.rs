//! Statements over many rows, written once for SQLite and PostgreSQL.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseBackend, Statement, Value};

use crate::store::{Doing as _, StoreError};

/// Values in one statement. SQLite allows 32,766; a few thousand are as fast, and keep both the
/// statement's text and its cached plan small.
const VALUES: usize = 4096;

/// A table and the columns that a row of values fills, in order.
pub(crate) struct Bulk {
    /// The table.
    pub(crate) table: &'static str,
    /// Its columns.
    pub(crate) columns: &'static [&'static str],
    /// What follows the rows: what to do about a row that is there already.
    pub(crate) conflict: &'static str,
}

impl Bulk {
    /// Inserts rows, whose values follow each other in `values`; gives how many rows changed.
    ///
    /// Lengths of statements are powers of two, so that few texts are prepared and all of them stay
    /// in the driver's cache.
    pub(crate) async fn insert(
        &self,
        db: &impl ConnectionTrait,
        values: Vec<Value>,
        doing: &'static str,
    ) -> Result<u64, StoreError> {
        let backend = db.get_database_backend();
        let most = 1 << (VALUES / self.columns.len()).ilog2();
        let mut left = values.len() / self.columns.len();
        let mut values = values.into_iter();
        let mut changed = 0;
        while left > 0 {
            let rows: usize = most.min(1 << left.ilog2());
            let values: Vec<Value> = values.by_ref().take(rows * self.columns.len()).collect();
            let insert = Statement::from_sql_and_values(backend, self.text(backend, rows), values);
            changed += db.execute_raw(insert).await.doing(doing)?.rows_affected();
            left -= rows;
        }
        Ok(changed)
    }

    fn text(&self, backend: DatabaseBackend, rows: usize) -> String {
        let columns = self.columns.join(", ");
        let mut sql = format!("INSERT INTO {} ({columns}) VALUES ", self.table);
        places(&mut sql, backend, 1, rows, self.columns.len());
        sql.push(' ');
        sql.push_str(self.conflict);
        sql
    }
}

/// `(?, ?), (?, ?)`: places for rows of values, the first of them with number `first`.
pub(crate) fn places(
    sql: &mut String,
    backend: DatabaseBackend,
    first: usize,
    rows: usize,
    columns: usize,
) {
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            if column > 0 {
                sql.push(',');
            }
            if backend == DatabaseBackend::Postgres {
                let number = first + row * columns + column;
                write!(sql, "${number}").expect("writing to a String cannot fail");
            } else {
                // SQLite looks numbered places up one by one, which is slow with thousands.
                sql.push('?');
            }
        }
        sql.push(')');
    }
}

/// A statement that is built condition by condition. Places are numbered as they come.
pub(crate) struct Select {
    sql: String,
    values: Vec<Value>,
}

impl Select {
    /// Begins with this text and the values of its places `$1`, `$2` …
    pub(crate) fn new(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self {
            sql: sql.into(),
            values: values.into_iter().collect(),
        }
    }

    /// Adds text; each `?` in it stands for the next value.
    pub(crate) fn push(mut self, text: &str, values: impl IntoIterator<Item = Value>) -> Self {
        let mut values = values.into_iter();
        for character in text.chars() {
            if character == '?' {
                self.values.push(values.next().expect("one value a place"));
                write!(self.sql, "${}", self.values.len()).expect("writing to a String");
            } else {
                self.sql.push(character);
            }
        }
        self
    }

    /// Adds a condition if there is a value for it.
    pub(crate) fn filter(self, text: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.push(text, [value.into()]),
            None => self,
        }
    }

    /// The statement.
    pub(crate) fn done(self, backend: DatabaseBackend) -> Statement {
        Statement::from_sql_and_values(backend, self.sql, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_suit_the_database() {
        let places = |backend| {
            let mut sql = String::new();
            places(&mut sql, backend, 3, 2, 2);
            sql
        };
        assert_eq!(places(DatabaseBackend::Sqlite), "(?,?), (?,?)");
        assert_eq!(places(DatabaseBackend::Postgres), "($3,$4), ($5,$6)");
    }

    #[test]
    fn a_select_numbers_its_places() {
        let select = Select::new("SELECT 1 FROM t WHERE a = $1", [1.into()])
            .filter(" AND b = ?", None::<i64>)
            .filter(" AND c = ?", Some("x"))
            .push(" LIMIT ?", [5.into()])
            .done(DatabaseBackend::Postgres);
        assert_eq!(
            select.sql,
            "SELECT 1 FROM t WHERE a = $1 AND c = $2 LIMIT $3"
        );
    }
}

//! The statements of the tables of tracking: many rows at once, and SQL that grows with what it binds.

use sea_orm::{ConnectionTrait, DatabaseBackend, Value};

use crate::store::{Statements, StoreError};

pub(super) const SQL: Statements = Statements::of("reading or writing experiments and runs");

/// Rows that one statement inserts at most. SQLite takes 32,766 values in a statement; the widest row of ours has
/// nine.
const ROWS: usize = 1_000;

/// `INSERT INTO {into} VALUES ($1, …), … {then}` for as many rows as there are, in as few statements as may be.
pub(super) async fn insert<C: ConnectionTrait, const N: usize>(
    db: &C,
    into: &str,
    all: Vec<[Value; N]>,
    then: &str,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        let batch: Vec<[Value; N]> = all.by_ref().take(ROWS).collect();
        let mut sql = Sql::default();
        sql.push("INSERT INTO ").push(into).push(" VALUES ");
        for (i, row) in batch.into_iter().enumerate() {
            sql.push(if i == 0 { "(" } else { ", (" });
            for (j, value) in row.into_iter().enumerate() {
                if j > 0 {
                    sql.push(", ");
                }
                sql.bind(value);
            }
            sql.push(")");
        }
        sql.push(" ").push(then);
        changed += SQL.exec(db, &sql.text, sql.values).await?;
    }
    Ok(changed)
}

/// SQL that grows together with the values that are bound in it. Nothing from outside is ever part of the text.
#[derive(Debug, Default)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

impl Sql {
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds a value where the text ends.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let place = self.values.len();
        self.push(&format!("${place}"))
    }

    /// A list of values in parentheses; one that is empty holds nothing.
    pub(super) fn list<T: Into<Value>>(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.push("(");
        let mut first = true;
        for value in values {
            if !first {
                self.push(", ");
            }
            first = false;
            self.bind(value);
        }
        if first {
            self.push("NULL");
        }
        self.push(")")
    }

    /// `column LIKE pattern`, which tells capitals from small letters unless `any_case`.
    pub(super) fn like(
        &mut self,
        backend: DatabaseBackend,
        column: &str,
        pattern: &str,
        any_case: bool,
    ) -> &mut Self {
        match (backend, any_case) {
            // SQLite's own LIKE never does; GLOB does.
            (DatabaseBackend::Sqlite, false) => {
                self.push(column).push(" GLOB ").bind(glob(pattern))
            }
            (DatabaseBackend::Sqlite, true) => self.push(column).push(" LIKE ").bind(pattern),
            (_, false) => {
                let like = self.push(column).push(" LIKE ").bind(pattern);
                like.push(" ESCAPE ''")
            }
            (_, true) => {
                let like = self.push(column).push(" ILIKE ").bind(pattern);
                like.push(" ESCAPE ''")
            }
        }
    }
}

/// A pattern of LIKE as one of GLOB.
fn glob(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    for char in pattern.chars() {
        match char {
            '%' => glob.push('*'),
            '_' => glob.push('?'),
            '*' | '?' | '[' => {
                glob.push('[');
                glob.push(char);
                glob.push(']');
            }
            char => glob.push(char),
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_it_says_and_nothing_more() {
        for (like, expected) in [
            ("a%b_c", "a*b?c"),
            ("100*", "100[*]"),
            ("[x]?", "[[]x][?]"),
            ("", ""),
        ] {
            assert_eq!(glob(like), expected);
        }
    }

    #[test]
    fn values_are_bound_in_their_order() {
        let mut sql = Sql::default();
        sql.push("a = ")
            .bind(1_i64)
            .push(" AND b IN ")
            .list(["x", "y"]);
        sql.push(" AND c IN ").list(Vec::<String>::new());
        assert_eq!(sql.text, "a = $1 AND b IN ($2, $3) AND c IN (NULL)");
        assert_eq!(sql.values.len(), 3);
    }
}

//! What every table and index is made with.
//!
//! Called by the steps of the schema. Must never break: a step is safe to run again, so what is there
//! already stays as it is.

use sea_orm_migration::sea_query::{Index, IndexCreateStatement, Table, TableCreateStatement};

/// A table with no column yet.
pub fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).if_not_exists().take()
}

/// An index on these columns.
pub fn index(name: &str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    key(columns).name(name).table(table).if_not_exists().take()
}

/// A key of these columns: for the primary key of a table.
pub fn key(columns: &[&'static str]) -> IndexCreateStatement {
    let mut key = Index::create();
    for column in columns {
        key.col(*column);
    }
    key
}

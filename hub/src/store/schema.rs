//! What every table and index is made with.
//!
//! Called by the steps of the schema. Must never break: a step is safe to run again, so what is there
//! already stays as it is.

use sea_orm_migration::{
    SchemaManager,
    prelude::DbErr,
    sea_query::{ColumnDef, Index, IndexCreateStatement, Table, TableCreateStatement},
};

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

/// Adds a column to a table that has rows already, unless it is there.
pub async fn add_column(
    manager: &SchemaManager<'_>,
    table: &'static str,
    mut column: ColumnDef,
) -> Result<(), DbErr> {
    if manager.has_column(table, &column.get_column_name()).await? {
        return Ok(());
    }
    let add = Table::alter().table(table).add_column(&mut column).take();
    manager.alter_table(add).await
}

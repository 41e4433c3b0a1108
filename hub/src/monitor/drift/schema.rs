//! Tables of the watch over models.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    sea_query::{ColumnDef, TableCreateStatement},
};

use crate::{
    monitor::schema::{bytes, id, number, table, text},
    store::schema::{index, key},
};

/// Makes the tables.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0025_drift"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [watch(), follow(), named(), finding()] {
            manager.create_table(table).await?;
        }
        let number = [
            "workspace",
            "slot",
            "model",
            "watched_since",
            "detector",
            "number",
        ];
        let one = index("finding_by_number", "finding", &number)
            .unique()
            .take();
        manager.create_index(one).await?;
        let time = index("finding_by_closed", "finding", &["workspace", "closed"]);
        manager.create_index(time).await
    }
}

/// What is known of one model in one slot: since when it is watched, the version on whose scale it is, the last hour that
/// was looked at, and up to which window departures were looked for.
fn watch() -> TableCreateStatement {
    table("drift_watch")
        .col(text("slot"))
        .col(text("model"))
        .col(number("since"))
        .col(number("first"))
        .col(number("hour"))
        .col(bytes("state"))
        .col(bytes("departures"))
        .col(number("departed"))
        .primary_key(&mut key(&["workspace", "slot", "model"]))
        .to_owned()
}

/// Up to which window all was taken in, and what of it is still to be judged.
fn follow() -> TableCreateStatement {
    table("drift_follow")
        .col(number("last"))
        .col(bytes("pending"))
        .primary_key(&mut key(&["workspace"]))
        .to_owned()
}

/// Numbers of devices and sites, given once and for good.
fn named() -> TableCreateStatement {
    table("drift_named")
        .col(text("sort"))
        .col(text("name"))
        .col(number("number"))
        .primary_key(&mut key(&["workspace", "sort", "name"]))
        .to_owned()
}

/// One row a finding; `body` is its view as JSON. `closed` and `accepted` are absent while it is neither.
fn finding() -> TableCreateStatement {
    table("finding")
        .col(id())
        .col(text("slot"))
        .col(text("model"))
        .col(number("watched_since"))
        .col(text("detector"))
        .col(number("number"))
        .col(number("opened"))
        .col(ColumnDef::new("closed").big_integer())
        .col(ColumnDef::new("accepted").text())
        .col(text("body"))
        .to_owned()
}

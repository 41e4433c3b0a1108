//! Tables of labelling by people.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    sea_query::{ColumnDef, TableCreateStatement},
};

use crate::store::schema::{index, key, table};

/// Makes the tables.
pub struct Labelling;

impl MigrationName for Labelling {
    fn name(&self) -> &'static str {
        "m0030_labelling"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Labelling {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [settings(), verdict(), lease()] {
            manager.create_table(table).await?;
        }
        let one = [
            "workspace",
            "device",
            "boot",
            "number",
            "labeller",
            "decides",
        ];
        let of_one = index("verdict_by_prediction", "verdict", &one);
        manager.create_index(of_one.clone().unique().take()).await?;
        let newest = ["workspace", "model", "labeller", "id"];
        manager
            .create_index(index("verdict_by_labeller", "verdict", &newest))
            .await
    }
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// How a model is labelled, where that was said.
fn settings() -> TableCreateStatement {
    table("labelling")
        .col(text("workspace"))
        .col(text("model"))
        .col(number("labellers"))
        .primary_key(&mut key(&["workspace", "model"]))
        .take()
}

/// What one person said about one capture; without a truth, that they cannot say.
fn verdict() -> TableCreateStatement {
    table("verdict")
        .col(
            ColumnDef::new("id")
                .big_integer()
                .not_null()
                .auto_increment()
                .primary_key(),
        )
        .col(text("workspace"))
        .col(text("model"))
        .col(text("device"))
        .col(number("boot"))
        .col(number("number"))
        .col(text("labeller"))
        .col(number("decides"))
        .col(ColumnDef::new("truth").big_integer())
        .col(number("at"))
        .take()
}

/// Which capture is on whose screen, until when.
fn lease() -> TableCreateStatement {
    table("lease")
        .col(text("workspace"))
        .col(text("device"))
        .col(number("boot"))
        .col(number("number"))
        .col(text("labeller"))
        .col(number("until"))
        .primary_key(&mut key(&["workspace", "device", "boot", "number"]))
        .take()
}

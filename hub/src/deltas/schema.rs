//! The table `delta`.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    sea_query::{ColumnDef, Index, Table},
};

/// Makes the table.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0014_deltas"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let delta = Table::create()
            .table("delta")
            .if_not_exists()
            .col(ColumnDef::new("workspace").text().not_null())
            .col(ColumnDef::new("model").text().not_null())
            .col(ColumnDef::new("version").big_integer().not_null())
            .col(ColumnDef::new("base").big_integer().not_null())
            .col(ColumnDef::new("onnx").text().not_null())
            .col(ColumnDef::new("onnx_len").big_integer().not_null())
            .col(ColumnDef::new("base_onnx").text().not_null())
            .col(ColumnDef::new("base_len").big_integer().not_null())
            .col(ColumnDef::new("created").big_integer().not_null())
            .col(ColumnDef::new("state").text().not_null())
            .col(ColumnDef::new("reason").text().not_null())
            .col(ColumnDef::new("attempts").big_integer().not_null())
            .col(ColumnDef::new("digest").text())
            .col(ColumnDef::new("len").big_integer())
            .col(ColumnDef::new("took_ms").big_integer())
            .primary_key(
                Index::create()
                    .col("workspace")
                    .col("model")
                    .col("version")
                    .col("base"),
            )
            .to_owned();
        manager.create_table(delta).await?;

        // Every want for a blob that no version names asks for it.
        let by_digest = Index::create()
            .name("delta_digest")
            .if_not_exists()
            .table("delta")
            .col("digest")
            .to_owned();
        manager.create_index(by_digest).await?;

        // What is to be computed, and what there is.
        let by_state = Index::create()
            .name("delta_state")
            .if_not_exists()
            .table("delta")
            .col("state")
            .to_owned();
        manager.create_index(by_state).await
    }
}

//! Tables of the registry: `model` and `model_version`.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    sea_query::{ColumnDef, Index, Table},
};

/// Makes the tables.
pub struct Migration;

/// Adds what is said of a version later: that it is signed, that it is revoked.
pub struct Signing;

impl MigrationName for Signing {
    fn name(&self) -> &'static str {
        "m0011_signing"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Signing {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ColumnDef::new("signed")
                .boolean()
                .not_null()
                .default(false)
                .take(),
            ColumnDef::new("revoked").text().take(),
            ColumnDef::new("revoked_at").big_integer().take(),
            ColumnDef::new("replacement").big_integer().take(),
        ];
        for column in columns {
            if manager
                .has_column("model_version", &column.get_column_name())
                .await?
            {
                continue;
            }
            let add = Table::alter()
                .table("model_version")
                .add_column(column)
                .to_owned();
            manager.alter_table(add).await?;
        }
        Ok(())
    }
}

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0004_registry"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let model = Table::create()
            .table("model")
            .if_not_exists()
            .col(ColumnDef::new("workspace").text().not_null())
            .col(ColumnDef::new("name").text().not_null())
            .col(ColumnDef::new("created").big_integer().not_null())
            // The highest number ever given: numbers are not used again, not even after deletion.
            .col(ColumnDef::new("last_version").big_integer().not_null())
            .primary_key(Index::create().col("workspace").col("name"))
            .to_owned();
        manager.create_table(model).await?;

        let version = Table::create()
            .table("model_version")
            .if_not_exists()
            .col(ColumnDef::new("workspace").text().not_null())
            .col(ColumnDef::new("model").text().not_null())
            .col(ColumnDef::new("version").big_integer().not_null())
            .col(ColumnDef::new("created").big_integer().not_null())
            .col(ColumnDef::new("bundle").text().not_null())
            .col(ColumnDef::new("bundle_len").big_integer().not_null())
            .col(ColumnDef::new("onnx").text().not_null())
            .col(ColumnDef::new("onnx_len").big_integer().not_null())
            .col(ColumnDef::new("golden").text().not_null())
            // Empty for none, so that the index below finds a version without a reference too.
            .col(ColumnDef::new("reference").text().not_null())
            .col(ColumnDef::new("total_bytes").big_integer().not_null())
            .col(ColumnDef::new("inputs").text().not_null())
            .col(ColumnDef::new("outputs").text().not_null())
            .col(ColumnDef::new("classes").text().not_null())
            .col(ColumnDef::new("note").text().not_null())
            .col(ColumnDef::new("validation_accuracy").double())
            .col(ColumnDef::new("vetting").text().not_null())
            .primary_key(Index::create().col("workspace").col("model").col("version"))
            .to_owned();
        manager.create_table(version).await?;

        let same = Index::create()
            .name("model_version_content")
            .if_not_exists()
            .table("model_version")
            .col("workspace")
            .col("model")
            .col("onnx")
            .col("golden")
            .col("reference")
            .unique()
            .to_owned();
        manager.create_index(same).await
    }
}

/// Adds what a version is another form of.
pub struct Transcodings;

impl MigrationName for Transcodings {
    fn name(&self) -> &'static str {
        "m0015_transcodings"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Transcodings {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.has_column("model_version", "transcoded").await? {
            return Ok(());
        }
        let mut column = ColumnDef::new("transcoded");
        column.text().not_null().default("");
        let add = Table::alter()
            .table("model_version")
            .add_column(&mut column)
            .to_owned();
        manager.alter_table(add).await
    }
}

/// Adds what a version declares beyond its files and what was measured of it; versions of the same
/// files with other declarations are other versions from now on.
pub struct Declarations;

impl MigrationName for Declarations {
    fn name(&self) -> &'static str {
        "m0013_declarations"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Declarations {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, before) in [("declared", ""), ("measured", "[]"), ("bases", "[]")] {
            if manager.has_column("model_version", name).await? {
                continue;
            }
            let mut column = ColumnDef::new(name);
            column.text().not_null().default(before);
            let add = Table::alter()
                .table("model_version")
                .add_column(&mut column)
                .to_owned();
            manager.alter_table(add).await?;
        }
        let same = Index::create()
            .name("model_version_same")
            .if_not_exists()
            .table("model_version")
            .col("workspace")
            .col("model")
            .col("onnx")
            .col("golden")
            .col("reference")
            .col("declared")
            .unique()
            .to_owned();
        manager.create_index(same).await?;
        let old = Index::drop()
            .name("model_version_content")
            .table("model_version")
            .if_exists()
            .to_owned();
        manager.drop_index(old).await
    }
}

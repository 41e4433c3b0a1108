//! Tables of datasets.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ConnectionTrait as _, DbErr},
    schema::{big_integer, big_integer_null, big_pk_auto, blob_null, text, text_null},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{index, key, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0044_datasets"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [dataset(), file(), capture(), split()] {
            manager.create_table(table).await?;
        }
        let name = ["workspace", "name", "number"];
        for index in [
            index("dataset_by_name", "dataset", &name).unique().take(),
            index("dataset_by_state", "dataset", &["state", "id"]),
            index("dataset_by_base", "dataset", &["base"]),
            index("dataset_file_by_digest", "dataset_file", &["digest"]),
            index(
                "dataset_by_capture",
                "dataset_capture",
                &["workspace", "device", "boot", "number"],
            ),
            index(
                "dataset_split_by_input",
                "dataset_split",
                &["workspace", "name", "input"],
            ),
            index(
                "dataset_split_by_device",
                "dataset_split",
                &["workspace", "name", "device"],
            ),
            index("dataset_split_by_dataset", "dataset_split", &["dataset"]),
        ] {
            manager.create_index(index).await?;
        }
        // Few are asked for with a key.
        let by_key = "CREATE UNIQUE INDEX IF NOT EXISTS dataset_by_key \
            ON dataset (workspace, key) WHERE key IS NOT NULL";
        let db = manager.get_connection();
        db.execute_unprepared(by_key).await.map(|_| ())
    }
}

/// `state`: 0 it is being made, 1 done, 2 failed, 3 stopped, 4 its files were removed. `asked` and `counted` are JSON. A
/// row stays for good: numbers are never given twice.
fn dataset() -> TableCreateStatement {
    table("dataset")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(text("name"))
        .col(big_integer("number"))
        .col(text_null("key"))
        .col(big_integer("state"))
        .col(text("actor"))
        .col(big_integer("at"))
        .col(big_integer_null("finished"))
        .col(text("asked"))
        .col(text_null("model"))
        .col(big_integer_null("base"))
        .col(text_null("reason"))
        .col(big_integer("again").default(0).take())
        .col(text_null("counted"))
        .col(text("digest").default("").take())
        .col(big_integer("bytes").default(0).take())
        .col(big_integer_null("withdrawn"))
        .col(text_null("withdrawn_why"))
        .take()
}

/// `len` is that of the bytes as they are written out; `digest` names the blob, which may be encrypted (`sealed`). While a
/// version is made, its files are those that it is made of.
fn file() -> TableCreateStatement {
    table("dataset_file")
        .col(big_integer("dataset"))
        .col(text("path"))
        .col(text("digest"))
        .col(big_integer("len"))
        .col(big_integer("sealed"))
        .primary_key(&mut key(&["dataset", "path"]))
        .take()
}

/// Which captures are in which version, and of whom.
fn capture() -> TableCreateStatement {
    table("dataset_capture")
        .col(big_integer("dataset"))
        .col(text("workspace"))
        .col(text("device"))
        .col(big_integer("boot"))
        .col(big_integer("number"))
        .col(blob_null("subject"))
        .primary_key(&mut key(&["dataset", "device", "boot", "number"]))
        .take()
}

/// The ledger: in which split a row of a name was first, by which version. `split`: 0 to train on, 1 held out, 2 kept out.
/// `input` is the digest of its input, where that tells rows apart.
fn split() -> TableCreateStatement {
    table("dataset_split")
        .col(text("workspace"))
        .col(text("name"))
        .col(text("id"))
        .col(blob_null("input"))
        .col(big_integer("split"))
        .col(text("device"))
        .col(big_integer("dataset"))
        .primary_key(&mut key(&["workspace", "name", "id"]))
        .take()
}

/// Adds which version of a model was trained on which dataset.
pub struct Trained;

impl MigrationName for Trained {
    fn name(&self) -> &'static str {
        "m0045_version_dataset"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Trained {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = table("version_dataset")
            .col(text("workspace"))
            .col(text("model"))
            .col(big_integer("version"))
            .col(big_integer("dataset"))
            .primary_key(&mut key(&["workspace", "model", "version"]))
            .take();
        manager.create_table(table).await?;
        let by_dataset = index("version_by_dataset", "version_dataset", &["dataset"]);
        manager.create_index(by_dataset).await
    }
}

/// Adds datastores.
pub struct Datastores;

impl MigrationName for Datastores {
    fn name(&self) -> &'static str {
        "m0046_datastore"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Datastores {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = table("datastore")
            .col(text("workspace"))
            .col(text("name"))
            .col(text("place"))
            .col(text_null("token"))
            .col(text("actor"))
            .col(big_integer("at"))
            .primary_key(&mut key(&["workspace", "name"]))
            .take();
        manager.create_table(table).await
    }
}

//! Tables of what is asked for, what was deleted, and whose predictions are whose.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ConnectionTrait as _, DbErr},
    schema::{big_integer, big_integer_null, blob, blob_null, double_null, text, text_null},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{add_column, index, key, table};

/// Makes them, and adds to captures why and for whom they were kept.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0027_captures"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            big_integer("reasons").default(0).take(),
            big_integer_null("request"),
            blob_null("summary"),
        ] {
            add_column(manager, "capture", column).await?;
        }
        for table in [subject(), request(), deletion(), tombstone()] {
            manager.create_table(table).await?;
        }
        for index in [
            index(
                "subject_by_subject",
                "prediction_subject",
                &["workspace", "subject"],
            ),
            index(
                "capture_request_by_state",
                "capture_request",
                &["workspace", "state"],
            ),
            index(
                "capture_deletion_by_workspace",
                "capture_deletion",
                &["workspace", "id"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        // Few captures were asked for: an index of those alone costs the others nothing.
        let asked = "CREATE INDEX IF NOT EXISTS capture_by_request \
            ON capture (workspace, request) WHERE request IS NOT NULL";
        let db = manager.get_connection();
        db.execute_unprepared(asked).await.map(|_| ())
    }
}

/// Whose a prediction is: of a capture, of a truth, or of both.
fn subject() -> TableCreateStatement {
    table("prediction_subject")
        .col(text("workspace"))
        .col(text("device"))
        .col(big_integer("boot"))
        .col(big_integer("number"))
        .col(blob("subject"))
        .primary_key(&mut key(&["workspace", "device", "boot", "number"]))
        .take()
}

/// `state`: 0 devices are to be told, 1 they are asked, 2 it is over.
fn request() -> TableCreateStatement {
    table("capture_request")
        .col(big_integer("id").primary_key().take())
        .col(text("workspace"))
        .col(text_null("device"))
        .col(text_null("site"))
        .col(text_null("model"))
        .col(text_null("slot"))
        .col(big_integer("count"))
        .col(big_integer("at"))
        .col(big_integer("until"))
        .col(text("actor"))
        .col(big_integer("state"))
        .take()
}

/// `receipt` is what the audit log holds the digest of, as JSON. `boot` is the boot that the device was in.
fn deletion() -> TableCreateStatement {
    table("capture_deletion")
        .col(big_integer("id").primary_key().take())
        .col(text("workspace"))
        .col(big_integer("at"))
        .col(text_null("device"))
        .col(big_integer("boot"))
        .col(blob_null("subject"))
        .col(text("predictions"))
        .col(text("receipt"))
        .take()
}

/// Single predictions that must not come back.
fn tombstone() -> TableCreateStatement {
    table("capture_tombstone")
        .col(text("workspace"))
        .col(text("device"))
        .col(big_integer("boot"))
        .col(big_integer("number"))
        .primary_key(&mut key(&["workspace", "device", "boot", "number"]))
        .take()
}

/// Adds what was predicted by models that are no classifiers, and what people say of it.
pub struct Numbers;

impl MigrationName for Numbers {
    fn name(&self) -> &'static str {
        "m0035_capture_numbers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Numbers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["predicted", "low", "high"] {
            add_column(manager, "capture", double_null(name)).await?;
        }
        // Beside the class, which is 0 then: what is no skip has a class.
        add_column(manager, "verdict", double_null("truth_number")).await
    }
}

/// Adds up to which deletion each device has forgotten what it held.
pub struct Erased;

impl MigrationName for Erased {
    fn name(&self) -> &'static str {
        "m0028_erased"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Erased {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "device", big_integer_null("erased")).await
    }
}

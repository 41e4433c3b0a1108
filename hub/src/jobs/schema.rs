//! Tables of jobs and computes.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, big_integer_null, blob_null, boolean, text, text_null},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{index, key, table};

/// Makes those of jobs.
pub struct Jobs;

impl MigrationName for Jobs {
    fn name(&self) -> &'static str {
        "m0041_job"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Jobs {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [job(), attempt(), artifact()] {
            manager.create_table(table).await?;
        }
        for index in [
            index("job_key", "job", &["workspace", "key"])
                .unique()
                .take(),
            index("job_by_workspace", "job", &["workspace", "id"]),
            index("job_by_end", "job", &["ended", "id"]),
            index("job_attempt_token", "job_attempt", &["token"]),
            index("job_attempt_run", "job_attempt", &["run_open"]),
            index("job_artifact_workspace", "job_artifact", &["workspace"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// `state` follows from the attempts and is kept to be asked for; `ended` is when it was over. `asked` is what a person
/// asked for, `spec` what is run, both as JSON without secrets, which are in `secrets` until it is over, encrypted where
/// captures are. `mark` is in its names on clusters. `last` is how its last attempt ended, as JSON.
fn job() -> TableCreateStatement {
    table("job")
        .col(big_integer("id").primary_key())
        .col(text("workspace"))
        .col(text_null("key"))
        .col(text("name"))
        .col(text("person"))
        .col(text("actor"))
        .col(text("state"))
        .col(text_null("last"))
        .col(big_integer("created"))
        .col(big_integer_null("ended"))
        .col(boolean("cancelled"))
        .col(text("compute"))
        .col(big_integer("priority"))
        .col(big_integer("cpu_millis"))
        .col(big_integer("memory"))
        .col(big_integer("gpus"))
        .col(big_integer("retry_most"))
        .col(big_integer("retry_wait"))
        .col(big_integer("core_millis"))
        .col(text("asked"))
        .col(text("spec"))
        .col(blob_null("secrets"))
        .col(text("project"))
        .col(text("mark"))
        .col(big_integer_null("again_of"))
        .take()
}

/// One row an attempt. `taken`: an engine elsewhere is known to have it. `log` is the digest of what was kept of its log,
/// of which the first `log_head` bytes are its beginning; `log_bytes` are all that there were. `token` is the digest of
/// the token by which it is known to the hub while it runs; `left_out`: artifacts are missing, which one elsewhere is held
/// to until it says otherwise; `run_open` whether its run is still to be ended.
fn attempt() -> TableCreateStatement {
    table("job_attempt")
        .col(big_integer("job"))
        .col(big_integer("number"))
        .col(text("compute"))
        .col(big_integer("given"))
        .col(big_integer_null("running"))
        .col(text("phase"))
        .col(boolean("taken"))
        .col(text("gpus"))
        .col(text_null("ended"))
        .col(big_integer_null("ended_at"))
        .col(big_integer("core_millis"))
        .col(big_integer("peak_memory"))
        .col(text("log"))
        .col(big_integer("log_bytes"))
        .col(big_integer("log_head"))
        .col(boolean("left_out"))
        .col(text("trouble"))
        .col(blob_null("token"))
        .col(text("run"))
        .col(big_integer("experiment"))
        .col(boolean("run_open"))
        .primary_key(&mut key(&["job", "number"]))
        .take()
}

fn artifact() -> TableCreateStatement {
    table("job_artifact")
        .col(big_integer("job"))
        .col(big_integer("attempt"))
        .col(text("path"))
        .col(text("workspace"))
        .col(text("digest"))
        .col(big_integer("bytes"))
        .primary_key(&mut key(&["job", "attempt", "path"]))
        .take()
}

/// Makes that of computes.
pub struct Computes;

impl MigrationName for Computes {
    fn name(&self) -> &'static str {
        "m0042_compute"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Computes {
    /// They belong to the hub: workspaces share them. `settings` is JSON without the token.
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let compute = table("compute")
            .col(text("name").primary_key())
            .col(text("settings"))
            .col(blob_null("token"))
            .col(big_integer("changed"))
            .col(text("actor"))
            .take();
        manager.create_table(compute).await
    }
}

/// Makes that of what is remembered between looks.
pub struct Book;

impl MigrationName for Book {
    fn name(&self) -> &'static str {
        "m0043_job_book"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Book {
    /// One row: the last number that a job was given, and who had how much, as JSON.
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let book = table("job_book")
            .col(big_integer("id").primary_key())
            .col(big_integer("last"))
            .col(text("usage"))
            .take();
        manager.create_table(book).await
    }
}

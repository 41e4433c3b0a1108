//! Tables of experiments, runs, and what they lead to.
//!
//! Runs and logged models have a number beside the id that clients know: what hangs on a run is most of the rows, and a
//! number takes a fifth of 32 digits.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ConnectionTrait as _, DbErr},
    schema::{
        big_integer, big_integer_null, big_pk_auto, boolean, double, text, text_null, text_uniq,
    },
    sea_query::TableCreateStatement,
};

use crate::store::schema::{index, key, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0040_tracking"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            experiment(),
            experiment_tag(),
            run(),
            run_text("tracking_param"),
            run_text("tracking_tag"),
            metric(),
            latest(),
            input(),
            run_model(),
            logged(),
            logged_text("tracking_logged_param"),
            logged_text("tracking_logged_tag"),
            logged_metric(),
            artifact(),
            registered(),
            registered_tag(),
            alias(),
            registered_version(),
            version_tag(),
        ] {
            manager.create_table(table).await?;
        }
        let name = ["workspace", "name"];
        for index in [
            index("tracking_experiment_name", "tracking_experiment", &name)
                .unique()
                .take(),
            index(
                "tracking_run_by_start",
                "tracking_run",
                &["workspace", "experiment", "start_time"],
            ),
            index(
                "tracking_logged_by_experiment",
                "tracking_logged",
                &["workspace", "experiment", "created"],
            ),
            index(
                "tracking_artifact_parent",
                "tracking_artifact",
                &["workspace", "parent"],
            ),
            index(
                "tracking_version_by_run",
                "tracking_version",
                &["workspace", "run_id"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// Adds what artifacts of a workspace take in all.
pub struct Taken;

impl MigrationName for Taken {
    fn name(&self) -> &'static str {
        "m0052_artifacts_taken"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Taken {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let taken = table("tracking_taken")
            .col(text("workspace"))
            .col(big_integer("bytes"))
            .col(big_integer("entries"))
            .primary_key(&mut key(&["workspace"]))
            .take();
        manager.create_table(taken).await?;
        // Of artifacts that were there before.
        let known = "INSERT INTO tracking_taken (workspace, bytes, entries) \
                     SELECT workspace, CAST(COALESCE(SUM(bytes), 0) AS BIGINT), COUNT(*) FROM tracking_artifact \
                     WHERE true GROUP BY workspace \
                     ON CONFLICT (workspace) DO UPDATE SET bytes = excluded.bytes, entries = excluded.entries";
        let db = manager.get_connection();
        db.execute_unprepared(known).await.map(|_| ())
    }
}

/// `id` counts within a workspace; 0 is `Default`.
fn experiment() -> TableCreateStatement {
    table("tracking_experiment")
        .col(text("workspace"))
        .col(big_integer("id"))
        .col(text("name"))
        .col(text("artifact_location"))
        .col(text("stage"))
        .col(big_integer("created"))
        .col(big_integer("updated"))
        .primary_key(&mut key(&["workspace", "id"]))
        .take()
}

fn experiment_tag() -> TableCreateStatement {
    table("tracking_experiment_tag")
        .col(text("workspace"))
        .col(big_integer("experiment"))
        .col(text("key"))
        .col(text("value"))
        .primary_key(&mut key(&["workspace", "experiment", "key"]))
        .take()
}

/// `deleted_with` says that it went with its experiment, and comes back with it.
fn run() -> TableCreateStatement {
    table("tracking_run")
        .col(big_pk_auto("id"))
        .col(text_uniq("run_id"))
        .col(text("workspace"))
        .col(big_integer("experiment"))
        .col(text("name"))
        .col(text("user_id"))
        .col(text("status"))
        .col(big_integer("start_time"))
        .col(big_integer_null("end_time"))
        .col(text("stage"))
        .col(boolean("deleted_with"))
        .col(text("artifact_uri"))
        .take()
}

/// Params, and tags.
fn run_text(name: &'static str) -> TableCreateStatement {
    table(name)
        .col(big_integer("run"))
        .col(text("key"))
        .col(text("value"))
        .primary_key(&mut key(&["run", "key"]))
        .take()
}

/// Every value that was logged. All of a point is its key, so that one sent twice is there once. `nan`: it is no
/// number, and `value` is 0; SQLite has no such value.
fn metric() -> TableCreateStatement {
    table("tracking_metric")
        .col(big_integer("run"))
        .col(text("key"))
        .col(big_integer("step"))
        .col(big_integer("at"))
        .col(double("value"))
        .col(boolean("nan"))
        .primary_key(&mut key(&["run", "key", "step", "at", "value", "nan"]))
        .take()
}

/// The latest value of each metric of a run: what searches read.
fn latest() -> TableCreateStatement {
    table("tracking_latest")
        .col(big_integer("run"))
        .col(text("key"))
        .col(double("value"))
        .col(boolean("nan"))
        .col(big_integer("at"))
        .col(big_integer("step"))
        .primary_key(&mut key(&["run", "key"]))
        .take()
}

/// Data sets that a run used; `body` is the data set with its tags, as JSON.
fn input() -> TableCreateStatement {
    table("tracking_input")
        .col(big_integer("run"))
        .col(text("name"))
        .col(text("digest"))
        .col(text("context"))
        .col(text("body"))
        .primary_key(&mut key(&["run", "name", "digest"]))
        .take()
}

/// Logged models that a run used (`in`) or made (`out`).
fn run_model() -> TableCreateStatement {
    table("tracking_run_model")
        .col(big_integer("run"))
        .col(text("direction"))
        .col(text("model_id"))
        .col(big_integer("step"))
        .primary_key(&mut key(&["run", "direction", "model_id"]))
        .take()
}

fn logged() -> TableCreateStatement {
    table("tracking_logged")
        .col(big_pk_auto("id"))
        .col(text_uniq("model_id"))
        .col(text("workspace"))
        .col(big_integer("experiment"))
        .col(text("name"))
        .col(text("artifact_uri"))
        .col(text("status"))
        .col(text("model_type"))
        .col(text("source_run"))
        .col(text("stage"))
        .col(big_integer("created"))
        .col(big_integer("updated"))
        .take()
}

fn logged_text(name: &'static str) -> TableCreateStatement {
    table(name)
        .col(big_integer("model"))
        .col(text("key"))
        .col(text("value"))
        .primary_key(&mut key(&["model", "key"]))
        .take()
}

/// Values that runs logged about a logged model.
fn logged_metric() -> TableCreateStatement {
    table("tracking_logged_metric")
        .col(big_integer("model"))
        .col(text("key"))
        .col(big_integer("step"))
        .col(big_integer("at"))
        .col(double("value"))
        .col(boolean("nan"))
        .col(text("run_id"))
        .col(text("dataset_name"))
        .col(text("dataset_digest"))
        .primary_key(&mut key(&[
            "model", "key", "step", "at", "value", "nan", "run_id",
        ]))
        .take()
}

/// Files by path; their bytes are blobs. A directory has no digest; `parent` is empty at the top.
fn artifact() -> TableCreateStatement {
    table("tracking_artifact")
        .col(text("workspace"))
        .col(text("path"))
        .col(text("parent"))
        .col(text("digest"))
        .col(big_integer("bytes"))
        .col(big_integer("stored"))
        .primary_key(&mut key(&["workspace", "path"]))
        .take()
}

/// `last_version` is the highest number ever given.
fn registered() -> TableCreateStatement {
    table("tracking_model")
        .col(text("workspace"))
        .col(text("name"))
        .col(text("description"))
        .col(big_integer("created"))
        .col(big_integer("updated"))
        .col(big_integer("last_version"))
        .primary_key(&mut key(&["workspace", "name"]))
        .take()
}

fn registered_tag() -> TableCreateStatement {
    table("tracking_model_tag")
        .col(text("workspace"))
        .col(text("model"))
        .col(text("key"))
        .col(text("value"))
        .primary_key(&mut key(&["workspace", "model", "key"]))
        .take()
}

fn alias() -> TableCreateStatement {
    table("tracking_alias")
        .col(text("workspace"))
        .col(text("model"))
        .col(text("alias"))
        .col(big_integer("version"))
        .primary_key(&mut key(&["workspace", "model", "alias"]))
        .take()
}

/// `location` is where its files lie; `tern_model` and `tern_version` what devices get, if it can be deployed.
fn registered_version() -> TableCreateStatement {
    table("tracking_version")
        .col(text("workspace"))
        .col(text("model"))
        .col(big_integer("version"))
        .col(text("description"))
        .col(text("source"))
        .col(text("location"))
        .col(text("run_id"))
        .col(text("run_link"))
        .col(text("model_id"))
        .col(text("user_id"))
        .col(text("stage"))
        .col(text("status"))
        .col(text("status_message"))
        .col(big_integer("created"))
        .col(big_integer("updated"))
        .col(text_null("tern_model"))
        .col(big_integer_null("tern_version"))
        .primary_key(&mut key(&["workspace", "model", "version"]))
        .take()
}

fn version_tag() -> TableCreateStatement {
    table("tracking_version_tag")
        .col(text("workspace"))
        .col(text("model"))
        .col(big_integer("version"))
        .col(text("key"))
        .col(text("value"))
        .primary_key(&mut key(&["workspace", "model", "version", "key"]))
        .take()
}

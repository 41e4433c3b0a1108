//! Tables of rollouts.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, big_integer_null, big_pk_auto, blob, blob_null, text, text_null},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{add_column, key, table};

/// Makes the rollouts' tables.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0003_rollout"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The plan and how it stands.
        let rollout = table("rollout")
            .col(text("workspace"))
            .col(big_integer("id"))
            .col(text("slot"))
            .col(text("model"))
            .col(big_integer("version"))
            .col(blob("bundle"))
            .col(big_integer("bundle_len"))
            .col(blob("weights"))
            .col(text("selector"))
            .col(big_integer("percent"))
            .col(text("state"))
            .col(text_null("moved"))
            .col(text("reason"))
            .col(text("counts"))
            .col(big_integer("created"))
            .col(big_integer("updated"))
            .primary_key(&mut key(&["workspace", "id"]))
            .take();
        // What each device had before it was moved: what an abort gives back.
        let moved = table("rollout_device")
            .col(text("workspace"))
            .col(big_integer("rollout"))
            .col(text("device"))
            .col(text_null("before_model"))
            .col(big_integer_null("before_version"))
            .col(blob_null("before_bundle"))
            .col(big_integer_null("before_len"))
            .col(blob_null("before_weights"))
            .col(big_integer_null("before_rollout"))
            .primary_key(&mut key(&["workspace", "rollout", "device"]))
            .take();
        manager.create_table(rollout).await?;
        manager.create_table(moved).await
    }
}

/// Adds who started a rollout.
pub struct Starter;

impl MigrationName for Starter {
    fn name(&self) -> &'static str {
        "m0015_rollout_starter"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Starter {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "rollout", text_null("actor")).await
    }
}

/// Adds plans, and what rollouts that decide by evidence have to remember.
pub struct Evidence;

impl MigrationName for Evidence {
    fn name(&self) -> &'static str {
        "m0021_rollout_evidence"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Evidence {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            text_null("plan"),
            big_integer("precedence").default(0).take(),
            big_integer_null("stage"),
            big_integer("bytes").default(0).take(),
        ] {
            add_column(manager, "rollout", column).await?;
        }
        for table in [
            batch(),
            decision(),
            look(),
            tally(),
            memory(),
            order(),
            freeze(),
            template(),
        ] {
            manager.create_table(table).await?;
        }
        Ok(())
    }
}

/// Adds up to which label was read.
pub struct LabelCursor;

impl MigrationName for LabelCursor {
    fn name(&self) -> &'static str {
        "m0024_label_cursor"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LabelCursor {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let cursor = big_integer("label_cursor").default(0).take();
        add_column(manager, "rollout_memory", cursor).await
    }
}

fn of_rollout(name: &'static str) -> TableCreateStatement {
    table(name)
        .col(text("workspace"))
        .col(big_integer("rollout"))
        .take()
}

/// What the engine was told, in order: CBOR. All else about evidence follows from it.
fn batch() -> TableCreateStatement {
    of_rollout("rollout_batch")
        .col(big_integer("sequence"))
        .col(big_integer("at"))
        .col(blob("body"))
        .primary_key(&mut key(&["workspace", "rollout", "sequence"]))
        .take()
}

/// What it decided: JSON, kept to the byte, so that a replay can be compared with it.
fn decision() -> TableCreateStatement {
    of_rollout("rollout_decision")
        .col(big_integer("number"))
        .col(big_integer("at"))
        .col(blob("body"))
        .primary_key(&mut key(&["workspace", "rollout", "number"]))
        .take()
}

/// What the gates said now and then, for charts.
fn look() -> TableCreateStatement {
    of_rollout("rollout_look")
        .col(big_integer("at"))
        .col(text("body"))
        .primary_key(&mut key(&["workspace", "rollout", "at"]))
        .take()
}

/// What the windows and labels of a device add up to; `device` is its number in the rollout.
fn tally() -> TableCreateStatement {
    of_rollout("rollout_tally")
        .col(big_integer("device"))
        .col(blob("body"))
        .primary_key(&mut key(&["workspace", "rollout", "device"]))
        .take()
}

/// The last window that was read, and what the slot predicted before.
fn memory() -> TableCreateStatement {
    of_rollout("rollout_memory")
        .col(big_integer("window_cursor"))
        .col(big_integer("shadow_cursor"))
        .col(text("mix"))
        .primary_key(&mut key(&["workspace", "rollout"]))
        .take()
}

/// What persons said that the engine was not told yet.
fn order() -> TableCreateStatement {
    table("rollout_order")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(big_integer("rollout"))
        .col(text("said"))
        .col(text("actor"))
        .col(big_integer("at"))
        .take()
}

/// Workspaces in which nothing is moved.
fn freeze() -> TableCreateStatement {
    table("freeze")
        .col(text("workspace").primary_key().take())
        .col(big_integer("since"))
        .col(text("actor"))
        .col(text("reason"))
        .take()
}

/// Plans that are kept for a model.
fn template() -> TableCreateStatement {
    table("plan_template")
        .col(text("workspace"))
        .col(text("model"))
        .col(text("name"))
        .col(text("plan"))
        .col(big_integer("updated"))
        .col(text("actor"))
        .primary_key(&mut key(&["workspace", "model", "name"]))
        .take()
}

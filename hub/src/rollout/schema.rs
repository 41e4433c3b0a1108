//! Tables of rollouts.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, big_integer_null, blob, blob_null, text, text_null},
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

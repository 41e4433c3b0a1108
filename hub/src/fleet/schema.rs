//! Tables of the fleet.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ConnectionTrait as _, DbErr},
    schema::{big_integer, big_integer_null, big_pk_auto, blob_null, boolean, text, text_null},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{add_column, index, key, table};

/// Makes the fleet's tables, and the workspace `default`.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0002_fleet"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [workspace(), device(), label(), slot(), event(), anchor()] {
            manager.create_table(table).await?;
        }
        for index in [
            index("device_by_site", "device", &["workspace", "site", "id"]),
            index("device_by_health", "device", &["workspace", "health", "id"]),
            index("slot_by_device", "slot", &["workspace", "device"]),
            index("label_by_device", "device_label", &["workspace", "device"]),
            index("event_by_device", "event", &["workspace", "device", "id"]),
        ] {
            manager.create_index(index).await?;
        }
        let first = "INSERT INTO workspace (id) VALUES ('default') ON CONFLICT DO NOTHING";
        let db = manager.get_connection();
        db.execute_unprepared(first).await.map(|_| ())
    }
}

/// Adds what the story of a device needs: who is behind an event and since when it lasts, and how far a
/// version got in a slot.
pub struct Timeline;

impl MigrationName for Timeline {
    fn name(&self) -> &'static str {
        "m0014_timeline"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Timeline {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ("event", big_integer_null("rollout")),
            ("event", text_null("actor")),
            ("event", big_integer_null("since")),
            ("slot", text_null("progress_phase")),
            ("slot", boolean("serving_confirmed").default(false).take()),
            ("slot", text_null("serving_revoked")),
        ];
        for (table, column) in columns {
            add_column(manager, table, column).await?;
        }
        let by_time = ["workspace", "device", "at", "id"];
        manager
            .create_index(index("event_by_time", "event", &by_time))
            .await
    }
}

/// Adds what a device is, beside the message in which it says so: rollouts are fair to each platform.
pub struct Platform;

impl MigrationName for Platform {
    fn name(&self) -> &'static str {
        "m0020_platform"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Platform {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "device", text_null("platform")).await
    }
}

/// Adds what the hub wants beside what serves in a slot, and what the device says of it.
pub struct Shadows;

impl MigrationName for Shadows {
    fn name(&self) -> &'static str {
        "m0019_shadow"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Shadows {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            text_null("shadow_model"),
            big_integer_null("shadow_version"),
            blob_null("shadow_bundle"),
            big_integer_null("shadow_len"),
            blob_null("shadow_weights"),
            big_integer_null("shadow_rollout"),
            big_integer_null("shadow_permille"),
            text_null("shadow_phase"),
            text_null("shadow_text"),
        ] {
            add_column(manager, "slot", column).await?;
        }
        Ok(())
    }
}

fn workspace() -> TableCreateStatement {
    table("workspace").col(text("id").primary_key()).take()
}

/// What lists and pages show. `reported` is the message itself; the columns beside it are what
/// queries look at.
fn device() -> TableCreateStatement {
    table("device")
        .col(text("workspace"))
        .col(text("id"))
        .col(text("site"))
        .col(text("labels"))
        .col(boolean("online"))
        .col(big_integer("boot"))
        .col(text("health"))
        .col(text("health_reason"))
        .col(big_integer("first_seen"))
        .col(big_integer("last_seen"))
        .col(blob_null("reported"))
        .col(big_integer("reported_revision"))
        .col(big_integer("desired_revision"))
        .col(big_integer("inferences"))
        .col(big_integer("windows"))
        .primary_key(&mut key(&["workspace", "id"]))
        .take()
}

/// The labels of `device` again, for filters.
fn label() -> TableCreateStatement {
    table("device_label")
        .col(text("workspace"))
        .col(text("device"))
        .col(text("key"))
        .col(text("value"))
        .primary_key(&mut key(&["workspace", "key", "value", "device"]))
        .take()
}

/// What the hub wants in a slot and what the device says of it: what rollouts and counts look at.
fn slot() -> TableCreateStatement {
    table("slot")
        .col(text("workspace"))
        .col(text("device"))
        .col(text("slot"))
        .col(text_null("assigned_model"))
        .col(big_integer_null("assigned_version"))
        .col(blob_null("assigned_bundle"))
        .col(big_integer_null("assigned_len"))
        .col(blob_null("assigned_weights"))
        .col(big_integer_null("assigned_rollout"))
        .col(text_null("serving_model"))
        .col(big_integer_null("serving_version"))
        .col(blob_null("serving_bundle"))
        .col(blob_null("serving_weights"))
        .col(blob_null("progress_bundle"))
        .col(big_integer_null("progress_bytes"))
        .col(big_integer_null("progress_total"))
        .col(blob_null("rejected_bundle"))
        .col(text_null("rejected_text"))
        .primary_key(&mut key(&["workspace", "slot", "device"]))
        .take()
}

fn event() -> TableCreateStatement {
    table("event")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(text("device"))
        .col(big_integer("at"))
        .col(text("kind"))
        .col(text_null("slot"))
        .col(text_null("model"))
        .col(big_integer_null("version"))
        .col(text("text"))
        .take()
}

/// The wall time at which a boot's uptime was zero.
fn anchor() -> TableCreateStatement {
    table("anchor")
        .col(text("workspace"))
        .col(text("device"))
        .col(big_integer("boot"))
        .col(big_integer("zero"))
        .primary_key(&mut key(&["workspace", "device", "boot"]))
        .take()
}

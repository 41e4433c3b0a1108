//! Tables of the monitor.
//!
//! `telemetry_window` grows by a row a window and is written in bulk, so it has three indices only: on the
//! time that every chart asks by; on the order in which windows came, for whoever follows them
//! ([`super::follow`]; it grows at its end alone, by 22 bytes a row); and on devices, whose charts of a month took
//! seconds in a fleet of ten thousand without it. It needs none to keep an entry from
//! counting twice: what an outbox may add is decided by `outbox_position`, which changes in the same
//! transaction.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ConnectionTrait as _, DbErr},
    sea_query::{ColumnDef, Index, IndexCreateStatement, Table, TableCreateStatement},
};

use crate::store::schema::{add_column, index, key};

/// Makes the tables.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0005_monitor"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [window(), capture(), label(), position(), tally()] {
            manager.create_table(table).await?;
        }
        for index in indices() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// Adds why the time of a window is not believed.
pub struct Quarantine;

impl MigrationName for Quarantine {
    fn name(&self) -> &'static str {
        "m0017_quarantine"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Quarantine {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("quarantine").text().take();
        add_column(manager, "telemetry_window", column).await?;
        // Nearly no window is in it: an index of those alone costs the others nothing.
        let index = "CREATE INDEX IF NOT EXISTS telemetry_quarantined \
            ON telemetry_window (workspace, device) WHERE quarantine IS NOT NULL";
        let db = manager.get_connection();
        db.execute_unprepared(index).await.map(|_| ())
    }
}

/// Adds windows of shadows, and the order in which windows of a workspace came.
pub struct Shadows;

impl MigrationName for Shadows {
    fn name(&self) -> &'static str {
        "m0018_shadow_window"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Shadows {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(shadow_window()).await?;
        let order = ["workspace", "id"];
        manager
            .create_index(index("shadow_by_order", "shadow_window", &order))
            .await?;
        manager
            .create_index(index("telemetry_by_order", "telemetry_window", &order))
            .await
    }
}

/// Adds roll-ups of windows.
pub struct Rollups;

impl MigrationName for Rollups {
    fn name(&self) -> &'static str {
        "m0022_rollup"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Rollups {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [rollup(), device_day(), rollup_position()] {
            manager.create_table(table).await?;
        }
        let by_age = index("device_day_by_age", "device_day", &["workspace", "start"]);
        manager.create_index(by_age).await
    }
}

/// Adds in which order labels came.
pub struct LabelPlaces;

impl MigrationName for LabelPlaces {
    fn name(&self) -> &'static str {
        "m0023_label_place"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LabelPlaces {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let place = number("place").default(0).take();
        add_column(manager, "label", place).await?;
        let order = index("label_by_order", "label", &["workspace", "place"]);
        manager.create_index(order).await
    }
}

/// Adds what metrics that bundles declare came to.
pub struct Metrics;

impl MigrationName for Metrics {
    fn name(&self) -> &'static str {
        "m0031_metric_total"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Metrics {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(metric_total()).await
    }
}

/// Adds where the windows of a device are.
pub struct ByDevice;

impl MigrationName for ByDevice {
    fn name(&self) -> &'static str {
        "m0050_window_by_device"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for ByDevice {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_device = ["workspace", "device", "closed"];
        let by_device = index("telemetry_by_device", "telemetry_window", &by_device);
        manager.create_index(by_device).await
    }
}

/// What metrics of a version came to since it was published, over all devices; the body is a list of them, as CBOR.
fn metric_total() -> TableCreateStatement {
    table("metric_total")
        .col(text("model"))
        .col(number("version"))
        .col(bytes("body"))
        .primary_key(&mut key(&["workspace", "model", "version"]))
        .to_owned()
}

/// Windows of a stretch of time, by what they have in common; the body is all of them merged, as CBOR.
fn rollup() -> TableCreateStatement {
    table("rollup")
        .col(number("level"))
        .col(number("start"))
        .col(text("slot"))
        .col(text("model"))
        .col(number("version"))
        .col(text("site"))
        .col(text("arm"))
        .col(number("windows"))
        .col(number("inferences"))
        .col(number("errors"))
        .col(bytes("body"))
        .primary_key(&mut key(&[
            "workspace",
            "level",
            "start",
            "slot",
            "model",
            "version",
            "site",
            "arm",
        ]))
        .to_owned()
}

/// Windows of a device's day, without what they say of inputs.
fn device_day() -> TableCreateStatement {
    table("device_day")
        .col(text("device"))
        .col(number("start"))
        .col(text("slot"))
        .col(text("model"))
        .col(number("version"))
        .col(number("windows"))
        .col(number("inferences"))
        .col(number("errors"))
        .col(bytes("body"))
        .primary_key(&mut key(&[
            "workspace",
            "device",
            "start",
            "slot",
            "model",
            "version",
        ]))
        .to_owned()
}

/// The last window that was rolled up.
fn rollup_position() -> TableCreateStatement {
    table("rollup_position")
        .col(number("last"))
        .primary_key(&mut key(&["workspace"]))
        .to_owned()
}

pub(super) fn table(name: &'static str) -> TableCreateStatement {
    Table::create()
        .table(name)
        .if_not_exists()
        .col(ColumnDef::new("workspace").text().not_null())
        .to_owned()
}

pub(super) fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().to_owned()
}

pub(super) fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().to_owned()
}

fn real(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).double().not_null().to_owned()
}

pub(super) fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().to_owned()
}

pub(super) fn id() -> ColumnDef {
    ColumnDef::new("id")
        .big_integer()
        .not_null()
        .auto_increment()
        .primary_key()
        .to_owned()
}

/// One row a window; what charts sum up stands beside the body, which is the window as CBOR.
fn window() -> TableCreateStatement {
    table("telemetry_window")
        .col(id())
        .col(text("device"))
        .col(number("outbox"))
        .col(number("sequence"))
        .col(text("slot"))
        .col(text("model"))
        .col(number("version"))
        .col(text("site"))
        .col(number("opened"))
        .col(number("closed"))
        .col(number("inferences"))
        .col(number("errors"))
        .col(bytes("body"))
        .to_owned()
}

/// One row a window of a shadow; the body is the window as CBOR.
fn shadow_window() -> TableCreateStatement {
    table("shadow_window")
        .col(id())
        .col(text("device"))
        .col(text("slot"))
        .col(text("model"))
        .col(number("version"))
        .col(number("live_version"))
        .col(text("site"))
        .col(number("opened"))
        .col(number("closed"))
        .col(number("compared"))
        .col(number("agreed"))
        .col(number("errors"))
        .col(number("skipped"))
        .col(bytes("body"))
        .to_owned()
}

/// One row a captured input.
fn capture() -> TableCreateStatement {
    table("capture")
        .col(id())
        .col(text("device"))
        .col(number("boot"))
        .col(number("number"))
        .col(text("site"))
        .col(text("slot"))
        .col(text("model"))
        .col(number("version"))
        .col(number("at"))
        .col(number("class"))
        .col(real("confidence"))
        .col(real("probability"))
        .col(bytes("input"))
        .to_owned()
}

/// One row a prediction whose truth is known.
fn label() -> TableCreateStatement {
    table("label")
        .col(text("device"))
        .col(number("boot"))
        .col(number("number"))
        .col(text("site"))
        .col(text("slot"))
        .col(text("model"))
        .col(number("version"))
        .col(number("predicted_at"))
        .col(number("class"))
        .col(number("truth"))
        .col(real("probability"))
        .primary_key(
            Index::create()
                .col("workspace")
                .col("device")
                .col("boot")
                .col("number"),
        )
        .to_owned()
}

/// The last entry stored of each outbox.
fn position() -> TableCreateStatement {
    table("outbox_position")
        .col(text("device"))
        .col(number("outbox"))
        .col(number("last"))
        .primary_key(Index::create().col("workspace").col("device").col("outbox"))
        .to_owned()
}

/// Totals of a workspace, changed in the same transaction as the rows that they count.
fn tally() -> TableCreateStatement {
    table("tally")
        .col(number("inferences"))
        .col(number("windows"))
        .col(number("captures"))
        .col(number("labels"))
        .primary_key(Index::create().col("workspace"))
        .to_owned()
}

fn indices() -> [IndexCreateStatement; 4] {
    let prediction = ["workspace", "device", "boot", "number"];
    [
        index(
            "telemetry_by_time",
            "telemetry_window",
            &["workspace", "closed"],
        ),
        index("capture_by_prediction", "capture", &prediction)
            .unique()
            .to_owned(),
        index("capture_by_model", "capture", &["workspace", "model", "id"]),
        index(
            "label_by_time",
            "label",
            &["workspace", "model", "predicted_at"],
        ),
    ]
}

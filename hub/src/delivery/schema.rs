//! Tables of what was delivered.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, text},
};

use crate::store::schema::{index, key, table};

/// Makes the tables.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0016_delivery"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // What moved of each part of each version, ever. Signed metadata are one row without a version
        // and a blob: there is a new one with every change. The digest here keeps no blob from being
        // collected: this is history.
        let delivery = table("delivery")
            .col(text("workspace"))
            .col(text("model"))
            .col(big_integer("version"))
            .col(text("blob"))
            .col(text("part"))
            .col(big_integer("len"))
            .col(big_integer("began"))
            .col(big_integer("latest"))
            .col(big_integer("published"))
            .col(big_integer("repeated"))
            .col(big_integer("chunks"))
            .col(big_integer("chunks_repeated"))
            .col(big_integer("downloaded"))
            .col(big_integer("taken"))
            .col(big_integer("spared"))
            .col(big_integer("devices_asked"))
            .col(big_integer("devices_done"))
            .primary_key(&mut key(&["workspace", "model", "version", "blob"]))
            .take();
        // What each device lacked of a part when it first asked, until it has all of the version.
        let device = table("delivery_device")
            .col(text("workspace"))
            .col(text("device"))
            .col(text("blob"))
            .col(text("model"))
            .col(big_integer("version"))
            .col(big_integer("asked"))
            .col(big_integer("lacked"))
            .col(big_integer("lacks"))
            .col(big_integer("downloaded"))
            .primary_key(&mut key(&["workspace", "device", "blob"]))
            .take();
        manager.create_table(delivery).await?;
        manager.create_table(device).await?;
        let latest = ["workspace", "latest"];
        let version = ["workspace", "model", "version"];
        manager
            .create_index(index("delivery_by_time", "delivery", &latest))
            .await?;
        let by_version = index("delivery_device_by_version", "delivery_device", &version);
        manager.create_index(by_version).await
    }
}

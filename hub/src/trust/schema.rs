//! Tables of the signed metadata: the documents, and the keys that the hub holds.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, binary, text},
};

use crate::store::schema::{key, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0010_trust"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `role` as the specification names it, or a draft of it. Of roots all versions are kept, of the
        // others the one in effect.
        let document = table("trust_document")
            .col(text("workspace"))
            .col(text("role"))
            .col(big_integer("version"))
            .col(text("digest"))
            .col(binary("bytes"))
            .primary_key(&mut key(&["workspace", "role", "version"]))
            .take();
        manager.create_table(document).await?;
        // PKCS #8. The database is closed to others, and backups are encrypted.
        let held = table("trust_key")
            .col(text("workspace"))
            .col(text("use"))
            .col(binary("pkcs8"))
            .primary_key(&mut key(&["workspace", "use"]))
            .take();
        manager.create_table(held).await
    }
}

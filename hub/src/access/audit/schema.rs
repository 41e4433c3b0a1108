//! Tables of the audit log.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, blob, blob_null, integer, text, text_null},
};

use crate::store::schema::{index, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0006_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let audit = table("audit")
            .col(big_integer("seq").primary_key())
            .col(big_integer("at"))
            .col(text_null("workspace"))
            .col(text("actor"))
            .col(text_null("address"))
            .col(text("action"))
            .col(text("subject"))
            .col(blob_null("was"))
            .col(blob_null("became"))
            .col(text("detail"))
            .col(blob("hash"))
            .take();
        manager.create_table(audit).await?;
        let head = table("audit_head")
            .col(integer("id").primary_key())
            .col(big_integer("seq"))
            .col(blob("hash"))
            .take();
        manager.create_table(head).await?;
        let by_workspace = index("audit_by_workspace", "audit", &["workspace", "seq"]);
        manager.create_index(by_workspace).await
    }
}

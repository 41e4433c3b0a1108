//! What makes the audit log answer who did something about one thing.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, prelude::DbErr,
};

use crate::store::schema::index;

/// Makes it.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0051_lineage"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_subject = index("audit_by_subject", "audit", &["workspace", "subject"]);
        manager.create_index(by_subject).await
    }
}

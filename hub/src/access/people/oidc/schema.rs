//! Table of who is who at an OpenID provider.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::text,
    sea_query::{Index, Table},
};

/// Makes it.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0009_oidc"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("oidc_subject")
            .if_not_exists()
            .col(text("issuer"))
            .col(text("subject"))
            .col(text("user"))
            .primary_key(Index::create().col("issuer").col("subject"))
            .take();
        manager.create_table(table).await?;
        // One account is one person.
        let index = Index::create()
            .name("oidc_subject_by_user")
            .table("oidc_subject")
            .col("user")
            .unique()
            .if_not_exists()
            .take();
        manager.create_index(index).await
    }
}

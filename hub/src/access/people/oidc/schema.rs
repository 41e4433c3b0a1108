//! Table of who is who at an OpenID provider.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, prelude::DbErr, schema::text,
};

use crate::store::schema::{index, key, table};

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
        let subject = table("oidc_subject")
            .col(text("issuer"))
            .col(text("subject"))
            .col(text("user"))
            .primary_key(&mut key(&["issuer", "subject"]))
            .take();
        manager.create_table(subject).await?;
        // One account is one person.
        let by_user = index("oidc_subject_by_user", "oidc_subject", &["user"])
            .unique()
            .take();
        manager.create_index(by_user).await
    }
}

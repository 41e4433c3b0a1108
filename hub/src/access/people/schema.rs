//! Tables of people.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, big_integer_null, big_pk_auto, blob, boolean, text, text_null},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{index, key, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0008_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            account(),
            membership(),
            session(),
            token(),
            link(),
            recovery(),
        ] {
            manager.create_table(table).await?;
        }
        for index in [
            index(
                "membership_by_workspace",
                "membership",
                &["workspace", "user"],
            ),
            index("token_by_hash", "api_token", &["hash", "id"]),
            index("token_by_workspace", "api_token", &["workspace", "id"]),
            index("session_by_user", "session", &["user", "hash"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// `login`: invited, password or oidc. `factor_step` is the last step whose code was used.
fn account() -> TableCreateStatement {
    table("account")
        .col(text("name").primary_key())
        .col(boolean("hub_admin"))
        .col(boolean("enabled"))
        .col(text("login"))
        .col(text_null("password"))
        .col(text_null("factor"))
        .col(text_null("factor_pending"))
        .col(big_integer("factor_step"))
        .col(big_integer("created_at"))
        .col(big_integer_null("last_login_at"))
        .take()
}

fn membership() -> TableCreateStatement {
    table("membership")
        .col(text("user"))
        .col(text("workspace"))
        .col(text("role"))
        .primary_key(&mut key(&["user", "workspace"]))
        .take()
}

fn session() -> TableCreateStatement {
    table("session")
        .col(blob("hash").primary_key())
        .col(text("user"))
        .col(big_integer("created_at"))
        .col(big_integer("seen_at"))
        .take()
}

fn token() -> TableCreateStatement {
    table("api_token")
        .col(big_pk_auto("id"))
        .col(blob("hash"))
        .col(text("name"))
        .col(text("user"))
        .col(text("workspace"))
        .col(text("role"))
        .col(boolean("hub"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("last_used_at"))
        .col(big_integer_null("revoked_at"))
        .take()
}

/// Without a user it makes the first account.
fn link() -> TableCreateStatement {
    table("setup_link")
        .col(blob("hash").primary_key())
        .col(text_null("user"))
        .col(big_integer("expires_at"))
        .take()
}

fn recovery() -> TableCreateStatement {
    table("recovery_code")
        .col(text("user"))
        .col(blob("hash"))
        .primary_key(&mut key(&["user", "hash"]))
        .take()
}

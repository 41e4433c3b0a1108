//! Tables of notices.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, big_integer_null, big_pk_auto, boolean, text, text_null},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{index, key, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0019_notify"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [subscription(), notification(), told()] {
            manager.create_table(table).await?;
        }
        let mut once = index(
            "notification_once",
            "notification",
            &["subscription", "same"],
        );
        for index in [
            index(
                "notify_subscription_by_workspace",
                "notify_subscription",
                &["workspace", "id"],
            ),
            once.unique().take(),
            index(
                "notification_by_state",
                "notification",
                &["state", "subscription", "due_at"],
            ),
            index(
                "notification_by_workspace",
                "notification",
                &["workspace", "id"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// Adds what Alertmanagers were told.
pub struct Alertmanagers;

impl MigrationName for Alertmanagers {
    fn name(&self) -> &'static str {
        "m0034_alertmanager"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Alertmanagers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(alertmanager()).await
    }
}

/// What an Alertmanager took last (a digest of it) and when, and since how many attempts it takes nothing.
fn alertmanager() -> TableCreateStatement {
    table("alertmanager")
        .col(big_integer("subscription"))
        .col(text_null("took"))
        .col(big_integer_null("sent_at"))
        .col(big_integer("attempts"))
        .col(big_integer("due_at"))
        .col(text_null("error"))
        .primary_key(&mut key(&["subscription"]))
        .take()
}

/// `url` and `secret` of webhooks are secrets; `addresses` and `notices` are lists, apart by commas.
/// `plain`: plain HTTP may go to other machines.
fn subscription() -> TableCreateStatement {
    table("notify_subscription")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(text("kind"))
        .col(text("name"))
        .col(text_null("url"))
        .col(text_null("secret"))
        .col(boolean("plain"))
        .col(text("addresses"))
        .col(text("notices"))
        .col(text("created_by"))
        .col(big_integer("created_at"))
        .col(big_integer("dropped"))
        .take()
}

/// The outbox: a notice for one subscription each. `name` is what receivers know it by, `same` what makes a
/// notice the same as an earlier one. `state`: waiting, sent or failed.
fn notification() -> TableCreateStatement {
    table("notification")
        .col(big_pk_auto("id"))
        .col(text("name"))
        .col(text("workspace"))
        .col(big_integer("subscription"))
        .col(text("same"))
        .col(text("kind"))
        .col(text("subject"))
        .col(text("text"))
        .col(text("path"))
        .col(big_integer("at"))
        .col(text("state"))
        .col(big_integer("attempts"))
        .col(big_integer("due_at"))
        .col(big_integer_null("finished_at"))
        .col(text_null("error"))
        .take()
}

/// What needs a person and was told to a subscription; `gone_at` since when it does not any more.
fn told() -> TableCreateStatement {
    table("notify_told")
        .col(big_integer("subscription"))
        .col(text("item"))
        .col(big_integer_null("gone_at"))
        .primary_key(&mut key(&["subscription", "item"]))
        .take()
}

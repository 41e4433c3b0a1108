//! Tables of alerts.

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
        "m0033_alert"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [rule(), alert(), event(), silence()] {
            manager.create_table(table).await?;
        }
        for index in [
            index("alert_by_state", "alert", &["workspace", "state", "id"]),
            index(
                "alert_by_group",
                "alert",
                &["workspace", "rule", "grp", "id"],
            ),
            index("alert_by_order", "alert", &["workspace", "id"]),
            index("alert_event_by_alert", "alert_event", &["alert", "id"]),
            index(
                "alert_silence_by_end",
                "alert_silence",
                &["workspace", "until"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// Rules that were made or changed in a workspace; `body` is the rule as JSON.
fn rule() -> TableCreateStatement {
    table("alert_rule")
        .col(text("workspace"))
        .col(text("name"))
        .col(text("body"))
        .col(big_integer("updated"))
        .col(text("actor"))
        .primary_key(&mut key(&["workspace", "name"]))
        .take()
}

/// One row an alert. `grp` is what the rule judges by itself; `condition` a digest of what it asked; `said` whether
/// somebody was told of this one, `told` when somebody was last told of its group; `body` what it stands on, as JSON,
/// as of `written`. `model` and `site` are empty where an alert is of
/// none.
fn alert() -> TableCreateStatement {
    table("alert")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(text("rule"))
        .col(text("grp"))
        .col(text("severity"))
        .col(text("model"))
        .col(text("site"))
        .col(text("state"))
        .col(text("condition"))
        .col(big_integer("since"))
        .col(big_integer_null("fired"))
        .col(big_integer_null("resolved"))
        .col(text_null("ended"))
        .col(big_integer_null("well"))
        .col(big_integer_null("unknown"))
        .col(big_integer_null("told"))
        .col(boolean("said"))
        .col(text_null("acked_by"))
        .col(big_integer_null("acked_at"))
        .col(text_null("ack_comment"))
        .col(text("body"))
        .col(big_integer("written"))
        .take()
}

/// What happened to an alert.
fn event() -> TableCreateStatement {
    table("alert_event")
        .col(big_pk_auto("id"))
        .col(big_integer("alert"))
        .col(big_integer("at"))
        .col(text("what"))
        .col(text("text"))
        .take()
}

/// Silences; `matchers` as a JSON list of texts. One that was ended ends then.
fn silence() -> TableCreateStatement {
    table("alert_silence")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(text("matchers"))
        .col(big_integer("begins"))
        .col(big_integer("until"))
        .col(text("actor"))
        .col(text("comment"))
        .take()
}

//! Tables of retraining.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::DbErr,
    schema::{big_integer, big_integer_null, big_pk_auto, blob, blob_null, boolean, text},
    sea_query::TableCreateStatement,
};

use crate::store::schema::{index, key, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0047_retrain"
    }
}

/// What names a piece of work, a question or a word of a round.
const KEY: [&str; 5] = ["workspace", "model", "round", "step", "attempt"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            policy(),
            training(),
            asked(),
            state(),
            work(),
            challenger(),
            question(),
            word(),
            lesson(),
            rollout(),
        ] {
            manager.create_table(table).await?;
        }
        let unique = index("retrain_question_by_key", "retrain_question", &KEY);
        for index in [
            unique.clone().unique().take(),
            index(
                "retrain_question_newest",
                "retrain_question",
                &["workspace", "id"],
            ),
            index(
                "retrain_word_by_round",
                "retrain_word",
                &["workspace", "model", "round"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// Policies as they were written (`text`) and as they were read (`body`, JSON).
fn policy() -> TableCreateStatement {
    table("retrain_policy")
        .col(text("workspace"))
        .col(text("model"))
        .col(text("text"))
        .col(text("body"))
        .col(big_integer("updated"))
        .col(text("actor"))
        .primary_key(&mut key(&["workspace", "model"]))
        .take()
}

/// Jobs that are kept to train challengers by; `body` is the job as JSON, encrypted as captures are.
fn training() -> TableCreateStatement {
    table("retrain_training")
        .col(text("workspace"))
        .col(text("name"))
        .col(blob("body"))
        .col(big_integer("updated"))
        .col(text("actor"))
        .primary_key(&mut key(&["workspace", "name"]))
        .take()
}

/// The round that somebody asked for.
fn asked() -> TableCreateStatement {
    table("retrain_asked")
        .col(text("workspace"))
        .col(text("model"))
        .col(big_integer("round"))
        .col(text("person"))
        .col(big_integer("at"))
        .col(text("note"))
        .primary_key(&mut key(&["workspace", "model"]))
        .take()
}

/// What is remembered of each model, as CBOR (`tern_retrain::Loop`).
fn state() -> TableCreateStatement {
    table("retrain_state")
        .col(text("workspace"))
        .col(text("model"))
        .col(blob("body"))
        .primary_key(&mut key(&["workspace", "model"]))
        .take()
}

/// What rounds ordered, and what came of it. `number` is that of the dataset, job, version or rollout; `body` what it
/// gave, as CBOR; `settled` once nothing runs under the key any more.
fn work() -> TableCreateStatement {
    table("retrain_work")
        .col(text("workspace"))
        .col(text("model"))
        .col(big_integer("round"))
        .col(text("step"))
        .col(big_integer("attempt"))
        .col(big_integer("at"))
        .col(text("state"))
        .col(boolean("settled"))
        .col(big_integer_null("number"))
        .col(blob_null("body"))
        .col(big_integer_null("core_seconds"))
        .col(text("reason"))
        .col(boolean("again"))
        .primary_key(&mut key(&KEY))
        .take()
}

/// What trainings gave: the files of a package as blobs, and what its trainer said of it as JSON. `onnx` is how rounds
/// call it.
fn challenger() -> TableCreateStatement {
    table("retrain_challenger")
        .col(text("workspace"))
        .col(text("model"))
        .col(text("onnx"))
        .col(text("golden"))
        .col(text("reference"))
        .col(text("body"))
        .col(big_integer("at"))
        .primary_key(&mut key(&["workspace", "model", "onnx"]))
        .take()
}

/// What people were asked or told under a key: for labels (`labels`), by a proposal or by a question; `body` as JSON.
fn question() -> TableCreateStatement {
    table("retrain_question")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(text("model"))
        .col(big_integer("round"))
        .col(text("step"))
        .col(big_integer("attempt"))
        .col(big_integer("at"))
        .col(text("body"))
        .take()
}

/// What people said.
fn word() -> TableCreateStatement {
    table("retrain_word")
        .col(big_pk_auto("id"))
        .col(text("workspace"))
        .col(text("model"))
        .col(big_integer("round"))
        .col(text("step"))
        .col(big_integer("attempt"))
        .col(text("person"))
        .col(big_integer("at"))
        .col(text("say"))
        .col(text("note"))
        .take()
}

/// What rounds taught, as CBOR (`tern_retrain::Lesson`).
fn lesson() -> TableCreateStatement {
    table("retrain_lesson")
        .col(text("workspace"))
        .col(text("model"))
        .col(big_integer("round"))
        .col(big_integer("ended"))
        .col(blob("body"))
        .primary_key(&mut key(&["workspace", "model", "round"]))
        .take()
}

/// The rollout that was started under a key of somebody else's.
fn rollout() -> TableCreateStatement {
    table("rollout_key")
        .col(text("workspace"))
        .col(text("key"))
        .col(big_integer("rollout"))
        .primary_key(&mut key(&["workspace", "key"]))
        .take()
}

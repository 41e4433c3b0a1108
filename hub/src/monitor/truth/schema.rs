//! What is kept of labels and captures beside the truth.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ConnectionTrait as _, DbErr},
    sea_query::ColumnDef,
};

use crate::store::schema::add_column;

/// Adds how sure the model was, numbers, where a truth came from and when.
pub struct LabelFacts;

impl MigrationName for LabelFacts {
    fn name(&self) -> &'static str {
        "m0029_label_facts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LabelFacts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["confidence", "predicted", "truth_number", "low", "high"] {
            add_column(manager, "label", ColumnDef::new(name).double().take()).await?;
        }
        let source = ColumnDef::new("source")
            .text()
            .not_null()
            .default("")
            .take();
        add_column(manager, "label", source).await?;
        let at = ColumnDef::new("labelled_at")
            .big_integer()
            .not_null()
            .default(0)
            .take();
        add_column(manager, "label", at).await?;
        // Of labels that were there before, the capture still knows.
        let known = "UPDATE label SET confidence = (SELECT c.confidence FROM capture c \
            WHERE c.workspace = label.workspace AND c.device = label.device AND c.boot = label.boot \
            AND c.number = label.number) WHERE confidence IS NULL AND predicted IS NULL";
        let db = manager.get_connection();
        db.execute_unprepared(known).await.map(|_| ())
    }
}

/// Adds which part a device had in a rollout when it predicted.
pub struct Arms;

impl MigrationName for Arms {
    fn name(&self) -> &'static str {
        "m0036_truth_arm"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Arms {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["capture", "label"] {
            let arm = ColumnDef::new("arm").text().not_null().default("").take();
            add_column(manager, table, arm).await?;
        }
        Ok(())
    }
}

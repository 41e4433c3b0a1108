//! The steps that lead to today's schema, oldest first. Steps are only ever added at the end, and
//! each is safe to run again after it was cut off in the middle.

use sea_orm::DatabaseConnection;
use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    prelude::DbErr,
    sea_query::{ColumnDef, Table},
};

use super::{Doing as _, StoreError};

/// All steps.
pub(super) struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Counters),
            Box::new(crate::fleet::schema::Migration),
            Box::new(crate::rollout::schema::Migration),
            Box::new(crate::registry::schema::Migration),
            Box::new(crate::monitor::schema::Migration),
            Box::new(crate::access::audit::schema::Migration),
            Box::new(crate::access::identity::schema::Migration),
            Box::new(crate::access::people::schema::Migration),
            Box::new(crate::access::people::oidc::schema::Migration),
            Box::new(crate::trust::schema::Migration),
            Box::new(crate::registry::schema::Signing),
            Box::new(crate::access::identity::schema::Certificates),
            Box::new(crate::registry::schema::Declarations),
            Box::new(crate::fleet::schema::Timeline),
            Box::new(crate::rollout::schema::Starter),
            Box::new(crate::delivery::schema::Migration),
            Box::new(crate::deltas::schema::Migration),
            Box::new(crate::monitor::schema::Quarantine),
            Box::new(crate::registry::schema::Transcodings),
            Box::new(crate::notify::schema::Migration),
            Box::new(crate::fleet::schema::Platform),
            Box::new(crate::rollout::schema::Evidence),
            Box::new(crate::monitor::schema::Shadows),
            Box::new(crate::fleet::schema::Shadows),
            Box::new(crate::monitor::schema::Rollups),
            Box::new(crate::monitor::schema::LabelPlaces),
            Box::new(crate::rollout::schema::LabelCursor),
            Box::new(crate::monitor::drift::schema::Migration),
            Box::new(crate::alerts::schema::Migration),
            Box::new(crate::notify::schema::Alertmanagers),
            Box::new(crate::monitor::truth::schema::LabelFacts),
            Box::new(crate::monitor::labelling::schema::Labelling),
            Box::new(crate::monitor::schema::Metrics),
            Box::new(crate::captures::schema::Migration),
            Box::new(crate::captures::schema::Erased),
            Box::new(crate::captures::schema::Numbers),
            Box::new(crate::monitor::truth::schema::Arms),
            Box::new(crate::tracking::schema::Migration),
            Box::new(crate::jobs::schema::Jobs),
            Box::new(crate::jobs::schema::Computes),
            Box::new(crate::jobs::schema::Book),
            Box::new(crate::datasets::schema::Migration),
            Box::new(crate::datasets::schema::Trained),
            Box::new(crate::datasets::schema::Datastores),
            Box::new(crate::retrain::schema::Migration),
            Box::new(crate::lineage::schema::Migration),
            Box::new(crate::monitor::schema::ByDevice),
            Box::new(crate::tracking::schema::Taken),
        ]
    }
}

/// Brings the database that is called so up to date.
pub(super) async fn run(db: &DatabaseConnection, name: &str) -> Result<(), StoreError> {
    refuse_newer(db, name).await?;
    Steps::up(db, None)
        .await
        .doing("bringing the schema up to date")
}

/// Refuses a database that is not up to date.
pub(super) async fn refuse_other(db: &DatabaseConnection, name: &str) -> Result<(), StoreError> {
    refuse_newer(db, name).await?;
    let pending = Steps::get_pending_migrations(db).await;
    let pending = pending.doing("reading the schema's steps")?;
    if pending.is_empty() {
        Ok(())
    } else {
        let database = name.to_owned();
        Err(StoreError::Older { database })
    }
}

/// A step that was applied and is not in the list was applied by a newer hub.
async fn refuse_newer(db: &DatabaseConnection, name: &str) -> Result<(), StoreError> {
    Steps::install(db)
        .await
        .doing("preparing the list of schema steps")?;
    let applied = Steps::get_migration_models(db)
        .await
        .doing("reading the schema's steps")?;
    let known = Steps::migrations();
    let stranger = applied
        .into_iter()
        .find(|step| known.iter().all(|known| known.name() != step.version));
    match stranger {
        None => Ok(()),
        Some(step) => Err(StoreError::Newer {
            database: name.to_owned(),
            step: step.version,
        }),
    }
}

/// The hub's own lasting counters. They belong to the hub, not to a workspace.
struct Counters;

impl MigrationName for Counters {
    fn name(&self) -> &'static str {
        "m0001_counter"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Counters {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("counter")
            .if_not_exists()
            .col(ColumnDef::new("name").text().not_null().primary_key())
            .col(ColumnDef::new("value").big_integer().not_null())
            .to_owned();
        manager.create_table(table).await
    }
}

//! Rows of the rollouts' tables.

/// A rollout.
pub(super) mod rollout {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rollout")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub slot: String,
        pub model: String,
        pub version: i64,
        pub bundle: Vec<u8>,
        pub bundle_len: i64,
        pub weights: Vec<u8>,
        pub selector: String,
        pub percent: i64,
        pub state: String,
        pub moved: Option<String>,
        pub reason: String,
        pub counts: String,
        pub created: i64,
        pub updated: i64,
        pub actor: Option<String>,
        pub plan: Option<String>,
        pub precedence: i64,
        pub stage: Option<i64>,
        pub bytes: i64,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A device that a rollout moved.
pub(super) mod moved {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rollout_device")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub rollout: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub device: String,
        pub before_model: Option<String>,
        pub before_version: Option<i64>,
        pub before_bundle: Option<Vec<u8>>,
        pub before_len: Option<i64>,
        pub before_weights: Option<Vec<u8>>,
        pub before_rollout: Option<i64>,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

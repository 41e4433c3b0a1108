//! Rows of the fleet's tables as the database holds them, apart from what the domain calls them.

/// A device.
pub mod device {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "device")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub site: String,
        pub labels: String,
        pub online: bool,
        pub boot: i64,
        pub health: String,
        pub health_reason: String,
        pub first_seen: i64,
        pub last_seen: i64,
        pub reported: Option<Vec<u8>>,
        pub reported_revision: i64,
        pub desired_revision: i64,
        pub inferences: i64,
        pub windows: i64,
        pub platform: Option<String>,
        pub erased: Option<i64>,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A label of a device.
pub mod label {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "device_label")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub device: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub value: String,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A slot of a device.
pub mod slot {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, Default, DeriveEntityModel)]
    #[sea_orm(table_name = "slot")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub device: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub slot: String,
        pub assigned_model: Option<String>,
        pub assigned_version: Option<i64>,
        pub assigned_bundle: Option<Vec<u8>>,
        pub assigned_len: Option<i64>,
        pub assigned_weights: Option<Vec<u8>>,
        pub assigned_rollout: Option<i64>,
        pub serving_model: Option<String>,
        pub serving_version: Option<i64>,
        pub serving_bundle: Option<Vec<u8>>,
        pub serving_weights: Option<Vec<u8>>,
        pub progress_bundle: Option<Vec<u8>>,
        pub progress_bytes: Option<i64>,
        pub progress_total: Option<i64>,
        pub rejected_bundle: Option<Vec<u8>>,
        pub rejected_text: Option<String>,
        pub progress_phase: Option<String>,
        pub serving_confirmed: bool,
        pub serving_revoked: Option<String>,
        pub shadow_model: Option<String>,
        pub shadow_version: Option<i64>,
        pub shadow_bundle: Option<Vec<u8>>,
        pub shadow_len: Option<i64>,
        pub shadow_weights: Option<Vec<u8>>,
        pub shadow_rollout: Option<i64>,
        pub shadow_permille: Option<i64>,
        pub shadow_phase: Option<String>,
        pub shadow_text: Option<String>,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An event of a device.
pub mod event {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "event")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub workspace: String,
        pub device: String,
        pub at: i64,
        pub kind: String,
        pub slot: Option<String>,
        pub model: Option<String>,
        pub version: Option<i64>,
        pub text: String,
        pub rollout: Option<i64>,
        pub actor: Option<String>,
        pub since: Option<i64>,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// When a boot of a device began.
pub mod anchor {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "anchor")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub device: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub boot: i64,
        pub zero: i64,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

//! Rows of deltas.

/// A delta.
pub mod delta {
    use sea_orm::entity::prelude::*;

    /// One row of `delta`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "delta")]
    pub struct Model {
        /// Its workspace.
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub workspace: String,
        /// The model.
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub model: String,
        /// The version that it makes.
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        /// The version that it starts from.
        #[sea_orm(primary_key, auto_increment = false)]
        pub base: i64,
        /// Digest of the ONNX file that it makes.
        #[sea_orm(column_type = "Text")]
        pub onnx: String,
        /// Length of that in bytes.
        pub onnx_len: i64,
        /// Digest of the ONNX file that it starts from.
        #[sea_orm(column_type = "Text")]
        pub base_onnx: String,
        /// Length of that in bytes.
        pub base_len: i64,
        /// When the version was published, milliseconds since 1970.
        pub created: i64,
        /// What became of it, as the API spells it.
        #[sea_orm(column_type = "Text")]
        pub state: String,
        /// Why it is not there.
        #[sea_orm(column_type = "Text")]
        pub reason: String,
        /// How often computing it was begun.
        pub attempts: i64,
        /// Digest of the delta, once there is one.
        #[sea_orm(column_type = "Text", nullable)]
        pub digest: Option<String>,
        /// Its length in bytes, once it was computed.
        pub len: Option<i64>,
        /// How long computing it took, in milliseconds.
        pub took_ms: Option<i64>,
    }

    /// None: deltas are found by version.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

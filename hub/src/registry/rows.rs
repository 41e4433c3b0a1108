//! Rows of the registry. Structured facts are JSON text: nothing queries inside them.

/// A model.
pub mod model {
    use sea_orm::entity::prelude::*;

    /// One row of `model`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "model")]
    pub struct Model {
        /// Its workspace.
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub workspace: String,
        /// Its name.
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub name: String,
        /// When its first version was published, milliseconds since 1970.
        pub created: i64,
        /// The highest version number ever given.
        pub last_version: i64,
    }

    /// None: versions are found by name.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A version of a model.
pub mod version {
    use sea_orm::entity::prelude::*;

    /// One row of `model_version`.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "model_version")]
    pub struct Model {
        /// Its workspace.
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub workspace: String,
        /// Its model.
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub model: String,
        /// Its number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        /// When it was published, milliseconds since 1970.
        pub created: i64,
        /// Digest of the manifest.
        #[sea_orm(column_type = "Text")]
        pub bundle: String,
        /// Length of the manifest in bytes.
        pub bundle_len: i64,
        /// Digest of the ONNX file.
        #[sea_orm(column_type = "Text")]
        pub onnx: String,
        /// Length of the ONNX file in bytes.
        pub onnx_len: i64,
        /// Digest of the golden samples.
        #[sea_orm(column_type = "Text")]
        pub golden: String,
        /// Digest of the reference profile; empty for none.
        #[sea_orm(column_type = "Text")]
        pub reference: String,
        /// Bytes that a device fetches.
        pub total_bytes: i64,
        /// Inputs, JSON of `Vec<TensorSpec>`.
        #[sea_orm(column_type = "Text")]
        pub inputs: String,
        /// Outputs, JSON of `Vec<TensorSpec>`.
        #[sea_orm(column_type = "Text")]
        pub outputs: String,
        /// Class names, JSON of `Vec<String>`.
        #[sea_orm(column_type = "Text")]
        pub classes: String,
        /// What is new.
        #[sea_orm(column_type = "Text")]
        pub note: String,
        /// Accuracy on the trainer's validation part.
        pub validation_accuracy: Option<f64>,
        /// What vetting measured, JSON of `Vetting`.
        #[sea_orm(column_type = "Text")]
        pub vetting: String,
        /// Whether the signed metadata in effect list it.
        pub signed: bool,
        /// Why it is revoked.
        #[sea_orm(column_type = "Text", nullable)]
        pub revoked: Option<String>,
        /// When that was decided, milliseconds since 1970.
        pub revoked_at: Option<i64>,
        /// The version that devices get instead.
        pub replacement: Option<i64>,
        /// Steps, the oldest agent and metrics, JSON of `Declared`; empty for none.
        #[sea_orm(column_type = "Text")]
        pub declared: String,
        /// What vetting measured on each class of target, JSON of `Vec<Measured>`.
        #[sea_orm(column_type = "Text")]
        pub measured: String,
        /// Versions that a delta may start from, JSON of `Vec<Base>`.
        #[sea_orm(column_type = "Text")]
        pub bases: String,
        /// What it is another form of, JSON of `Transcoded`; empty for nothing.
        #[sea_orm(column_type = "Text")]
        pub transcoded: String,
    }

    /// None: versions are found by model and number.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

//! Rows of the delivery's tables.

/// What moved of a part of a version.
pub(super) mod delivery {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "delivery")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub model: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub blob: String,
        pub part: String,
        pub len: i64,
        pub began: i64,
        pub latest: i64,
        pub published: i64,
        pub repeated: i64,
        pub chunks: i64,
        pub chunks_repeated: i64,
        pub downloaded: i64,
        pub taken: i64,
        pub spared: i64,
        pub devices_asked: i64,
        pub devices_done: i64,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a device lacked of a part.
pub(super) mod device {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "delivery_device")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub workspace: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub device: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub blob: String,
        pub model: String,
        pub version: i64,
        /// When the device first asked.
        pub asked: i64,
        /// The most that it lacked.
        pub lacked: i64,
        /// What it lacked when it last asked; below zero: it only downloads.
        pub lacks: i64,
        pub downloaded: i64,
    }

    impl Model {
        /// What the device took so far, as far as it told.
        pub fn taken(&self) -> i64 {
            let by_wants = match self.lacks {
                ..0 => 0,
                lacks => self.lacked.saturating_sub(lacks),
            };
            Ord::max(by_wants, self.downloaded)
        }

        /// What of it came by HTTPS when it has all.
        pub fn of_it_downloaded(&self) -> i64 {
            Ord::min(self.downloaded, self.whole())
        }

        /// What it has taken when it has all.
        pub fn whole(&self) -> i64 {
            Ord::max(self.lacked, self.downloaded)
        }
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

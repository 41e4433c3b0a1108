//! Rows of the tables as the database holds them, and what they mean.

use std::collections::BTreeMap;

use tern_protocol::{
    digest::Digest,
    id::{IdentityId, InvitationId},
    rest::{CertificateView, IdentityState, IdentityView, InvitationView},
    time::WallTime,
};

use crate::store::{StoreError, parsed};

/// An invitation.
pub mod invitation {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "invitation")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub workspace: String,
        pub secret: Vec<u8>,
        pub site: Option<String>,
        pub labels: String,
        pub device: Option<String>,
        pub hardware_id: Option<String>,
        pub uses: i64,
        pub used: i64,
        pub approval: bool,
        pub created_by: String,
        pub created_at: i64,
        pub expires_at: i64,
        pub revoked_at: Option<i64>,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// An identity.
pub mod identity {
    use sea_orm::entity::prelude::*;

    #[allow(missing_docs, reason = "columns are explained at the table")]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "identity")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub workspace: String,
        pub device: String,
        pub key: Vec<u8>,
        pub state: String,
        pub reason: String,
        pub hardware_id: Option<String>,
        pub site: Option<String>,
        pub labels: String,
        pub invitation: i64,
        pub joined_at: i64,
        pub joined_from: String,
        pub serial: Option<String>,
        pub authority: Option<String>,
        pub not_before: Option<i64>,
        pub not_after: Option<i64>,
        pub certificate: Option<String>,
    }

    /// None: rows are joined by hand where they are read.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A state as the database spells it.
pub(super) const fn state_text(state: IdentityState) -> &'static str {
    match state {
        IdentityState::Pending => "pending",
        IdentityState::Active => "active",
        IdentityState::Superseded => "superseded",
        IdentityState::Rejected => "rejected",
        IdentityState::Revoked => "revoked",
    }
}

/// A state from the database.
pub(super) fn state_of(row: &identity::Model) -> Result<IdentityState, StoreError> {
    let all = [
        IdentityState::Pending,
        IdentityState::Active,
        IdentityState::Superseded,
        IdentityState::Rejected,
        IdentityState::Revoked,
    ];
    let found = all
        .into_iter()
        .find(|state| state_text(*state) == row.state);
    found.ok_or_else(|| StoreError::Value {
        what: "state of an identity",
        value: row.state.chars().take(80).collect(),
    })
}

/// Labels as one column.
pub(super) fn labels_text(labels: &BTreeMap<String, String>) -> String {
    serde_json::to_string(labels).expect("a map of texts is JSON")
}

/// Labels from their column.
pub(super) fn labels_of(text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Value {
        what: "labels of an identity",
        value: text.chars().take(80).collect(),
    })
}

/// A digest from its column.
pub(super) fn digest_of(bytes: &[u8]) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Value {
        what: "digest of a key",
        value: format!("{} bytes", bytes.len()),
    })?;
    Ok(Digest::from_bytes(bytes))
}

fn optional<T: std::str::FromStr>(
    what: &'static str,
    text: Option<&String>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| parsed(what, text)).transpose()
}

/// An invitation as it may be seen.
pub(super) fn invitation_view(row: &invitation::Model) -> Result<InvitationView, StoreError> {
    Ok(InvitationView {
        id: InvitationId(row.id as u64),
        site: optional("site", row.site.as_ref())?,
        labels: labels_of(&row.labels)?,
        device: optional("device id", row.device.as_ref())?,
        hardware_id: row.hardware_id.clone(),
        uses: row.uses as u32,
        used: row.used as u32,
        approval: row.approval,
        created_by: row.created_by.clone(),
        created_at: WallTime(row.created_at),
        expires_at: WallTime(row.expires_at),
        revoked_at: row.revoked_at.map(WallTime),
    })
}

/// An identity as it may be seen; `replaces` is for who knows.
pub(super) fn identity_view(row: &identity::Model) -> Result<IdentityView, StoreError> {
    let certificate = match (&row.serial, &row.authority, row.not_before, row.not_after) {
        (Some(serial), Some(authority), Some(not_before), Some(not_after)) => {
            Some(CertificateView {
                serial: serial.clone(),
                authority: authority.clone(),
                not_before: WallTime(not_before),
                not_after: WallTime(not_after),
            })
        }
        _ => None,
    };
    Ok(IdentityView {
        id: IdentityId(row.id as u64),
        device: parsed("device id", &row.device)?,
        state: state_of(row)?,
        reason: row.reason.clone(),
        key: digest_of(&row.key)?,
        hardware_id: row.hardware_id.clone(),
        site: optional("site", row.site.as_ref())?,
        labels: labels_of(&row.labels)?,
        invitation: InvitationId(row.invitation as u64),
        joined_at: WallTime(row.joined_at),
        joined_from: row.joined_from.clone(),
        certificate,
        replaces: None,
    })
}

//! Tables of invitations and identities.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait,
    prelude::{ConnectionTrait as _, DbErr},
    schema::{big_integer, big_integer_null, big_pk_auto, blob_uniq, boolean, text, text_null},
};

use crate::store::schema::{index, key, table};

/// Makes them.
pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0007_identity"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let invitation = table("invitation")
            .col(big_pk_auto("id"))
            .col(text("workspace"))
            // SHA-256 of the secret: the secret itself is with whoever was invited.
            .col(blob_uniq("secret"))
            .col(text_null("site"))
            .col(text("labels"))
            .col(text_null("device"))
            .col(text_null("hardware_id"))
            .col(big_integer("uses"))
            .col(big_integer("used"))
            .col(boolean("approval"))
            .col(text("created_by"))
            .col(big_integer("created_at"))
            .col(big_integer("expires_at"))
            .col(big_integer_null("revoked_at"))
            .take();
        manager.create_table(invitation).await?;
        let identity = table("identity")
            .col(big_pk_auto("id"))
            .col(text("workspace"))
            .col(text("device"))
            // A key speaks for one device, for ever.
            .col(blob_uniq("key"))
            .col(text("state"))
            .col(text("reason"))
            .col(text_null("hardware_id"))
            .col(text_null("site"))
            .col(text("labels"))
            .col(big_integer("invitation"))
            .col(big_integer("joined_at"))
            .col(text("joined_from"))
            // The newest certificate, all or none of these.
            .col(text_null("serial"))
            .col(text_null("authority"))
            .col(big_integer_null("not_before"))
            .col(big_integer_null("not_after"))
            .col(text_null("certificate"))
            .take();
        manager.create_table(identity).await?;
        for index in [
            index(
                "invitation_by_workspace",
                "invitation",
                &["workspace", "id"],
            ),
            index("identity_by_workspace", "identity", &["workspace", "id"]),
            index("identity_by_device", "identity", &["workspace", "device"]),
            index(
                "identity_by_hardware",
                "identity",
                &["workspace", "hardware_id"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        // One key at a time speaks for a device, whatever the code above thinks.
        let one = "CREATE UNIQUE INDEX IF NOT EXISTS identity_active ON identity \
                   (workspace, device) WHERE state = 'active'";
        let db = manager.get_connection();
        db.execute_unprepared(one).await.map(|_| ())
    }
}

/// Makes the table of certificates that were issued.
pub struct Certificates;

impl MigrationName for Certificates {
    fn name(&self) -> &'static str {
        "m0012_certificate"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Certificates {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // All that may still be shown: a key has several while it renews, and each has to be on the list
        // of a broker that knows certificates and not keys.
        let certificate = table("certificate")
            .col(text("serial"))
            .col(text("authority"))
            .col(big_integer("identity"))
            .col(big_integer("not_after"))
            .primary_key(&mut key(&["authority", "serial"]))
            .take();
        manager.create_table(certificate).await?;
        let by_identity = index("certificate_by_identity", "certificate", &["identity"]);
        manager.create_index(by_identity).await?;
        let known = "INSERT INTO certificate (serial, authority, identity, not_after) \
                     SELECT serial, authority, id, not_after FROM identity \
                     WHERE serial IS NOT NULL AND authority IS NOT NULL AND not_after IS NOT NULL \
                     ON CONFLICT DO NOTHING";
        let db = manager.get_connection();
        db.execute_unprepared(known).await.map(|_| ())
    }
}

//! Certificates that were issued and have not ended: what a broker has to be told when an identity ends.

use sea_orm::{ConnectionTrait, Statement};
use tern_protocol::time::WallTime;

use crate::{
    access::authority::{Issued, Revoked},
    store::{Doing as _, StoreError},
};

/// Remembers a certificate of an identity, and forgets those of it that have ended.
pub(super) async fn record<C: ConnectionTrait>(
    db: &C,
    identity: i64,
    new: &Issued,
    now: WallTime,
) -> Result<(), StoreError> {
    const DOING: &str = "remembering a certificate";
    let backend = db.get_database_backend();
    let ended = "DELETE FROM certificate WHERE identity = $1 AND not_after <= $2";
    let ended = Statement::from_sql_and_values(backend, ended, [identity.into(), now.0.into()]);
    db.execute_raw(ended).await.doing(DOING)?;
    let insert = "INSERT INTO certificate (serial, authority, identity, not_after) \
                  VALUES ($1, $2, $3, $4)";
    let values = [
        new.serial.as_str().into(),
        new.authority.as_str().into(),
        identity.into(),
        new.not_after.0.into(),
    ];
    let insert = Statement::from_sql_and_values(backend, insert, values);
    db.execute_raw(insert).await.doing(DOING)?;
    Ok(())
}

/// Certificates of identities that may not speak any more, which have not ended by themselves.
pub async fn revoked<C: ConnectionTrait>(
    db: &C,
    now: WallTime,
) -> Result<Vec<Revoked>, StoreError> {
    const DOING: &str = "reading revoked certificates";
    let select = "SELECT c.authority, c.serial FROM certificate c \
                  JOIN identity i ON i.id = c.identity \
                  WHERE i.state NOT IN ('active', 'pending') AND c.not_after > $1 \
                  ORDER BY c.authority, c.serial";
    let select = Statement::from_sql_and_values(db.get_database_backend(), select, [now.0.into()]);
    let rows = db.query_all_raw(select).await.doing(DOING)?;
    let read = rows.iter().map(|row| {
        Ok(Revoked {
            authority: row.try_get("", "authority").doing(DOING)?,
            serial: row.try_get("", "serial").doing(DOING)?,
        })
    });
    read.collect()
}

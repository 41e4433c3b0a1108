//! A device joins, or asks again how it stands.

use std::net::IpAddr;

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, ExprTrait as _, QueryFilter as _, Set, TransactionTrait as _,
    sea_query::Expr,
};
use tern_protocol::{
    digest::Digest,
    id::{DeviceId, IdentityId, WorkspaceId},
    rest::{Credentials, IdentityState, IdentityView, Join, Joined},
    time::WallTime,
};

use super::{
    issued,
    judge::{Asked, Known, Verdict, judge},
    rows::{identity, identity_view, invitation, invitation_view, labels_of, state_text},
};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        authority::{AuthorityError, DeviceKey, Issued, RequestError, common_name},
    },
    app::App,
    broker::external::ExternalError,
    store::{Doing as _, StoreError, parsed},
    trust::{self, TrustError},
};

/// Longest secret that is looked at, in bytes.
const SECRET_MAX: usize = 256;

/// Longest hardware id, in bytes.
pub(super) const HARDWARE_MAX: usize = 256;

/// After how many seconds a pending device asks again.
const AGAIN_IN_S: u32 = 10;

/// Why a device does not get in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No invitation has this secret.
    #[error("the join token is not known here; copy it again, whole, or ask for a new one")]
    Unknown,
    /// The invitation was revoked.
    #[error("the join token was revoked; ask for a new one: `tern device invite`")]
    Revoked,
    /// The invitation is over.
    #[error("the join token has expired; ask for a new one: `tern device invite`")]
    Expired,
    /// The invitation has no uses left.
    #[error("the join token is used up; ask for a new one: `tern device invite --uses N`")]
    UsedUp,
    /// The invitation is for another device.
    #[error("the join token is for another device; set `device` in agent.toml as it was invited")]
    NotThisDevice,
    /// The invitation is for other hardware.
    #[error("the join token is for other hardware than what `hardware_id` in agent.toml says")]
    NotThisHardware,
    /// The key speaks for another device.
    #[error("this key belongs to another device; remove the identity file and join with a new key")]
    OtherDevice,
    /// Nobody joined with this key.
    #[error("this key is not known here; join again: `tern-agent join TOKEN`")]
    UnknownKey,
    /// The certificate expired too long ago.
    #[error(
        "the certificate expired longer ago than `--expired-grace` of the hub allows; \
         remove the identity file and join again: `tern-agent join TOKEN`"
    )]
    TooLate,
    /// Somebody refused the identity.
    #[error("this identity was rejected; ask whoever runs the fleet, and join with a new key")]
    Rejected,
    /// Somebody took the identity's right away.
    #[error("this identity was revoked; ask whoever runs the fleet, and join with a new key")]
    KeyRevoked,
    /// The root that devices pin could not be read.
    #[error("the root of the signed metadata")]
    Trust(#[from] TrustError),
    /// Another key took its place.
    #[error("another key speaks for this device now; join with a new key if this is wrong")]
    Superseded,
    /// The names do not fit into a certificate.
    #[error("workspace and device together are longer than 61 bytes; choose a shorter `device`")]
    Name,
    /// The hardware id is too long.
    #[error("a hardware id has at most 256 bytes")]
    Hardware,
    /// The signing request is not good.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The certificate could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// What vouches for the broker cannot be read.
    #[error(transparent)]
    Broker(#[from] ExternalError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A device joins with an invitation, from an address.
pub async fn join(app: &App, join: &Join, from: Option<IpAddr>) -> Result<Joined, JoinError> {
    let key = DeviceKey::from_request(&join.csr)?;
    if join.secret.len() > SECRET_MAX {
        return Err(JoinError::Unknown);
    }
    let hardware_id = join.hardware_id.as_deref();
    if hardware_id.is_some_and(|id| id.len() > HARDWARE_MAX) {
        return Err(JoinError::Hardware);
    }
    let secret = Digest::of(join.secret.as_bytes());
    let _turn = app.registry.turn().await;
    let txn = begin(app).await?;
    let row = invitation::Entity::find()
        .filter(invitation::Column::Secret.eq(secret.as_bytes().to_vec()))
        .one(&txn)
        .await
        .doing("looking for an invitation")?;
    let row = row.ok_or(JoinError::Unknown)?;
    let workspace: WorkspaceId = parsed("workspace id", &row.workspace)?;
    if common_name(&workspace, &join.device).is_none() {
        return Err(JoinError::Name);
    }
    let asked = Asked {
        device: &join.device,
        key: key.digest(),
        hardware_id,
        now: app.clock.now(),
    };
    let known = known(&txn, &workspace, &asked).await?;
    match judge(&invitation_view(&row)?, &known, &asked)? {
        Verdict::Again(id, _) => {
            let row = by_id(&txn, id).await?;
            stands(app, txn, row, &key, Why::Asked, from).await
        }
        Verdict::New(state, reason) => {
            take_a_use(&txn, row.id, asked.now).await?;
            let new = identity::ActiveModel {
                workspace: Set(row.workspace),
                device: Set(join.device.to_string()),
                key: Set(key.digest().as_bytes().to_vec()),
                state: Set(state_text(state).into()),
                reason: Set(reason),
                hardware_id: Set(join.hardware_id.clone()),
                site: Set(row.site),
                labels: Set(row.labels),
                invitation: Set(row.id),
                joined_at: Set(asked.now.0),
                joined_from: Set(from.map(|ip| ip.to_string()).unwrap_or_default()),
                serial: Set(None),
                authority: Set(None),
                not_before: Set(None),
                not_after: Set(None),
                certificate: Set(None),
                ..Default::default()
            };
            let new = new.insert(&txn).await.doing("storing an identity")?;
            let view = identity_view(&new)?;
            let deed = Deed::new("identity.join", format!("identity {}", view.id))
                .within(&workspace)
                .after(&view)
                .detail(format!(
                    "device {}, {}, with invitation {}",
                    view.device,
                    state_text(state),
                    view.invitation
                ));
            let actor = Actor::device(&join.device, from);
            audit::record(&txn, &app.clock, &actor, deed).await?;
            stands(app, txn, new, &key, Why::Asked, from).await
        }
    }
}

/// Counts a use, if there is one left: one statement, so that of two that race for the last use one
/// finds it gone.
async fn take_a_use(
    txn: &DatabaseTransaction,
    invitation: i64,
    now: WallTime,
) -> Result<(), JoinError> {
    use invitation::Column;
    let taken = invitation::Entity::update_many()
        .col_expr(Column::Used, Expr::col(Column::Used).add(1))
        .filter(Column::Id.eq(invitation))
        .filter(Expr::col(Column::Used).lt(Expr::col(Column::Uses)))
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now.0))
        .exec(txn)
        .await
        .doing("counting a use of an invitation")?;
    if taken.rows_affected == 1 {
        Ok(())
    } else {
        Err(JoinError::UsedUp)
    }
}

async fn known(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    asked: &Asked<'_>,
) -> Result<Known, StoreError> {
    use identity::Column;
    let own = || identity::Entity::find().filter(Column::Workspace.eq(workspace.as_str()));
    let views = |rows: Vec<identity::Model>| -> Result<Vec<IdentityView>, StoreError> {
        rows.iter().map(identity_view).collect()
    };
    let same_key = by_key(txn, asked.key).await?;
    let same_key =
        same_key.map(|row| Ok((identity_view(&row)?, row.workspace == workspace.as_str())));
    let same_device = own().filter(Column::Device.eq(asked.device.as_str()));
    let same_device = same_device.all(txn).await.doing("reading identities")?;
    let same_hardware = match asked.hardware_id {
        None => Vec::new(),
        Some(id) => {
            let active = Condition::all()
                .add(Column::HardwareId.eq(id))
                .add(Column::State.eq(state_text(IdentityState::Active)));
            let rows = own().filter(active).all(txn).await;
            rows.doing("reading identities")?
        }
    };
    Ok(Known {
        same_key: same_key.transpose()?,
        same_device: views(same_device)?,
        same_hardware: views(same_hardware)?,
    })
}

/// The identity with a key.
pub(super) async fn by_key<C: ConnectionTrait>(
    db: &C,
    key: Digest,
) -> Result<Option<identity::Model>, StoreError> {
    identity::Entity::find()
        .filter(identity::Column::Key.eq(key.as_bytes().to_vec()))
        .one(db)
        .await
        .doing("looking for a key")
}

async fn by_id(txn: &DatabaseTransaction, id: IdentityId) -> Result<identity::Model, StoreError> {
    let row = identity::Entity::find_by_id(id.0 as i64).one(txn).await;
    let row = row.doing("reading an identity")?;
    row.ok_or_else(|| StoreError::Value {
        what: "identity",
        value: id.to_string(),
    })
}

pub(super) async fn begin(app: &App) -> Result<DatabaseTransaction, StoreError> {
    let txn = app.store.write().begin().await;
    txn.doing("beginning to change identities")
}

/// Why a device hears how it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It asked to join.
    Asked,
    /// It wants a new certificate.
    Renewal,
}

/// Tells a device that may ask how it stands, with its certificate if it is active; commits.
pub(super) async fn stands(
    app: &App,
    txn: DatabaseTransaction,
    mut row: identity::Model,
    key: &DeviceKey,
    why: Why,
    from: Option<IpAddr>,
) -> Result<Joined, JoinError> {
    let view = identity_view(&row)?;
    if view.state != IdentityState::Active {
        txn.commit().await.doing("committing an identity")?;
        return Ok(Joined::Pending {
            identity: view.id,
            reason: view.reason,
            again_in_s: AGAIN_IN_S,
        });
    }
    let workspace: WorkspaceId = parsed("workspace id", &row.workspace)?;
    let now = app.clock.now();
    let grace = i64::try_from(app.lives.expired_grace.as_millis()).unwrap_or(i64::MAX);
    let late = |until: i64| until.saturating_add(grace) <= now.0;
    // By a token too: a key from a scrap heap does not come back years later.
    if row.not_after.is_some_and(late) {
        return Err(JoinError::TooLate);
    }
    let issued = if let Some(kept) = kept(app, &workspace, &row, now) {
        kept
    } else {
        let life = app.lives.certificate;
        let new = app.authorities.issue(&workspace, &view.device, key, life)?;
        let worth_noting = row
            .authority
            .as_ref()
            .is_some_and(|was| *was != new.authority)
            || row.not_after.is_some_and(|until| until <= now.0);
        row = keep(&txn, row, &new, now).await?;
        if why == Why::Renewal && worth_noting {
            let deed = Deed::new("identity.renew", format!("identity {}", view.id))
                .within(&workspace)
                .before(&view)
                .after(&identity_view(&row)?)
                .detail(format!("certificate {} by {}", new.serial, new.authority));
            let actor = Actor::device(&view.device, from);
            audit::record(&txn, &app.clock, &actor, deed).await?;
        }
        new
    };
    txn.commit().await.doing("committing an identity")?;
    app.registry.begin(&row)?;
    let labels = labels_of(&row.labels)?;
    let root = trust::root(app, &workspace).await?;
    let credentials = credentials(app, workspace, view.device, view.site, labels, issued, root)?;
    Ok(Joined::Active(credentials.into()))
}

/// The newest certificate, if it is younger than a tenth of its life and from whom issues now:
/// whoever did not hear the answer gets it again, and nobody gets certificates by the thousand.
fn kept(
    app: &App,
    workspace: &WorkspaceId,
    row: &identity::Model,
    now: WallTime,
) -> Option<Issued> {
    let (not_before, not_after) = (row.not_before?, row.not_after?);
    let trusted = app.authorities.trusted();
    let same = trusted.issuer(workspace) == row.authority.as_deref();
    // It was backdated by an hour, which may be more than all of a short life.
    let begun = not_before + crate::access::authority::BACKDATED.as_millis() as i64;
    let young = now.0 - begun < (not_after - begun) / 10 && now.0 < not_after;
    (same && young).then_some(())?;
    Some(Issued {
        chain: row.certificate.clone()?,
        serial: row.serial.clone()?,
        authority: row.authority.clone()?,
        not_before: WallTime(not_before),
        not_after: WallTime(not_after),
    })
}

async fn keep(
    txn: &DatabaseTransaction,
    row: identity::Model,
    new: &Issued,
    now: WallTime,
) -> Result<identity::Model, StoreError> {
    let mut row: identity::ActiveModel = row.into();
    row.serial = Set(Some(new.serial.clone()));
    row.authority = Set(Some(new.authority.clone()));
    row.not_before = Set(Some(new.not_before.0));
    row.not_after = Set(Some(new.not_after.0));
    row.certificate = Set(Some(new.chain.clone()));
    let row = row.update(txn).await.doing("storing a certificate")?;
    issued::record(txn, row.id, new, now).await?;
    Ok(row)
}

fn credentials(
    app: &App,
    workspace: WorkspaceId,
    device: DeviceId,
    site: Option<tern_protocol::id::SiteName>,
    labels: std::collections::BTreeMap<String, String>,
    issued: Issued,
    root: String,
) -> Result<Credentials, JoinError> {
    let (mqtt, broker_authorities) = match &app.broker {
        None => (app.reach.mqtt(), None),
        Some(broker) => (broker.addresses().to_vec(), broker.authorities()?),
    };
    Ok(Credentials {
        workspace,
        device,
        site,
        labels,
        certificate: issued.chain,
        not_before: issued.not_before,
        not_after: issued.not_after,
        authorities: app.authorities.trusted().bundle(),
        broker_authorities,
        mqtt,
        https: app.reach.https(),
        root: Some(root),
    })
}

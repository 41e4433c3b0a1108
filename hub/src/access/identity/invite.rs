//! Invitations: made, listed, revoked.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Set,
};
use tern_protocol::{
    digest::Digest,
    id::{InvitationId, WorkspaceId},
    join::{ADDRESSES_MAX, JoinToken},
    rest::{InvitationView, Invited, NewInvitation, Page},
};

use super::{
    join::{HARDWARE_MAX, begin},
    rows::{invitation, invitation_view, labels_text},
};
use crate::{
    access::{
        audit::{self, Actor, Deed},
        authority::common_name,
    },
    app::App,
    fleet::{LABEL_LEN, LABELS_MAX},
    store::{Doing as _, Store, StoreError},
};

/// Devices that may join with one invitation.
const USES_MAX: u32 = 100_000;

/// Longest life of an invitation, in seconds: a year.
const EXPIRES_MAX_S: u64 = 366 * 86_400;

/// Invitations on a page at most.
const PAGE_MAX: u64 = 1_000;

/// Why an invitation is not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// It asks for something impossible.
    #[error("{0}")]
    Impossible(&'static str),
    /// There is none.
    #[error("there is no invitation {0}")]
    NotFound(InvitationId),
    /// The hub does not listen for devices that join.
    #[error(
        "devices join over TLS only, which this hub does not speak: it was started with \
         --insecure-loopback, where they need no invitation"
    )]
    NotListening,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an invitation and its token, which is not kept.
pub async fn invite(
    app: &App,
    workspace: &WorkspaceId,
    new: NewInvitation,
    actor: &Actor,
) -> Result<Invited, InviteError> {
    check(workspace, &new)?;
    let secret = BASE64_URL_SAFE_NO_PAD.encode(random());
    let mut https = app.reach.https();
    https.truncate(ADDRESSES_MAX);
    let authority = app.authorities.trusted().pin();
    let (Some(authority), false) = (authority, https.is_empty()) else {
        return Err(InviteError::NotListening);
    };
    let now = app.clock.now();
    let life = i64::try_from(new.expires_in_s * 1_000).unwrap_or(i64::MAX);
    let txn = begin(app).await?;
    let row = invitation::ActiveModel {
        workspace: Set(workspace.to_string()),
        secret: Set(Digest::of(secret.as_bytes()).as_bytes().to_vec()),
        site: Set(new.site.map(|site| site.to_string())),
        labels: Set(labels_text(&new.labels)),
        device: Set(new.device.map(|device| device.to_string())),
        hardware_id: Set(new.hardware_id),
        uses: Set(i64::from(new.uses)),
        used: Set(0),
        approval: Set(new.approval),
        created_by: Set(actor.name.clone()),
        created_at: Set(now.0),
        expires_at: Set(now.0.saturating_add(life)),
        revoked_at: Set(None),
        ..Default::default()
    };
    let row = row.insert(&txn).await.doing("storing an invitation")?;
    let invitation = invitation_view(&row)?;
    let deed = Deed::new("invitation.create", subject(invitation.id))
        .within(workspace)
        .after(&invitation)
        .detail(match invitation.uses {
            1 => "for 1 device".to_owned(),
            uses => format!("for {uses} devices"),
        });
    audit::record(&txn, &app.clock, actor, deed).await?;
    txn.commit().await.doing("committing an invitation")?;
    let token = JoinToken {
        https,
        authority,
        secret,
    };
    Ok(Invited {
        invitation,
        token: token.to_string(),
    })
}

fn random() -> [u8; 32] {
    crate::access::authority::random()
}

fn subject(id: InvitationId) -> String {
    format!("invitation {id}")
}

fn check(workspace: &WorkspaceId, new: &NewInvitation) -> Result<(), InviteError> {
    let fail = |text| Err(InviteError::Impossible(text));
    if !(1..=USES_MAX).contains(&new.uses) {
        return fail("`uses` is 1 to 100000");
    }
    if !(1..=EXPIRES_MAX_S).contains(&new.expires_in_s) {
        return fail("`expires_in_s` is one second to a year");
    }
    if new.labels.len() > LABELS_MAX {
        return fail("a device has at most 32 labels");
    }
    let long = |text: &String| text.len() > LABEL_LEN;
    if new
        .labels
        .iter()
        .any(|(key, value)| long(key) || long(value))
    {
        return fail("a label has at most 128 bytes, its key too");
    }
    if new.labels.keys().any(String::is_empty) {
        return fail("a label has a key");
    }
    let hardware = new.hardware_id.as_ref();
    if hardware.is_some_and(|id| id.is_empty() || id.len() > HARDWARE_MAX) {
        return fail("a hardware id has 1 to 256 bytes");
    }
    let bound = new.device.as_ref();
    if bound.is_some_and(|device| common_name(workspace, device).is_none()) {
        return fail("workspace and device together are longer than 61 bytes");
    }
    if new.device.is_some() && new.uses != 1 && new.hardware_id.is_none() {
        return fail("an invitation of one device has one use");
    }
    Ok(())
}

/// A page of a workspace's invitations, newest first.
pub async fn invitations(
    store: &Store,
    workspace: &WorkspaceId,
    after: Option<InvitationId>,
    limit: Option<u64>,
) -> Result<Page<InvitationView>, StoreError> {
    use invitation::Column;
    let limit = limit.unwrap_or(100).clamp(1, PAGE_MAX);
    let mut select = invitation::Entity::find().filter(Column::Workspace.eq(workspace.as_str()));
    if let Some(after) = after {
        select = select.filter(Column::Id.lt(i64::try_from(after.0).unwrap_or(i64::MAX)));
    }
    let select = select.order_by_desc(Column::Id).limit(limit + 1);
    let rows = select.all(store.read()).await;
    let rows = rows.doing("reading invitations")?;
    let items: Result<Vec<_>, _> = rows.iter().map(invitation_view).collect();
    let mut items = items?;
    let more = items.len() as u64 > limit;
    items.truncate(limit as usize);
    let last = items.last().filter(|_| more);
    let next = last.map(|invitation| invitation.id.to_string());
    Ok(Page { items, next })
}

/// Revokes an invitation: nobody new joins with it. Once is enough, twice is no error.
pub async fn revoke_invitation(
    app: &App,
    workspace: &WorkspaceId,
    id: InvitationId,
    actor: &Actor,
) -> Result<InvitationView, InviteError> {
    let txn = begin(app).await?;
    let row = invitation::Entity::find_by_id(i64::try_from(id.0).unwrap_or(i64::MAX))
        .filter(invitation::Column::Workspace.eq(workspace.as_str()))
        .one(&txn)
        .await
        .doing("reading an invitation")?;
    let row = row.ok_or(InviteError::NotFound(id))?;
    let before = invitation_view(&row)?;
    if before.revoked_at.is_some() {
        return Ok(before);
    }
    let mut row: invitation::ActiveModel = row.into();
    row.revoked_at = Set(Some(app.clock.now().0));
    let row = row.update(&txn).await.doing("revoking an invitation")?;
    let after = invitation_view(&row)?;
    let deed = Deed::new("invitation.revoke", subject(id))
        .within(workspace)
        .before(&before)
        .after(&after);
    audit::record(&txn, &app.clock, actor, deed).await?;
    txn.commit().await.doing("committing an invitation")?;
    Ok(after)
}

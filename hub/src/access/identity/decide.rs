//! What people decide about identities: accept, reject, revoke; and the list that they look at.

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction,
    EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Set, Statement,
};
use tern_protocol::{
    id::{DeviceId, IdentityId, WorkspaceId},
    rest::{AuthorityView, IdentityState, IdentityView, Page},
};

use super::{
    join::begin,
    rows::{identity, identity_view, state_of, state_text},
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    store::{Doing as _, Store, StoreError},
};

/// Counts active identities by the authority that issued their newest certificate.
pub async fn count_by_authority(
    store: &Store,
    views: &mut [AuthorityView],
) -> Result<(), StoreError> {
    const DOING: &str = "counting identities";
    let select = Statement::from_string(
        store.backend(),
        "SELECT authority, COUNT(*) AS identities FROM identity \
         WHERE state = 'active' AND authority IS NOT NULL GROUP BY authority",
    );
    for row in store.read().query_all_raw(select).await.doing(DOING)? {
        let authority: String = row.try_get("", "authority").doing(DOING)?;
        let count: i64 = row.try_get("", "identities").doing(DOING)?;
        if let Some(view) = views.iter_mut().find(|view| view.id == authority) {
            view.identities = count as u64;
        }
    }
    Ok(())
}

/// Identities on a page at most.
const PAGE_MAX: u64 = 1_000;

/// Longest reason that is kept, in characters.
const REASON_MAX: usize = 500;

/// Why a decision is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// There is none.
    #[error("there is no identity {0}")]
    NotFound(IdentityId),
    /// Its state does not allow it.
    #[error("identity {id} is {}; only one that is {} can be {done}", state_text(*.is), wanted)]
    State {
        /// Which.
        id: IdentityId,
        /// How it stands.
        is: IdentityState,
        /// How it would have to stand.
        wanted: &'static str,
        /// What was wanted of it.
        done: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which identities to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityFilter {
    /// Only those in this state.
    pub state: Option<IdentityState>,
    /// Only those of this device.
    pub device: Option<DeviceId>,
    /// Only those before this one: the `next` of the page before.
    pub after: Option<IdentityId>,
    /// How many, at most 1,000; 100 by default.
    pub limit: Option<u64>,
}

/// A page of a workspace's identities, newest first.
pub async fn identities(
    store: &Store,
    workspace: &WorkspaceId,
    filter: &IdentityFilter,
) -> Result<Page<IdentityView>, StoreError> {
    use identity::Column;
    let limit = filter.limit.unwrap_or(100).clamp(1, PAGE_MAX);
    let own = || identity::Entity::find().filter(Column::Workspace.eq(workspace.as_str()));
    let mut select = own();
    if let Some(state) = filter.state {
        select = select.filter(Column::State.eq(state_text(state)));
    }
    if let Some(device) = &filter.device {
        select = select.filter(Column::Device.eq(device.as_str()));
    }
    if let Some(after) = filter.after {
        select = select.filter(Column::Id.lt(i64::try_from(after.0).unwrap_or(i64::MAX)));
    }
    let select = select.order_by_desc(Column::Id).limit(limit + 1);
    let rows = select.all(store.read()).await;
    let rows = rows.doing("reading identities")?;
    let items: Result<Vec<_>, _> = rows.iter().map(identity_view).collect();
    let mut items = items?;
    let more = items.len() as u64 > limit;
    items.truncate(limit as usize);
    let next = items
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    let pending = |identity: &&mut IdentityView| identity.state == IdentityState::Pending;
    let waiting: Vec<_> = items.iter_mut().filter(pending).collect();
    if !waiting.is_empty() {
        let devices = waiting.iter().map(|identity| identity.device.to_string());
        let active = own()
            .filter(Column::State.eq(state_text(IdentityState::Active)))
            .filter(Column::Device.is_in(devices));
        let active = active.all(store.read()).await;
        let active = active.doing("reading identities")?;
        for identity in waiting {
            let own = active
                .iter()
                .find(|row| row.device == identity.device.as_str());
            identity.replaces = own.map(|row| IdentityId(row.id as u64));
        }
    }
    Ok(Page { items, next })
}

/// Lets a pending identity speak for its device. The one that did so until now is superseded, and
/// its session is cut.
pub async fn accept(
    app: &App,
    workspace: &WorkspaceId,
    id: IdentityId,
    reason: &str,
    actor: &Actor,
) -> Result<IdentityView, DecideError> {
    let _turn = app.registry.turn().await;
    let txn = begin(app).await?;
    let row = find(&txn, workspace, id).await?;
    demand(&row, id, &[IdentityState::Pending], "pending", "accepted")?;
    let old = identity::Entity::find()
        .filter(identity::Column::Workspace.eq(workspace.as_str()))
        .filter(identity::Column::Device.eq(&row.device))
        .filter(identity::Column::State.eq(state_text(IdentityState::Active)))
        .one(&txn)
        .await
        .doing("reading identities")?;
    let mut detail = reason.to_owned();
    let mut ended = None;
    if let Some(old) = old {
        let (before, old_id) = (identity_view(&old)?, IdentityId(old.id as u64));
        let text = format!("identity {id} took its place");
        let old = put(&txn, old, IdentityState::Superseded, &text).await?;
        let deed = deed("identity.supersede", workspace, old_id)
            .before(&before)
            .after(&identity_view(&old)?)
            .detail(text);
        audit::record(&txn, &app.clock, actor, deed).await?;
        detail = format!("in place of identity {old_id}; {reason}");
        ended = Some(old_id);
    }
    let before = identity_view(&row)?;
    let row = put(&txn, row, IdentityState::Active, reason).await?;
    let after = identity_view(&row)?;
    let deed = deed("identity.accept", workspace, id)
        .before(&before)
        .after(&after)
        .detail(detail);
    audit::record(&txn, &app.clock, actor, deed).await?;
    txn.commit().await.doing("committing an identity")?;
    app.registry.begin(&row)?;
    if let Some(old) = ended {
        app.registry.end(old);
    }
    Ok(after)
}

/// Refuses a pending identity, for good.
pub async fn reject(
    app: &App,
    workspace: &WorkspaceId,
    id: IdentityId,
    reason: &str,
    actor: &Actor,
) -> Result<IdentityView, DecideError> {
    let from = &[IdentityState::Pending];
    let to = IdentityState::Rejected;
    let words = ("identity.reject", "pending", "rejected");
    end(app, workspace, id, from, to, words, reason, actor).await
}

/// Takes an identity's right to speak away, for good; its session is cut.
pub async fn revoke(
    app: &App,
    workspace: &WorkspaceId,
    id: IdentityId,
    reason: &str,
    actor: &Actor,
) -> Result<IdentityView, DecideError> {
    let from = &[IdentityState::Active, IdentityState::Superseded];
    let to = IdentityState::Revoked;
    let words = ("identity.revoke", "active", "revoked");
    end(app, workspace, id, from, to, words, reason, actor).await
}

#[expect(clippy::too_many_arguments, reason = "two callers, just above")]
async fn end(
    app: &App,
    workspace: &WorkspaceId,
    id: IdentityId,
    from: &[IdentityState],
    to: IdentityState,
    (action, wanted, done): (&'static str, &'static str, &'static str),
    reason: &str,
    actor: &Actor,
) -> Result<IdentityView, DecideError> {
    let _turn = app.registry.turn().await;
    let txn = begin(app).await?;
    let row = find(&txn, workspace, id).await?;
    demand(&row, id, from, wanted, done)?;
    let before = identity_view(&row)?;
    let row = put(&txn, row, to, reason).await?;
    let after = identity_view(&row)?;
    let deed = deed(action, workspace, id)
        .before(&before)
        .after(&after)
        .detail(reason);
    audit::record(&txn, &app.clock, actor, deed).await?;
    txn.commit().await.doing("committing an identity")?;
    app.registry.end(id);
    Ok(after)
}

fn deed(action: &'static str, workspace: &WorkspaceId, id: IdentityId) -> Deed {
    Deed::new(action, format!("identity {id}")).within(workspace)
}

async fn find(
    txn: &DatabaseTransaction,
    workspace: &WorkspaceId,
    id: IdentityId,
) -> Result<identity::Model, DecideError> {
    let row = identity::Entity::find_by_id(i64::try_from(id.0).unwrap_or(i64::MAX))
        .filter(identity::Column::Workspace.eq(workspace.as_str()))
        .one(txn)
        .await
        .doing("reading an identity")?;
    row.ok_or(DecideError::NotFound(id))
}

fn demand(
    row: &identity::Model,
    id: IdentityId,
    from: &[IdentityState],
    wanted: &'static str,
    done: &'static str,
) -> Result<(), DecideError> {
    let is = state_of(row)?;
    if from.contains(&is) {
        return Ok(());
    }
    Err(DecideError::State {
        id,
        is,
        wanted,
        done,
    })
}

async fn put(
    txn: &DatabaseTransaction,
    row: identity::Model,
    state: IdentityState,
    reason: &str,
) -> Result<identity::Model, StoreError> {
    let mut row: identity::ActiveModel = row.into();
    row.state = Set(state_text(state).into());
    row.reason = Set(reason.chars().take(REASON_MAX).collect());
    row.update(txn).await.doing("changing an identity")
}

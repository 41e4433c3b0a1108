//! What somebody is told of themselves.

use tern_protocol::rest::{Me, Membership};

use super::{account, workspace};
use crate::{
    access::principal::{Principal, Who},
    app::App,
    store::StoreError,
};

/// Who asks, and what they may do where.
pub async fn me(app: &App, principal: &Principal) -> Result<Me, StoreError> {
    let user = principal.user().cloned();
    let second_factor = match &user {
        Some(user) => account::has_second_factor(&app.store, user).await?,
        None => false,
    };
    let token = match &principal.who {
        Who::Token { id, .. } => Some(*id),
        _ => None,
    };
    let memberships = workspace::list(app, principal).await?.into_iter();
    Ok(Me {
        user,
        token,
        hub_admin: principal.is_hub_admin(),
        second_factor,
        memberships: memberships
            .map(|view| Membership {
                workspace: view.id,
                role: view.role,
            })
            .collect(),
    })
}

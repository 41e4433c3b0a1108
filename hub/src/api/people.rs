//! Accounts, members, tokens and workspaces.

use axum::{Extension, Json as Answer, extract::State, http::StatusCode};
use serde::Deserialize;
use tern_protocol::{
    id::{TokenId, UserName},
    rest::{
        MemberView, Minted, NewToken, NewUser, NewWorkspace, Page, SetRole, SetupLink, TokenView,
        UserView, WorkspaceView,
    },
};
use utoipa::IntoParams;

use super::{
    extract::{Json, Path, Workspace},
    pages,
    policy::Asking,
    problem::ApiError,
};
use crate::{
    access::{
        audit::Actor,
        people::{account, member, token, workspace},
        principal::Principal,
        role::Permission,
    },
    app::App,
};

/// An account in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct UserPath {
    /// Name of the account.
    #[param(value_type = String)]
    user: UserName,
}

/// A token in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct TokenPath {
    /// Id of the token.
    #[param(value_type = u64)]
    id: TokenId,
}

fn page<T>(items: Vec<T>) -> Answer<Page<T>> {
    Answer(Page { items, next: None })
}

/// List the members of the workspace.
#[utoipa::path(
    get, path = "/members", tag = "people",
    responses((status = 200, description = "By name", body = pages::MemberPage)),
)]
pub(super) async fn list_members(
    State(app): State<App>,
    Workspace(workspace): Workspace,
) -> Result<Answer<Page<MemberView>>, ApiError> {
    Ok(page(member::list(&app.store, &workspace).await?))
}

/// Make an account a member, or change its role.
#[utoipa::path(
    put, path = "/members/{user}", tag = "people", params(UserPath), request_body = SetRole,
    responses((status = 200, description = "The member", body = MemberView)),
)]
pub(super) async fn set_member(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(UserPath { user }): Path<UserPath>,
    Json(SetRole { role }): Json<SetRole>,
) -> Result<Answer<MemberView>, ApiError> {
    let by = Actor::from(&principal);
    Ok(Answer(
        member::set(&app, &by, &workspace, &user, role).await?,
    ))
}

/// End a membership.
#[utoipa::path(
    delete, path = "/members/{user}", tag = "people", params(UserPath),
    responses((status = 204, description = "No member any more")),
)]
pub(super) async fn remove_member(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, ApiError> {
    member::remove(&app, &Actor::from(&principal), &workspace, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose tokens somebody sees: admins everybody's, others their own.
fn whose<'a>(
    principal: &'a Principal,
    workspace: &tern_protocol::id::WorkspaceId,
) -> Result<token::Whose<'a>, ApiError> {
    if principal.may(Permission::Administer, workspace) {
        return Ok(token::Whose::All);
    }
    let user = principal.user().ok_or_else(no_account)?;
    Ok(token::Whose::Of(user))
}

fn no_account() -> ApiError {
    ApiError::conflict(
        "whoever asks has no account, and so no tokens; a hub that was started with --insecure-loopback needs none",
    )
}

/// List API tokens of the workspace: one's own, or everybody's for admins.
#[utoipa::path(
    get, path = "/tokens", tag = "people",
    responses((status = 200, description = "Newest first, without their texts", body = pages::TokenPage)),
)]
pub(super) async fn list_tokens(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
) -> Result<Answer<Page<TokenView>>, ApiError> {
    let whose = whose(&principal, &workspace)?;
    Ok(page(token::list(&app.store, &workspace, whose).await?))
}

/// Make an API token for oneself.
#[utoipa::path(
    post, path = "/tokens", tag = "people", request_body = NewToken,
    responses((status = 201, description = "The token, its text shown this once", body = Minted)),
)]
pub(super) async fn create_token(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, Answer<Minted>), ApiError> {
    let user = principal.user().ok_or_else(no_account)?;
    if new.hub && !principal.is_hub_admin() {
        return Err(ApiError::forbidden(
            "only who runs the hub makes a token that does",
        ));
    }
    let own = principal.role_in(&workspace);
    let own = own.ok_or_else(|| ApiError::no_workspace(workspace.as_str()))?;
    let by = Actor::from(&principal);
    let minted = token::create(&app, &by, user, &workspace, own, new).await?;
    Ok((StatusCode::CREATED, Answer(minted)))
}

/// Revoke an API token: one's own, or anybody's for admins.
#[utoipa::path(
    post, path = "/tokens/{id}/revoke", tag = "people", params(TokenPath),
    responses((status = 200, description = "The token", body = TokenView)),
)]
pub(super) async fn revoke_token(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Extension(principal): Asking,
    Path(TokenPath { id }): Path<TokenPath>,
) -> Result<Answer<TokenView>, ApiError> {
    let whose = whose(&principal, &workspace)?;
    let by = Actor::from(&principal);
    Ok(Answer(
        token::revoke(&app, &by, &workspace, id, whose).await?,
    ))
}

/// List the workspaces that whoever asks is a member of.
#[utoipa::path(
    get, path = "/workspaces", tag = "people",
    responses((status = 200, description = "By id", body = pages::WorkspacePage)),
)]
pub(super) async fn list_workspaces(
    State(app): State<App>,
    Extension(principal): Asking,
) -> Result<Answer<Page<WorkspaceView>>, ApiError> {
    Ok(page(workspace::list(&app, &principal).await?))
}

/// Make a workspace.
#[utoipa::path(
    post, path = "/workspaces", tag = "people", request_body = NewWorkspace,
    responses((status = 201, description = "Made", body = NewWorkspace)),
)]
pub(super) async fn create_workspace(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(new): Json<NewWorkspace>,
) -> Result<(StatusCode, Answer<NewWorkspace>), ApiError> {
    workspace::create(&app, &Actor::from(&principal), &new.id).await?;
    Ok((StatusCode::CREATED, Answer(new)))
}

/// List accounts.
#[utoipa::path(
    get, path = "/users", tag = "people",
    responses((status = 200, description = "By name", body = pages::UserPage)),
)]
pub(super) async fn list_users(State(app): State<App>) -> Result<Answer<Page<UserView>>, ApiError> {
    Ok(page(account::users(&app.store).await?))
}

/// Make an account, and a link with which its owner sets a password.
#[utoipa::path(
    post, path = "/users", tag = "people", request_body = NewUser,
    responses((status = 201, description = "The link, shown this once", body = SetupLink)),
)]
pub(super) async fn create_user(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Answer<SetupLink>), ApiError> {
    let link = account::create(&app, &Actor::from(&principal), &new).await?;
    Ok((StatusCode::CREATED, Answer(link)))
}

/// Make a new link for an account: its password, second factor and sessions are gone.
#[utoipa::path(
    post, path = "/users/{user}/link", tag = "people", params(UserPath),
    responses((status = 200, description = "The link, shown this once", body = SetupLink)),
)]
pub(super) async fn link_user(
    State(app): State<App>,
    Extension(principal): Asking,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<Answer<SetupLink>, ApiError> {
    let link = account::new_link(&app, &Actor::from(&principal), &user).await?;
    Ok(Answer(link))
}

/// Disable an account: its sessions end, its tokens work no longer.
#[utoipa::path(
    post, path = "/users/{user}/disable", tag = "people", params(UserPath),
    responses((status = 204, description = "Disabled")),
)]
pub(super) async fn disable_user(
    State(app): State<App>,
    Extension(principal): Asking,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, ApiError> {
    let by = Actor::from(&principal);
    account::set_standing(&app, &by, &user, account::Standing::Disabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enable an account again.
#[utoipa::path(
    post, path = "/users/{user}/enable", tag = "people", params(UserPath),
    responses((status = 204, description = "Enabled")),
)]
pub(super) async fn enable_user(
    State(app): State<App>,
    Extension(principal): Asking,
    Path(UserPath { user }): Path<UserPath>,
) -> Result<StatusCode, ApiError> {
    let by = Actor::from(&principal);
    account::set_standing(&app, &by, &user, account::Standing::Enabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

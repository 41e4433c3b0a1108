//! How people get in and out, and what they change about their own account.

use axum::{
    Extension, Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tern_protocol::{
    id::UserName,
    rest::{
        ChangePassword, Code, Confirm, Login, LoginForToken, Me, Minted, RecoveryCodes,
        SecondFactor, Setup,
    },
};

use super::{authenticate, extract::Json, policy::Asking, problem::ApiError};
use crate::{
    access::{
        audit::Actor,
        people::{
            account, link, me, second_factor,
            session::{self, Way},
            token,
        },
        principal::{Principal, Who},
    },
    app::App,
    fleet,
};

/// Set a password with a link: the first account of a hub, or one that an admin made.
#[utoipa::path(
    post, path = "/setup", tag = "people", request_body = Setup,
    responses((status = 200, description = "Logged in: the session's cookie is set", body = Me)),
)]
pub(super) async fn set_up(
    State(app): State<App>,
    Extension(principal): Asking,
    headers: HeaderMap,
    Json(setup): Json<Setup>,
) -> Result<Response, ApiError> {
    let user = link::redeem(&app, &Actor::from(&principal), setup).await?;
    logged_in(&app, &principal, &headers, user).await
}

/// Log in with name and password.
#[utoipa::path(
    post, path = "/login", tag = "people", request_body = Login,
    responses((status = 200, description = "Logged in: the session's cookie is set", body = Me)),
)]
pub(super) async fn log_in(
    State(app): State<App>,
    Extension(principal): Asking,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<Response, ApiError> {
    let user = account::check(&app, &Actor::from(&principal), &login).await?;
    logged_in(&app, &principal, &headers, user).await
}

async fn logged_in(
    app: &App,
    principal: &Principal,
    headers: &HeaderMap,
    user: UserName,
) -> Result<Response, ApiError> {
    let old = authenticate::session_of(headers);
    let by = Actor::from(principal);
    let secret = session::begin_for(app, &by, &user, old.as_deref(), Way::Password).await?;
    let account = session::account_of(app, &secret).await?;
    let account = account.ok_or_else(|| ApiError::unauthorized("this account is disabled"))?;
    let now = Principal {
        who: Who::User(account),
        from: principal.from,
    };
    let me = me::me(app, &now).await?;
    let cookie = [(header::SET_COOKIE, authenticate::cookie(&secret))];
    Ok((cookie, Answer(me)).into_response())
}

/// Log in and get an API token, for programs that cannot keep a cookie.
#[utoipa::path(
    post, path = "/login/token", tag = "people", request_body = LoginForToken,
    responses((status = 201, description = "The token, shown this once", body = Minted)),
)]
pub(super) async fn log_in_for_token(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(wanted): Json<LoginForToken>,
) -> Result<(StatusCode, Answer<Minted>), ApiError> {
    let LoginForToken {
        user,
        password,
        code,
        token: new,
        workspace,
    } = wanted;
    let login = Login {
        user,
        password,
        code,
    };
    let user = account::check(&app, &Actor::from(&principal), &login).await?;
    let account = account::standing(&app.store, &user).await?;
    let now = Principal {
        who: Who::User(account),
        from: principal.from,
    };
    let exists = fleet::workspaces(&app.store).await?.contains(&workspace);
    let own = now.role_in(&workspace).filter(|_| exists);
    let own = own.ok_or_else(|| ApiError::no_workspace(workspace.as_str()))?;
    let minted = token::create(&app, &Actor::from(&now), &user, &workspace, own, new).await?;
    Ok((StatusCode::CREATED, Answer(minted)))
}

/// Log out: the session ends.
#[utoipa::path(
    post, path = "/logout", tag = "people",
    responses((status = 204, description = "Logged out: the cookie is taken away")),
)]
pub(super) async fn log_out(
    State(app): State<App>,
    Extension(principal): Asking,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(secret) = authenticate::session_of(&headers) {
        session::end(&app, &Actor::from(&principal), &secret).await?;
    }
    let gone = [(header::SET_COOKIE, authenticate::no_cookie())];
    Ok((StatusCode::NO_CONTENT, gone).into_response())
}

/// Who is asking, and what they may do where.
#[utoipa::path(
    get, path = "/me", tag = "people",
    responses((status = 200, description = "The account", body = Me)),
)]
pub(super) async fn show_me(
    State(app): State<App>,
    Extension(principal): Asking,
) -> Result<Answer<Me>, ApiError> {
    Ok(Answer(me::me(&app, &principal).await?))
}

/// A person with a session: what concerns passwords is not for programs.
fn person(principal: &Principal) -> Result<&UserName, ApiError> {
    match &principal.who {
        Who::User(account) => Ok(&account.user),
        _ => Err(ApiError::forbidden(
            "only a person who logged in with a password may do this",
        )),
    }
}

/// Change the password; all sessions of the account end.
#[utoipa::path(
    post, path = "/me/password", tag = "people", request_body = ChangePassword,
    responses((status = 204, description = "Changed; log in again")),
)]
pub(super) async fn change_password(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(change): Json<ChangePassword>,
) -> Result<StatusCode, ApiError> {
    let user = person(&principal)?;
    account::change_password(&app, &Actor::from(&principal), user, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begin to set up a second factor.
#[utoipa::path(
    post, path = "/me/second-factor", tag = "people", request_body = Confirm,
    responses((status = 200, description = "What to scan; it counts once confirmed", body = SecondFactor)),
)]
pub(super) async fn propose_factor(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(confirm): Json<Confirm>,
) -> Result<Answer<SecondFactor>, ApiError> {
    let user = person(&principal)?;
    account::confirm(&app, &Actor::from(&principal), user, &confirm.password).await?;
    Ok(Answer(second_factor::propose(&app, user).await?))
}

/// Confirm the second factor by a code of it.
#[utoipa::path(
    post, path = "/me/second-factor/confirm", tag = "people", request_body = Code,
    responses((status = 200, description = "Recovery codes, shown this once", body = RecoveryCodes)),
)]
pub(super) async fn confirm_factor(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(Code { code }): Json<Code>,
) -> Result<Answer<RecoveryCodes>, ApiError> {
    let user = person(&principal)?;
    let by = Actor::from(&principal);
    Ok(Answer(
        second_factor::confirm(&app, &by, user, &code).await?,
    ))
}

/// Remove the second factor.
#[utoipa::path(
    post, path = "/me/second-factor/remove", tag = "people", request_body = Confirm,
    responses((status = 204, description = "Removed")),
)]
pub(super) async fn remove_factor(
    State(app): State<App>,
    Extension(principal): Asking,
    Json(confirm): Json<Confirm>,
) -> Result<StatusCode, ApiError> {
    let user = person(&principal)?;
    let by = Actor::from(&principal);
    account::confirm(&app, &by, user, &confirm.password).await?;
    second_factor::remove(&app, &by, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

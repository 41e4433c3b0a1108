//! Addresses of pages about people, and of everybody's own account.

use axum::{extract::State, response::Response};
use tern_protocol::rest::Page;

use super::all;
use crate::{
    access::{
        people::{account, me, member, token, workspace},
        role::Permission,
    },
    app::App,
    dashboard::{
        pages::{self, account::Own},
        visit::Visit,
    },
};

fn page_of<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: None }
}

pub(super) async fn members(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let found = all(member::list(&app.store, visit.scope.workspace())).await?;
        Ok(pages::access::members::page(visit.frame(), &page_of(found)))
    };
    visit.answer(page.await)
}

pub(super) async fn tokens(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let workspace = visit.scope.workspace();
        let found = match visit.asker.user() {
            _ if visit.asker.may(Permission::Administer, workspace) => {
                all(token::list(&app.store, workspace, token::Whose::All)).await?
            }
            Some(user) => all(token::list(&app.store, workspace, token::Whose::Of(user))).await?,
            None => Vec::new(),
        };
        Ok(pages::access::tokens::page(visit.frame(), &page_of(found)))
    };
    visit.answer(page.await)
}

pub(super) async fn users(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let found = all(account::users(&app.store)).await?;
        Ok(pages::access::users::page(visit.frame(), &page_of(found)))
    };
    visit.answer(page.await)
}

pub(super) async fn own(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let workspace = visit.scope.workspace();
        let (tokens, password) = match visit.asker.user() {
            Some(user) => tokio::try_join!(
                all(token::list(&app.store, workspace, token::Whose::Of(user))),
                all(account::has_password(&app.store, user)),
            )?,
            None => (Vec::new(), false),
        };
        let own = Own {
            me: all(me::me(&app, &visit.asker)).await?,
            password,
            workspaces: all(workspace::list(&app, &visit.asker)).await?,
            tokens: page_of(tokens),
        };
        Ok(pages::account::page(visit.frame(), &own))
    };
    visit.answer(page.await)
}

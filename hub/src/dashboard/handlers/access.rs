//! Addresses of `/access`, and of the doors.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::{DeviceId, IdentityId},
    rest::{IdentityState, IdentityView, Page},
    time::WallTime,
};

use super::all;
use crate::{
    access::{
        audit::{self, AuditFilter},
        identity::{self, IdentityFilter},
        principal::Who,
        role::Policy,
    },
    app::App,
    dashboard::{
        format, pages,
        pages::{
            access::{
                audit::{Filter, Reach},
                identities,
                notifications::Mail,
                waiting::Waiting,
            },
            door::Provider,
        },
        visit::{Trouble, Visit},
    },
    notify,
};

/// Rows on one page of a list: a few screens.
const ROWS: u64 = 100;

/// Devices on the page of those that wait: each is drawn beside what it replaces.
const WAITING: u64 = 50;

/// What may stand behind the `?` of an address here. A form sends fields that were left empty, too.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    state: Option<String>,
    device: Option<String>,
    after: Option<String>,
    reach: Option<String>,
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    from: Option<String>,
    to: Option<String>,
    before: Option<String>,
    next: Option<String>,
}

type Ask = Result<Query<Asked>, QueryRejection>;

fn asked(ask: Ask) -> Result<Asked, Trouble> {
    let Query(asked) = ask.map_err(|_| Trouble::unreadable())?;
    Ok(asked)
}

fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

fn number(text: Option<String>) -> Result<Option<u64>, Trouble> {
    let number = given(text).map(|text| text.parse()).transpose();
    number.map_err(|_| Trouble::unreadable())
}

pub(super) async fn waiting(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let of = |state, device: Option<DeviceId>, limit| IdentityFilter {
            state: Some(state),
            device,
            after: None,
            limit: Some(limit),
        };
        let workspace = visit.scope.workspace();
        let filter = of(IdentityState::Pending, None, WAITING);
        let pending = identity::identities(&app.store, workspace, &filter).await?;
        let mut waiting = Vec::with_capacity(pending.items.len());
        for pending in pending.items {
            let mut active = None;
            if pending.replaces.is_some() {
                let filter = of(IdentityState::Active, Some(pending.device.clone()), 1);
                let found = identity::identities(&app.store, workspace, &filter).await?;
                active = found.items.into_iter().next();
            }
            waiting.push(Waiting { pending, active });
        }
        Ok(pages::access::waiting::page(visit.frame(), &waiting))
    };
    visit.answer(page.await)
}

pub(super) async fn identities(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let asked = asked(ask)?;
        let filter = identities::Filter {
            state: given(asked.state).as_deref().map(state).transpose()?,
            device: given(asked.device),
        };
        let device = filter.device.as_deref().map(str::parse).transpose();
        let wanted = IdentityFilter {
            state: filter.state,
            device: device.map_err(|err| {
                Trouble::Unreadable(format!("The device in this address: {err}."))
            })?,
            after: number(asked.after)?.map(IdentityId),
            limit: Some(ROWS),
        };
        let found = identity::identities(&app.store, visit.scope.workspace(), &wanted).await?;
        Ok(identities::page(visit.frame(), &filter, &found))
    };
    visit.answer(page.await)
}

fn state(word: &str) -> Result<IdentityState, Trouble> {
    let mut known = identities::STATES.into_iter();
    let state = known.find_map(|(state, name)| (name == word).then_some(state));
    state.ok_or_else(|| Trouble::Unreadable(format!("There is no state {word}.")))
}

/// The identity that speaks for a device now.
pub(super) async fn speaks(
    app: &App,
    visit: &Visit,
    device: &DeviceId,
) -> Result<Option<IdentityView>, Trouble> {
    let filter = IdentityFilter {
        state: Some(IdentityState::Active),
        device: Some(device.clone()),
        after: None,
        limit: Some(1),
    };
    let found = identity::identities(&app.store, visit.scope.workspace(), &filter);
    Ok(all(found).await?.items.into_iter().next())
}

pub(super) async fn invitations(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let workspace = visit.scope.workspace();
        let found = identity::invitations(&app.store, workspace, None, Some(ROWS)).await?;
        Ok(pages::access::invitations::page(visit.frame(), &found))
    };
    visit.answer(page.await)
}

pub(super) async fn notifications(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let workspace = visit.scope.workspace();
        let (items, recent) = tokio::try_join!(
            notify::subscriptions(&app.store, workspace),
            notify::notifications(&app, workspace, None, Some(ROWS)),
        )?;
        let mail = if app.courier.has_mail() {
            Mail::Configured
        } else {
            Mail::None
        };
        let found = Page { items, next: None };
        Ok(pages::access::notifications::page(
            visit.frame(),
            mail,
            &found,
            &recent,
        ))
    };
    visit.answer(page.await)
}

pub(super) async fn authorities(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let mut items = app.authorities.trusted().views();
        all(identity::count_by_authority(&app.store, &mut items)).await?;
        let found = Page { items, next: None };
        Ok(pages::access::authorities::page(visit.frame(), &found))
    };
    visit.answer(page.await)
}

pub(super) async fn audit(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let asked = asked(ask)?;
        // The whole hub is for those who run it; everybody else gets their workspace.
        let hub = asked.reach.as_deref() == Some("hub") && visit.frame().grants(Policy::HubAdmin);
        let filter = Filter {
            actor: given(asked.actor),
            action: given(asked.action),
            subject: given(asked.subject),
            from: given(asked.from),
            to: given(asked.to),
            before: number(asked.before)?,
            reach: if hub { Reach::Hub } else { Reach::Workspace },
        };
        let wanted = AuditFilter {
            workspace: (!hub).then(|| visit.scope.workspace().clone()),
            actor: filter.actor.clone(),
            action: filter.action.clone(),
            subject: filter.subject.clone(),
            from: filter.from.as_deref().map(day).transpose()?,
            to: filter.to.as_deref().map(day).transpose()?.map(day_after),
            before: filter.before,
            limit: Some(ROWS),
        };
        let found = audit::list(&app.store, &wanted).await?;
        Ok(pages::access::audit::page(visit.frame(), &filter, &found))
    };
    visit.answer(page.await)
}

fn day(text: &str) -> Result<WallTime, Trouble> {
    format::day(text).ok_or_else(|| {
        Trouble::Unreadable(format!("A day is written as 2026-11-23; {text} is none."))
    })
}

fn day_after(day: WallTime) -> WallTime {
    WallTime(day.0 + 86_400_000)
}

pub(super) async fn login(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let next = asked(ask).ok().and_then(|asked| asked.next);
    let next = here(next.as_deref());
    if visit.asker.who == Who::Anonymous {
        let provider = match app.people.provider() {
            Some(_) => Provider::Configured,
            None => Provider::None,
        };
        visit.plain(pages::door::login(provider, next))
    } else {
        // There is nothing to log in to at a hub without login, and nothing more for who is in.
        Redirect::to(next).into_response()
    }
}

pub(super) async fn setup(visit: Visit) -> Response {
    if visit.asker.who == Who::Loopback {
        return Redirect::to("/").into_response();
    }
    visit.plain(pages::door::setup())
}

/// Where to go after a login: as asked if that is here, else to the overview.
pub(super) fn here(next: Option<&str>) -> &str {
    next.filter(|next| is_here(next)).unwrap_or("/")
}

/// Whether an address is one of this hub, whatever a browser makes of it: `//host` and `/\host` are not.
fn is_here(next: &str) -> bool {
    let mut bytes = next.bytes();
    bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && next.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_login_one_stays_on_this_hub() {
        for here in ["/", "/devices?site=mill", "/w/plant-2"] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "",
            "//evil",
            "/\\evil",
            "https://evil",
            "/\t/evil",
            "\\\\evil",
            "/a\r\nb",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}

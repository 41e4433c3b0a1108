//! Addresses of `/alerts`.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;
use tern_protocol::id::AlertId;

use super::{At, Named, missing, named};
use crate::{
    alerts::{self, AlertError, AlertQuery},
    app::App,
    dashboard::{
        pages::{self, alerts::list::Filter},
        visit::{Trouble, Visit},
    },
};

/// Alerts on one page of the list: a few screens.
const ROWS: u64 = 100;

/// What may stand behind the `?` of an address here. A form sends fields that were left empty, too.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    state: Option<String>,
    severity: Option<String>,
    rule: Option<String>,
    model: Option<String>,
    site: Option<String>,
    after: Option<String>,
}

type Ask = Result<Query<Asked>, QueryRejection>;

fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// What a field says, if it says something.
fn read<T: std::str::FromStr>(text: Option<&String>, what: &str) -> Result<Option<T>, Trouble> {
    let read = text.map(|text| text.parse()).transpose();
    read.map_err(|_| Trouble::Unreadable(format!("The {what} in this address cannot be read.")))
}

pub(super) async fn list(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let Query(asked) = ask.map_err(|_| Trouble::unreadable())?;
        let (state, severity, after) = (
            given(asked.state),
            given(asked.severity),
            given(asked.after),
        );
        let filter = Filter {
            state: read(state.as_ref(), "state")?,
            severity: read(severity.as_ref(), "severity")?,
            rule: given(asked.rule),
            model: given(asked.model),
            site: given(asked.site),
        };
        let wanted = AlertQuery {
            state: filter.state,
            over: false,
            rule: read(filter.rule.as_ref(), "rule")?,
            severity: filter.severity,
            model: read(filter.model.as_ref(), "model")?,
            site: read(filter.site.as_ref(), "site")?,
            after: read(after.as_ref(), "page")?,
            limit: Some(ROWS),
        };
        let found = alerts::alerts(&app, visit.scope.workspace(), &wanted).await?;
        Ok(pages::alerts::list::page(visit.frame(), &filter, &found))
    };
    visit.answer(page.await)
}

pub(super) async fn detail(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let id = AlertId(named(at, "alert")?);
        match alerts::alert(&app, visit.scope.workspace(), id).await {
            Ok(found) => Ok(pages::alerts::detail::page(visit.frame(), &found)),
            Err(AlertError::Store(err)) => Err(err.into()),
            Err(_) => Err(missing("alert", &id.to_string())),
        }
    };
    visit.answer(page.await)
}

pub(super) async fn rules(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let found = alerts::rules(&app, visit.scope.workspace()).await?;
        let text = alerts::text_of_own(&found);
        Ok(pages::alerts::rules::page(visit.frame(), &found, &text))
    };
    visit.answer(page.await)
}

pub(super) async fn silences(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let found = alerts::silences(&app, visit.scope.workspace()).await?;
        Ok(pages::alerts::silences::page(visit.frame(), &found))
    };
    visit.answer(page.await)
}

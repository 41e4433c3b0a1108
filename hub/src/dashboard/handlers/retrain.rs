//! Addresses of `/proposals` and `/retraining`.

use axum::{
    Form,
    extract::{Query, State, rejection::FormRejection, rejection::QueryRejection},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, ProposalId},
    rest::{ProposalAnswer, ProposalWord},
};

use super::{At, Named, missing, named};
use crate::{
    app::App,
    dashboard::{
        pages,
        visit::{Trouble, Visit},
    },
    retrain::{
        RetrainError, policies,
        proposals::{self, ProposalQuery},
        trainings, views,
    },
};

/// Questions on one page of the list: a few screens.
const ROWS: u64 = 100;

/// Lessons on the page of a model.
const LESSONS: u64 = 20;

/// What may stand behind the `?` of an address here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    all: Option<String>,
}

type Ask = Result<Query<Asked>, QueryRejection>;

/// What a form of a question says.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    say: String,
    #[serde(default)]
    note: String,
}

fn trouble(err: RetrainError) -> Trouble {
    match err {
        RetrainError::Store(err) => Trouble::Failed(err),
        RetrainError::NotFound(text) => Trouble::Missing(sentence(&text)),
        err => Trouble::Unreadable(sentence(&err.to_string())),
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

pub(super) async fn list(State(app): State<App>, visit: Visit, ask: Ask) -> Response {
    let page = async {
        let Query(asked) = ask.map_err(|_| Trouble::unreadable())?;
        let all = asked.all.is_some();
        let query = ProposalQuery {
            model: None,
            all,
            limit: Some(ROWS),
        };
        let found = proposals::proposals(&app, visit.scope.workspace(), &query).await;
        let found = found.map_err(trouble)?;
        Ok(pages::retrain::proposals::page(visit.frame(), &found, all))
    };
    visit.answer(page.await)
}

pub(super) async fn proposal(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let id = ProposalId(named(at, "proposal")?);
        let found = proposals::proposal(&app, visit.scope.workspace(), id).await;
        let found = found.map_err(trouble)?;
        let may = proposals::may(&visit.asker, visit.scope.workspace(), found.kind);
        Ok(pages::retrain::proposal::page(visit.frame(), &found, may))
    };
    visit.answer(page.await)
}

/// A form of the page, sent by a browser as it is: no script is needed. Whoever asks was let in as for the API, which
/// refuses what comes from other sites.
pub(super) async fn say(
    State(app): State<App>,
    visit: Visit,
    at: At<Named>,
    form: Result<Form<Said>, FormRejection>,
) -> Response {
    let said = async {
        let id = ProposalId(named(at, "proposal")?);
        let Form(said) = form.map_err(|_| Trouble::unreadable())?;
        let say: ProposalWord = said
            .say
            .parse()
            .map_err(|text: &str| Trouble::Unreadable(sentence(text)))?;
        let answer = ProposalAnswer {
            say,
            note: said.note,
        };
        let workspace = visit.scope.workspace();
        let done = proposals::say(&app, &visit.asker, workspace, id, &answer).await;
        done.map_err(trouble)?;
        Ok(id)
    };
    match said.await {
        Ok(id) => Redirect::to(&visit.scope.page(&format!("/proposals/{id}"))).into_response(),
        Err(trouble) => visit.answer(Err(trouble)),
    }
}

pub(super) async fn rounds(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let found = views::all(&app, visit.scope.workspace()).await;
        let found = found.map_err(trouble)?;
        Ok(pages::retrain::rounds::page(visit.frame(), &found))
    };
    visit.answer(page.await)
}

pub(super) async fn model(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let model: ModelName = named(at, "model")?;
        let workspace = visit.scope.workspace();
        let found = match views::one(&app, workspace, &model).await {
            Ok(found) => found,
            Err(RetrainError::NotFound(_)) => {
                return Err(missing("round of model", model.as_str()));
            }
            Err(err) => return Err(trouble(err)),
        };
        let lessons = views::lessons(&app, workspace, Some(&model), Some(LESSONS)).await;
        let lessons = lessons.map_err(trouble)?;
        Ok(pages::retrain::model::page(visit.frame(), &found, &lessons))
    };
    visit.answer(page.await)
}

pub(super) async fn lessons(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let found = views::lessons(&app, visit.scope.workspace(), None, Some(ROWS)).await;
        let found = found.map_err(trouble)?;
        Ok(pages::retrain::lessons::page(visit.frame(), &found))
    };
    visit.answer(page.await)
}

pub(super) async fn written(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let workspace = visit.scope.workspace();
        let policies = policies::list(&app, workspace).await.map_err(trouble)?;
        let trainings = trainings::list(&app, workspace).await.map_err(trouble)?;
        Ok(pages::retrain::written::page(
            visit.frame(),
            &policies,
            &trainings,
        ))
    };
    visit.answer(page.await)
}

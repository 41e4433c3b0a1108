//! Addresses of `/experiments` and `/runs`.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use serde::Deserialize;
use tern_protocol::rest::{Constraints, Direction};

use super::{At, Named, missing, named};
use crate::{
    app::App,
    dashboard::{
        pages::tracking::{
            experiment::{self, Asked},
            experiments, run,
        },
        visit::{Trouble, Visit},
    },
    tracking::{
        TrackingError, artifact,
        best::{self, Question},
        summary::{self, RunQuery},
    },
};

/// Runs on one page of the list.
const RUNS: u64 = 100;

/// Curves of a run that are drawn.
const CURVES: usize = 24;

/// What may stand behind the `?` of an address here. A form sends fields that were left empty, too.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Given {
    filter: Option<String>,
    order: Option<String>,
    after: Option<String>,
    metric: Option<String>,
    min: Option<String>,
    #[serde(rename = "where")]
    constraints: Option<String>,
}

impl Given {
    fn read(self) -> Asked {
        let given = |text: Option<String>| {
            let text = text.map(|text| text.trim().to_owned());
            text.filter(|text| !text.is_empty())
        };
        Asked {
            filter: given(self.filter),
            order: given(self.order),
            after: given(self.after),
            metric: given(self.metric),
            min: given(self.min).is_some(),
            constraints: given(self.constraints),
        }
    }
}

type Ask = Result<Query<Given>, QueryRejection>;

impl From<TrackingError> for Trouble {
    fn from(err: TrackingError) -> Self {
        match err {
            TrackingError::Store(err) => Self::Failed(err),
            TrackingError::NotFound(text) => Self::Missing(text),
            err => Self::Unreadable(err.to_string()),
        }
    }
}

/// What a person asked for and cannot be is told on the page that they asked on.
fn told<T>(found: Result<T, TrackingError>) -> Result<Result<T, String>, Trouble> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(TrackingError::Invalid(text)) => Ok(Err(text)),
        Err(err) => Err(err.into()),
    }
}

pub(super) async fn list(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let all = summary::experiments(&app, visit.scope.workspace()).await?;
        Ok(experiments::page(visit.frame(), &all))
    };
    visit.answer(page.await)
}

pub(super) async fn one(State(app): State<App>, visit: Visit, at: At<Named>, ask: Ask) -> Response {
    let page = async {
        let Query(given) = ask.map_err(|_| Trouble::unreadable())?;
        let asked = given.read();
        let name: String = named(at, "experiment")?;
        let workspace = visit.scope.workspace();
        let of = summary::experiment(&app, workspace, &name).await?;
        let query = RunQuery {
            filter: asked.filter.clone().unwrap_or_default(),
            order_by: asked.order.clone(),
            deleted: false,
            after: asked.after.clone().unwrap_or_default(),
            limit: Some(RUNS),
        };
        let runs = told(summary::runs(&app.store, workspace, of.id, &query).await)?;
        let best = match &asked.metric {
            None => None,
            Some(metric) => Some(best_of(&app, &visit, of.id, metric, &asked).await?),
        };
        let shown = experiment::Shown {
            id: of.id,
            name: &of.name,
            runs: &runs,
            best: &best,
        };
        Ok(experiment::page(visit.frame(), &asked, &shown))
    };
    visit.answer(Box::pin(page).await)
}

async fn best_of(
    app: &App,
    visit: &Visit,
    experiment: i64,
    metric: &str,
    asked: &Asked,
) -> Result<Result<tern_protocol::rest::BestRun, String>, Trouble> {
    let text = asked.constraints.as_deref().unwrap_or_default();
    let constraints: Constraints = match text.parse() {
        Ok(constraints) => constraints,
        Err(err) => return Ok(Err(format!("{err}."))),
    };
    let question = Question {
        experiment,
        metric: metric.to_owned(),
        direction: if asked.min {
            Direction::Min
        } else {
            Direction::Max
        },
        filter: asked.filter.clone().unwrap_or_default(),
        constraints,
    };
    told(best::best(&app.store, visit.scope.workspace(), question).await)
}

pub(super) async fn run_room(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let id: String = named(at, "run")?;
        let workspace = visit.scope.workspace();
        let found = match summary::run(&app.store, workspace, &id).await {
            Err(TrackingError::NotFound(_)) => return Err(missing("run", &id)),
            found => found?,
        };
        let of = summary::experiment(&app, workspace, &found.experiment.to_string()).await?;
        let mut curves = Vec::new();
        for metric in found.metrics.keys().take(CURVES) {
            let curve = summary::curve(&app.store, workspace, &id, metric).await?;
            if curve.points.len() > 1 {
                curves.push(curve);
            }
        }
        let mut files = Vec::new();
        if let Some(dir) = artifact::path_of(&found.artifact_uri) {
            for entry in artifact::list(app.store.read(), workspace, dir).await? {
                let name = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
                let bytes = entry.file.map(|file| file.len);
                files.push(run::File { name, bytes });
            }
        }
        let shown = run::Shown {
            run: &found,
            experiment: &of.name,
            curves: &curves,
            files: &files,
        };
        Ok(run::page(visit.frame(), &shown))
    };
    visit.answer(Box::pin(page).await)
}

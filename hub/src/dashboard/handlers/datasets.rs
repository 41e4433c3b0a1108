//! Addresses of `/datasets`.

use axum::{extract::State, response::Response};
use tern_protocol::rest::{DatasetInput, DatasetPick, DatasetRow, InputView, Split};

use super::{At, Named, named};
use crate::{
    app::App,
    dashboard::{
        pages::datasets::{list, one},
        visit::{Trouble, Visit},
    },
    datasets::{DatasetError, datastores, look},
    monitor::labelling,
    registry,
};

/// Rows that are drawn.
const DRAWN: usize = 24;

/// Values of a row that is drawn, at most.
const VALUES: usize = 16 * 1024;

impl From<DatasetError> for Trouble {
    fn from(err: DatasetError) -> Self {
        match err {
            DatasetError::Store(err) => Self::Failed(err),
            other => Self::Missing(format!("There is nothing to show: {}.", other.causes())),
        }
    }
}

pub(super) async fn list(State(app): State<App>, visit: Visit) -> Response {
    let page = async {
        let workspace = visit.scope.workspace();
        let all = look::list(&app, workspace, None).await?;
        let datastores = datastores::list(&app, workspace).await?;
        Ok(list::page(visit.frame(), &all.items, &datastores.items))
    };
    visit.answer(page.await)
}

pub(super) async fn one(State(app): State<App>, visit: Visit, at: At<Named>) -> Response {
    let page = async {
        let pick: DatasetPick = named(at, "dataset")?;
        let workspace = visit.scope.workspace();
        let detail = look::one(&app, workspace, &pick).await?;
        let versions = look::list(&app, workspace, Some(&detail.dataset.name)).await?;
        let base = match detail.dataset.base {
            Some(base) => Some(
                look::find(&app, workspace, &DatasetPick::Id(base))
                    .await?
                    .view,
            ),
            None => None,
        };
        let rows = drawn(&app, &visit, &detail).await?;
        let shown = one::Shown {
            detail: &detail,
            versions: &versions.items,
            base: base.as_ref(),
            rows: &rows,
        };
        Ok(one::page(visit.frame(), &shown))
    };
    visit.answer(Box::pin(page).await)
}

/// Some rows, and how captures of the same model are drawn.
async fn drawn(
    app: &App,
    visit: &Visit,
    detail: &tern_protocol::rest::DatasetDetail,
) -> Result<Vec<(DatasetRow, InputView)>, Trouble> {
    let Some(DatasetInput::Tensor(form)) = detail.manifest.as_ref().map(|of| &of.input) else {
        return Ok(Vec::new());
    };
    if form.elements().is_none_or(|elements| elements > VALUES) {
        return Ok(Vec::new());
    }
    let workspace = visit.scope.workspace();
    let reference = match &detail.dataset.model {
        Some(model) => match registry::newest_inputs(app.store.read(), workspace, model).await? {
            Some((version, _)) => registry::profile(app, workspace, model, version)
                .await?
                .flatten(),
            None => None,
        },
        None => None,
    };
    let pick = DatasetPick::Id(detail.dataset.id);
    let found = look::find(app, workspace, &pick).await?;
    let rows = look::some_rows(app, &found, Split::Train, DRAWN).await?;
    let view = |row: DatasetRow| {
        let values: Vec<f32> = row
            .values
            .iter()
            .map(|value| value.unwrap_or(f32::NAN))
            .collect();
        let view = labelling::drawn(&form.shape, &values, reference.as_ref());
        (row, view)
    };
    Ok(rows.into_iter().map(view).collect())
}

//! Labels of one version.

use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use tern_protocol::{
    id::{SiteName, WorkspaceId},
    rest::{LabelSource, Part},
};

use super::TruthQuery;
use crate::{
    monitor::sql::Select,
    store::{Doing as _, Store, StoreError},
};

const DOING: &str = "reading labels of a version";

/// Labels that one answer reads: some ten megabytes, and far more than an interval needs.
const LABELS: i64 = 100_000;

/// Labels read at a time.
const PAGE: i64 = 10_000;

/// One label.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub(super) struct Known {
    predicted_at: i64,
    device: String,
    boot: i64,
    number: i64,
    /// Predicted class.
    pub(super) class: i64,
    /// True class.
    pub(super) truth: i64,
    /// How likely it was that it is asked about; 0 if nobody knows.
    pub(super) probability: f64,
    /// How sure the model was.
    pub(super) confidence: Option<f64>,
    /// Predicted number, of a model that answers numbers.
    pub(super) predicted: Option<f64>,
    /// True number.
    pub(super) truth_number: Option<f64>,
    /// Ends of the predicted interval.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    source: String,
    labelled_at: i64,
}

impl Known {
    /// Where the truth came from.
    pub(super) fn source(&self) -> LabelSource {
        LabelSource::named(&self.source)
    }

    /// How long after the prediction the truth came, if that is known.
    pub(super) fn delay(&self) -> Option<u64> {
        let delay = self.labelled_at.checked_sub(self.predicted_at)?;
        (self.labelled_at > 0).then(|| delay.max(0).unsigned_abs())
    }

    /// Prediction and truth, of a model that answers numbers.
    pub(super) fn numbers(&self) -> Option<(f64, f64)> {
        self.predicted.zip(self.truth_number)
    }

    /// Classes as places in a list.
    pub(super) fn classes(&self) -> Option<(usize, usize)> {
        if self.predicted.is_some() {
            return None;
        }
        usize::try_from(self.truth)
            .ok()
            .zip(usize::try_from(self.class).ok())
    }
}

/// Labels, the newest prediction first.
#[derive(Debug, Default)]
pub(super) struct Labels {
    all: Vec<Known>,
    /// Whether there are older ones that were not read.
    pub(super) more: bool,
}

impl Labels {
    /// Those whose chance is known.
    pub(super) fn counted(&self) -> impl Iterator<Item = &Known> {
        self.all.iter().filter(|label| label.probability > 0.0)
    }

    /// How many others there are.
    pub(super) fn left_out(&self) -> u64 {
        (self.all.len() - self.counted().count()) as u64
    }
}

/// Reads them.
pub(super) async fn labels(
    store: &Store,
    workspace: &WorkspaceId,
    query: &TruthQuery,
) -> Result<Labels, StoreError> {
    let asked = query
        .last
        .map_or(i64::MAX, |last| i64::try_from(last).unwrap_or(i64::MAX));
    let most = asked.min(LABELS);
    let mut labels = Labels::default();
    loop {
        let left = most - labels.all.len() as i64;
        let want = left.clamp(0, PAGE);
        let rows = page(store, workspace, query, labels.all.last(), want).await?;
        let got = rows.len() as i64;
        labels.all.extend(rows);
        if got < want {
            return Ok(labels);
        }
        if left <= want {
            // One more says whether there is more; whoever asked for the last so many has them all.
            let after = page(store, workspace, query, labels.all.last(), 1).await?;
            labels.more = asked > LABELS && !after.is_empty();
            return Ok(labels);
        }
    }
}

async fn page(
    store: &Store,
    workspace: &WorkspaceId,
    query: &TruthQuery,
    after: Option<&Known>,
    limit: i64,
) -> Result<Vec<Known>, StoreError> {
    let select = Select::new(
        "SELECT predicted_at, device, boot, number, class, truth, probability, confidence, predicted, \
         truth_number, low, high, source, labelled_at FROM label \
         WHERE workspace = $1 AND model = $2 AND version = $3",
        [
            Value::from(workspace.as_str()),
            query.model.as_str().into(),
            i64::from(query.version.get()).into(),
        ],
    )
    .filter(" AND site = ?", query.site.as_ref().map(SiteName::as_str))
    .filter(" AND arm = ?", query.arm.map(Part::word))
    .filter(" AND predicted_at >= ?", query.from.map(|from| from.0))
    .filter(" AND predicted_at < ?", query.to.map(|to| to.0));
    let select = match after {
        Some(last) => select.push(
            " AND (predicted_at, device, boot, number) < (?, ?, ?, ?)",
            [
                last.predicted_at.into(),
                last.device.as_str().into(),
                last.boot.into(),
                last.number.into(),
            ],
        ),
        None => select,
    };
    let select = select.push(
        " ORDER BY predicted_at DESC, device DESC, boot DESC, number DESC LIMIT ?",
        [limit.into()],
    );
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    rows.iter()
        .map(|row| Known::from_query_result(row, "").doing(DOING))
        .collect()
}

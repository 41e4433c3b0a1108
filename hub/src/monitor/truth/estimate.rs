//! What is to be expected of each day without its labels, and how far off that was.
//!
//! Of a classifier: how often it was right at each confidence, and how often devices counted each confidence that day. Of
//! a model that answers numbers: how far off it was at each number, and how often devices counted each number. Both stand
//! on labels of predictions *before* the day, if there are enough; a classifier else on its validation. So the labels of a
//! day never speak for the estimate of that day, and what is compared with them was said without them.

use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use tern_protocol::{
    id::{SiteName, WorkspaceId},
    profile::{CONFIDENCE_BINS, Reference},
    rest::{EstimateBasis, EstimateView, EstimatedDay, EstimatedQuantity, Part},
    time::WallTime,
    window::Window,
};
use tern_stats::{
    estimate::{confidence, error::Errors, track::Track},
    interval::{Estimate, Weighted, Z_95},
    truth::{calibration::Calibration, mean::WeightedMean},
    values::Values,
};

use super::{TruthError, TruthQuery, views::told};
use crate::{
    app::App,
    monitor::{
        rollup::{self, ALL_SITES, Level, Which},
        sql::Select,
    },
    store::{Doing as _, Store, StoreError},
};

const DOING: &str = "reading what an estimate stands on";

/// Days that are told.
const DAYS: i64 = 31;

/// Sums that one answer reads: a day has one for each slot and part in a rollout.
const SUMS: i64 = 2_000;

/// Labels that estimates stand on, the newest.
const LABELS: i64 = 50_000;

/// Fewer labels than these say less than validation does.
const ENOUGH: u64 = 100;

/// A label, as far as estimates need it.
#[derive(Debug, Clone, Copy, FromQueryResult)]
pub(super) struct Known {
    predicted_at: i64,
    class: i64,
    truth: i64,
    probability: f64,
    confidence: Option<f64>,
    predicted: Option<f64>,
    truth_number: Option<f64>,
}

/// Estimates day by day.
pub(super) async fn estimate(
    app: &App,
    workspace: &WorkspaceId,
    query: &TruthQuery,
    classes: &[String],
    reference: Option<&Reference>,
) -> Result<EstimateView, TruthError> {
    let now = app.clock.now().0;
    let end = query.to.map_or(now, |to| to.0.min(now));
    let to = Level::Day.start(end.saturating_sub(1)) + Level::Day.ms();
    let first = to - DAYS * Level::Day.ms();
    let from = query
        .from
        .map_or(first, |from| first.max(Level::Day.start(from.0)));
    let site = query.site.as_ref().map_or(ALL_SITES, SiteName::as_str);
    let which = Which {
        model: &query.model,
        version: query.version,
        site: Some(site),
        arm: query.arm,
        level: Level::Day,
        from,
        to,
        limit: SUMS,
    };
    let sums = rollup::sums(&app.store, workspace, which, DOING).await?;
    let labels = labels(&app.store, workspace, query, to).await?;
    let windows = sums.iter().map(|sum| (sum.start, &sum.window));
    Ok(days(windows, &labels, reference, !classes.is_empty()))
}

/// Labels of predictions before a moment, the oldest first; whose chance is not known are left out.
async fn labels(
    store: &Store,
    workspace: &WorkspaceId,
    query: &TruthQuery,
    to: i64,
) -> Result<Vec<Known>, StoreError> {
    let select = Select::new(
        "SELECT predicted_at, class, truth, probability, confidence, predicted, truth_number FROM label \
         WHERE workspace = $1 AND model = $2 AND predicted_at < $3 AND version = $4 AND probability > 0",
        [
            Value::from(workspace.as_str()),
            query.model.as_str().into(),
            to.into(),
            i64::from(query.version.get()).into(),
        ],
    )
    .filter(" AND site = ?", query.site.as_ref().map(SiteName::as_str))
    .filter(" AND arm = ?", query.arm.map(Part::word))
    .push(" ORDER BY predicted_at DESC LIMIT ?", [LABELS.into()]);
    let rows = store
        .read()
        .query_all_raw(select.done(store.backend()))
        .await
        .doing(DOING)?;
    let known: Result<Vec<Known>, StoreError> = rows
        .iter()
        .rev()
        .map(|row| Known::from_query_result(row, "").doing(DOING))
        .collect();
    known
}

/// What devices counted on one day.
#[derive(Default)]
struct Served {
    predictions: u64,
    confidence: Vec<u64>,
    values: Values,
}

impl Served {
    fn add(&mut self, window: &Window) {
        self.predictions = self.predictions.saturating_add(window.inferences);
        if window.confidence.len() == CONFIDENCE_BINS {
            self.confidence.resize(CONFIDENCE_BINS, 0);
            for (sum, count) in self.confidence.iter_mut().zip(&window.confidence) {
                *sum = sum.saturating_add(*count);
            }
        }
        if let Some(values) = &window.values
            && let Ok(values) = Values::try_from(values)
        {
            self.values.merge(&values);
        }
    }
}

/// Estimate and truth of each day that has windows.
fn days<'w>(
    windows: impl Iterator<Item = (i64, &'w Window)>,
    labels: &[Known],
    reference: Option<&Reference>,
    classifier: bool,
) -> EstimateView {
    let mut served: std::collections::BTreeMap<i64, Served> = std::collections::BTreeMap::new();
    for (start, window) in windows {
        served.entry(start).or_default().add(window);
    }
    let mut labels = labels.iter().peekable();
    let mut before = Before::default();
    let mut track = Track::default();
    let mut days = Vec::with_capacity(served.len());
    for (start, served) in &served {
        while let Some(label) = labels.next_if(|label| label.predicted_at < *start) {
            before.add(label);
        }
        let estimated = if classifier {
            before.accuracy(served, reference)
        } else {
            before.error(served)
        };
        let mut today = Today::default();
        // Of the same day, and added to what later days stand on.
        while let Some(label) = labels.next_if(|label| label.predicted_at < start + Level::Day.ms())
        {
            today.add(label);
            before.add(label);
        }
        let truth = today.truth(classifier);
        let off = estimated
            .zip(truth)
            .and_then(|((estimate, _), truth)| track.add(&estimate, &truth));
        days.push(EstimatedDay {
            from: WallTime(*start),
            predictions: served.predictions,
            estimate: estimated.map(|(estimate, _)| told(estimate)),
            basis: estimated.map(|(_, basis)| basis),
            truth: truth.map(told),
            off: off.map(|off| off.by),
        });
    }
    let lacks = days
        .iter()
        .all(|day| day.estimate.is_none())
        .then(|| lacking(&days, classifier));
    EstimateView {
        quantity: if classifier {
            EstimatedQuantity::Accuracy
        } else {
            EstimatedQuantity::MeanAbsoluteError
        },
        lacks,
        days,
        compared: track.n,
        agreed: track.agreed,
        mean_error: track.mean_error(),
        mean_bias: track.mean_bias(),
    }
}

fn lacking(days: &[EstimatedDay], classifier: bool) -> String {
    if days.is_empty() {
        "no predictions were counted in that time".into()
    } else if classifier {
        format!(
            "nothing to stand on: the version has no reference profile with validation, and fewer than {ENOUGH} labels \
             of an earlier day"
        )
    } else {
        format!("nothing to stand on: fewer than {ENOUGH} labels of an earlier day")
    }
}

/// What is known from labels of earlier days.
#[derive(Default)]
struct Before {
    calibration: Calibration,
    /// Prediction, truth, and the chance with which the input was captured.
    pairs: Vec<(f64, f64, f64)>,
}

impl Before {
    fn add(&mut self, label: &Known) {
        match (label.predicted.zip(label.truth_number), label.confidence) {
            (Some((predicted, truth)), _) => {
                self.pairs.push((predicted, truth, label.probability));
            }
            (None, Some(confidence)) => {
                let right = label.class == label.truth;
                self.calibration.add(confidence, right, label.probability);
            }
            (None, None) => {}
        }
    }

    fn accuracy(
        &self,
        served: &Served,
        reference: Option<&Reference>,
    ) -> Option<(Estimate, EstimateBasis)> {
        let (validation, right) = self.calibration.validation();
        // As many as say as much as labels that all weigh the same.
        let labels = validation.iter().sum::<u64>() >= ENOUGH;
        let (basis, validation, right) = if labels {
            (EstimateBasis::Labels, validation, right)
        } else {
            let reference = reference.filter(|reference| !reference.confidence_right.is_empty())?;
            (
                EstimateBasis::Reference,
                reference.confidence.clone(),
                reference.confidence_right.clone(),
            )
        };
        let estimate = confidence::accuracy(&validation, &right, &served.confidence, Z_95).ok()?;
        Some((estimate, basis))
    }

    fn error(&self, served: &Served) -> Option<(Estimate, EstimateBasis)> {
        if (self.pairs.len() as u64) < ENOUGH {
            return None;
        }
        let errors = Errors::weighted(self.pairs.iter().copied()).ok()?;
        let counts = served.values.counts(errors.edges());
        let estimate = errors.mae(&counts, Z_95).ok()?;
        Some((estimate, EstimateBasis::Labels))
    }
}

/// What labels of one day say.
#[derive(Default)]
struct Today {
    right: Weighted,
    absolute: WeightedMean,
}

impl Today {
    fn add(&mut self, label: &Known) {
        match label.predicted.zip(label.truth_number) {
            Some((predicted, truth)) => self
                .absolute
                .add((predicted - truth).abs(), label.probability),
            None => self
                .right
                .add(label.class == label.truth, label.probability),
        }
    }

    fn truth(&self, classifier: bool) -> Option<Estimate> {
        if classifier {
            self.right.estimate(Z_95)
        } else {
            self.absolute.estimate(Z_95)
        }
    }
}

/// What tests of the module above are made of.
#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A label of a classifier.
    pub(in crate::monitor::truth) fn class(at: i64, confidence: f64, right: bool) -> Known {
        Known {
            predicted_at: at,
            class: 1,
            truth: i64::from(right),
            probability: 1.0,
            confidence: Some(confidence),
            predicted: None,
            truth_number: None,
        }
    }

    /// A label of a number.
    pub(in crate::monitor::truth) fn number(at: i64, predicted: f64, truth: f64) -> Known {
        Known {
            predicted: Some(predicted),
            truth_number: Some(truth),
            confidence: None,
            ..class(at, 0.0, false)
        }
    }

    /// As [`super::days`].
    pub(in crate::monitor::truth) fn days(
        windows: &[(i64, &Window)],
        labels: &[Known],
        reference: Option<&Reference>,
        classifier: bool,
    ) -> EstimateView {
        super::days(windows.iter().copied(), labels, reference, classifier)
    }
}

//! How right a version is, from labels and without them.

use tern_protocol::{
    id::ModelVersion,
    rest::{Estimated, EstimatedQuantity},
    time::WallTime,
};
use tern_retrain::fact::Figure;

use super::{Kept, is_young};
use crate::{
    app::App,
    monitor::{self, TruthError, TruthQuery},
    registry::ProfileError,
    retrain::desk::Of,
    store::{StoreError, chain},
};

/// Labels that a figure stands on, the newest: enough for an interval of a few points, and few enough that what changed
/// shows.
const LABELS: u64 = 500;

/// How far back they reach, in milliseconds: a month.
const REACH: i64 = 30 * 86_400_000;

/// Figures of a version.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    read: WallTime,
    version: Option<ModelVersion>,
    pub(super) accuracy: Option<Figure>,
    pub(super) error: Option<Figure>,
    pub(super) estimate: Option<Figure>,
}

impl Figures {
    /// Those of a version; those that are kept if they are young.
    pub(super) async fn of(
        app: &App,
        of: &Of,
        version: ModelVersion,
        kept: &mut Kept,
    ) -> Result<Self, StoreError> {
        let now = app.clock.now();
        if let Some(figures) = kept.figures.as_ref()
            && figures.version == Some(version)
            && is_young(figures.read, now, kept.figures_ms)
        {
            return Ok(figures.clone());
        }
        let read = Self::read(app, of, version, now).await?;
        kept.figures = Some(read.clone());
        Ok(read)
    }

    async fn read(
        app: &App,
        (workspace, model): &Of,
        version: ModelVersion,
        now: WallTime,
    ) -> Result<Self, StoreError> {
        let query = TruthQuery {
            model: model.clone(),
            version,
            site: None,
            arm: None,
            from: Some(WallTime(now.0.saturating_sub(REACH))),
            to: None,
            last: Some(LABELS),
        };
        let mut figures = Self {
            read: now,
            version: Some(version),
            ..Self::default()
        };
        let view = match monitor::truth(app, workspace, &query).await {
            Ok(view) => view,
            Err(TruthError::Store(err) | TruthError::Profile(ProfileError::Store(err))) => {
                return Err(err);
            }
            // Nothing is known then, and nothing follows from that.
            Err(err) => {
                tracing::warn!(error = chain(&err), %workspace, %model, "how right a version is cannot be read");
                return Ok(figures);
            }
        };
        let figure = |of: Estimated| Figure {
            version,
            value: of.value,
            low: of.low,
            high: of.high,
            n: of.n,
        };
        figures.accuracy = view.classes.map(|classes| figure(classes.accuracy));
        figures.error = view.numbers.and_then(|numbers| numbers.mae).map(figure);
        let mut newest = view.estimate.days.iter().rev();
        let newest = newest.find_map(|day| day.estimate);
        figures.estimate = newest
            .filter(|_| view.estimate.quantity == EstimatedQuantity::Accuracy)
            .map(figure);
        Ok(figures)
    }
}

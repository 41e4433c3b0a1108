//! Labels that may be trained on: those of captures whose inputs are kept.

use std::collections::BTreeMap;

use tern_protocol::{
    id::{ModelVersion, SiteName},
    rest::VersionRef,
    time::WallTime,
};
use tern_retrain::{Step, fact::Labels};

use super::{super::questions, is_young};
use crate::{
    app::App,
    monitor::last_place,
    registry,
    retrain::{
        desk::Of,
        questions::Body,
        sql::{SQL, of as values_of},
    },
    store::{StoreError, parsed},
};

/// How long a count is kept if no label came, in milliseconds: truths that changed and captures that were deleted show
/// after it.
const YOUNG: i64 = 60_000;

/// Labels of one model, counted.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    read: WallTime,
    place: i64,
    cut: Option<WallTime>,
    version: Option<ModelVersion>,
    labels: Labels,
}

impl Counted {
    /// Counts them, or gives what was counted if nothing came since. `version` is the one whose classes are meant.
    pub(super) async fn of(
        app: &App,
        of: &Of,
        cut: Option<WallTime>,
        version: Option<ModelVersion>,
        kept: &mut Option<Self>,
    ) -> Result<Labels, StoreError> {
        let now = app.clock.now();
        let place = last_place(app.store.read(), &of.0).await?;
        if let Some(kept) = kept.as_ref()
            && (kept.place, kept.cut, kept.version) == (place, cut, version)
            && is_young(kept.read, now, YOUNG)
        {
            return Ok(kept.labels.clone());
        }
        let labels = count(app, of, cut, version).await?;
        *kept = Some(Self {
            read: now,
            place,
            cut,
            version,
            labels: labels.clone(),
        });
        Ok(labels)
    }
}

/// A label and the capture that it is about.
const LABELLED: &str = "FROM label l JOIN capture c ON c.workspace = l.workspace AND c.device = l.device \
    AND c.boot = l.boot AND c.number = l.number WHERE l.workspace = $1 AND l.model = $2 AND c.summary IS NULL";

async fn count(
    app: &App,
    of: &Of,
    cut: Option<WallTime>,
    version: Option<ModelVersion>,
) -> Result<Labels, StoreError> {
    let (workspace, model) = of;
    let db = app.store.read();
    let classes = registry::classes(db, workspace, Some(model)).await?;
    let names = |number: i64| {
        let number = u32::try_from(number).ok().and_then(ModelVersion::new)?;
        let of = VersionRef {
            model: model.clone(),
            version: number,
        };
        classes.get(&of)
    };
    let mut labels = Labels::default();
    let meant = version.map(|version| VersionRef {
        model: model.clone(),
        version,
    });
    for name in meant.and_then(|of| classes.get(&of)).into_iter().flatten() {
        labels.by_class.insert(name.clone(), 0);
    }
    let classifies = !labels.by_class.is_empty();
    // Numbers differ from label to label: only classes are counted one by one.
    let truth = if classifies { "l.truth" } else { "0" };
    let sql = format!(
        "SELECT l.site, l.version, {truth} AS truth, COUNT(*) AS labels, \
         SUM(CASE WHEN l.labelled_at > $3 THEN 1 ELSE 0 END) AS fresh {LABELLED} \
         GROUP BY l.site, l.version{}",
        if classifies { ", l.truth" } else { "" }
    );
    let [in_workspace, of_model] = values_of(workspace, model);
    let after = cut.map_or(i64::MIN, |cut| cut.0);
    let mut by_site: BTreeMap<SiteName, u64> = BTreeMap::new();
    for row in SQL
        .rows(db, &sql, [in_workspace, of_model, after.into()])
        .await?
    {
        let n = SQL.count(&row, "labels")?;
        labels.usable += n;
        labels.new += SQL.count(&row, "fresh")?;
        let site: SiteName = parsed("site name", &SQL.column::<String>(&row, "site")?)?;
        *by_site.entry(site).or_default() += n;
        if classifies {
            let truth: i64 = SQL.column(&row, "truth")?;
            let class = names(SQL.column(&row, "version")?)
                .zip(usize::try_from(truth).ok())
                .and_then(|(names, class)| names.get(class));
            // A class that the version which serves does not know is nobody's to ask for.
            if let Some(count) = class.and_then(|class| labels.by_class.get_mut(class)) {
                *count += n;
            }
        }
    }
    labels.by_site = by_site;
    Ok(labels)
}

/// Captures that people were asked to label in this round and did not yet.
pub(super) async fn queued(
    app: &App,
    of: &Of,
    asked: &[questions::Row],
) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT COUNT(*) AS labels {LABELLED} AND l.labelled_at > $3 AND l.labelled_at <= $4"
    );
    let asks: Vec<(WallTime, u64)> = asked
        .iter()
        .filter(|row| row.key.step == Step::Labels)
        .filter_map(|row| match &row.body {
            Body::Labels(labels) => Some((row.at, labels.captures)),
            _ => None,
        })
        .collect();
    let ends = asks.iter().skip(1).map(|(at, _)| at.0).chain([i64::MAX]);
    let mut queued: u64 = 0;
    // What was asked for is answered by what came until more was asked for.
    for ((from, captures), to) in asks.iter().zip(ends) {
        let [workspace, model] = values_of(&of.0, &of.1);
        let values = [workspace, model, from.0.into(), to.into()];
        let came = match SQL.row(app.store.read(), &sql, values).await? {
            Some(row) => SQL.count(&row, "labels")?,
            None => 0,
        };
        queued = queued.saturating_add(*captures).saturating_sub(came);
    }
    Ok(queued)
}

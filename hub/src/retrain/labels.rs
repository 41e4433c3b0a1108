//! People are asked for labels where they lack: the queue of whoever labels begins with such captures, and devices are
//! asked for inputs where there are too few to label.
//!
//! Must never break: people and devices are asked in one transaction, so that no kill leaves devices unasked until people
//! are asked again, a day later; what is put first is of those captures alone that were chosen by what the model said,
//! whose labels count in no estimate. What was drawn by lot stays in the order of the lot.

use std::collections::BTreeSet;

use tern_protocol::{
    id::{ModelName, SiteName, WorkspaceId},
    rest::NewCaptureRequest,
};
use tern_retrain::{Key, Stage, action::LabelOrder};

use super::{
    desk::Of,
    questions::{self, Body, Labels},
    sql::{SQL, of as values_of},
    stored::{self, LookError},
};
use crate::{
    access::audit::Actor,
    app::App,
    captures::{CaptureError, requests},
    store::{StoreError, chain},
};

/// For how long devices are asked, in seconds: until people are asked again.
const WITHIN_S: u64 = 86_400;

/// Sites that are asked in one round, at most.
const SITES: usize = 50;

/// Most inputs of one device.
const EACH: u64 = 1_000;

/// Asks people, and devices for what there is too little of to label.
pub(super) async fn ask(
    app: &App,
    of: &Of,
    key: Key,
    order: &LabelOrder,
) -> Result<(), StoreError> {
    let (workspace, model) = of;
    let labels = Labels::from(order);
    let inputs = inputs(app, of, &labels).await?;
    let txn = SQL.begin(&app.store).await?;
    let (body, now) = (Body::Labels(labels), app.clock.now());
    if !questions::put_in(&txn, workspace, model, key, &body, now).await? {
        return Ok(());
    }
    for new in &inputs {
        match requests::ask_in(&txn, app, &Actor::hub(), workspace, new).await {
            Ok(_) => {}
            Err(CaptureError::Store(err)) => return Err(err),
            // Devices are asked for much already. People are asked all the same.
            Err(err) => {
                tracing::warn!(error = chain(&err), %workspace, %model, "devices were not asked for inputs to label");
            }
        }
    }
    SQL.commit(txn).await?;
    questions::told(app, workspace, model);
    app.captures.wake.notify();
    Ok(())
}

/// What devices are to be asked for: at each site what lacks beyond what waits to be labelled there.
async fn inputs(app: &App, of: &Of, labels: &Labels) -> Result<Vec<NewCaptureRequest>, StoreError> {
    let mut lacking: Vec<(Option<&SiteName>, u64)> = labels
        .sites
        .iter()
        .take(SITES)
        .map(|(site, lack)| (Some(site), *lack))
        .collect();
    if lacking.is_empty() {
        lacking.push((None, labels.captures));
    }
    let mut inputs = Vec::new();
    for (site, lack) in lacking {
        let (waiting, devices) = there(app, of, site).await?;
        let missing = lack.saturating_sub(waiting);
        if missing == 0 || devices == 0 {
            continue;
        }
        let count = missing.div_ceil(devices).clamp(1, EACH);
        inputs.push(NewCaptureRequest {
            device: None,
            site: site.cloned(),
            model: Some(of.1.clone()),
            slot: None,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            within_s: WITHIN_S,
        });
    }
    Ok(inputs)
}

/// Captures without a label at a site, and devices that are to have the model there; without a site everywhere.
async fn there(
    app: &App,
    (workspace, model): &Of,
    site: Option<&SiteName>,
) -> Result<(u64, u64), StoreError> {
    let db = app.store.read();
    let site = site.map_or("", SiteName::as_str);
    let waiting = "SELECT COUNT(*) AS n FROM capture c WHERE c.workspace = $1 AND c.model = $2 \
        AND ($3 = '' OR c.site = $3) AND c.summary IS NULL \
        AND NOT EXISTS (SELECT 1 FROM label l WHERE l.workspace = c.workspace AND l.device = c.device \
        AND l.boot = c.boot AND l.number = c.number)";
    let devices = "SELECT COUNT(DISTINCT s.device) AS n FROM slot s LEFT JOIN device d \
        ON d.workspace = s.workspace AND d.id = s.device \
        WHERE s.workspace = $1 AND s.assigned_model = $2 AND ($3 = '' OR d.site = $3)";
    let mut counts = [0, 0];
    for (count, sql) in counts.iter_mut().zip([waiting, devices]) {
        let [in_workspace, of_model] = values_of(workspace, model);
        let row = SQL
            .row(db, sql, [in_workspace, of_model, site.into()])
            .await?;
        *count = row.map_or(Ok(0), |row| SQL.count(&row, "n"))?;
    }
    let [waiting, devices] = counts;
    Ok((waiting, devices))
}

/// Which captures of a model people are asked to label first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    sites: BTreeSet<String>,
    classes: BTreeSet<String>,
}

impl Wanted {
    /// Whether a capture at a site, for which the model said a class, is one of them.
    pub(crate) fn holds(&self, site: &str, class: &str) -> bool {
        self.sites.contains(site) || self.classes.contains(class)
    }

    /// Whether none is put first.
    pub(crate) fn is_empty(&self) -> bool {
        self.sites.is_empty() && self.classes.is_empty()
    }
}

/// Captures of which labels lack for the round that is open.
pub(crate) async fn wanted(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Wanted, StoreError> {
    let db = app.store.read();
    let known = match stored::state(db, workspace, model).await {
        Ok(known) => known,
        Err(LookError::Store(err)) => return Err(err),
        // Whoever drives it says so; people label all the same.
        Err(LookError::Restore(_)) => return Ok(Wanted::default()),
    };
    let Some(open) = known.open().filter(|open| open.stage == Stage::Waiting) else {
        return Ok(Wanted::default());
    };
    let asked = questions::of_round(db, workspace, model, open.number).await?;
    let newest = asked.into_iter().rev().find_map(|row| match row.body {
        Body::Labels(labels) => Some(labels),
        Body::Proposal(_) | Body::Question(_) => None,
    });
    let newest = newest.unwrap_or_default();
    Ok(Wanted {
        sites: newest
            .sites
            .iter()
            .map(|(site, _)| site.to_string())
            .collect(),
        classes: newest.classes.into_iter().collect(),
    })
}

//! How labelling of a model stands, and how it is set.

use sea_orm::{ConnectionTrait, TransactionTrait as _, Value};
use tern_protocol::{
    id::{ModelName, WorkspaceId},
    rest::{AgreementView, LabellingSettings, LabellingView},
};
use tern_stats::{interval::Z_95, truth::agreement::Agreement};

use super::{
    Labeller, LabellingError,
    queue::NEWEST,
    say::{announce, follow_all, truth},
    settle::Truth,
};
use crate::{
    access::audit::{self, Actor, Deed},
    app::App,
    monitor::truth::told,
    registry,
    store::{Doing as _, StoreError, raw},
};

const DOING: &str = "counting what people labelled";

/// Captures that are counted as waiting, at most.
const WAITING: i64 = 10_000;

/// Verdicts of captures that two people labelled, the newest, from which agreement follows.
const PAIRS: i64 = 50_000;

/// How many people have to say the same: 1 unless it was set.
pub(super) async fn labellers(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<u8, StoreError> {
    const SELECT: &str = "SELECT labellers FROM labelling WHERE workspace = $1 AND model = $2";
    let values = [workspace.as_str().into(), model.as_str().into()];
    let row = raw::row(db, DOING, SELECT, values).await?;
    let stored: Option<i64> = row
        .map(|row| row.try_get_by_index(0))
        .transpose()
        .doing(DOING)?;
    Ok(if stored == Some(2) { 2 } else { 1 })
}

/// Sets how a model is labelled. What is a truth stays one; what waited for a second person, or for a decision, becomes one
/// if it needs neither any more.
pub async fn set(
    app: &App,
    by: &Actor,
    workspace: &WorkspaceId,
    model: &ModelName,
    settings: LabellingSettings,
) -> Result<(), LabellingError> {
    const UPSERT: &str = "INSERT INTO labelling (workspace, model, labellers) VALUES ($1, $2, $3) \
        ON CONFLICT (workspace, model) DO UPDATE SET labellers = excluded.labellers";
    const DOING: &str = "setting how a model is labelled";
    if !(1..=2).contains(&settings.labellers) {
        return Err(LabellingError::Labellers);
    }
    known(app, workspace, model).await?;
    let txn = app.store.write().begin().await.doing(DOING)?;
    let before = labellers(&txn, workspace, model).await?;
    let values = [
        workspace.as_str().into(),
        model.as_str().into(),
        i64::from(settings.labellers).into(),
    ];
    raw::exec(&txn, DOING, UPSERT, values).await?;
    let was = LabellingSettings { labellers: before };
    let deed = Deed::new("labelling.set", format!("labelling of {model}"))
        .within(workspace)
        .before(&was)
        .after(&settings)
        .detail(format!("{} labellers, {before} before", settings.labellers));
    audit::record(&txn, &app.clock, by, deed).await?;
    let settled = follow_all(app, &txn, workspace, model).await?;
    txn.commit().await.doing(DOING)?;
    if settled > 0 {
        announce(app, workspace);
    }
    Ok(())
}

/// Refuses a model that there is not.
async fn known(
    app: &App,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<(), LabellingError> {
    let found = registry::model(&app.store, workspace, model).await?;
    found
        .map(drop)
        .ok_or_else(|| LabellingError::NoModel(model.clone()))
}

/// How labelling of a model stands.
pub async fn stand(
    app: &App,
    workspace: &WorkspaceId,
    labeller: &Labeller,
    model: &ModelName,
) -> Result<LabellingView, LabellingError> {
    known(app, workspace, model).await?;
    let db = app.store.read();
    let of_model = || -> Vec<Value> { vec![workspace.as_str().into(), model.as_str().into()] };
    let count = async |select: String, values: Vec<Value>| -> Result<u64, StoreError> {
        let row = raw::row(db, DOING, &select, values).await?;
        let found: Option<i64> = row
            .map(|row| row.try_get_by_index(0))
            .transpose()
            .doing(DOING)?;
        Ok(found.unwrap_or(0).max(0).unsigned_abs())
    };
    let waiting = |kept: &str| {
        format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM (SELECT * FROM capture WHERE workspace = $1 AND model = $2 \
         ORDER BY id DESC LIMIT {NEWEST}) AS c WHERE c.summary {kept} \
         AND NOT EXISTS (SELECT 1 FROM label o WHERE o.workspace = c.workspace AND o.device = c.device \
           AND o.boot = c.boot AND o.number = c.number) \
         AND NOT EXISTS (SELECT 1 FROM verdict o WHERE o.workspace = c.workspace AND o.device = c.device \
           AND o.boot = c.boot AND o.number = c.number AND o.truth IS NOT NULL) LIMIT {WAITING}) AS w"
        )
    };
    // Captures without a truth, by how many people have said something.
    let unsettled = |having: &str| {
        format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM verdict v WHERE v.workspace = $1 AND v.model = $2 \
             AND v.truth IS NOT NULL AND v.decides = 0 \
             AND EXISTS (SELECT 1 FROM capture o WHERE o.workspace = v.workspace AND o.device = v.device \
               AND o.boot = v.boot AND o.number = v.number) \
             AND NOT EXISTS (SELECT 1 FROM label o WHERE o.workspace = v.workspace AND o.device = v.device \
               AND o.boot = v.boot AND o.number = v.number) \
             GROUP BY v.device, v.boot, v.number HAVING {having}) AS u"
        )
    };
    let labelled =
        "SELECT COUNT(*) FROM label WHERE workspace = $1 AND model = $2 AND source = 'person'";
    let mine = "SELECT COUNT(*) FROM verdict WHERE workspace = $1 AND model = $2 AND labeller = $3 \
        AND truth IS NOT NULL";
    let mut by_me = of_model();
    by_me.push(labeller.as_str().into());
    Ok(LabellingView {
        model: model.clone(),
        labellers: labellers(db, workspace, model).await?,
        waiting: count(waiting("IS NULL"), of_model()).await?,
        without_input: count(waiting("IS NOT NULL"), of_model()).await?,
        half: count(unsettled("COUNT(*) = 1"), of_model()).await?,
        disagreed: count(unsettled("COUNT(*) >= 2"), of_model()).await?,
        labelled: count(labelled.into(), of_model()).await?,
        agreement: agreement(db, workspace, model).await?,
        mine: count(mine.into(), by_me).await?,
    })
}

/// How far two people agree: of captures that several labelled the first two by name, so that with two people each stands
/// on one side throughout.
async fn agreement(
    db: &impl ConnectionTrait,
    workspace: &WorkspaceId,
    model: &ModelName,
) -> Result<Option<AgreementView>, StoreError> {
    let select = format!(
        "SELECT v.device, v.boot, v.number, v.truth, v.truth_number FROM verdict v WHERE v.workspace = $1 AND v.model = $2 \
         AND v.truth IS NOT NULL AND v.decides = 0 \
         AND (SELECT COUNT(*) FROM verdict o WHERE o.workspace = v.workspace AND o.device = v.device \
           AND o.boot = v.boot AND o.number = v.number AND o.truth IS NOT NULL AND o.decides = 0) >= 2 \
         ORDER BY v.device, v.boot, v.number, v.labeller LIMIT {PAIRS}"
    );
    let values = [workspace.as_str().into(), model.as_str().into()];
    let mut all = Agreement::default();
    let mut are_numbers = false;
    let mut first: Option<((String, i64, i64), Truth, bool)> = None;
    for row in raw::rows(db, DOING, &select, values).await? {
        let key: (String, i64, i64) = (
            row.try_get_by_index(0).doing(DOING)?,
            row.try_get_by_index(1).doing(DOING)?,
            row.try_get_by_index(2).doing(DOING)?,
        );
        let Some(truth) = truth(&row, 3)? else {
            continue;
        };
        match &mut first {
            Some((of, before, paired)) if *of == key => {
                if !*paired {
                    match (*before, truth) {
                        (Truth::Class(one), Truth::Class(other)) => {
                            all.add(one.cast_unsigned(), other.cast_unsigned());
                        }
                        (one, other) => {
                            are_numbers = true;
                            all.add(0, u64::from(!one.same(other)));
                        }
                    }
                }
                *paired = true;
            }
            _ => first = Some((key, truth, false)),
        }
    }
    Ok((all.both() > 0).then(|| AgreementView {
        both: all.both(),
        same: all.same(),
        // How often numbers would agree by chance nobody can say.
        kappa: (!are_numbers).then(|| all.kappa(Z_95)).flatten().map(told),
    }))
}

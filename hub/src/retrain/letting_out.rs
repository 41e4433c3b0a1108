//! Rollouts of rounds: by a plan template, started once under a key.

use tern_protocol::{
    id::RolloutId,
    rest::{Abort, Plan, RolloutState},
};
use tern_retrain::{
    Key, Work,
    action::RolloutOrder,
    fact::{Again, Failure},
};

use super::{
    act::NotBegun,
    desk::Of,
    sql::outside,
    work::{self, Ended},
};
use crate::{
    access::audit::Actor,
    app::App,
    rollout::{self, RolloutError, planned, templates},
    store::{StoreError, chain},
};

/// Starts a rollout of a version by a template.
pub(super) async fn begin(
    app: &App,
    of: &Of,
    key: Key,
    order: &RolloutOrder,
) -> Result<(), NotBegun> {
    let (workspace, model) = of;
    let all = templates::list(app.store.read(), workspace, model).await?;
    let template = all.into_iter().find(|one| one.name == order.template);
    let template = template.ok_or_else(|| {
        let name = &order.template;
        NotBegun::Refused(
            format!(
                "{model} has no plan template `{name}`; keep one with `tern rollout plan FILE --save {name}`"
            ),
            Again::IsUseless,
        )
    })?;
    let plan = Plan {
        version: Some(order.version),
        ..template.plan
    };
    let name = outside(model, key);
    let started = planned::start_once(app, &Actor::hub(), workspace, &plan, &name).await;
    let id = started.map_err(|err| match err {
        RolloutError::Store(err) => NotBegun::Store(err),
        // Whoever has the key signs it when they come to it; the limit of the stage says how long that may take.
        err @ (RolloutError::Unsigned { .. } | RolloutError::TooMany) => {
            NotBegun::NotYet(chain(&err))
        }
        err => NotBegun::Refused(chain(&err), Again::IsUseless),
    })?;
    work::known_as(app.store.write(), workspace, model, key, id.0.into(), None).await?;
    Ok(())
}

/// How a rollout stands; nothing if it was not started.
pub(super) async fn stands(
    app: &App,
    of: &Of,
    row: &work::Row,
) -> Result<Option<Work<()>>, StoreError> {
    let (workspace, model) = of;
    if let Some(settled) = row.settled(Some(())) {
        return Ok(Some(settled));
    }
    let key = row.key;
    let Some(found) = planned::started_as(app, workspace, &outside(model, key)).await? else {
        return Ok(None);
    };
    let ended = match found.state {
        RolloutState::Running | RolloutState::Paused | RolloutState::Waiting => {
            return Ok(Some(Work::Running));
        }
        RolloutState::Complete => Ended::Done(Some(found.id.0.into()), None),
        RolloutState::Stopped | RolloutState::Aborted | RolloutState::Superseded => Ended::failed(
            format!("rollout {}: {}", found.id, found.reason),
            Again::IsUseless,
        ),
    };
    work::end(app.store.write(), workspace, model, key, &ended).await?;
    Ok(Some(match ended {
        Ended::Failed(Failure { reason, again }) => Work::Failed(Failure { reason, again }),
        _ => Work::Done(()),
    }))
}

/// Stops a rollout: its devices go back.
pub(super) async fn stop(app: &App, of: &Of, key: Key) -> Result<(), StoreError> {
    let (workspace, model) = of;
    let Some(found) = planned::started_as(app, workspace, &outside(model, key)).await? else {
        return Ok(());
    };
    let id: RolloutId = found.id;
    let abort = rollout::abort(app, &Actor::hub(), workspace, id, Abort::default()).await;
    match abort {
        Ok(_) => Ok(()),
        Err(RolloutError::Store(err)) => Err(err),
        Err(err) => {
            tracing::warn!(error = chain(&err), %workspace, rollout = %id, "a rollout was not stopped");
            Ok(())
        }
    }
}

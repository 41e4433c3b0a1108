//! A plan, rehearsed: what would become of it on the fleet as it was recorded, or on one that somebody describes.

use std::sync::LazyLock;

use tern_protocol::{
    id::WorkspaceId,
    rest::{PlanProblem, RehearsalRequest, Rehearsed, SimulatedFleet},
};
use tern_rollout::rehearse::rehearse;
use tokio::sync::Semaphore;

use super::{
    operations::{self, RolloutError},
    recorded,
};
use crate::{app::App, store::StoreError};

/// Devices times runs of one rehearsal, at most: about a minute of one processor.
const WORK: u64 = 4_000_000;

/// What a device fetches of a version that is not named yet.
const FOUR_MIB: u64 = 4 << 20;

/// Rehearsals at the same time: each takes one of the processors that everything else needs.
static AT_ONCE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

/// Rehearses a plan.
pub async fn rehearsed(
    app: &App,
    workspace: &WorkspaceId,
    request: RehearsalRequest,
) -> Result<Rehearsed, RolloutError> {
    let RehearsalRequest { plan, fleet, runs } = request;
    let mut problems = plan.problems();
    problems.extend(fleet.iter().flat_map(SimulatedFleet::problems));
    if !problems.is_empty() {
        return Err(RolloutError::Plan { problems });
    }
    let (fleet, unknown, recorded) = if let Some(fleet) = fleet {
        (fleet, Vec::new(), false)
    } else {
        let bytes = match plan.version {
            Some(version) => {
                operations::target(app, workspace, &plan.model, version)
                    .await?
                    .1
            }
            None => FOUR_MIB,
        };
        let recorded = recorded::fleet(app, workspace, &plan, bytes).await?;
        (recorded.fleet, recorded.unknown, true)
    };
    let devices = fleet.devices();
    if devices == 0 {
        let text =
            "no device matches the plan's selector and has its slot; describe a fleet instead";
        let problems = vec![PlanProblem {
            at: "selector".into(),
            text: text.into(),
        }];
        return Err(RolloutError::Plan { problems });
    }
    let most = (WORK / devices).max(1);
    let runs = runs.clamp(1, u32::try_from(most).unwrap_or(u32::MAX));
    let _turn = AT_ONCE.acquire().await;
    let (by, of) = (plan.clone(), fleet.clone());
    let rehearsal = tokio::task::spawn_blocking(move || rehearse(&by, &of, runs)).await;
    let rehearsal = rehearsal.map_err(|_| {
        RolloutError::Store(StoreError::Value {
            what: "rehearsal",
            value: "it broke off".into(),
        })
    })?;
    Ok(Rehearsed {
        fleet,
        recorded,
        unknown: unknown.into_iter().map(Into::into).collect(),
        rehearsal,
    })
}

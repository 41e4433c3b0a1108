//! Findings that go on: each is an alert.

use tern_protocol::{
    id::WorkspaceId,
    rest::{AlertFacts, FindingCondition, FindingPlace, FindingView},
};

use super::{Observation, Observed, labels, words};
use crate::{
    alerts::machine::{Seen, Sight},
    app::App,
    monitor::{self, FindingQuery},
    store::StoreError,
};

pub(super) async fn observe(
    app: &App,
    workspace: &WorkspaceId,
    of: &FindingCondition,
) -> Result<Observed, StoreError> {
    let query = FindingQuery {
        model: of.model.clone(),
        open: Some(true),
        limit: Some(super::GROUPS as u64),
        ..FindingQuery::default()
    };
    let page = monitor::findings(&app.store, workspace, &query).await?;
    let wanted = page.items.iter().filter(|one| wants(of, one));
    Ok(Observed {
        groups: wanted.map(observation).collect(),
        absent: Seen::Well,
    })
}

/// Whether a rule is about a finding. What a person said is usual is no alert.
fn wants(of: &FindingCondition, one: &FindingView) -> bool {
    let share = |least: tern_protocol::rest::Share| {
        one.of_devices > 0 && one.devices as f64 >= least.of_one() * one.of_devices as f64
    };
    one.accepted_by.is_none()
        && (of.kinds.is_empty() || of.kinds.contains(&one.kind))
        && (of.attributions.is_empty() || of.attributions.contains(&one.attribution))
        && of.min_share.is_none_or(share)
}

fn observation(one: &FindingView) -> Observation {
    let site = match one.places.as_slice() {
        [FindingPlace::Site(site)] => Some(site.to_string()),
        _ => None,
    };
    Observation {
        group: format!("finding/{}", one.id),
        sight: Sight {
            seen: Seen::Beyond,
            since: Some(one.since),
        },
        facts: AlertFacts {
            labels: labels([
                ("model", Some(one.model.to_string())),
                ("slot", Some(one.slot.to_string())),
                ("version", one.version.map(|version| version.to_string())),
                ("site", site),
                ("kind", Some(one.kind.word().into())),
                ("attribution", Some(one.attribution.word().into())),
                ("finding", Some(one.id.to_string())),
            ]),
            summary: one.text.clone(),
            evidence: words::moved(one),
            action: one.advice.clone(),
            measured: None,
            devices: one.devices,
            of_devices: one.of_devices,
            finding: Some(one.id),
        },
    }
}

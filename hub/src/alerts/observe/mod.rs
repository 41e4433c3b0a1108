//! What is seen of each group of a rule.
//!
//! Called by the driver at each look, and by whoever checks a file. Must never break: what a rule reads is bounded.

mod finding;
mod metric;
mod silence;
mod words;

use std::collections::BTreeMap;

use tern_protocol::{
    id::WorkspaceId,
    rest::{AlertCondition, AlertFacts, AlertRule},
    time::WallTime,
};

use super::machine::{Seen, Sight};
use crate::{app::App, monitor::ChartError, store::StoreError};

/// Groups of one rule at most, those of the most devices: more alerts at once are read by nobody.
pub(super) const GROUPS: usize = 200;

/// What is seen of one group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Observation {
    pub(super) group: String,
    pub(super) sight: Sight,
    pub(super) facts: AlertFacts,
}

/// What is seen by a rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Observed {
    pub(super) groups: Vec<Observation>,
    /// What all groups are that are not among them.
    pub(super) absent: Seen,
}

/// Looks. `up`: since when the hub hears devices; before that nobody is silent.
pub(super) async fn observe(
    app: &App,
    workspace: &WorkspaceId,
    rule: &AlertRule,
    up: Option<WallTime>,
    now: WallTime,
) -> Result<Observed, StoreError> {
    let mut observed = match &rule.when {
        AlertCondition::Finding(of) => finding::observe(app, workspace, of).await?,
        AlertCondition::Metric(of) => metric::observe(app, workspace, of, up, now).await?,
        AlertCondition::Silence(of) => silence::observe(app, workspace, of, up, now).await?,
    };
    for one in &mut observed.groups {
        let labels = std::mem::take(&mut one.facts.labels);
        one.facts.labels = labelled(rule, workspace, labels);
        if !rule.action.is_empty() {
            one.facts.action.clone_from(&rule.action);
        }
    }
    Ok(observed)
}

/// All labels of an alert: what the rule says, and what says where it is.
fn labelled(
    rule: &AlertRule,
    workspace: &WorkspaceId,
    found: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut labels = rule.labels.clone();
    labels.extend(found);
    let ours = [
        ("rule", rule.name.as_str()),
        ("severity", rule.severity.word()),
        ("workspace", workspace.as_str()),
    ];
    labels.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    labels
}

/// Labels from those that are known.
fn labels<const N: usize>(known: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    let known = known.into_iter();
    known
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// A chart that was asked for by us and cannot be drawn: what a rule asks was checked, so only the database fails.
fn chart_error(err: ChartError) -> StoreError {
    match err {
        ChartError::Store(err) => err,
        other => StoreError::Value {
            what: "question of a rule of alerts",
            value: other.to_string(),
        },
    }
}

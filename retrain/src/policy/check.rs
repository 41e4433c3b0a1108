//! What is wrong with a policy, all of it at once and in words.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use tern_protocol::rest::{Attribution, FindingKind, Share, Span};

use super::{Policy, Trigger};

/// Triggers of one policy, at most.
pub const TRIGGERS_MAX: usize = 16;

/// Approvals of one policy, at most.
pub const APPROVALS_MAX: usize = 12;

/// Tries of one piece of work, at most.
const RETRIES_MAX: u8 = 20;

/// Longest name of a template, in bytes.
const TEMPLATE_MAX: usize = 64;

/// Shortest time of a stage: below it a hub that starts again would end rounds.
const LIMIT_MIN: Span = Span::minutes(1);

/// Shortest time for which a new version is watched. It ends no work, so whoever tries a policy out may write seconds.
const WATCH_MIN: Span = Span::millis(1_000);

/// Longest time of anything: a year.
const LIMIT_MAX: Span = Span::minutes(366 * 24 * 60);

/// Something that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyProblem {
    /// Where, as a path: `triggers[1].finding.attributions`.
    pub at: String,
    /// What, and what to write instead.
    pub text: String,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

#[derive(Default)]
struct Found(Vec<PolicyProblem>);

impl Found {
    fn add(&mut self, at: impl Into<String>, text: impl Into<String>) {
        let (at, text) = (at.into(), text.into());
        self.0.push(PolicyProblem { at, text });
    }
}

impl Policy {
    /// All that is wrong with it; nothing if it can be carried out.
    pub fn problems(&self) -> Vec<PolicyProblem> {
        let mut found = Found::default();
        self.triggers_are_right(&mut found);
        self.labels_are_right(&mut found);
        self.budget_is_right(&mut found);
        self.bounds_are_right(&mut found);
        self.approvals_are_right(&mut found);
        self.times_are_right(&mut found);
        if self.rollout.trim().is_empty() || self.rollout.len() > TEMPLATE_MAX {
            let text =
                format!("write the name of a plan template, of at most {TEMPLATE_MAX} bytes");
            found.add("rollout", text);
        }
        found.0
    }

    fn triggers_are_right(&self, found: &mut Found) {
        if self.triggers.is_empty() {
            found.add("triggers", "write at least one, such as `- finding: {}`");
        }
        if self.triggers.len() > TRIGGERS_MAX {
            found.add("triggers", format!("write at most {TRIGGERS_MAX}"));
        }
        for (index, trigger) in self.triggers.iter().enumerate() {
            let at = |field: &str| format!("triggers[{index}].{field}");
            match trigger {
                Trigger::Finding(finding) => {
                    if finding.kinds.is_empty() {
                        let text = "no kind, so nothing would ever call for a round";
                        found.add(at("finding.kinds"), text);
                    }
                    for kind in &finding.kinds {
                        if matches!(kind, FindingKind::Quality | FindingKind::Errors) {
                            let text = format!(
                                "`{}` calls for a repair, not for a new model; write input, prediction or confidence",
                                kind.word()
                            );
                            found.add(at("finding.kinds"), text);
                        }
                    }
                    if finding.attributions.is_empty() {
                        let text = "none, so nothing would ever call for a round; write sites, fleet or both";
                        found.add(at("finding.attributions"), text);
                    }
                    for attribution in &finding.attributions {
                        let what = match attribution {
                            Attribution::Sites | Attribution::Fleet => continue,
                            Attribution::Devices => "a fault of devices calls for a repair",
                            Attribution::Version => "what a version does calls for taking it back",
                            Attribution::Mix => "another mix of classes leaves each as it was",
                        };
                        let text = format!(
                            "`{}`: {what}, not for a new model; write sites, fleet or both",
                            attribution.word()
                        );
                        found.add(at("finding.attributions"), text);
                    }
                    if finding.lasting > LIMIT_MAX {
                        found.add(at("finding.lasting"), format!("write at most {LIMIT_MAX}"));
                    }
                }
                Trigger::AccuracyBelow(share) => {
                    share_is_right(found, at("accuracy-below"), *share);
                }
                Trigger::EstimateBelow(share) => {
                    share_is_right(found, at("estimate-below"), *share);
                }
                Trigger::ErrorAbove(error) => {
                    if !(error.is_finite() && *error > 0.0) {
                        let text = "write a number above 0, in the unit of the prediction";
                        found.add(at("error-above"), text);
                    }
                }
                Trigger::NewLabels(0) => {
                    found.add(at("new-labels"), "would always hold; write at least 1");
                }
                Trigger::NewLabels(_) => {}
                Trigger::Every(every) => {
                    if *every < self.cool_down {
                        let text = format!(
                            "is shorter than the cool-down ({}), which nothing breaks",
                            self.cool_down
                        );
                        found.add(at("every"), text);
                    }
                    if every.ms() == 0 || *every > LIMIT_MAX {
                        found.add(at("every"), format!("write 1s to {LIMIT_MAX}"));
                    }
                }
            }
        }
    }

    fn labels_are_right(&self, found: &mut Found) {
        let minimum = &self.minimum;
        if minimum.labels < 2 {
            let text = "a dataset of fewer than 2 labels is refused; write at least 2";
            found.add("minimum.labels", text);
        }
        for (index, trigger) in self.triggers.iter().enumerate() {
            if let Trigger::NewLabels(new) = trigger
                && *new < minimum.new
            {
                let at = format!("triggers[{index}].new-labels");
                let text = format!(
                    "is less than minimum.new ({}), without which nothing begins",
                    minimum.new
                );
                found.add(at, text);
            }
        }
        if self.keep_out < Share::percent(5) || self.keep_out > Share::percent(80) {
            let text = "write 5% to 80%: there has to be something to train on and something to compare on";
            found.add("keep-out", text);
        }
    }

    fn budget_is_right(&self, found: &mut Found) {
        let budget = &self.budget;
        if budget.training == 0 {
            found.add(
                "budget.training",
                "nothing could be trained; write core-seconds",
            );
        }
        for (at, whole) in [("per-day", budget.per_day), ("per-month", budget.per_month)] {
            if let Some(whole) = whole.filter(|whole| *whole < budget.training) {
                let text = format!(
                    "{whole} core-seconds are less than one training may take ({}), so none would begin",
                    budget.training
                );
                found.add(format!("budget.{at}"), text);
            }
        }
        for (at, labels) in [
            ("labels-per-day", budget.labels_per_day),
            ("labels-per-month", budget.labels_per_month),
        ] {
            if labels == Some(0) {
                let text = "nobody would ever be asked; leave it out, or write at least 1";
                found.add(format!("budget.{at}"), text);
            }
        }
    }

    fn bounds_are_right(&self, found: &mut Found) {
        let bounds = &self.bounds;
        for (at, share) in [
            ("held-out", bounds.held_out),
            ("recent-margin", bounds.recent_margin),
            ("slice", bounds.slice),
        ] {
            if share.millionths() == 0 || share > Share::percent(50) {
                let text = "write above 0% and at most 50%: no number of samples proves that nothing is worse by 0";
                found.add(format!("bounds.{at}"), text);
            }
        }
        if bounds.source.millionths() == 0 {
            found.add(
                "bounds.source",
                "chance alone deviates by more than 0%; 20% is usual",
            );
        }
        for (at, samples) in [
            ("slice-samples", bounds.slice_samples),
            ("samples", bounds.samples),
        ] {
            if samples < 10 {
                let text = "of fewer than 10 samples nothing can be said; write at least 10";
                found.add(format!("bounds.{at}"), text);
            }
        }
    }

    fn approvals_are_right(&self, found: &mut Found) {
        if self.approvals.len() > APPROVALS_MAX {
            found.add("approvals", format!("write at most {APPROVALS_MAX}"));
        }
        let mut seen = BTreeSet::new();
        for (index, approval) in self.approvals.iter().enumerate() {
            let at = |field: &str| format!("approvals[{index}].{field}");
            if !seen.insert((approval.before, approval.of.clone())) {
                let text = "the same people stand here twice; write how many of them with `people`";
                found.add(at("of"), text);
            }
            if approval.people == 0 {
                found.add(at("people"), "asks nobody; write at least 1");
            }
            let named = approval.of.len();
            if named > 0 && usize::from(approval.people) > named {
                let text = format!("{} have to agree, and {named} are named", approval.people);
                found.add(at("people"), text);
            }
        }
    }

    fn times_are_right(&self, found: &mut Found) {
        let limits = &self.limits;
        for (at, span) in [
            ("labels", limits.labels),
            ("answer", limits.answer),
            ("dataset", limits.dataset),
            ("training", limits.training),
            ("comparison", limits.comparison),
            ("registration", limits.registration),
            ("rollout", limits.rollout),
            ("watch", limits.watch),
        ] {
            let least = if at == "watch" { WATCH_MIN } else { LIMIT_MIN };
            if span < least || span > LIMIT_MAX {
                found.add(
                    format!("limits.{at}"),
                    format!("write {least} to {LIMIT_MAX}"),
                );
            }
        }
        if self.cool_down > LIMIT_MAX {
            found.add("cool-down", format!("write at most {LIMIT_MAX}"));
        }
        if self.retry.times > RETRIES_MAX {
            found.add("retry.times", format!("write at most {RETRIES_MAX}"));
        }
        if self.retry.after > LIMIT_MAX {
            found.add("retry.after", format!("write at most {LIMIT_MAX}"));
        }
    }
}

fn share_is_right(found: &mut Found, at: String, share: Share) {
    if share.millionths() == 0 || share == Share::percent(100) {
        found.add(at, "write a share above 0% and below 100%");
    }
}

//! What is wrong with a plan, all of it at once and in words.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use core::fmt;

use super::{Gate, Plan, Share, Size, Unit};

/// Stages of one plan, at most; a fleet that doubles in each is past all devices there are.
pub const STAGES_MAX: usize = 32;

/// Gates of one plan, at most: each claim weakens the others.
pub const GATES_MAX: usize = 24;

/// Something that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlanProblem {
    /// Where, as a path: `stages[1].to`.
    pub at: String,
    /// What, and what to write instead.
    pub text: String,
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

#[derive(Default)]
struct Found(Vec<PlanProblem>);

impl Found {
    fn add(&mut self, at: impl Into<String>, text: impl Into<String>) {
        self.0.push(PlanProblem {
            at: at.into(),
            text: text.into(),
        });
    }
}

impl Plan {
    /// All that is wrong with it; nothing if it can be carried out.
    pub fn problems(&self) -> Vec<PlanProblem> {
        let mut found = Found::default();
        self.stages_are_right(&mut found);
        self.gates_are_right(&mut found);
        self.pace_is_right(&mut found);
        if let Some(calendar) = &self.calendar {
            if calendar.open.is_empty() {
                found.add(
                    "calendar.open",
                    "no hours, so no device would ever be moved",
                );
            }
            for (index, hours) in calendar.open.iter().enumerate() {
                if hours.days.is_empty() || hours.from == hours.to {
                    let at = format!("calendar.open[{index}]");
                    found.add(at, "these hours are empty");
                }
            }
        }
        if let Size::Share(share) = self.control
            && share > Share::percent(50)
        {
            found.add(
                "control",
                "more than half of the devices; write at most 50%",
            );
        }
        let alpha = self.false_stops;
        if alpha.millionths() == 0 || alpha > Share::percent(50) {
            let text = "write a share above 0% and at most 50%; 5% is usual";
            found.add("false-stops", text);
        }
        if self.deadline.ms() < 1_000 {
            found.add("deadline", "no device is that fast; write at least 1s");
        }
        if let Some((reason, _)) = self.retry.times.iter().find(|(_, times)| **times > 100) {
            let at = format!("retry.times.{}", reason.word());
            found.add(at, "write at most 100 times");
        }
        found.0
    }

    fn stages_are_right(&self, found: &mut Found) {
        if self.stages.is_empty() {
            found.add("stages", "write at least one, such as `- to: 100%`");
        }
        if self.stages.len() > STAGES_MAX {
            found.add("stages", format!("write at most {STAGES_MAX}"));
        }
        let mut live = false;
        for (index, stage) in self.stages.iter().enumerate() {
            let at = |field: &str| format!("stages[{index}].{field}");
            if stage.to.is_none() {
                found.add(at("to"), "it moves no device");
            }
            if stage.cap < stage.soak {
                found.add(
                    at("cap"),
                    "is shorter than the soak, so it could never pass",
                );
            }
            if stage.shadow && live {
                let text = "a shadow comes before the stages in which devices serve the version";
                found.add(at("shadow"), text);
            }
            if stage.shadow && stage.shadow_cpu < Share::percent(1) {
                let text = "a shadow with less than 1% of a processor would see next to nothing";
                found.add(at("shadow-cpu"), text);
            }
            live |= !stage.shadow;
            let before = index.checked_sub(1).map(|index| &self.stages[index]);
            let Some(before) = before.filter(|before| before.shadow == stage.shadow) else {
                continue;
            };
            let larger = match (before.to, stage.to) {
                (Size::Count(before), Size::Count(now)) => now > before,
                (Size::Share(before), Size::Share(now)) => now > before,
                // How they compare depends on the fleet: whichever is larger counts.
                _ => true,
            };
            if !larger {
                let text = format!("is {} and the stage before goes to {}", stage.to, before.to);
                found.add(
                    at("to"),
                    format!("{text}; each stage is larger than the one before"),
                );
            }
        }
        if self.stages.iter().all(|stage| stage.shadow) && !self.stages.is_empty() {
            found.add(
                "stages",
                "all are shadows; write one in which devices serve the version",
            );
        }
        if let Some(last) = self.stages.last()
            && !last.shadow
            && last.to != Size::Share(Share::percent(100))
            && !matches!(last.to, Size::Count(_))
        {
            let at = format!("stages[{}].to", self.stages.len() - 1);
            let text = "the last stage leaves devices behind; write 100%, or a number if only some are wanted";
            found.add(at, text);
        }
    }

    fn gates_are_right(&self, found: &mut Found) {
        if self.gates.len() > GATES_MAX {
            found.add("gates", format!("write at most {GATES_MAX}"));
        }
        let has_shadow = self.stages.iter().any(|stage| stage.shadow);
        let mut names = BTreeSet::new();
        for (index, gate) in self.gates.iter().enumerate() {
            let name = gate.name();
            let at = format!("gates[{index}].{name}");
            if !names.insert(gate.title()) {
                found.add(&at, "stands here twice; one of each is enough");
            }
            if let Gate::Webhook(webhook) = gate {
                let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
                let allowed = webhook.url.starts_with("https://")
                    || local.iter().any(|start| webhook.url.starts_with(start));
                if !allowed || webhook.url.len() > 2_000 {
                    let text = "write an address that begins with https://";
                    found.add(format!("{at}.url"), text);
                }
                if webhook.every.ms() < 1_000 {
                    found.add(format!("{at}.every"), "write at least 1s");
                }
            }
            if let Gate::Metric(metric) = gate
                && !metric.is_a_way()
            {
                let text =
                    "write two different numbers: the best value there can be, and the worst";
                found.add(format!("{at}.worst"), text);
            }
            let Some(bound) = gate.bound() else {
                continue;
            };
            if bound.margin.is_none() && bound.limit.is_none() {
                let text = "allows nothing and forbids nothing; write a margin over the control or a limit";
                found.add(&at, text);
            }
            if bound.limit == Some(Share::percent(100)) {
                found.add(&at, "a limit of 100% forbids nothing");
            }
            if bound.limit.is_some_and(|limit| limit.millionths() == 0) {
                let text = "a limit of 0% would be broken by the first; write one above it";
                found.add(&at, text);
            }
            let alone = matches!(gate, Gate::ServeFailure(_) | Gate::Disagreement(_));
            if alone && bound.margin.is_some() {
                let text =
                    "the control does not change its version; write a limit instead of a margin";
                found.add(format!("{at}.margin"), text);
            }
            if gate.needs_control() && !alone && self.control.is_none() {
                let text = "compares with the control, and the plan keeps none; write a limit, or `control: 10%`";
                found.add(format!("{at}.margin"), text);
            }
            if matches!(gate, Gate::Disagreement(_)) && !has_shadow {
                found.add(&at, "only a shadow can disagree, and no stage is one");
            }
            if gate.counts() == Unit::Time
                && let Gate::Silence(unheard) | Gate::Restarts(unheard) = gate
                && unheard.after.ms() < 1_000
            {
                found.add(format!("{at}.after"), "write at least 1s");
            }
        }
    }

    fn pace_is_right(&self, found: &mut Found) {
        let pace = &self.pace;
        if pace.per_minute == Some(0) {
            found.add("pace.per-minute", "no device would ever be moved");
        }
        if let Some(growth) = &pace.growth {
            if pace.per_minute.is_none() {
                let text = "nothing to grow from; write pace.per-minute";
                found.add("pace.growth", text);
            }
            if !(growth.factor > 1.0 && growth.factor <= 10.0) {
                found.add(
                    "pace.growth.factor",
                    "write a number above 1 and at most 10",
                );
            }
            if growth.every == 0 {
                found.add("pace.growth.every", "write at least 1 device");
            }
            if pace.per_minute.is_some_and(|start| growth.max < start) {
                found.add("pace.growth.max", "is less than where it begins");
            }
        }
        if pace.bytes_per_day.is_some_and(|bytes| bytes.get() == 0) {
            found.add("pace.bytes-per-day", "no device would ever be moved");
        }
    }
}

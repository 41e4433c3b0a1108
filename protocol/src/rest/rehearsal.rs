//! Rehearsing a rollout: a fleet and versions as they may be, and what became of a plan on them. Written by people as
//! YAML or JSON, or made from what the hub recorded of its own devices.
//!
//! Must never break: every field but the number of devices has a default that stands for an ordinary fleet, so that
//! one line describes one.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use serde::{Deserialize, Serialize};

use super::plan::{Bytes, Clock, Plan, PlanProblem, Share, Span};
use crate::id::SiteName;

/// Devices of a rehearsal, at most: what a hub can hold.
pub const REHEARSED_DEVICES_MAX: u64 = 1_000_000;

/// Runs of one rehearsal, at most.
pub const REHEARSED_RUNS_MAX: u32 = 10_000;

/// `POST /plans/rehearse`: what is to be rehearsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RehearsalRequest {
    /// The plan.
    pub plan: Plan,
    /// The fleet; the one that the plan selects, as it was recorded, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<SimulatedFleet>,
    /// Runs with a version that does no harm, and as many with each kind of harm.
    #[serde(default = "runs")]
    pub runs: u32,
}

/// A fleet as it is simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SimulatedFleet {
    /// Its devices, by what they have in common.
    pub groups: Vec<DeviceGroup>,
    /// What comes and goes for all devices alike.
    #[serde(default)]
    pub drift: Drift,
    /// Bytes that a device fetches.
    #[serde(default = "four_mib")]
    pub bytes: Bytes,
    /// How often somebody looks at the evidence. The hub looks every second; rarer looks take less time to simulate.
    #[serde(default = "minute")]
    pub looks: Span,
    /// A run ends here, however far it is.
    #[serde(default = "sixty_days")]
    pub horizon: Span,
}

impl SimulatedFleet {
    /// Devices in all.
    pub fn devices(&self) -> u64 {
        self.groups.iter().map(|group| u64::from(group.count)).sum()
    }

    /// All that is wrong with it; nothing if it can be simulated.
    pub fn problems(&self) -> Vec<PlanProblem> {
        let mut found = Vec::new();
        let mut add = |at: &str, text: String| {
            found.push(PlanProblem {
                at: at.to_string(),
                text,
            });
        };
        let devices = self.devices();
        if devices == 0 || devices > REHEARSED_DEVICES_MAX {
            let text = format!("{devices} devices; write 1 to {REHEARSED_DEVICES_MAX}");
            add("groups", text);
        }
        let second = "write at least 1s".to_string();
        if self.looks.ms() < 1_000 {
            add("looks", second.clone());
        }
        for (index, group) in self.groups.iter().enumerate() {
            let at = |field: &str| format!("groups[{index}].{field}");
            if group.window.ms() < 1_000 {
                add(&at("window"), second.clone());
            }
            if group.online.spell.ms() < 1_000 {
                add(&at("online.spell"), second.clone());
            }
            if group.online.share == Share::default() {
                add(&at("online.share"), "they would never be heard of".into());
            }
            if group.online.from.is_some() != group.online.to.is_some() {
                add(
                    &at("online"),
                    "write both `from` and `to`, or neither".into(),
                );
            }
            let numbers = [("labels", group.labels), ("restarts", group.restarts)];
            for (field, number) in numbers {
                if !(0.0..=1e6).contains(&number) {
                    add(&at(field), "write a number from 0 to a million".into());
                }
            }
        }
        found
    }
}

/// Devices that have something in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceGroup {
    /// Their site.
    #[serde(default = "site")]
    pub site: SiteName,
    /// What they are: operating system and processor.
    #[serde(default = "platform")]
    pub platform: String,
    /// How many.
    pub count: u32,
    /// When they are online.
    #[serde(default)]
    pub online: Online,
    /// Bytes a second that one fetches.
    #[serde(default = "fetches")]
    pub bytes_per_s: u64,
    /// How long one window is.
    #[serde(default = "minute")]
    pub window: Span,
    /// Inferences in one window.
    #[serde(default = "twenty")]
    pub inferences: u32,
    /// Predictions in one window whose truth comes to be known; may be less than one.
    #[serde(default)]
    pub labels: f64,
    /// The share of devices that refuse any version, whatever it is: no room, too old.
    #[serde(default)]
    pub refuses: Share,
    /// Inferences that end in an error.
    #[serde(default)]
    pub errors: Rate,
    /// Inferences over the latency budget.
    #[serde(default)]
    pub slow: Rate,
    /// Predictions that are wrong.
    #[serde(default = "a_tenth")]
    pub wrong: Rate,
    /// Windows over the memory budget.
    #[serde(default = "none")]
    pub over_memory: Rate,
    /// What gates count that nothing here speaks of: confidence, mix, processor time, disagreement of shadows.
    #[serde(default)]
    pub other: Rate,
    /// Starts of the agent in a day.
    #[serde(default = "a_tenth_of_one")]
    pub restarts: f64,
}

/// When devices are online. Spells on and off follow one another, of lengths that are exponentially distributed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Online {
    /// The share of time that a device is online.
    pub share: Share,
    /// Mean length of a spell online.
    pub spell: Span,
    /// From this time of the day, UTC; offline before it. The whole day if both are absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Clock>,
    /// Up to this time of the day; before `from` means on the next day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Clock>,
}

impl Default for Online {
    fn default() -> Self {
        Self {
            share: Share::percent(95),
            spell: Span::minutes(12 * 60),
            from: None,
            to: None,
        }
    }
}

/// A share that differs from device to device, and stays what it is: most devices are good, some are bad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rate {
    /// What a good device has.
    pub usual: Share,
    /// The share of devices that are bad.
    pub bad: Share,
    /// What a bad device has at most: each has something between nothing and this.
    pub worst: Share,
}

impl Rate {
    /// All devices have the same.
    pub const fn of(usual: Share) -> Self {
        Self {
            usual,
            bad: Share::percent(0),
            worst: Share::percent(0),
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            usual: Share::percent(2),
            bad: Share::percent(20),
            worst: Share::percent(40),
        }
    }
}

/// What comes and goes for all devices alike, once a day: nothing at midnight UTC, all of it at noon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Drift {
    /// More inferences that end in an error.
    pub errors: Share,
    /// More inferences over the latency budget.
    pub slow: Share,
    /// More predictions that are wrong.
    pub wrong: Share,
}

/// What a version does to devices that have it. Without anything it does no harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Effect {
    /// The share of devices that it is done to.
    pub devices: Share,
    /// Only devices of this platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// How long after they began to serve it.
    #[serde(skip_serializing_if = "is_default")]
    pub after: Span,
    /// They refuse it.
    #[serde(skip_serializing_if = "is_default")]
    pub refuses: bool,
    /// More inferences that end in an error.
    #[serde(skip_serializing_if = "is_default")]
    pub errors: Share,
    /// Every inference takes so many times as long.
    #[serde(skip_serializing_if = "is_one")]
    pub slower: f64,
    /// More predictions that are wrong.
    #[serde(skip_serializing_if = "is_default")]
    pub wrong: Share,
    /// More windows over the memory budget.
    #[serde(skip_serializing_if = "is_default")]
    pub over_memory: Share,
    /// They are never heard of again.
    #[serde(skip_serializing_if = "is_default")]
    pub silent: bool,
    /// They start again each time that they have run so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Span>,
}

impl Default for Effect {
    fn default() -> Self {
        Self {
            devices: Share::percent(100),
            platform: None,
            after: Span::default(),
            refuses: false,
            errors: Share::default(),
            slower: 1.0,
            wrong: Share::default(),
            over_memory: Share::default(),
            silent: false,
            restarts: None,
        }
    }
}

impl Effect {
    /// Whether it does anything that is worse than nothing.
    pub fn is_harm(&self) -> bool {
        let nothing = Share::default();
        let more = [self.errors, self.wrong, self.over_memory]
            .iter()
            .any(|share| *share > nothing);
        let does =
            self.refuses || self.silent || self.restarts.is_some() || self.slower > 1.0 || more;
        does && self.devices > nothing
    }
}

/// A rehearsal and the fleet that it was made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rehearsed {
    /// The fleet.
    pub fleet: SimulatedFleet,
    /// Whether it is the fleet as it was recorded.
    pub recorded: bool,
    /// What nothing was recorded of, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// What came of it.
    pub rehearsal: Rehearsal,
}

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Rehearsal {
    /// Devices of the fleet.
    pub devices: u64,
    /// Runs with a version that does no harm.
    pub runs: u32,
    /// How many of them reached the end by themselves.
    pub finished: Chance,
    /// How long those took, in milliseconds; absent if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<Spread>,
    /// Bytes that devices fetched in a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Spread>,
    /// How many of them were stopped although the version did no harm.
    pub false_stops: Chance,
    /// How many of them asked a person at least once.
    pub asked: Chance,
    /// The share of devices that serve the version for good, over time.
    pub progress: Vec<ProgressAt>,
    /// What becomes of versions that do harm.
    pub harms: Vec<RehearsedHarm>,
}

/// A version that does harm, rehearsed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RehearsedHarm {
    /// What it does, in words.
    pub name: String,
    /// What it does.
    pub effect: Effect,
    /// How many runs were stopped.
    pub stopped: Chance,
    /// How many asked a person at least once.
    pub asked: Chance,
    /// How many reached the end with it.
    pub finished: Chance,
    /// Devices that were hurt, in runs that were stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hurt: Option<Spread>,
    /// Hours that devices served it while it did harm, in runs that were stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hurt_hours: Option<Spread>,
    /// Devices that were to have it when it was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<Spread>,
    /// From the first harm to the stop, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<Spread>,
}

/// How often something happened, and between what its chance lies (Wilson's interval, 95 %).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Chance {
    /// Times.
    pub times: u64,
    /// Of so many.
    pub of: u64,
    /// The chance at least, from 0 to 1.
    pub low: f64,
    /// The chance at most.
    pub high: f64,
}

/// Where values lie: nine in ten between `low` and `high`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Spread {
    /// One in twenty is below it.
    pub low: f64,
    /// The middle.
    pub median: f64,
    /// One in twenty is above it.
    pub high: f64,
}

/// How far rollouts are at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProgressAt {
    /// Milliseconds since the start.
    pub after_ms: u64,
    /// The share of devices that serve the version for good, from 0 to 1.
    pub done: Spread,
}

const fn runs() -> u32 {
    200
}

const fn four_mib() -> Bytes {
    Bytes::new(4 << 20)
}

const fn minute() -> Span {
    Span::minutes(1)
}

const fn sixty_days() -> Span {
    Span::minutes(60 * 24 * 60)
}

fn site() -> SiteName {
    "site".parse().expect("a short word is a name")
}

fn platform() -> String {
    "linux".into()
}

const fn fetches() -> u64 {
    250_000
}

const fn twenty() -> u32 {
    20
}

const fn a_tenth() -> Rate {
    Rate {
        usual: Share::percent(8),
        bad: Share::percent(20),
        worst: Share::percent(40),
    }
}

const fn none() -> Rate {
    Rate::of(Share::percent(0))
}

const fn a_tenth_of_one() -> f64 {
    0.1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[allow(
    clippy::float_cmp,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks by reference whether it is what it is by default"
)]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_a_fleet_and_what_is_written_is_read_again() {
        let fleet: SimulatedFleet =
            serde_json::from_str(r#"{"groups":[{"count":200}]}"#).expect("a fleet");
        assert_eq!(fleet.groups[0].window, Span::minutes(1));
        assert_eq!((fleet.devices(), fleet.problems()), (200, Vec::new()));
        assert_eq!(fleet.groups[0].errors, Rate::default());
        let written = serde_json::to_string(&fleet).expect("plain data");
        assert_eq!(
            serde_json::from_str::<SimulatedFleet>(&written).expect("a fleet"),
            fleet
        );
        let unknown = r#"{"groups":[{"count":200,"colour":1}]}"#;
        assert!(serde_json::from_str::<SimulatedFleet>(unknown).is_err());
        let wrong = r#"{"groups":[{"count":1,"labels":-1.0,"window":"1ms","online":{"share":"0%","from":"08:00"}}]}"#;
        let wrong: SimulatedFleet = serde_json::from_str(wrong).expect("it reads");
        assert_eq!(wrong.problems().len(), 4);
    }

    #[test]
    fn an_effect_is_harm_if_it_makes_anything_worse() {
        let effect = |json: &str| serde_json::from_str::<Effect>(json).expect("an effect");
        assert!(!effect("{}").is_harm());
        assert!(!effect(r#"{"slower":0.8}"#).is_harm());
        assert!(!effect(r#"{"silent":true,"devices":"0%"}"#).is_harm());
        for harm in [
            r#"{"errors":"1%"}"#,
            r#"{"slower":1.4}"#,
            r#"{"refuses":true,"platform":"linux arm"}"#,
            r#"{"restarts":"10m","after":"10m"}"#,
        ] {
            assert!(effect(harm).is_harm(), "{harm}");
        }
    }
}

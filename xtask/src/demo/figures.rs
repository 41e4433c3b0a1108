//! What came of the story: figures for programs, a table for people, and whether it held.

use std::fmt::Write as _;

use serde::Serialize;
use tern_protocol::rest::AccuracyView;

/// How far accuracy has to fall in the fog for the story to be one.
const FALL: f64 = 0.10;

/// Which part of that the new version has to bring back.
const RECOVERY: f64 = 0.5;

/// What became of the round of retraining that the hub began.
#[derive(Debug, Serialize)]
pub(super) struct RoundFigures {
    /// Whether what the hub found was the reason of its proposal, and nobody asked for it.
    pub(super) proposed_by_policy: bool,
    /// Words that people said until version 2 served: one is enough.
    pub(super) approvals: u64,
    /// Whether the challenger was let out by its comparison, and every device serves it.
    pub(super) challenger_won: bool,
    /// What follows from the comparison, in the hub's words.
    pub(super) comparison: String,
    /// Whether the hub says that what called for the round is over.
    pub(super) recovered: bool,
    /// What the training took on the hub's machine.
    pub(super) training_core_seconds: u64,
}

/// Figures of one run. Accuracies are of the foggy sites.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) devices: u64,
    pub(super) accuracy_v1_clean: f64,
    pub(super) accuracy_v1_fogged: f64,
    pub(super) accuracy_v2_fogged: f64,
    /// By the agents' own counters.
    pub(super) inferences_made: u64,
    pub(super) inferences_counted_by_hub: u64,
    /// By the agents' own counters.
    pub(super) windows_sent: u64,
    pub(super) windows_stored: u64,
    /// What one device fetches for version 2.
    pub(super) model_bytes: u64,
    /// What the hub published for all devices and both versions.
    pub(super) hub_egress_bytes: u64,
    /// The ONNX file of version 2.
    pub(super) onnx_bytes: u64,
    /// What travels for it to a device that has version 1.
    pub(super) delta_bytes: u64,
    /// By the agents' own counters, over all devices.
    pub(super) deltas_applied: u64,
    pub(super) delta_bytes_saved: u64,
    pub(super) deltas_failed: u64,
    pub(super) requests_failed: u64,
    /// Whether the hub named the foggy sites, and no others, by itself.
    pub(super) drift_placed: bool,
    /// From the first fog to its finding.
    pub(super) drift_seconds: f64,
    /// The round of retraining.
    #[serde(flatten)]
    pub(super) round: RoundFigures,
    /// Whether the version that should never have been published was stopped.
    pub(super) mistake_stopped: bool,
    /// Devices that had it.
    pub(super) mistake_touched: u64,
    /// From its start to its stop.
    pub(super) mistake_seconds: f64,
    pub(super) captures: u64,
    pub(super) labels: u64,
    pub(super) latency_p50_us: f64,
    pub(super) latency_p99_us: f64,
    pub(super) seconds: f64,
    pub(super) sites: Vec<SiteFigures>,
}

/// Accuracy at one site.
#[derive(Debug, Serialize)]
pub(super) struct SiteFigures {
    pub(super) site: &'static str,
    pub(super) foggy: bool,
    /// Version 1, before the fog.
    pub(super) before: Estimate,
    /// Version 1, in the fog.
    pub(super) during: Estimate,
    /// Version 2, in the fog.
    pub(super) after: Estimate,
}

/// An accuracy from labels, with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Estimate {
    accuracy: f64,
    low: f64,
    high: f64,
    labels: u64,
}

impl From<&AccuracyView> for Estimate {
    fn from(view: &AccuracyView) -> Self {
        Self {
            accuracy: view.accuracy,
            low: view.low,
            high: view.high,
            labels: view.labels,
        }
    }
}

impl Estimate {
    /// Mean accuracy, each site by its labels.
    pub(super) fn mean(estimates: impl Iterator<Item = Self>) -> f64 {
        let (mut sum, mut labels) = (0.0, 0);
        for estimate in estimates {
            sum += estimate.accuracy * estimate.labels as f64;
            labels += estimate.labels;
        }
        sum / labels as f64
    }

    fn text(self) -> String {
        let half = (self.high - self.low) / 2.0;
        format!(
            "{:5.1} % ±{:4.1} ({:>4})",
            self.accuracy * 100.0,
            half * 100.0,
            self.labels
        )
    }
}

impl Figures {
    /// What has to hold, and whether it does.
    pub(super) fn checks(&self) -> Vec<(bool, String)> {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let lost = self.accuracy_v1_clean - self.accuracy_v1_fogged;
        let regained = self.accuracy_v2_fogged - self.accuracy_v1_fogged;
        vec![
            (
                lost >= FALL,
                format!(
                    "the fog cost at least 10 points: {} -> {}",
                    percent(self.accuracy_v1_clean),
                    percent(self.accuracy_v1_fogged)
                ),
            ),
            (
                regained >= lost * RECOVERY && lost > 0.0,
                format!(
                    "version 2 brought back at least half of that: {}",
                    percent(self.accuracy_v2_fogged)
                ),
            ),
            (
                self.inferences_made == self.inferences_counted_by_hub && self.inferences_made > 0,
                format!(
                    "every inference was counted: {} made, {} at the hub",
                    self.inferences_made, self.inferences_counted_by_hub
                ),
            ),
            (
                self.windows_sent == self.windows_stored && self.windows_sent > 0,
                format!(
                    "every window was stored once: {} sent, {} at the hub",
                    self.windows_sent, self.windows_stored
                ),
            ),
            (
                self.deltas_applied == self.devices && self.deltas_failed == 0,
                format!(
                    "version 2 travelled as a delta to every device: {} of {}, {} in vain",
                    self.deltas_applied, self.devices, self.deltas_failed
                ),
            ),
            (
                self.drift_placed,
                format!(
                    "the hub named the foggy sites by itself after {:.0} s: {}",
                    self.drift_seconds,
                    if self.drift_placed { "yes" } else { "no" }
                ),
            ),
            (
                self.round.proposed_by_policy,
                format!(
                    "the hub's policy proposed to train anew by what it found: {}",
                    if self.round.proposed_by_policy {
                        "yes"
                    } else {
                        "no"
                    }
                ),
            ),
            (
                self.round.approvals == 1,
                format!(
                    "one word of a person was enough: {} were said",
                    self.round.approvals
                ),
            ),
            (
                self.round.challenger_won && self.round.recovered,
                format!(
                    "the challenger won, serves everywhere, and what called for it is over: {}",
                    self.round.comparison
                ),
            ),
            (
                self.mistake_stopped && self.mistake_touched <= self.devices / 3,
                format!(
                    "a bad version was stopped and taken back after {:.0} s on {} devices: {}",
                    self.mistake_seconds,
                    self.mistake_touched,
                    if self.mistake_stopped { "yes" } else { "no" }
                ),
            ),
            (
                self.requests_failed == 0,
                format!(
                    "no request failed, also during swaps: {} did",
                    self.requests_failed
                ),
            ),
        ]
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        let mut line = |text: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(table, "  {text}");
        };
        let head = ["before, v1", "during, v1", "after, v2"];
        line(format!(
            "{:<20}{:<24}{:<24}{:<24}",
            "accuracy (labels)", head[0], head[1], head[2]
        ));
        for site in &self.sites {
            let name = format!("{}{}", site.site, if site.foggy { ", fog" } else { "" });
            let (before, during, after) =
                (site.before.text(), site.during.text(), site.after.text());
            line(format!("{name:<20}{before:<24}{during:<24}{after:<24}"));
        }
        line(String::new());
        let kib = |bytes: u64| format!("{:.1} KiB", bytes as f64 / 1024.0);
        let facts = [
            (
                "inferences",
                format!(
                    "{}, latency p50 {:.0} µs, p99 {:.0} µs",
                    self.inferences_made, self.latency_p50_us, self.latency_p99_us
                ),
            ),
            (
                "images kept, labelled",
                format!("{}, {}", self.captures, self.labels),
            ),
            (
                "windows",
                format!("{} sent, {} stored", self.windows_sent, self.windows_stored),
            ),
            (
                "bytes shipped",
                format!(
                    "{} from the hub for {} devices and 2 versions of {}",
                    kib(self.hub_egress_bytes),
                    self.devices,
                    kib(self.model_bytes)
                ),
            ),
            (
                "version 2 as a delta",
                format!(
                    "{} instead of {} ({:.0} %): {} did not travel to {} devices",
                    kib(self.delta_bytes),
                    kib(self.onnx_bytes),
                    100.0 * self.delta_bytes as f64 / self.onnx_bytes.max(1) as f64,
                    kib(self.delta_bytes_saved),
                    self.deltas_applied
                ),
            ),
            (
                "training",
                format!(
                    "{} core-seconds in a job of the hub's",
                    self.round.training_core_seconds
                ),
            ),
            ("time", format!("{:.0} s", self.seconds)),
        ];
        for (name, fact) in facts {
            line(format!("{name:<24}{fact}"));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Figures {
        Figures {
            devices: 12,
            accuracy_v1_clean: 0.97,
            accuracy_v1_fogged: 0.60,
            accuracy_v2_fogged: 0.90,
            inferences_made: 5,
            inferences_counted_by_hub: 5,
            windows_sent: 3,
            windows_stored: 3,
            model_bytes: 1,
            hub_egress_bytes: 1,
            onnx_bytes: 100,
            delta_bytes: 75,
            deltas_applied: 12,
            delta_bytes_saved: 300,
            deltas_failed: 0,
            requests_failed: 0,
            drift_placed: true,
            drift_seconds: 40.0,
            round: RoundFigures {
                proposed_by_policy: true,
                approvals: 1,
                challenger_won: true,
                comparison: String::new(),
                recovered: true,
                training_core_seconds: 3,
            },
            mistake_stopped: true,
            mistake_touched: 3,
            mistake_seconds: 20.0,
            captures: 0,
            labels: 0,
            latency_p50_us: 0.0,
            latency_p99_us: 0.0,
            seconds: 0.0,
            sites: Vec::new(),
        }
    }

    fn fails(figures: &Figures) -> usize {
        figures.checks().iter().filter(|(holds, _)| !holds).count()
    }

    #[test]
    fn a_story_holds_only_if_every_part_does() {
        assert_eq!(fails(&held()), 0);
        for broken in [
            Figures {
                accuracy_v2_fogged: 0.70,
                ..held()
            },
            Figures {
                inferences_counted_by_hub: 4,
                ..held()
            },
            Figures {
                windows_stored: 4,
                ..held()
            },
            Figures {
                deltas_applied: 11,
                ..held()
            },
            Figures {
                requests_failed: 1,
                ..held()
            },
            Figures {
                drift_placed: false,
                ..held()
            },
            Figures {
                round: RoundFigures {
                    proposed_by_policy: false,
                    ..held().round
                },
                ..held()
            },
            Figures {
                round: RoundFigures {
                    approvals: 2,
                    ..held().round
                },
                ..held()
            },
            Figures {
                round: RoundFigures {
                    challenger_won: false,
                    ..held().round
                },
                ..held()
            },
            Figures {
                round: RoundFigures {
                    recovered: false,
                    ..held().round
                },
                ..held()
            },
            Figures {
                mistake_stopped: false,
                ..held()
            },
            // No fall is no story, whatever version 2 does.
            Figures {
                accuracy_v1_clean: 0.65,
                ..held()
            },
            Figures {
                accuracy_v1_fogged: f64::NAN,
                ..held()
            },
        ] {
            assert!(fails(&broken) > 0, "{broken:?}");
        }
    }
}

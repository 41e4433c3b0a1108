//! Numbers for Prometheus, in its text format (version 0.0.4).
//!
//! Written by the hub and the agent. Source of the rules: "Exposition formats", Prometheus documentation. Must never
//! break: whatever a label says, a line stays one line.

use alloc::{format, string::String};
use core::fmt::{Display, Write as _};

use crate::metric::{MetricCounts, MetricKind, MetricSpec};

/// What a text of this format is called in HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The family in which `whose` program tells a metric of a bundle. Its kind is in its end, and no metric may be called so
/// itself: bundles that declare a name otherwise never meet in one.
pub fn family_of(whose: &str, metric: &MetricCounts) -> String {
    let end = match metric.kind {
        MetricKind::Counter => "_total",
        MetricKind::Gauge => "",
        MetricKind::Histogram => "_bins",
    };
    format!("{whose}_model_{}{end}", metric.name)
}

/// Text in the making.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a family of samples: `kind` is `counter`, `gauge` or `histogram`.
    pub fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.push("# HELP ");
        self.push(name);
        self.push(" ");
        self.escaped(help, false);
        let _ = write!(self.0, "\n# TYPE {name} {kind}\n");
    }

    /// One sample of the family that was begun last.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.push(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            self.push(if place == 0 { "{" } else { "," });
            self.push(label);
            self.push("=\"");
            self.escaped(text, true);
            self.push("\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Samples of a metric of a bundle that is a histogram: `le` of each bin is its upper edge.
    pub fn bins(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        spec: &MetricSpec,
        counts: &MetricCounts,
    ) {
        let bucket = format!("{name}_bucket");
        let mut below = 0_u64;
        let ends = spec.bins.iter().map(|edge| format!("{edge}"));
        for (end, count) in ends.chain(["+Inf".into()]).zip(&counts.bins) {
            below = below.saturating_add(*count);
            let mut labels = labels.to_vec();
            labels.push(("le", &end));
            self.sample(&bucket, &labels, below);
        }
        self.sample(&format!("{name}_sum"), labels, counts.sum.value());
        self.sample(&format!("{name}_count"), labels, below);
    }

    /// All of it.
    pub fn finish(self) -> String {
        self.0
    }

    fn push(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn escaped(&mut self, text: &str, quotes: bool) {
        for character in text.chars() {
            match character {
                '\\' => self.push("\\\\"),
                '\n' => self.push("\\n"),
                '"' if quotes => self.push("\\\""),
                other => self.0.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines_whatever_is_in_them() {
        let mut text = Text::default();
        text.single("tern_x", "gauge", "Things\nand \"more\".", 3);
        text.sample("tern_x", &[("a", "b\"\\\n"), ("c", "d")], 0.25);
        let expected = "# HELP tern_x Things\\nand \"more\".\n# TYPE tern_x gauge\ntern_x 3\n\
                        tern_x{a=\"b\\\"\\\\\\n\",c=\"d\"} 0.25\n";
        assert_eq!(text.finish(), expected);
    }
}

//! Figures for programs on standard output, progress for people on standard error.

use serde::Serialize;
use serde_json::Value;

/// One figure.
#[derive(Serialize)]
pub(crate) struct Figure {
    pub(crate) bench: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// What is to be reached: DESIGN's number.
    pub(crate) goal: &'static str,
    pub(crate) detail: Value,
}

impl Figure {
    /// One JSON line.
    pub(crate) fn print(&self) {
        let line = serde_json::to_string(self).expect("a figure is plain data");
        println!("{line}");
    }
}

/// Where progress goes.
pub(crate) struct Report {
    quiet: bool,
}

impl Report {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// What happens now.
    pub(crate) fn progress(&self, line: &str) {
        if !self.quiet {
            eprintln!("    {line}");
        }
    }
}

/// The value below which the given share of the sorted values lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The median of some values; sorts them.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.5)
}

//! How long telemetry is kept.

use std::time::Duration;

use super::duration;

/// Telemetry. Captures, labels, events and what rollouts decided by are kept whatever is set here.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub struct Retention {
    /// Keep windows as devices sent them for this time, at least 1d.
    #[arg(long = "keep-windows", value_name = "TIME", default_value = "7d", value_parser = a_day)]
    pub windows: Duration,
    /// Keep sums of minutes for this time.
    #[arg(long = "keep-minutes", value_name = "TIME", default_value = "2d", value_parser = duration)]
    pub minutes: Duration,
    /// Keep sums of hours for this time.
    #[arg(long = "keep-hours", value_name = "TIME", default_value = "90d", value_parser = duration)]
    pub hours: Duration,
    /// Keep sums of days for this time.
    #[arg(long = "keep-days", value_name = "TIME", default_value = "1826d", value_parser = duration)]
    pub days: Duration,
    /// Keep sums of days of single devices for this time.
    #[arg(long = "keep-devices", value_name = "TIME", default_value = "90d", value_parser = duration)]
    pub devices: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            windows: days(7),
            minutes: days(2),
            hours: days(90),
            days: days(1826),
            devices: days(90),
        }
    }
}

/// As [`duration`], and a day at least: rollouts and pages look at the windows of the last one.
fn a_day(text: &str) -> Result<Duration, String> {
    let kept = duration(text)?;
    if kept < Duration::from_hours(24) {
        return Err("at least 1d: rollouts look at the windows of the last day".into());
    }
    Ok(kept)
}

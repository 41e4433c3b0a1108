//! How long telemetry is kept.

use std::time::Duration;

use tern_protocol::id::WorkspaceId;

use super::duration;

/// Telemetry. Labels, events and what rollouts decided by are kept whatever is set here, captures unless it is said.
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
    /// Keep captured inputs for this time, at least 1h, as `90d`; or those of one workspace, as `plant=30d`. Repeatable;
    /// by default they are kept until somebody deletes them. Truths about them stay.
    #[arg(long = "keep-captures", value_name = "TIME|WORKSPACE=TIME", value_parser = captures)]
    pub captures: Vec<KeepCaptures>,
}

/// How long captured inputs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepCaptures {
    /// In this workspace; in all others that are not named if absent.
    pub workspace: Option<WorkspaceId>,
    /// For so long.
    pub kept: Duration,
}

impl Retention {
    /// How long captured inputs of a workspace are kept; for ever if nothing is set.
    pub fn captures_of(&self, workspace: &WorkspaceId) -> Option<Duration> {
        let of = |wanted: Option<&WorkspaceId>| {
            let mut set = self.captures.iter().rev();
            set.find(|set| set.workspace.as_ref() == wanted)
        };
        let set = of(Some(workspace)).or_else(|| of(None));
        set.map(|set| set.kept)
    }
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
            captures: Vec::new(),
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

/// `90d`, or `plant=30d`.
fn captures(text: &str) -> Result<KeepCaptures, String> {
    let (workspace, time) = match text.split_once('=') {
        Some((name, time)) => {
            let workspace = name.parse::<WorkspaceId>().map_err(|err| err.to_string())?;
            (Some(workspace), time)
        }
        None => (None, text),
    };
    let kept = duration(time)?;
    if kept < Duration::from_hours(1) {
        return Err("at least 1h: somebody has to have the time to label them".into());
    }
    Ok(KeepCaptures { workspace, kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_kept_as_long_as_their_workspace_says() {
        let set = |texts: &[&str]| Retention {
            captures: texts
                .iter()
                .map(|text| captures(text).expect("it is one"))
                .collect(),
            ..Retention::default()
        };
        let of = |set: &Retention, name: &str| set.captures_of(&name.parse().expect("a name"));
        assert_eq!(of(&set(&[]), "plant"), None);
        let set = set(&["90d", "plant=2h"]);
        assert_eq!(of(&set, "plant"), Some(Duration::from_hours(2)));
        assert_eq!(of(&set, "lab"), Some(Duration::from_hours(90 * 24)));
        for wrong in ["59m", "a/b=3d", "plant=", "=3d"] {
            assert!(captures(wrong).is_err(), "{wrong}");
        }
    }
}

//! How models are watched.

use std::time::Duration;

use super::duration;

/// How carefully, and how soon, it is told that a model sees or says something else than before.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Watching models")]
pub struct Drift {
    /// Years between two false alarms of drift in the mean, over all that is watched of one model in the whole fleet.
    #[arg(long = "drift-years", value_name = "YEARS", default_value_t = 1.0, value_parser = years)]
    pub years: f64,
    /// How long an hour is waited for after it ended, and a site that was away after it spoke last.
    #[arg(long = "drift-grace", value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub grace: Duration,
    /// For how long most inputs of a device lie where training had hardly any before it is told.
    #[arg(long = "departure-hold", value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub hold: Duration,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            years: 1.0,
            grace: Duration::from_mins(10),
            hold: Duration::from_mins(5),
        }
    }
}

impl Drift {
    /// How long is waited for an hour or a site, in milliseconds.
    pub(crate) fn grace(&self) -> i64 {
        milliseconds(self.grace)
    }

    /// For the engine.
    pub(crate) fn watch(&self) -> tern_watch::Settings {
        tern_watch::Settings {
            years: self.years,
            ..tern_watch::Settings::default()
        }
    }

    /// For departures.
    pub(crate) fn departures(&self) -> tern_watch::departure::Settings {
        tern_watch::departure::Settings {
            hold: milliseconds(self.hold),
        }
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn years(text: &str) -> Result<f64, String> {
    let years: f64 = text
        .parse()
        .map_err(|_| "a number of years, such as 1 or 0.5")?;
    if (0.01..=1_000.0).contains(&years) {
        Ok(years)
    } else {
        Err("from 0.01 to 1000 years".into())
    }
}

//! How jobs run on the hub's machine.

use std::{fs, num::NonZeroU32, path::PathBuf, thread, time::Duration};

use super::duration;
use crate::jobs;

/// Part of the machine's memory that jobs get unless told otherwise, in percent: the rest is for the hub and the system.
const SHARE: u64 = 75;

/// Whether the hub's machine runs jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Switch {
    /// It does.
    #[default]
    On,
    /// It does not; jobs run on other computes, if there are any.
    Off,
}

/// Settings of jobs.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Jobs")]
pub struct JobsArgs {
    /// Run jobs on this machine. A job may do what the hub may.
    #[arg(long, value_enum, value_name = "SWITCH", default_value_t)]
    pub jobs: Switch,
    /// Where jobs of this machine run: on a local disk. By default `jobs` in the directory of the hub.
    #[arg(long, value_name = "DIR")]
    pub jobs_root: Option<PathBuf>,
    /// Most slots for jobs on this machine, of one core each; by default as many as it has cores.
    #[arg(long, value_name = "COUNT")]
    pub jobs_slots: Option<NonZeroU32>,
    /// Memory for all jobs on this machine, in bytes; by default three quarters of it.
    #[arg(long, value_name = "BYTES")]
    pub jobs_memory: Option<u64>,
    /// Graphics processors for jobs on this machine.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub jobs_gpus: u32,
    /// Keep a job that is over for this time, with its log and its artifacts.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = duration)]
    pub jobs_keep: Duration,
    /// Room for artifacts of jobs, in bytes, for each workspace: what does not fit is not kept.
    #[arg(long, value_name = "BYTES", default_value_t = jobs::QUOTA)]
    pub jobs_quota: u64,
    /// Where jobs reach this hub, as `https://hub.example:8443`, if not under its first name.
    #[arg(long, value_name = "URL", value_parser = address)]
    pub jobs_url: Option<String>,
}

impl JobsArgs {
    /// Without jobs on this machine.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        Self {
            jobs: Switch::Off,
            jobs_root: None,
            jobs_slots: None,
            jobs_memory: None,
            jobs_gpus: 0,
            jobs_keep: Duration::from_hours(24),
            jobs_quota: jobs::QUOTA,
            jobs_url: None,
        }
    }

    /// Slots of the machine.
    pub fn slots(&self) -> u32 {
        let cores = || {
            let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
            u32::try_from(cores).unwrap_or(u32::MAX)
        };
        self.jobs_slots.map_or_else(cores, NonZeroU32::get)
    }

    /// Bytes of memory for jobs.
    pub fn memory(&self) -> u64 {
        self.jobs_memory
            .unwrap_or_else(|| machine_memory() / 100 * SHARE)
    }
}

fn address(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['/', '@', '?', '#', ' ']) => {
            Ok(text.to_owned())
        }
        _ => Err("an address is as `https://hub.example:8443`".into()),
    }
}

/// Bytes of memory that there are for us: of the machine, or of the container that we are in.
fn machine_memory() -> u64 {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let of_machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(number(line.trim_end_matches("kB"))? * 1024)
    });
    let of_container = fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| number(&text));
    let all = [of_machine, of_container].into_iter().flatten();
    // A machine that says nothing gets little.
    all.min().unwrap_or(1024 * 1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_origin() {
        for good in ["https://hub.example:8443", "http://127.0.0.1:8080"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["hub.example", "https://", "https://hub/api", "ftp://hub"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(machine_memory() > 0);
    }
}

//! What of jobs is kept in memory: the local compute, how it is set up, and why jobs wait.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tern_compute::{
    job::Resources,
    local::{Local, Settings as LocalSettings},
    schedule::Wanted,
};
use tern_protocol::id::{ComputeName, JobId};

use super::client::Clients;
use crate::app::Wake;

/// Bytes of artifacts of one workspace's jobs, unless the operator says otherwise.
pub const QUOTA: u64 = 64 * 1024 * 1024 * 1024;

/// How jobs are set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether the hub's own machine runs jobs.
    pub local: bool,
    /// Where attempts and environments are.
    pub root: PathBuf,
    /// Slots of the machine, of one core each.
    pub slots: u32,
    /// Bytes of memory for all jobs on it.
    pub memory: u64,
    /// Graphics processors of it.
    pub gpus: u32,
    /// How long a job that is over is kept.
    pub keep: Duration,
    /// Bytes of artifacts of one workspace.
    pub quota: u64,
    /// Where jobs reach the hub, if not where it is found otherwise.
    pub url: Option<String>,
    /// Whether the hub lets in whoever asks, so that jobs need no token.
    pub open: bool,
}

/// How jobs on the machine reach the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// Where.
    pub url: String,
    /// Whether what is shown there is vouched for by the hub's own authority.
    pub own_authority: bool,
}

/// What is known of a compute beside its settings.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Units that it has now.
    pub(super) units: u32,
    /// Since when it should have another number.
    pub(super) wanted: Wanted,
    /// What is wrong with it.
    pub(super) trouble: Option<String>,
}

/// Clones share what is known.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    /// Makes the driver look again.
    wake: Wake,
    settings: Settings,
    here: OnceLock<Here>,
    /// The local compute, or why there is none.
    local: Result<Local, String>,
    waits: Mutex<BTreeMap<JobId, String>>,
    known: Mutex<BTreeMap<ComputeName, Known>>,
    clients: Clients,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Default for Desk {
    /// One without a machine, for parts that are tested alone.
    fn default() -> Self {
        Self::new(Settings {
            local: false,
            root: PathBuf::new(),
            slots: 1,
            memory: 0,
            gpus: 0,
            keep: Duration::MAX,
            quota: QUOTA,
            url: None,
            open: true,
        })
    }
}

impl Desk {
    /// Opens the local compute, if there is to be one. What keeps it from running is told by it, and keeps nothing else
    /// from running.
    pub fn new(settings: Settings) -> Self {
        let local = opened(&settings);
        if let (true, Err(why)) = (settings.local, &local) {
            tracing::warn!(why, "no job runs on this machine");
        }
        Self(Arc::new(Inner {
            wake: Wake::new(),
            settings,
            here: OnceLock::new(),
            local,
            waits: Mutex::default(),
            known: Mutex::default(),
            clients: Clients::default(),
        }))
    }

    /// The hub listens. Said once; later words change nothing.
    pub fn listening(&self, here: Here) {
        let _ = self.0.here.set(here);
    }

    pub(super) fn here(&self) -> Option<&Here> {
        self.0.here.get()
    }

    /// Makes the driver look again.
    pub fn notify(&self) {
        self.0.wake.notify();
    }

    pub(super) async fn notified(&self) {
        self.0.wake.notified().await;
    }

    /// How jobs are set up.
    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The local compute, or why there is none.
    pub(super) fn local(&self) -> Result<&Local, &str> {
        self.0.local.as_ref().map_err(String::as_str)
    }

    /// Why a job waits, as of the last look.
    pub(super) fn waits(&self, job: JobId) -> Option<String> {
        let waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        waits.get(&job).cloned()
    }

    /// Whether that is another answer than before for any job.
    pub(super) fn set_waits(&self, all: BTreeMap<JobId, String>) -> bool {
        let mut waits = self.0.waits.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *waits != all;
        *waits = all;
        changed
    }

    /// Ways to clusters.
    pub(super) fn clients(&self) -> Clients {
        self.0.clients.clone()
    }

    pub(super) fn known(&self, compute: &ComputeName) -> Known {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(compute).cloned().unwrap_or_default()
    }

    pub(super) fn know(&self, compute: &ComputeName, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(known.entry(compute.clone()).or_default());
    }

    /// What one slot of the machine has.
    pub(super) fn slot(&self) -> Resources {
        let settings = self.settings();
        let slots = settings.slots.max(1);
        Resources {
            cpu_millis: 1000,
            memory: settings.memory / u64::from(slots),
            // Those of the machine are shared by all slots.
            gpus: 0,
        }
    }
}

fn opened(settings: &Settings) -> Result<Local, String> {
    if !settings.local {
        return Err("the hub was started with `--jobs off`".into());
    }
    let program = beside_us("tern-job").map_err(|err| format!("its program: {err}"))?;
    if !program.is_file() {
        return Err(format!(
            "its program {} is not there; install it beside tern-hub",
            program.display()
        ));
    }
    let mut of = LocalSettings::new(&settings.root, program);
    of.cgroup = handed_group();
    Local::open(of).map_err(|err| format!("{}: {err}", settings.root.display()))
}

/// A program that is installed beside this one.
fn beside_us(name: &str) -> io::Result<PathBuf> {
    let here = std::env::current_exe()?;
    Ok(here.with_file_name(name))
}

/// The control group that was handed to us (`Delegate=yes`), if we may make others in it.
fn handed_group() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let group = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    // Its root is the machine's and nobody's to hand out; a delegated one says so by an attribute that systemd sets.
    let controllers = fs::read_to_string(group.join("cgroup.subtree_control")).ok()?;
    let may = |file: &str| {
        fs::OpenOptions::new()
            .write(true)
            .open(group.join(file))
            .is_ok()
    };
    let ready = path != "/" && controllers.split_whitespace().any(|one| one == "memory");
    (ready && may("cgroup.procs")).then_some(group)
}

//! Hub and agents on this machine: started, asked how they are, ended.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{
    Programs,
    admission::{self, Account},
    cameras::{Cameras, Images},
    cast::{Device, SITES, SLOT, devices},
    tern::Tern,
    web::{self, Web},
};
use crate::{
    interrupt,
    process::{self, Process},
};

/// Where the dashboard is expected; another port if somebody is there already.
const USUAL: &str = "127.0.0.1:8443";

/// How long a process may take until it answers; far more than a loaded machine needs.
pub(super) const START: Duration = Duration::from_secs(30);

/// How long the last windows may take to the hub once no image comes any more: a window of 2 s,
/// its way, and a resend after a lost ack.
const SETTLE: Duration = Duration::from_secs(30);

/// What an agent says at `/status`, as far as it is needed here.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Status {
    inferences: u64,
    windows_made: u64,
    windows_acked: u64,
}

/// What the agents say they did, and what the hub says it has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Inferences that agents made.
    pub made: u64,
    /// Inferences in windows that the hub has.
    pub counted: u64,
    /// Windows that agents wrote to send.
    pub sent: u64,
    /// Windows that the hub has.
    pub stored: u64,
}

#[derive(Deserialize)]
struct Addresses {
    http: String,
}

/// What runs. Fields are dropped in this order: cameras before agents before hub, so that
/// everyone's last words are heard.
pub struct Stage {
    cameras: Option<Cameras>,
    agents: Agents,
    hub: Process,
    /// The command line, logged in to the hub.
    pub tern: Tern,
    /// What the command line has no word for.
    pub web: Web,
    /// Who runs the hub.
    pub account: Account,
    url: String,
    folder: PathBuf,
    /// What it is made of.
    pub programs: Programs,
    /// All meters.
    pub devices: Vec<Device>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A job lives on while hubs come and go, and nothing may outlive us. If the hub is gone already, they end at their
        // time limit.
        let _ = self.tern.cancel_jobs();
    }
}

/// Ended together, or twelve graceful ends would take twelve times as long.
struct Agents(Vec<Process>);

impl Drop for Agents {
    fn drop(&mut self) {
        process::stop(&mut self.0);
    }
}

impl Stage {
    /// Starts a hub and so many meters at each site, all in this folder, and waits until they answer.
    pub fn set(folder: &Path, programs: Programs, at_each: usize) -> Result<Self> {
        let devices = devices(at_each);
        let logs = folder.join("logs");
        let data = folder.join("hub");
        let http = if TcpListener::bind(USUAL).is_ok() {
            USUAL
        } else {
            "127.0.0.1:0"
        };
        let mut command = Command::new(&programs.hub);
        command.arg("serve").arg("--data").arg(&data);
        command.args(["--http", http, "--mqtt", "127.0.0.1:0"]);
        // Minutes are seconds here.
        command.args(["--departure-hold", "5s", "--retrain-every", "1s"]);
        let mut hub = Process::start("hub", command, &logs)?;
        let file = data.join("hub.addresses.json");
        let addresses: Addresses = interrupt::wait_for("the hub listens", START, || {
            hub.check()?;
            Ok(fs::read(&file)
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok()))
        })?;
        let port = addresses.http.rsplit_once(':').map_or("", |(_, port)| port);
        // The name that the hub's certificate and the set-up link have.
        let url = format!("https://localhost:{port}");
        let tern = Tern::keeping(programs.tern.clone(), folder.join("tern"));
        let account = admission::set_up(&mut hub, &programs, &data, folder, &tern)?;
        let web = Web::new(&account.ca, tern.viewer_token()?.token)?;
        write_configs(folder, &devices)?;
        admission::join_all(&devices, &programs, folder, &tern)?;
        let agents = Agents(start_agents(folder, &programs, &devices)?);
        Ok(Self {
            cameras: None,
            agents,
            hub,
            tern,
            web,
            account,
            url,
            folder: folder.to_path_buf(),
            programs,
            devices,
        })
    }

    /// The hub's address.
    pub fn hub(&self) -> &str {
        &self.url
    }

    /// Waits until the hub has heard of every agent and each is connected.
    pub fn wait_for_agents(&mut self) -> Result<()> {
        let all = self.devices.len() as u64;
        interrupt::wait_for("all meters are connected", START, || {
            self.check()?;
            let overview = self.tern.overview()?;
            let online: u64 = overview.sites.iter().map(|site| site.online).sum();
            Ok((online == all).then_some(()))
        })
    }

    /// An error if anything is gone that should run.
    pub fn check(&mut self) -> Result<()> {
        self.hub.check()?;
        self.agents.0.iter_mut().try_for_each(Process::check)?;
        self.cameras.as_mut().map_or(Ok(()), Cameras::check)
    }

    /// Starts a camera at every meter. `name` tells one run's files from another's.
    pub fn start_cameras(&mut self, name: &str) -> Result<PathBuf> {
        let meters = self.devices.iter().map(|device| {
            let address = agent_address(&self.folder, device)?;
            Ok((device.clone(), address))
        });
        let meters = meters.collect::<Result<Vec<_>>>()?;
        let cameras = Cameras::start(name, &self.programs.models, &self.folder, &meters)?;
        let truth = cameras.truth.clone();
        self.cameras = Some(cameras);
        Ok(truth)
    }

    /// What the cameras see from now on; the fog, 0 to 1, only at the foggy sites.
    pub fn see(&mut self, images: Images, fog: f64) -> Result<()> {
        let cameras = self.cameras.as_mut().context("no cameras run")?;
        SITES.iter().try_for_each(|site| {
            let fog = if site.foggy { fog } else { 0.0 };
            cameras.see(site.name, images, fog)
        })
    }

    /// Stops the cameras; gives the number of images that no agent answered.
    pub fn stop_cameras(&mut self) -> Result<u64> {
        self.cameras.take().map_or(Ok(0), Cameras::stop)
    }

    /// What agents and hub have counted, once they agree, or at the latest when they should have.
    pub fn settled_counts(&mut self) -> Result<Counts> {
        let mut last = Counts::default();
        let agreed = interrupt::wait_for("the last windows arrive", SETTLE, || {
            self.check()?;
            let (counts, acked) = self.counts()?;
            last = counts;
            let agree = counts.made == counts.counted && counts.sent == counts.stored;
            Ok((agree && acked == counts.sent).then_some(counts))
        });
        interrupt::check()?;
        // If they never agree, the figures say by how much, and the check on them fails.
        Ok(agreed.unwrap_or(last))
    }

    fn counts(&self) -> Result<(Counts, u64)> {
        let mut counts = Counts::default();
        let mut acked = 0;
        for device in &self.devices {
            let address = agent_address(&self.folder, device)?;
            let status: Status = web::get(&format!("http://{address}/status"))?;
            counts.made += status.inferences;
            counts.sent += status.windows_made;
            acked += status.windows_acked;
        }
        let totals = self.tern.overview()?.totals;
        counts.counted = totals.inferences;
        counts.stored = totals.windows;
        Ok((counts, acked))
    }
}

fn write_configs(folder: &Path, devices: &[Device]) -> Result<()> {
    for device in devices {
        let home = folder.join(&device.name);
        fs::create_dir_all(&home)?;
        fs::write(home.join("agent.toml"), agent_config(device))?;
    }
    Ok(())
}

fn start_agents(folder: &Path, programs: &Programs, devices: &[Device]) -> Result<Vec<Process>> {
    let start = |device: &Device| {
        let config = folder.join(&device.name).join("agent.toml");
        let mut command = Command::new(&programs.agent);
        command.arg("run").arg("--config").arg(&config);
        Process::start(&device.name, command, &folder.join("logs"))
    };
    let mut agents = devices.iter().map(start).collect::<Result<Vec<_>>>()?;
    for (device, agent) in devices.iter().zip(&mut agents) {
        interrupt::wait_for("an agent listens", START, || {
            agent.check()?;
            Ok(agent_address(folder, device).ok())
        })?;
    }
    Ok(agents)
}

fn agent_address(folder: &Path, device: &Device) -> Result<String> {
    let file = folder.join(&device.name).join("state/http.addr");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(text.trim().to_string())
}

/// A device for which a day is a minute: short windows, so that charts move while one looks, a short trial, so that a
/// rollout soon knows that a version stays, and a fair share of captures at random, so that accuracy stands on enough
/// labels within seconds.
fn agent_config(device: &Device) -> String {
    format!(
        r#"device = "{name}"
state = "state"

[http]
listen = "127.0.0.1:0"

[[slots]]
name = "{SLOT}"

[telemetry]
window = "2s"

[activation]
trial = "3s"

[captures]
enabled = true
random_share = 0.2
"#,
        name = device.name,
    )
}

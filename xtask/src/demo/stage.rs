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
    admission::{self, Account},
    cameras::{Cameras, Images},
    cast::{Device, FOG, SITES, SLOT, devices},
    narrator::Narrator,
    tern::Tern,
    web::{self, Web},
};
use crate::{
    interrupt,
    process::{self, Process},
    workspace::{Profile, binary},
};

/// Where the dashboard is expected; another port if somebody is there already.
const USUAL: &str = "127.0.0.1:8443";

/// How long a process may take until it answers; far more than a loaded machine needs.
pub(super) const START: Duration = Duration::from_secs(30);

/// How long the last windows may take to the hub once no image comes any more: a window of 2 s,
/// its way, and a resend after a lost ack.
const SETTLE: Duration = Duration::from_secs(30);

/// How often a stage that stays up looks after its processes.
const WATCH: Duration = Duration::from_secs(1);

/// What an agent says at `/status`, as far as the story needs it.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Status {
    inferences: u64,
    windows_made: u64,
    windows_acked: u64,
}

/// What the agents say they did, and what the hub says it has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Inferences that agents made.
    pub(super) made: u64,
    /// Inferences in windows that the hub has.
    pub(super) counted: u64,
    /// Windows that agents wrote to send.
    pub(super) sent: u64,
    /// Windows that the hub has.
    pub(super) stored: u64,
}

#[derive(Deserialize)]
struct Addresses {
    http: String,
}

/// What runs. Fields are dropped in this order: cameras before agents before hub, so that
/// everyone's last words are heard.
pub(super) struct Stage {
    pub(super) cameras: Option<Cameras>,
    agents: Agents,
    hub: Process,
    /// The command line, logged in to the hub.
    pub(super) tern: Tern,
    /// What the command line has no word for.
    pub(super) web: Web,
    /// Who runs the hub.
    pub(super) account: Account,
    url: String,
    folder: PathBuf,
}

/// Ended together, or twelve graceful ends would take twelve times as long.
struct Agents(Vec<Process>);

impl Drop for Agents {
    fn drop(&mut self) {
        process::stop(&mut self.0);
    }
}

impl Stage {
    /// Starts the hub and waits until it answers.
    pub(super) fn set(folder: &Path) -> Result<Self> {
        let logs = folder.join("logs");
        let data = folder.join("hub");
        let http = if TcpListener::bind(USUAL).is_ok() {
            USUAL
        } else {
            "127.0.0.1:0"
        };
        let mut command = Command::new(binary(Profile::Dev, "tern-hub"));
        command.arg("serve").arg("--data").arg(&data);
        command.args(["--http", http, "--mqtt", "127.0.0.1:0"]);
        // Minutes are seconds here.
        command.args(["--departure-hold", "5s"]);
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
        let tern = Tern::keeping(folder.join("tern"));
        let account = admission::set_up(&mut hub, &data, folder, &tern)?;
        let web = Web::new(&account.ca, tern.viewer_token()?.token)?;
        write_configs(folder)?;
        admission::join_all(folder, &tern)?;
        let agents = Agents(start_agents(folder)?);
        Ok(Self {
            cameras: None,
            agents,
            hub,
            tern,
            web,
            account,
            url,
            folder: folder.to_path_buf(),
        })
    }

    /// The hub's address.
    pub(super) fn hub(&self) -> &str {
        &self.url
    }

    /// Waits until the hub has heard of every agent and each is connected.
    pub(super) fn wait_for_agents(&mut self) -> Result<()> {
        let all = devices().len() as u64;
        interrupt::wait_for("all meters are connected", START, || {
            self.check()?;
            let overview = self.tern.overview()?;
            let online: u64 = overview.sites.iter().map(|site| site.online).sum();
            Ok((online == all).then_some(()))
        })
    }

    /// An error if anything is gone that should run.
    pub(super) fn check(&mut self) -> Result<()> {
        self.hub.check()?;
        self.agents.0.iter_mut().try_for_each(Process::check)?;
        self.cameras.as_mut().map_or(Ok(()), Cameras::check)
    }

    /// Starts a camera at every meter. `name` tells one run's files from another's.
    pub(super) fn start_cameras(&mut self, name: &str) -> Result<PathBuf> {
        let meters = devices().into_iter().map(|device| {
            let address = agent_address(&self.folder, &device)?;
            Ok((device, address))
        });
        let meters = meters.collect::<Result<Vec<_>>>()?;
        let cameras = Cameras::start(name, &self.folder, &meters)?;
        let truth = cameras.truth.clone();
        self.cameras = Some(cameras);
        Ok(truth)
    }

    /// What the cameras see from now on; the fog, 0 to 1, only at the foggy sites.
    pub(super) fn see(&mut self, images: Images, fog: f64) -> Result<()> {
        let cameras = self.cameras.as_mut().context("no cameras run")?;
        SITES.iter().try_for_each(|site| {
            let fog = if site.foggy { fog } else { 0.0 };
            cameras.see(site.name, images, fog)
        })
    }

    /// Stops the cameras; gives the number of images that no agent answered.
    pub(super) fn stop_cameras(&mut self) -> Result<u64> {
        self.cameras.take().map_or(Ok(0), Cameras::stop)
    }

    /// What agents and hub have counted, once they agree, or at the latest when they should have.
    pub(super) fn settled_counts(&mut self) -> Result<Counts> {
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
        for device in devices() {
            let address = agent_address(&self.folder, &device)?;
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

    /// Stays up until Ctrl-C, with cameras that see what they saw at the end of the story.
    pub(super) fn stay(&mut self, narrator: &mut Narrator) -> Result<()> {
        self.start_cameras("cameras-after")?;
        self.see(Images::Late, FOG)?;
        narrator.say(format!(
            "everything stays up: {} — Ctrl-C ends it",
            self.url
        ));
        while !interrupt::is_set() {
            self.check()?;
            // Ctrl-C is how this ends, not an error.
            let _ = interrupt::pause(WATCH);
        }
        Ok(())
    }
}

fn write_configs(folder: &Path) -> Result<()> {
    for device in devices() {
        let home = folder.join(&device.name);
        fs::create_dir_all(&home)?;
        fs::write(home.join("agent.toml"), agent_config(&device))?;
    }
    Ok(())
}

fn start_agents(folder: &Path) -> Result<Vec<Process>> {
    let start = |device: &Device| {
        let config = folder.join(&device.name).join("agent.toml");
        let mut command = Command::new(binary(Profile::Dev, "tern-agent"));
        command.arg("run").arg("--config").arg(&config);
        Process::start(&device.name, command, &folder.join("logs"))
    };
    let devices = devices();
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

/// A device as the story needs it: short windows, so that charts move while one looks, and a
/// fair share of captures at random, so that accuracy stands on enough labels within seconds.
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

[captures]
enabled = true
random_share = 0.2
"#,
        name = device.name,
    )
}

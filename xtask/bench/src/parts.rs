//! The real processes that benches measure: hub and agent, each in a folder of its own, ended with
//! their guard.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Binaries;

/// How long a part may take until it answers.
const START: Duration = Duration::from_secs(30);

/// How long a part may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(20);

/// The slot that agents serve in.
pub(crate) const SLOT: &str = "digit-reader";

/// Waits until `ready` gives a value.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        if Instant::now() > end {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        thread::sleep(LOOK);
    }
}

/// Longest wait for a quiet machine.
const QUIET: Duration = Duration::from_mins(3);

/// Waits until hardly anything else runs on this machine: for a second less than a tenth of it was used.
pub(crate) fn quiet() -> Result<()> {
    wait_for("the machine is quiet", QUIET, || {
        let before = processors()?;
        thread::sleep(Duration::from_secs(1));
        let after = processors()?;
        let all = after.all.saturating_sub(before.all);
        let idle = after.idle.saturating_sub(before.idle);
        (idle * 10 > all * 9).then_some(())
    })
}

/// Ticks of all processors since the system started.
struct Processors {
    all: u64,
    /// Those in which nothing was to be done, or only a disk was waited for.
    idle: u64,
}

/// From the first line of `/proc/stat`: user, nice, system, idle, iowait and so on.
fn processors() -> Option<Processors> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some(Processors {
        all: ticks.iter().take(8).sum(),
        idle,
    })
}

/// JSON from an HTTP address.
pub(crate) fn get<T: DeserializeOwned>(url: &str) -> Result<T> {
    let mut response = ureq::get(url).call().with_context(|| url.to_string())?;
    response
        .body_mut()
        .read_json()
        .with_context(|| url.to_string())
}

/// A process, ended with this.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it; what it says goes to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let shown = format!("{command:?}");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log)?);
        Ok(Self(command.spawn().with_context(|| shown)?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        let ended = wait_for("the end", GRACE, || self.0.try_wait().ok().flatten());
        if ended.is_err() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// A hub.
pub(crate) struct Hub {
    process: Running,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Address of its API.
    pub(crate) url: String,
    /// Address of its broker.
    pub(crate) mqtt: String,
}

/// How others reach a hub.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// As it ships: TLS everywhere, and nobody in without a certificate or a login.
    Full,
    /// `--insecure-loopback`: benches that measure something else spare themselves the joining.
    InsecureLoopback,
}

#[derive(Deserialize)]
struct Addresses {
    http: String,
    mqtt: String,
}

impl Hub {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(binaries: &Binaries, folder: &Path, security: Security) -> Result<Self> {
        Self::start_with(binaries, folder, security, &[])
    }

    /// Starts one with more arguments.
    pub(crate) fn start_with(
        binaries: &Binaries,
        folder: &Path,
        security: Security,
        more: &[&str],
    ) -> Result<Self> {
        let data = folder.join("hub");
        let mut command = Command::new(&binaries.hub);
        command.arg("serve").arg("--data").arg(&data);
        command.args(["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]);
        command.args(more);
        if security == Security::InsecureLoopback {
            command.arg("--insecure-loopback");
        }
        let process = Running::start(&mut command, &folder.join("hub.log"))?;
        let file = data.join("hub.addresses.json");
        let addresses: Addresses = wait_for("the hub listens", START, || {
            serde_json::from_slice(&fs::read(&file).ok()?).ok()
        })?;
        let url = match security {
            Security::Full => format!("https://{}", addresses.http),
            Security::InsecureLoopback => format!("http://{}", addresses.http),
        };
        if security == Security::InsecureLoopback {
            wait_for("the hub is ready", START, || {
                ureq::get(&format!("{url}/readyz")).call().ok()
            })?;
        }
        Ok(Self {
            process,
            data,
            url,
            mqtt: addresses.mqtt,
        })
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
        memory(self.process.0.id(), "VmRSS")
    }

    /// Reads its resident memory in bytes, from another thread.
    pub(crate) fn look(&self) -> impl Fn() -> Result<u64> + Send + 'static {
        let pid = self.process.0.id();
        move || memory(pid, "VmRSS")
    }

    /// Processor time that it has used, in seconds.
    pub(crate) fn cpu_s(&self) -> f64 {
        cpu_s(self.process.0.id())
    }
}

/// Processor time of a process in seconds, from `/proc/PID/stat`; 0 if the system does not say.
fn cpu_s(pid: u32) -> f64 {
    /// Clock ticks a second: Linux' `USER_HZ`, 100 on all that we build for.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field may hold spaces and ends with the last parenthesis; user and system time
    // are the 14th and 15th.
    let fields = stat
        .rsplit_once(") ")
        .map_or("", |(_, rest)| rest)
        .split(' ')
        .skip(11);
    fields
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

/// A line of `/proc/PID/status`, in bytes.
pub(crate) fn memory(pid: u32, line: &str) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    let found = text
        .lines()
        .find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let kib = found.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("no {line} in {file}"))? * 1024)
}

/// An agent.
pub(crate) struct Agent {
    process: Running,
    /// Address of its HTTP server.
    pub(crate) address: String,
}

impl Agent {
    /// Starts one and waits until it is connected to the hub.
    pub(crate) fn start(binaries: &Binaries, hub: &Hub, folder: &Path) -> Result<Self> {
        Self::start_with(binaries, hub, folder, "")
    }

    /// Starts one with more in its configuration.
    pub(crate) fn start_with(
        binaries: &Binaries,
        hub: &Hub,
        folder: &Path,
        more: &str,
    ) -> Result<Self> {
        let home = folder.join("agent");
        fs::create_dir_all(&home)?;
        let config = home.join("agent.toml");
        let text = format!(
            "device = \"bench-01\"\nsite = \"bench\"\nstate = \"state\"\n\
             [mqtt]\nbroker = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[[slots]]\nname = \"{SLOT}\"\n{more}",
            hub.mqtt
        );
        fs::write(&config, text)?;
        let mut command = Command::new(&binaries.agent);
        command.arg("run").arg("--config").arg(&config);
        let process = Running::start(&mut command, &folder.join("agent.log"))?;
        let file: PathBuf = home.join("state/http.addr");
        let address = wait_for("the agent listens", START, || {
            fs::read_to_string(&file)
                .ok()
                .map(|text| text.trim().to_string())
        })?;
        let agent = Self { process, address };
        wait_for("the agent is connected", START, || {
            agent.status().ok()?["online"].as_bool()?.then_some(())
        })?;
        Ok(agent)
    }

    /// Publishes the digit model and waits until this agent serves it.
    pub(crate) fn serve_model(&self, binaries: &Binaries, hub: &Hub) -> Result<()> {
        let tern = |args: &[&str]| tern(binaries, hub, args);
        let package = binaries
            .package
            .to_str()
            .context("the package's path is not UTF-8")?;
        tern(&["model", "publish", SLOT, package])?;
        tern(&["rollout", "start", &format!("{SLOT}@1"), "--slot", SLOT])?;
        wait_for("the agent serves", START, || {
            let status = self.status().ok()?;
            status["slots"][0]["serving"]["weights"].as_str().map(drop)
        })
    }

    /// What it says of itself.
    pub(crate) fn status(&self) -> Result<Value> {
        get(&format!("http://{}/status", self.address))
    }

    /// A line of its `/proc/PID/status`, in bytes.
    pub(crate) fn memory(&self, line: &str) -> Result<u64> {
        memory(self.process.0.id(), line)
    }
}

/// Runs the command line against a hub without a login.
pub(crate) fn tern(binaries: &Binaries, hub: &Hub, args: &[&str]) -> Result<()> {
    let mut command = Command::new(&binaries.tern);
    let output = command
        .args(["--hub", &hub.url, "--json"])
        .args(args)
        .output();
    let output = output.with_context(|| binaries.tern.display().to_string())?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// An HTTP connection that is kept alive, with as little around it as possible: what it takes is
/// the server's time and the loopback's.
pub(crate) struct KeepAlive {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
    body: Vec<u8>,
}

impl KeepAlive {
    /// Connects; every call posts this body to this path.
    pub(crate) fn connect(address: &str, path: &str, body: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        Ok(Self {
            stream: BufReader::new(stream),
            request: request.into_bytes(),
            body: Vec::new(),
        })
    }

    /// One request and its answer's body; an error unless the status is 200.
    pub(crate) fn call(&mut self) -> Result<&[u8]> {
        self.stream.get_mut().write_all(&self.request)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.trim_end().to_string();
        let mut length = 0;
        loop {
            line.clear();
            ensure!(
                self.stream.read_line(&mut line)? > 0,
                "the server closed after {status}"
            );
            if line.trim_end().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        let text = String::from_utf8_lossy(&self.body);
        ensure!(status.contains(" 200 "), "{status}: {text}");
        Ok(&self.body)
    }
}

/// A request of the Open Inference Protocol with one image.
pub(crate) fn infer_request(image: &[f32], input: &str) -> String {
    serde_json::json!({
        "inputs": [{"name": input, "shape": [1, image.len()], "datatype": "FP32", "data": image}]
    })
    .to_string()
}

/// Path that it is posted to.
pub(crate) fn infer_path() -> String {
    format!("/v2/models/{SLOT}/infer")
}

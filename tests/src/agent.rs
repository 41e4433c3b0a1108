//! One `tern-agent run` with its configuration, its state and its HTTP address.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use serde::Deserialize;
use tern_protocol::{
    id::{ModelName, ModelVersion},
    reported::{Deltas, OutboxReport, Phase, RejectReason, ShadowPhase, Trust},
};

use crate::{
    binaries,
    http::{Answer, Http},
    oip,
    process::{Clock, Process, Under},
    wait,
};

/// What a test decides about an agent; the rest is as short-lived as tests are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Device id.
    pub device: String,
    /// Site.
    pub site: String,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Lines of the `[captures]` table.
    pub captures: String,
    /// Lines of the one `[[slots]]` table, besides its name.
    pub slot: String,
    /// Lines of the `[delivery]` table.
    pub delivery: String,
    /// Lines of the `[activation]` table.
    pub activation: String,
    /// Lines of the `[vetting]` table.
    pub vetting: String,
    /// Lines of the `[otlp]` table; without them there is none.
    pub otlp: String,
}

/// The slot of every agent in the tests.
pub const SLOT: &str = "digit-reader";

impl Settings {
    /// A device at a site that captures nothing.
    pub fn new(device: &str, site: &str) -> Self {
        Self {
            device: device.into(),
            site: site.into(),
            labels: Vec::new(),
            captures: "enabled = false".into(),
            slot: String::new(),
            delivery: String::new(),
            activation: String::new(),
            vetting: String::new(),
            otlp: String::new(),
        }
    }

    /// Captures every input, with probability 1.
    #[must_use]
    pub fn capturing_all(mut self) -> Self {
        self.captures = "enabled = true\nunsure_below = 1.0\nunsure_share = 1.0\n\
                         random_share = 1.0\nper_window = 10000"
            .into();
        self
    }

    /// With these lines in its table of captures.
    #[must_use]
    pub fn captures(mut self, lines: &str) -> Self {
        self.captures = lines.into();
        self
    }

    /// With a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// With these lines in its slot's table.
    #[must_use]
    pub fn slot(mut self, lines: &str) -> Self {
        self.slot = lines.into();
        self
    }

    /// With these lines in its table of delivery.
    #[must_use]
    pub fn delivery(mut self, lines: &str) -> Self {
        self.delivery = lines.into();
        self
    }

    /// With these lines in its table of activation.
    #[must_use]
    pub fn activation(mut self, lines: &str) -> Self {
        self.activation = lines.into();
        self
    }

    /// With these lines in its table of vetting.
    #[must_use]
    pub fn vetting(mut self, lines: &str) -> Self {
        self.vetting = lines.into();
        self
    }

    /// With a collector, as these lines name it.
    #[must_use]
    pub fn otlp(mut self, lines: &str) -> Self {
        self.otlp = format!("[otlp]\n{lines}\n\n");
        self
    }

    /// A joined agent has its addresses from the hub.
    fn toml(&self, broker: Option<SocketAddr>) -> String {
        let broker = broker.map(|broker| format!("broker = \"{broker}\"\n"));
        let labels = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key} = \"{value}\"\n"));
        format!(
            "device = \"{device}\"\nsite = \"{site}\"\nstate = \"state\"\n\n\
             [labels]\n{labels}\n\
             [mqtt]\n{broker}keep_alive = \"5s\"\n\n\
             [http]\nlisten = \"127.0.0.1:0\"\n\n\
             [telemetry]\nwindow = \"1s\"\n\n\
             [captures]\n{captures}\n\n\
             [delivery]\n{delivery}\n\n\
             [activation]\n{activation}\n\n\
             [vetting]\n{vetting}\n\n{otlp}\
             [[slots]]\nname = \"{SLOT}\"\n{slot}\n",
            broker = broker.unwrap_or_default(),
            device = self.device,
            site = self.site,
            labels = labels.collect::<String>(),
            captures = self.captures,
            delivery = self.delivery,
            activation = self.activation,
            vetting = self.vetting,
            otlp = self.otlp,
            slot = self.slot,
        )
    }
}

/// An agent and its directory. It may be stopped and started again.
#[derive(Debug)]
pub struct Agent {
    dir: PathBuf,
    device: String,
    http: Http,
    clock: Option<Clock>,
    under: Option<Under>,
    running: Option<(Process, SocketAddr)>,
}

/// `GET /status`: what the tests look at. Counters are since this boot.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Status {
    pub boot: u32,
    pub uptime_ms: u64,
    pub online: bool,
    pub inferences: u64,
    pub errors: u64,
    pub malformed: u64,
    pub windows_made: u64,
    pub windows_acked: u64,
    pub captures_made: u64,
    pub captures_skipped: u64,
    pub chunk_bytes: u64,
    pub metadata_bytes: u64,
    pub chunks_ignored: u64,
    pub https_bytes: u64,
    pub way_changes: u64,
    pub coming: Vec<Coming>,
    pub deltas: Deltas,
    pub outbox: OutboxReport,
    pub trust: Trust,
    pub slots: Vec<Slot>,
}

/// A blob on its way, in [`Status`].
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Coming {
    pub blob: String,
    pub via: String,
    pub trouble: Option<String>,
}

/// A slot in [`Status`].
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Slot {
    pub slot: String,
    pub serving: Option<Serving>,
    pub previous: Option<Previous>,
    pub progress: Option<Progress>,
    pub rejected: Option<Rejected>,
    pub shadow: Option<Shadow>,
}

/// What runs beside what serves, in [`Slot`].
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Shadow {
    pub version: ModelVersion,
    pub phase: ShadowPhase,
    pub reason: Option<RejectReason>,
    pub compared: u64,
    pub agreed: u64,
    pub errors: u64,
    pub skipped: u64,
}

/// What served before, in [`Slot`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Previous {
    pub version: ModelVersion,
}

/// What serves, in [`Slot`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Serving {
    pub model: ModelName,
    pub version: ModelVersion,
    pub weights: String,
    pub inferences: u64,
    pub errors: u64,
    pub confirmed: bool,
}

/// What is on its way, in [`Slot`].
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Progress {
    pub version: ModelVersion,
    pub phase: Phase,
    pub bytes: u64,
    pub bytes_total: u64,
}

/// What was refused, in [`Slot`].
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)] // the names are those of the agent's documentation
pub struct Rejected {
    pub version: ModelVersion,
    pub reason: RejectReason,
    pub text: String,
}

impl Status {
    /// The one slot.
    #[track_caller]
    pub fn slot(&self) -> &Slot {
        self.slots
            .iter()
            .find(|slot| slot.slot == SLOT)
            .expect("the agent lists its slot")
    }

    /// The version that the one slot serves.
    #[track_caller]
    pub fn version(&self) -> Option<u32> {
        self.slot()
            .serving
            .as_ref()
            .map(|serving| serving.version.get())
    }
}

impl Agent {
    /// Writes `DIR/DEVICE/agent.toml` and starts an agent on it.
    #[track_caller]
    pub fn start(dir: &Path, settings: &Settings, broker: SocketAddr) -> Self {
        let mut agent = Self::prepare(dir, settings, Some(broker));
        agent.run();
        agent
    }

    /// Writes `DIR/DEVICE/agent.toml`. Without a broker's address it is for an agent that joins.
    #[track_caller]
    pub fn prepare(dir: &Path, settings: &Settings, broker: Option<SocketAddr>) -> Self {
        let dir = dir.join(&settings.device);
        fs::create_dir_all(&dir).expect("a directory in the test's own");
        fs::write(dir.join("agent.toml"), settings.toml(broker)).expect("a file in the test's own");
        let device = settings.device.clone();
        Self {
            dir,
            device,
            http: Http::default(),
            clock: None,
            under: None,
            running: None,
        }
    }

    /// The settings that it has when it is started next.
    #[track_caller]
    pub fn configure(&self, settings: &Settings, broker: Option<SocketAddr>) {
        let file = self.dir.join("agent.toml");
        fs::write(file, settings.toml(broker)).expect("a file in the test's own");
    }

    /// The clock that it has when it is started next.
    pub fn set_clock(&mut self, clock: Option<Clock>) {
        self.clock = clock;
    }

    /// What it runs under when it is started next.
    pub fn set_under(&mut self, under: Option<Under>) {
        self.under = under;
    }

    /// Where its state is.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Takes its process away from it, to be ended otherwise.
    #[track_caller]
    pub fn take(&mut self) -> Process {
        self.running.take().expect("the agent runs").0
    }

    /// Starts `tern-agent join TOKEN`.
    #[track_caller]
    pub fn joins(&self, token: &str) -> Process {
        let config = self.dir.join("agent.toml");
        let args = [
            "join".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            token.as_ref(),
        ];
        let program = binaries::path("tern-agent");
        Process::start_at(self.clock.as_ref(), &self.dir, "join", &program, args)
    }

    /// `tern-agent join TOKEN`, until it ends; how, and what it said.
    #[track_caller]
    pub fn join(&self, token: &str) -> (ExitStatus, String) {
        let status = self.joins(token).finish();
        let said = |end: &str| fs::read_to_string(self.dir.join(format!("join.{end}")));
        let said = said("out").unwrap_or_default() + &said("log").unwrap_or_default();
        (status, said)
    }

    /// Its identity file.
    pub fn identity(&self) -> PathBuf {
        self.dir.join("identity.json")
    }

    /// Its renewed credentials, which may not be there.
    pub fn renewed(&self) -> PathBuf {
        self.dir.join("identity.renewed.json")
    }

    /// Its device id.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Its directory: configuration, state, logs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts it (again) and waits until its HTTP server answers.
    #[track_caller]
    pub fn run(&mut self) {
        // What it said is shown when it is dropped.
        assert!(self.run_or_end(), "{} ended by itself", self.device);
    }

    /// Starts it (again) and waits until its HTTP server answers, or it has ended; whether it answers.
    #[track_caller]
    pub fn run_or_end(&mut self) -> bool {
        assert!(self.running.is_none(), "the agent runs already");
        let file = self.dir.join("state").join("http.addr");
        // What an earlier process wrote is not where this one listens.
        let _ = fs::remove_file(&file);
        let config = self.dir.join("agent.toml");
        let args = ["run".as_ref(), "--config".as_ref(), config.as_os_str()];
        let program = binaries::path("tern-agent");
        let (under, clock) = (self.under.as_ref(), self.clock.as_ref());
        let mut process =
            Process::start_under(under, clock, &self.dir, &self.device, &program, args);
        let http = self.http.clone();
        let address = wait::until(&format!("agent {} to answer", self.device), || {
            if process.has_ended() {
                return Ok(None);
            }
            let text = fs::read_to_string(&file).map_err(|err| err.to_string())?;
            let address: SocketAddr = text.trim().parse().map_err(|_| format!("address {text}"))?;
            let live = http.get(&format!("http://{address}/v2/health/live"))?;
            wait::that(live.status == 200, || format!("live: {live:?}"))?;
            Ok(Some(address))
        });
        // Nobody listens at port 0: who asks is refused.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        self.running = Some((process, address.unwrap_or(nowhere)));
        address.is_some()
    }

    /// `kill -9`.
    #[track_caller]
    pub fn kill_9(&mut self) {
        self.running.take().expect("the agent runs").0.kill_9();
    }

    /// SIGTERM; its exit status.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.running.take().expect("the agent runs").0.terminate()
    }

    /// Its process.
    #[track_caller]
    pub fn process(&mut self) -> &mut Process {
        &mut self.running.as_mut().expect("the agent runs").0
    }

    /// Where it answers HTTP.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("the agent runs").1
    }

    /// `http://…` with this path.
    #[track_caller]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// GET of this path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        let answer = self.http.get(&self.url(path));
        answer.unwrap_or_else(|err| panic!("GET {path} of {}: {err}", self.device))
    }

    /// POST of a JSON text to this path.
    #[track_caller]
    pub fn post(&self, path: &str, json: &str) -> Answer {
        let answer = self.http.post(&self.url(path), json);
        answer.unwrap_or_else(|err| panic!("POST {path} of {}: {err}", self.device))
    }

    /// `GET /status`.
    #[track_caller]
    pub fn status(&self) -> Status {
        let answer = self.get("/status");
        match serde_json::from_str(&answer.body) {
            Ok(status) => status,
            Err(err) => panic!("{err} in /status of {}: {}", self.device, answer.body),
        }
    }

    /// `GET /status` of one that may have ended.
    pub fn try_status(&self) -> Result<Status, String> {
        let answer = self.http.get(&self.url("/status"))?;
        serde_json::from_str(&answer.body).map_err(|err| err.to_string())
    }

    /// One inference, which must succeed.
    #[track_caller]
    pub fn infer(&self, input: &oip::Input) -> oip::Inferred {
        let answer = self.post(&oip::path(SLOT), &input.request());
        assert_eq!(
            answer.status, 200,
            "infer at {}: {}",
            self.device, answer.body
        );
        oip::Inferred::read(&answer.body)
    }

    /// One request for an inference with these headers besides.
    #[track_caller]
    pub fn ask(&self, input: &oip::Input, headers: &[(&str, &str)]) -> Answer {
        let json = [("content-type", "application/json")];
        let headers = [&json, headers].concat();
        let (url, body) = (self.url(&oip::path(SLOT)), input.request());
        let answer = self.http.send("POST", &url, &headers, body.as_bytes());
        answer.unwrap_or_else(|err| panic!("asking {}: {err}", self.device))
    }

    /// Tells the truth about a prediction; the status of the answer.
    #[track_caller]
    pub fn feedback(&self, prediction: &str, truth: &str) -> u16 {
        let body = serde_json::json!({ "prediction": prediction, "truth": truth });
        self.post("/feedback", &body.to_string()).status
    }

    /// Waits until it serves this version.
    #[track_caller]
    pub fn serves(&self, version: u32) -> Status {
        wait::until(
            &format!("{} to serve version {version}", self.device),
            || {
                let status = self.status();
                wait::that(status.version() == Some(version), || {
                    format!("{:?}", status.slots)
                })?;
                Ok(status)
            },
        )
    }
}

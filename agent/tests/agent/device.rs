//! A real agent in a temporary directory, and ways to talk to it.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `ready` gives something; `what` and `last` say what was missing.
#[track_caller]
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub struct Device {
    dir: tempfile::TempDir,
    child: Option<Child>,
    address: SocketAddr,
}

impl Device {
    /// An agent that reaches the hub at this address; `more` is added to its configuration.
    pub fn start(mqtt: SocketAddr, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let config = format!(
            "device = \"meter-01\"\nsite = \"harbour\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[mqtt]\nbroker = \"{mqtt}\"\nkeep_alive = \"2s\"\n{more}"
        );
        fs::write(dir.path().join("agent.toml"), config).expect("it writes");
        let mut device = Self {
            dir,
            child: None,
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
        };
        device.run();
        device
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    /// Starts the agent, which is not running.
    pub fn run(&mut self) {
        let address = self.state().join("http.addr");
        fs::remove_file(&address).ok();
        let log = fs::File::create(self.dir().join("log")).expect("it writes");
        let child = Command::new(env!("CARGO_BIN_EXE_tern-agent"))
            .args(["run", "--config"])
            .arg(self.dir().join("agent.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("the agent is built"));
        self.address = wait_for("the agent's address", || {
            fs::read_to_string(&address).ok()?.parse().ok()
        });
    }

    /// Starts the agent, which ends by itself: its exit code, and what it logged.
    pub fn run_in_vain(&self) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tern-agent"))
            .args(["run", "--config"])
            .arg(self.dir().join("agent.toml"))
            .output();
        let output = output.expect("the agent is built");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), log)
    }

    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it runs")
    }

    /// The power goes.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }

    /// A polite stop; the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("it is ours");
        let status = wait_for("the agent to end", || child.try_wait().expect("it is ours"));
        status.code()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir().join("log")).expect("it logs")
    }

    /// Sends bytes as they are.
    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // It may close before all is sent.
        stream.write_all(bytes).ok();
        stream
    }

    /// Sends bytes as they are, and no more, and waits for the agent to close.
    pub fn raw(&self, bytes: &[u8]) {
        let mut stream = self.send(bytes);
        stream.shutdown(std::net::Shutdown::Write).ok();
        stream.read_to_end(&mut Vec::new()).ok();
    }

    /// One request; status and body.
    pub fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = String::new();
        // A connection that is cut after its answer still answered.
        self.send(request.as_bytes())
            .read_to_string(&mut answer)
            .ok();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).expect("a status").parse();
        (status.expect("a number"), body.into())
    }

    pub fn status(&self) -> Value {
        let (status, body) = self.request("GET", "/status", "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The version that serves.
    pub fn serving(&self) -> Option<u64> {
        self.status()["slots"][0]["serving"]["version"].as_u64()
    }

    #[track_caller]
    pub fn wait_serving(&self, version: u64) {
        wait_for(&format!("version {version} to serve"), || {
            (self.serving() == Some(version)).then_some(())
        });
    }

    /// Asks the model about one input.
    pub fn infer(&self, values: &[f32]) -> (u16, Value) {
        let (status, body) = self.request("POST", "/v2/models/reader/infer", &infer_json(values));
        (status, serde_json::from_str(&body).expect("JSON"))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
        if std::thread::panicking() {
            eprintln!("--- log of the agent\n{}", self.log());
        }
    }
}

pub fn infer_json(values: &[f32]) -> String {
    let mut data = String::new();
    for value in values {
        let comma = if data.is_empty() { "" } else { "," };
        write!(data, "{comma}{value:?}").expect("it grows");
    }
    let len = values.len();
    format!(
        r#"{{"inputs":[{{"name":"image","shape":[1,{len}],"datatype":"FP32","data":[{data}]}}]}}"#
    )
}

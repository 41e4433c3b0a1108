//! A Mosquitto beside a hub, in place of the broker inside it: with the configuration and the rules that
//! the repository ships, and the files that the hub makes for it.

use std::{
    env, fs,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    binaries,
    mosquitto::{SHIPPED_DIR, SHIPPED_LISTENER, shipped},
    ports,
    process::{Clock, Process},
    programs,
    wait::{self, Go},
};

/// Says which broker every hub of the tests uses: `mosquitto`, or else the one inside it.
const SWITCH: &str = "TERN_TEST_BROKER";

/// Attempts to get a port that nobody else takes in between.
const ATTEMPTS: usize = 5;

/// Between two looks at the hub's files.
const LOOK: Duration = Duration::from_millis(50);

/// Where the loopback configuration listens.
const LOOPBACK_LISTENER: &str = "\nlistener 1883 127.0.0.1\n";

/// Whether every hub is started with a Mosquitto beside it.
#[track_caller]
pub fn is_wanted() -> bool {
    match env::var(SWITCH).as_deref() {
        Err(_) | Ok("embedded") => false,
        Ok("mosquitto") => {
            assert!(programs::find("mosquitto").is_some(), "{SWITCH} wants one");
            true
        }
        Ok(other) => panic!("{SWITCH} is `{other}`: it is `embedded` or `mosquitto`"),
    }
}

/// What it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Plain,
    Tls,
}

/// A Mosquitto that keeps nothing over a restart of its own.
#[derive(Debug)]
pub struct Beside {
    dir: PathBuf,
    speaks: Speaks,
    clock: Option<Clock>,
    address: SocketAddr,
    /// Dropped before the process: it must not be told anything any more.
    watch: Option<Watch>,
    process: Option<Process>,
}

/// Tells Mosquitto to read its files again when the hub has changed them, as the unit in
/// `docs/brokers.md` does.
#[derive(Debug)]
struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    fn start(dir: PathBuf, process: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || watch(&dir, process, &stopped));
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic in it was shown.
            let _ = thread.join();
        }
    }
}

fn watch(dir: &Path, process: u32, stop: &Receiver<()>) {
    let mut told = changed(dir);
    while wait::paced(stop, LOOK) == Go::On {
        let now = changed(dir);
        if now != told {
            told = now;
            let id = i32::try_from(process).expect("process ids fit an i32");
            // Its owner may just have ended it, and waits for this thread before it is reaped.
            let _ = kill(Pid::from_raw(id), Signal::SIGHUP);
        }
    }
}

/// When each of the hub's files was changed.
fn changed(dir: &Path) -> [Option<SystemTime>; 4] {
    ["ca.crt", "server.crt", "server.key", "crl.pem"].map(|name| {
        let about = fs::metadata(dir.join(name));
        about.and_then(|about| about.modified()).ok()
    })
}

impl Beside {
    /// One for an insecure hub, with its files in `DIR/broker`.
    #[track_caller]
    pub fn plain(dir: &Path) -> Self {
        Self::start(Speaks::Plain, None, dir)
    }

    /// One for a secured hub whose data will be in `data`: the hub makes certificate, authorities and
    /// lists for it before its own first start.
    #[track_caller]
    pub fn secured(clock: Option<Clock>, dir: &Path, data: &Path) -> Self {
        let files = dir.join("broker");
        // Closed to others, as the hub makes it.
        let mut closed = fs::DirBuilder::new();
        closed.recursive(true).mode(0o700);
        closed.create(data).expect("a directory in the test's own");
        let mut command = Command::new(binaries::path("tern-hub"));
        command.args(["ca", "broker", "--name", "localhost", "--name", "127.0.0.1"]);
        command.arg("--data").arg(data).arg("--out").arg(&files);
        if let Some(clock) = &clock {
            clock.apply_to(&mut command);
        }
        let ran = command.output().expect("tern-hub starts");
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "tern-hub ca broker: {told}");
        Self::start(Speaks::Tls, clock, dir)
    }

    #[track_caller]
    fn start(speaks: Speaks, clock: Option<Clock>, dir: &Path) -> Self {
        let dir = dir.join("broker");
        fs::create_dir_all(&dir).expect("a directory in the test's own");
        let mut beside = Self {
            dir,
            speaks,
            clock,
            address: ports::free(),
            watch: None,
            process: None,
        };
        for _ in 0..ATTEMPTS {
            if beside.try_run() {
                return beside;
            }
            beside.address = ports::free();
        }
        panic!(
            "mosquitto does not start; its log is in {}",
            beside.dir.display()
        );
    }

    #[track_caller]
    fn try_run(&mut self) -> bool {
        let port = self.address.port();
        let config = match self.speaks {
            Speaks::Plain => {
                let config = shipped("loopback.conf");
                assert!(config.contains(LOOPBACK_LISTENER), "it listens as shipped");
                config.replace(LOOPBACK_LISTENER, &format!("\nlistener {port} 127.0.0.1\n"))
            }
            Speaks::Tls => {
                fs::write(self.dir.join("acl"), shipped("acl")).expect("a file of the test's own");
                let config = shipped("mosquitto.conf");
                assert!(config.contains(SHIPPED_LISTENER), "it listens as shipped");
                let here = format!("{}/", self.dir.display());
                let config = config.replace(SHIPPED_DIR, &here);
                config.replace(SHIPPED_LISTENER, &format!("\nlistener {port} 127.0.0.1\n"))
            }
        };
        let file = self.dir.join("mosquitto.conf");
        // As root it would give up the right to read what only this test's user may read.
        fs::write(&file, format!("user root\n{config}")).expect("a file of the test's own");
        let program = programs::find("mosquitto").expect("there is one");
        let args = ["-c".as_ref(), file.as_os_str()];
        let clock = self.clock.as_ref();
        let process = Process::start_at(clock, &self.dir, "mosquitto", &program, args);
        self.process = ports::listens(process, self.address);
        if self.speaks == Speaks::Tls {
            let process = self.process.as_ref();
            self.watch = process.map(|process| Watch::start(self.dir.clone(), process.id()));
        }
        self.process.is_some()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory with its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its URL for `--broker`.
    pub fn url(&self) -> String {
        match self.speaks {
            Speaks::Plain => format!("mqtt://{}", self.address),
            Speaks::Tls => format!("mqtts://localhost:{}", self.address.port()),
        }
    }

    /// What a hub is started with for it.
    pub fn hub_args(&self) -> Vec<String> {
        let mut args = vec!["--broker".to_owned(), self.url()];
        if self.speaks == Speaks::Tls {
            // Devices that are only voices connect to the address.
            for name in ["localhost", "127.0.0.1"] {
                let told = format!("{name}:{}", self.address.port());
                args.extend(["--broker-address".to_owned(), told]);
            }
            args.extend(["--broker-files".to_owned(), self.dir.display().to_string()]);
        }
        args
    }

    /// Starts it again with this clock.
    #[track_caller]
    pub fn set_clock(&mut self, clock: Option<Clock>) {
        self.clock = clock;
        self.kill_9();
        self.run();
    }

    /// `kill -9`: it forgets all that it retained.
    #[track_caller]
    pub fn kill_9(&mut self) {
        self.watch = None;
        self.process.take().expect("mosquitto runs").kill_9();
    }

    /// Starts it again where it was.
    #[track_caller]
    pub fn run(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        wait::until("mosquitto to run again", || {
            wait::that(self.try_run(), || "its port is not free".into())
        });
    }

    /// Has it read its files again.
    #[track_caller]
    pub fn reload(&self) {
        let process = self.process.as_ref().expect("mosquitto runs");
        let reloads = process.log().matches("Reloading config").count();
        process.signal(Signal::SIGHUP);
        wait::until("mosquitto to read its files again", || {
            let log = process.log();
            wait::that(log.matches("Reloading config").count() > reloads, || log)
        });
    }
}

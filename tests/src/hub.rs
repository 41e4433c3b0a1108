//! One `tern-hub serve` on ports that the system gives, plain on loopback or with TLS.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use serde::Deserialize;

use crate::{
    beside::{self, Beside},
    binaries,
    http::Http,
    process::{Clock, Process, Under},
    wait,
};

/// How a hub lets others in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// Without TLS and login: `--insecure-loopback`.
    Plain,
    /// As it is when nothing is said.
    Secured,
}

/// A hub and its data directory. It may be stopped and started again. The ports of a plain one change
/// then; those of a secured one stay, because devices remember them.
#[derive(Debug)]
pub struct Hub {
    dir: PathBuf,
    doors: Doors,
    args: Vec<String>,
    clock: Option<Clock>,
    under: Option<Under>,
    last: Option<Addresses>,
    /// Who vouches for what browsers are shown, if not the hub's own authority.
    browsers: Option<String>,
    running: Option<(Process, Addresses)>,
    /// Its broker, if it is not inside it. Last: it outlives the hub.
    broker: Elsewhere,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Addresses {
    http: SocketAddr,
    /// None if the broker is elsewhere.
    mqtt: Option<SocketAddr>,
}

/// Where the broker is.
#[derive(Debug)]
enum Elsewhere {
    /// Inside the hub.
    No,
    /// A Mosquitto beside it.
    Beside(Box<Beside>),
    /// One that the test has started.
    At(SocketAddr),
}

impl Hub {
    /// Starts a hub without TLS, with its data in `DIR/hub`, and waits until it is ready. `args`
    /// follow `tern-hub serve --data …`.
    #[track_caller]
    pub fn start(dir: &Path, args: &[&str]) -> Self {
        Self::start_with(Doors::Plain, dir, args)
    }

    /// As [`Self::start`], with these doors.
    #[track_caller]
    pub fn start_with(doors: Doors, dir: &Path, args: &[&str]) -> Self {
        Self::start_at(None, doors, dir, args)
    }

    /// As [`Self::start_with`], with this clock.
    #[track_caller]
    pub fn start_at(clock: Option<Clock>, doors: Doors, dir: &Path, args: &[&str]) -> Self {
        let broker = if beside::is_wanted() {
            Elsewhere::Beside(Box::new(mosquitto(clock.clone(), doors, dir)))
        } else {
            Elsewhere::No
        };
        Self::start_by(broker, clock, doors, dir, args)
    }

    /// As [`Self::start_with`], always with a Mosquitto beside it.
    #[track_caller]
    pub fn start_beside(doors: Doors, dir: &Path, args: &[&str]) -> Self {
        let broker = Elsewhere::Beside(Box::new(mosquitto(None, doors, dir)));
        Self::start_by(broker, None, doors, dir, args)
    }

    /// As [`Self::start`], with a broker that listens there without TLS.
    #[track_caller]
    pub fn start_at_broker(address: SocketAddr, dir: &Path, args: &[&str]) -> Self {
        Self::start_by(Elsewhere::At(address), None, Doors::Plain, dir, args)
    }

    #[track_caller]
    fn start_by(
        broker: Elsewhere,
        clock: Option<Clock>,
        doors: Doors,
        dir: &Path,
        args: &[&str],
    ) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let mut hub = Self {
            dir: dir.to_path_buf(),
            doors,
            args,
            clock,
            under: None,
            last: None,
            browsers: None,
            running: None,
            broker,
        };
        hub.run();
        hub
    }

    /// The Mosquitto beside it.
    #[track_caller]
    pub fn mosquitto(&mut self) -> &mut Beside {
        match &mut self.broker {
            Elsewhere::Beside(beside) => beside,
            _ => panic!("there is no Mosquitto beside this hub"),
        }
    }

    /// How it lets others in.
    pub const fn doors(&self) -> Doors {
        self.doors
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("hub")
    }

    /// Where it answers now: `http://…` if it is plain, else `https://localhost:…`.
    #[track_caller]
    pub fn url(&self) -> String {
        self.url_at(self.now().http)
    }

    /// The port of [`Self::url`].
    #[track_caller]
    pub fn port(&self) -> u16 {
        self.now().http.port()
    }

    fn url_at(&self, address: SocketAddr) -> String {
        match self.doors {
            Doors::Plain => format!("http://{address}"),
            Doors::Secured => format!("https://localhost:{}", address.port()),
        }
    }

    /// The clock that it has when it is started next; a Mosquitto beside it has it at once.
    #[track_caller]
    pub fn set_clock(&mut self, clock: Option<Clock>) {
        if let Elsewhere::Beside(beside) = &mut self.broker {
            beside.set_clock(clock.clone());
        }
        self.clock = clock;
    }

    /// What it runs under when it is started next.
    pub fn set_under(&mut self, under: Option<Under>) {
        self.under = under;
    }

    /// Takes its process away from it, to be ended otherwise.
    #[track_caller]
    pub fn take(&mut self) -> Process {
        self.running.take().expect("the hub runs").0
    }

    /// The arguments that it has when it is started next.
    pub fn set_args(&mut self, args: &[&str]) {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
    }

    /// From the next start browsers are shown what this authority (PEM) vouches for.
    pub fn browsers_trust(&mut self, authority: &str) {
        self.browsers = Some(authority.to_owned());
    }

    /// `tern-hub ca …` on its data, which must succeed; what it prints.
    #[track_caller]
    pub fn ca(&self, args: &[&str]) -> String {
        let ran = Command::new(binaries::path("tern-hub"))
            .arg("ca")
            .args(args)
            .arg("--data")
            .arg(self.data())
            .output()
            .expect("tern-hub starts");
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "tern-hub ca {args:?}: {told}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// A client that trusts its authorities.
    #[track_caller]
    pub fn http(&self) -> Http {
        match self.doors {
            Doors::Plain => Http::default(),
            Doors::Secured => match &self.browsers {
                Some(authority) => Http::trusting(authority),
                None => Http::trusting(&self.ca(&["export"])),
            },
        }
    }

    /// What it and those before it on this directory said.
    #[track_caller]
    pub fn log(&self) -> String {
        self.running.as_ref().expect("the hub runs").0.log()
    }

    /// Where its broker listens now.
    #[track_caller]
    pub fn mqtt(&self) -> SocketAddr {
        match &self.broker {
            Elsewhere::No => self.now().mqtt.expect("the broker is inside"),
            Elsewhere::Beside(beside) => beside.address(),
            Elsewhere::At(address) => *address,
        }
    }

    #[track_caller]
    fn now(&self) -> Addresses {
        self.running.as_ref().expect("the hub runs").1
    }

    /// Starts it (again) on its data and waits until `/readyz` says so.
    #[track_caller]
    pub fn run(&mut self) {
        assert!(self.running.is_none(), "the hub runs already");
        let data = self.data();
        let file = data.join("hub.addresses.json");
        // What an earlier process wrote is not where this one listens.
        let _ = fs::remove_file(&file);
        let port = |of: fn(&Addresses) -> Option<SocketAddr>| {
            let last = self.last.as_ref().filter(|_| self.doors == Doors::Secured);
            let last = last.and_then(of);
            last.map_or("127.0.0.1:0".to_owned(), |last| last.to_string())
        };
        let (http, mqtt) = (port(|last| Some(last.http)), port(|last| last.mqtt));
        let broker = match &self.broker {
            Elsewhere::No => vec!["--mqtt".to_owned(), mqtt],
            Elsewhere::Beside(beside) => beside.hub_args(),
            Elsewhere::At(address) => vec!["--broker".to_owned(), format!("mqtt://{address}")],
        };
        let mut args = vec!["serve", "--http", &http];
        args.extend(broker.iter().map(String::as_str));
        args.push("--data");
        args.push(
            data.to_str()
                .expect("a temporary directory has a plain name"),
        );
        if self.doors == Doors::Plain {
            args.push("--insecure-loopback");
        }
        args.extend(self.args.iter().map(String::as_str));
        let (under, clock) = (self.under.as_ref(), self.clock.as_ref());
        let program = binaries::path("tern-hub");
        let mut process = Process::start_under(under, clock, &self.dir, "hub", &program, args);
        let addresses = wait::until("a hub that is ready", || {
            process.assert_runs();
            let text = fs::read_to_string(&file).map_err(|err| err.to_string())?;
            let addresses: Addresses =
                serde_json::from_str(&text).map_err(|err| format!("{err} in {text}"))?;
            let url = self.url_at(addresses.http);
            let ready = self.http().get(&format!("{url}/readyz"))?;
            wait::that(ready.status == 200, || format!("/readyz {ready:?}"))?;
            Ok(addresses)
        });
        self.last = Some(addresses);
        self.running = Some((process, addresses));
    }

    /// `kill -9`.
    #[track_caller]
    pub fn kill_9(&mut self) {
        self.running.take().expect("the hub runs").0.kill_9();
    }

    /// SIGTERM; its exit status.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.running.take().expect("the hub runs").0.terminate()
    }

    /// The file that holds the blob with this digest.
    #[track_caller]
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let blobs = self.data().join("blobs");
        let found = files(&blobs).into_iter().find(|path| {
            let below = path.strip_prefix(&blobs).expect("found below it");
            // However the store splits a digest over directories.
            let text: String = below.iter().map(|part| part.to_string_lossy()).collect();
            text.ends_with(digest)
        });
        found.unwrap_or_else(|| panic!("no file of blob {digest} below {}", blobs.display()))
    }
}

#[track_caller]
fn mosquitto(clock: Option<Clock>, doors: Doors, dir: &Path) -> Beside {
    match doors {
        Doors::Plain => Beside::plain(dir),
        Doors::Secured => Beside::secured(clock, dir, &dir.join("hub")),
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>());
    let paths = entries
        .unwrap_or_default()
        .into_iter()
        .map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

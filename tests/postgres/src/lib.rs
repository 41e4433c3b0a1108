//! A PostgreSQL server of one's own: in a temporary directory, on a free port of loopback.
//!
//! Called by the whole-system tests, by `cargo xtask test` for the unit tests' second pass, and by
//! `cargo xtask bench ingest`. It does not run as root, so root starts it as a user who may do nothing
//! else. Must never break: it is ended by its own process id, with its owner.

use std::{
    ffi::OsString,
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use tempfile::TempDir;

/// Where Debian keeps its programs, by version: not on everybody's search path.
const VERSIONS: &str = "/usr/lib/postgresql";

/// How long a start may take, and an end. After `kill -9` its children are in the way until they have
/// noticed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Who it runs as if root starts it: `nobody`.
const NOBODY: u32 = 65_534;

/// Its only user, and what lets that user in.
const USER: &str = "tern";
const PASSWORD: &str = "planted-password-of-a-database";

/// What becomes of what it has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// It is on the disk, as anybody runs it.
    All,
    /// A power cut would lose it: faster, for tests of what SQL does.
    NoMatter,
}

/// A server and its databases. It may be killed and started again, on the same port.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    keeps: Keeps,
    address: SocketAddr,
    process: Option<Child>,
    // Last, so that it has ended before this is removed.
    dir: TempDir,
}

impl Postgres {
    /// Makes and starts one.
    pub fn start(keeps: Keeps) -> Result<Self> {
        let programs = installed().context("PostgreSQL is not installed")?;
        let dir = tempfile::tempdir()?;
        if Uid::effective().is_root() {
            chown(dir.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let password = dir.path().join("password");
        fs::write(&password, PASSWORD)?;
        let mut initdb = command(&programs.join("initdb"));
        initdb.args(["--username", USER, "--auth", "scram-sha-256", "--pwfile"]);
        initdb.arg(&password);
        initdb.arg("--pgdata").arg(dir.path().join("data"));
        initdb.args(["--locale", "C", "--encoding", "UTF8", "--data-checksums"]);
        let made = initdb.arg("--no-sync").output().context("initdb")?;
        let said = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "initdb: {said}");
        let mut server = Self {
            programs,
            keeps,
            address: free()?,
            process: None,
            dir,
        };
        server.run()?;
        Ok(server)
    }

    /// Starts it (again) and waits until it lets somebody in.
    pub fn run(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "PostgreSQL runs already");
        let mut child = self.spawn()?;
        let lets_in = within(PATIENCE, || {
            // What is left of one that was killed may be in its way for a moment.
            if child.try_wait()?.is_some() {
                child = self.spawn()?;
            }
            let open = TcpStream::connect(self.address).is_ok();
            Ok(open && self.psql("postgres", "").is_ok())
        });
        if !matches!(lets_in, Ok(true)) {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait()?;
            lets_in?;
            bail!("PostgreSQL lets nobody in: {}", self.log());
        }
        self.process = Some(child);
        Ok(())
    }

    fn spawn(&self) -> Result<Child> {
        let mut postgres = command(&self.programs.join("postgres"));
        postgres.arg("-D").arg(self.dir.path().join("data"));
        postgres.args(["-p", &self.address.port().to_string()]);
        let mut settings = vec![
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
        ];
        if self.keeps == Keeps::NoMatter {
            settings.extend(["fsync=off", "full_page_writes=off"]);
        }
        for setting in settings {
            postgres.args(["-c", setting]);
        }
        let mut log = File::options();
        let log = log.create(true).append(true).open(self.log_file())?;
        postgres.stdin(Stdio::null()).stdout(Stdio::null());
        postgres.stderr(log).spawn().context("starting PostgreSQL")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// `kill -9` of the server itself; what it has forked ends by itself.
    pub fn kill_9(&mut self) -> Result<()> {
        let mut child = self.process.take().context("PostgreSQL runs not")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Makes a database and gives its address.
    pub fn database(&self, name: &str) -> Result<String> {
        self.psql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(name))
    }

    /// The address of a database, with the password.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@{}/{name}", self.address)
    }

    /// What must be in no log.
    pub const fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Runs SQL in a database; what it gives, one row a line.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        let ran = psql.arg(self.url(database)).output().context("psql")?;
        let said = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "{sql}: {said}");
        Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(mut child) = self.process.take() else {
            return;
        };
        // At once, and yet it tidies its shared memory up.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGQUIT);
        let ended = within(PATIENCE, || Ok(child.try_wait()?.is_some()));
        if !matches!(ended, Ok(true)) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Looks again and again whether something holds; whether it did before the deadline.
fn within(deadline: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<bool> {
    let until = Instant::now() + deadline;
    while !holds()? {
        if Instant::now() > until {
            return Ok(false);
        }
        thread::park_timeout(LOOK);
    }
    Ok(true)
}

/// An address of loopback where nobody listens now.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Where the programs of the newest version are, if there is one.
pub fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            is_there(&programs).then_some((number, programs))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs).or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| is_there(folder))
    })
}

fn is_there(programs: &Path) -> bool {
    ["initdb", "postgres", "psql"]
        .iter()
        .all(|program| programs.join(program).is_file())
}

/// A program of the server. Root gives its rights away first.
fn command(program: &Path) -> Command {
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let nobody = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    let words = ["--reuid", &nobody, "--regid", &nobody, "--clear-groups"];
    command.args(words.map(OsString::from)).arg(program);
    command
}

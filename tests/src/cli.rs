//! The `tern` command line, run as people run it.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;

use crate::{binaries, fleet::Fleet, process::Process};

/// How a command ended and what it wrote.
#[derive(Debug)]
pub struct Ran {
    /// Exit code: 0 done, 1 the answer is no, 2 error.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub log: String,
}

impl Ran {
    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|err| panic!("{err} in {self:?}"))
    }
}

/// Runs `tern` against a fleet's hub until it ends.
#[track_caller]
pub fn tern(fleet: &Fleet, args: &[&str]) -> Ran {
    let process = spawn(fleet, args);
    let name = process.name().to_owned();
    let code = process.finish().code();
    let read = |end: &str| {
        let bytes = std::fs::read(fleet.dir().join(format!("{name}.{end}")));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    };
    Ran {
        code,
        out: read("out"),
        log: read("log"),
    }
}

/// Runs `tern … --json`, which must succeed, and reads its answer.
#[track_caller]
pub fn tern_json(fleet: &Fleet, args: &[&str]) -> Value {
    let ran = tern(fleet, &[args, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "tern {args:?}: {ran:?}");
    ran.json()
}

/// Starts `tern` against a fleet's hub, as its first admin if it is secured.
#[track_caller]
pub fn spawn(fleet: &Fleet, args: &[&str]) -> Process {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let name = format!("tern-{}", RUNS.fetch_add(1, Ordering::Relaxed));
    let url = fleet.hub.url();
    // A test may speak to another hub, or to none.
    let hub: &[&str] = if args.contains(&"--hub") {
        &[]
    } else {
        &["--hub", &url]
    };
    let mut command = Command::new(binaries::path("tern"));
    command.args([hub, args].concat());
    if let Some(admin) = &fleet.admin {
        let ca = fleet.dir().join("cli.ca.pem");
        std::fs::write(&ca, &admin.ca).expect("a file in the test's own directory");
        command.env("TERN_TOKEN", &admin.token).env("TERN_CA", ca);
        // Not that of whoever runs the tests.
        command.env("TERN_CONFIG_DIR", fleet.dir().join("nobody"));
    }
    Process::spawn(fleet.dir(), &name, command)
}

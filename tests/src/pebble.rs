//! A real ACME authority: Let's Encrypt's own small one for tests.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::{http::Http, pki::Authority, ports, process::Process, programs};

/// A running Pebble. It asks for proof at one port of this machine.
pub struct Pebble {
    /// Where its directory is.
    pub directory: String,
    /// Who vouches for the directory, as a file in PEM.
    pub vouches: PathBuf,
    /// Who vouches for what it issues, as PEM.
    pub root: String,
    _process: Process,
}

impl Pebble {
    /// Starts one that asks for proof by TLS-ALPN-01 at this port, or says that there is none here.
    #[track_caller]
    pub fn start(dir: &Path, proof: u16) -> Option<Self> {
        let program = programs::find("pebble")?;
        let authority = Authority::new("Authority of an ACME directory");
        let server = authority.server();
        let vouches = write(dir, "pebble-ca.pem", authority.pem());
        let certificate = write(dir, "pebble.crt", &server.chain);
        let key = write(dir, "pebble.key", &server.key);
        // Another process may take a port in between.
        for _ in 0..5 {
            let [directory, management] = [ports::free(), ports::free()];
            let config = json!({ "pebble": {
                "listenAddress": directory.to_string(),
                "managementListenAddress": management.to_string(),
                "certificate": certificate, "privateKey": key,
                "httpPort": 0, "tlsPort": proof,
                "ocspResponderURL": "", "externalAccountBindingRequired": false,
            }});
            let file = write(dir, "pebble.json", &config.to_string());
            let mut command = Command::new(&program);
            command.arg("-config").arg(file);
            // By itself it waits up to 15 s before it asks for proof, and refuses good requests.
            command.env("PEBBLE_VA_NOSLEEP", "1");
            command.env("PEBBLE_WFE_NONCEREJECT", "0");
            let process = Process::spawn(dir, "pebble", command);
            if let Some(process) = both_listen(process, directory, management) {
                let http = Http::trusting(authority.pem());
                let root = http.get(&format!("https://{management}/roots/0"));
                return Some(Self {
                    directory: format!("https://{directory}/dir"),
                    vouches,
                    root: root.expect("it tells its root").body,
                    _process: process,
                });
            }
        }
        let log = fs::read_to_string(dir.join("pebble.out")).unwrap_or_default();
        panic!("pebble does not start: {log}");
    }
}

#[track_caller]
fn both_listen(process: Process, first: SocketAddr, second: SocketAddr) -> Option<Process> {
    ports::listens(ports::listens(process, first)?, second)
}

#[track_caller]
fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("a file in the test's own");
    path
}

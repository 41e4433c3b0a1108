//! A real Mosquitto with the configuration that the repository ships.

use std::{fs, net::SocketAddr};

use nix::sys::signal::Signal;

use crate::{
    pki::{self, Authority, Credentials, Days},
    ports,
    process::Process,
    programs, wait,
};

/// Where the shipped configuration looks for its files.
pub(crate) const SHIPPED_DIR: &str = "/etc/mosquitto/tern/";

/// Where the shipped configuration listens.
pub(crate) const SHIPPED_LISTENER: &str = "\nlistener 8883\n";

/// A file as the repository ships it.
#[track_caller]
pub(crate) fn shipped(name: &str) -> String {
    let path = programs::repository()
        .join("deploy/brokers/mosquitto")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// A running broker for the workspace `default`, with the authority of its devices.
pub struct Mosquitto {
    /// Vouches for devices, for the hub and for the broker.
    pub authority: Authority,
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
    // Last, so that the process has ended before its files are removed.
    dir: tempfile::TempDir,
}

impl Mosquitto {
    /// Starts one, or says that there is none here.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let program = programs::find("mosquitto")?;
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        let authority = Authority::new("Tern hub CA of a test");
        let server = authority.server();
        for (name, text) in [
            ("ca.crt", authority.pem()),
            ("server.crt", &server.chain),
            ("server.key", &server.key),
            ("crl.pem", &authority.revocation_list(&[])),
            ("acl", &shipped("acl")),
        ] {
            fs::write(dir.path().join(name), text).expect("a file in the test's own");
        }
        let config = shipped("mosquitto.conf");
        assert!(config.contains(SHIPPED_LISTENER), "it listens as shipped");
        let here = format!("{}/", dir.path().display());
        // Mosquitto gives no port by itself: another process may take ours in between.
        for _ in 0..5 {
            let address = ports::free();
            let listener = format!("\nlistener {} 127.0.0.1\n", address.port());
            let config = config
                .replace(SHIPPED_DIR, &here)
                .replace(SHIPPED_LISTENER, &listener);
            // As root it would give up the right to read what only this test's user may read.
            let file = dir.path().join("mosquitto.conf");
            fs::write(&file, format!("user root\n{config}")).expect("a file in the test's own");
            let process = Process::start(
                dir.path(),
                "mosquitto",
                &program,
                ["-c".as_ref(), file.as_os_str()],
            );
            if let Some(process) = ports::listens(process, address) {
                return Some(Self {
                    authority,
                    address,
                    process,
                    dir,
                });
            }
        }
        panic!(
            "mosquitto does not start: {}",
            fs::read_to_string(dir.path().join("mosquitto.log")).unwrap_or_default()
        );
    }

    /// A certificate of a device of the workspace `default`.
    #[track_caller]
    pub fn device(&self, device: &str) -> Credentials {
        self.authority
            .client(&format!("default/d/{device}"), Days(-1, 30))
    }

    /// What a client with these credentials connects with.
    #[track_caller]
    pub fn tls(&self, credentials: &Credentials) -> std::sync::Arc<rustls::ClientConfig> {
        pki::tls(self.authority.pem(), Some(credentials))
    }

    /// Adds lines to the rules and has them read again.
    #[track_caller]
    pub fn add_rules(&self, lines: &str) {
        let path = self.dir.path().join("acl");
        let rules = fs::read_to_string(&path).expect("it was written at the start");
        fs::write(&path, rules + lines).expect("a file in the test's own");
        let reloads = self.process.log().matches("Reloading config").count();
        self.process.signal(Signal::SIGHUP);
        wait::until("mosquitto to read its rules again", || {
            let log = self.process.log();
            wait::that(log.matches("Reloading config").count() > reloads, || log)
        });
    }
}

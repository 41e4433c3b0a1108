//! One `tern-hub serve` on ports that the system gives.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use serde::Deserialize;

use crate::{binaries, http::Http, process::Process, wait};

/// A hub and its data directory. It may be stopped and started again; its ports change then.
#[derive(Debug)]
pub struct Hub {
    dir: PathBuf,
    args: Vec<String>,
    running: Option<(Process, Addresses)>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Addresses {
    http: SocketAddr,
    mqtt: SocketAddr,
}

impl Hub {
    /// Starts a hub with its data in `DIR/hub` and waits until it is ready. `args` follow
    /// `tern-hub serve --data …`.
    #[track_caller]
    pub fn start(dir: &Path, args: &[&str]) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let mut hub = Self {
            dir: dir.to_path_buf(),
            args,
            running: None,
        };
        hub.run();
        hub
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("hub")
    }

    /// `http://…` where it answers now.
    #[track_caller]
    pub fn url(&self) -> String {
        format!("http://{}", self.now().http)
    }

    /// Where its broker listens now.
    #[track_caller]
    pub fn mqtt(&self) -> SocketAddr {
        self.now().mqtt
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
        let mut args = vec![
            "serve",
            "--http",
            "127.0.0.1:0",
            "--mqtt",
            "127.0.0.1:0",
            "--data",
        ];
        args.push(
            data.to_str()
                .expect("a temporary directory has a plain name"),
        );
        args.extend(self.args.iter().map(String::as_str));
        let mut process = Process::start(&self.dir, "hub", &binaries::path("tern-hub"), args);
        let http = Http::default();
        let addresses = wait::until("a hub that is ready", || {
            process.assert_runs();
            let text = fs::read_to_string(&file).map_err(|err| err.to_string())?;
            let addresses: Addresses =
                serde_json::from_str(&text).map_err(|err| format!("{err} in {text}"))?;
            let ready = http.get(&format!("http://{}/readyz", addresses.http))?;
            wait::that(ready.status == 200, || format!("/readyz {ready:?}"))?;
            Ok(addresses)
        });
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

//! Devices that are only voices, many of them: each does over real MQTT what a device does that is wanted to serve a
//! version, as well or as badly as a test says. For versions that are bad in ways in which real agents on one machine
//! cannot be, and for platforms that this machine is not.

mod conduct;
mod voice;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant as Moment},
};

use tern_protocol::{digest::Digest, rest::VersionView};

pub use self::conduct::{Conduct, REJECTS};
use self::voice::Voice;
use crate::wait::{self, Go};

/// Pause between two rounds through all devices.
const ROUND: Duration = Duration::from_millis(50);

/// How each device does with each version: its number, its platform, the version.
pub type Conducts = dyn Fn(usize, &str, u32) -> Conduct + Send + Sync;

/// Devices that are played until this is dropped.
pub struct Played {
    stop: Option<Sender<()>>,
    player: Option<JoinHandle<()>>,
    serving: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Played {
    /// Plays so many devices, `played-000` and so on: even ones on one platform, odd ones on another.
    pub fn start(
        broker: SocketAddr,
        devices: usize,
        versions: &[VersionView],
        conducts: impl Fn(usize, &str, u32) -> Conduct + Send + Sync + 'static,
    ) -> Self {
        let weights: BTreeMap<u32, Digest> = versions
            .iter()
            .map(|view| (view.version.get(), view.onnx.digest))
            .collect();
        let serving: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
        let (stop, stopped) = mpsc::channel();
        let told = Arc::clone(&serving);
        let player = thread::spawn(move || {
            let conducts: Box<Conducts> = Box::new(conducts);
            let started = Moment::now();
            let mut all: Vec<Voice> = (0..devices).map(|n| Voice::new(broker, n)).collect();
            while wait::paced(&stopped, ROUND) == Go::On {
                for voice in &mut all {
                    voice.round(&weights, &*conducts, started);
                    if let Some(now) = voice.serving() {
                        let mut told = told.lock().expect("not poisoned");
                        told.insert(voice.name(), now.version.get());
                    }
                }
            }
        });
        Self {
            stop: Some(stop),
            player: Some(player),
            serving,
        }
    }

    /// The version that each device serves.
    pub fn serving(&self) -> BTreeMap<String, u32> {
        self.serving.lock().expect("not poisoned").clone()
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(player) = self.player.take() {
            let _ = player.join();
        }
    }
}

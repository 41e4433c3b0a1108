//! One byte of any file that a device keeps is not what it was.
//!
//! The device serves a version, has the one before it, and things wait in its outbox. Each of its files is
//! damaged at its beginning, in its middle and at its end, and an agent is started on it: what is whole
//! answers at once and without a hub, what is damaged is told, put aside and fetched again.

use std::{fs, path::PathBuf, sync::OnceLock};

use tern_cli::client::{Client, Connection};
use tern_protocol::digest::Digest;
use tern_tests::{
    agent::{Agent, SLOT, Settings},
    fleet::{Fleet, meter},
    hub::Hub,
    oip::{self, Inferred},
    package::{self, Package},
    powercut::{
        cells,
        tree::{Node, Tree},
    },
    proxy::Proxy,
    wait,
};

/// A device that was killed, and the hub of that moment.
struct Killed {
    state: Tree,
    hub: Tree,
    packages: Vec<Package>,
    /// Their manifests, in the same order, of those that were served.
    manifests: Vec<Digest>,
    /// What the hub had counted.
    counted: u64,
}

/// Inferences whose windows wait in the outbox.
const WAITED: u64 = 2;

fn settings() -> Settings {
    meter(1).activation("trial = \"1s\"").capturing_all()
}

/// It serves version 2, version 1 is its predecessor, and captures wait in its outbox.
fn serving() -> &'static Killed {
    static KILLED: OnceLock<Killed> = OnceLock::new();
    KILLED.get_or_init(|| {
        let mut fleet = Fleet::empty();
        fleet.add(&settings());
        let packages = [300, 600].map(|hidden| package::random(fleet.dir(), 1, hidden));
        let mut manifests = Vec::new();
        for package in &packages {
            let version = fleet.serve(package);
            manifests.push(version.bundle.digest);
            wait::until("the version to be proven", || {
                let status = fleet.agents[0].status();
                let serving = status.slot().serving.clone();
                let proven = serving.filter(|it| it.version == version.version && it.confirmed);
                wait::that(proven.is_some(), || format!("{status:?}"))
            });
        }
        fleet.agents[0].infer(&packages[0].samples()[0]);
        let counted = fleet.counts_exactly(0);
        killed(fleet, packages.to_vec(), manifests, counted)
    })
}

/// As [`serving`], and a third of version 3 is here.
fn fetching() -> &'static Killed {
    static KILLED: OnceLock<Killed> = OnceLock::new();
    KILLED.get_or_init(|| {
        let mut fleet = Fleet::with_hub(&["--egress-limit", super::SLOW]);
        fleet.add(&settings());
        let small = package::random(fleet.dir(), 1, 300);
        let served = fleet.serve(&small).bundle.digest;
        let (big, version) = super::publish_big(&fleet, 2);
        fleet.roll_out(version.version);
        wait::until("a third of the download", || {
            let status = fleet.agents[0].status();
            let here = status.slot().progress.as_ref().map_or(0, |it| it.bytes);
            wait::that(here > version.total_bytes / 3, || format!("{status:?}"))
        });
        killed(fleet, vec![small, big], vec![served], 0)
    })
}

/// Kills all of it; the last inputs are captured and did not leave.
fn killed(
    mut fleet: Fleet,
    packages: Vec<Package>,
    manifests: Vec<Digest>,
    counted: u64,
) -> Killed {
    fleet.link.cut();
    let agent = &fleet.agents[0];
    // The second window is made long after the first was flushed.
    for _ in 0..WAITED {
        let before = agent.status().windows_made;
        agent.infer(&packages[0].samples()[0]);
        wait::until("a window that waits", || {
            let status = agent.status();
            let made = status.windows_made > before && !status.online;
            wait::that(made, || format!("{status:?}"))
        });
    }
    fleet.agents[0].kill_9();
    fleet.hub.terminate();
    Killed {
        state: Tree::read(&fleet.agents[0].state()),
        hub: Tree::read(&fleet.hub.data()),
        packages,
        manifests,
        counted,
    }
}

/// One byte of one file.
#[derive(Debug)]
struct Damage {
    path: PathBuf,
    at: usize,
}

/// The first byte, one in the middle and the last one of all files whose path begins so.
fn damages(killed: &Killed, wanted: impl Fn(&str) -> bool) -> Vec<Damage> {
    let files = killed.state.0.iter().filter_map(|(path, node)| match node {
        Node::File(content) if !content.is_empty() && wanted(&path.to_string_lossy()) => {
            let last = content.len() - 1;
            Some([0, last / 2, last].map(|at| Damage {
                path: path.clone(),
                at,
            }))
        }
        _ => None,
    });
    files.flatten().collect()
}

/// An agent that was started on a damaged directory, with a hub that it does not reach yet.
struct Started<'a> {
    killed: &'a Killed,
    damage: &'a Damage,
    agent: Agent,
    link: Proxy,
    hub: Hub,
    _dir: tempfile::TempDir,
}

fn start<'a>(killed: &'a Killed, damage: &'a Damage) -> Started<'a> {
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    killed.hub.write(&dir.path().join("hub"));
    let hub = Hub::start(dir.path(), &[]);
    let link = Proxy::start(hub.mqtt());
    link.cut();
    let mut agent = Agent::prepare(dir.path(), &settings(), Some(link.address()));
    let mut state = killed.state.clone();
    state.change(&damage.path, damage.at);
    state.write(&agent.state());
    agent.run();
    Started {
        killed,
        damage,
        agent,
        link,
        hub,
        _dir: dir,
    }
}

impl Started<'_> {
    /// Waits for an answer, which must be right; its version.
    fn answers(&self) -> u32 {
        let input = &self.killed.packages[0].samples()[0];
        let answer = wait::until("an answer", || {
            let answer = self.agent.post(&oip::path(SLOT), &input.request());
            wait::that(answer.status == 200, || format!("{answer:?}"))?;
            Inferred::parse(&answer.body)
        });
        let model = &self.killed.packages[answer.version as usize - 1];
        package::assert_same(&answer, &model.bare(), input);
        answer.version
    }

    /// Fails unless the log tells of the damage.
    fn told(&mut self) {
        let log = self.agent.process().log();
        let told = log.lines().any(|line| {
            (line.contains("WARN") || line.contains("ERROR")) && line.contains("damaged")
        });
        assert!(told, "nothing is told of {:?}: {log}", self.damage);
    }

    /// Waits until this is the version to return to.
    fn previous(&self, version: u32) {
        wait::until("the version to return to", || {
            let status = self.agent.status();
            let previous = status.slot().previous.as_ref();
            wait::that(
                previous.is_some_and(|it| it.version.get() == version),
                || format!("{status:?}"),
            )
        });
    }

    /// Waits until the file has its bytes again.
    fn whole_again(&self) {
        let path = self.agent.state().join(&self.damage.path);
        let name = self
            .damage
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let digest: Digest = name.parse().expect("a blob is named by its digest");
        wait::until("the blob to be whole again", || {
            let bytes = fs::read(&path).map_err(|err| err.to_string())?;
            wait::that(Digest::of(&bytes) == digest, || "other bytes".into())
        });
    }
}

/// Does this with each damage, and tells of all that went wrong.
#[track_caller]
fn all(killed: &Killed, damages: &[Damage], work: impl Fn(Started<'_>) + Sync) {
    assert!(!damages.is_empty(), "there is no such file");
    let ended = cells::each(damages, |damage| work(start(killed, damage)));
    let failed: Vec<_> = ended
        .into_iter()
        .filter_map(|(damage, outcome)| Some(format!("{damage:?}: {}", outcome.err()?)))
        .collect();
    println!("{} damages", damages.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Digests of what a version is made of, without its manifest.
fn parts(package: &Package) -> Vec<String> {
    package
        .blobs()
        .map(|blob| Digest::of(blob).to_string())
        .collect()
}

fn is_blob_of(path: &str, package: &Package) -> bool {
    parts(package)
        .iter()
        .any(|digest| path.ends_with(digest.as_str()))
}

fn is_manifest_of(path: &str, killed: &Killed) -> bool {
    let mut manifests = killed.manifests.iter();
    manifests.any(|digest| path.ends_with(&digest.to_string()))
}

#[test]
fn damage_to_what_serves_gives_way_to_its_predecessor_until_it_is_fetched_again() {
    let killed = serving();
    let damages = damages(killed, |path| is_blob_of(path, &killed.packages[1]));
    all(killed, &damages, |mut it| {
        assert_eq!(it.answers(), 1, "its predecessor answers without a hub");
        it.told();
        it.link.restore();
        it.agent.serves(2);
        it.answers();
        it.whole_again();
    });
}

#[test]
fn damage_to_the_predecessor_is_found_before_it_is_needed() {
    let killed = serving();
    let damages = damages(killed, |path| is_blob_of(path, &killed.packages[0]));
    all(killed, &damages, |mut it| {
        assert_eq!(it.answers(), 2);
        it.link.restore();
        it.whole_again();
        it.told();
        assert_eq!(it.answers(), 2);
    });
}

#[test]
fn damage_to_manifests_is_found_and_they_are_fetched_again() {
    let killed = serving();
    let damages = damages(killed, |path| is_manifest_of(path, killed));
    assert_eq!(damages.len(), 6, "{damages:?}");
    all(killed, &damages, |mut it| {
        it.answers();
        it.told();
        it.link.restore();
        it.agent.serves(2);
        it.whole_again();
        it.previous(1);
        it.answers();
    });
}

#[test]
fn damage_to_other_blobs_is_outlived() {
    let killed = serving();
    let damages = damages(killed, |path| {
        let mut models = killed.packages.iter();
        let needed =
            models.any(|package| is_blob_of(path, package)) || is_manifest_of(path, killed);
        path.starts_with("blobs/") && !needed
    });
    all(killed, &damages, |it| {
        it.answers();
        it.link.restore();
        it.agent.serves(2);
        it.answers();
    });
}

#[test]
fn damage_to_the_store_costs_no_model() {
    let killed = serving();
    let damages = damages(killed, |path| path.starts_with("store/"));
    all(killed, &damages, |mut it| {
        assert_eq!(it.answers(), 2);
        if it.damage.at == 0 && it.damage.path.ends_with("db") {
            it.told();
        }
        it.link.restore();
        it.agent.serves(2);
        it.answers();
        counts(&it);
    });
}

#[test]
fn damage_to_anything_else_of_the_state_is_outlived() {
    let killed = serving();
    let damages = damages(killed, |path| {
        let plain = ["store/", "blobs/", "reserve"];
        !plain.iter().any(|beginning| path.starts_with(beginning))
    });
    all(killed, &damages, |it| {
        assert_eq!(it.answers(), 2);
        it.link.restore();
        it.agent.serves(2);
        it.answers();
        counts(&it);
    });
}

#[test]
fn damage_to_half_a_blob_or_its_bitmap_costs_at_most_fetching_it_again() {
    let killed = fetching();
    let damages = damages(killed, |path| {
        path.starts_with("blobs/") && path.contains('.')
    });
    all(killed, &damages, |it| {
        assert_eq!(it.answers(), 1);
        it.link.restore();
        it.agent.serves(2);
        it.answers();
    });
}

/// What is answered from now on arrives at the hub, once; what waited may be lost with the store, and does
/// not count twice.
fn counts(it: &Started<'_>) {
    let connection = Connection {
        hub: it.hub.url(),
        workspace: "default".parse().expect("a name"),
        token: None,
        ca: None,
    };
    let client = Client::connect(&connection).expect("an address");
    let device = settings().device.parse().expect("a name");
    wait::until("what is answered to be counted", || {
        let view = client.device(&device).map_err(|err| err.to_string())?;
        let least = it.killed.counted + it.agent.status().inferences;
        let most = least + WAITED;
        assert!(view.inferences <= most, "{} of {most}", view.inferences);
        wait::that(view.inferences >= least, || {
            format!("{} of {least}", view.inferences)
        })
    });
}

//! One byte of any file that a hub keeps is not what it was.
//!
//! Blobs: a damaged one does not ship, is told, and is mended by the hub itself or by publishing the same files
//! again; devices wait for it and get it without anything else. Everything else: a hub starts, or says which
//! file it is and what to do, and never breaks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tern_protocol::{
    digest::Digest,
    rest::{Attention, AttentionKind, BlobPart, VersionView},
};
use tern_tests::{
    binaries, cli,
    fleet::{Fleet, MODEL, meter},
    hub::Hub,
    package::{self, Package},
    powercut::{
        cells,
        tree::{Node, Tree},
    },
    process::Process,
    wait,
};

use super::{counter, plain};

/// Changes one byte of a file: the first, one in the middle, or the last.
fn damage(path: &Path, where_: usize) {
    let mut bytes = fs::read(path).expect("it can be read");
    let last = bytes.len() - 1;
    bytes[[0, last / 2, last][where_ % 3]] ^= 1;
    fs::write(path, bytes).expect("it can be written");
}

fn damaged(fleet: &Fleet) -> Vec<Attention> {
    let mut all = fleet.overview().attention;
    all.retain(|one| one.kind == AttentionKind::DamagedBlobs);
    all
}

#[track_caller]
fn until_told(fleet: &Fleet, version: &VersionView) -> Attention {
    wait::until("a person to be told", || {
        let told = damaged(fleet);
        let of = |one: &Attention| {
            let of = one.version.as_ref();
            of.is_some_and(|of| of.version == version.version)
        };
        let one = told.iter().find(|one| of(one)).cloned();
        one.ok_or_else(|| format!("{told:?}"))
    })
}

/// Publishes as a person does; what they are told.
#[track_caller]
fn publish_again(fleet: &Fleet, package: &Package) -> String {
    let dir = package.dir.to_str().expect("a plain name");
    let ran = cli::tern(fleet, &["model", "publish", MODEL, dir]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("published before"), "{ran:?}");
    ran.log
}

/// A device that serves version 1; version 2, published, and the hub stopped.
fn stopped() -> (Fleet, VersionView) {
    let mut fleet = Fleet::with_hub(&["--delta-budget", "0", "--scrub", "off"]);
    fleet.add(&meter(1));
    fleet.serve(package::digits(0));
    let version = fleet.publish(package::digits(1));
    fleet.hub.terminate();
    (fleet, version)
}

/// Starts the hub again, and rolls version 2 out.
fn roll_out(fleet: &mut Fleet, version: &VersionView) {
    fleet.run_hub();
    fleet.online("meter-01");
    fleet.roll_out(version.version);
}

/// Adds a device that fetches by HTTPS.
fn add_by_https(fleet: &mut Fleet) {
    let settings = plain(fleet, 2, "via = \"https\"");
    fleet.add(&settings);
}

#[test]
fn a_damaged_model_file_does_not_ship_and_publishing_it_again_lets_devices_have_it() {
    let (mut fleet, version) = stopped();
    damage(&fleet.hub.blob_file(&version.onnx.digest.to_string()), 1);
    roll_out(&mut fleet, &version);
    let told = until_told(&fleet, &version);
    assert!(told.text.contains("model file"), "{told:?}");
    let command = format!("tern model publish {MODEL} DIR");
    assert_eq!(told.command.as_deref(), Some(&*command), "{told:?}");
    let shown = cli::tern(&fleet, &["overview"]);
    assert!(shown.out.contains(&command), "{shown:?}");
    let shown = cli::tern(&fleet, &["model", "show", MODEL, "2"]);
    assert!(shown.out.contains("the hub lacks model"), "{shown:?}");
    assert_eq!(counter(&fleet, "tern_blobs_damaged_total"), 1);
    assert!(fleet.hub.log().contains("ERROR"), "{}", fleet.hub.log());

    // It is known also to a hub that starts.
    fleet.hub.kill_9();
    fleet.run_hub();
    until_told(&fleet, &version);
    fleet.online("meter-01");
    add_by_https(&mut fleet);
    wait::until("a device that fetches", || {
        let status = fleet.agents[1].status();
        wait::that(status.slot().progress.is_some(), || format!("{status:?}"))
    });
    for agent in &fleet.agents {
        let status = agent.status();
        assert!(status.slot().rejected.is_none(), "it waits: {status:?}");
    }

    let said = publish_again(&fleet, package::digits(1));
    assert!(said.contains("mended"), "{said}");
    for agent in &fleet.agents {
        let status = agent.serves(version.version.get());
        assert!(status.slot().rejected.is_none(), "{status:?}");
    }
    assert_eq!(damaged(&fleet), []);
    let said = publish_again(&fleet, package::digits(1));
    assert!(!said.contains("mended"), "{said}");
}

#[test]
fn manifest_and_signed_metadata_are_written_again_by_the_hub_itself() {
    let (mut fleet, version) = stopped();
    let parts: Vec<_> = package::digits(0)
        .blobs()
        .chain(package::digits(1).blobs())
        .map(Digest::of)
        .collect();
    let data = Tree::read(&fleet.hub.data());
    let mut changed = 0;
    for path in data.0.keys().filter(|path| path.starts_with("blobs")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Ok(digest) = name.parse::<Digest>()
            && !parts.contains(&digest)
        {
            damage(&fleet.hub.data().join(path), changed);
            changed += 1;
        }
    }
    assert!(changed >= 4, "two manifests and three documents: {changed}");
    roll_out(&mut fleet, &version);
    add_by_https(&mut fleet);
    for agent in &fleet.agents {
        let status = agent.serves(version.version.get());
        assert!(status.slot().rejected.is_none(), "{status:?}");
    }
    assert_eq!(damaged(&fleet), []);
}

#[test]
fn golden_samples_and_profile_that_are_gone_are_found_when_the_hub_starts() {
    let (mut fleet, version) = stopped();
    let package = package::digits(1);
    let reference = package.reference.as_deref().expect("it has a profile");
    for bytes in [&package.golden[..], reference] {
        let file = fleet.hub.blob_file(&Digest::of(bytes).to_string());
        fs::remove_file(file).expect("it is there");
    }
    fleet.run_hub();
    until_told(&fleet, &version);
    let model = MODEL.parse().expect("a name");
    let view = fleet.client().version(&model, version.version);
    assert_eq!(
        view.expect("it is there").lacks,
        [BlobPart::Golden, BlobPart::Reference]
    );
    publish_again(&fleet, package);
    assert_eq!(damaged(&fleet), []);
}

#[test]
fn a_scrub_finds_what_nobody_asked_for_and_the_hub_computes_a_delta_again() {
    let mut fleet = Fleet::with_hub(&["--scrub", "1s"]);
    let packages = [300, 301].map(|hidden| package::random(fleet.dir(), 1, hidden));
    let [first, second] = packages.each_ref().map(|package| fleet.publish(package));
    let model = MODEL.parse().expect("a name");
    let delta = || {
        let view = fleet.client().version(&model, second.version);
        view.expect("it is there").deltas.swap_remove(0)
    };
    let bytes = wait::until("the delta", || {
        delta().bytes.ok_or_else(|| format!("{:?}", delta()))
    });
    let blobs = || {
        let tree = Tree::read(&fleet.hub.data()).0.into_iter();
        tree.filter_map(|(path, node)| match node {
            Node::File(content) if path.starts_with("blobs/sha256") => Some((path, content)),
            _ => None,
        })
    };
    let of_delta = blobs().find(|(_, content)| content.len() as u64 == bytes);
    let of_delta: Option<PathBuf> = of_delta.map(|(path, _)| path);
    if let Some(path) = &of_delta {
        damage(&fleet.hub.data().join(path), 2);
    }
    damage(&fleet.hub.blob_file(&first.onnx.digest.to_string()), 0);
    until_told(&fleet, &first);
    publish_again(&fleet, &packages[0]);
    wait::until("all to be whole again", || {
        let wrong = blobs().find(|(path, content)| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.parse().ok() != Some(Digest::of(&content.bytes()))
        });
        wait::that(wrong.is_none(), || format!("{:?}", wrong.map(|it| it.0)))?;
        let back = of_delta
            .as_ref()
            .is_none_or(|path| fleet.hub.data().join(path).exists());
        wait::that(back, || "no delta".into())
    });
    fleet.hub.terminate();
}

/// What became of a hub that was started on a damaged file.
fn start(data: &Path) -> Result<(), String> {
    let addresses = data.join("hub.addresses.json");
    // What an earlier process wrote is not where this one listens.
    let _ = fs::remove_file(&addresses);
    let free = "127.0.0.1:0".as_ref();
    let args = ["serve", "--http", "127.0.0.1:0", "--mqtt"].map(AsRef::as_ref);
    let args = args
        .into_iter()
        .chain([free, "--data".as_ref(), data.as_os_str()]);
    let program = binaries::path("tern-hub");
    let dir = data.parent().expect("it is in a directory");
    let mut process = Process::start(dir, "damaged", &program, args);
    wait::until("a hub that is up, or an error", || {
        let settled = process.has_ended() || addresses.is_file();
        wait::that(settled, || "neither".into())
    });
    let ended = if process.has_ended() {
        process.finish()
    } else {
        process.terminate()
    };
    let log = fs::read_to_string(dir.join("damaged.log")).expect("it has a log");
    if log.contains("panicked") {
        return Err(log);
    }
    match ended.code() {
        Some(0) => Ok(()),
        Some(2) if log.contains("ERROR") && log.contains("restore") => Ok(()),
        _ => Err(format!("{ended}: {log}")),
    }
}

#[test]
fn a_hub_on_a_damaged_file_starts_or_says_which_and_what_to_do() {
    let dir = tempfile::tempdir().expect("the system has room for temporary files");
    let mut hub = Hub::start_with(tern_tests::hub::Doors::Secured, dir.path(), &[]);
    let data = hub.data();
    hub.terminate();
    let clean = Tree::read(&data);
    hub.run();
    hub.kill_9();
    let killed = Tree::read(&data);
    let of = |tree: &'static str, from: &Tree, wanted: fn(&str) -> bool| {
        let files = from.0.iter().filter_map(|(path, node)| match node {
            Node::File(content) if !content.is_empty() && wanted(&path.to_string_lossy()) => {
                let last = content.len() - 1;
                Some([0, last / 2, last].map(|at| (tree, path.clone(), at)))
            }
            _ => None,
        });
        files.flatten().collect::<Vec<_>>()
    };
    let mut damages = of("clean", &clean, |path| !path.starts_with("blobs/"));
    damages.extend(of("killed", &killed, |path| path.contains("sqlite")));
    assert!(damages.len() > 20, "{damages:?}");
    let ended = cells::each(&damages, |(tree, path, at)| {
        let dir = tempfile::tempdir().expect("the system has room for temporary files");
        let mut state = if *tree == "clean" { &clean } else { &killed }.clone();
        state.change(path, *at);
        state.write(&dir.path().join("hub"));
        if let Err(why) = start(&dir.path().join("hub")) {
            panic!("{why}");
        }
    });
    let failed: Vec<_> = ended
        .into_iter()
        .filter_map(|(damage, outcome)| Some(format!("{damage:?}: {}", outcome.err()?)))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_backup_leaves_damaged_blobs_out_and_restores() {
    let (mut fleet, version) = stopped();
    let file = fleet.hub.blob_file(&version.onnx.digest.to_string());
    damage(&file, 1);
    fleet.run_hub();
    fleet.online("meter-01");
    fleet.roll_out(version.version);
    until_told(&fleet, &version);
    publish_again(&fleet, package::digits(1));
    fleet.agents[0].serves(version.version.get());
    let (secret, out) = (fleet.dir().join("secret"), fleet.dir().join("backup"));
    fs::write(&secret, "a passphrase that is long enough").expect("a file in the test's own");
    let hub = |args: &[&std::ffi::OsStr]| {
        let ran = Command::new(binaries::path("tern-hub")).args(args).output();
        let ran = ran.expect("tern-hub starts");
        assert!(ran.status.success(), "{args:?}: {ran:?}");
    };
    let given = [
        "--passphrase-file".as_ref(),
        secret.as_os_str(),
        "--data".as_ref(),
    ];
    let data = fleet.hub.data();
    let to = ["--out".as_ref(), out.as_os_str()];
    hub(&[&["backup".as_ref()], &given[..], &[data.as_os_str()], &to].concat());
    let restored = fleet.dir().join("restored");
    let from = ["restore".as_ref(), out.as_os_str()];
    hub(&[&from[..], &given, &[restored.as_os_str()]].concat());
    let paths = Tree::read(&restored).0;
    let damaged = paths
        .keys()
        .filter(|path| path.to_string_lossy().contains("damaged"));
    assert_eq!(damaged.count(), 0, "{:?}", paths.keys());
    let kept = Tree::read(&data).0;
    assert!(
        kept.keys()
            .any(|path| path.to_string_lossy().ends_with(".damaged"))
    );
}

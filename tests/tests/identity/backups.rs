//! A hub is lost, and there is a backup.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tern_protocol::digest::Digest;
use tern_tests::{
    binaries,
    fleet::{Fleet, meter},
    package, programs, wait,
};

/// A program with these arguments and this input; what it says.
fn run(program: &Path, args: &[&str], input: Stdio) -> Output {
    let mut command = Command::new(program);
    command.args(args).stdin(input);
    let ran = command.output();
    ran.unwrap_or_else(|err| panic!("{}: {err}", program.display()))
}

/// As [`run`], and it must succeed; its standard output.
#[track_caller]
fn done(program: &Path, args: &[&str]) -> Vec<u8> {
    let ran = run(program, args, Stdio::null());
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{} {args:?}: {told}",
        program.display()
    );
    ran.stdout
}

/// As [`run`] of `tern-hub`, and it must refuse; why.
#[track_caller]
fn refused(args: &[&str]) -> String {
    let ran = run(&binaries::path("tern-hub"), args, Stdio::null());
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{args:?}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}

/// What must be in nothing that others can read: the lines of the keys of authorities, and who is there.
fn secrets(fleet: &Fleet) -> Vec<String> {
    let entries = fs::read_dir(fleet.hub.data().join("ca")).expect("it has authorities");
    let keys = entries.flatten().map(|entry| entry.path());
    let keys = keys.filter(|path| path.extension().is_some_and(|end| end == "key"));
    let mut secrets: Vec<String> = keys
        .flat_map(|path| {
            let pem = fs::read_to_string(path).expect("a key is PEM");
            let body = pem.lines().filter(|line| !line.starts_with("---"));
            body.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert!(!secrets.is_empty());
    secrets.push("meter-01".into());
    secrets
}

#[test]
fn a_lost_hub_comes_back_from_a_backup_made_while_it_ran_and_nobody_joins_again() {
    let (Some(age), Some(keygen)) = (programs::find("age"), programs::find("age-keygen")) else {
        return;
    };
    let hub = binaries::path("tern-hub");
    let mut fleet = Fleet::secured(&[]);
    fleet.add_joined(&meter(1));
    let package = package::digits(0);
    fleet.serve(package);
    let samples = package.samples();
    fleet.agents[0].infer(&samples[0]);
    let counted = fleet.counts_exactly(0);
    let dir = fleet.dir().to_path_buf();
    let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let (key, backup, data) = (at("key.txt"), at("hub.age"), at("hub"));
    done(&keygen, &["-o", &key]);
    let recipient = String::from_utf8(done(&keygen, &["-y", &key])).expect("text");
    let recipient = recipient.trim();

    // Not for everybody, and not over something else.
    let to = ["backup", "--data", &data, "--out", &backup];
    assert!(refused(&to).contains("--recipient"));
    let to = [&to[..], &["--recipient", recipient]].concat();
    fs::write(&backup, "something else").expect("a file in the test's own");
    assert!(refused(&to).contains("there already"));
    fs::remove_file(&backup).expect("it is there");

    let made = done(&hub, &[&to[..], &["--json"]].concat());
    let made: Value = serde_json::from_slice(&made).expect("JSON");
    let bytes = fs::read(&backup).expect("it was made");
    assert_eq!(made["bytes"], bytes.len());
    assert_eq!(made["sha256"], Digest::of(&bytes).to_string());
    // A root; targets and snapshot, before and after the version was added.
    let metadata = 5;
    assert_eq!(made["blobs"], package.blobs().count() + 1 + metadata);
    let mode = fs::metadata(&backup).expect("it was made").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    for secret in secrets(&fleet) {
        let secret = secret.as_bytes();
        let found = bytes.windows(secret.len()).any(|it| it == secret);
        assert!(!found, "a secret stands in the backup");
    }
    // Nothing is left beside it, and the log says it.
    assert!(!Path::new(&at("hub/backup.sqlite")).exists());
    let log = fleet.client().audit(Vec::new(), None).all();
    let log = log.expect("it is readable");
    assert!(log.iter().all(|entry| entry.action != "hub.backup"));
    let log = fleet.as_admin("GET", "/audit/all", &Value::Null).body;
    assert!(log.contains("hub.backup"), "{log}");

    // What happens now is not in it.
    fleet.agents[0].infer(&samples[1]);
    fleet.counts_exactly(0);
    fleet.hub.kill_9();
    fs::remove_dir_all(fleet.hub.data()).expect("the disk breaks");

    // Other tools open it.
    let archive = at("hub.tar");
    done(&age, &["-d", "-i", &key, "-o", &archive, &backup]);
    let listed = done(Path::new("tar"), &["-tf", &archive]);
    let listed = String::from_utf8(listed).expect("text");
    assert!(
        listed.starts_with("backup.json\ntern.sqlite\nca/"),
        "{listed}"
    );

    // Without the key there is nothing, also no half of a directory.
    let other = at("other.txt");
    done(&keygen, &["-o", &other]);
    let from = ["restore", backup.as_str(), "--data", &data, "--key-file"];
    let told = refused(&[&from[..], &[&other]].concat());
    assert!(told.contains("cannot be opened"), "{told}");
    assert!(!Path::new(&data).exists());
    let from = [&from[..], &[&key]].concat();
    let told = String::from_utf8(done(&hub, &from)).expect("text");
    assert!(told.contains("revoke again"), "{told}");
    assert!(refused(&from).contains("there already"));

    // The device comes back by itself, people and programs are who they were.
    fleet.run_hub();
    fleet.online("meter-01");
    fleet.agents[0].infer(&samples[2]);
    wait::until("what is new to be counted", || {
        let view = fleet.try_device("meter-01")?;
        wait::that(view.inferences == counted + 1, || format!("{view:?}"))
    });
    let verdict = fleet.as_admin("GET", "/audit/verify", &Value::Null);
    assert_eq!(verdict.json()["whole"], true, "{verdict:?}");
    let log = fleet.as_admin("GET", "/audit/all", &Value::Null).body;
    assert!(
        log.contains("hub.restore") && !log.contains("hub.backup"),
        "{log}"
    );
}

#[test]
fn a_backup_goes_through_a_pipe_and_a_passphrase_opens_it() {
    let fleet = Fleet::secured(&[]);
    let at = |name: &str| fleet.dir().join(name).to_string_lossy().into_owned();
    let (passphrase, data, copy) = (at("passphrase"), at("hub"), at("copy"));
    fs::write(&passphrase, "planted horse battery\n").expect("a file in the test's own");
    let hub = binaries::path("tern-hub");
    let by = ["--passphrase-file", &passphrase];
    let to = ["backup", "--data", &data, "--out", "-"];
    let backup = done(&hub, &[&to[..], &by].concat());
    fs::write(at("piped"), &backup[..backup.len() - 1]).expect("a file in the test's own");
    let from = ["restore", "-", "--data", &copy];
    let from = [&from[..], &by].concat();
    let piped = |name: &str| Stdio::from(fs::File::open(at(name)).expect("it was written"));
    // Cut off by a single byte it is none.
    let cut = run(&hub, &from, piped("piped"));
    assert_eq!(cut.status.code(), Some(2));
    assert!(!Path::new(&copy).exists());
    assert!(!Path::new(&at("copy.restoring")).exists());
    fs::write(at("piped"), &backup).expect("a file in the test's own");
    let whole = run(&hub, &from, piped("piped"));
    let told = String::from_utf8_lossy(&whole.stderr).into_owned();
    assert!(whole.status.success(), "{told}");
    assert!(!told.contains("planted"), "{told}");
    let list = ["ca", "list", "--json", "--data"];
    let of = |data: &str| done(&hub, &[&list[..], &[data]].concat());
    assert_eq!(of(&copy), of(&data));
}

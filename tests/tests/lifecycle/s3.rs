//! Datastores in buckets of S3, against a server that checks signatures: `an_s3.py`.

use std::{path::Path, process::Command};

use serde::Deserialize;
use tern_tests::{
    binaries,
    cli::{Ran, tern, tern_json},
    fleet::Fleet,
    process::Process,
    programs, wait,
};

use super::datasets::{refused, rows};

/// What a running server says of itself.
#[derive(Deserialize)]
struct Told {
    url: String,
    id: String,
    secret: String,
}

/// Starts one, or says that there is none here.
#[track_caller]
fn s3(dir: &Path, mode: &str) -> Option<(Told, Process)> {
    let modules = "boto3, moto.server";
    let python = programs::python("TERN_PYTHON", "target/venv/bin/python", modules)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lifecycle/an_s3.py");
    let mut command = Command::new(python);
    // Nobody's own settings, and nothing that is left in the repository.
    command
        .arg(script)
        .arg(mode)
        .env("HOME", dir)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut process = Process::spawn(dir, &format!("s3-{mode}"), command);
    let told = wait::until("an S3", || {
        process.assert_runs();
        let said = process.output();
        let line = said.lines().find(|line| line.starts_with('{'));
        let told = line.and_then(|line| serde_json::from_str(line).ok());
        told.ok_or_else(|| process.log())
    });
    Some((told, process))
}

/// `tern datastore add`, with this secret in the environment.
fn add(fleet: &Fleet, name: &str, place: &[&str], secret: Option<&str>) -> Ran {
    let mut command = Command::new(binaries::path("tern"));
    command
        .args(["--hub", &fleet.hub.url(), "datastore", "add", name])
        .args(place)
        .arg("--json");
    match secret {
        Some(secret) => command.env("TERN_DATASTORE_TOKEN", secret),
        None => command.env_remove("TERN_DATASTORE_TOKEN"),
    };
    let output = command.output().expect("tern runs");
    Ran {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `tern dataset import` of a file with three rows, all to train on.
fn import(fleet: &Fleet, datastore: &str, path: &str) -> Ran {
    let asked = ["dataset", "import", "parts", path, "--datastore", datastore];
    tern(fleet, &[&asked[..], &["--label", "y", "--json"]].concat())
}

#[test]
fn files_of_a_bucket_are_imported_by_whoever_has_its_key_and_the_secret_is_told_to_nobody() {
    let fleet = Fleet::with_hub(&[]);
    let Some((s3, process)) = s3(fleet.dir(), "signed") else {
        return;
    };
    let of = |place: &'static str, id: &str| {
        ["--s3", place, "--endpoint", &s3.url, "--key-id", id].map(str::to_owned)
    };
    let add = |name: &str, place: &'static str, id: &str, secret: Option<&str>| {
        let place = of(place, id);
        add(&fleet, name, &place.each_ref().map(String::as_str), secret)
    };

    let added = add("lake", "s3://lake/2026/", &s3.id, Some(&s3.secret));
    assert_eq!(added.code, Some(0), "{added:?}");
    let view = added.json();
    assert_eq!(
        (&view["place"]["prefix"], &view["token"]),
        (&"2026".into(), &true.into()),
        "{view}"
    );
    // A name that is written otherwise in the request, and signed as it is written there.
    let imported = import(&fleet, "lake", "öl a+b.csv");
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(rows(&imported.json(), "train"), 3);

    // What does not work says what to do, and leaves no version.
    let wrong = "planted-and-wrong";
    let (id, secret) = (s3.id.as_str(), s3.secret.as_str());
    for (name, place, id, secret, path, why) in [
        (
            "lake",
            "s3://lake",
            id,
            secret,
            "none.csv",
            "has no `none.csv`",
        ),
        (
            "nowhere",
            "s3://nowhere",
            id,
            secret,
            "a.csv",
            "no bucket `nowhere`",
        ),
        ("vault", "s3://vault", id, secret, "a.csv", "s3:GetObject"),
        (
            "typo",
            "s3://lake",
            id,
            wrong,
            "open.csv",
            "TERN_DATASTORE_TOKEN",
        ),
        (
            "nobody",
            "s3://lake",
            "AKIANOBODY",
            wrong,
            "open.csv",
            "nobody at http://",
        ),
    ] {
        let added = add(name, place, id, Some(secret));
        assert_eq!(added.code, Some(0), "{name}: {added:?}");
        let ran = import(&fleet, name, path);
        refused(&ran, why);
        let view = ran.json();
        assert_eq!(
            (view["state"].as_str(), view["again"].as_bool()),
            (Some("failed"), Some(false)),
            "{name}: {view}"
        );
        assert!(view["digest"].is_null() && view["rows"].is_null(), "{view}");
    }
    let lone = add("lone", "s3://lake", &s3.id, None);
    assert!(
        lone.code == Some(2) && lone.log.contains("--key-id"),
        "{lone:?}"
    );

    let listed = tern_json(&fleet, &["datastore", "list"]).to_string();
    let audited = tern_json(&fleet, &["audit", "list"]).to_string();
    let page = fleet
        .hub
        .http()
        .get(&format!("{}/datasets", fleet.hub.url()));
    let page = page.expect("answers").body;
    assert!(page.contains("s3://nowhere at http://"), "{page}");
    for told in [&added.out, &listed, &audited, &page, &fleet.hub.log()] {
        assert!(
            !told.contains(&s3.secret) && !told.contains(wrong),
            "{told}"
        );
    }

    // Nobody answers any more: it may help to ask again.
    process.kill_9();
    let away = import(&fleet, "lake", "open.csv");
    assert_eq!(
        (away.code, away.json()["again"].as_bool()),
        (Some(1), Some(true)),
        "{away:?}"
    );
}

#[test]
fn what_is_public_in_a_bucket_needs_no_key_and_nothing_else_is_got_without() {
    let fleet = Fleet::with_hub(&[]);
    let Some((s3, _process)) = s3(fleet.dir(), "public") else {
        return;
    };
    for (name, bucket) in [("lake", "s3://lake"), ("vault", "s3://vault")] {
        let added = add(&fleet, name, &["--s3", bucket, "--endpoint", &s3.url], None);
        assert_eq!(added.code, Some(0), "{added:?}");
        assert_eq!(added.json()["token"], false);
    }
    let imported = import(&fleet, "lake", "open.csv");
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(rows(&imported.json(), "train"), 3);
    refused(&import(&fleet, "vault", "a.csv"), "`--key-id`");
}

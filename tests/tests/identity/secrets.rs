//! Secrets that were planted, and everything that could have kept them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use tern_protocol::{join::JoinToken, rest::NewInvitation};
use tern_tests::{
    admin::{self, Invitation as _},
    enrolled,
    fleet::{Fleet, meter},
    package, pki,
};

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let each = entries.map(|entry| entry.path());
    each.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    })
    .collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn planted_secrets_are_in_no_log_no_answer_and_not_in_the_database() {
    let mut fleet = Fleet::secured(&[]);
    let admin = fleet.admin.clone().expect("it is set up");
    fleet.add_joined(&meter(1));
    fleet.serve(package::digits(0));
    let invited = fleet.invite(&NewInvitation::default_of(1)).token;
    let token: JoinToken = invited.parse().expect("it is one");
    let http = fleet.hub.http();
    let api = format!("{}/api/v1", fleet.hub.url());
    // Everything that goes wrong with a secret in hand.
    let wrong_name = json!({ "user": admin::PASSWORD, "password": admin::PASSWORD });
    let unknown_field = json!({ "user": "ada", "password": admin::PASSWORD, "surplus": 1 });
    let wrong_type = json!({ "user": 1, "password": admin::PASSWORD });
    let used = json!({ "code": admin.code, "user": "eve", "password": admin::PASSWORD });
    let bad_join = json!({ "secret": token.secret, "device": "x/../y", "csr": "none" });
    let mut said = Vec::new();
    for (path, body) in [
        ("login", &wrong_name),
        ("login", &unknown_field),
        ("login", &wrong_type),
        ("setup", &used),
        ("join", &bad_join),
    ] {
        let answer = admin::post(&http, &format!("{api}/{path}"), body);
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        said.push(answer.body);
    }
    let answer = enrolled::ask_to_join(&fleet, &invited, "meter-09", &pki::new_key());
    assert_eq!(answer.status, 200, "{answer:?}");
    let identity = fs::read_to_string(fleet.agents[0].identity()).expect("it joined");
    let identity: serde_json::Value = serde_json::from_str(&identity).expect("it is JSON");
    let key = identity["key_pem"].as_str().expect("a key is PEM");
    let key = key.lines().nth(1).expect("a key has a body").to_owned();
    let cookie = admin
        .cookie
        .split_once('=')
        .expect("name=value")
        .1
        .to_owned();
    let secrets = [
        ("the password", admin::PASSWORD.to_owned()),
        ("the API token", admin.token.clone()),
        ("the join secret", token.secret.clone()),
        ("the whole join token", invited.clone()),
        ("the device's key", key),
        ("the session cookie", cookie),
        ("the set-up code", admin.code.clone()),
    ];
    fleet.agents[0].terminate();
    assert!(fleet.hub.terminate().success());
    let identity = fleet.agents[0].identity();
    let all = files(fleet.dir());
    assert!(
        all.iter().any(|path| path.ends_with("tern.sqlite")),
        "{all:?}"
    );
    assert!(all.iter().any(|path| path.ends_with("hub.log")), "{all:?}");
    for path in all {
        // Where a device's key belongs.
        if path == identity || path == identity.with_extension("copy") {
            continue;
        }
        let mut bytes = fs::read(&path).unwrap_or_default();
        if path.ends_with("hub.log") {
            // The link of a first start is for the person at the terminal, once.
            let log = String::from_utf8_lossy(&bytes).into_owned();
            let links = log.lines().filter(|line| line.contains("/setup#"));
            assert_eq!(links.count(), 1, "{log}");
            let rest = log.lines().filter(|line| !line.contains("/setup#"));
            bytes = rest.collect::<Vec<_>>().join("\n").into_bytes();
        }
        for (what, secret) in &secrets {
            assert!(!contains(&bytes, secret), "{what} is in {}", path.display());
        }
    }
    for (what, secret) in &secrets {
        assert!(
            said.iter().all(|text| !text.contains(secret)),
            "{what} is in {said:?}"
        );
    }
}

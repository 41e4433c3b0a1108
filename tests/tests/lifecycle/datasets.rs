//! Datasets over a real hub: of captures from real devices, of files, of datastores; killed, deleted, refused.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

use serde_json::Value;
use tern_cli::client::CaptureQuery;
use tern_protocol::digest::Digest;
use tern_tests::{
    cli::{Ran, spawn, tern, tern_json},
    fleet::{Fleet, MODEL, meter},
    package, wait,
};

/// Two meters that captured fifteen inputs each, all with a truth that a person imported.
fn labelled(args: &[&str]) -> Fleet {
    let package = package::digits(0);
    let mut fleet = Fleet::with_hub(args);
    for number in 1..=2 {
        fleet.add(&meter(number).capturing_all());
    }
    fleet.serve(package);
    let mut csv = String::from("device,prediction,truth\n");
    for (at, agent) in fleet.agents.iter().enumerate() {
        for input in &package.samples()[at * 15..at * 15 + 15] {
            let answer = agent.infer(input);
            let class = &package.classes[answer.class()];
            writeln!(csv, "{},{},{class}", agent.device(), answer.prediction).expect("a String");
        }
    }
    let client = fleet.client();
    wait::until("all captures at the hub", || {
        let captures = client.captures(&CaptureQuery::default()).all();
        let captures = captures.map_err(|err| err.to_string())?.len();
        wait::that(captures == 30, || captures.to_string())
    });
    let path = fleet.dir().join("labels.csv");
    fs::write(&path, csv).expect("a file of the test");
    tern_json(&fleet, &["label", "import", text(&path)]);
    fleet
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn show(fleet: &Fleet, dataset: &str) -> Value {
    tern_json(fleet, &["dataset", "show", dataset])
}

pub(crate) fn rows(view: &Value, split: &str) -> u64 {
    view["rows"]["splits"][split].as_u64().unwrap_or_default()
}

fn file(fleet: &Fleet, name: &str, text: &str) -> String {
    let path = fleet.dir().join(name);
    fs::write(&path, text).expect("a file of the test");
    path.to_str().expect("UTF-8").to_owned()
}

#[track_caller]
pub(crate) fn refused(ran: &Ran, why: &str) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let reason = ran.json()["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains(why), "{reason}");
}

#[test]
fn captures_and_labels_become_versions_that_are_got_compared_and_named_by_models() {
    let mut fleet = labelled(&[]);
    let built = tern_json(
        &fleet,
        &[
            "dataset",
            "build",
            "digits",
            "--model",
            MODEL,
            "--keep-out",
            "20%",
        ],
    );
    assert_eq!(
        (built["state"].as_str(), &built["number"]),
        (Some("done"), &1.into())
    );
    let all: u64 = ["train", "held-out", "kept-out"]
        .iter()
        .map(|s| rows(&built, s))
        .sum();
    assert_eq!(all, 30, "{built}");
    let some = tern_json(&fleet, &["dataset", "rows", "digits", "--limit", "3"]);
    assert_eq!(some[0]["values"].as_array().map(Vec::len), Some(64));
    assert_eq!(some[0]["source"], "import");

    // As a directory; the digest of the manifest names the version.
    let to = fleet.dir().join("got");
    let got = tern(&fleet, &["dataset", "get", "digits@1", "--to", text(&to)]);
    assert_eq!(got.code, Some(0), "{got:?}");
    let manifest = fs::read(to.join("dataset.json")).expect("is there");
    assert_eq!(built["digest"], Digest::of(&manifest).to_string());
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["input"]["shape"], serde_json::json!([64]));
    let train = fs::read(to.join("train.parquet")).expect("is there");
    let known = &manifest["files"]["train.parquet"]["digest"];
    assert_eq!(*known, Digest::of(&train).to_string());

    // The next one begins with it; a kill between changes nothing.
    fleet.hub.kill_9();
    fleet.run_hub();
    let next = [
        "dataset", "build", "digits", "--model", MODEL, "--base", "digits@1",
    ];
    let next = tern_json(&fleet, &next);
    assert_eq!(next["rows"], built["rows"]);
    let diff = tern_json(&fleet, &["dataset", "diff", "digits@1", "digits@2"]);
    assert_eq!(
        (&diff["common"], &diff["relabelled"]),
        (&30.into(), &0.into())
    );

    // A model says what it was trained on.
    let published = [
        "model",
        "publish",
        MODEL,
        text(&package::digits(0).dir),
        "--dataset",
        "digits@2",
    ];
    let published = tern_json(&fleet, &published);
    assert_eq!(published["dataset"]["number"], 2, "{published}");
    let shown = show(&fleet, "digits");
    assert_eq!(shown["trained"][0]["model"], MODEL);
    let first = show(&fleet, "digits@1");
    assert_eq!(first["children"][0]["number"], 2);
    let nothing = [
        "model",
        "publish",
        MODEL,
        text(&package::digits(0).dir),
        "--dataset",
        "digits@9",
    ];
    assert_eq!(tern(&fleet, &nothing).code, Some(2));
}

#[test]
fn what_is_deleted_is_in_no_version_and_its_versions_are_withdrawn() {
    let fleet = labelled(&[]);
    let built = tern_json(&fleet, &["dataset", "build", "digits", "--model", MODEL]);
    let manifest = fleet
        .hub
        .blob_file(built["digest"].as_str().expect("a digest"));
    let other = [
        "dataset",
        "build",
        "others",
        "--model",
        MODEL,
        "--without",
        "meter-01",
    ];
    tern_json(&fleet, &other);
    let deleted = tern_json(
        &fleet,
        &["capture", "delete", "--device", "meter-01", "--yes"],
    );
    assert_eq!(
        deleted["receipt"]["datasets"],
        serde_json::json!(["digits@1"])
    );
    assert_eq!(deleted["proof"]["whole"], true);
    let withdrawn = show(&fleet, "digits@1");
    assert!(withdrawn["dataset"]["withdrawn"].is_object() && withdrawn["manifest"].is_null());
    assert!(!manifest.exists(), "{}", manifest.display());
    let to = fleet.dir().join("got");
    let got = tern(&fleet, &["dataset", "get", "digits@1", "--to", text(&to)]);
    assert!(
        got.code == Some(2) && got.log.contains("withdrawn"),
        "{got:?}"
    );
    let base = [
        "dataset", "build", "digits", "--model", MODEL, "--base", "digits@1",
    ];
    let refused = tern(&fleet, &base);
    assert!(
        refused.code == Some(2) && refused.log.contains("withdrawn"),
        "{refused:?}"
    );
    // The newest that is done holds what is left.
    let next = tern_json(&fleet, &["dataset", "build", "digits", "--model", MODEL]);
    assert_eq!(rows(&next, "train") + rows(&next, "held-out"), 15);
    assert_eq!(show(&fleet, "others")["dataset"]["withdrawn"], Value::Null);
}

#[test]
fn a_kill_in_the_middle_of_an_import_leaves_nothing_half_and_it_is_done_after() {
    let mut fleet = Fleet::empty();
    let mut csv = String::from("a,b,c,fault\n");
    for row in 0..60_000u32 {
        let wave = f64::from(row) / 7.0;
        writeln!(csv, "{row},{:.3},{},{}", wave.sin(), row % 13, row % 2).expect("a String");
    }
    let path = file(&fleet, "rows.csv", &csv);
    let import = [
        "dataset",
        "import",
        "meters",
        &path,
        "--label",
        "fault",
        "--held-out",
        "20%",
    ];
    let begun = tern_json(
        &fleet,
        &[&import[..], &["--no-wait", "--key", "once"]].concat(),
    );
    assert_eq!(begun["state"], "running");
    fleet.hub.kill_9();
    fleet.hub.run();
    let done = wait::until("the import", || {
        let shown = show(&fleet, "meters@1");
        wait::that(shown["dataset"]["state"] == "done", || {
            shown["dataset"].to_string()
        })?;
        Ok(shown)
    });
    let (train, held) = (
        rows(&done["dataset"], "train"),
        rows(&done["dataset"], "held-out"),
    );
    assert_eq!(train + held, 60_000);
    assert!((10_500..13_500).contains(&held), "{held}");
    let columns = done["manifest"]["statistics"]["columns"]
        .as_array()
        .expect("columns");
    assert_eq!(columns[0]["number"]["max"], 59_999.0);
    // The same key is the same version.
    let again = tern_json(&fleet, &[&import[..], &["--key", "once"]].concat());
    assert_eq!(again["id"], begun["id"]);
    // The same rows are held out the next time.
    let next = tern_json(&fleet, &import);
    assert_eq!(
        (rows(&next, "held-out"), &next["number"]),
        (held, &2.into())
    );
    let diff = tern_json(&fleet, &["dataset", "diff", "meters@1", "meters@2"]);
    assert_eq!(diff["common"], 60_000);
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_an_upload_leaves_nothing_and_blocks_no_name() {
    let fleet = Fleet::empty();
    let mut csv = String::from("a,b,fault\n");
    for row in 0..100_000u32 {
        writeln!(csv, "{row},{},{}", row % 13, row % 2).expect("a String");
    }
    let digest = Digest::of(csv.as_bytes());
    let url = fleet.hub.url();
    let place = url.strip_prefix("http://").expect("a plain address");
    let mut stream = TcpStream::connect(place).expect("the hub listens");
    let head = format!(
        "PUT /api/v1/w/default/blobs/{digest} HTTP/1.1\r\nhost: {place}\r\ncontent-length: {}\r\n\r\n",
        csv.len()
    );
    stream.write_all(head.as_bytes()).expect("it is heard");
    let half = &csv.as_bytes()[..csv.len() / 2];
    stream.write_all(half).expect("it is taken");
    drop(stream);

    let client = fleet.client();
    assert!(!client.has_blob(&digest).expect("the hub answers"));
    assert_eq!(
        tern_json(&fleet, &["dataset", "list"]),
        serde_json::json!([])
    );
    // The same file under the same name, by somebody who stays.
    let file = file(&fleet, "rows.csv", &csv);
    let import = ["dataset", "import", "meters", &file, "--label", "fault"];
    let done = tern_json(&fleet, &import);
    assert_eq!(
        (done["number"].as_u64(), rows(&done, "train")),
        (Some(1), 100_000)
    );
    // What was uploaded went with the version, and of the half there was never a file with a name.
    assert!(!client.has_blob(&digest).expect("the hub answers"));
    let uploads = fleet.hub.data().join("blobs/sha256/uploads");
    let left = fs::read_dir(uploads).map(Iterator::count);
    assert_eq!(left.unwrap_or_default(), 0);
}

#[test]
fn files_with_other_columns_are_refused_unless_that_is_meant() {
    let fleet = Fleet::empty();
    let train = file(
        &fleet,
        "train.csv",
        "colour,size,fault\nred,1,yes\nblue,2,no\n",
    );
    let held = file(&fleet, "held.csv", "colour,size,fault\nred,3,no\n");
    let (train_of, held_of) = (format!("train={train}"), format!("held-out={held}"));
    let splits = [
        "dataset", "import", "parts", "--split", &train_of, "--split", &held_of, "--label", "fault",
    ];
    let first = tern_json(&fleet, &splits);
    assert_eq!((rows(&first, "train"), rows(&first, "held-out")), (2, 1));

    let other = file(&fleet, "other.csv", "colour,mass,fault\nred,1,yes\n");
    let import = ["dataset", "import", "parts", &other, "--label", "fault"];
    let ran = tern(&fleet, &[&import[..], &["--json"]].concat());
    refused(&ran, "column `size` is missing; column `mass` is new");
    let meant = tern_json(&fleet, &[&import[..], &["--new-schema"]].concat());
    assert_eq!(
        (meant["number"].as_u64(), meant["state"].as_str()),
        (Some(3), Some("done"))
    );
    assert!(
        meant["untrainable"]
            .as_str()
            .expect("one class")
            .contains("class yes")
    );

    // What was held out is not trained on, whatever a file says.
    let leak = file(
        &fleet,
        "leak.csv",
        "colour,size,fault\nred,3,no\ngreen,4,yes\n",
    );
    let leak = format!("train={leak}");
    let import = [
        "dataset",
        "import",
        "parts",
        "--split",
        &leak,
        "--label",
        "fault",
        "--new-schema",
    ];
    let moved = tern_json(&fleet, &import);
    assert_eq!((rows(&moved, "train"), rows(&moved, "held-out")), (1, 1));
    assert_eq!(show(&fleet, "parts")["manifest"]["made_from"]["moved"], 1);

    let nothing = file(&fleet, "no.parquet", "PAR1 and then something else");
    let ran = tern(
        &fleet,
        &[
            "dataset", "import", "parts", &nothing, "--label", "fault", "--json",
        ],
    );
    refused(&ran, "cannot be read as Parquet");
    let listed = tern(&fleet, &["dataset", "list", "parts"]);
    assert!(
        listed.out.contains("parts@5") && listed.out.contains("failed"),
        "{listed:?}"
    );
    tern(&fleet, &["dataset", "remove", "parts@1"]);
    assert_eq!(show(&fleet, "parts@1")["dataset"]["state"], "removed");
    let fields = ["manifest", "digest"].map(|field| show(&fleet, "parts@1")[field].is_null());
    assert_eq!(fields, [true, true]);
}

#[test]
fn a_column_that_is_called_as_one_of_the_hub_is_told_and_may_be_kept_as_a_feature() {
    let fleet = Fleet::empty();
    let file = file(
        &fleet,
        "parcels.csv",
        "weight,size,late\n2.5,1,yes\n7,2,no\n",
    );
    let import = ["dataset", "import", "parcels", &file, "--label", "late"];
    let told = tern(&fleet, &import);
    assert!(
        told.out
            .contains("`weight`: each was taken as what it is called")
            && told.out.contains("--feature weight"),
        "{told:?}"
    );
    let keep = [&import[..], &["--feature", "weight", "--new-schema"]].concat();
    let kept = tern_json(&fleet, &keep);
    assert_eq!(kept["rows"]["as_called"], Value::Null, "{kept}");
    let columns = &show(&fleet, "parcels@2")["manifest"]["input"]["columns"];
    assert_eq!(columns[1]["name"], "feature_weight", "{columns}");
    let again = tern_json(&fleet, &[&import[..], &["--new-schema"]].concat());
    assert_eq!(again["rows"]["as_called"], serde_json::json!(["weight"]));
    let lacks = [&import[..], &["--feature", "mass", "--json"]].concat();
    refused(&tern(&fleet, &lacks), "no column `mass`");
}

/// Answers one request with a file; what it was asked.
fn served(body: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/lake", listener.local_addr().expect("bound"));
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a request");
            head.push(byte[0]);
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).expect("it is heard");
        String::from_utf8_lossy(&head).into_owned()
    });
    (url, asked)
}

#[test]
fn datastores_are_where_the_operator_allows_and_their_tokens_are_told_to_nobody_else() {
    let allowed = tempfile::tempdir().expect("a directory");
    fs::write(allowed.path().join("a.csv"), "x,y\n1,no\n2,yes\n").expect("a file");
    let root = text(allowed.path()).to_owned();
    let fleet = Fleet::with_hub(&["--datastore-root", &root]);
    let outside = tern(&fleet, &["datastore", "add", "etc", "--directory", "/etc"]);
    assert!(
        outside.code == Some(2) && outside.log.contains("--datastore-root"),
        "{outside:?}"
    );
    tern_json(&fleet, &["datastore", "add", "plant", "--directory", &root]);
    let import = [
        "dataset",
        "import",
        "plant",
        "a.csv",
        "--datastore",
        "plant",
        "--label",
        "y",
    ];
    assert_eq!(rows(&tern_json(&fleet, &import), "train"), 2);
    let up = [
        "dataset",
        "import",
        "plant",
        "../a.csv",
        "--datastore",
        "plant",
        "--label",
        "y",
    ];
    assert_eq!(tern(&fleet, &up).code, Some(2));
    let lacking = [
        "dataset",
        "import",
        "plant",
        "b.csv",
        "--datastore",
        "plant",
        "--label",
        "y",
        "--json",
    ];
    refused(&tern(&fleet, &lacking), "cannot be read by the hub");

    let (url, asked) = served("x,y\n3,no\n4,yes\n5,yes\n");
    let body = serde_json::json!({
        "name": "lake", "place": {"kind": "http", "url": url}, "token": "only-for-the-lake",
    });
    let path = format!("{}/api/v1/w/default/datastores", fleet.hub.url());
    let added = fleet
        .hub
        .http()
        .post(&path, &body.to_string())
        .expect("answers");
    assert_eq!(added.status, 201, "{added:?}");
    let import = [
        "dataset",
        "import",
        "lake",
        "2026/a.csv",
        "--datastore",
        "lake",
        "--label",
        "y",
    ];
    assert_eq!(rows(&tern_json(&fleet, &import), "train"), 3);
    let asked = asked.join().expect("it was asked");
    assert!(asked.starts_with("GET /lake/2026/a.csv"), "{asked}");
    assert!(
        asked
            .to_lowercase()
            .contains("authorization: bearer only-for-the-lake"),
        "{asked}"
    );
    let listed = tern_json(&fleet, &["datastore", "list"]).to_string();
    let audited = tern_json(&fleet, &["audit", "list"]).to_string();
    for told in [&added.body, &listed, &audited, &fleet.hub.log()] {
        assert!(!told.contains("only-for-the-lake"), "{told}");
    }
    // Nobody answers any more: it may help to ask again.
    let away = tern(&fleet, &[&import[..], &["--json"]].concat());
    assert_eq!(
        (away.code, away.json()["again"].as_bool()),
        (Some(1), Some(true)),
        "{away:?}"
    );
}

#[test]
fn roles_decide_who_makes_versions_and_all_of_it_is_audited() {
    let fleet = Fleet::secured(&[]);
    let token = |role: &str| {
        let args = ["token", "create", role, "--role", role, "--expires", "1h"];
        tern_json(&fleet, &args)["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    };
    let blob = "x,y\n1,no\n2,yes\n";
    let digest = Digest::of(blob.as_bytes());
    let order = serde_json::json!({
        "name": "small",
        "order": {"import": {"files": [{"from": {"blob": digest.to_string()}}], "label": "y"}},
    });
    let scientist = fleet.client_of(Some(&token("scientist")));
    let viewer = fleet.client_of(Some(&token("viewer")));
    let order = serde_json::from_value(order).expect("an order");
    let refused = viewer.make_dataset(&order).expect_err("may only look");
    assert!(refused.to_string().contains("publish"), "{refused}");
    let unknown = scientist
        .make_dataset(&order)
        .expect_err("nothing was uploaded");
    assert!(
        unknown.to_string().contains("was not uploaded"),
        "{unknown}"
    );
    scientist
        .put_blob(
            &digest,
            blob.len() as u64,
            &mut blob.as_bytes(),
            &mut |_| {},
        )
        .expect("uploads");
    let asked = scientist.make_dataset(&order).expect("may make it");
    let pick = tern_protocol::rest::DatasetPick::Id(asked.id);
    wait::until("the import", || {
        let seen = viewer.dataset(&pick).map_err(|err| err.to_string())?;
        wait::that(seen.manifest.is_some(), || format!("{:?}", seen.dataset))
    });
    let place = tern_protocol::rest::NewDatastore {
        name: "lake".parse().expect("a name"),
        place: tern_protocol::rest::DatastorePlace::Http {
            url: "https://lake.example".into(),
        },
        token: None,
    };
    assert!(scientist.add_datastore(&place).is_err(), "for admins");
    assert!(viewer.remove_dataset(&pick).is_err());
    scientist.remove_dataset(&pick).expect("may remove it");
    let audited = tern_json(&fleet, &["audit", "list"]).to_string();
    for action in ["dataset.import", "dataset.remove"] {
        assert!(audited.contains(action), "{action} is not in the audit log");
    }
    // A client that goes away while it gets a file harms nobody.
    drop(spawn(&fleet, &["dataset", "list"]));
}

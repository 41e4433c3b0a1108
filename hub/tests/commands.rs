//! Commands of the real binary that need no hub to run.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime},
};

use tern_hub::{
    blobs::Blobs,
    store::{Place, Store},
};
use tern_protocol::{
    codec,
    digest::Digest,
    manifest::{Golden, GoldenSample},
};

fn tern_hub(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tern-hub"));
    command.args(args);
    command
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|err| panic!("{err}: {text}"))
}

/// What `tern-hub vet` makes of its standard input.
fn vet(input: &[u8]) -> Output {
    let mut child = tern_hub(&["vet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the hub's binary starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may end before it has read all.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn vetting_refuses_what_is_no_model_and_fails_on_what_is_no_order() {
    let golden = codec::encode(&Golden {
        tolerance: 0.0,
        samples: vec![GoldenSample {
            inputs: vec![],
            outputs: vec![],
        }],
    });
    let order = format!(
        r#"{{"interface": {{"inputs": [], "outputs": [], "pre": [], "post": [], "classes": 0}},
        "onnx_bytes": 9, "golden_bytes": {},
        "limits": {{"time": {{"secs": 30, "nanos": 0}}, "memory": 268435456}}}}"#,
        golden.len()
    );
    let order = order.replace('\n', " ") + "\n";
    let whole = [order.as_bytes(), b"no model!", &golden].concat();
    let refused = vet(&whole);
    assert!(refused.status.success(), "{refused:?}");
    assert_eq!(json(&refused)["refused"]["check"], "parse", "{refused:?}");

    for bad in [&b"no order\n"[..], b"", &whole[..whole.len() - 1]] {
        let failed = vet(bad);
        assert_eq!(failed.status.code(), Some(2), "{failed:?}");
        assert!(!failed.stderr.is_empty(), "it says why");
    }
}

async fn stored(data: &Path, bytes: &'static [u8]) -> Digest {
    let blobs = Blobs::beside(&data.join("blobs")).expect("opens");
    blobs.put_bytes(bytes.into()).await.expect("stores").digest
}

#[tokio::test]
async fn garbage_is_shown_and_removed_by_hand() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().to_str().expect("a plain name");
    let nothing = tern_hub(&["gc", "--data", data]).output().expect("runs");
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");

    let store = Store::open(Place::in_dir(dir.path())).await.expect("opens");
    let old = stored(dir.path(), b"left alone").await;
    let fresh = stored(dir.path(), b"uploaded just now").await;
    let hex = old.to_string();
    let path = dir.path().join("blobs/sha256").join(&hex[..2]).join(&hex);
    let two_days_ago = SystemTime::now() - Duration::from_hours(48);
    let file = File::open(&path).expect("it is stored");
    file.set_modified(two_days_ago).expect("the file is ours");

    let gc = |more: &[&str]| {
        let output = tern_hub(&["gc", "--data", data]).args(more).output();
        let output = output.expect("runs");
        assert!(output.status.success(), "{output:?}");
        output
    };
    let shown = json(&gc(&["--dry-run", "--json"]));
    assert_eq!(shown["dry_run"], true);
    assert_eq!(shown["blobs"], 1);
    assert_eq!(shown["bytes"], 10);
    assert_eq!(shown["items"][0]["digest"], hex);
    assert!(path.exists(), "it was only shown");
    assert_eq!(json(&gc(&["--grace", "3d", "--json"]))["blobs"], 0);

    // Beside a hub that has the database open.
    let removed = gc(&[]);
    let said = String::from_utf8_lossy(&removed.stdout);
    assert!(
        said.contains(&hex) && said.contains("removed 1 blobs, 10 bytes"),
        "{said}"
    );
    assert!(!path.exists());
    let blobs = Blobs::beside(&dir.path().join("blobs")).expect("opens");
    assert!(blobs.head(fresh).await.expect("looks").is_some());
    store.close().await;

    let short = tern_hub(&["gc", "--data", data, "--grace", "1m"])
        .output()
        .expect("runs");
    assert_eq!(short.status.code(), Some(2), "{short:?}");
}

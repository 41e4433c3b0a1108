//! The real binary: what a person meets before there is any hub.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

/// The binary, away from the settings of whoever runs the tests.
fn tern() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tern"));
    command
        .env_remove("TERN_HUB")
        .env_remove("TERN_WORKSPACE")
        .env_remove("TERN_MQTT")
        .env_remove("TERN_TOKEN")
        .env_remove("TERN_CA")
        .env(
            "TERN_CONFIG_DIR",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/nobody"),
        )
        .stdin(Stdio::null());
    command
}

struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary runs");
    Said {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8"),
        stderr: String::from_utf8(stderr).expect("UTF-8"),
    }
}

fn tern_says(args: &[&str]) -> Said {
    run(tern().args(args))
}

/// An address where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").to_string()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn wrong_arguments_are_errors_that_say_what_is_right() {
    for (args, expected) in [
        (&["modle"][..], "model"),
        (&["model", "publish", "digit-reader"], "<DIR>"),
        (&["model", "publish", "../x", "."], "is not a name"),
        (
            &["rollout", "start", "digit-reader", "--slot", "s"],
            "digit-reader@latest",
        ),
        (&["rollout", "start", "m@2"], "--slot"),
        (
            &["rollout", "start", "m@2", "--slot", "s", "--percent", "101"],
            "1..=100",
        ),
        (
            &["rollout", "start", "m@2", "--slot", "s", "--label", "lens"],
            "KEY=VALUE",
        ),
        (&["rollout", "show", "first"], "tern rollout list"),
        (&["rollout", "watch", "1", "--timeout", "soon"], "90s"),
        (&["device", "list", "--health", "ill"], "healthy"),
        (
            &["capture", "list", "--labelled", "--unlabelled"],
            "cannot be used with",
        ),
        (&["capture", "export", "--out", "-"], "--model NAME"),
        (&["--hub", "http://hub", "overview"], "https://"),
        (&["--workspace", "a/b", "overview"], "is not a name"),
        (&["tap", "--mqtt", "http://hub"], "HOST:PORT"),
        (&["tap", "--channel", "moon"], "desired"),
        (&["--hub", "https://127.0.0.1:1", "tap"], "no hub answers"),
        (&["audit", "list", "--from", "yesterday"], "2026-11-24"),
        (&["login"], "tern login https://HOST:PORT"),
        (
            &["login", "https://hub", "--token-stdin", "--user", "a"],
            "cannot be used with",
        ),
        (&["setup", "https://hub"], "setup#CODE"),
    ] {
        let said = tern_says(args);
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.stderr);
        assert!(
            said.stdout.is_empty(),
            "{args:?} wrote data: {}",
            said.stdout
        );
        assert!(said.stderr.contains(expected), "{args:?}: {}", said.stderr);
    }
}

#[test]
fn every_command_has_help() {
    for command in [
        &[][..],
        &["model"],
        &["model", "publish"],
        &["model", "list"],
        &["model", "show"],
        &["rollout"],
        &["rollout", "start"],
        &["rollout", "list"],
        &["rollout", "show"],
        &["rollout", "watch"],
        &["rollout", "pause"],
        &["rollout", "resume"],
        &["rollout", "abort"],
        &["rollout", "widen"],
        &["device"],
        &["device", "list"],
        &["device", "show"],
        &["device", "invite"],
        &["device", "invitations"],
        &["device", "uninvite"],
        &["device", "pending"],
        &["device", "identities"],
        &["device", "accept"],
        &["device", "reject"],
        &["device", "revoke"],
        &["setup"],
        &["login"],
        &["logout"],
        &["whoami"],
        &["label"],
        &["label", "import"],
        &["capture"],
        &["capture", "list"],
        &["capture", "export"],
        &["accuracy"],
        &["overview"],
        &["tap"],
        &["token"],
        &["token", "create"],
        &["token", "list"],
        &["token", "revoke"],
        &["member"],
        &["member", "list"],
        &["member", "set"],
        &["member", "remove"],
        &["user"],
        &["user", "list"],
        &["user", "create"],
        &["user", "link"],
        &["user", "disable"],
        &["user", "enable"],
        &["workspace"],
        &["workspace", "list"],
        &["workspace", "create"],
        &["audit"],
        &["audit", "list"],
        &["audit", "verify"],
        &["ca"],
        &["ca", "list"],
        &["ca", "export"],
        &["completions"],
    ] {
        let said = run(tern().args(command).arg("--help"));
        assert_eq!(said.code, Some(0), "{command:?}");
        assert!(
            said.stdout.contains("Usage: tern"),
            "{command:?}: {}",
            said.stdout
        );
        assert!(
            said.stdout.contains("--json"),
            "{command:?}: {}",
            said.stdout
        );
    }
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = tern_says(&["completions", shell]);
        assert_eq!(said.code, Some(0), "{shell}");
        assert!(said.stdout.contains("rollout"), "{shell}");
        assert!(said.stderr.is_empty(), "{shell}: {}", said.stderr);
    }
}

#[test]
fn a_hub_that_is_not_there_is_said_with_what_to_do() {
    let hub = format!("http://{}", nowhere());
    for args in [
        &["overview"][..],
        &["model", "list"],
        &["device", "show", "meter-01"],
        &["rollout", "watch", "1", "--timeout", "1ms"],
        &["rollout", "start", "m@latest", "--slot", "s"],
    ] {
        let said = run(tern().args(args).env("TERN_HUB", &hub));
        assert_eq!(said.code, Some(2), "{args:?}");
        assert!(
            said.stderr.contains("tern-hub serve"),
            "{args:?}: {}",
            said.stderr
        );
        assert!(said.stderr.contains(&hub), "{args:?}: {}", said.stderr);
        assert!(said.stdout.is_empty(), "{args:?}: {}", said.stdout);
    }
    let said = tern_says(&["tap", "--mqtt", &nowhere()]);
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("--mqtt HOST:PORT"), "{}", said.stderr);
}

#[test]
fn something_else_that_answers_is_not_taken_for_a_hub() {
    use std::io::Write as _;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hub = listener.local_addr().expect("bound").to_string();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("tern connects");
        let mut request = [0; 2048];
        let _ = socket.read(&mut request).expect("a request");
        let page =
            "HTTP/1.1 200 OK\r\ncontent-length: 13\r\nconnection: close\r\n\r\n<html></html>";
        socket.write_all(page.as_bytes()).expect("written");
    });
    let said = tern_says(&["--hub", &hub, "overview"]);
    server.join().expect("the server ends");
    assert_eq!(said.code, Some(2));
    assert!(said.stderr.contains("is it a tern-hub"), "{}", said.stderr);
}

#[test]
fn bad_files_are_said_before_anything_is_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let csv = write(
        dir.path(),
        "l.csv",
        "device,prediction,truth\nm,1-1,7\nm,1_2,7\n",
    );
    let headless = write(dir.path(), "h.csv", "m,1-1,7\n");
    let empty = dir.path().to_str().expect("UTF-8");
    for (args, expected) in [
        (&["label", "import", &csv][..], "line 3: prediction `1_2`"),
        (&["label", "import", &headless], "no column `device`"),
        (
            &["label", "import", "no-such.csv"],
            "no-such.csv cannot be opened",
        ),
        (&["model", "publish", "m", empty], "publish.json"),
    ] {
        // Were anything sent, the missing hub would be the error.
        let said = run(tern().args(args).env("TERN_HUB", nowhere()));
        assert_eq!(said.code, Some(2), "{args:?}");
        assert!(said.stderr.contains(expected), "{args:?}: {}", said.stderr);
    }
}

#[test]
fn a_reader_that_leaves_is_a_quiet_end() {
    let mut child = tern()
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let said = child.wait_with_output().expect("it ends");
    assert_eq!(said.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&said.stderr), "");
}

//! `tern-data` ends with whoever started it.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Waits for its end; a minute is what a busy machine may need.
fn ended(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("a child") {
            return status.code();
        }
        thread::yield_now();
    }
    child.kill().expect("it runs");
    panic!("it goes on without whoever started it");
}

#[test]
fn it_ends_with_whoever_started_it() {
    let dir = tempfile::tempdir().expect("a directory");
    // A pipe that nobody writes to: it would wait for its steps for ever.
    let steps = dir.path().join("steps.yaml");
    let made = Command::new("mkfifo").arg(&steps).status();
    assert!(made.expect("mkfifo").success());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tern-data"))
        .args(["prepare", "--from"])
        .arg(dir.path())
        .arg("--steps")
        .arg(&steps)
        .arg("--to")
        .arg(dir.path().join("to"))
        .arg("--attended")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    drop(child.stdin.take());
    assert_eq!(ended(&mut child), Some(2));
}

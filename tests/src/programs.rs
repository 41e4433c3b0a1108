//! Programs that are not ours and that some tests need.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where Debian keeps daemons: not on everybody's search path.
const DAEMONS: &str = "/usr/sbin";

/// Where a program is, or nothing after saying that the test is skipped. With `TERN_REQUIRE_ALL=1`
/// its absence is a failure.
#[track_caller]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain([PathBuf::from(DAEMONS)])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        let required = env::var_os("TERN_REQUIRE_ALL").is_some_and(|all| all == "1");
        assert!(
            !required,
            "{program} is missing: `cargo xtask setup` installs it"
        );
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

/// A Python that can import these modules: that of a variable, or one of ours; or nothing after saying that the test is
/// skipped. With `TERN_REQUIRE_ALL=1` its absence is a failure.
#[track_caller]
pub fn python(variable: &str, ours: &str, modules: &str) -> Option<PathBuf> {
    let python = env::var_os(variable).map_or_else(|| repository().join(ours), PathBuf::from);
    let mut imports = Command::new(&python);
    imports.args(["-c", &format!("import {modules}")]);
    let imported = imports.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if imported.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let required = env::var_os("TERN_REQUIRE_ALL").is_some_and(|all| all == "1");
    let what = format!(
        "{} cannot import {modules}: run `cargo xtask setup`",
        python.display()
    );
    assert!(!required, "{what}");
    eprintln!("SKIPPED: {what}");
    None
}

/// Has Prometheus' own tool check metrics; nothing where it is missing.
#[track_caller]
pub fn assert_good_metrics(metrics: &str) {
    let Some(promtool) = find("promtool") else {
        return;
    };
    let mut promtool = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = promtool.stdin.take().expect("stdin is piped");
    stdin
        .write_all(metrics.as_bytes())
        .expect("promtool reads its input");
    drop(stdin);
    let ended = promtool
        .wait_with_output()
        .expect("promtool ends with its input");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "promtool: {said}\n{metrics}");
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
}

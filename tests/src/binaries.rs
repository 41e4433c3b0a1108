//! Where the built binaries are.

use std::{env, path::PathBuf};

/// Directory of the built binaries: `TERN_BIN_DIR`, or where cargo put them beside this test.
pub fn dir() -> PathBuf {
    if let Some(dir) = env::var_os("TERN_BIN_DIR") {
        return dir.into();
    }
    let exe = env::current_exe().expect("a running test has an executable");
    let deps = exe.parent().expect("an executable lies in a directory");
    // target/debug/deps/loop-1234 -> target/debug
    deps.parent()
        .expect("cargo puts tests in a directory below the profile's")
        .to_path_buf()
}

/// The path of the binary `name`.
#[track_caller]
pub fn path(name: &str) -> PathBuf {
    let path = dir().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace` first, or set TERN_BIN_DIR",
        path.display()
    );
    path
}

//! Programs that are not ours and that some tests need.

use std::{
    env,
    path::{Path, PathBuf},
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

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
}

//! How many sockets and files the operating system lets the hub have.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files to what this process may have: a device is two sockets, and the
/// usual limit of 1,024 is for programs that know only `select`.
pub(super) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok((soft, hard))
    });
    match raised {
        Ok((soft, hard)) => {
            tracing::debug!(soft, hard, "limit of open files raised to the hard one");
        }
        Err(err) => tracing::debug!(error = %err, "the limit of open files stays as it is"),
    }
}

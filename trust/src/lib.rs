//! Which models are signed, by whom, and which are revoked: The Update Framework, version 1.0
//! (<https://theupdateframework.github.io/specification/latest/>), by `tough`.
//!
//! A workspace has one repository of metadata. Its *targets* are bundles, named `MODEL/VERSION`; what
//! is signed is the digest of the manifest, which names everything else by digest.
//!
//! - **root** says which keys count for which role, and how many of them. Signed by keys that are
//!   offline, or in development by the hub.
//! - **targets** lists the bundles, and says which are revoked. Signed by the *release* keys.
//! - **snapshot** and **timestamp** say which targets are the newest. Signed by the hub, always.
//!
//! So a hub or a broker that somebody took over can withhold, and choose among versions that are
//! signed and not revoked. It cannot make a device load anything else, nor go back to metadata
//! before those that the device has seen.
//!
//! Must never break: nothing that was not verified leaves [`client::verify`].

#[cfg(feature = "author")]
pub mod author;
pub mod client;
#[cfg(feature = "author")]
pub mod document;
#[cfg(feature = "author")]
pub mod key;
#[cfg(feature = "author")]
pub mod key_file;
pub mod listing;
mod offered;

/// The documents as the specification has them.
pub use tough::schema;

/// Largest root, in bytes: sixteen keys of each role take a quarter of it.
pub const ROOT_MAX: u64 = 64 << 10;

/// Most roots that a repository may have had: each change of keys is one.
pub const ROOTS_MAX: u64 = 1024;

/// Largest timestamp, in bytes. It travels in one MQTT message.
pub const TIMESTAMP_MAX: u64 = 16 << 10;

/// Largest snapshot, in bytes.
pub const SNAPSHOT_MAX: u64 = 64 << 10;

/// Largest targets, in bytes: some forty thousand versions.
pub const TARGETS_MAX: u64 = 16 << 20;

/// An error with its causes in one line.
fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(err) = source {
        let cause = err.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = err.source();
    }
    text
}

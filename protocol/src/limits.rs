//! Bounds that both ends rely on.

/// One MQTT payload, in bytes. Above 128 KiB common cloud brokers drop the connection
/// (AWS IoT Core: 128 KB a message).
pub const PAYLOAD: usize = 128 * 1024;

/// Length of every chunk of a blob but the last, in bytes. With its CBOR frame a chunk stays well
/// under [`PAYLOAD`].
pub const CHUNK: usize = 64 * 1024;

/// Ranges in one want. A device with more holes asks again when these are filled, so that a want
/// is always small.
pub const WANT_RANGES: usize = 64;

/// Largest blob that is shipped, in bytes (2 GiB): the number of its chunks fits a `u32` and its
/// bitmap 4 KiB.
pub const BLOB: u64 = 2 * 1024 * 1024 * 1024;

/// Roots that are named to devices: each change of keys is one. Forty bytes each.
pub const ROOTS: usize = 1024;

/// A manifest, in bytes. It is decoded whole.
pub const MANIFEST: usize = 256 * 1024;

/// A reference profile or a set of golden samples, in bytes. They are decoded whole.
pub const PROFILE: usize = 16 * 1024 * 1024;

/// Input values stored with one capture, in bytes: what is larger is not captured.
pub const CAPTURE_INPUT: usize = 64 * 1024;

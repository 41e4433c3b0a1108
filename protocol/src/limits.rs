//! Bounds that both ends rely on.

/// One MQTT payload, in bytes. Above 128 KiB common cloud brokers drop the connection
/// (AWS IoT Core: 128 KB a message).
pub const PAYLOAD: usize = 128 * 1024;

/// What a PUBLISH packet has around its payload, in bytes, at most: five of fixed header, two and the
/// topic ([`TOPIC`]), two of packet identifier. Rounded up.
pub const PACKET_HEADER: usize = 512;

/// One MQTT payload as both ends make it, in bytes: with its packet around it, it stays within
/// [`PAYLOAD`], whichever of the two a broker counts.
pub const PAYLOAD_OUT: usize = PAYLOAD - PACKET_HEADER;

/// The payload of a retained message, in bytes (Azure Event Grid keeps 64 KiB a message).
pub const RETAINED: usize = 64 * 1024;

/// Levels of a topic or filter (AWS IoT Core: seven slashes; Azure Event Grid: eight segments).
pub const TOPIC_LEVELS: usize = 8;

/// A topic or filter, in bytes (both: 256).
pub const TOPIC: usize = 256;

/// Client identifier, in bytes (AWS IoT Core: 128).
pub const CLIENT_ID: usize = 128;

/// Subscriptions of one device (AWS IoT Core and Azure Event Grid: 50 a connection).
pub const SUBSCRIPTIONS: usize = 50;

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

/// Deltas that one desired state offers, over all slots: some hundred bytes each, so that the message
/// stays within [`RETAINED`].
pub const OFFERS: usize = 64;

/// Versions that one desired state names to run beside what serves: at most 250 bytes each, so that the
/// message stays within [`RETAINED`].
pub const SHADOWS: usize = 32;

/// A manifest, in bytes. It is decoded whole.
pub const MANIFEST: usize = 256 * 1024;

/// A reference profile or a set of golden samples, in bytes. They are decoded whole.
pub const PROFILE: usize = 16 * 1024 * 1024;

/// Input values stored with one capture, in bytes: what is larger is not captured.
pub const CAPTURE_INPUT: usize = 64 * 1024;

/// Requests for captures in one desired state: at most 170 bytes each.
pub const CAPTURE_REQUESTS: usize = 8;

/// Erasures of one desired state, in bytes of [`crate::capture::Erasure`]; those that find no room are told once the
/// device has done these.
pub const ERASURES_BYTES: usize = 3 * 1024;

/// Predictions of one deletion, so that it fits [`ERASURES_BYTES`]: at most 20 bytes each.
pub const ERASED_PREDICTIONS: usize = 100;

/// Numbers of an embedding that are kept of one input.
pub const EMBEDDING: usize = 1024;

//! What Tern says on the wire, version 1.
//!
//! Called by the hub, the agent and the command line; calls nothing. `no_std` with `alloc`.
//!
//! Messages are CBOR maps with integer keys ([`codec`]). Must never break:
//! - a key, once given a meaning, keeps it; new facts get new keys, and readers skip keys they do
//!   not know (`tests/compatibility.rs`);
//! - the bytes of version 1 are pinned by the files under `tests/golden`;
//! - decoding anything never panics and allocates at most a small multiple of the input's size;
//! - no payload is larger than [`limits::PAYLOAD`], so that any MQTT broker or cloud service serves.
//!
//! There is no clock, no socket and no file in here.
// utoipa's derive writes `format!` and `vec!`, which only the std prelude has.
#![cfg_attr(not(any(test, feature = "schema", feature = "tables")), no_std)]

extern crate alloc;

pub mod agent_version;
pub mod codec;
pub mod digest;
pub mod exposition;
pub mod id;
pub mod limits;
pub mod time;
pub mod topic;

pub mod blob;
pub mod capture;
pub mod desired;
pub mod log;
pub mod manifest;
pub mod metadata;
pub mod metric;
pub mod profile;
pub mod quantile;
pub mod reported;
pub mod shadow;
pub mod steps;
pub mod tensor;
pub mod window;

#[cfg(feature = "rest")]
pub mod join;
#[cfg(feature = "rest")]
pub mod rest;

//! What the bytes of version 1 are, and what readers make of bytes that are not.

mod garbage;
mod golden;
mod round_trip;
mod samples;
mod unknown_keys;

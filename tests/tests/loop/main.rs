//! The loop, end to end: every promise is a test's name.
//!
//! Real binaries, real MQTT, real HTTP, real files, `kill -9`. Each test has its own fleet in its
//! own temporary directory and may run beside any other.

mod broken_links;
mod command_line;
mod counting;
mod dashboard;
mod delivery;
mod devices;
mod hub;
mod inputs;
mod malformed;
mod publish;
mod rollouts;
mod serving;
mod story;
mod truth;
mod watching;

//! What the whole-system suites share: real processes, a fleet in a temporary directory, and ways
//! to look at it, to load it and to hurt it.
//!
//! Called by the test binaries under `tests/`. Calls the built binaries, never a double of our own
//! code. Must never break:
//! - a test waits on a condition with a deadline ([`wait`]), and its failure says the last status;
//! - every process is ended by its own id when its owner is dropped, and shows its log when the
//!   test failed;
//! - everything a test writes is in its own temporary directory; ports are given by the system.
//!
//! Everything here panics when it cannot do its work: a panic is a test's report.

pub mod admin;
pub mod agent;
pub mod bare;
pub mod beside;
pub mod binaries;
pub mod browser;
pub mod cli;
pub mod collector;
pub mod device;
pub mod enrolled;
pub mod fleet;
pub mod http;
pub mod hub;
pub mod mosquitto;
pub mod mqtt;
pub mod noise;
pub mod oip;
pub mod openid;
pub mod other_brokers;
pub mod package;
pub mod pebble;
pub mod pki;
pub mod played;
pub mod ports;
pub mod postgres;
pub mod powercut;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod receiver;
pub mod smtp;
pub mod traffic;
pub mod wait;

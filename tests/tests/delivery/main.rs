//! How models come to devices and into service, end to end: signed, whole, and never at the cost of what
//! serves.
//!
//! Real binaries, real MQTT, real TLS, `kill -9`. Each test has its own fleet in its own temporary
//! directory and may run beside any other.

mod signing;

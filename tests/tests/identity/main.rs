//! Who may join, speak, change and see: every promise is a test's name.
//!
//! Real binaries over real TLS, real clocks that are wrong, real brokers. Each test has its own hub in
//! its own temporary directory and may run beside any other.

mod backups;
mod by_keyboard;
mod certificates;
mod clocks;
mod https;
mod joining;
mod oidc;
mod other_brokers;
mod people;
mod renewing;
mod secrets;
mod speaking;
mod tapping;
mod uploads;

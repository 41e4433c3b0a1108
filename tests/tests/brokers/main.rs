//! Hubs with a broker of the operator's own, on real brokers: what only happens there. The other suites
//! run on a Mosquitto as a whole with `TERN_TEST_BROKER=mosquitto`.

mod loops;
mod lost;
mod revoked;
mod trouble;

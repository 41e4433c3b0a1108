//! The hub's REST API for programs in Rust: blocking, typed, bounded.
//!
//! Called by the `tern` binary beside it and by tests that drive a hub from outside. Calls
//! `tern_protocol::rest` for every type and ureq for HTTP, and nothing else.
//!
//! Must never break:
//! - nothing waits for ever: every call has a limit on time and on the size of the answer;
//! - the hub's own words (`Problem`) reach the caller whole.

pub mod client;

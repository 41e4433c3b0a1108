//! Who this device is to the hub, and how it knows the hub.
//!
//! Must never break: inference does not depend on anything here.

pub mod tls;

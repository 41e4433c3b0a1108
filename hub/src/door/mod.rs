//! The door for devices.

pub mod bucket;

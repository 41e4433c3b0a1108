//! Tern on the device.
fn main() {}

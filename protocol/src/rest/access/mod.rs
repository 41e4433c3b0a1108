//! Who may join, speak, change, see.

mod audit;
mod devices;
mod people;

pub use self::{audit::*, devices::*, people::*};

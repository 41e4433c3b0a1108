//! Moves a selection of devices to a version, and back.
//!
//! The core is [`step`](step::step): a rollout and the facts of all devices in, where each device
//! stands and what to do out; it does no I/O and knows no clock. The [`driver`] reads facts, calls
//! it, writes assignments; the [`operations`] change a plan. One code path: whether a rollout was
//! just started, the hub restarted, a device appeared or a message was lost, the driver looks at
//! everything again and does what is missing.
//!
//! Words: **selected** are the devices that match the selector and have the slot; the **share** is
//! the part of them that `percent` asks for; a device is **moved** once the rollout assigned its
//! version to it; it is **claimed** by a newer rollout of the same slot that has it in its share.
//!
//! Must never break:
//! - a device stays in the share as the percentage grows, and once it was moved;
//! - each device counts once;
//! - serving is what the digest of the loaded weights proves, nothing else;
//! - a paused or ended rollout assigns nothing; an aborted one gives back what was there before;
//! - after the driver did what `step` says, `step` says nothing more.

mod attention;
pub mod driver;
pub mod operations;
mod revoked;
pub mod schema;
pub mod step;

mod evidence;
mod fit;
pub mod freeze;
mod keys;
mod notices;
mod plan;
pub mod planned;
mod recorded;
pub mod rehearsed;
mod rows;
mod stored;
pub mod templates;
mod views;

pub use self::{
    attention::attention,
    evidence::{Engines, Seat},
    operations::{RolloutError, abort, pause, resume, start, widen},
    plan::{Before, Candidate, Rollout},
    step::{Action, Place, Progress, step},
    views::{list, show},
};

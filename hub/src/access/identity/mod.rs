//! Which devices may join, and which keys speak for them.
//!
//! An *invitation* lets devices join; an *identity* is a key that speaks, or wants to speak, for a
//! device. Called by the API (people, devices), by the broker's door and by `fleet` (the
//! [`Registry`]). Certificates come from [`super::authority`]: they carry a key to the door, the
//! registry decides.
//!
//! Must never break:
//! - of two devices that race for the last use of an invitation, exactly one gets in;
//! - one key at a time speaks for a device, and a key speaks for one device for ever;
//! - a key that was revoked, rejected or replaced never speaks again, over restarts too.

mod decide;
mod invite;
mod issued;
mod join;
mod judge;
mod registry;
mod renew;
mod rows;
pub mod schema;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::{
    decide::{DecideError, IdentityFilter, accept, count_by_authority, identities, reject, revoke},
    invite::{InviteError, invitations, invite, revoke_invitation},
    issued::revoked,
    join::{JoinError, join},
    registry::{Admitted, Bound, Refusal, Registry},
    renew::renew,
};

/// Settings of the life of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// Life of a device's certificate.
    pub certificate: Duration,
    /// How long after its expiry a certificate may still be renewed.
    pub expired_grace: Duration,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            certificate: Duration::from_hours(30 * 24),
            expired_grace: Duration::from_hours(180 * 24),
        }
    }
}

//! Who may join, speak, change and see.
//!
//! [`principal`] says who asks, [`role`] what a role permits, [`audit`] keeps what was done. The API
//! and the dashboard declare a [`role::Policy`] for each route; nothing else decides on access.
//! [`authority`] vouches for the hub and for devices, [`identity`] says which devices may speak,
//! [`reach`] where the hub is found.
//!
//! Must never break:
//! - what is not permitted is refused: there is no route, topic or file without a rule;
//! - a secret is stored as a hash only, and shown once;
//! - whatever changes something is in the audit log, written in the same transaction.

pub mod audit;
pub mod authority;
pub mod identity;
pub mod principal;
pub mod reach;
pub mod role;

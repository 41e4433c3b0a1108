//! Who may join, speak, change and see.
//!
//! [`principal`] says who asks, [`role`] what a role permits, [`audit`] keeps what was done. The API
//! and the dashboard declare a [`role::Policy`] for each route; nothing else decides on access.
//!
//! Must never break:
//! - what is not permitted is refused: there is no route, topic or file without a rule;
//! - a secret is stored as a hash only, and shown once;
//! - whatever changes something is in the audit log, written in the same transaction.

pub mod audit;
pub mod people;
pub mod principal;
pub mod role;

//! The dashboard: what people look at. Pages are rendered here as HTML and kept live by a few small
//! scripts of our own.
//!
//! Called by `app`, which merges [`router`] beside the REST API; reads through the domain modules
//! and changes nothing itself: buttons call the REST API from the browser, so that there is one
//! way to change something.
//!
//! Must never break:
//! - a page is a pure function of REST types (`pages`, `chart`), so that it can be drawn in a test;
//! - text from devices is escaped, and no page carries an inline script or style: the
//!   content security policy ([`layout::CONTENT_SECURITY_POLICY`]) forbids both;
//! - what somebody may not see is never drawn for them: every address has a policy, and one without is
//!   refused ([`visit`]);
//! - a page works without scripts, apart from buttons that change something;
//! - nothing is fetched from another origin.

mod assets;
mod attention;
mod bar;
mod chart;
mod curve;
mod form;
mod format;
mod handlers;
mod heat;
mod icon;
mod layout;
mod pages;
mod parts;
mod range;
mod scope;
mod timeline;
mod visit;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use handlers::router;

//! Tells people what happened, by webhook, mail and Alertmanager.
//!
//! A *subscription* of a workspace says who is told what. [`enqueue`] writes a notice into the outbox, a row
//! for each subscription that wants it, in the transaction of whatever it is about: so there is no notice of
//! what did not happen, and none is lost. [`driver`] sends what is due and tries again what failed
//! ([`retry`] says when). [`attention`] makes notices of what needs a person, which is a state and not an
//! event. A Prometheus [`alertmanager`] is told what stands, again and again, and so has no outbox.
//!
//! Must never break:
//! - a notice that was committed arrives or is shown as failed, whatever is killed when: what was sent and
//!   not marked as sent is sent again, so it may arrive twice, with the same id. At least once, never exactly;
//! - one receiver that is slow or dead holds up no other, and what waits is bounded;
//! - secrets and what stands behind a webhook's host are never shown, logged or written into the audit log;
//! - nothing of what a receiver answers but its status is kept or shown ([`address`] says why).

pub mod address;
pub mod alertmanager;
pub mod attention;
mod driver;
pub mod mail;
mod message;
mod outbox;
pub mod retry;
pub mod schema;
pub mod signature;
mod sql;
mod subscription;
#[cfg(test)]
mod tests;
mod trial;
pub(crate) mod webhook;

use std::sync::Arc;

use tern_protocol::{id::SubscriptionId, rest::NoticeKind, time::WallTime};
use tokio::sync::Semaphore;

pub use self::{
    driver::run,
    message::link,
    outbox::{Undelivered, enqueue, notifications, undelivered},
    subscription::{add, remove, subscriptions},
    trial::test,
};
use self::{mail::Mailer, webhook::Webhooks};
use crate::{app::Wake, store::StoreError};

/// Tests at the same time; each holds a request for as long as an attempt may take.
const TESTS_AT_ONCE: usize = 4;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub kind: NoticeKind,
    /// In a line.
    pub subject: String,
    /// What happened, and what to do if something is to be done.
    pub text: String,
    /// The page to look at, as it stands after the workspace: `/rollouts/12`.
    pub link_path: String,
    /// When it happened.
    pub at: WallTime,
    /// What makes it this notice: the same key twice is one notice, for as long as the outbox remembers (30
    /// days), as `rollout/12/stopped/3`.
    pub key: String,
}

/// Why subscriptions are not made, removed or tried.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// It asks for something impossible.
    #[error("{0}")]
    Impossible(String),
    /// The address of a webhook.
    #[error(transparent)]
    Address(#[from] address::AddressError),
    /// Nobody told the hub where to hand in mail.
    #[error(
        "this hub sends no mail: start it with `--smtp smtps://USER@HOST` and `--smtp-from ADDRESS`"
    )]
    NoMail,
    /// Too many.
    #[error(
        "a workspace has at most {} subscriptions; remove one",
        subscription::MOST
    )]
    TooMany,
    /// There is none.
    #[error("there is no subscription {0}")]
    NotFound(SubscriptionId),
    /// Too many tests at once.
    #[error("other tests are on their way; try again in a few seconds")]
    Busy,
    /// The operating system.
    #[error("the operating system gives no random numbers")]
    Random,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What sends. Clones share it.
#[derive(Debug, Clone)]
pub struct Courier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    webhooks: Webhooks,
    mailer: Option<Mailer>,
    tests: Semaphore,
    wake: Wake,
    /// Makes whoever looks what needs a person look at once.
    look: Wake,
}

impl Courier {
    /// One that hands in mail there, if anywhere.
    pub fn new(mailer: Option<Mailer>) -> Self {
        Self(Arc::new(Inner {
            webhooks: Webhooks::default(),
            mailer,
            tests: Semaphore::new(TESTS_AT_ONCE),
            wake: Wake::new(),
            look: Wake::new(),
        }))
    }

    /// Whether it can send mail.
    pub fn has_mail(&self) -> bool {
        self.0.mailer.is_some()
    }

    /// Asks a question of another program, as JSON; its answer, or why there is none, for people. The same rules hold
    /// for the address as for webhooks.
    pub async fn ask(&self, url: &str, question: Vec<u8>) -> Result<Vec<u8>, String> {
        let target = address::Target::parse(url, address::Plain::Loopback);
        let target = target.map_err(|err| err.to_string())?;
        let answer = self.0.webhooks.ask(&target, question).await;
        answer.map_err(|failure| failure.to_string())
    }

    /// Makes the driver look at once. For whoever has committed a notice; without it, it looks within
    /// seconds.
    pub fn wake(&self) {
        self.0.wake.notify();
    }
}

/// Why an attempt failed, for people, and what that says about another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    text: String,
    again: retry::Again,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            again: retry::Again::ByPlan,
        }
    }

    fn for_good(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            again: retry::Again::Never,
        }
    }
}

/// Random text by which receivers know a notice again. Not a number: a hub that was restored from a backup
/// would give the same one twice.
fn fresh_name() -> Result<String, getrandom::Error> {
    use std::fmt::Write as _;
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    }))
}

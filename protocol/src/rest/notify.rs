//! Who is told what of a workspace by webhook or mail, and what became of it.

use alloc::{string::String, vec::Vec};
use core::str::FromStr;
use serde::{Deserialize, Serialize};

use crate::{
    id::{SubscriptionId, WorkspaceId},
    time::WallTime,
};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum NoticeKind {
    /// A rollout was stopped, by its gate or by a person.
    RolloutStopped,
    /// A rollout goes no further without a person.
    RolloutWaits,
    /// A rollout went on to its next stage.
    RolloutAdvanced,
    /// A rollout reached all that it is for.
    RolloutComplete,
    /// Nothing is rolled out any more until a person allows it again.
    FleetFrozen,
    /// Something else needs a person: what the overview says.
    Attention,
    /// A rule's condition holds, still holds, or is over.
    Alert,
    /// A round of retraining asks people something, or says what it is about to do.
    Proposal,
    /// A round of retraining is over.
    Retrained,
    /// Somebody asked for it, to see whether it arrives. Goes where it was asked for, whatever the
    /// filter.
    Test,
}

impl NoticeKind {
    /// All that a subscription may ask for, in the order in which they are shown.
    pub const CHOICES: [Self; 9] = [
        Self::RolloutStopped,
        Self::RolloutWaits,
        Self::RolloutAdvanced,
        Self::RolloutComplete,
        Self::FleetFrozen,
        Self::Attention,
        Self::Alert,
        Self::Proposal,
        Self::Retrained,
    ];

    /// The kind as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RolloutStopped => "rollout-stopped",
            Self::RolloutWaits => "rollout-waits",
            Self::RolloutAdvanced => "rollout-advanced",
            Self::RolloutComplete => "rollout-complete",
            Self::FleetFrozen => "fleet-frozen",
            Self::Attention => "attention",
            Self::Alert => "alert",
            Self::Proposal => "proposal",
            Self::Retrained => "retrained",
            Self::Test => "test",
        }
    }

    /// Whether a subscription gets it unless it says otherwise: what needs a person, and that a rollout
    /// is complete.
    pub const fn is_usual(self) -> bool {
        match self {
            Self::RolloutStopped
            | Self::RolloutWaits
            | Self::RolloutComplete
            | Self::FleetFrozen
            | Self::Attention
            | Self::Alert
            | Self::Proposal
            | Self::Retrained => true,
            Self::RolloutAdvanced | Self::Test => false,
        }
    }

    /// What a subscription gets unless it says otherwise.
    pub fn usual() -> Vec<Self> {
        let all = Self::CHOICES.into_iter();
        all.filter(|kind| kind.is_usual()).collect()
    }
}

/// A text is no kind of notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a kind of notice is rollout-stopped, rollout-waits, rollout-advanced, rollout-complete, \
     fleet-frozen, attention, alert, proposal or retrained"
)]
pub struct NoNoticeKind;

impl FromStr for NoticeKind {
    type Err = NoNoticeKind;

    fn from_str(text: &str) -> Result<Self, NoNoticeKind> {
        let mut all = Self::CHOICES.into_iter().chain([Self::Test]);
        all.find(|kind| kind.word() == text).ok_or(NoNoticeKind)
    }
}

/// By which way notices go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum Channel {
    /// A signed POST to an address.
    Webhook,
    /// Mail.
    Email,
    /// A Prometheus Alertmanager, which gets alerts and nothing else.
    Alertmanager,
}

impl Channel {
    /// The way as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// Asks for notices from now on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum NewSubscription {
    /// By webhook.
    Webhook {
        /// Where to, `https://…`. What stands behind its host is a secret and never shown again. Plain
        /// `http://` is for this machine only, unless `plain` says otherwise.
        url: String,
        /// What signs it, 16 to 128 printable characters without spaces; without it the hub makes one and
        /// shows it once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<String>,
        /// Whether the address may be plain HTTP on another machine. Whoever is on the way then reads
        /// what is sent; nobody can forge it.
        #[serde(default)]
        plain: bool,
        /// What it is for, in a person's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        /// Which notices; what needs a person and what is complete if unset.
        #[serde(default = "NoticeKind::usual")]
        notices: Vec<NoticeKind>,
    },
    /// By mail.
    Email {
        /// To whom: one mail for all of them.
        addresses: Vec<String>,
        /// What it is for, in a person's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
        /// Which notices; what needs a person and what is complete if unset.
        #[serde(default = "NoticeKind::usual")]
        notices: Vec<NoticeKind>,
    },
    /// To a Prometheus Alertmanager: every alert that fires, again and again, and when it is over.
    Alertmanager {
        /// Where it is, as `https://alertmanager.example`; `/api/v2/alerts` is added. Plain `http://` as for webhooks.
        url: String,
        /// What it lets in by, as `Authorization: Bearer`; nothing if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Whether the address may be plain HTTP on another machine.
        #[serde(default)]
        plain: bool,
        /// What it is for, in a person's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        name: String,
    },
}

/// Without what is secret.
impl core::fmt::Debug for NewSubscription {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Webhook { name, notices, .. } => f
                .debug_struct("Webhook")
                .field("name", name)
                .field("notices", notices)
                .finish_non_exhaustive(),
            Self::Alertmanager { name, .. } => f
                .debug_struct("Alertmanager")
                .field("name", name)
                .finish_non_exhaustive(),
            Self::Email {
                addresses,
                name,
                notices,
            } => f
                .debug_struct("Email")
                .field("addresses", addresses)
                .field("name", name)
                .field("notices", notices)
                .finish(),
        }
    }
}

/// A receiver of notices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SubscriptionView {
    /// Its id.
    pub id: SubscriptionId,
    /// By which way.
    pub kind: Channel,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where to: addresses, or a webhook's host without what stands behind it.
    pub target: String,
    /// Which notices.
    pub notices: Vec<NoticeKind>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: WallTime,
    /// Notices that wait to be delivered.
    pub waiting: u64,
    /// Notices of the last 30 days that were given up.
    pub failed: u64,
    /// Notices that were dropped since too many waited.
    pub dropped: u64,
    /// When one last arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<WallTime>,
    /// What went wrong last, if nothing arrived since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A fresh subscription.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Subscribed {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// What signs its webhooks, if the hub made it. It is shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Without what is secret.
impl core::fmt::Debug for Subscribed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Subscribed")
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}

/// How a notice to one receiver stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum NotificationState {
    /// It is on its way, or waits to be tried again.
    Waiting,
    /// The receiver took it.
    Sent,
    /// It was tried for a day, or refused for good, and given up.
    Failed,
}

impl NotificationState {
    /// The state as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// A notice to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NotificationView {
    /// Its id, by which a receiver knows it again.
    pub id: String,
    /// To whom.
    pub subscription: SubscriptionId,
    /// Where that is, as [`SubscriptionView::target`].
    pub target: String,
    /// What it is about.
    pub kind: NoticeKind,
    /// In a line.
    pub subject: String,
    /// What happened.
    pub text: String,
    /// Where to look; without a host if the hub has no public address.
    pub link: String,
    /// When it happened.
    pub at: WallTime,
    /// How it stands.
    pub state: NotificationState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<WallTime>,
    /// When it arrived, or was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<WallTime>,
    /// What went wrong last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TestOutcome {
    /// Its id, as the receiver got it.
    pub id: String,
    /// Whether the receiver took it.
    pub arrived: bool,
    /// What came of it, in words.
    pub text: String,
}

/// The body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookBody {
    /// Version of this form: 1. Fields may be added without another number.
    pub version: u32,
    /// The same each time that this notice is sent: a receiver that has seen it drops it. It stands in
    /// the header `tern-notification` too.
    pub id: String,
    /// Where it happened.
    pub workspace: WorkspaceId,
    /// What it is about.
    pub kind: NoticeKind,
    /// In a line.
    pub subject: String,
    /// What happened.
    pub text: String,
    /// Where to look; without a host if the hub has no public address.
    pub link: String,
    /// When it happened.
    pub at: WallTime,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn kinds_are_spelled_one_way() {
        for kind in NoticeKind::CHOICES.into_iter().chain([NoticeKind::Test]) {
            let json = serde_json::to_string(&kind).expect("JSON");
            assert_eq!(json, alloc::format!("\"{}\"", kind.word()));
            assert_eq!(kind.word().parse(), Ok(kind));
            assert!(kind == NoticeKind::Test || NoNoticeKind.to_string().contains(kind.word()));
        }
        assert_eq!("other".parse::<NoticeKind>(), Err(NoNoticeKind));
    }

    #[test]
    fn what_needs_a_person_and_what_is_complete_comes_unless_told_otherwise() {
        let text = r#"{"kind":"webhook","url":"https://hooks.example/planted"}"#;
        let new: NewSubscription = serde_json::from_str(text).expect("is enough");
        let NewSubscription::Webhook { notices, .. } = &new else {
            panic!("{new:?}");
        };
        assert_eq!(notices.len(), NoticeKind::CHOICES.len() - 1);
        assert!(!notices.contains(&NoticeKind::RolloutAdvanced));
        assert!(!alloc::format!("{new:?}").contains("planted"));
        let more = r#"{"kind":"email","addresses":[],"url":"x"}"#;
        assert!(serde_json::from_str::<NewSubscription>(more).is_err());
    }
}

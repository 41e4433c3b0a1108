//! What receivers read: the body of a webhook, the text of a mail. Pure.

use tern_protocol::{
    id::WorkspaceId,
    rest::{NoticeKind, WebhookBody},
    time::WallTime,
};

use crate::access::reach::Reach;

/// Version of the body of a webhook.
const VERSION: u32 = 1;

/// Longest subject, in characters: a line of a mail program.
const SUBJECT: usize = 200;

/// Longest text, in characters: a few paragraphs.
const TEXT: usize = 4_000;

/// A notice on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// By what the receiver knows it again.
    pub(super) name: String,
    pub(super) workspace: WorkspaceId,
    pub(super) kind: NoticeKind,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) link: String,
    pub(super) at: WallTime,
}

impl Message {
    /// As webhooks carry it.
    pub(super) fn json(&self) -> Vec<u8> {
        let body = WebhookBody {
            version: VERSION,
            id: self.name.clone(),
            workspace: self.workspace.clone(),
            kind: self.kind,
            subject: self.subject.clone(),
            text: self.text.clone(),
            link: self.link.clone(),
            at: self.at,
        };
        serde_json::to_vec(&body).expect("texts and numbers are always JSON")
    }

    /// Subject of a mail.
    pub(super) fn mail_subject(&self) -> String {
        format!("[Tern {}] {}", self.workspace, self.subject)
    }

    /// Text of a mail.
    pub(super) fn mail_text(&self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.at.0).unwrap_or_default();
        let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
        format!(
            "{}\n\n{}\n\n--\nWorkspace {}, {}, {at}\n",
            self.text,
            self.link,
            self.workspace,
            self.kind.word()
        )
    }
}

/// A subject as it is stored: one line, bounded, since texts of devices and people may be part of it and it
/// becomes a header.
pub(super) fn subject(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(SUBJECT).collect()
}

/// A text as it is stored.
pub(super) fn text(text: &str) -> String {
    let shown = text.chars().filter(|c| *c == '\n' || !c.is_control());
    shown.take(TEXT).collect()
}

/// Where a page of the workspace is: absolute where the hub knows its public address.
pub fn link(reach: &Reach, workspace: &WorkspaceId, path: &str) -> String {
    let hub = reach.https().into_iter().next().unwrap_or_default();
    let path = if path == "/" { "" } else { path };
    format!("{hub}/w/{workspace}{path}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::reach::Ports;

    #[test]
    fn links_are_absolute_where_the_hub_is_known() {
        let reach = Reach::new(vec!["hub.example".into()]);
        let workspace = "plant-2".parse().expect("a name");
        assert_eq!(link(&reach, &workspace, "/"), "/w/plant-2");
        let (https, mqtt) = (8443, None);
        reach.listening(Ports { https, mqtt });
        let whole = link(&reach, &workspace, "/rollouts/12");
        assert_eq!(whole, "https://hub.example:8443/w/plant-2/rollouts/12");
    }

    #[test]
    fn what_receivers_read() {
        let message = Message {
            name: "5f0c".into(),
            workspace: "default".parse().expect("a name"),
            kind: NoticeKind::RolloutStopped,
            subject: "Rollout 12 was stopped".into(),
            text: "Accuracy fell by 3 points.".into(),
            link: "https://hub.example/w/default/rollouts/12".into(),
            at: WallTime(1_764_000_000_000),
        };
        let json = String::from_utf8(message.json()).expect("text");
        insta::assert_snapshot!(json, @r#"{"version":1,"id":"5f0c","workspace":"default","kind":"rollout-stopped","subject":"Rollout 12 was stopped","text":"Accuracy fell by 3 points.","link":"https://hub.example/w/default/rollouts/12","at":1764000000000}"#);
        insta::assert_snapshot!(message.mail_text(), @r"
        Accuracy fell by 3 points.

        https://hub.example/w/default/rollouts/12

        --
        Workspace default, rollout-stopped, 2025-11-24 16:00:00 UTC
        ");
    }

    proptest! {
        #[test]
        fn a_subject_is_one_bounded_line(said: String) {
            let kept = subject(&said);
            prop_assert!(kept.chars().count() <= SUBJECT && !kept.chars().any(char::is_control));
            prop_assert!(text(&said).chars().count() <= TEXT);
        }
    }
}

//! Invitations and identities.

use tern_protocol::{
    rest::{IdentityState, IdentityView, InvitationView, Invited},
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{date, one_line, things},
};

/// State as a word, which is also what the hub's query takes.
pub(crate) const fn state_word(state: IdentityState) -> &'static str {
    match state {
        IdentityState::Pending => "pending",
        IdentityState::Active => "active",
        IdentityState::Superseded => "superseded",
        IdentityState::Rejected => "rejected",
        IdentityState::Revoked => "revoked",
    }
}

/// A fresh invitation: the token and what to do with it.
pub(crate) fn invited(invited: &Invited, now: WallTime) -> String {
    let view = &invited.invitation;
    let mut text = format!(
        "invitation {}: {} may join, {}\n",
        view.id,
        things(u64::from(view.uses), "device"),
        standing(view, now)
    );
    if view.approval {
        text += "they wait until somebody accepts them: tern device pending\n";
    }
    text += "on the device:\n\n";
    text += &format!(
        "tern-agent join --config agent.toml {}\n\n",
        one_line(&invited.token)
    );
    text += "the token is shown this once; whoever has it can join\n";
    text
}

/// How an invitation stands.
fn standing(view: &InvitationView, now: WallTime) -> String {
    if view.revoked_at.is_some() {
        "revoked".into()
    } else if view.expires_at <= now {
        "expired".into()
    } else if view.used >= view.uses {
        "used up".into()
    } else {
        format!("until {}", date(view.expires_at))
    }
}

/// All invitations.
pub(crate) fn invitations(all: &[InvitationView], now: WallTime, look: Look) -> String {
    let headings = ["ID", "USED", "GOOD", "SITE", "DEVICE", "APPROVAL", "BY"];
    let mut table = Table::new(look, &headings);
    for view in all {
        table.row([
            Cell::number(view.id.to_string()),
            Cell::number(format!("{}/{}", view.used, view.uses)),
            standing(view, now).into(),
            Cell::or_none(view.site.as_ref()),
            Cell::or_none(view.device.as_ref()),
            if view.approval { "yes" } else { "no" }.into(),
            view.created_by.as_str().into(),
        ]);
    }
    table.text()
}

/// Identities of devices.
pub(crate) fn identities(all: &[IdentityView], now: WallTime, look: Look) -> String {
    let headings = ["ID", "DEVICE", "STATE", "KEY", "CERTIFICATE", "FROM", "WHY"];
    let mut table = Table::new(look, &headings);
    for view in all {
        let tone = match view.state {
            IdentityState::Pending => Tone::Busy,
            IdentityState::Active => Tone::Good,
            IdentityState::Superseded => Tone::Quiet,
            IdentityState::Rejected | IdentityState::Revoked => Tone::Bad,
        };
        let certificate = view.certificate.as_ref().map(|it| {
            let word = if it.not_after <= now {
                "expired"
            } else {
                "until"
            };
            format!("{word} {}", date(it.not_after))
        });
        table.row([
            Cell::number(view.id.to_string()),
            view.device.to_string().into(),
            Cell::toned(state_word(view.state), tone),
            view.key
                .to_string()
                .chars()
                .take(12)
                .collect::<String>()
                .into(),
            Cell::or_none(certificate),
            view.joined_from.as_str().into(),
            view.reason.as_str().into(),
        ]);
    }
    table.text()
}

/// What a verdict led to.
pub(crate) fn judged(view: &IdentityView) -> String {
    let word = state_word(view.state);
    format!("identity {} of {} is {word}", view.id, view.device)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(1_800_000_000_000);

    fn invitation(rest: &str) -> InvitationView {
        let text = format!(
            r#"{{"id":7,"site":"harbour","labels":{{}},"uses":5,"used":2,"approval":true,
            "created_by":"user ada","created_at":1,{rest}}}"#
        );
        serde_json::from_str(&text).expect("an invitation")
    }

    #[test]
    fn an_invitation_says_the_command_to_paste() {
        let text = invited(
            &Invited {
                invitation: invitation(r#""expires_at":1800086400000"#),
                token: "tern-join-1-x".into(),
            },
            NOW,
        );
        assert!(
            text.contains("\ntern-agent join --config agent.toml tern-join-1-x\n"),
            "{text}"
        );
        assert!(text.contains("5 devices may join"), "{text}");
        assert!(text.contains("tern device pending"), "{text}");
    }

    #[test]
    fn how_an_invitation_stands() {
        for (rest, word) in [
            (r#""expires_at":1800086400000"#, "until "),
            (r#""expires_at":1"#, "expired"),
            (r#""expires_at":1800086400000,"revoked_at":2"#, "revoked"),
        ] {
            let text = invitations(&[invitation(rest)], NOW, Look::PLAIN);
            assert!(text.contains(word), "{text}");
            assert!(text.contains("2/5"), "{text}");
        }
    }

    #[test]
    fn a_device_cannot_write_to_the_terminal() {
        let text = format!(
            r#"{{"id":3,"device":"meter-01","state":"pending","reason":"\u001b[2Jnew key",
            "key":"{}","labels":{{}},"invitation":7,"joined_at":1,"joined_from":"10.0.0.9"}}"#,
            tern_protocol::digest::Digest::of(b"key")
        );
        let view: IdentityView = serde_json::from_str(&text).expect("an identity");
        let text = identities(&[view], NOW, Look::PLAIN);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(
            text.contains("meter-01") && text.contains("pending"),
            "{text}"
        );
    }
}

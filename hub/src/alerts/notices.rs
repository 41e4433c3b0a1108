//! What receivers read of alerts. Pure.

use std::fmt::Write as _;

use tern_protocol::{
    id::{AlertId, RuleName},
    rest::{AlertFacts, AlertSeverity, NoticeKind},
    time::WallTime,
};

use super::round::{Bundle, Told};
use crate::notify::Notice;

/// Alerts that one notice names; of more it says how many.
const NAMED: usize = 20;

/// An alert of a notice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) id: AlertId,
    pub(super) rule: &'a RuleName,
    pub(super) severity: AlertSeverity,
    pub(super) since: WallTime,
    pub(super) facts: &'a AlertFacts,
}

/// The notice of alerts that are told together; nothing of none.
pub(super) fn notice(
    told: Told,
    bundle: &Bundle,
    members: &[Member],
    now: WallTime,
) -> Option<Notice> {
    let first = members.first()?;
    let worst = members.iter().map(|one| one.severity).min()?;
    let sign = match told {
        Told::Firing => worst.word(),
        Told::Over => "over",
    };
    let (subject, text, link_path) = if let [one] = members {
        let subject = format!("{sign}: {}", one.facts.summary);
        (subject, whole(told, one), format!("/alerts/{}", one.id))
    } else {
        let of = match bundle {
            Bundle::Site(site) => format!("at {site}"),
            Bundle::Rule(_) | Bundle::One(_) => format!("by rule {}", first.rule),
        };
        let subject = format!("{sign}: {} alerts {of}", members.len());
        (subject, list(told, members), "/alerts".into())
    };
    let word = match told {
        Told::Firing => "firing",
        Told::Over => "over",
    };
    Some(Notice {
        kind: NoticeKind::Alert,
        subject,
        text,
        link_path,
        at: now,
        // Each time that it is told it is another notice.
        key: format!("alert/{word}/{}/{}", first.id, now.0),
    })
}

fn whole(told: Told, one: &Member) -> String {
    let facts = one.facts;
    let mut text = format!("{}.\n\nSince {}.", facts.summary, utc(one.since));
    // Writing to a String cannot fail.
    if facts.of_devices > 0 {
        let _ = write!(text, " {} of {} devices.", facts.devices, facts.of_devices);
    }
    match told {
        Told::Over => text.push_str(" It is over now."),
        Told::Firing => {
            let _ = write!(
                text,
                "\n\nEvidence: {}.\n\nWhat to do: {}.\n\nSay that you know, and it is not told again:\n\n    \
                 tern alert ack {}",
                facts.evidence, facts.action, one.id
            );
        }
    }
    text
}

fn list(told: Told, members: &[Member]) -> String {
    let mut text = String::new();
    for one in members.iter().take(NAMED) {
        let facts = one.facts;
        let _ = write!(
            text,
            "- #{} {}, since {}",
            one.id,
            facts.summary,
            utc(one.since)
        );
        if told == Told::Firing && facts.of_devices > 0 {
            let _ = write!(text, " ({} of {} devices)", facts.devices, facts.of_devices);
        }
        text.push('\n');
    }
    if members.len() > NAMED {
        let _ = writeln!(text, "- and {} more", members.len() - NAMED);
    }
    if told == Told::Firing
        && let Some(first) = members.first()
    {
        let _ = write!(
            text,
            "\nWhat to do: {}.\n\nSee one with its evidence:\n\n    tern alert show {}",
            first.facts.action, first.id
        );
    }
    text
}

fn utc(at: WallTime) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn facts(summary: &str) -> AlertFacts {
        AlertFacts {
            labels: BTreeMap::new(),
            summary: summary.into(),
            evidence: "12.4 % of 1204 requests".into(),
            action: "take the version back".into(),
            measured: None,
            devices: 9,
            of_devices: 12,
            finding: None,
        }
    }

    #[test]
    fn one_says_all_and_many_are_a_list() {
        let rule: RuleName = "errors".parse().expect("a name");
        let (a, b) = (
            facts("errors at harbour: 12.4 %"),
            facts("errors at hill: 7 %"),
        );
        let member = |id, facts| Member {
            id: AlertId(id),
            rule: &rule,
            severity: AlertSeverity::Page,
            since: WallTime(1_764_000_000_000),
            facts,
        };
        let bundle = Bundle::Rule(rule.clone());
        let now = WallTime(1_764_000_300_000);
        let one = notice(Told::Firing, &bundle, &[member(7, &a)], now).expect("a notice");
        assert_eq!(one.subject, "page: errors at harbour: 12.4 %");
        assert_eq!(one.link_path, "/alerts/7");
        insta::assert_snapshot!(one.text, @r"
        errors at harbour: 12.4 %.

        Since 2025-11-24 16:00:00 UTC. 9 of 12 devices.

        Evidence: 12.4 % of 1204 requests.

        What to do: take the version back.

        Say that you know, and it is not told again:

            tern alert ack 7
        ");
        let both = [member(7, &a), member(8, &b)];
        let two = notice(Told::Firing, &bundle, &both, now).expect("a notice");
        assert_eq!(two.subject, "page: 2 alerts by rule errors");
        assert!(two.text.contains("#8 errors at hill: 7 %"), "{}", two.text);
        let over = notice(Told::Over, &bundle, &both[..1], now).expect("a notice");
        assert!(
            over.subject.starts_with("over: ") && over.text.ends_with("It is over now."),
            "{over:?}"
        );
        assert_ne!(over.key, one.key);
        assert_eq!(notice(Told::Over, &bundle, &[], now), None);
    }
}

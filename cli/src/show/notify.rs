//! Who is told what, and what became of it.

use tern_protocol::{
    rest::{NotificationState, NotificationView, SubscriptionView, TestOutcome},
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{ago, count, one_line},
};

/// `tern notify list`.
pub(crate) fn subscriptions(all: &[SubscriptionView], now: WallTime, look: Look) -> String {
    let headings = [
        "ID", "TO", "NAME", "ON", "ARRIVED", "WAITING", "FAILED", "DROPPED", "TROUBLE",
    ];
    let mut table = Table::new(look, &headings);
    for one in all {
        let notices: Vec<_> = one.notices.iter().map(|kind| kind.word()).collect();
        let tone = |number: u64, tone| {
            let tone = if number > 0 { tone } else { Tone::Quiet };
            Cell::toned(count(number), tone).right()
        };
        let trouble = one.error.as_deref().map(one_line);
        table.row([
            Cell::number(one.id.to_string()),
            Cell::toned(one.target.as_str(), Tone::Strong),
            Cell::or_none((!one.name.is_empty()).then_some(&one.name)),
            notices.join(" ").into(),
            Cell::or_none(one.sent_at.map(|at| ago(at, now))),
            tone(one.waiting, Tone::Busy),
            tone(one.failed, Tone::Bad),
            tone(one.dropped, Tone::Bad),
            trouble.map_or_else(
                || Cell::or_none(None::<String>),
                |text| Cell::toned(text, Tone::Bad),
            ),
        ]);
    }
    table.text()
}

/// `tern notify log`.
pub(crate) fn notices(all: &[NotificationView], now: WallTime, look: Look) -> String {
    let headings = [
        "WHEN", "TO", "KIND", "SUBJECT", "STATE", "ATTEMPTS", "ERROR",
    ];
    let mut table = Table::new(look, &headings);
    for one in all {
        let tone = match one.state {
            NotificationState::Waiting => Tone::Busy,
            NotificationState::Sent => Tone::Good,
            NotificationState::Failed => Tone::Bad,
        };
        table.row([
            ago(one.at, now).into(),
            format!("{} {}", one.subscription, one.target).into(),
            one.kind.word().into(),
            one_line(&one.subject).into(),
            Cell::toned(one.state.word(), tone),
            Cell::number(one.attempts.to_string()),
            Cell::or_none(one.error.as_deref().map(one_line)),
        ]);
    }
    table.text()
}

/// What came of a test.
pub(crate) fn outcome(outcome: &TestOutcome, look: Look) -> String {
    let tone = if outcome.arrived {
        Tone::Good
    } else {
        Tone::Bad
    };
    tone.paint(&one_line(&outcome.text), look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_and_notices_line_up() {
        let now = WallTime(1_800_000_000_000);
        let all: Vec<SubscriptionView> = serde_json::from_str(
            r#"[{"id":1,"kind":"webhook","target":"https://hooks.example/…","notices":
            ["rollout-stopped","attention"],"created_by":"user ada","created_at":1,"waiting":0,"failed":0,
            "dropped":0,"sent_at":1799999940000},
            {"id":2,"kind":"email","name":"night","target":"ada@example.org","notices":["attention"],
            "created_by":"user ada","created_at":1,"waiting":2,"failed":1,"dropped":0,
            "error":"mail: refused"}]"#,
        )
        .expect("subscriptions");
        insta::assert_snapshot!(subscriptions(&all, now, Look::PLAIN), @r"
        ID  TO                       NAME   ON                         ARRIVED    WAITING  FAILED  DROPPED  TROUBLE
         1  https://hooks.example/…  –      rollout-stopped attention  1 min ago        0       0        0  –
         2  ada@example.org          night  attention                  –                2       1        0  mail: refused
        ");
        let all: Vec<NotificationView> = serde_json::from_str(
            r#"[{"id":"5f","subscription":2,"target":"ada@example.org","kind":"rollout-stopped",
            "subject":"Rollout 12 was stopped","text":"","link":"/w/default","at":1799999940000,
            "state":"waiting","attempts":3,"due_at":1800000000000,"error":"mail: refused"}]"#,
        )
        .expect("notices");
        insta::assert_snapshot!(notices(&all, now, Look::PLAIN), @r"
        WHEN       TO                 KIND             SUBJECT                 STATE    ATTEMPTS  ERROR
        1 min ago  2 ada@example.org  rollout-stopped  Rollout 12 was stopped  waiting         3  mail: refused
        ");
    }
}

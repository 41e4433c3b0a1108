//! Alerts, their rules and silences.

use tern_protocol::{
    rest::{
        AlertDetail, AlertRuleView, AlertSeverity, AlertState, AlertView, RuleCheck, RulesApplied,
        SilenceView,
    },
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{ago, count, one_line, second},
};

fn state(one: &AlertView) -> Cell {
    match (one.state, &one.acknowledged, one.silenced_by) {
        (AlertState::Resolved, ..) => Cell::toned("resolved", Tone::Good),
        (AlertState::Pending, ..) => Cell::toned("pending", Tone::Busy),
        (AlertState::Firing, _, Some(_)) => Cell::toned("firing, silenced", Tone::Quiet),
        (AlertState::Firing, Some(_), None) => Cell::toned("firing, acknowledged", Tone::Busy),
        (AlertState::Firing, None, None) => Cell::toned("firing", Tone::Bad),
    }
}

fn severity(one: AlertSeverity) -> Cell {
    let tone = match one {
        AlertSeverity::Page => Tone::Bad,
        AlertSeverity::Ticket => Tone::Busy,
        AlertSeverity::Info => Tone::Quiet,
    };
    Cell::toned(one.word(), tone)
}

/// `tern alert list`.
pub(crate) fn alerts(all: &[AlertView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(
        look,
        &[
            "ID", "STATE", "SEVERITY", "RULE", "SINCE", "DEVICES", "WHAT",
        ],
    );
    for one in all {
        table.row([
            Cell::number(one.id.to_string()),
            state(one),
            severity(one.severity),
            one.rule.as_str().into(),
            ago(one.since, now).into(),
            Cell::number(format!(
                "{} / {}",
                count(one.facts.devices),
                count(one.facts.of_devices)
            )),
            one_line(&one.facts.summary).into(),
        ]);
    }
    table.text()
}

/// `tern alert show`.
pub(crate) fn detail(detail: &AlertDetail, now: WallTime, look: Look) -> String {
    let one = &detail.alert;
    let mut text = format!(
        "{}\n",
        Tone::Strong.paint(&one_line(&one.facts.summary), look)
    );
    let mut facts = Facts::new(look);
    let tone = match one.state {
        AlertState::Firing => Tone::Bad,
        AlertState::Pending => Tone::Busy,
        AlertState::Resolved => Tone::Good,
    };
    facts.toned("state", one.state.word(), tone);
    facts.fact("severity", one.severity.word());
    facts.fact("rule", one.rule.as_str());
    facts.fact(
        "since",
        format!("{} ({})", second(one.since), ago(one.since, now)),
    );
    if let Some(resolved) = one.resolved {
        facts.fact(
            "over",
            format!("{} ({})", second(resolved), ago(resolved, now)),
        );
    }
    if let Some(end) = &one.end {
        facts.fact("because", end);
    }
    facts.fact(
        "affected",
        format!(
            "{} of {} devices",
            count(one.facts.devices),
            count(one.facts.of_devices)
        ),
    );
    facts.fact("evidence", &one.facts.evidence);
    facts.fact("what to do", &one.facts.action);
    if let Some(known) = &one.acknowledged {
        let comment = if known.comment.is_empty() {
            String::new()
        } else {
            format!(": {}", known.comment)
        };
        facts.fact(
            "known to",
            format!("{}{comment}, {}", known.by, ago(known.at, now)),
        );
    }
    if let Some(silence) = one.silenced_by {
        facts.fact("silenced by", format!("silence {silence}"));
    }
    if let Some(told) = one.told {
        facts.fact("last told", ago(told, now));
    }
    let labels: Vec<_> = one
        .facts
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    facts.fact("labels", labels.join(" "));
    text += &facts.text();
    let mut table = Table::new(look, &["WHEN", "WHAT", "MORE"]);
    for event in &detail.history {
        table.row([
            second(event.at).into(),
            event.what.word().into(),
            one_line(&event.text).into(),
        ]);
    }
    format!("{text}\n{}", table.text())
}

/// `tern alert silence list`.
pub(crate) fn silences(all: &[SilenceView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(
        look,
        &["ID", "STATE", "MATCHES", "UNTIL", "HOLDS BACK", "BY", "WHY"],
    );
    for one in all {
        let state = if one.until <= now {
            Cell::toned("over", Tone::Quiet)
        } else if one.from > now {
            Cell::toned("to come", Tone::Busy)
        } else {
            Cell::toned("holds", Tone::Good)
        };
        let matchers: Vec<_> = one.matchers.iter().map(ToString::to_string).collect();
        table.row([
            Cell::number(one.id.to_string()),
            state,
            one_line(&matchers.join(" ")).into(),
            second(one.until).into(),
            Cell::number(count(one.alerts)),
            one_line(&one.by).into(),
            Cell::or_none((!one.comment.is_empty()).then(|| one_line(&one.comment))),
        ]);
    }
    table.text()
}

/// `tern alert rules list`.
pub(crate) fn rules(all: &[AlertRuleView], now: WallTime, look: Look) -> String {
    let mut table = Table::new(
        look,
        &[
            "NAME", "SEVERITY", "FROM", "FIRING", "PENDING", "CHANGED", "BY",
        ],
    );
    for one in all {
        let off = if one.rule.enabled { "" } else { ", off" };
        let tone = if one.firing > 0 {
            Tone::Bad
        } else {
            Tone::Quiet
        };
        table.row([
            Cell::toned(one.rule.name.as_str(), Tone::Strong),
            severity(one.rule.severity),
            format!("{}{off}", one.origin.word()).into(),
            Cell::toned(count(one.firing), tone).right(),
            Cell::number(count(one.pending)),
            Cell::or_none(one.updated.map(|at| ago(at, now))),
            Cell::or_none(one.by.as_deref().map(one_line)),
        ]);
    }
    table.text()
}

/// `tern alert rules check`.
pub(crate) fn check(check: &RuleCheck, look: Look) -> String {
    let mut text = String::new();
    for problem in &check.problems {
        text += &format!(
            "{}\n",
            Tone::Bad.paint(&one_line(&problem.to_string()), look)
        );
    }
    for would in &check.now {
        let name = Tone::Strong.paint(would.rule.as_str(), look);
        if would.summaries.is_empty() {
            text += &format!("{name}: {}\n", Tone::Good.paint("nothing now", look));
        }
        for summary in &would.summaries {
            text += &format!("{name}: {}\n", Tone::Bad.paint(&one_line(summary), look));
        }
    }
    text
}

/// `tern alert rules apply`.
pub(crate) fn applied(applied: &RulesApplied, look: Look) -> String {
    let mut text = String::new();
    for (word, names) in [
        ("written", &applied.written),
        ("unchanged", &applied.unchanged),
        ("removed", &applied.removed),
    ] {
        for name in names {
            text += &format!("{} {name}\n", Tone::Quiet.paint(&format!("{word:9}"), look));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"id":7,"rule":"errors","severity":"page","state":"firing","labels":{"site":"harbour"},
        "summary":"errors at harbour: 12.4 %, above 5.0 % over 15m","evidence":"12.4 % of 1204 requests",
        "action":"take the version back","devices":9,"of_devices":12,"since":1799999940000,"fired":1799999990000,
        "acknowledged":{"by":"user ada","at":1799999999000,"comment":"on it"},
        "history":[{"at":1799999940000,"what":"pending","text":"errors at harbour"}]}"#;

    #[test]
    fn an_alert_says_all_that_is_known() {
        let now = WallTime(1_800_000_000_000);
        let whole: AlertDetail = serde_json::from_str(ONE).expect("an alert");
        insta::assert_snapshot!(alerts(std::slice::from_ref(&whole.alert), now, Look::PLAIN), @r"
        ID  STATE                 SEVERITY  RULE    SINCE      DEVICES  WHAT
         7  firing, acknowledged  page      errors  1 min ago   9 / 12  errors at harbour: 12.4 %, above 5.0 % over 15m
        ");
        insta::assert_snapshot!(detail(&whole, now, Look::PLAIN), @r"
        errors at harbour: 12.4 %, above 5.0 % over 15m
          state       firing
          severity    page
          rule        errors
          since       2027-01-15 07:59:00 UTC (1 min ago)
          affected    9 of 12 devices
          evidence    12.4 % of 1204 requests
          what to do  take the version back
          known to    user ada: on it, 1 s ago
          labels      site=harbour

        WHEN                     WHAT     MORE
        2027-01-15 07:59:00 UTC  pending  errors at harbour
        ");
    }
}

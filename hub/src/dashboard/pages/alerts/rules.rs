//! `/alerts/rules`: rules and how they stand, and the file that says them.

use maud::{Markup, html};
use tern_protocol::rest::{AlertCondition, AlertRuleView, RuleOrigin};

use super::{Tab, page as around, severity};
use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Ask, Reason},
        format,
        layout::Frame,
        parts,
    },
};

/// What a workspace without rules of its own begins with.
const EXAMPLE: &str = "\
rules:
  - name: harbour-errors
    severity: ticket
    for: 5m
    when:
      metric:
        of: errors
        site: harbour
        above: 2%
";

/// The page. `text` is the file of the rules that were made or changed here.
pub(in crate::dashboard) fn page(frame: Frame, rules: &[AlertRuleView], text: &str) -> Markup {
    let below =
        html! { span #count data-live { b { (format::count(rules.len() as u64)) } " rules" } };
    let text = if text.is_empty() { EXAMPLE } else { text };
    let content = html! {
        div #rules.card.flush data-live { (table(frame, rules)) }
        @if frame.may(Permission::Operate) {
            section.card aria-labelledby="editor-title" {
                h2 #editor-title { "Write rules" }
                p.dim { "YAML or JSON, as " code { "tern alert rules apply FILE" } " takes it. A rule of the same name takes the place of one above; "
                    code { "enabled: false" } " turns one off." }
                form.form method="post" data-send=(frame.scope.api("/alerts/rules/apply")) data-done="Applied." data-list="rule-problems" {
                    (form::field("rule-text", "Rules of this workspace", "", &html! {
                        textarea.code id="rule-text" name="text" rows="18" required spellcheck="false" autocapitalize="none"
                            aria-describedby=(form::described("rule-text", "")) { (text) }
                    }))
                    (form::check("prune", "prune", "Rules of this workspace that are not in it go"))
                    ul.problems #rule-problems aria-live="polite" {}
                    div.buttons {
                        button type="button" data-check=(frame.scope.api("/alerts/rules/check")) { "Check" }
                        button.primary type="submit" { "Apply" }
                    }
                    (form::answer("rules-answer"))
                }
            }
            (Ask {
                id: "remove",
                question: "Remove",
                text: "What it found ends now. A rule that every workspace has is as it comes again.",
                act: "Remove",
                done: "Removed.",
                reason: Reason::None,
                show: None,
            }.draw())
        }
    };
    around(frame, Tab::Rules, &below, &content)
}

fn table(frame: Frame, rules: &[AlertRuleView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Rule" }
                th scope="col" { "Severity" }
                th scope="col" { "Looks at" }
                th.end scope="col" { "Firing" }
                th.end scope="col" { "Pending" }
                th scope="col" { "From" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for one in rules {
                    @let name = &one.rule.name;
                    tr data-key=(name) {
                        th scope="row" { (name) @if !one.rule.enabled { " " span.chip { "off" } } }
                        td data-name="Severity" { (severity(one.rule.severity)) }
                        td data-name="Looks at" { (looks_at(&one.rule.when)) }
                        td.end data-name="Firing" { (format::count(one.firing)) }
                        td.end data-name="Pending" { (format::count(one.pending)) }
                        td data-name="From" { div {
                            (one.origin.word())
                            @if let (Some(by), Some(at)) = (&one.by, one.updated) { span.dim.text { " · " (by) " " } (parts::ago(at)) }
                        } }
                        td.end data-name="" {
                            @if one.origin != RuleOrigin::Default && frame.may(Permission::Operate) {
                                button.danger.small type="button" data-ask="remove" data-method="DELETE" data-what={ "rule " (name) }
                                    data-send=(frame.scope.api(&format!("/alerts/rules/{name}")))
                                    aria-label={ "Remove rule " (name) } { "Remove …" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn looks_at(when: &AlertCondition) -> String {
    match when {
        AlertCondition::Finding(_) => "findings".into(),
        AlertCondition::Silence(of) => {
            format!("silence for {} of more than {}", of.after, of.above)
        }
        AlertCondition::Metric(of) => {
            let metric = serde_json::to_value(of.of).ok();
            let metric = metric
                .and_then(|word| Some(word.as_str()?.to_owned()))
                .unwrap_or_default();
            match (of.above, of.below) {
                (Some(above), _) => format!("{metric} above {above} over {}", of.window),
                (None, Some(below)) => format!("{metric} below {below} over {}", of.window),
                (None, None) => metric,
            }
        }
    }
}

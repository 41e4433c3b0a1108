//! `/alerts/{id}`: one alert, its evidence, what to do, and what happened to it.

use maud::{Markup, html};
use tern_protocol::rest::{AlertDetail, AlertState, AlertView, Measured};

use super::{severity, state};
use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Input},
        format,
        layout::{self, Frame, Room},
        parts,
    },
};

/// Labels that a silence is offered for, the narrowest first.
const NARROW: [&str; 4] = ["finding", "site", "version", "model"];

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, detail: &AlertDetail) -> Markup {
    let one = &detail.alert;
    let scope = frame.scope;
    let below = html! { span #state data-live { (state(one)) " " (severity(one.severity)) } };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/alerts")) { "Alerts" } " / " (one.id) }
        (layout::heading(&html! { "Alert " (one.id) ": " (one.rule) }, &below, &html! {}))
        (form::answer("answer"))
        div.grid.wide-narrow {
            section.card aria-labelledby="evidence-title" {
                h2 #evidence-title { "Evidence" }
                div #evidence data-live { (evidence(frame, one)) }
            }
            @if frame.may(Permission::Operate) {
                section.card aria-labelledby="act-title" {
                    h2 #act-title { "Actions" }
                    @if one.state == AlertState::Resolved { p.dim { "The alert is resolved: nothing to do." } }
                    @else { (acknowledge(frame, one)) (silence(frame, one)) }
                }
            }
        }
        section aria-labelledby="history-title" {
            h2.apart #history-title { "History" }
            div #history.card.flush data-live { (history(detail)) }
        }
    };
    layout::page(frame, Room::Alerts, &format!("Alert {}", one.id), &main)
}

fn evidence(frame: Frame, one: &AlertView) -> Markup {
    let facts = &one.facts;
    html! {
        p.text { b { (facts.summary) } }
        p.text { (facts.evidence) }
        @if let Some(measured) = &facts.measured { (gauge(measured)) }
        dl.facts {
            (parts::fact("What to do", &html! { span.text { (facts.action) } }))
            (parts::fact("Affected", &html! {
                (format::count(facts.devices)) span.dim { " of " (format::count(facts.of_devices)) " devices" }
            }))
            (parts::fact("Since", &parts::ago(one.since)))
            @if let Some(fired) = one.fired { (parts::fact("Firing since", &parts::ago(fired))) }
            @if let Some(resolved) = one.resolved { (parts::fact("Resolved", &parts::ago(resolved))) }
            @if let Some(end) = &one.end { (parts::fact("Resolved by", &html! { span.text { (end) } })) }
            @if let Some(told) = one.told { (parts::fact("Last notified", &parts::ago(told))) }
            @if let Some(known) = &one.acknowledged {
                (parts::fact("Acknowledged by", &html! {
                    span.text { (known.by) } " " (parts::ago(known.at))
                    @if !known.comment.is_empty() { span.dim.text { " · " (known.comment) } }
                }))
            }
            @if let Some(silence) = one.silenced_by {
                (parts::fact("Silenced by", &html! { a href=(frame.scope.page("/alerts/silences")) { "silence " (silence) } }))
            }
            (parts::fact("Labels", &html! { @for (name, value) in &facts.labels { span.chip { (name) "=" (value) } " " } }))
        }
    }
}

/// Value, interval and level on one line of numbers.
fn gauge(measured: &Measured) -> Markup {
    const WIDTH: f64 = 320.0;
    let ends = [
        Some(measured.value),
        Some(measured.level),
        measured.low,
        measured.high,
    ];
    let most = ends
        .into_iter()
        .flatten()
        .filter(|end| end.is_finite())
        .fold(0.0, f64::max);
    if most <= 0.0 {
        return html! {};
    }
    let x = |value: f64| format!("{:.1}", (value / (most * 1.15) * WIDTH).clamp(0.0, WIDTH));
    let in_unit = |value| format::in_unit(value, &measured.unit);
    let label = format!(
        "measured {}, compared with {}",
        in_unit(measured.value),
        in_unit(measured.level)
    );
    html! {
        svg.growth.level viewBox={ "0 0 " (WIDTH) " 34" } role="img" aria-label=(label) {
            line.zero x1="0" x2=(WIDTH) y1="17" y2="17" {}
            @if let (Some(low), Some(high)) = (measured.low, measured.high) {
                polygon.band points={ (x(low)) ",10 " (x(high)) ",10 " (x(high)) ",24 " (x(low)) ",24" } {}
            }
            line.line x1=(x(measured.value)) x2=(x(measured.value)) y1="6" y2="28" {}
            line.allowed x1=(x(measured.level)) x2=(x(measured.level)) y1="2" y2="32" {}
        }
        p.small.dim { "Solid: measured, " (in_unit(measured.value)) ". Dashed: the level, " (in_unit(measured.level)) "." }
    }
}

fn acknowledge(frame: Frame, one: &AlertView) -> Markup {
    html! {
        form.form method="post" data-send=(frame.scope.api(&format!("/alerts/{}/acknowledge", one.id)))
            data-done="Acknowledged: it is not told again until it is over." data-answer="answer" data-reset {
            (Input { id: "ack-comment", name: "comment", label: "I know of it because", ..Input::default() }.draw())
            div.buttons { button.primary type="submit" { "Acknowledge" } }
        }
    }
}

/// A silence of what is like this one.
fn silence(frame: Frame, one: &AlertView) -> Markup {
    let labels = &one.facts.labels;
    let mut matchers = vec![format!("rule={}", one.rule)];
    let narrow = NARROW
        .into_iter()
        .find_map(|name| labels.get(name).map(|value| format!("{name}={value}")));
    matchers.extend(narrow);
    let matchers = matchers.join(", ");
    html! { (form_of_silence(frame, &matchers)) }
}

/// The form that makes a silence.
pub(super) fn form_of_silence(frame: Frame, matchers: &str) -> Markup {
    html! {
        form.form method="post" data-send=(frame.scope.api("/alerts/silences")) data-done="Silenced." data-wrong="matchers"
            data-answer="answer" {
            (Input {
                id: "matchers", name: "matchers", label: "Silence what matches", required: true, json: Some("list"),
                value: Some(matchers), hint: "All of it, apart by commas: site=harbour, version=1*, model!=digits.", ..Input::default()
            }.draw())
            (form::select("lasting", "lasting", "For", None, &[("1h", "an hour"), ("4h", "4 hours"), ("1d", "a day"), ("7d", "a week"), ("30d", "30 days")]))
            (Input { id: "silence-comment", name: "comment", label: "Why", ..Input::default() }.draw())
            div.buttons { button type="submit" { "Silence" } }
        }
    }
}

fn history(detail: &AlertDetail) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "More" } } }
            tbody {
                @for (index, event) in detail.history.iter().enumerate() {
                    tr data-key=(index) {
                        th scope="row" { (parts::ago(event.at)) }
                        td data-name="What" { (event.what.word()) }
                        td data-name="More" { span.text { (event.text) } }
                    }
                }
            }
        }
    }
}

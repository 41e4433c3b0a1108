//! `/alerts`: alerts by state, narrowed to some.

use maud::{Markup, html};
use tern_protocol::rest::{AlertSeverity, AlertState, AlertView, Page};

use super::{Tab, page as around, severity, state};
use crate::{
    access::role::Permission,
    dashboard::{format, layout::Frame, parts, scope::query},
};

/// What the list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(in crate::dashboard) struct Filter {
    /// In this state; those that are not over if absent.
    pub(in crate::dashboard) state: Option<AlertState>,
    /// Of this severity.
    pub(in crate::dashboard) severity: Option<AlertSeverity>,
    /// By this rule.
    pub(in crate::dashboard) rule: Option<String>,
    /// Of this model.
    pub(in crate::dashboard) model: Option<String>,
    /// At this site.
    pub(in crate::dashboard) site: Option<String>,
}

impl Filter {
    fn is_any(&self) -> bool {
        self.state.is_some()
            || self.severity.is_some()
            || [&self.rule, &self.model, &self.site]
                .into_iter()
                .any(Option::is_some)
    }
}

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    filter: &Filter,
    alerts: &Page<AlertView>,
) -> Markup {
    let path = frame.scope.page("/alerts");
    let firing = alerts
        .items
        .iter()
        .filter(|one| one.state == AlertState::Firing)
        .count() as u64;
    let below = html! {
        span #count data-live {
            b { (format::count(firing)) } " firing, " b { (format::count(alerts.items.len() as u64)) }
            @if filter.is_any() { " match" } @else { " open" }
        }
    };
    let content = html! {
        form.filter method="get" action=(path) data-filter {
            label { "State"
                select name="state" {
                    option value="" { "open" }
                    @for state in AlertState::ALL {
                        option value=(state.word()) selected[filter.state == Some(state)] { (state.word()) }
                    }
                }
            }
            label { "Severity"
                select name="severity" {
                    option value="" { "all" }
                    @for one in AlertSeverity::ALL {
                        option value=(one.word()) selected[filter.severity == Some(one)] { (one.word()) }
                    }
                }
            }
            @for (name, label, value) in [("rule", "Rule", &filter.rule), ("model", "Model", &filter.model), ("site", "Site", &filter.site)] {
                label { (label)
                    input name=(name) value=[value.as_deref()] autocomplete="off" autocapitalize="none" spellcheck="false";
                }
            }
            button type="submit" { "Filter" }
            @if filter.is_any() { a href=(path) { "Show all" } }
        }
        div #alerts.card.flush data-live {
            @if alerts.items.is_empty() {
                @if filter.is_any() { (parts::empty(&html! { "No alert matches the filter above." })) }
                @else { (parts::empty(&html! { "No alert is firing. Choose the state “resolved” above to see earlier ones." })) }
            } @else { (table(frame, &alerts.items)) }
        }
        @if let Some(next) = &alerts.next {
            nav.turn aria-label="Pages of the list" {
                a href={ (path) (query(&[
                    ("state", filter.state.map(AlertState::word)), ("severity", filter.severity.map(AlertSeverity::word)),
                    ("rule", filter.rule.as_deref()), ("model", filter.model.as_deref()), ("site", filter.site.as_deref()),
                    ("after", Some(next)),
                ])) } { "Older alerts" }
            }
        }
    };
    around(frame, Tab::Alerts, &below, &content)
}

fn table(frame: Frame, alerts: &[AlertView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Alert" }
                th scope="col" { "State" }
                th scope="col" { "Severity" }
                th scope="col" { "Since" }
                th.end scope="col" { "Devices" }
                th scope="col" { "Rule" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for one in alerts {
                    tr data-key=(one.id) {
                        th scope="row" { a.clamp href=(frame.scope.page(&format!("/alerts/{}", one.id))) { (one.facts.summary) } }
                        td data-name="State" { div { (state(one)) } }
                        td data-name="Severity" { (severity(one.severity)) }
                        td data-name="Since" { (parts::ago(one.since)) }
                        td.end data-name="Devices" { span { (format::count(one.facts.devices)) span.dim { " / " (format::count(one.facts.of_devices)) } } }
                        td data-name="Rule" { (one.rule) }
                        td.end data-name="" {
                            @if one.state != AlertState::Resolved && one.acknowledged.is_none() && frame.may(Permission::Operate) {
                                button.small type="button" data-done="Acknowledged: it is not told again until it is over."
                                    data-post=(frame.scope.api(&format!("/alerts/{}/acknowledge", one.id)))
                                    aria-label={ "Acknowledge alert " (one.id) } { "Acknowledge" }
                            }
                        }
                    }
                }
            }
        }
    }
}

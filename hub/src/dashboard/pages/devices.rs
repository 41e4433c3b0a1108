//! `/devices`: the fleet as a list.

use maud::{Markup, html};
use tern_protocol::{
    id::SiteName,
    rest::{DeviceView, Health, Page, SlotView},
};

use crate::dashboard::{
    format,
    layout::{self, Frame, Room},
    parts,
    scope::{Scope, query},
};

/// What the list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(in crate::dashboard) struct Filter {
    /// Devices of this site.
    pub(in crate::dashboard) site: Option<SiteName>,
    /// Devices of this health.
    pub(in crate::dashboard) health: Option<Health>,
    /// Devices with this label, `key=value`.
    pub(in crate::dashboard) label: Option<String>,
    /// Devices after this one.
    pub(in crate::dashboard) after: Option<String>,
}

impl Filter {
    fn is_any(&self) -> bool {
        self.site.is_some() || self.health.is_some() || self.label.is_some()
    }

    fn query(&self, after: Option<&str>) -> String {
        query(&[
            ("site", self.site.as_ref().map(SiteName::as_str)),
            ("health", self.health.map(parts::health_word)),
            ("label", self.label.as_deref()),
            ("after", after),
        ])
    }
}

/// The page. `sites` are those that can be chosen.
pub(in crate::dashboard) fn page(
    frame: Frame,
    filter: &Filter,
    sites: &[SiteName],
    devices: &Page<DeviceView>,
) -> Markup {
    let scope = frame.scope;
    let main = html! {
        (layout::heading(&html! { "Devices" }, &shown(filter, devices), &html! {}))
        (form(scope, filter, sites))
        div #devices.card.flush data-live {
            @if devices.items.is_empty() {
                (nothing(filter))
            } @else {
                (table(scope, &devices.items))
            }
        }
        (turn(scope, filter, devices))
    };
    layout::page(frame, Room::Devices, "Devices", &main)
}

fn shown(filter: &Filter, devices: &Page<DeviceView>) -> Markup {
    let part = devices.next.is_some() || filter.after.is_some();
    html! {
        span #shown data-live {
            b { (format::count(devices.items.len() as u64)) }
            @if part { " devices on this page" } @else if filter.is_any() { " devices match" } @else { " devices" }
        }
    }
}

fn form(scope: &Scope, filter: &Filter, sites: &[SiteName]) -> Markup {
    html! {
        form.filter method="get" action=(scope.page("/devices")) data-filter {
            label { "Site"
                select name="site" {
                    option value="" { "all" }
                    // A site without devices may still be asked for by its address.
                    @if let Some(site) = filter.site.as_ref().filter(|site| !sites.contains(site)) {
                        option value=(site) selected { (site) }
                    }
                    @for site in sites {
                        option value=(site) selected[filter.site.as_ref() == Some(site)] { (site) }
                    }
                }
            }
            label { "Health"
                select name="health" {
                    option value="" { "all" }
                    @for health in parts::HEALTHS {
                        @let word = parts::health_word(health);
                        option value=(word) selected[filter.health == Some(health)] { (word) }
                    }
                }
            }
            label { "Label"
                input name="label" placeholder="key=value" value=[filter.label.as_deref()] autocomplete="off" spellcheck="false";
            }
            button type="submit" { "Filter" }
            @if filter.is_any() { a href=(scope.page("/devices")) { "Show all" } }
        }
    }
}

fn nothing(filter: &Filter) -> Markup {
    if filter.is_any() {
        parts::empty(&html! { "No device matches the filter above." })
    } else {
        parts::no_devices()
    }
}

fn table(scope: &Scope, devices: &[DeviceView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Device" }
                th scope="col" { "Site" }
                th scope="col" { "Health" }
                th scope="col" { "Serving" }
                th scope="col" { "Desired version" }
                th.end scope="col" { "Inferences" }
                th.end scope="col" { "Unsent entries" }
                th.end scope="col" { "Last seen" }
            } }
            tbody {
                @for device in devices {
                    tr data-key=(device.id) {
                        th scope="row" { (parts::device(scope, &device.id)) }
                        td data-name="Site" { (device.site) }
                        td data-name="Health" {
                            div {
                                (parts::health(device.health))
                                @if !device.health_reason.is_empty() {
                                    span.dim.text { (device.health_reason) }
                                }
                            }
                        }
                        td data-name="Serving" { (serves(scope, &device.slots)) }
                        td data-name="Desired version" { (wanted(scope, &device.slots)) }
                        td.end data-name="Inferences" { (format::count(device.inferences)) }
                        td.end data-name="Unsent entries" { (format::count(device.outbox.entries)) }
                        td.end data-name="Last seen" { (parts::ago(device.last_seen)) }
                    }
                }
            }
        }
    }
}

fn serves(scope: &Scope, slots: &[SlotView]) -> Markup {
    html! {
        div {
            @if slots.is_empty() { span.dim { "nothing" } }
            @for slot in slots {
                div data-key=(slot.slot) {
                    @match &slot.serving {
                        Some(serving) => {
                            (parts::version(scope, &serving.model, serving.version))
                            @if serving.revoked.is_some() { span.bad.text { " revoked" } }
                            @if !serving.proven { span.bad.text { " not proven" } } @else if !serving.confirmed { span.dim { " on trial" } }
                        }
                        None => { span.dim { "nothing" } }
                    }
                    @if slot.serving.as_ref().is_none_or(|serving| serving.model.as_str() != slot.slot.as_str()) {
                        span.dim { " in " (slot.slot) }
                    }
                }
            }
        }
    }
}

/// What is wanted in each slot, and how far it got.
fn wanted(scope: &Scope, slots: &[SlotView]) -> Markup {
    let wanted = slots
        .iter()
        .filter_map(|slot| Some((slot, slot.assigned.as_ref()?, slot.stage?)));
    let wanted: Vec<_> = wanted.collect();
    html! {
        div {
            @if wanted.is_empty() { span.dim { "nothing" } }
            @for (slot, of, stage) in wanted {
                div data-key=(slot.slot) { (parts::version_ref(scope, of)) " " (parts::stage(stage)) }
            }
        }
    }
}

fn turn(scope: &Scope, filter: &Filter, devices: &Page<DeviceView>) -> Markup {
    html! {
        nav.turn #turn data-live aria-label="Pages of the list" {
            @if filter.after.is_some() {
                a href=(scope.page(&format!("/devices{}", filter.query(None)))) { "First page" }
            }
            @if let Some(next) = &devices.next {
                a href=(scope.page(&format!("/devices{}", filter.query(Some(next))))) { "Next page" }
            }
        }
    }
}

//! Asking devices for captures, and deleting them: what was asked, what was deleted, and forms for those who may.

use maud::{Markup, html};
use tern_protocol::{
    id::{ModelName, SiteName},
    rest::{CaptureRequestState, CaptureRequestView, DeletionView},
};

use super::{Held, Which, receipt};
use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Input},
        format,
        icon::Icon,
        layout::Frame,
        parts,
    },
};

/// For how long devices are asked.
const WITHIN: [(&str, &str); 4] = [
    ("3600", "an hour"),
    ("86400", "a day"),
    ("604800", "a week"),
    ("2592000", "30 days"),
];

fn input<'a>(id: &'a str, name: &'a str, label: &'a str, hint: &'a str) -> Input<'a> {
    Input {
        id,
        name,
        label,
        hint,
        ..Input::default()
    }
}

/// What was asked for.
pub(super) fn requests(frame: Frame, which: &Which, held: &Held) -> Markup {
    html! {
        section aria-labelledby="requests-title" {
            h2.apart #requests-title { "Asked for" }
            @if frame.may(Permission::Operate) { (ask(frame, which)) }
            div #requests.card.flush data-live {
                @if held.requests.is_empty() { (parts::empty(&html! { "Nothing was asked for." })) }
                @else { (asked(frame, &held.requests)) }
            }
        }
    }
}

fn ask(frame: Frame, which: &Which) -> Markup {
    let model = which.model.as_ref().map(ModelName::as_str);
    let site = which.site.as_ref().map(SiteName::as_str);
    html! {
        details.card {
            summary { "Ask devices for their next inputs" }
            form.form.columns method="post" data-send=(frame.scope.api("/capture-requests")) data-done="Asked. Devices that are offline hear of it when they are back." {
                (Input { value: model, ..input("ask-model", "model", "Model", "Any if empty.") }.draw())
                (Input { value: site, ..input("ask-site", "site", "Site", "Any if empty.") }.draw())
                (input("ask-device", "device", "Only this device", "Its id; any if empty. One of model, site and device is needed.").draw())
                (input("ask-slot", "slot", "Only this slot", "Any if empty.").draw())
                (Input { kind: "number", json: Some("number"), value: Some("20"), between: Some((1, 10_000)), required: true, ..input("ask-count", "count", "Inputs", "From each device. They do not count for the accuracy.") }.draw())
                (form::select("ask-within", "within_s", "For", Some("number"), &WITHIN))
                div.buttons { button.primary type="submit" { "Ask" } }
                (form::answer("ask-answer"))
            }
        }
    }
}

fn asked(frame: Frame, requests: &[CaptureRequestView]) -> Markup {
    let of = |one: &CaptureRequestView| {
        let named = [
            one.device.as_ref().map(|device| format!("device {device}")),
            one.site.as_ref().map(|site| format!("site {site}")),
            one.model.as_ref().map(|model| format!("model {model}")),
            one.slot.as_ref().map(|slot| format!("slot {slot}")),
        ];
        named.into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Request" }
                th scope="col" { "From" }
                th.end scope="col" { "Per device" }
                th.end scope="col" { "Arrived" }
                th scope="col" { "Until" }
                th scope="col" { "By" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody { @for one in requests {
                @let open = one.state == CaptureRequestState::Open;
                tr data-key=(one.id) {
                    th scope="row" { (one.id) }
                    td data-name="From" { span.text { (of(one)) } }
                    td.end data-name="Per device" { (format::count(one.count.into())) }
                    td.end data-name="Arrived" { span { (format::count(one.came)) span.dim { " from " (format::count(one.devices)) " devices" } } }
                    td data-name="Until" { @if open { (parts::until(one.until)) } @else { (parts::badge("off", Icon::Check, "over")) } }
                    td data-name="By" { div { span.text { (one.by) } " " (parts::ago(one.at)) } }
                    td.end data-name="" { @if open && frame.may(Permission::Operate) {
                        button.small type="button" data-post=(frame.scope.api(&format!("/capture-requests/{}/cancel", one.id)))
                            data-done="Taken back." aria-label={ "Take back request " (one.id) } { "Take back" }
                    } }
                }
            } }
        }
    }
}

/// What was deleted.
pub(super) fn deletions(frame: Frame, deletions: &[DeletionView]) -> Markup {
    html! {
        section aria-labelledby="deletions-title" {
            h2.apart #deletions-title { "Deleted" }
            @if frame.may(Permission::Administer) { (delete(frame)) }
            div #deletions.card.flush data-live {
                @if deletions.is_empty() { (parts::empty(&html! { "Nothing was deleted yet." })) }
                @else { (deleted(frame, deletions)) }
            }
        }
    }
}

fn delete(frame: Frame) -> Markup {
    html! {
        details.card {
            summary { "Delete for good" }
            form.form.columns #delete method="post" data-send=(frame.scope.api("/capture-deletions")) data-then="reload"
                data-workspace=(frame.scope.workspace()) data-done="Deleted." {
                (input("delete-device", "device", "Of this device", "Its id: all that it has told until now.").draw())
                (Input { json: Some("list"), placeholder: Some("3-1042, 3-1043"), ..input("delete-predictions", "predictions", "Only these predictions", "Of that device, apart by commas; all if empty.") }.draw())
                (input("delete-name", "", "Or of whoever goes by this name", "It is hashed here, and not sent.").draw())
                (input("delete-subject", "subject", "The hash that stands for them", "Nothing of them is kept from now on, either.").draw())
                (input("delete-reason", "reason", "Why (for the audit log)", "Nothing that names a person.").draw())
                div.field.check {
                    input #delete-sure type="checkbox" required autocomplete="off" aria-describedby="delete-sure-wrong";
                    label for="delete-sure" { "It goes for good, here and on devices, labels included" }
                    p.wrong #delete-sure-wrong aria-live="polite" {}
                }
                div.buttons { button.danger type="submit" { "Delete" } }
                (form::answer("delete-answer"))
            }
        }
    }
}

fn deleted(frame: Frame, deletions: &[DeletionView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Deletion" }
                th scope="col" { "Of" }
                th.end scope="col" { "Captures" }
                th.end scope="col" { "Labels" }
                th scope="col" { "By" }
                th scope="col" { "Why" }
            } }
            tbody { @for DeletionView { receipt, .. } in deletions {
                tr data-key=(receipt.id) {
                    th scope="row" { a href=(frame.scope.page(&format!("/captures/deletions/{}", receipt.id))) { (receipt.id) } }
                    td data-name="Of" { (receipt::of(frame.scope, receipt)) }
                    td.end data-name="Captures" { (format::count(receipt.captures)) }
                    td.end data-name="Labels" { (format::count(receipt.labels)) }
                    td data-name="By" { div { span.text { (receipt.by) } " " (parts::ago(receipt.at)) } }
                    td data-name="Why" { span.text { (receipt.reason) } }
                }
            } }
        }
    }
}

//! `/access/invitations`: tokens with which devices join.

use maud::{Markup, html};
use tern_protocol::{
    rest::{InvitationView, Page},
    time::WallTime,
};

use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Ask, Input, Once, Reason},
        format,
        icon::Icon,
        layout::Frame,
        pages::access::{self, Desk},
        parts,
    },
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, invitations: &Page<InvitationView>) -> Markup {
    let open = |one: &&InvitationView| usable(one, frame.now);
    let open = invitations.items.iter().filter(open).count() as u64;
    let below = html! { span #count data-live { b { (format::count(open)) } " can be used" } };
    let content = html! {
        @if frame.may(Permission::Operate) {
            (form::once("fresh", "New invitation", form::HASH_ONLY, &[
                Once { key: "command", label: "Run this on each device:", fill: "token", before: "tern-agent join " },
                Once { key: "token", label: "Or only the token:", fill: "token", before: "" },
            ]))
            (create(frame))
        }
        (form::answer("answer"))
        div #invitations.card.flush data-live {
            @if invitations.items.is_empty() {
                (parts::empty(&html! { "No invitations yet. One is enough for many devices of the same site." }))
            } @else { (table(frame, &invitations.items)) }
        }
        @if frame.may(Permission::Operate) {
            (Ask {
                id: "revoke",
                question: "Revoke",
                text: "No further device joins with it. Devices that joined before stay.",
                act: "Revoke",
                done: "Revoked.",
                reason: Reason::None,
                show: None,
            }.draw())
        }
    };
    access::page(frame, Desk::Invitations, &below, &content)
}

fn create(frame: Frame) -> Markup {
    const LIVES: [(&str, &str); 4] = [
        ("86400", "a day"),
        ("3600", "an hour"),
        ("604800", "a week"),
        ("2592000", "30 days"),
    ];
    let input = |id, name, label, hint| Input {
        id,
        name,
        label,
        hint,
        ..Input::default()
    };
    html! {
        details.card {
            summary { "Invite devices" }
            form.form.columns method="post" data-send=(frame.scope.api("/invitations")) data-show="fresh" data-done="Made. Copy the token now." data-reset {
                (input("site", "site", "Site", "Devices are at this site, whatever they say.").draw())
                (Input { json: Some("labels"), placeholder: Some("lens=plastic, batch=7"), ..input("labels", "labels", "Labels", "key=value, apart by commas.") }.draw())
                (Input { kind: "number", json: Some("number"), value: Some("1"), between: Some((1, 100_000)), required: true, ..input("uses", "uses", "Devices", "How many may join with it.") }.draw())
                (form::select("expires", "expires_in_s", "Good for", Some("number"), &LIVES))
                (input("device", "device", "Only this device", "Its id; any if empty.").draw())
                (input("hardware", "hardware_id", "Only this hardware", "Its hardware id; any if empty.").draw())
                (form::check("approval", "approval", "Devices wait until somebody accepts them"))
                div.buttons { button.primary type="submit" { "Create invitation" } }
                (form::answer("create-answer"))
            }
        }
    }
}

/// Whether another device can join with it.
fn usable(one: &InvitationView, now: WallTime) -> bool {
    one.revoked_at.is_none() && one.expires_at > now && one.used < one.uses
}

fn table(frame: Frame, invitations: &[InvitationView]) -> Markup {
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Id" }
                th scope="col" { "State" }
                th scope="col" { "Binds to" }
                th scope="col" { "Only" }
                th.end scope="col" { "Joined" }
                th scope="col" { "Expires" }
                th scope="col" { "Made by" }
                th.end scope="col" { span.spoken { "Actions" } }
            } }
            tbody {
                @for one in invitations {
                    tr data-key=(one.id) {
                        th scope="row" { (one.id) }
                        td data-name="State" { (state(one, frame.now)) }
                        td data-name="Binds to" { div { (access::bound(one.site.as_ref(), &one.labels)) @if one.approval { span.chip { "waits for approval" } } } }
                        td data-name="Only" { span.text {
                            @if let Some(device) = &one.device { (parts::device(frame.scope, device)) " " }
                            @if let Some(hardware) = &one.hardware_id { code { (hardware) } }
                            @if one.device.is_none() && one.hardware_id.is_none() { span.dim { "any device" } }
                        } }
                        td.end data-name="Joined" { span { (format::count(one.used.into())) span.dim { " of " (format::count(one.uses.into())) } } }
                        td data-name="Expires" { (parts::until(one.expires_at)) }
                        td data-name="Made by" { div { span.text { (one.created_by) } " " (parts::ago(one.created_at)) } }
                        td.end data-name="" {
                            @if usable(one, frame.now) && frame.may(Permission::Operate) {
                                button.danger.small type="button" data-ask="revoke" data-what={ "invitation " (one.id) }
                                    data-send=(frame.scope.api(&format!("/invitations/{}/revoke", one.id)))
                                    aria-label={ "Revoke invitation " (one.id) } { "Revoke …" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn state(one: &InvitationView, now: WallTime) -> Markup {
    if one.revoked_at.is_some() {
        parts::badge("bad", Icon::Slash, "revoked")
    } else if one.used >= one.uses {
        parts::badge("off", Icon::Check, "used up")
    } else if one.expires_at <= now {
        parts::badge("off", Icon::Cross, "expired")
    } else {
        parts::badge("ok", Icon::Check, "open")
    }
}

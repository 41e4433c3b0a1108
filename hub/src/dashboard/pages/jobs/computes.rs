//! `/computes`: where jobs run, how much of it is taken, what waits for it, and how it grows.

use maud::{Markup, html};
use tern_protocol::rest::{ComputeKind, ComputeView};

use super::resources;
use crate::{
    access::role::Policy,
    dashboard::{
        form::{self, Input},
        format,
        icon::Icon,
        layout::{self, Frame, Room},
        parts,
    },
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, all: &[ComputeView]) -> Markup {
    let main = html! {
        (layout::heading(&html! { "Computes" }, &html! {
            span #shown data-live { b { (format::count(all.len() as u64)) } (if all.len() == 1 { " compute" } else { " computes" }) ", shared by all workspaces" }
        }, &html! { a href=(frame.scope.page("/jobs")) { "Jobs" } }))
        (form::answer("answer"))
        @for one in all { (compute(frame, one)) }
        @if frame.grants(Policy::HubAdmin) { (add()) }
    };
    layout::page(frame, Room::Jobs, "Computes", &main)
}

fn compute(frame: Frame, one: &ComputeView) -> Markup {
    let scaling = &one.scaling;
    let cores = u64::from(one.unit.cpu_millis) * u64::from(one.units);
    let used = u64::from(one.used.cpu_millis);
    html! {
        section.card id={ "compute-" (one.name) } data-live {
            div.row {
                h2 { (one.name) }
                @match (&one.trouble, one.paused) {
                    (Some(_), _) => (parts::badge("bad", Icon::Cross, "failing")),
                    (None, true) => (parts::badge("warn", Icon::Pause, "paused")),
                    (None, false) => (parts::badge("ok", Icon::Check, one.kind.word())),
                }
            }
            @if let Some(trouble) = &one.trouble { p.alarm.text { (trouble) } }
            progress max=(cores.max(1)) value=(used.min(cores)) aria-label={ "Cores in use of " (one.name) } {}
            dl.facts {
                (parts::fact("Running", &html! { (format::count(one.running)) @if one.running > 0 { ", using " (resources(one.used)) } }))
                (parts::fact("Waiting", &html! { (format::count(one.waiting)) }))
                (parts::fact("Size", &html! {
                    (one.units) @if one.kind == ComputeKind::Local { " slots now" } @else { " machines at most" }
                    ", scales from " (scaling.min) " to " (scaling.max)
                    @if scaling.min != scaling.max && one.kind == ComputeKind::Local {
                        "; more after " (super::span(scaling.up_after)) " of a queue, less after " (super::span(scaling.idle_after)) " without"
                    }
                }))
                (parts::fact(if one.kind == ComputeKind::Local { "Each slot" } else { "Each machine" }, &resources(one.unit)))
                @if let Some(url) = &one.url { (parts::fact("Address", &html! { code { (url) } })) }
                @if let Some(of) = &one.kubernetes {
                    (parts::fact("Namespace", &html! { (of.namespace) }))
                    (parts::fact("Image", &html! { code { (of.image) } }))
                }
            }
            @if frame.grants(Policy::HubAdmin) && one.kind != ComputeKind::Local {
                p.small.dim { "Change it with " code { "tern compute set " (one.name) } ", remove it with " code { "tern compute remove " (one.name) } "." }
            }
            @if frame.grants(Policy::HubAdmin) && one.kind == ComputeKind::Local {
                p.small.dim { "Change it with " code { "tern compute set local --min 1 --max " (scaling.max) } "; slots and memory are options of the hub." }
            }
        }
    }
}

/// A Ray cluster is added here; what takes a token or files by the command line, so that they are in no browser.
fn add() -> Markup {
    let number = |id: &'static str,
                  name: &'static str,
                  label: &'static str,
                  json: &'static str,
                  value: &'static str| {
        Input {
            id,
            name,
            label,
            kind: "number",
            json: Some(json),
            value: Some(value),
            required: true,
            ..Input::default()
        }
        .draw()
    };
    html! {
        section.card {
            h2 { "Add a Ray cluster" }
            form.form method="post" data-send="/api/v1/computes/{compute}" data-method="PUT" data-done="Added." data-reset
                data-then="reload" {
                input type="hidden" name="kind" value="ray";
                input type="hidden" name="scaling.min" value="0" data-json="number";
                input type="hidden" name="scaling.up_after" value="10" data-json="number";
                input type="hidden" name="scaling.idle_after" value="300" data-json="number";
                (Input { id: "add-name", name: "compute", label: "Name", required: true, ..Input::default() }.draw())
                (Input { id: "add-url", name: "url", label: "Address of the Ray dashboard", required: true, placeholder: Some("http://ray.lab:8265"), ..Input::default() }.draw())
                (number("add-cores", "unit.cpu_millis", "Cores per machine", "thousandths", "4"))
                (number("add-memory", "unit.memory", "Memory per machine, in GiB", "gibibytes", "16"))
                (number("add-gpus", "unit.gpus", "GPUs per machine", "number", "0"))
                (number("add-max", "scaling.max", "Maximum number of machines", "number", "1"))
                div.buttons { button.primary type="submit" { "Add" } }
                (form::answer("compute-answer"))
            }
            p.small.dim {
                "For Kubernetes, or a cluster that needs a token: " code { "tern compute add NAME --kubernetes https://HOST:6443 --image IMAGE --token-file FILE …" }
            }
        }
    }
}

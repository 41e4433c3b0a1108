//! `/captures/deletions/{number}`: the receipt of a deletion, and whether it holds.

use maud::{Markup, html};
use tern_protocol::rest::{DeletionProof, DeletionReceipt, DeletionView};

use crate::dashboard::{
    format,
    layout::{self, Frame, Room},
    parts,
    scope::Scope,
};

/// What a deletion was of.
pub(super) fn of(scope: &Scope, receipt: &DeletionReceipt) -> Markup {
    html! {
        @match (&receipt.device, &receipt.subject) {
            (Some(device), _) => {
                span {
                    (parts::device(scope, device))
                    @if !receipt.predictions.is_empty() { ", " (format::count(receipt.predictions.len() as u64)) " predictions" }
                }
            }
            (None, Some(subject)) => { span { "subject " code { (subject.short()) } } }
            (None, None) => { "–" }
        }
    }
}

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, deletion: &DeletionView) -> Markup {
    let DeletionView { receipt, proof } = deletion;
    let scope = frame.scope;
    let below = html! { span { (parts::ago(receipt.at)) " by " span.text { (receipt.by) } } };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href=(scope.page("/captures")) { "Captures" } }
        (layout::heading(&html! { "Deletion " (receipt.id) }, &below, &html! {}))
        div.card { dl.facts {
            (parts::fact("Of", &of(scope, receipt)))
            @for prediction in &receipt.predictions { (parts::fact("Prediction", &html! { code { (prediction) } })) }
            (parts::fact("Captures", &html! { (format::count(receipt.captures)) }))
            (parts::fact("Truths", &html! { (format::count(receipt.labels)) }))
            @if !receipt.reason.is_empty() { (parts::fact("Why", &html! { span.text { (receipt.reason) } })) }
            (parts::fact("Digest of what went", &html! { code.text { (receipt.digest) } }))
        } }
        @if let Some(proof) = proof { (holds(proof)) }
    };
    layout::page(frame, Room::Models, "Deletion", &main)
}

fn holds(proof: &DeletionProof) -> Markup {
    html! {
        section aria-labelledby="proof-title" {
            h2.apart #proof-title { "Whether it holds" }
            div.card #proof data-live { dl.facts {
                (parts::fact("Audit log", &html! {
                    (parts::verdict(proof.whole, "as it was written", "not to be believed"))
                    " " span.dim { "entry " (proof.entry) ", " code { (proof.hash.short()) } }
                    @if let Some(broken) = &proof.broken { p.text { (broken) } }
                }))
                (parts::fact("At the hub", &html! {
                    (parts::verdict(proof.left == 0, "nothing of it is left", "some of it is there"))
                    @if proof.left > 0 { " " (format::count(proof.left)) }
                }))
                (parts::fact("On devices", &html! {
                    (format::count(proof.confirmed)) " of " (format::count(proof.devices)) " forgot it too"
                    @if proof.too_old > 0 { "; the agents of " (format::count(proof.too_old)) " are too old to be told" }
                }))
            } }
        }
    }
}

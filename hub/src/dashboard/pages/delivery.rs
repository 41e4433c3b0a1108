//! `/delivery`: what is on its way to devices, how versions got there, and what sending to many at once
//! saved.

use maud::{Markup, html};
use tern_protocol::rest::{
    BlobDelivery, DeliveryLimits, DeliveryView, Moving, PartDelivery, VersionDelivery,
};

use crate::dashboard::{
    bar::{self, Part},
    format,
    layout::{self, Frame, Room},
    parts,
    scope::Scope,
};

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, delivery: &DeliveryView) -> Markup {
    let scope = frame.scope;
    let main = html! {
        (layout::heading(&html! { "Delivery" }, &below(delivery), &html! {}))
        section aria-labelledby="now-title" {
            h2.apart #now-title { "In transfer now" }
            div #now.card.flush data-live { (now(scope, &delivery.now)) }
        }
        div.grid.two {
            section.card aria-labelledby="saved-title" {
                h2 #saved-title { "Sent and received" }
                div #saved data-live { (saved(delivery)) }
            }
            section.card aria-labelledby="limits-title" {
                h2 #limits-title { "Limits in force" }
                div #limits data-live { (limits(&delivery.limits)) }
            }
        }
        section aria-labelledby="versions-title" {
            h2.apart #versions-title { "Versions" }
            div #versions data-live {
                @if delivery.versions.is_empty() {
                    div.card { (parts::empty(&html! { "Nothing was delivered yet. Start a rollout: " code { "tern rollout start" } })) }
                }
                @for (index, version) in delivery.versions.iter().enumerate() { (self::version(scope, version, index == 0)) }
            }
        }
    };
    layout::page(frame, Room::Delivery, "Delivery", &main)
}

fn below(delivery: &DeliveryView) -> Markup {
    let rate: u64 = delivery.now.iter().map(|blob| blob.per_s).sum();
    html! {
        span #summary data-live {
            @if delivery.now.is_empty() { "Nothing is in transfer" } @else {
                b { (format::count(delivery.now.len() as u64)) } " files in transfer, at " b { (format::bytes(rate)) "/s" }
            }
            "; " b { (format::bytes(delivery.totals.saved_bytes)) } " saved by multicast, "
            b { (format::bytes(delivery.totals.spared_bytes)) } " by deltas so far"
        }
    }
}

fn now(scope: &Scope, blobs: &[BlobDelivery]) -> Markup {
    if blobs.is_empty() {
        return parts::empty(
            &html! { "No transfer is running. Files appear here while devices fetch them." },
        );
    }
    html! {
        table.cards {
            thead { tr {
                th scope="col" { "Part" }
                th scope="col" { "Chunks sent" }
                th.end scope="col" { "Devices" }
                th.end scope="col" { "Rate" }
                th.end scope="col" { "Time left" }
            } }
            tbody {
                @for blob in blobs {
                    tr data-key=(blob.blob.digest) {
                        th scope="row" {
                            @match &blob.version {
                                Some(of) => { (parts::version_ref(scope, of)) " " }
                                None => {}
                            }
                            (blob.part.word())
                            div.small.dim { (format::bytes(blob.blob.len)) " " code { (blob.blob.digest.short()) } }
                        }
                        td data-name="Chunks sent" { div {
                            progress max=(blob.chunks.max(1)) value=(blob.chunks_sent.min(blob.chunks)) aria-label="Chunks sent" {}
                            small {
                                (format::count(blob.chunks_sent)) " of " (format::count(blob.chunks))
                                @if blob.chunks_waiting > 0 { ", " (format::count(blob.chunks_waiting)) " wait" }
                                @if blob.chunks_lost > 0 { ", " span.bad { (format::count(blob.chunks_lost)) " to repeat" } }
                            }
                        } }
                        td.end data-name="Devices" { (format::count(blob.devices)) }
                        td.end data-name="Rate" {
                            (format::bytes(blob.per_s)) "/s"
                            @if blob.downloaded_per_s > 0 { small.dim { (format::bytes(blob.downloaded_per_s)) "/s by HTTPS" } }
                            @if let Some(held) = blob.repeats_per_s { small.dim { "repeats at " (format::bytes(held)) "/s" } }
                        }
                        td.end data-name="Time left" {
                            @match blob.seconds_left {
                                Some(seconds) => { (format::count(seconds)) "\u{202f}s" }
                                None if blob.chunks_waiting + blob.chunks_lost == 0 => { span.dim { "all sent" } }
                                None => { span.dim { (format::NOTHING) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What left beside what arrived, on one scale.
fn saved(delivery: &DeliveryView) -> Markup {
    let totals = &delivery.totals;
    html! {
        (compared(totals))
        dl.facts {
            (parts::fact("Published by MQTT", &html! {
                (format::bytes(totals.published_bytes))
                span.dim { " in " (format::count(totals.chunks)) " chunks" }
            }))
            (parts::fact("Resent", &html! {
                (format::bytes(totals.repeated_bytes))
                span.dim { " in " (format::count(totals.chunks_repeated)) " chunks that devices lost or missed" }
            }))
            (parts::fact("Downloaded by HTTPS", &html! { (format::bytes(totals.downloaded_bytes)) }))
            (parts::fact("Received by devices", &html! { (format::bytes(totals.taken_bytes)) }))
            (parts::fact("Saved by multicast", &html! { b { (format::bytes(totals.saved_bytes)) } }))
            (parts::fact("Saved by deltas", &html! { b { (format::bytes(totals.spared_bytes)) } span.dim { " that devices did not have to receive" } }))
            (parts::fact("Signed metadata", &html! { (format::bytes(delivery.metadata.left_bytes())) span.dim { " published and downloaded, not in the sums above" } }))
        }
        p.dim.small {
            @if delivery.broker_inside {
                "The hub publishes each chunk once. Its broker is part of it, so each device's copy still leaves this machine; with a broker elsewhere only what is published leaves."
            } @else {
                "The hub publishes each chunk once; the broker makes a copy for each device."
            }
        }
    }
}

/// Two bars with one scale: what left, what arrived.
fn compared(moved: &Moving) -> Markup {
    let (left, taken) = (moved.left_bytes(), moved.taken_bytes);
    let most = left.max(taken).max(1);
    let bar = |name: &str, tone, bytes: u64| {
        let parts = [
            Part {
                tone,
                name: format!("bytes {name}"),
                label: html! {},
                count: bytes,
            },
            Part {
                tone: "rest",
                name: "bytes less".into(),
                label: html! {},
                count: most - bytes,
            },
        ];
        html! {
            div.row.small { span { (name) } b { (format::bytes(bytes)) } }
            (bar::alone(&format!("Bytes {name}"), &parts))
        }
    };
    html! { div.compared { (bar("sent by the hub", "busy", left)) (bar("received by devices", "ok", taken)) } }
}

fn limits(limits: &DeliveryLimits) -> Markup {
    let rate = |limit: Option<u64>| {
        html! { @match limit { Some(limit) => { (format::bytes(limit)) "/s" } None => { span.dim { "none" } } } }
    };
    html! {
        dl.facts {
            (parts::fact("Hub", &html! { (rate(limits.hub_per_s)) span.dim { " " code { "--egress-limit" } } }))
            (parts::fact("Each site", &html! { (rate(limits.site_per_s)) span.dim { " " code { "--site-egress-limit" } } }))
            (parts::fact("Each file", &html! { (rate(limits.blob_per_s)) span.dim { " " code { "--blob-egress-limit" } } }))
            (parts::fact("Downloads at a time", &html! { (format::count(limits.downloads)) span.dim { " " code { "--downloads" } } }))
        }
    }
}

/// One version: how far it got, what that cost, part by part.
fn version(scope: &Scope, version: &VersionDelivery, open: bool) -> Markup {
    html! {
        details.card data-key={ (version.version.model) "/" (version.version.version) } open[open] {
            summary {
                (parts::version_ref(scope, &version.version)) " "
                span.dim {
                    (format::count(version.stages.stored)) " of " (format::count(version.stages.assigned)) " devices have it, "
                    (format::bytes(version.moved.saved_bytes)) " saved by multicast, "
                    @if version.moved.spared_bytes > 0 { (format::bytes(version.moved.spared_bytes)) " by deltas, " }
                    "last transfer " (parts::ago(version.latest))
                }
            }
            div.stack {
                (parts::stages(&version.stages))
                (compared(&version.moved))
                div.scroll tabindex="0" role="region" aria-label="Parts" { table {
                    thead { tr {
                        th scope="col" { "Part" }
                        th.end scope="col" { "Size" }
                        th.end scope="col" { "Devices" }
                        th.end scope="col" { "Published" }
                        th.end scope="col" { "Resent" }
                        th.end scope="col" { "HTTPS" }
                        th.end scope="col" { "Received" }
                        th.end scope="col" { "Saved by multicast" }
                        th.end scope="col" { "Saved by deltas" }
                    } }
                    tbody { @for part in &version.parts { (self::part(part)) } }
                } }
                p.dim.small { "First requested " (parts::ago(version.began)) ". A part that several versions share counts for the one that was wanted when it moved." }
            }
        }
    }
}

fn part(part: &PartDelivery) -> Markup {
    let moved = &part.moved;
    html! {
        tr data-key=(part.blob.digest) {
            th scope="row" { (part.part.word()) }
            td.end { (format::bytes(part.blob.len)) }
            td.end { (format::count(part.devices_done)) span.dim { " / " (format::count(part.devices_asked)) } }
            td.end { (format::bytes(moved.published_bytes)) }
            td.end { (format::bytes(moved.repeated_bytes)) }
            td.end { (format::bytes(moved.downloaded_bytes)) }
            td.end { (format::bytes(moved.taken_bytes)) }
            td.end { (format::bytes(moved.saved_bytes)) }
            td.end { (format::bytes(moved.spared_bytes)) }
        }
    }
}

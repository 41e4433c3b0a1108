//! `/datasets`: of each dataset the newest version.

use maud::{Markup, html};
use tern_protocol::rest::{DatasetView, DatastorePlace, DatastoreView};

use super::table;
use crate::dashboard::{
    format,
    layout::{self, Frame, Room},
    parts,
};

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    all: &[DatasetView],
    datastores: &[DatastoreView],
) -> Markup {
    let main = html! {
        (layout::heading(&html! { "Datasets" }, &html! {
            span #shown data-live { b { (format::count(all.len() as u64)) } (if all.len() == 1 { " dataset" } else { " datasets" }) }
        }, &html! {}))
        div #datasets.card.flush data-live {
            @if all.is_empty() {
                (parts::empty(&html! {
                    "No dataset yet. " code { "tern dataset build NAME --model MODEL" } " builds a version from labelled captures, "
                    code { "tern dataset import NAME FILE --label COLUMN" } " imports one from files."
                }))
            } @else { (table(frame.scope, all, "Newest version")) }
        }
        @if !datastores.is_empty() {
            section aria-labelledby="datastores-title" {
                h2.apart #datastores-title { "Datastores" }
                div #datastores.card.flush data-live { table.cards {
                    thead { tr { th scope="col" { "Datastore" } th scope="col" { "Address" } th scope="col" { "Added" } } }
                    tbody { @for one in datastores { tr data-key=(one.name) {
                        th scope="row" { (one.name) }
                        td data-name="Address" {
                            code { (one.place) }
                            @match &one.place {
                                DatastorePlace::S3 { key_id: Some(key_id), .. } => { " " span.dim { "with key " (key_id) } }
                                DatastorePlace::S3 { key_id: None, .. } => { " " span.dim { "unsigned" } }
                                DatastorePlace::Directory { .. } | DatastorePlace::Http { .. } => {
                                    @if one.token { " " span.dim { "with a token" } }
                                }
                            }
                        }
                        td data-name="Added" { (parts::ago(one.at)) " by " (one.by) }
                    } } }
                } }
            }
        }
    };
    layout::page(frame, Room::Datasets, "Datasets", &main)
}

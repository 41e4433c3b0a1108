//! The story of a device, newest first, in chapters: one a version in a slot.

use maud::{Markup, html};
use tern_protocol::{
    id::SlotName,
    rest::{TimelineEntry, VersionRef},
};

use super::{parts, scope::Scope};

/// What belongs together: entries about one version in one slot, with what happened to the whole device
/// in between.
struct Chapter<'a> {
    about: Option<(&'a str, &'a VersionRef)>,
    entries: Vec<&'a TimelineEntry>,
}

/// The entries in chapters.
pub(super) fn draw(scope: &Scope, entries: &[TimelineEntry]) -> Markup {
    if entries.is_empty() {
        return parts::empty(&html! {
            "Nothing has happened yet. Entries appear when a rollout assigns a version here, and as the device gets it."
        });
    }
    html! {
        ol.chapters {
            @for chapter in chapters(entries) {
                li data-key=[chapter.entries.last().map(|entry| entry.id)] {
                    @match chapter.about {
                        Some((slot, of)) => h3 { (parts::version_ref(scope, of)) span.dim { " in " (slot) } },
                        None => h3 { "The device" },
                    }
                    ol.timeline { @for entry in chapter.entries { (self::entry(scope, entry)) } }
                }
            }
        }
    }
}

/// An entry about the device begins a chapter only where there is none to go into.
fn chapters(entries: &[TimelineEntry]) -> Vec<Chapter<'_>> {
    let mut chapters: Vec<Chapter<'_>> = Vec::new();
    for entry in entries {
        let about = entry.slot.as_ref().map(SlotName::as_str);
        let about = about.zip(entry.version.as_ref());
        match chapters.last_mut() {
            Some(last) if about.is_none() || last.about == about || last.about.is_none() => {
                last.about = last.about.or(about);
                last.entries.push(entry);
            }
            _ => chapters.push(Chapter {
                about,
                entries: vec![entry],
            }),
        }
    }
    chapters
}

fn entry(scope: &Scope, entry: &TimelineEntry) -> Markup {
    html! {
        li.(tone(&entry.kind)) data-key=(entry.id) {
            (parts::ago(entry.at))
            div {
                span.kind { (entry.kind) } " "
                span.text { (entry.says) }
                @if let Some(rollout) = entry.rollout {
                    @if entry.kind == "assigned" {
                        " " a.small href=(scope.page(&format!("/rollouts/{rollout}"))) { "Rollout " (rollout) }
                    }
                }
                @if !entry.text.is_empty() { p.dim.text { (entry.text) } }
            }
        }
    }
}

/// Colour class of an entry: good ends, bad ends, and what lies between.
fn tone(kind: &str) -> &'static str {
    match kind {
        "proven" | "confirmed" => "ok",
        "rejected" | "swapped-back" | "revoked" | "unproven" => "bad",
        "waiting" | "unsigned" | "captures-dropped" | "delta-failed" | "disk" | "damage" => "warn",
        "away" | "offline" | "started" | "appeared" | "metadata" | "unassigned" => "off",
        _ => "busy",
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::{id::ModelVersion, time::WallTime};

    use super::*;

    fn at(id: u64, slot: Option<&str>, version: u32) -> TimelineEntry {
        TimelineEntry {
            id,
            at: WallTime(0),
            kind: "fetching".into(),
            slot: slot.map(|slot| slot.parse().expect("a name")),
            version: slot.map(|_| VersionRef {
                model: "digits".parse().expect("a name"),
                version: ModelVersion::new(version).expect("over 0"),
            }),
            rollout: None,
            actor: None,
            since: None,
            says: "is being fetched".into(),
            text: String::new(),
        }
    }

    #[test]
    fn what_concerns_the_device_stands_in_the_chapter_around_it() {
        let entries = [
            at(9, None, 0),
            at(8, Some("reader"), 2),
            at(7, None, 0),
            at(6, Some("reader"), 2),
            at(5, Some("reader"), 1),
            at(4, Some("counter"), 1),
        ];
        let chapters = chapters(&entries);
        let lengths: Vec<_> = chapters.iter().map(|c| c.entries.len()).collect();
        assert_eq!(lengths, [4, 1, 1]);
        assert_eq!(chapters[0].about.map(|(slot, _)| slot), Some("reader"));
        assert!(super::chapters(&[]).is_empty());
    }
}

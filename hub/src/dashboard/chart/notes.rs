//! What happened while a chart's numbers were counted: rollouts, findings and alerts, as numbered marks in every drawing and
//! once as a list.

use maud::{Markup, html};
use tern_protocol::time::WallTime;

use super::super::parts;

/// Marks at most: the newest. More would hide the lines.
pub(in crate::dashboard) const NOTES: usize = 12;

/// Something that happened.
#[derive(Debug, Clone)]
pub(in crate::dashboard) struct Note {
    /// When.
    pub(in crate::dashboard) at: WallTime,
    /// Its colour class.
    pub(in crate::dashboard) tone: &'static str,
    /// What, for people.
    pub(in crate::dashboard) text: String,
    /// The page that says more.
    pub(in crate::dashboard) page: String,
}

/// The newest of them, the oldest first.
pub(in crate::dashboard) fn newest(mut notes: Vec<Note>) -> Vec<Note> {
    notes.sort_by_key(|note| note.at);
    notes.split_off(notes.len().saturating_sub(NOTES))
}

/// The list, numbered as the marks are.
pub(in crate::dashboard) fn list(notes: &[Note]) -> Markup {
    html! {
        ol.notes #notes data-live {
            @for note in notes {
                li.(note.tone) data-key={ (note.at.0) (note.page) } {
                    (parts::ago(note.at)) " " a href=(note.page) { (note.text) }
                }
            }
        }
    }
}

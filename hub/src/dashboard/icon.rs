//! Small drawings, inline so that they take the colour of the text around them.

use maud::{Markup, html};

/// A drawing of 16 × 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Icon {
    /// All is well.
    Check,
    /// On its way.
    Arrows,
    /// Something is wrong.
    Cross,
    /// Not there.
    Slash,
    /// Held.
    Pause,
    /// Not begun.
    Dot,
    /// Replaced.
    Forward,
}

impl Icon {
    /// The drawing. It only repeats what the text beside it says, so it is hidden from readers.
    pub(super) fn draw(self) -> Markup {
        let path = match self {
            Self::Check => "M3.5 8.5l3 3 6-7",
            Self::Arrows => {
                "M3 7.5A5 5 0 0 1 12 5M12.5 2.5V5.5H9.5M13 8.5A5 5 0 0 1 4 11M3.5 13.5V10.5H6.5"
            }
            Self::Cross => "M4.5 4.5l7 7M11.5 4.5l-7 7",
            Self::Slash => "M8 2.75a5.25 5.25 0 1 0 0 10.5a5.25 5.25 0 1 0 0-10.5M4.5 11.5l7-7",
            Self::Pause => "M6 4v8M10 4v8",
            Self::Dot => "M8 6a2 2 0 1 0 0 4a2 2 0 1 0 0-4",
            Self::Forward => "M3.5 4.5l4 3.5-4 3.5M8.5 4.5l4 3.5-4 3.5",
        };
        html! {
            svg.icon viewBox="0 0 16 16" aria-hidden="true" focusable="false" { path d=(path) {} }
        }
    }
}

//! Pages for what is not there and for what went wrong.

use maud::{Markup, html};

use crate::dashboard::layout::{self, Frame, Room};

/// Nothing at this address. `what` says what was looked for.
pub(in crate::dashboard) fn not_found(frame: Frame, what: &str) -> Markup {
    let main = html! {
        div.notice {
            h1 { "Not here" }
            p { (what) }
            p { a href=(frame.scope.page("/")) { "To the overview" } }
        }
    };
    layout::page(frame, Room::None, "Not here", &main)
}

/// The hub failed to answer. The log has the cause; a page that may be public does not.
pub(in crate::dashboard) fn failed(frame: Frame) -> Markup {
    let main = html! {
        div.notice {
            h1 { "The hub could not draw this page" }
            p { "The cause stands in the hub's log. Try again in a moment; devices are not affected." }
            p { a href=(frame.scope.page("/")) { "To the overview" } }
        }
    };
    layout::page(frame, Room::None, "Something failed", &main)
}

/// There, and not for whoever asks. `needs` says what it takes.
pub(in crate::dashboard) fn forbidden(frame: Frame, needs: &str) -> Markup {
    let main = html! {
        div.notice {
            h1 { "Not permitted" }
            p { "This page needs " code { (needs) } ". An admin can change your role." }
            p { a href=(frame.scope.page("/")) { "To the overview" } }
        }
    };
    layout::page(frame, Room::None, "Not permitted", &main)
}

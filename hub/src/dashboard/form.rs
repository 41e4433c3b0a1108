//! What forms are made of: labelled fields with room for what is wrong, what is shown once, questions
//! before something is taken away.
//!
//! `form.js` sends a form with `data-send` as JSON to the REST API and shows what it answers. Every
//! form says `method="post"`, so that what was typed never gets into an address, even if the script
//! did not load.

use maud::{Markup, html};
use tern_protocol::rest::Role;

use crate::access::role::{ROLES, covers, role_name};

/// One line to type into.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Input<'a> {
    /// Its id on the page.
    pub(super) id: &'a str,
    /// Its name in the JSON.
    pub(super) name: &'a str,
    /// What stands above it.
    pub(super) label: &'a str,
    /// Type of the input; text if empty.
    pub(super) kind: &'a str,
    /// What stands below it.
    pub(super) hint: &'a str,
    /// What it holds at first.
    pub(super) value: Option<&'a str>,
    /// What browsers may fill in; nothing if empty.
    pub(super) autocomplete: &'a str,
    /// Whether it has to be filled in.
    pub(super) required: bool,
    /// Fewest characters.
    pub(super) least: Option<u32>,
    /// Smallest and largest number.
    pub(super) between: Option<(u64, u64)>,
    /// Whether it holds digits only, so that phones show no letters.
    pub(super) digits: bool,
    /// How `form.js` turns the text into JSON: `number`, `labels`; as it is if unset.
    pub(super) json: Option<&'a str>,
    /// An example.
    pub(super) placeholder: Option<&'a str>,
}

impl Input<'_> {
    /// The field.
    pub(super) fn draw(&self) -> Markup {
        let or = |text: &'_ str, otherwise: &'static str| -> String {
            if text.is_empty() { otherwise } else { text }.to_owned()
        };
        let control = html! {
            input id=(self.id) name=(self.name) type=(or(self.kind, "text")) value=[self.value]
                autocomplete=(or(self.autocomplete, "off")) autocapitalize="none" spellcheck="false"
                inputmode=[self.digits.then_some("numeric")]
                required[self.required] minlength=[self.least]
                min=[self.between.map(|(min, _)| min)] max=[self.between.map(|(_, max)| max)]
                data-json=[self.json] placeholder=[self.placeholder]
                aria-describedby=(described(self.id, self.hint));
        };
        field(self.id, self.label, self.hint, &control)
    }
}

/// A name with which a person logs in.
pub(super) fn user(id: &str) -> Markup {
    Input {
        id,
        name: "user",
        label: "Name",
        autocomplete: "username",
        required: true,
        ..Input::default()
    }
    .draw()
}

/// A password that is known already.
pub(super) fn password(id: &str, name: &str, label: &str) -> Markup {
    Input {
        id,
        name,
        label,
        kind: "password",
        autocomplete: "current-password",
        required: true,
        ..Input::default()
    }
    .draw()
}

/// A password to choose.
pub(super) fn new_password(id: &str, name: &str) -> Markup {
    Input {
        id,
        name,
        label: "New password",
        kind: "password",
        hint: "At least 12 characters. A few words are easier to keep in mind than signs.",
        autocomplete: "new-password",
        required: true,
        least: Some(12),
        ..Input::default()
    }
    .draw()
}

/// A choice among values, the first one at first.
pub(super) fn select(
    id: &str,
    name: &str,
    label: &str,
    json: Option<&str>,
    options: &[(&str, &str)],
) -> Markup {
    let control = html! {
        select id=(id) name=(name) data-json=[json] aria-describedby=(described(id, "")) {
            @for (value, text) in options { option value=(value) { (text) } }
        }
    };
    field(id, label, "", &control)
}

/// Yes or no.
pub(super) fn check(id: &str, name: &str, label: &str) -> Markup {
    html! {
        div.field.check {
            input id=(id) name=(name) type="checkbox" value="true" data-json="flag";
            label for=(id) { (label) }
        }
    }
}

/// Roles that somebody with `own` may hand out, as options, `chosen` first chosen.
pub(super) fn roles(own: Role, chosen: Role) -> Markup {
    html! {
        @for role in ROLES {
            @if covers(own, role) || role == chosen {
                option value=(role_name(role)) selected[role == chosen] { (role_name(role)) }
            }
        }
    }
}

/// A label, a control, a hint, and room for what is wrong.
pub(super) fn field(id: &str, label: &str, hint: &str, control: &Markup) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            (control)
            @if !hint.is_empty() { p.hint id={ (id) "-hint" } { (hint) } }
            p.wrong id={ (id) "-wrong" } aria-live="polite" {}
        }
    }
}

/// Ids of what describes a field.
pub(super) fn described(id: &str, hint: &str) -> String {
    if hint.is_empty() {
        format!("{id}-wrong")
    } else {
        format!("{id}-hint {id}-wrong")
    }
}

/// Where a form or a button says what became of it.
pub(super) fn answer(id: &str) -> Markup {
    html! { p.answer id=(id) role="status" aria-live="polite" {} }
}

/// What the hub keeps of most that it shows once.
pub(super) const HASH_ONLY: &str = "The hub keeps only a hash of it.";

/// Something that is shown this once: `form.js` fills in what the hub answered, and shows it. `kept` says
/// what the hub keeps of it.
pub(super) fn once(id: &str, title: &str, kept: &str, lines: &[Once]) -> Markup {
    html! {
        section.card.once id=(id) tabindex="-1" hidden aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            p.dim { "This is shown once. " (kept) }
            @for line in lines {
                @let key = format!("{id}-{}", line.key);
                p.small { (line.label) }
                div.copy {
                    code id=(key) data-fill=(line.fill) data-before=(line.before) {}
                    button type="button" data-copy=(key) { "Copy" }
                }
            }
        }
    }
}

/// A line of [`once`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Once {
    /// Its name on the page.
    pub(super) key: &'static str,
    /// What it is.
    pub(super) label: &'static str,
    /// The field of the answer that fills it.
    pub(super) fill: &'static str,
    /// What stands before it in the same line.
    pub(super) before: &'static str,
}

/// A question before something is done that cannot be undone. A button with `data-ask` and
/// `data-send` opens it; `[data-what]` in it becomes the button's `data-what`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// The question, without its mark; what it is about is added.
    pub(super) question: &'a str,
    /// What will happen.
    pub(super) text: &'a str,
    /// The word on the button.
    pub(super) act: &'a str,
    /// What is said when it is done.
    pub(super) done: &'a str,
    /// Whether a reason may be given.
    pub(super) reason: Reason,
    /// What of the page shows the answer, as [`once`].
    pub(super) show: Option<&'a str>,
}

/// Whether a question takes a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It does; it goes into the audit log.
    Taken,
    /// It does not.
    None,
}

impl Ask<'_> {
    /// The dialog. To stand outside of everything that is live.
    pub(super) fn draw(&self) -> Markup {
        let id = self.id;
        let reason = format!("{id}-reason");
        html! {
            dialog id=(id) aria-labelledby={ (id) "-title" } {
                form.form method="post" data-send="" data-done=(self.done) data-show=[self.show] {
                    h2 id={ (id) "-title" } { (self.question) " " b.text data-what {} "?" }
                    p { (self.text) }
                    @if self.reason == Reason::Taken {
                        (Input { id: &reason, name: "reason", label: "Why (for the audit log)", ..Input::default() }.draw())
                    }
                    (answer(&format!("{id}-answer")))
                    div.buttons {
                        button type="button" data-close { "Cancel" }
                        button.danger type="submit" { (self.act) }
                    }
                }
            }
        }
    }
}

//! `/models/{model}/label`: people say what is true about captures. `label.js` asks the API for captures and says what
//! was chosen.

use maud::{Markup, html};
use tern_protocol::rest::LabellingView;

use crate::{
    access::role::Permission,
    dashboard::{
        form, format,
        layout::{self, Frame, Room},
        parts,
    },
};

/// What the keys do.
const KEYS: [(&str, &str); 6] = [
    (
        "digit, letter",
        "choose the class with that key, or type the number",
    ),
    ("Enter, Space", "save the label, and go on"),
    ("S", "skip: you cannot say"),
    ("U", "undo: take back your last label"),
    ("M", "show the prediction of the model"),
    ("?", "this help"),
];

/// The page.
pub(in crate::dashboard) fn page(frame: Frame, view: &LabellingView) -> Markup {
    let scope = frame.scope;
    let path = scope.page(&format!("/models/{}", view.model));
    let api = scope.api(&format!("/labelling/{}", view.model));
    let below = html! {
        span #waiting data-live {
            b { (format::count(view.waiting)) } " wait for a label"
            @if view.labellers > 1 { ", " b { (format::count(view.half)) } " for a second person" }
            @if view.disagreed > 0 { ", " b { (format::count(view.disagreed)) } " for a decision" }
            "; you have labelled " b { (format::count(view.mine)) }
        }
    };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href=(scope.page("/models")) { "Models" } " / " a href=(path) { (view.model) }
        }
        (layout::heading(&html! { "Label " (view.model) }, &below, &html! {
            div.buttons {
                a.button href=(super::captures::of_model(scope, &view.model)) { "Captures" }
                a.button href=(format!("{path}/truth")) { "Accuracy" }
            }
        }))
        section #labeller data-label=(api) aria-label="Capture" {
            div.row.apart {
                div.queues {
                    button.small type="button" data-queue="open" aria-pressed="true" { "Open" }
                    button.small type="button" data-queue="disagreed" aria-pressed="false" { "Disagreed" }
                    @if view.without_input > 0 {
                        label.small {
                            input #without-input type="checkbox" autocomplete="off";
                            " also " (format::count(view.without_input)) " without their input"
                        }
                    }
                }
                button.small type="button" data-act="help" { "Keys (?)" }
            }
            div.bench {
                div.card {
                    div #viewer { noscript { p { "Labelling needs scripts." } } }
                }
                div.card.stack {
                    div #choices role="group" aria-label="Class" {}
                    div.buttons {
                        button.primary type="button" data-act="next" { "Save (Enter)" }
                        button type="button" data-act="skip" { "Skip (S)" }
                        button type="button" data-act="undo" { "Undo (U)" }
                    }
                    (form::answer("label-answer"))
                    dl.facts #item-facts {}
                }
            }
        }
        section aria-labelledby="agreement-title" {
            h2.apart #agreement-title { "Labelling rules" }
            div.card {
                dl.facts #agreement data-live {
                    (parts::fact("Labels needed", &html! {
                        @if view.labellers == 1 { "one person" } @else { "two people who say the same" }
                    }))
                    (parts::fact("Labelled by people", &html! { (format::count(view.labelled)) }))
                    (parts::fact("Agreement", &agreement(view)))
                    (parts::fact("Order", &html! {
                        "One in four at random: these give the accuracy. The others by their value for training: low confidence, and unlike \
                         what is labelled already."
                    }))
                }
                @if frame.may(Permission::Publish) { (settings(view, &api)) }
            }
        }
        dialog #label-help aria-labelledby="label-help-title" {
            h2 #label-help-title { "Keys" }
            dl.facts { @for (key, text) in KEYS { (parts::fact(key, &html! { (text) })) } }
            div.buttons { button type="button" data-close { "Close" } }
        }
    };
    layout::page(frame, Room::Models, "Label", &main)
}

fn agreement(view: &LabellingView) -> Markup {
    html! {
        @match &view.agreement {
            None => { span.dim { "no capture was labelled by two people yet" } }
            Some(agreement) => {
                "on " (format::count(agreement.same)) " of " (format::count(agreement.both))
                @if let Some(kappa) = &agreement.kappa {
                    ", Cohen’s kappa " b { (format!("{:.2}", kappa.value)) }
                    span.dim { (format!(" {:.2} to {:.2}", kappa.low, kappa.high)) }
                }
            }
        }
    }
}

fn settings(view: &LabellingView, api: &str) -> Markup {
    let options = [("1", "one person"), ("2", "two people who say the same")];
    let chosen: Vec<(&str, &str)> = if view.labellers == 2 {
        options.into_iter().rev().collect()
    } else {
        options.to_vec()
    };
    html! {
        details {
            summary { "Change" }
            form.form method="post" data-send=(api) data-method="PUT" data-done="Set. What is a truth stays one; what needs nobody any more becomes one." {
                (form::select("labellers", "labellers", "Labels needed", Some("number"), &chosen))
                (form::answer("labellers-answer"))
                div.buttons { button type="submit" { "Set" } }
            }
        }
    }
}

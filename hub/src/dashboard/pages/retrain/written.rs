//! `/retraining/policies`: policies and trainings as they were written, and where they are written.

use maud::{Markup, html};
use tern_protocol::rest::{RetrainPolicyView, TrainingView};

use super::{Tab, page as around};
use crate::{
    access::role::Permission,
    dashboard::{
        form::{self, Ask, Reason},
        format,
        layout::Frame,
        parts,
    },
};

/// What somebody begins with who writes a policy.
const EXAMPLE: &str = "\
model: digits
mode: propose
triggers:
  - finding:
      lasting: 1d
  - accuracy-below: 92%
training: usual
rollout: careful
";

/// The page.
pub(in crate::dashboard) fn page(
    frame: Frame,
    policies: &[RetrainPolicyView],
    trainings: &[TrainingView],
) -> Markup {
    let below = html! {
        span #count data-live { b { (format::count(policies.len() as u64)) } (if policies.len() == 1 { " policy, " } else { " policies, " })
            b { (format::count(trainings.len() as u64)) } (if trainings.len() == 1 { " training job" } else { " training jobs" }) }
    };
    let may = frame.may(Permission::Administer);
    let content = html! {
        @for policy in policies { (one(frame, policy, may)) }
        @if may { (new(frame)) }
        section aria-labelledby="trainings-title" {
            h2.apart #trainings-title { "Training jobs" }
            p.dim { "Job definitions that policies train by; write one with " code { "tern retrain training set NAME FILE" } "." }
            @for training in trainings { (kept(training)) }
            @if trainings.is_empty() { (parts::empty(&html! { "None yet." })) }
        }
        (Ask {
            id: "remove",
            question: "Remove",
            text: "The model is no longer retrained by it; an open round ends.",
            act: "Remove",
            done: "Removed.",
            reason: Reason::None,
            show: None,
        }.draw())
    };
    around(frame, Tab::Written, &below, &content)
}

fn one(frame: Frame, policy: &RetrainPolicyView, may: bool) -> Markup {
    let model = &policy.model;
    let title = format!("policy-{model}");
    let path = frame
        .scope
        .api(&format!("/models/{model}/retraining/policy"));
    html! {
        section.card aria-labelledby=(title) {
            h2 id=(title) { a href=(frame.scope.page(&format!("/retraining/{model}"))) { (model) } }
            p.small.dim { (policy.mode) " · " (policy.by) " " (parts::ago(policy.updated)) }
            @if may {
                (editor(frame, model.as_str(), &policy.text, &html! {
                    button.danger type="button" data-ask="remove" data-method="DELETE" data-what={ "the policy of " (model) }
                        data-send=(path) { "Remove …" }
                }))
            } @else { pre.code { (policy.text) } }
        }
    }
}

fn editor(frame: Frame, id: &str, text: &str, more: &Markup) -> Markup {
    let field = format!("text-{id}");
    let list = format!("problems-{id}");
    html! {
        form.form method="post" data-send=(frame.scope.api("/retraining/policies")) data-done="Saved." data-list=(list) {
            (form::field(&field, "Policy", "", &html! {
                textarea.code id=(field) name="text" rows="16" required spellcheck="false" autocapitalize="none"
                    aria-describedby=(form::described(&field, "")) { (text) }
            }))
            ul.problems id=(list) aria-live="polite" {}
            div.buttons {
                button type="button" data-check=(frame.scope.api("/retraining/check")) { "Check" }
                button.primary type="submit" { "Save" }
                (more)
            }
            (form::answer(&format!("answer-{id}")))
        }
    }
}

fn new(frame: Frame) -> Markup {
    html! {
        section.card aria-labelledby="new-title" {
            h2 #new-title { "New policy" }
            p.dim { "YAML or JSON, as " code { "tern retrain policy set FILE" } " takes it; docs/retraining.md says what each line means." }
            (editor(frame, "new", EXAMPLE, &html! {}))
        }
    }
}

fn kept(training: &TrainingView) -> Markup {
    html! {
        section.card {
            h3 { code { (training.name) } }
            p.small.dim {
                (training.by) " " (parts::ago(training.updated))
                @if !training.models.is_empty() { " · for " @for model in &training.models { span.chip { (model) } " " } }
            }
            details { summary { "Job definition" } pre.code { (training.text) } }
        }
    }
}

//! What needs a person, where a person looks first.

use maud::{Markup, html};
use tern_protocol::rest::{Attention, AttentionKind};

use super::{icon::Icon, scope::Scope};

/// All of it, the worst first; nothing where nothing does.
pub(super) fn draw(scope: &Scope, all: &[Attention]) -> Markup {
    html! {
        @if !all.is_empty() {
            ul.attention role="list" {
                @for one in all { (entry(scope, one)) }
            }
        }
    }
}

fn entry(scope: &Scope, one: &Attention) -> Markup {
    let key = match &one.version {
        Some(of) if one.command.is_some() => {
            let command = one.command.as_deref().unwrap_or("");
            format!("{:?}/{}/{}/{command}", one.kind, of.model, of.version)
        }
        Some(of) => format!("{:?}/{}/{}", one.kind, of.model, of.version),
        None => format!("{:?}/{}", one.kind, one.command.as_deref().unwrap_or("")),
    };
    html! {
        li.(tone(one.kind)) data-key=(key) {
            (Icon::Cross.draw())
            div {
                p.text { b { (title(one.kind)) } ": " (one.text) "." }
                p.small.text {
                    (one.remedy)
                    @if let Some(command) = &one.command { ": " code { (command) } }
                    @if let Some((path, name)) = leads(one) { " " a href=(scope.page(&path)) { (name) } }
                }
            }
        }
    }
}

fn title(kind: AttentionKind) -> &'static str {
    match kind {
        AttentionKind::RevokedServing => "Revoked and still serving",
        AttentionKind::Failing => "Failing",
        AttentionKind::RolloutStopped => "Stopped by evidence of harm",
        AttentionKind::RolloutWaits => "A rollout waits for a person",
        AttentionKind::Alert => "Alert",
        AttentionKind::Proposal => "A round of retraining waits for a person",
        AttentionKind::Frozen => "Frozen",
        AttentionKind::DamagedBlobs => "Damaged files",
        AttentionKind::DamagedDatabase => "Damaged database",
        AttentionKind::Undelivered => "Notices not delivered",
        AttentionKind::Quarantine => "Wrong clocks",
        AttentionKind::DevelopmentKeys => "Development keys",
    }
}

fn tone(kind: AttentionKind) -> &'static str {
    match kind {
        AttentionKind::RevokedServing
        | AttentionKind::Failing
        | AttentionKind::RolloutStopped
        | AttentionKind::Alert
        | AttentionKind::Frozen
        | AttentionKind::DamagedBlobs
        | AttentionKind::DamagedDatabase => "bad",
        AttentionKind::RolloutWaits
        | AttentionKind::Proposal
        | AttentionKind::Undelivered
        | AttentionKind::Quarantine
        | AttentionKind::DevelopmentKeys => "warn",
    }
}

/// Where one sees more of it.
fn leads(one: &Attention) -> Option<(String, &'static str)> {
    match (one.kind, &one.version) {
        (AttentionKind::RevokedServing | AttentionKind::DamagedBlobs, Some(of)) => {
            Some((format!("/models/{}#v{}", of.model, of.version), "Its model"))
        }
        (AttentionKind::RevokedServing | AttentionKind::Failing, _) => {
            Some(("/devices?health=failing".into(), "These devices"))
        }
        (AttentionKind::Alert, _) => Some(("/alerts".into(), "Alerts")),
        (AttentionKind::Proposal, _) => Some(("/proposals".into(), "Proposals")),
        (AttentionKind::Undelivered, _) => Some(("/access/notifications".into(), "Notifications")),
        (
            AttentionKind::RolloutStopped | AttentionKind::RolloutWaits | AttentionKind::Frozen,
            _,
        ) => Some(("/rollouts".into(), "Rollouts")),
        (
            AttentionKind::DamagedBlobs
            | AttentionKind::DamagedDatabase
            | AttentionKind::Quarantine
            | AttentionKind::DevelopmentKeys,
            _,
        ) => None,
    }
}

/// Says on the pages of models that the hub can sign what it likes.
pub(super) fn development() -> Markup {
    html! {
        ul.attention role="list" {
            li.warn {
                (Icon::Cross.draw())
                div {
                    p.text { b { "Development keys" } ": this hub holds the keys that sign models. Whoever takes it over can sign what they like, and devices will load it." }
                    p.small.text {
                        "Make keys where the hub is not: " code { "tern key new root.key" } ", " code { "tern key new release.key" }
                        ", and hand signing over: " code { "tern key rotate --help" } ". The manual has it under “Keys that sign models” (docs/security.md)."
                    }
                }
            }
        }
    }
}

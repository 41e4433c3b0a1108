//! Keys and signed metadata.

use tern_protocol::{
    rest::{Draft, Signatures, TrustView},
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Facts, Table},
    words::{clean, date, things},
};
use crate::commands::key::files::Made;

/// Hex digits of a key's name that are shown.
const NAME: usize = 12;

/// `tern key new`.
pub(crate) fn made(made: &Made, look: Look) -> String {
    let mut facts = Facts::new(look);
    facts.fact("key", made.file.display().to_string());
    facts.fact("public key", made.public_file.display().to_string());
    facts.fact("id", made.id.as_str());
    facts.text()
}

/// How the signed metadata stand.
pub(crate) fn trust(trust: &TrustView, now: WallTime, look: Look) -> String {
    let mut table = Table::new(look, &["ROLE", "VERSION", "EXPIRES", "SIGN", "KEYS"]);
    for role in &trust.roles {
        let keys = role.keys.iter().map(|key| {
            let whose = if key.held_by_hub { " (hub)" } else { "" };
            format!("{}{whose}", short(&key.id))
        });
        let expired = role.expires < now;
        table.row([
            Cell::toned(role.role.as_str(), Tone::Strong),
            Cell::number(role.version.to_string()),
            Cell::toned(
                date(role.expires),
                if expired { Tone::Bad } else { Tone::Plain },
            ),
            format!("{} of {}", role.threshold, role.keys.len()).into(),
            keys.collect::<Vec<_>>().join(", ").into(),
        ]);
    }
    let mut text = table.text();
    if trust.development {
        let warning = "the hub holds keys that sign models: whoever takes it over signs what they \
                       like; `tern key rotate --help` shows how to keep them elsewhere";
        text += &format!("\n{}\n", Tone::Bad.paint(warning, look));
    }
    let waiting = [
        ("a change of keys", &trust.draft_root),
        ("the list of models", &trust.draft_targets),
    ];
    for (what, draft) in waiting {
        if let Some(draft) = draft {
            text += &format!("\n{what} waits for signatures: {}\n", so_far(draft));
        }
    }
    let unsigned = trust.versions.iter().filter(|version| !version.signed);
    for version in unsigned {
        text += &format!("  {} v{} is not signed\n", version.model, version.version);
    }
    for version in &trust.versions {
        if let Some(reason) = &version.revoked {
            let signed = if version.revocation_signed {
                ""
            } else {
                " (waits for a signature)"
            };
            text += &format!(
                "  {} v{} is revoked{signed}: {}\n",
                version.model,
                version.version,
                clean(reason)
            );
        }
    }
    text
}

fn so_far(draft: &Draft) -> String {
    if draft.signed_by.is_empty() {
        return "nobody has signed yet".into();
    }
    let names = draft.signed_by.iter().map(|id| short(id));
    format!(
        "{} so far ({})",
        things(draft.signed_by.len() as u64, "signature"),
        names.collect::<Vec<_>>().join(", ")
    )
}

/// What is about to be signed.
pub(crate) fn pending(trust: &TrustView, signed: &Signatures) -> String {
    let mut lines = Vec::new();
    if let Some(root) = &signed.root {
        lines.push("Other keys:".to_owned());
        lines.extend(keys_of(root));
    }
    if signed.targets.is_some() {
        lines.push("The list of models. New in it:".to_owned());
        let new = trust.versions.iter().filter_map(|version| {
            let named = format!("{} v{}", version.model, version.version);
            match &version.revoked {
                Some(reason) if !version.revocation_signed => {
                    Some(format!("  {named} revoked: {}", clean(reason)))
                }
                None if !version.signed => {
                    Some(format!("  {named}, bundle {}", version.bundle.digest))
                }
                _ => None,
            }
        });
        let new: Vec<_> = new.collect();
        if new.is_empty() {
            lines.push("  nothing; it is signed anew".to_owned());
        }
        lines.extend(new);
    }
    lines.join("\n")
}

/// What a root says of its roles, a line each.
fn keys_of(root: &str) -> Vec<String> {
    let root: serde_json::Value = serde_json::from_str(root).unwrap_or_default();
    let roles = root["signed"]["roles"].as_object();
    let roles = roles.into_iter().flatten().map(|(role, keys)| {
        let ids = keys["keyids"].as_array().into_iter().flatten();
        let ids: Vec<_> = ids.filter_map(|id| id.as_str()).map(short).collect();
        format!("  {role}: {} of {}", keys["threshold"], ids.join(", "))
    });
    roles.collect()
}

fn short(id: &str) -> String {
    clean(id).chars().take(NAME).collect()
}

//! Signs what waits for it. What is signed is shown first: a signature is the word of whoever gives it.

use tern_protocol::rest::{Signatures, TrustView};
use tern_trust::{
    author,
    document::Document,
    key::SigningKey,
    schema::{RoleType, Root, Targets},
};

use super::{Answer, Context, KeyCommandError};
use crate::{ask, clock, out::talk, show::key as show};

/// Signs with these keys what waits for them.
pub(crate) fn sign(
    context: &Context,
    keys: &[SigningKey],
    yes: bool,
    renew: bool,
) -> Result<Answer, KeyCommandError> {
    let trust = context.client.trust()?;
    let signed = prepared(&trust, keys, renew)?;
    if signed == Signatures::default() {
        if trust.draft_root.is_some() || trust.draft_targets.is_some() || keys.is_empty() {
            return Err(KeyCommandError::NotOurs);
        }
        talk(format_args!("nothing waits for a signature"));
        return shown(context, &trust);
    }
    talk(format_args!("{}", show::pending(&trust, &signed)));
    if !yes {
        if !ask::somebody() {
            return Err(KeyCommandError::Nobody);
        }
        if !ask::yes("Sign this?").map_err(KeyCommandError::Ask)? {
            return Ok(Answer::No);
        }
    }
    let after = context.client.hand_in_signatures(&signed)?;
    shown(context, &after)
}

fn shown(context: &Context, trust: &TrustView) -> Result<Answer, KeyCommandError> {
    let text = |look| show::trust(trust, clock::now(), look);
    context.out.answer(trust, text)?;
    Ok(Answer::Yes)
}

/// The drafts with the signatures of those keys that count.
fn prepared(
    trust: &TrustView,
    keys: &[SigningKey],
    renew: bool,
) -> Result<Signatures, KeyCommandError> {
    let root: Document<Root> = Document::read(trust.root.as_bytes())?;
    let draft = trust.draft_root.as_ref();
    let draft = draft.map(|draft| Document::read(draft.document.as_bytes()));
    let mut draft: Option<Document<Root>> = draft.transpose()?;
    let roots: Vec<Root> = [Some(&root), draft.as_ref()]
        .into_iter()
        .flatten()
        .map(|root| root.role().clone())
        .collect();
    let ours = |role| -> Vec<&SigningKey> {
        let counts = |key: &&SigningKey| {
            let mut roots = roots.iter();
            roots.any(|root| author::signs(root, role, &key.public()))
        };
        keys.iter().filter(counts).collect()
    };
    let mut signatures = Signatures::default();
    if let Some(draft) = &mut draft {
        let ours = ours(RoleType::Root);
        for key in &ours {
            draft.sign(key);
        }
        signatures.root = (!ours.is_empty()).then(|| text(draft));
    }
    let ours = ours(RoleType::Targets);
    if ours.is_empty() {
        return Ok(signatures);
    }
    let current: Document<Targets> = Document::read(trust.targets.as_bytes())?;
    let waiting = match &trust.draft_targets {
        Some(waiting) => Some(Document::read(waiting.document.as_bytes())?),
        // Other release keys have to sign what those before them signed.
        None if renew || draft.is_some_and(|root| !current.is_signed(root.role())) => {
            Some(author::following(&current, clock::now()))
        }
        None => None,
    };
    if let Some(mut targets) = waiting {
        for key in &ours {
            targets.sign(key);
        }
        signatures.targets = Some(text(&targets));
    }
    Ok(signatures)
}

fn text<T>(document: &Document<T>) -> String
where
    T: tern_trust::schema::Role
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Clone
        + PartialEq,
{
    String::from_utf8_lossy(document.bytes()).into_owned()
}

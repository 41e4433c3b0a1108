//! What of retraining needs a person.

use tern_protocol::{
    id::WorkspaceId,
    rest::{Attention, AttentionKind, VersionRef},
};

use super::{RetrainError, proposals, proposals::ProposalQuery};
use crate::{
    app::App,
    store::{StoreError, chain},
};

/// Questions that are told, at most.
const TOLD: u64 = 20;

/// Characters of why, at most.
const LONG: usize = 200;

/// At most [`LONG`] of it, up to the end of a word.
fn shortened(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(LONG) else {
        return text;
    };
    let words = text[..end]
        .rsplit_once(' ')
        .map_or(&text[..end], |(words, _)| words);
    format!("{words} …")
}

/// Questions that wait for an answer.
pub async fn attention(app: &App, workspace: &WorkspaceId) -> Result<Vec<Attention>, StoreError> {
    let query = ProposalQuery {
        limit: Some(TOLD),
        ..ProposalQuery::default()
    };
    let open = match proposals::proposals(app, workspace, &query).await {
        Ok(open) => open,
        Err(RetrainError::Store(err)) => return Err(err),
        Err(err) => {
            // The rest of what needs a person is told all the same.
            tracing::warn!(error = chain(&err), %workspace, "questions of retraining are not told");
            return Ok(Vec::new());
        }
    };
    let each = open.into_iter().map(|one| {
        let version = one.facts.as_ref().map(|facts| VersionRef {
            model: one.model.clone(),
            version: facts.champion,
        });
        let why = one
            .facts
            .and_then(|facts| facts.evidence.into_iter().next());
        let why = why.or_else(|| one.sentences.into_iter().next());
        let why = shortened(why.unwrap_or_default());
        Attention {
            kind: AttentionKind::Proposal,
            text: format!("{} {}", one.subject, why.trim_end_matches('.'))
                .trim_end()
                .to_owned(),
            remedy: format!("{} has to answer", one.needs),
            command: Some(format!("tern proposal show {}", one.id)),
            devices: 0,
            version,
        }
    });
    Ok(each.collect())
}

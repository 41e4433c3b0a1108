//! Tells subscribers what needs a person, as soon as it does.

use std::time::Duration;

use tern_protocol::{
    id::WorkspaceId,
    rest::{Attention, AttentionKind},
};
use tokio_util::sync::CancellationToken;

use super::attention::attention;
use crate::{
    app::App,
    fleet,
    notify::attention::{self as notices, Standing},
    store::{StoreError, chain},
};

/// Between two looks: about what an open overview costs, and only where somebody wants to hear of it.
const LOOK: Duration = Duration::from_secs(10);

/// Looks now and then until the hub stops.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        if let Err(err) = look(&app).await {
            tracing::warn!(error = chain(&err), "what needs a person was not told");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.courier.asked_to_look() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn look(app: &App) -> Result<(), StoreError> {
    for workspace in notices::workspaces(&app.store).await? {
        let standing = standing(app, &workspace).await?;
        notices::tell(app, &workspace, &standing).await?;
    }
    Ok(())
}

async fn standing(app: &App, workspace: &WorkspaceId) -> Result<Vec<Standing>, StoreError> {
    let health = fleet::health_counts(&app.store, workspace).await?;
    let all = attention(app, workspace, &health).await?;
    let others = all.iter().filter(|one| !tells_itself(one.kind));
    Ok(others.map(told).collect())
}

/// Whether there is a notice of its own of it, written in the transaction in which it came to be.
const fn tells_itself(kind: AttentionKind) -> bool {
    matches!(
        kind,
        AttentionKind::RolloutStopped
            | AttentionKind::RolloutWaits
            | AttentionKind::Alert
            | AttentionKind::Proposal
            | AttentionKind::Frozen
    )
}

/// What is the same as long as it is about the same: its numbers may change meanwhile.
fn told(one: &Attention) -> Standing {
    let kind = one.kind.word();
    let item = match &one.version {
        Some(of) => format!("{kind}/{}/{}", of.model, of.version),
        None => kind.to_owned(),
    };
    let command = one.command.as_ref();
    let command = command.map_or(String::new(), |command| format!(":\n\n    {command}"));
    Standing {
        item,
        subject: one.text.clone(),
        text: format!("{}.\n\nWhat to do: {}{command}", one.text, one.remedy),
        link_path: "/".into(),
    }
}

#[cfg(test)]
mod tests {
    use tern_protocol::rest::{AttentionKind, VersionRef};

    use super::*;

    #[test]
    fn what_is_told_names_the_remedy_and_stays_the_same_while_numbers_change() {
        let of = |devices| Attention {
            kind: AttentionKind::RevokedServing,
            text: format!("{devices} devices serve digits v2, which is revoked"),
            remedy: "publish a good version".into(),
            command: Some("tern rollout start".into()),
            devices,
            version: Some(VersionRef {
                model: "digits".parse().expect("a name"),
                version: "2".parse().expect("a version"),
            }),
        };
        let one = told(&of(3));
        assert_eq!(one.item, "revoked-serving/digits/2");
        assert_eq!(one.item, told(&of(2)).item);
        insta::assert_snapshot!(one.text, @r"
        3 devices serve digits v2, which is revoked.

        What to do: publish a good version:

            tern rollout start
        ");
    }
}

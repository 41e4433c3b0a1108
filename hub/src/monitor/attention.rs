//! What needs a person, the worst first.

use tern_protocol::{
    id::WorkspaceId,
    rest::{Attention, AttentionKind, Health, HealthCount},
};

use crate::{app::App, fleet, store::StoreError, trust};

/// All that needs a person in a workspace; nothing if all is well.
pub(super) async fn attention(
    app: &App,
    workspace: &WorkspaceId,
    health: &[HealthCount],
) -> Result<Vec<Attention>, StoreError> {
    let (revoked, quarantined, development) = tokio::try_join!(
        fleet::revoked::unreplaced(&app.store, workspace),
        super::quarantine::recent(app, workspace),
        trust::is_development(&app.store, workspace),
    )?;
    let mut all = Vec::new();
    let alarmed: u64 = revoked.values().map(|(devices, _)| devices).sum();
    for (version, (devices, reason)) in revoked {
        let named = format!("{} v{}", version.model, version.version);
        all.push(Attention {
            kind: AttentionKind::RevokedServing,
            text: format!(
                "{} serve {named}, which is revoked ({reason}), and nothing takes its place",
                things(devices, "device")
            ),
            remedy: "publish a good version, or roll out one that is there".into(),
            command: Some("tern rollout start".into()),
            devices,
            version: Some(version),
        });
    }
    let failing = health
        .iter()
        .find(|count| count.health == Health::Failing)
        .map_or(0, |count| count.devices)
        .saturating_sub(alarmed);
    if failing > 0 {
        all.push(Attention {
            kind: AttentionKind::Failing,
            text: format!(
                "{} refused what they should serve, or serve nothing good",
                things(failing, "device")
            ),
            remedy: "the timeline of each says why".into(),
            command: Some("tern device list --health failing".into()),
            devices: failing,
            version: None,
        });
    }
    if quarantined.windows > 0 {
        all.push(Attention {
            kind: AttentionKind::Quarantine,
            text: format!(
                "{} of {} that came this week have times that cannot be right: they count, and no chart \
                 draws them",
                things(quarantined.windows, "window"),
                things(quarantined.devices, "device")
            ),
            remedy: "look at which devices, and at their clocks".into(),
            command: Some("tern quarantine".into()),
            devices: quarantined.devices,
            version: None,
        });
    }
    if development {
        all.push(Attention {
            kind: AttentionKind::DevelopmentKeys,
            text: "this hub holds the keys that sign models: whoever takes it over can sign what they \
                   like"
                .into(),
            remedy: "make keys where the hub is not, and hand signing over to them".into(),
            command: Some("tern key rotate --help".into()),
            devices: 0,
            version: None,
        });
    }
    Ok(all)
}

fn things(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

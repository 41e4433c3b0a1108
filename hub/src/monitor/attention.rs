//! What needs a person, the worst first.

use tern_protocol::{
    id::WorkspaceId,
    rest::{Attention, AttentionKind, BlobPart, Health, HealthCount, VersionRef},
};

use crate::{
    alerts,
    app::App,
    fleet,
    notify::{self, Undelivered},
    registry::lacking::{self, Lacks},
    retrain, rollout,
    store::StoreError,
    trust,
};

/// Versions that are told to lack files, at most; of a disk that is gone nobody reads them all.
const LACKING: usize = 20;

/// All that needs a person in a workspace; nothing if all is well.
pub(super) async fn attention(
    app: &App,
    workspace: &WorkspaceId,
    health: &[HealthCount],
) -> Result<Vec<Attention>, StoreError> {
    let (revoked, quarantined, development, lacking, undelivered) = tokio::try_join!(
        fleet::revoked::unreplaced(&app.store, workspace),
        super::quarantine::recent(app, workspace),
        trust::is_development(&app.store, workspace),
        lacking::versions(app, workspace),
        notify::undelivered(&app.store, workspace),
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
    all.extend(firing(app, workspace).await?);
    all.extend(rollout::attention(app, workspace).await?);
    all.extend(retrain::attention::attention(app, workspace).await?);
    let more = lacking.len().saturating_sub(LACKING);
    let told = lacking.into_iter().take(LACKING);
    all.extend(told.map(|(version, lacks)| damaged_blobs(version, lacks)));
    if let (Some(last), 1..) = (all.last_mut(), more) {
        let more = things(more as u64, "more version");
        last.text = format!("{}; so do those of {more}", last.text);
    }
    if let Some(what) = app.verdict.damage() {
        let (remedy, command) = if app.store.is_on_server() {
            let remedy = "stop the hub, restore the last backup of the server into another database, and start the \
                          hub on that";
            (remedy, None)
        } else {
            let remedy = "stop the hub, keep its directory, restore the last backup into another one, and start the \
                          hub on that";
            (remedy, Some("tern-hub restore".into()))
        };
        all.push(Attention {
            kind: AttentionKind::DamagedDatabase,
            text: format!("the hub's database is damaged ({what}): some requests fail"),
            remedy: remedy.into(),
            command,
            devices: 0,
            version: None,
        });
    }
    all.extend(undelivered_notices(&undelivered));
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

/// Alerts that are worth a person's time now.
async fn firing(app: &App, workspace: &WorkspaceId) -> Result<Vec<Attention>, StoreError> {
    let (named, more) = alerts::paging(app, workspace).await?;
    let mut all: Vec<Attention> = named
        .into_iter()
        .map(|one| Attention {
            kind: AttentionKind::Alert,
            text: one.facts.summary,
            remedy: one.facts.action,
            command: Some(format!("tern alert show {}", one.id)),
            devices: one.facts.devices,
            version: None,
        })
        .collect();
    if let (Some(last), 1..) = (all.last_mut(), more) {
        last.text = format!("{}; and {}", last.text, things(more, "more alert"));
    }
    Ok(all)
}

/// Receivers of notices that nothing reaches.
fn undelivered_notices(receivers: &[Undelivered]) -> Option<Attention> {
    let first = receivers.first()?;
    let notices = receivers.iter().map(|one| one.notices).sum();
    let others = match receivers.len() - 1 {
        0 => String::new(),
        others => format!(" and {}", things(others as u64, "other receiver")),
    };
    Some(Attention {
        kind: AttentionKind::Undelivered,
        text: format!(
            "{} did not reach {}{others}",
            things(notices, "notice"),
            first.target
        ),
        remedy: "see why, repair it, and send a test".into(),
        command: Some(format!("tern notify test {}", first.subscription)),
        devices: 0,
        version: None,
    })
}

/// A version that lacks files.
fn damaged_blobs(version: VersionRef, lacks: Lacks) -> Attention {
    let names = lacks.parts.iter().map(|part| match part {
        BlobPart::Manifest => "manifest",
        BlobPart::Golden => "golden samples",
        BlobPart::Reference => "reference profile",
        BlobPart::Model | BlobPart::Delta | BlobPart::Metadata => "model file",
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let VersionRef {
        model,
        version: number,
    } = &version;
    let text = format!(
        "{model} v{number} lacks its {names}, damaged on the hub's disk or gone from it: devices that need \
         them wait"
    );
    let (remedy, command) = match (&lacks.parts[..], lacks.transcoded) {
        ([BlobPart::Manifest], _) => (
            "the hub cannot write it again: take it from a backup, or publish other files and roll those out",
            "tern-hub restore".into(),
        ),
        (_, Some(form)) => (
            "transcode the version that it was made of again",
            format!(
                "tern model transcode {model} {} --to {}",
                form.from, form.to
            ),
        ),
        _ => (
            "publish the same files again, and devices that wait get it",
            format!("tern model publish {model} DIR"),
        ),
    };
    Attention {
        kind: AttentionKind::DamagedBlobs,
        text,
        remedy: remedy.into(),
        command: Some(command),
        devices: 0,
        version: Some(version),
    }
}

fn things(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

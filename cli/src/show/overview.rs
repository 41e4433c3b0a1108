//! The fleet at a glance.

use tern_protocol::{
    rest::{Attention, AttentionKind, Overview},
    time::WallTime,
};

use super::{
    Look, Tone, device, rollout,
    table::{Cell, Facts, Table},
    words::{bytes, count, one_line, percent, stages, things},
};

/// `tern overview`.
pub(crate) fn overview(overview: &Overview, now: WallTime, look: Look) -> String {
    let mut text = fleet(overview, look);
    text += &attention(&overview.attention, look);
    let sections = [
        ("sites", sites(overview, look), overview.sites.is_empty()),
        (
            "rollouts",
            rollout::list(&overview.rollouts, now, look),
            overview.rollouts.is_empty(),
        ),
        (
            "events",
            device::events(&overview.events, now, look),
            overview.events.is_empty(),
        ),
    ];
    for (title, table, empty) in sections {
        if !empty {
            text += &format!("\n{}\n{table}", Tone::Strong.paint(title, look));
        }
    }
    text
}

/// What needs a person, the worst first.
fn attention(all: &[Attention], look: Look) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", Tone::Strong.paint("needs a person", look));
    for one in all {
        let tone = match one.kind {
            AttentionKind::RevokedServing
            | AttentionKind::Failing
            | AttentionKind::RolloutStopped
            | AttentionKind::Alert
            | AttentionKind::Frozen
            | AttentionKind::DamagedBlobs
            | AttentionKind::DamagedDatabase => Tone::Bad,
            AttentionKind::RolloutWaits
            | AttentionKind::Proposal
            | AttentionKind::Undelivered
            | AttentionKind::Quarantine
            | AttentionKind::DevelopmentKeys => Tone::Busy,
        };
        let command = one.command.as_ref();
        let command = command.map_or(String::new(), |command| format!(": `{command}`"));
        text += &format!("  {}\n", tone.paint(&one_line(&one.text), look));
        text += &format!("    {}{command}\n", one_line(&one.remedy));
    }
    text
}

fn fleet(overview: &Overview, look: Look) -> String {
    let mut facts = Facts::new(look);
    let health = overview.health.iter().filter(|health| health.devices > 0);
    let health: Vec<_> = health
        .map(|health| {
            format!(
                "{} {}",
                count(health.devices),
                device::health_word(health.health)
            )
        })
        .collect();
    if !health.is_empty() {
        facts.fact("health", health.join(", "));
    }
    let serving = overview.serving.iter().map(|serving| {
        let version = serving.version.as_ref();
        let version = version.map_or("nothing".into(), device::version);
        format!("{version} on {}", count(serving.devices))
    });
    let serving: Vec<_> = serving.collect();
    if !serving.is_empty() {
        facts.fact("serving", serving.join(", "));
    }
    if overview.stages.assigned > 0 {
        facts.fact("got to", stages(&overview.stages));
    }
    let totals = &overview.totals;
    facts.fact("inferences", count(totals.inferences));
    facts.fact("windows", count(totals.windows));
    let truth = format!(
        "{}, {}",
        things(totals.captures, "capture"),
        things(totals.labels, "label")
    );
    facts.fact("truth", truth);
    facts.fact(
        "sent",
        format!("{} of model chunks", bytes(totals.egress_bytes)),
    );
    if totals.malformed > 0 {
        let text = format!(
            "{} that could not be read",
            things(totals.malformed, "message")
        );
        facts.toned("malformed", &text, Tone::Busy);
    }
    let title = Tone::Strong.paint(&things(overview.devices, "device"), look);
    format!("{title}\n{}", facts.text())
}

fn sites(overview: &Overview, look: Look) -> String {
    let headings = [
        "SITE",
        "DEVICES",
        "ONLINE",
        "INFERENCES/S",
        "ACCURACY",
        "LABELS",
    ];
    let mut table = Table::new(look, &headings);
    for site in &overview.sites {
        let tone = if site.online < site.devices {
            Tone::Busy
        } else {
            Tone::Good
        };
        table.row([
            Cell::toned(site.site.as_str(), Tone::Strong),
            Cell::number(count(site.devices)),
            Cell::toned(count(site.online), tone).right(),
            Cell::number(format!("{:.1}", site.inferences_per_s)),
            Cell::or_none(site.accuracy.map(percent)).right(),
            Cell::number(count(site.labels)),
        ]);
    }
    table.text()
}

//! What is on its way to devices, and how versions got there.

use std::time::Duration;

use tern_protocol::{
    rest::{BlobDelivery, DeliveryView, Moving, VersionDelivery},
    time::WallTime,
};

use super::{
    Look, Tone,
    device::version,
    table::{Cell, Facts, Table},
    words::{ago, bytes, count, duration, percent, things},
};

/// How much of each version is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A line.
    Versions,
    /// A line a part.
    Parts,
}

/// `tern delivery`.
pub(crate) fn delivery(
    delivery: &DeliveryView,
    detail: Detail,
    now: WallTime,
    look: Look,
) -> String {
    let mut text = facts(delivery, look).text();
    let title = |name: &str| format!("\n{}\n", Tone::Strong.paint(name, look));
    if !delivery.now.is_empty() {
        text += &title("on its way");
        text += &moving_now(&delivery.now, look);
    }
    if !delivery.versions.is_empty() {
        text += &title("versions");
        text += &match detail {
            Detail::Versions => versions(&delivery.versions, now, look),
            Detail::Parts => parts(&delivery.versions, look),
        };
    }
    text
}

fn facts(delivery: &DeliveryView, look: Look) -> Facts {
    let totals = &delivery.totals;
    let mut facts = Facts::new(look);
    let left = format!(
        "{}: {} published in {} chunks, {} by HTTPS",
        bytes(totals.left_bytes()),
        bytes(totals.published_bytes),
        count(totals.chunks),
        bytes(totals.downloaded_bytes)
    );
    facts.fact("left", left);
    if totals.chunks_repeated > 0 {
        let again = format!(
            "{} of that in {} that devices lost or came late for",
            bytes(totals.repeated_bytes),
            things(totals.chunks_repeated, "chunk")
        );
        facts.fact("again", again);
    }
    facts.fact("taken", format!("{} by devices", bytes(totals.taken_bytes)));
    facts.toned(
        "saved",
        &format!("{} by sending to many at once", bytes(totals.saved_bytes)),
        Tone::Good,
    );
    if totals.spared_bytes > 0 {
        let text = format!("{} by deltas", bytes(totals.spared_bytes));
        facts.toned("", &text, Tone::Good);
    }
    if delivery.broker_inside && totals.saved_bytes > 0 {
        let note = "the broker is part of the hub: each device's copy still leaves this machine";
        facts.toned("", note, Tone::Quiet);
    }
    let limits = &delivery.limits;
    let rate =
        |limit: Option<u64>| limit.map_or("no limit".into(), |limit| format!("{}/s", bytes(limit)));
    facts.fact(
        "limits",
        format!(
            "hub {}, each site {}, each blob {}, {} downloads at a time",
            rate(limits.hub_per_s),
            rate(limits.site_per_s),
            rate(limits.blob_per_s),
            count(limits.downloads)
        ),
    );
    facts
}

fn moving_now(blobs: &[BlobDelivery], look: Look) -> String {
    let headings = [
        "VERSION", "PART", "SIZE", "SENT", "WAIT", "LOST", "DEVICES", "RATE", "LEFT",
    ];
    let mut table = Table::new(look, &headings);
    for blob in blobs {
        let sent = blob.chunks_sent as f64 / blob.chunks.max(1) as f64;
        table.row([
            Cell::or_none(blob.version.as_ref().map(version)),
            blob.part.word().into(),
            Cell::number(bytes(blob.blob.len)),
            Cell::number(percent(sent)),
            Cell::number(count(blob.chunks_waiting)),
            Cell::number(count(blob.chunks_lost)),
            Cell::number(count(blob.devices)),
            Cell::number(format!("{}/s", bytes(blob.per_s))),
            Cell::or_none(
                blob.seconds_left
                    .map(|seconds| duration(Duration::from_secs(seconds))),
            ),
        ]);
    }
    table.text()
}

fn versions(versions: &[VersionDelivery], now: WallTime, look: Look) -> String {
    let headings = [
        "VERSION",
        "HAVE IT",
        "CONFIRMED",
        "LEFT",
        "TAKEN",
        "SAVED",
        "DELTAS",
        "LAST MOVED",
    ];
    let mut table = Table::new(look, &headings);
    for of in versions {
        let stages = &of.stages;
        let share = |part| format!("{} of {}", count(part), count(stages.assigned));
        table.row([
            Cell::toned(version(&of.version), Tone::Strong),
            share(stages.stored).into(),
            share(stages.confirmed).into(),
            Cell::number(bytes(of.moved.left_bytes())),
            Cell::number(bytes(of.moved.taken_bytes)),
            Cell::number(bytes(of.moved.saved_bytes)),
            Cell::number(bytes(of.moved.spared_bytes)),
            ago(of.latest, now).into(),
        ]);
    }
    table.text()
}

fn parts(versions: &[VersionDelivery], look: Look) -> String {
    let headings = [
        "VERSION",
        "PART",
        "SIZE",
        "DEVICES",
        "PUBLISHED",
        "AGAIN",
        "HTTPS",
        "TAKEN",
        "SAVED",
        "DELTAS",
    ];
    let mut table = Table::new(look, &headings);
    for of in versions {
        for part in &of.parts {
            let Moving {
                published_bytes,
                repeated_bytes,
                downloaded_bytes,
                taken_bytes,
                saved_bytes,
                spared_bytes,
                ..
            } = part.moved;
            table.row([
                Cell::toned(version(&of.version), Tone::Strong),
                part.part.word().into(),
                Cell::number(bytes(part.blob.len)),
                format!(
                    "{} of {}",
                    count(part.devices_done),
                    count(part.devices_asked)
                )
                .into(),
                Cell::number(bytes(published_bytes)),
                Cell::number(bytes(repeated_bytes)),
                Cell::number(bytes(downloaded_bytes)),
                Cell::number(bytes(taken_bytes)),
                Cell::number(bytes(saved_bytes)),
                Cell::number(bytes(spared_bytes)),
            ]);
        }
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_and_what_it_saved() {
        let json = r#"{"limits":{"hub_per_s":1048576,"site_per_s":null,"blob_per_s":null,"downloads":64},
            "broker_inside":true,
            "now":[{"blob":{"digest":"0000000000000000000000000000000000000000000000000000000000000000","len":131072},
              "part":"model","version":{"model":"digits","version":2},"chunks":2,"chunks_sent":1,
              "chunks_waiting":1,"chunks_lost":0,"devices":10,"per_s":65536,"downloaded_per_s":0,"seconds_left":1}],
            "versions":[{"version":{"model":"digits","version":2},"began":0,"latest":60000,
              "stages":{"assigned":10,"stored":4,"loaded":4,"serving":3,"confirmed":1},
              "moved":{"published_bytes":131072,"downloaded_bytes":1024,"taken_bytes":1310720,"saved_bytes":1178624},
              "parts":[{"part":"model","blob":{"digest":"0000000000000000000000000000000000000000000000000000000000000000","len":131072},
                "devices_asked":10,"devices_done":4,
                "moved":{"published_bytes":131072,"taken_bytes":1310720,"saved_bytes":1179648}}]}],
            "totals":{"published_bytes":131072,"repeated_bytes":65536,"chunks":3,"chunks_repeated":1,
              "downloaded_bytes":1024,"taken_bytes":1310720,"saved_bytes":1178624},
            "metadata":{}}"#;
        let view: DeliveryView = serde_json::from_str(json).expect("a delivery");
        let text = |detail| delivery(&view, detail, WallTime(120_000), Look::PLAIN);
        insta::assert_snapshot!(text(Detail::Versions), @r"
          left    129.0 KiB: 128.0 KiB published in 3 chunks, 1.0 KiB by HTTPS
          again   64.0 KiB of that in 1 chunk that devices lost or came late for
          taken   1.2 MiB by devices
          saved   1.1 MiB by sending to many at once
                  the broker is part of the hub: each device's copy still leaves this machine
          limits  hub 1.0 MiB/s, each site no limit, each blob no limit, 64 downloads at a time

        on its way
        VERSION    PART   SIZE       SENT    WAIT  LOST  DEVICES  RATE        LEFT
        digits v2  model  128.0 KiB  50.0 %     1     0       10  64.0 KiB/s  1.0 s

        versions
        VERSION    HAVE IT  CONFIRMED  LEFT       TAKEN    SAVED    DELTAS  LAST MOVED
        digits v2  4 of 10  1 of 10    129.0 KiB  1.2 MiB  1.1 MiB     0 B  1 min ago
        ");
        let parts = text(Detail::Parts);
        insta::assert_snapshot!(parts.lines().last().unwrap_or_default(), @"digits v2  model  128.0 KiB  4 of 10  128.0 KiB    0 B    0 B  1.2 MiB  1.1 MiB     0 B");
    }
}

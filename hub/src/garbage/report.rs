//! What `tern-hub gc` prints.

use std::{fmt::Write as _, time::SystemTime};

use serde::Serialize;

use super::{Mode, Unclaimed};

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    blobs: usize,
    bytes: u64,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    /// Absent: half an upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    bytes: u64,
    /// Milliseconds since 1970.
    last_used: u64,
}

pub(super) fn json(found: &[Unclaimed], mode: Mode) -> String {
    let item = |blob: &Unclaimed| Item {
        digest: blob.digest.map(|digest| digest.to_string()),
        bytes: blob.bytes,
        last_used: blob
            .since
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64),
    };
    let report = Report {
        dry_run: mode == Mode::DryRun,
        blobs: found.len(),
        bytes: found.iter().map(|blob| blob.bytes).sum(),
        items: found.iter().map(item).collect(),
    };
    serde_json::to_string_pretty(&report).expect("a report is JSON") + "\n"
}

pub(super) fn text(found: &[Unclaimed], mode: Mode, now: SystemTime) -> String {
    let mut text = String::new();
    for blob in found {
        let name = blob
            .digest
            .map_or_else(|| "half an upload".into(), |digest| digest.to_string());
        let hours = now.duration_since(blob.since).unwrap_or_default().as_secs() / 3_600;
        writeln!(
            text,
            "{name}  {} bytes, last used {hours} h ago",
            blob.bytes
        )
        .expect("writing to a String cannot fail");
    }
    let bytes: u64 = found.iter().map(|blob| blob.bytes).sum();
    let done = match mode {
        Mode::Remove => "removed",
        Mode::DryRun => "would remove",
    };
    writeln!(text, "{done} {} blobs, {bytes} bytes", found.len())
        .expect("writing to a String cannot fail");
    text
}

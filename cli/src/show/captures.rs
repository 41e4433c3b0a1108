//! What is asked of devices, and what was deleted.

use tern_protocol::{
    rest::{
        CaptureRequestState, CaptureRequestView, CaptureView, CapturesKept, DeletionProof,
        DeletionReceipt, DeletionView, KeptCount, NoInput,
    },
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{ago, bytes, count, things},
};

/// Why a capture was kept, in one cell.
pub(crate) fn why(capture: &CaptureView) -> String {
    let words: Vec<_> = capture.reasons.iter().map(|reason| reason.word()).collect();
    match words[..] {
        [] => "–".into(),
        _ => words.join(", "),
    }
}

/// What there is of an input, in one cell.
pub(crate) fn input(capture: &CaptureView) -> Cell {
    let (text, tone) = match capture.no_input {
        None => {
            let sides: Vec<_> = capture.shape.iter().map(ToString::to_string).collect();
            return sides.join("×").into();
        }
        Some(NoInput::NotKept) => ("summary", Tone::Quiet),
        Some(NoInput::Encrypted) => ("encrypted", Tone::Quiet),
        Some(NoInput::Damaged) => ("damaged", Tone::Bad),
    };
    Cell::toned(text, tone)
}

/// `tern capture kept`.
pub(crate) fn kept(kept: &CapturesKept, look: Look) -> String {
    let cells = |kept: &KeptCount| {
        [
            Cell::number(count(kept.captures)),
            Cell::number(bytes(kept.bytes)),
            Cell::number(count(kept.labelled)),
            Cell::number(count(kept.without_input)),
        ]
    };
    let headings = ["OF", "CAPTURES", "BYTES", "WITH TRUTH", "WITHOUT INPUT"];
    let mut table = Table::new(look, &headings);
    let mut row = |name: Cell, kept: &KeptCount| {
        let [captures, bytes, labelled, bare] = cells(kept);
        table.row([name, captures, bytes, labelled, bare]);
    };
    row(Cell::toned("all", Tone::Strong), &kept.all);
    for of in kept.versions.iter().chain(&kept.sites).chain(&kept.reasons) {
        row(of.name.as_str().into(), &of.kept);
    }
    let mut text = table.text();
    if !kept.devices.is_empty() {
        let headings = ["DEVICE", "LAST 24 H", "OF", "BYTES", "OF"];
        let mut table = Table::new(look, &headings);
        for one in &kept.devices {
            let limits = one.limits.unwrap_or_default();
            let most = |most: Option<String>| most.unwrap_or_else(|| "–".into());
            table.row([
                Cell::toned(one.device.as_str(), Tone::Strong),
                Cell::number(count(one.kept.captures)),
                Cell::number(most(limits.per_day.map(|most| count(most.into())))),
                Cell::number(bytes(one.kept.bytes)),
                Cell::number(most(limits.bytes_per_day.map(bytes))),
            ]);
        }
        text += "\n";
        text += &table.text();
    }
    if kept.more {
        text += "older ones are not counted\n";
    }
    text
}

/// `tern capture requests`.
pub(crate) fn requests(requests: &[CaptureRequestView], now: WallTime, look: Look) -> String {
    let headings = [
        "REQUEST", "OF", "EACH", "CAME", "DEVICES", "ASKED", "BY", "STATE",
    ];
    let mut table = Table::new(look, &headings);
    for request in requests {
        let state = match request.state {
            CaptureRequestState::Open => Cell::toned("open", Tone::Good),
            CaptureRequestState::Over => Cell::toned("over", Tone::Quiet),
        };
        table.row([
            Cell::toned(request.id.to_string(), Tone::Strong),
            of(request).into(),
            Cell::number(count(request.count.into())),
            Cell::number(count(request.came)),
            Cell::number(count(request.devices)),
            ago(request.at, now).into(),
            request.by.as_str().into(),
            state,
        ]);
    }
    table.text()
}

/// Of which devices and inputs.
fn of(request: &CaptureRequestView) -> String {
    let named = [
        ("device", request.device.as_ref().map(ToString::to_string)),
        ("site", request.site.as_ref().map(ToString::to_string)),
        ("model", request.model.as_ref().map(ToString::to_string)),
        ("slot", request.slot.as_ref().map(ToString::to_string)),
    ];
    let named = named
        .into_iter()
        .filter_map(|(what, name)| Some(format!("{what} {}", name?)));
    named.collect::<Vec<_>>().join(", ")
}

/// A request that was made or taken back.
pub(crate) fn request(request: &CaptureRequestView) -> String {
    let inputs = things(request.count.into(), "input");
    match request.state {
        CaptureRequestState::Open => format!(
            "request {}: {inputs} of each device, {}\n",
            request.id,
            of(request)
        ),
        CaptureRequestState::Over => format!("request {} is over\n", request.id),
    }
}

/// What a deletion was of.
fn scope(receipt: &DeletionReceipt) -> String {
    match (
        &receipt.device,
        &receipt.subject,
        receipt.predictions.len() as u64,
    ) {
        (Some(device), _, 0) => format!("device {device}"),
        (Some(device), _, some) => format!("{} of device {device}", things(some, "prediction")),
        (None, Some(subject), _) => format!("subject {}", subject.short()),
        (None, None, _) => "–".into(),
    }
}

/// `tern capture deletions`.
pub(crate) fn deletions(deletions: &[DeletionView], now: WallTime, look: Look) -> String {
    let headings = [
        "DELETION", "OF", "CAPTURES", "TRUTHS", "WHEN", "BY", "REASON",
    ];
    let mut table = Table::new(look, &headings);
    for DeletionView { receipt, .. } in deletions {
        table.row([
            Cell::toned(receipt.id.to_string(), Tone::Strong),
            scope(receipt).into(),
            Cell::number(count(receipt.captures)),
            Cell::number(count(receipt.labels)),
            ago(receipt.at, now).into(),
            receipt.by.as_str().into(),
            receipt.reason.as_str().into(),
        ]);
    }
    table.text()
}

/// `tern capture delete` and `tern capture proof`.
pub(crate) fn deletion(deletion: &DeletionView) -> String {
    let receipt = &deletion.receipt;
    let mut text = format!(
        "deletion {}: {}, {} and {}\ndigest of what was deleted: {}\n",
        receipt.id,
        scope(receipt),
        things(receipt.captures, "capture"),
        things(receipt.labels, "truth"),
        receipt.digest,
    );
    if let Some(proof) = &deletion.proof {
        text += &self::proof(proof);
    }
    text
}

fn proof(proof: &DeletionProof) -> String {
    let log = match &proof.broken {
        None => "as it was written, and so is all that follows it".to_owned(),
        Some(broken) => format!("NOT to be believed: {broken}"),
    };
    let left = match proof.left {
        0 => "nothing of it is left at the hub".to_owned(),
        left => format!("{} of it ARE LEFT at the hub", things(left, "row")),
    };
    let old = match proof.too_old {
        0 => String::new(),
        old => format!(
            "; {}: the agent is too old to be told",
            things(old, "device")
        ),
    };
    format!(
        "entry {} of the audit log ({}) is {log}\n{left}\n{} of {} forgot it too{old}\n",
        proof.entry,
        proof.hash.short(),
        count(proof.confirmed),
        things(proof.devices, "device"),
    )
}

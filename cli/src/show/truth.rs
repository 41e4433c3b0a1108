//! Captures, labels, accuracy.

use tern_protocol::{
    rest::{AccuracyView, CaptureView},
    time::WallTime,
};

use super::{
    Look, Tone, captures,
    table::{Cell, Table},
    words::{ago, count, percent},
};

/// `tern capture list`.
pub(crate) fn captures(captures: &[CaptureView], now: WallTime, look: Look) -> String {
    let headings = [
        "DEVICE",
        "PREDICTION",
        "SITE",
        "VERSION",
        "WHEN",
        "SAID",
        "CONFIDENCE",
        "TRUTH",
        "WHY",
        "INPUT",
    ];
    let mut table = Table::new(look, &headings);
    for capture in captures {
        let truth = match &capture.truth {
            // How far off a number may be is not for a table to say.
            Some(truth) if capture.number.is_some() => truth.as_str().into(),
            Some(truth) if *truth == capture.class => Cell::toned(truth.as_str(), Tone::Good),
            Some(truth) => Cell::toned(truth.as_str(), Tone::Bad),
            None => Cell::toned("–", Tone::Quiet),
        };
        table.row([
            Cell::toned(capture.device.as_str(), Tone::Strong),
            capture.prediction.to_string().into(),
            capture.site.as_str().into(),
            format!("{} v{}", capture.model, capture.version).into(),
            ago(capture.at, now).into(),
            capture.class.as_str().into(),
            match capture.number {
                None => Cell::number(percent(capture.confidence.into())),
                Some(_) => Cell::toned("–", Tone::Quiet),
            },
            truth,
            captures::why(capture).into(),
            captures::input(capture),
        ]);
    }
    table.text()
}

/// `tern accuracy`.
pub(crate) fn accuracy(rows: &[AccuracyView], look: Look) -> String {
    let headings = [
        "MODEL",
        "VERSION",
        "SITE",
        "LABELS",
        "ACCURACY",
        "95 % INTERVAL",
    ];
    let mut table = Table::new(look, &headings);
    for row in rows {
        let site = match &row.site {
            Some(site) => site.as_str().into(),
            None => Cell::toned("all sites", Tone::Strong),
        };
        table.row([
            row.model.as_str().into(),
            format!("v{}", row.version).into(),
            site,
            Cell::number(count(row.labels)),
            Cell::number(percent(row.accuracy)),
            format!("{} to {}", percent(row.low), percent(row.high)).into(),
        ]);
    }
    table.text()
}

/// A label that the hub refused, with its place in the file.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Refused {
    /// Its line.
    pub(crate) line: u64,
    /// Its device.
    pub(crate) device: String,
    /// Its prediction.
    pub(crate) prediction: String,
    /// What was said to be true.
    pub(crate) truth: String,
    /// Why, and what to do.
    pub(crate) reason: String,
}

/// Refused labels that are listed for a person: a screenful. Programs get all.
const REFUSED_SHOWN: usize = 20;

/// Refused labels.
pub(crate) fn refused(refused: &[Refused], look: Look) -> String {
    let mut table = Table::new(look, &["LINE", "DEVICE", "PREDICTION", "REFUSED BECAUSE"]);
    for label in refused.iter().take(REFUSED_SHOWN) {
        table.row([
            Cell::number(label.line.to_string()),
            label.device.as_str().into(),
            label.prediction.as_str().into(),
            Cell::toned(label.reason.as_str(), Tone::Bad),
        ]);
    }
    let mut text = table.text();
    let more = refused.len().saturating_sub(REFUSED_SHOWN);
    if more > 0 {
        text += &format!(
            "… and {} more; --refused FILE writes all\n",
            count(more as u64)
        );
    }
    text
}

//! Windows whose time cannot be right.

use tern_protocol::{
    rest::{Doubt, QuarantineView},
    time::WallTime,
};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::{ago, count},
};

/// `tern quarantine`.
pub(crate) fn list(quarantined: &[QuarantineView], now: WallTime, look: Look) -> String {
    let headings = ["DEVICE", "WINDOWS", "INFERENCES", "BETWEEN", "AND", "WHY"];
    let mut table = Table::new(look, &headings);
    for of in quarantined {
        table.row([
            Cell::toned(of.device.as_str(), Tone::Strong),
            Cell::number(count(of.windows)),
            Cell::number(count(of.inferences)),
            ago(of.earliest, now).into(),
            ago(of.latest, now).into(),
            why(of.doubt).into(),
        ]);
    }
    table.text()
}

fn why(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::NoClock => "of a start that the hub never heard of, by a clock that was not set",
        Doubt::Future => "later than it can have been",
        Doubt::Impossible => "ends before it begins, or is of a start that has not been",
    }
}

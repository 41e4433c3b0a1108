//! What the hub found wrong with a model.

use tern_protocol::rest::{Finding, Problem};

use super::{
    Look, Tone,
    table::{Cell, Table},
    words::clean,
};

/// `tern model publish`, refused.
pub(crate) fn refused(problem: &Problem, look: Look) -> String {
    let title = Tone::Bad.paint("refused", look);
    let mut text = format!("{title}: {}\n", clean(&problem.detail));
    if !problem.findings.is_empty() {
        text += "\n";
        text += &findings(&problem.findings, look);
    }
    text
}

fn findings(findings: &[Finding], look: Look) -> String {
    let mut table = Table::new(look, &["CHECK", "SUBJECT", "MESSAGE", "REMEDY"]);
    for finding in findings {
        table.row([
            Cell::toned(finding.check.as_str(), Tone::Bad),
            Cell::toned(finding.subject.as_str(), Tone::Strong),
            finding.message.as_str().into(),
            finding.remedy.as_str().into(),
        ]);
    }
    table.text()
}

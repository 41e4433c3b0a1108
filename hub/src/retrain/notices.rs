//! What receivers read of rounds. Pure.

use std::fmt::Write as _;

use tern_protocol::{
    id::{ModelName, ProposalId},
    rest::{NoticeKind, ProposalKind},
    time::WallTime,
};
use tern_retrain::{Key, Lesson};

use crate::notify::Notice;

/// The notice of a question.
pub(super) fn question(
    model: &ModelName,
    id: ProposalId,
    key: Key,
    kind: ProposalKind,
    sentences: &[String],
    at: WallTime,
) -> Notice {
    let round = key.round;
    let subject = match kind {
        ProposalKind::Training => format!("train {model} anew? (round {round})"),
        ProposalKind::Unclear => format!("is the new {model} better? (round {round})"),
        ProposalKind::Registration => format!("register the new {model}? (round {round})"),
        ProposalKind::Rollout => format!("roll out the new {model}? (round {round})"),
    };
    let mut text = sentences.join("\n");
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n\nLook: tern proposal show {id}\nAgree: tern proposal agree {id}\nDecline: tern proposal decline {id}"
    );
    Notice {
        kind: NoticeKind::Proposal,
        subject,
        text,
        link_path: format!("/proposals/{id}"),
        at,
        key: format!("retrain/{model}/{key}"),
    }
}

/// The notice of a round that is over.
pub(super) fn over(model: &ModelName, lesson: &Lesson) -> Notice {
    let mut text = format!("{}.", lesson.outcome.text());
    for line in lesson.evidence.iter().chain(&lesson.comparison) {
        let _ = write!(text, "\n{line}");
    }
    let _ = write!(
        text,
        "\n\nAll that rounds taught: tern retrain lessons {model}"
    );
    Notice {
        kind: NoticeKind::Retrained,
        subject: format!(
            "round {} of {model}: {}",
            lesson.round,
            super::words::outcome(&lesson.outcome).word()
        ),
        text,
        link_path: format!("/retraining/{model}"),
        at: lesson.ended,
        key: format!("retrain/{model}/{}/over", lesson.round),
    }
}

//! What another engine says of an attempt, in our words. Pure.

use serde::{Deserialize, Serialize};

use crate::job::Ended;

/// What an engine says of an attempt that was given to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It has it and has not started it.
    Waiting,
    /// It runs.
    Running,
    /// It ended.
    Ended(Ended),
    /// The engine does not know it. Of one that it has been given that is a loss; of one whose giving was cut off it
    /// is the answer that it may be given.
    Unknown,
    /// The answer says nothing about the attempt: ask again later.
    Unclear(String),
}

/// What an engine says to being given an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It has it now.
    Now,
    /// It had it before; nothing was done.
    Before,
    /// It will not take it.
    Refused(String),
    /// It could not say: give it again, which is harmless.
    Unclear(String),
}

/// What people are shown of an engine's answer: never more than a few lines of it.
pub(crate) fn shown(text: &str) -> String {
    text.trim().chars().take(500).collect()
}

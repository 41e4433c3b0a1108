//! What people said to a question.

use std::collections::BTreeMap;

use tern_protocol::id::UserName;

use super::Look;
use crate::{
    action::Key,
    fact::{Say, Word},
    policy::Approval,
};

/// What came of a question.
pub(super) enum Answer {
    /// Nobody who may said anything.
    None,
    /// So many more have to agree.
    More(usize),
    /// As many as have to agree did.
    Agreed(Vec<String>),
    /// Somebody who may said no.
    Declined(UserName),
    /// Somebody who may wants it done again.
    Again,
}

impl Look<'_> {
    /// What people said to a question that these approvals ask. Without any, nobody has to say anything, and what
    /// anyone says counts.
    pub(super) fn answer(&self, asked: Key, approvals: &[Approval]) -> Answer {
        // The last word of each counts; of two at one time the one that is stored later.
        let mut last: BTreeMap<&UserName, &Word> = BTreeMap::new();
        for word in self.facts.words.iter().filter(|word| word.key == asked) {
            match last.get(&word.by) {
                Some(before) if before.at > word.at => {}
                _ => {
                    last.insert(&word.by, word);
                }
            }
        }
        let may = |by: &UserName| {
            approvals.is_empty()
                || approvals
                    .iter()
                    .any(|one| one.of.is_empty() || one.of.contains(by))
        };
        last.retain(|by, _| may(by));
        let said = |say: Say| last.values().find(move |word| word.say == say);
        if let Some(word) = said(Say::Decline) {
            return Answer::Declined(word.by.clone());
        }
        let agreed: Vec<&UserName> = last
            .values()
            .filter(|word| word.say == Say::Agree)
            .map(|word| &word.by)
            .collect();
        let lacking = |one: &Approval| {
            let counted = agreed
                .iter()
                .filter(|by| one.of.is_empty() || one.of.contains(**by));
            usize::from(one.people).saturating_sub(counted.count())
        };
        let lack = approvals.iter().map(lacking).max();
        if lack.is_none_or(|lack| lack == 0) && !agreed.is_empty() {
            return Answer::Agreed(agreed.iter().map(ToString::to_string).collect());
        }
        if said(Say::Again).is_some() {
            return Answer::Again;
        }
        match lack {
            Some(lack) if !agreed.is_empty() => Answer::More(lack),
            _ => Answer::None,
        }
    }
}

//! Where a challenger is worse: at which sites, for which classes.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use tern_protocol::id::SiteName;
use tern_stats::drift::many::refuted;

use super::{
    Answers, Part, Terms, Verdict,
    paired::{Difference, Row, difference},
};

/// The chance, at most, that any site or class is called worse although none is.
const ALPHA: f64 = 0.05;

/// What a slice is of.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SliceOf {
    /// Samples of a site.
    #[n(0)]
    Site(#[n(0)] SiteName),
    /// Samples whose truth is a class.
    #[n(1)]
    Class(#[n(0)] u16),
}

/// Some of the samples of a part.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Slice {
    /// Which.
    #[n(0)]
    pub of: SliceOf,
    /// Of which part.
    #[n(1)]
    pub part: Part,
    /// Worse, no worse as far as can be told, or unknown for lack of samples.
    #[n(2)]
    pub verdict: Verdict,
    /// By how much the challenger is better.
    #[n(3)]
    pub difference: Option<Difference>,
    /// Whether it is a site that moved, of which something has to be known.
    #[n(4)]
    pub moved: bool,
}

/// All sites and classes, the worst first, and how many of them had samples enough.
///
/// Worse takes both: by more than the bound as estimated, and worse at all beyond chance, where chance is held against
/// all of them at once (S. Holm, 1979). To prove harm above the bound would take thousands of samples of each site.
pub(super) fn slices(held: &[Row<'_>], recent: &[Row<'_>], terms: &Terms<'_>) -> (Vec<Slice>, u32) {
    let mut groups: BTreeMap<(SliceOf, Part), Vec<Row<'_>>> = BTreeMap::new();
    for site in terms.moved {
        groups
            .entry((SliceOf::Site(site.clone()), Part::Recent))
            .or_default();
    }
    for row in held.iter().chain(recent) {
        let part = row.sample.part;
        if let Some(site) = &row.sample.site {
            groups
                .entry((SliceOf::Site(site.clone()), part))
                .or_default()
                .push(*row);
        }
        if let Answers::Class { truth, .. } = row.sample.answers {
            groups
                .entry((SliceOf::Class(truth), part))
                .or_default()
                .push(*row);
        }
    }
    let mut slices: Vec<Slice> = Vec::with_capacity(groups.len());
    for ((of, part), rows) in groups {
        let difference = difference(&rows);
        let known = difference.is_some_and(|one| one.n >= terms.bounds.slice_samples);
        let moved = part == Part::Recent
            && matches!(&of, SliceOf::Site(site) if terms.moved.contains(site));
        slices.push(Slice {
            of,
            part,
            verdict: if known {
                Verdict::NoWorse
            } else {
                Verdict::Unknown
            },
            difference,
            moved,
        });
    }
    let known: Vec<usize> = (0..slices.len())
        .filter(|at| slices[*at].verdict != Verdict::Unknown)
        .collect();
    let p = |at: &usize| slices[*at].difference.map_or(1.0, |one| one.p_worse());
    let p: Vec<f64> = known.iter().map(p).collect();
    for at in refuted(&p, ALPHA) {
        let slice = &mut slices[known[at]];
        let value = slice.difference.map_or(0.0, |one| one.value);
        if value < -terms.bounds.slice.of_one() {
            slice.verdict = Verdict::Worse;
        }
    }
    let rank = |slice: &Slice| match slice.verdict {
        Verdict::Worse => 0,
        Verdict::Unknown if slice.moved => 1,
        Verdict::Unknown => 3,
        _ => 2,
    };
    let value = |slice: &Slice| slice.difference.map_or(0.0, |one| one.value);
    slices.sort_by(|a, b| rank(a).cmp(&rank(b)).then(value(a).total_cmp(&value(b))));
    (slices, known.len() as u32)
}

//! Champion against challenger, on the same samples: which is better, how sure that is, where it is worse, and whether
//! labels can be trusted to say so.
//!
//! Called by whoever carries out [`crate::Act::Compare`], with what both answered. Pure.
//!
//! Two parts: one that is *held out*, the same for every challenger, whose labels are old and known; and *recent* labels
//! from the field, which are what it is about, and which somebody may have got wrong. Each sample counts as many times
//! as it was unlikely to be kept.
//!
//! Must never break:
//! - no samples are no verdict: unknown, never better, never an error;
//! - a challenger that is worse on the held-out part never gets through, whatever recent labels say;
//! - no verdict stands on labels of one source that deviate from the others: it is unknown, and the source is named.

mod paired;
mod slices;
mod sources;
mod words;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use tern_protocol::id::{DeviceId, SiteName};

use self::paired::{Row, difference};
pub use self::{
    paired::Difference,
    slices::{Slice, SliceOf},
    sources::Source,
};
use crate::policy::Bounds;

/// What both answered to one input whose truth is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The part that it belongs to.
    pub part: Part,
    /// Where it was made.
    pub site: Option<SiteName>,
    /// By which device. What one device does is alike, so its samples count together.
    pub device: Option<DeviceId>,
    /// Who or what said what is true: a person, a device, an imported file.
    pub source: Option<String>,
    /// With which probability it was kept; 1 of the held-out part.
    pub probability: f64,
    /// What both said, and what is true.
    pub answers: Answers,
}

/// A part of what is compared on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The same for every challenger.
    #[n(0)]
    HeldOut,
    /// Recent labels from the field.
    #[n(1)]
    Recent,
}

/// What both said, and what is true.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "named after who said it")]
pub enum Answers {
    /// Classes by their numbers.
    Class {
        truth: u16,
        champion: u16,
        challenger: u16,
    },
    /// Numbers.
    Number {
        truth: f64,
        champion: f64,
        challenger: f64,
    },
}

/// What a challenger has to hold, and of what something has to be known.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms<'a> {
    /// The bounds.
    pub bounds: &'a Bounds,
    /// Sites that moved: if too little is known of one, the verdict is unknown.
    pub moved: &'a [SiteName],
    /// Names of the classes by their numbers; those without a name are called by their number.
    pub classes: &'a [String],
}

/// What is said of a challenger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better than the champion on recent labels, and within the bounds everywhere.
    #[n(0)]
    Better,
    /// Within the bounds.
    #[n(1)]
    NoWorse,
    /// Worse than the bounds allow, and more than chance explains.
    #[n(2)]
    Worse,
    /// Too little is known, or labels disagree.
    #[n(3)]
    Unknown,
}

/// A part, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartResult {
    /// What.
    #[n(0)]
    pub verdict: Verdict,
    /// By how much the challenger is better; none if there is nothing to compare.
    #[n(1)]
    pub difference: Option<Difference>,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// What follows.
    #[n(0)]
    pub verdict: Verdict,
    /// On the held-out part.
    #[n(1)]
    pub held_out: PartResult,
    /// On recent labels, with all of them.
    #[n(2)]
    pub recent: PartResult,
    /// On recent labels, without those of sources that deviate, if there are such.
    #[n(3)]
    pub recent_without: Option<PartResult>,
    /// Sites and classes, the worst first; at most [`SLICES_MAX`].
    #[n(4)]
    pub slices: Vec<Slice>,
    /// How many sites and classes had samples enough.
    #[n(5)]
    pub slices_known: u32,
    /// Sources of recent labels that deviate from the others.
    #[n(6)]
    pub deviating: Vec<Source>,
    /// Recent labels that can be held against no other source's: their place is known to one source alone.
    #[n(7)]
    pub unchecked: u64,
    /// All of it in words, the most important first.
    #[n(8)]
    pub sentences: Vec<String>,
}

/// Slices of a comparison that are kept.
pub const SLICES_MAX: usize = 64;

/// Compares two models on the same samples.
pub fn compare(samples: &[Sample], terms: &Terms<'_>) -> Comparison {
    let bounds = terms.bounds;
    let rows = paired::rows(samples);
    let of = |part: Part, without: &[Source]| -> Vec<Row<'_>> {
        let deviates = |row: &Row<'_>| {
            let source = row.sample.source.as_deref();
            without.iter().any(|one| Some(one.name.as_str()) == source)
        };
        let rows = rows
            .iter()
            .filter(|row| row.sample.part == part && !deviates(row));
        rows.copied().collect()
    };
    let (held, recent) = (of(Part::HeldOut, &[]), of(Part::Recent, &[]));
    let held_out = judge(&held, bounds.held_out.of_one(), bounds.samples);
    let margin = bounds.recent_margin.of_one();
    let all = judge(&recent, margin, bounds.samples);
    let deviating = sources::deviating(&recent, bounds);
    let trusted = of(Part::Recent, &deviating);
    let recent_without = (!deviating.is_empty()).then(|| judge(&trusted, margin, bounds.samples));
    // What deviates says nothing of sites and classes either.
    let (slices, slices_known) = slices::slices(&held, &trusted, terms);
    let mut comparison = Comparison {
        verdict: Verdict::Unknown,
        held_out,
        recent: all,
        recent_without,
        slices,
        slices_known,
        deviating,
        unchecked: sources::unchecked(&recent),
        sentences: Vec::new(),
    };
    let reason = conclude(&comparison);
    comparison.verdict = reason.verdict();
    comparison.sentences = words::sentences(&comparison, reason, terms);
    comparison.slices.truncate(SLICES_MAX);
    comparison
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    WorseHeldOut,
    WorseSlice,
    WorseRecent,
    /// Of recent labels: what they say depends on those of sources that deviate.
    SourcesDisagree,
    /// The held-out part says better, recent labels say worse.
    PartsDisagree,
    UnknownHeldOut,
    UnknownRecent,
    UnknownSite,
    NoWorse,
    Better,
}

impl Reason {
    const fn verdict(self) -> Verdict {
        match self {
            Self::WorseHeldOut | Self::WorseSlice | Self::WorseRecent => Verdict::Worse,
            Self::SourcesDisagree
            | Self::PartsDisagree
            | Self::UnknownHeldOut
            | Self::UnknownRecent
            | Self::UnknownSite => Verdict::Unknown,
            Self::NoWorse => Verdict::NoWorse,
            Self::Better => Verdict::Better,
        }
    }
}

/// What follows from the parts. Harm that is shown on labels that nobody doubts comes first; then doubt; then what is
/// shown on recent labels.
fn conclude(comparison: &Comparison) -> Reason {
    let (held, recent) = (comparison.held_out.verdict, comparison.recent.verdict);
    if held == Verdict::Worse {
        return Reason::WorseHeldOut;
    }
    if comparison
        .slices
        .iter()
        .any(|slice| slice.verdict == Verdict::Worse)
    {
        return Reason::WorseSlice;
    }
    if comparison
        .recent_without
        .is_some_and(|without| without.verdict != recent)
    {
        return Reason::SourcesDisagree;
    }
    match (held, recent) {
        (Verdict::Better, Verdict::Worse) => Reason::PartsDisagree,
        (_, Verdict::Worse) => Reason::WorseRecent,
        (Verdict::Unknown | Verdict::Worse, _) => Reason::UnknownHeldOut,
        (_, Verdict::Unknown) => Reason::UnknownRecent,
        _ if comparison
            .slices
            .iter()
            .any(|slice| slice.moved && slice.verdict == Verdict::Unknown) =>
        {
            Reason::UnknownSite
        }
        (_, Verdict::NoWorse) => Reason::NoWorse,
        (_, Verdict::Better) => Reason::Better,
    }
}

/// What follows from one part. Worse takes both: more than the margin, and more than chance explains. No worse takes
/// that chance does not hide more than the margin.
fn judge(rows: &[Row<'_>], margin: f64, least: u64) -> PartResult {
    let difference = difference(rows);
    let verdict = match difference {
        Some(one) if one.n >= least && one.low > 0.0 => Verdict::Better,
        Some(one) if one.n >= least && one.low >= -margin => Verdict::NoWorse,
        Some(one) if one.n >= least && one.high < 0.0 && one.value < -margin => Verdict::Worse,
        _ => Verdict::Unknown,
    };
    PartResult {
        verdict,
        difference,
    }
}

#[cfg(test)]
mod tests;

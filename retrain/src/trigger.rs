//! What calls for a round, of what is known now.
//!
//! Must never break: only what moved at sites or in the whole fleet calls for a new model, whatever a policy says; a
//! figure calls for one only if chance does not explain it.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use tern_protocol::{
    id::SiteName,
    rest::{Attribution, FindingKind},
    time::WallTime,
};

use crate::{
    fact::{Facts, Figure, OpenFinding},
    policy::{FindingTrigger, Policy, Trigger},
    state::{Answered, Loop},
};

/// Pieces of evidence of one round, at most; what comes after them calls for the next one.
pub const EVIDENCE_MAX: usize = 64;

/// Sites of one piece of evidence that are remembered.
pub const SITES_MAX: usize = 256;

/// Longest text of one piece, in characters.
const TEXT_MAX: usize = 500;

/// What a piece of evidence stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Cause {
    /// A finding, by its number.
    #[n(0)]
    Finding(#[n(0)] i64),
    /// The accuracy by labels.
    #[n(1)]
    Accuracy,
    /// The accuracy that is estimated without labels.
    #[n(2)]
    Estimate,
    /// The mean absolute error by labels.
    #[n(3)]
    Error,
    /// New labels.
    #[n(4)]
    NewLabels,
    /// The time that passed.
    #[n(5)]
    Schedule,
    /// A person asked for it.
    #[n(6)]
    Person,
}

/// Something that calls for a round.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[cbor(map)]
pub struct Evidence {
    /// What it stands on.
    #[n(0)]
    pub cause: Cause,
    /// Sites that it is about.
    #[n(1)]
    pub sites: Vec<SiteName>,
    /// Whether it is about the whole fleet.
    #[n(2)]
    pub fleet: bool,
    /// Whether inputs moved: they stay where they are whatever model serves.
    #[n(3)]
    pub inputs: bool,
    /// About when it began.
    #[n(4)]
    pub since: WallTime,
    /// When it joined the round.
    #[n(5)]
    pub joined: WallTime,
    /// In a sentence.
    #[n(6)]
    pub text: String,
    /// Devices that it is about; 0 if that is not known.
    #[n(7)]
    pub devices: u64,
    /// Of how many.
    #[n(8)]
    pub of_devices: u64,
}

/// Whether what moved for this reason may need a new model.
pub const fn may_need_a_model(attribution: Attribution) -> bool {
    matches!(attribution, Attribution::Sites | Attribution::Fleet)
}

/// What is looked at, and for which round.
pub(crate) struct Look<'a> {
    pub(crate) known: &'a Loop,
    pub(crate) facts: &'a Facts,
    /// The round that is open, or the next one.
    pub(crate) round: u32,
    pub(crate) now: WallTime,
}

/// All that calls for a round now: a person's word, then triggers in the order of the policy; each cause once.
pub(crate) fn holding(policy: &Policy, look: &Look<'_>) -> Vec<Evidence> {
    let Look {
        known,
        facts,
        round,
        now,
    } = *look;
    let mut found: Vec<Evidence> = Vec::new();
    let Some(champion) = facts.champion else {
        return found;
    };
    // It is about one round, so there is nothing to take back when that is over.
    if let Some(asked) = facts.asked.as_ref().filter(|asked| asked.round == round) {
        let note: String = asked.note.chars().take(TEXT_MAX).collect();
        let text = match note.trim() {
            "" => format!("{} asked for it", asked.by),
            note => format!("{} asked for it: {note}", asked.by),
        };
        found.push(plain(Cause::Person, asked.at, now, text));
    }
    let of_champion = |figure: Option<Figure>| figure.filter(|one| one.version == champion.version);
    for trigger in &policy.triggers {
        let held: Vec<Evidence> = match trigger {
            Trigger::Finding(trigger) => {
                let open = facts.findings.iter();
                let held = open.filter(|one| calls(trigger, one, known, now));
                held.map(|one| of_finding(one, now)).collect()
            }
            Trigger::AccuracyBelow(bound) => of_champion(facts.accuracy)
                .filter(|figure| figure.high < bound.of_one())
                .map(|figure| below("by labels", Cause::Accuracy, &figure, bound.of_one(), now))
                .into_iter()
                .collect(),
            Trigger::EstimateBelow(bound) => of_champion(facts.estimate)
                .filter(|figure| figure.high < bound.of_one())
                .map(|figure| below("as estimated", Cause::Estimate, &figure, bound.of_one(), now))
                .into_iter()
                .collect(),
            Trigger::ErrorAbove(bound) => of_champion(facts.error)
                .filter(|figure| figure.low > *bound)
                .map(|figure| {
                    let text = format!(
                        "the mean error by labels is {:.3} ({:.3} to {:.3}, of {} labels), above {bound}",
                        figure.value, figure.low, figure.high, figure.n
                    );
                    plain(Cause::Error, now, now, text)
                })
                .into_iter()
                .collect(),
            Trigger::NewLabels(least) => {
                let new = facts.labels.new;
                let text = format!("{new} labels are new, of {least} that call for a round");
                let held = (new >= *least).then(|| plain(Cause::NewLabels, now, now, text));
                held.into_iter().collect()
            }
            Trigger::Every(every) => {
                let last = known.ended.map_or(champion.since, |ended| ended.max(champion.since));
                let due = last.0.saturating_add_unsigned(every.ms());
                let text = format!("{every} have passed since the last round or version");
                let held = (now.0 >= due).then(|| plain(Cause::Schedule, last, now, text));
                held.into_iter().collect()
            }
        };
        for one in held {
            if found.len() < EVIDENCE_MAX && found.iter().all(|other| other.cause != one.cause) {
                found.push(one);
            }
        }
    }
    found
}

/// Whether a finding calls for a round.
fn calls(trigger: &FindingTrigger, one: &OpenFinding, known: &Loop, now: WallTime) -> bool {
    may_need_a_model(one.attribution)
        && trigger.attributions.contains(&one.attribution)
        && trigger.kinds.contains(&one.kind)
        && now.0.saturating_sub(one.opened.0) >= trigger.lasting.ms() as i64
        && !known
            .answered
            .get(&one.id)
            .is_some_and(|answered| covers(answered, one))
}

/// Whether an answer was given for all places of a finding. One that has grown since calls again.
fn covers(answered: &Answered, one: &OpenFinding) -> bool {
    let fleet = one.attribution == Attribution::Fleet;
    answered.fleet || (!fleet && one.sites.iter().all(|site| answered.sites.contains(site)))
}

fn of_finding(one: &OpenFinding, now: WallTime) -> Evidence {
    Evidence {
        cause: Cause::Finding(one.id),
        sites: one.sites.iter().take(SITES_MAX).cloned().collect(),
        fleet: one.attribution == Attribution::Fleet,
        inputs: one.kind == FindingKind::Input,
        since: one.since,
        joined: now,
        text: one.text.chars().take(TEXT_MAX).collect(),
        devices: one.devices,
        of_devices: one.of_devices,
    }
}

fn below(how: &str, cause: Cause, figure: &Figure, bound: f64, now: WallTime) -> Evidence {
    let text = format!(
        "the accuracy {how} is {:.1} % ({:.1} to {:.1} %, of {} labels), below {:.1} %",
        figure.value * 100.0,
        figure.low * 100.0,
        figure.high * 100.0,
        figure.n,
        bound * 100.0
    );
    plain(cause, now, now, text)
}

fn plain(cause: Cause, since: WallTime, now: WallTime, text: String) -> Evidence {
    Evidence {
        cause,
        sites: Vec::new(),
        fleet: true,
        inputs: false,
        since,
        joined: now,
        text,
        devices: 0,
        of_devices: 0,
    }
}

/// Adds what holds to what a round stands on: new causes, and places that known ones have now. What is known already
/// keeps when it joined.
pub(crate) fn join(known: &mut Vec<Evidence>, holding: Vec<Evidence>) {
    for one in holding {
        let place = known.iter().position(|other| other.cause == one.cause);
        match place {
            Some(place) => {
                let other = &mut known[place];
                let mut sites: BTreeSet<_> = other.sites.drain(..).collect();
                sites.extend(one.sites);
                other.sites = sites.into_iter().take(SITES_MAX).collect();
                other.fleet |= one.fleet;
                other.devices = other.devices.max(one.devices);
                other.of_devices = other.of_devices.max(one.of_devices);
                other.text = one.text;
            }
            None if known.len() < EVIDENCE_MAX => known.push(one),
            None => {}
        }
    }
}

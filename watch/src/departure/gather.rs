//! From devices that departed to the places that did: which device, which site, all of them, or a version.

use std::collections::BTreeMap;

use tern_protocol::id::ModelVersion;

use super::{DepartureChange, member::Member};
use crate::{
    column::{Column, KINDS, Kind},
    finding::{Attribution, Effect, Moved, Place, Why},
    hour::{Device, Site},
};

/// The share of sites that are the fleet, and how many a fleet has at least.
const FLEET: f64 = 0.8;
const SITES: usize = 3;

/// Devices that departed with a version for it to be told as one place.
const ALL: usize = 3;

/// Devices of a site that others are compared with at least.
const PEERS: usize = 2;

/// Times the hold after which one device is taken for a site whose others say nothing.
const PATIENCE: i64 = 10;

/// A day in milliseconds: who was heard of within it belongs to its site.
const DAY: i64 = 24 * 3_600_000;

/// What stands at places of one sort.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) kind: Kind,
    pub(super) attribution: Attribution,
    pub(super) places: Vec<Place>,
    pub(super) moved: Vec<Moved>,
    pub(super) since: i64,
    pub(super) samples: u64,
    pub(super) devices: u32,
}

/// A device that departed in columns of one kind.
struct Gone<'a> {
    device: Device,
    member: &'a Member,
    columns: Vec<usize>,
    since: i64,
    young: bool,
}

/// All that stands now, what explains most first.
pub(super) fn standing(
    devices: &BTreeMap<Device, Member>,
    columns: &[Column],
    hold: i64,
    now: i64,
) -> Vec<Standing> {
    let mut all = Vec::new();
    for kind in KINDS {
        let of_kind: Vec<usize> = (0..columns.len())
            .filter(|at| columns[*at].kind() == kind)
            .collect();
        let gone: Vec<Gone<'_>> = devices
            .iter()
            .filter_map(|(device, member)| gone(*device, member, &of_kind, hold))
            .collect();
        if gone.is_empty() {
            continue;
        }
        let (young, old): (Vec<_>, Vec<_>) = gone.into_iter().partition(|one| one.young);
        versions(kind, columns, young, &mut all);
        places(kind, devices, columns, old, hold, now, &mut all);
    }
    all
}

fn gone<'a>(device: Device, member: &'a Member, of_kind: &[usize], hold: i64) -> Option<Gone<'a>> {
    let away = |at: &usize| member.rows.get(*at).and_then(|row| row.away);
    let standing = |at: &usize| away(at).is_some_and(|one| one.stands(hold));
    let columns: Vec<usize> = of_kind.iter().copied().filter(|at| standing(at)).collect();
    let since = columns.iter().filter_map(away).map(|one| one.since).min()?;
    let young = columns.iter().filter_map(away).any(|one| one.young);
    Some(Gone {
        device,
        member,
        columns,
        since,
        young,
    })
}

/// Devices that departed with the version that they got.
fn versions(kind: Kind, columns: &[Column], young: Vec<Gone<'_>>, all: &mut Vec<Standing>) {
    let mut by_version: BTreeMap<ModelVersion, Vec<Gone<'_>>> = BTreeMap::new();
    for one in young {
        by_version.entry(one.member.version).or_default().push(one);
    }
    for (version, gone) in by_version {
        let places = if gone.len() >= ALL {
            vec![Place::Version(version)]
        } else {
            gone.iter().map(|one| Place::Device(one.device)).collect()
        };
        let gone: Vec<&Gone<'_>> = gone.iter().collect();
        all.push(told(
            kind,
            Attribution::Version(version),
            places,
            columns,
            &gone,
        ));
    }
}

fn places(
    kind: Kind,
    devices: &BTreeMap<Device, Member>,
    columns: &[Column],
    gone: Vec<Gone<'_>>,
    hold: i64,
    now: i64,
    all: &mut Vec<Standing>,
) {
    let Some(first) = gone.iter().map(|one| one.since).min() else {
        return;
    };
    let mut by_site: BTreeMap<Site, Vec<Gone<'_>>> = BTreeMap::new();
    for one in gone {
        by_site.entry(one.member.site).or_default().push(one);
    }
    let (mut sites, mut single) = (Vec::new(), Vec::new());
    for (site, gone) in by_site {
        let since = gone.iter().map(|one| one.since).min().unwrap_or(first);
        let peers = || devices.values().filter(|member| member.site == site);
        let spoke = peers().filter(|member| member.heard >= since).count();
        let known = peers()
            .filter(|member| member.heard.saturating_add(DAY) >= now)
            .count();
        let waited = now.saturating_sub(since) >= hold.saturating_mul(PATIENCE);
        if 2 * gone.len() >= spoke {
            // One of several, of whom the others said nothing yet, may be the only one.
            if spoke > 1 || known < PEERS + 1 || waited {
                sites.push((site, gone));
            }
        } else if spoke > PEERS {
            single.extend(gone);
        }
    }
    let speak: std::collections::BTreeSet<Site> = devices
        .values()
        .filter(|member| member.heard >= first)
        .map(|member| member.site)
        .collect();
    let most = sites.len() as f64 >= FLEET * speak.len() as f64;
    if speak.len() >= SITES && most {
        let gone: Vec<&Gone<'_>> = sites.iter().flat_map(|(_, gone)| gone).collect();
        all.push(told(
            kind,
            Attribution::Fleet,
            vec![Place::Fleet],
            columns,
            &gone,
        ));
    } else {
        let groups = together(
            sites
                .into_iter()
                .map(|(site, gone)| (Place::Site(site), gone)),
        );
        for (places, gone) in groups {
            let gone: Vec<&Gone<'_>> = gone.iter().collect();
            all.push(told(kind, Attribution::Sites, places, columns, &gone));
        }
    }
    let groups = together(
        single
            .into_iter()
            .map(|one| (Place::Device(one.device), vec![one])),
    );
    for (places, gone) in groups {
        let gone: Vec<&Gone<'_>> = gone.iter().collect();
        all.push(told(kind, Attribution::Devices, places, columns, &gone));
    }
}

/// Places that departed in the same columns are one matter.
fn together<'a>(
    places: impl Iterator<Item = (Place, Vec<Gone<'a>>)>,
) -> Vec<(Vec<Place>, Vec<Gone<'a>>)> {
    let mut groups: Vec<(Vec<Place>, Vec<Gone<'a>>)> = Vec::new();
    for (place, gone) in places {
        let shares = |group: &(Vec<Place>, Vec<Gone<'a>>)| {
            let known = |at: &usize| group.1.iter().any(|one| one.columns.contains(at));
            gone.iter().any(|one| one.columns.iter().any(known))
        };
        match groups.iter_mut().find(|group| shares(group)) {
            Some(group) => {
                group.0.push(place);
                group.1.extend(gone);
            }
            None => groups.push((vec![place], gone)),
        }
    }
    groups
}

fn told(
    kind: Kind,
    attribution: Attribution,
    mut places: Vec<Place>,
    columns: &[Column],
    gone: &[&Gone<'_>],
) -> Standing {
    places.sort();
    let away = |one: &Gone<'_>, at: usize| one.member.rows.get(at).and_then(|row| row.away);
    let mut moved: Vec<Moved> = (0..columns.len())
        .filter(|at| gone.iter().any(|one| one.columns.contains(at)))
        .map(|at| {
            let effects = gone
                .iter()
                .filter(|one| one.columns.contains(&at))
                .filter_map(|one| away(one, at))
                .map(|away| (f64::from(away.effect), away.samples as f64));
            Moved {
                column: columns[at],
                effect: effect(&effects.collect::<Vec<_>>()),
                evidence: 0.0,
            }
        })
        .collect();
    moved.sort_by(|a, b| b.effect.value.abs().total_cmp(&a.effect.value.abs()));
    let samples = |one: &&Gone<'_>| {
        let of = one.columns.iter().filter_map(|at| away(one, *at));
        of.map(|away| away.samples).max().unwrap_or(0)
    };
    Standing {
        kind,
        attribution,
        places,
        moved,
        since: gone.iter().map(|one| one.since).min().unwrap_or_default(),
        samples: gone.iter().map(samples).sum(),
        devices: u32::try_from(gone.len()).unwrap_or(u32::MAX),
    }
}

/// The mean over devices, each of which counts once; its interval has what devices differ by, and what the mean rank of
/// so many values is off by (a variance of 1/12 each).
fn effect(devices: &[(f64, f64)]) -> Effect {
    let n = devices.len() as f64;
    let mean = devices.iter().map(|(effect, _)| effect).sum::<f64>() / n;
    let between = devices
        .iter()
        .map(|(effect, _)| (effect - mean).powi(2))
        .sum::<f64>()
        / (n - 1.0).max(1.0)
        / n;
    let samples: f64 = devices.iter().map(|(_, samples)| samples).sum();
    let within = 1.0 / (12.0 * samples.max(1.0));
    let half = 1.96 * (between + within).sqrt();
    Effect {
        value: mean,
        low: (mean - half).max(-1.0),
        high: (mean + half).min(1.0),
    }
}

/// Of several changes of one departure in one look, the last; and what was absorbed is explained by what opened.
pub(super) fn once(changes: Vec<DepartureChange>) -> Vec<DepartureChange> {
    let opened = |kind: Kind| {
        let mut of = changes.iter().rev().filter_map(|change| match change {
            DepartureChange::Opened(one) | DepartureChange::Changed(one) if one.kind == kind => {
                Some(one.id)
            }
            _ => None,
        });
        of.next()
    };
    let explained: Vec<Option<u32>> = changes
        .iter()
        .map(|change| opened(change.departure().kind))
        .collect();
    let mut kept: Vec<DepartureChange> = Vec::new();
    for (change, by) in changes.into_iter().zip(explained) {
        let change = match (change, by) {
            (DepartureChange::Closed(one, Why::Explained(_)), Some(by)) => {
                DepartureChange::Closed(one, Why::Explained(by))
            }
            (DepartureChange::Closed(one, Why::Explained(_)), None) => {
                DepartureChange::Closed(one, Why::Recovered)
            }
            (change, _) => change,
        };
        let id = change.departure().id;
        kept.retain(|one| one.departure().id != id);
        kept.push(change);
    }
    kept
}

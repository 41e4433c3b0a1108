//! What follows from the evidence: findings that open, go on and close.

mod attribute;
mod close;
mod weigh;

use attribute::Part;

use crate::{
    Watch,
    column::Kind,
    finding::{Attribution, Change, Finding, Place, Why, same_matter},
    hour::Hour,
    state::Candidate,
};

/// Days after which evidence is old: what is found then may be long over.
const FRESH: u32 = 2;

/// Devices or sites that moved with a version, for all that have it to be taken as one place.
const ALL: usize = 3;

/// Days for which what a finding is attributed to may still change.
const UNSURE: u32 = 3;

/// Days of silence after which a device or a site is forgotten.
const FORGOTTEN: u32 = 120;

impl Watch {
    /// What follows from all hours so far. `now` is the last hour that is over; evidence much older than that is not
    /// looked at. May be called as often as one likes: false alarms are counted by days that are watched.
    pub fn look(&mut self, now: Hour) -> Vec<Change> {
        let mut changes = Vec::new();
        self.recover(now, &mut changes);
        let candidates: Vec<((Place, u16), Candidate)> = self
            .state
            .candidates
            .iter()
            .map(|(at, candidate)| (*at, *candidate))
            .collect();
        for ((place, column), candidate) in &candidates {
            let Some(kind) = self
                .layout
                .columns()
                .get(usize::from(*column))
                .map(|one| one.kind())
            else {
                continue;
            };
            let fresh = candidate.at.day() + FRESH >= now.day();
            if fresh
                && self.is_enough(*place, kind, candidate)
                && self.is_large(*place, *column, candidate)
            {
                self.open(now, *place, kind, &mut changes);
            }
        }
        let today = |at: Hour| at.day() + FRESH >= now.day();
        self.state
            .candidates
            .retain(|_, candidate| today(candidate.at));
        let lives = |through: Hour| through.day() + FORGOTTEN >= now.day();
        self.state.devices.retain(|_, member| lives(member.through));
        self.state
            .sites
            .retain(|_, site| site.through.is_some_and(lives));
        once(changes)
    }

    /// Opens a finding at a place, or adds the place to one that is open.
    fn open(&mut self, now: Hour, place: Place, kind: Kind, changes: &mut Vec<Change>) {
        let (moved, since) = self.moved(place, kind);
        let Some(first) = moved.first().map(|one| one.column) else {
            return;
        };
        self.mark(place, &moved);
        let attribution = self.attribute(place, kind, since);
        let same = |finding: &Finding| {
            finding.kind == kind
                && finding
                    .moved
                    .iter()
                    .any(|one| same_matter(one.column, first))
        };
        // It is known there already, or at places of the same sort.
        let sort = |one: &Place| std::mem::discriminant(one) == std::mem::discriminant(&place);
        let joins = |finding: &Finding| {
            finding.places.contains(&place)
                || same(finding)
                    && finding.places.iter().any(sort)
                    && finding.attribution == attribution
        };
        if let Some(at) = self
            .state
            .findings
            .iter()
            .position(|one| one.kind == kind && joins(one))
        {
            let mut finding = self.state.findings.remove(at);
            let mut news = false;
            if !finding.places.contains(&place) {
                news = true;
                finding.places.push(place);
                finding.places.sort();
                finding.since = finding.since.min(since);
            }
            for one in moved {
                match finding
                    .moved
                    .iter_mut()
                    .find(|known| known.column == one.column)
                {
                    Some(known) if known.evidence <= one.evidence => *known = one,
                    Some(_) => {}
                    None => {
                        news = true;
                        finding.moved.push(one);
                    }
                }
            }
            // What it is may show only by and by, and is not taken back; after a while other things happen too.
            let says_more = matches!(attribution, Attribution::Version(_) | Attribution::Mix)
                && !matches!(
                    finding.attribution,
                    Attribution::Version(_) | Attribution::Mix
                );
            if says_more && finding.opened.day() + UNSURE >= now.day() {
                news = true;
                finding.attribution = attribution;
            }
            self.describe(now, &mut finding);
            if let Attribution::Version(version) = finding.attribution
                && finding.places.len() >= ALL
                && matches!(finding.places[0], Place::Device(_) | Place::Site(_))
            {
                // So many that it is the version, wherever it is.
                finding.places = vec![Place::Version(version)];
                news = true;
            }
            if news {
                changes.push(Change::Changed(finding.clone()));
            }
            self.state.findings.insert(at, finding);
            return;
        }
        let mut finding = Finding {
            id: self.state.next,
            kind,
            attribution,
            places: vec![place],
            moved,
            since,
            opened: now,
            years: 0.0,
            samples: 0,
            devices: 0,
        };
        self.state.next += 1;
        self.describe(now, &mut finding);
        self.absorb(&finding, changes);
        changes.push(Change::Opened(finding.clone()));
        self.state.findings.push(finding);
    }

    /// What a new finding explains is not a finding of its own any more.
    fn absorb(&mut self, new: &Finding, changes: &mut Vec<Change>) {
        let (gone, stay): (Vec<Finding>, Vec<Finding>) = std::mem::take(&mut self.state.findings)
            .into_iter()
            .partition(|old| {
                let related = old.kind == new.kind
                    && old
                        .moved
                        .iter()
                        .any(|a| new.moved.iter().any(|b| same_matter(a.column, b.column)));
                let inside = |place: &Place| {
                    new.places
                        .iter()
                        .any(|above| *above < *place && self.part(*place, *above) != Part::None)
                };
                // A device that was wrong before stays wrong.
                let sites = old
                    .places
                    .iter()
                    .all(|place| !matches!(place, Place::Device(_)))
                    || matches!(new.attribution, Attribution::Version(_));
                related
                    && sites
                    && old.places.iter().all(inside)
                    && old.since.0 + 24 * 7 >= new.since.0
            });
        self.state.findings = stay;
        for old in gone {
            changes.push(Change::Closed(old, Why::Explained(new.id)));
        }
    }
}

/// Of several changes of one finding in one look, the last; one that opened and changed has opened as it is now.
fn once(changes: Vec<Change>) -> Vec<Change> {
    let mut kept: Vec<Change> = Vec::new();
    for change in changes {
        let id = change.finding().id;
        let before = kept
            .iter()
            .position(|one| one.finding().id == id && !matches!(one, Change::Closed(..)));
        match (before, &change) {
            (Some(at), Change::Changed(finding)) => {
                kept[at] = match kept[at] {
                    Change::Opened(_) => Change::Opened(finding.clone()),
                    _ => change,
                };
            }
            (Some(at), Change::Closed(..)) => {
                let opened = matches!(kept.remove(at), Change::Opened(_));
                if !opened {
                    kept.push(change);
                }
            }
            _ => kept.push(change),
        }
    }
    kept
}

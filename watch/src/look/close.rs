//! How findings hold on to what they stand on, and end: all is as usual again, a person accepts it, or nothing is heard.

use crate::{
    Watch,
    column::Kind,
    finding::{Change, Finding, Moved, Place, Why},
    hour::{Hour, Site},
    member::Member,
};

/// Days in a row as usual after which a place has recovered.
const CALM: u8 = 3;

/// Days of silence after which a place is left out.
const SILENT: u32 = 30;

impl Watch {
    /// A person says that what was found is usual from now on. Nothing if there is no such finding.
    pub fn accept(&mut self, id: u32) -> Option<Change> {
        let at = self
            .state
            .findings
            .iter()
            .position(|finding| finding.id == id)?;
        let finding = self.state.findings.remove(at);
        for place in finding.places.clone() {
            self.settle(place, finding.kind, true);
        }
        Some(Change::Closed(finding, Why::Accepted))
    }

    /// Marks streams on which a finding stands, so that nothing is learned from them.
    pub(super) fn mark(&mut self, place: Place, moved: &[Moved]) {
        let columns = self.layout.columns();
        for one in moved {
            let Some(at) = columns.iter().position(|column| *column == one.column) else {
                continue;
            };
            match place {
                Place::Fleet => {
                    if let Some(stream) = self.state.fleet.streams.get_mut(at) {
                        stream.open = true;
                    }
                }
                Place::Site(site) => {
                    let stream = self
                        .state
                        .sites
                        .get_mut(&site)
                        .and_then(|site| site.streams.get_mut(at));
                    if let Some(stream) = stream {
                        stream.open = true;
                    }
                }
                Place::Device(device) => {
                    let row = self
                        .state
                        .devices
                        .get_mut(&device)
                        .and_then(|one| one.rows.get_mut(at));
                    if let Some(row) = row {
                        row.open = true;
                    }
                }
                Place::Version(_) => {}
            }
        }
    }

    /// Lets evidence of a kind begin anew at a place; with `accepted`, what it does of late is usual from now on.
    pub(super) fn settle(&mut self, place: Place, kind: Kind, accepted: bool) {
        let columns = self
            .layout
            .columns()
            .iter()
            .enumerate()
            .filter(|(_, column)| column.kind() == kind);
        for (at, _) in columns {
            self.state.candidates.remove(&(place, at as u16));
            match place {
                Place::Fleet => {
                    let Some(stream) = self.state.fleet.streams.get_mut(at) else {
                        continue;
                    };
                    let level = stream.level();
                    let accepted = accepted && stream.open;
                    stream.reset(accepted);
                    if accepted {
                        for site in self.state.sites.values_mut() {
                            if let Some(stream) = site.streams.get_mut(at) {
                                stream.season.lift(level);
                            }
                        }
                    }
                }
                Place::Site(site) => {
                    let stream = self
                        .state
                        .sites
                        .get_mut(&site)
                        .and_then(|site| site.streams.get_mut(at));
                    if let Some(stream) = stream {
                        let accepted = accepted && stream.open;
                        stream.reset(accepted);
                    }
                }
                Place::Device(device) => {
                    let row = self
                        .state
                        .devices
                        .get_mut(&device)
                        .and_then(|one| one.rows.get_mut(at));
                    if let Some(row) = row {
                        if accepted && row.open {
                            row.accept();
                        } else {
                            row.forget();
                        }
                    }
                }
                Place::Version(version) => {
                    for member in self
                        .state
                        .devices
                        .values_mut()
                        .filter(|one| one.version == version)
                    {
                        match member.rows.get_mut(at) {
                            Some(row) if accepted => row.accept(),
                            Some(row) => row.forget(),
                            None => {}
                        }
                    }
                }
            }
        }
        if let (Place::Version(version), true) = (place, accepted) {
            self.state
                .devices
                .values_mut()
                .filter(|one| one.version == version)
                .for_each(Member::grow_up);
            self.state.versions.remove(&version);
        }
    }

    /// Takes places out of findings that are as usual again, and closes findings without places.
    pub(super) fn recover(&mut self, now: Hour, changes: &mut Vec<Change>) {
        let mut findings = std::mem::take(&mut self.state.findings);
        let mut closed = Vec::new();
        findings.retain_mut(|finding| {
            let before = finding.places.clone();
            let mut silent = true;
            let mut left = Vec::new();
            for place in &before {
                let state = self.stands(now, *place, finding);
                silent &= state == Stands::Silent;
                if state == Stands::Moved {
                    left.push(*place);
                } else {
                    closed.push((*place, finding.kind));
                }
            }
            finding.places = left;
            if finding.places.is_empty() {
                finding.places = before;
                changes.push(Change::Closed(
                    finding.clone(),
                    if silent { Why::Silent } else { Why::Recovered },
                ));
                return false;
            }
            if finding.places.len() < before.len() {
                changes.push(Change::Changed(finding.clone()));
            }
            true
        });
        self.state.findings = findings;
        for (place, kind) in closed {
            self.settle(place, kind, false);
        }
    }

    fn stands(&self, now: Hour, place: Place, finding: &Finding) -> Stands {
        let silent = |through: Hour| through.day() + SILENT < now.day();
        let columns = self.layout.columns();
        let mut at = finding
            .moved
            .iter()
            .filter_map(|one| columns.iter().position(|column| *column == one.column));
        let calm = |calm: u8, open: bool| !open || calm >= CALM;
        let (quiet, through) = match place {
            Place::Version(version) => {
                let mut members = self
                    .state
                    .devices
                    .values()
                    .filter(|one| one.version == version);
                let through = members
                    .clone()
                    .map(|one| one.through)
                    .max()
                    .unwrap_or_default();
                (members.next().is_none(), through)
            }
            Place::Fleet => {
                let streams = &self.state.fleet.streams;
                let quiet = at.all(|at| streams.get(at).is_none_or(|one| calm(one.calm, one.open)));
                (quiet, self.state.fleet.through.unwrap_or_default())
            }
            Place::Site(Site(site)) => match self.state.sites.get(&Site(site)) {
                Some(state) => {
                    let quiet = at.all(|at| {
                        state
                            .streams
                            .get(at)
                            .is_none_or(|one| calm(one.calm, one.open))
                    });
                    (quiet, state.through.unwrap_or_default())
                }
                None => return Stands::Silent,
            },
            Place::Device(device) => match self.state.devices.get(&device) {
                Some(member) => {
                    let quiet = at.all(|at| {
                        member
                            .rows
                            .get(at)
                            .is_none_or(|one| calm(one.calm, one.open))
                    });
                    (quiet, member.through)
                }
                None => return Stands::Silent,
            },
        };
        match (quiet, silent(through)) {
            (true, _) => Stands::Usual,
            (false, true) => Stands::Silent,
            (false, false) => Stands::Moved,
        }
    }
}

/// How a place of a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Moved,
    Usual,
    Silent,
}

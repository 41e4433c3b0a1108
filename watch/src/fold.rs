//! One hour into the state.
//!
//! An hour of a device becomes one value a column. The middle of a site is the median of its devices, each less what it
//! usually differs by, so that a few broken ones do not move it. The middle of the fleet is the median of its sites,
//! each less what is usual for it at that hour. So a site is judged by what it does beyond the fleet, and a device by
//! what it does beyond its site: who moved is answered before anybody asks.

use std::collections::BTreeMap;

use tern_protocol::id::ModelVersion;

use crate::{
    Watch,
    column::Layout,
    finding::{Effect, Place},
    hour::{Device, DeviceHour, Hour, Site},
    median::median,
    member::Member,
    state::{Candidate, Middle, RING, SiteState},
    stream::{Judged, PRIOR, Shown, Stream},
};

/// Inferences at which an hour of a device counts half of what it can count at most.
const HALF: f32 = 20.0;

/// The share of a site's weight that devices have to have for the middle of the site to be theirs.
const MIDDLE: f32 = 0.3;

/// Sites that a fleet has to have for its middle to be one, and for sites to be judged beside it.
const SITES: usize = 3;
pub(crate) const SITES_BESIDE: usize = 5;

/// One device's hour as values.
pub(crate) struct Scored {
    pub(crate) site: Site,
    pub(crate) device: Device,
    pub(crate) version: ModelVersion,
    pub(crate) weight: f32,
    pub(crate) inferences: f32,
    pub(crate) values: Vec<f32>,
}

/// One site's hour.
pub(crate) struct SiteHour {
    pub(crate) site: Site,
    /// The median of its devices by column, and by how much that is above what is usual.
    pub(crate) middle: Vec<f32>,
    pub(crate) deviation: Vec<f32>,
    /// Inferences that the middle stands on.
    pub(crate) inferences: f32,
    pub(crate) learned: bool,
    pub(crate) young: bool,
}

impl Watch {
    /// Folds what devices did in one hour. For each site hours have to rise, whatever other sites do: those of a site
    /// that was away come when they come. A device whose site's hour was folded before is too late, and only counted.
    ///
    /// The order of `reports` never matters. Parts of one device's hour have to come together.
    pub fn hour(&mut self, hour: Hour, reports: &[DeviceHour]) {
        let scored = self.score(reports);
        let mut hours = Vec::new();
        for of_site in scored.chunk_by(|a, b| a.site == b.site) {
            let site = of_site[0].site;
            let state = self.state.sites.entry(site).or_default();
            if state.through.is_some_and(|through| through >= hour) {
                self.state.late += of_site.len() as u64;
                continue;
            }
            state.through = Some(hour);
            hours.push(self.fold_site(hour, of_site));
        }
        let middle = self.fold_fleet(hour, &hours);
        for (at, of_site) in hours.iter().enumerate() {
            self.judge_site(hour, of_site, middle.as_deref());
            let members = scored.iter().filter(|one| one.site == hours[at].site);
            self.count_young(hour, of_site, middle.as_deref(), members);
        }
    }

    /// Values of each device, by site and device; of a device that served two versions, those of the busier one.
    fn score(&self, reports: &[DeviceHour]) -> Vec<Scored> {
        let mut order: Vec<&DeviceHour> = reports
            .iter()
            .filter(|one| one.inferences > 0 || one.errors > 0)
            .collect();
        order.sort_by_key(|one| (one.site, one.device, one.version));
        let mut scored: Vec<Scored> = Vec::with_capacity(order.len());
        let same = |a: &&DeviceHour, b: &&DeviceHour| {
            (a.site, a.device, a.version) == (b.site, b.device, b.version)
        };
        for parts in order.chunk_by(same) {
            let mut whole = std::borrow::Cow::Borrowed(parts[0]);
            for part in &parts[1..] {
                whole.to_mut().merge(part);
            }
            let n = whole.inferences.saturating_add(whole.errors) as f32;
            let mut values = Vec::new();
            self.layout.values(&whole, &mut values);
            let one = Scored {
                site: whole.site,
                device: whole.device,
                version: whole.version,
                weight: n / (n + HALF),
                inferences: n,
                values,
            };
            match scored.last_mut() {
                Some(last) if (last.site, last.device) == (one.site, one.device) => {
                    if one.inferences >= last.inferences {
                        *last = one;
                    }
                }
                _ => scored.push(one),
            }
        }
        scored
    }

    fn fold_site(&mut self, hour: Hour, of_site: &[Scored]) -> SiteHour {
        let columns = self.layout.columns().len();
        for one in of_site {
            let fresh = || Member::new(one.site, one.version, hour, columns);
            let member = self.state.devices.entry(one.device).or_insert_with(fresh);
            if member.site != one.site {
                *member = fresh();
            }
            if member.switch(one.version, hour) {
                forget(&mut self.state.candidates, one.device);
            }
            roll(
                &self.layout,
                &mut self.state.device_pools,
                &mut self.state.candidates,
                one.device,
                member,
                hour,
            );
        }
        let devices = &self.state.devices;
        let is =
            |one: &Scored, what: fn(&Member) -> bool| devices.get(&one.device).is_some_and(what);
        let whole: f32 = of_site.iter().map(|one| one.weight).sum();
        let any = |what: fn(&Member) -> bool| {
            let held: f32 = of_site
                .iter()
                .filter(|one| is(one, what))
                .map(|one| one.weight)
                .sum();
            held >= MIDDLE * whole
        };
        let settled: fn(&Member) -> bool = |one| one.is_established() && one.young.is_none();
        let who: fn(&Member) -> bool = if any(settled) {
            settled
        } else if any(Member::is_established) {
            Member::is_established
        } else {
            |_| true
        };
        let counted: Vec<&Scored> = of_site.iter().filter(|one| is(one, who)).collect();
        let young = counted
            .iter()
            .any(|one| is(one, |member| member.young.is_some()));
        let mut sorted = Vec::with_capacity(counted.len());
        let middle: Vec<f32> = (0..columns)
            .map(|column| {
                sorted.clear();
                sorted.extend(counted.iter().filter_map(|one| {
                    let value = one.values[column] - devices.get(&one.device)?.offset(column);
                    value.is_finite().then_some((value, one.weight))
                }));
                median(&mut sorted)
            })
            .collect();
        for (pool, value) in self.state.device_pools.iter_mut().zip(&middle) {
            pool.learn_mean(*value);
        }
        let peers =
            of_site.len() >= self.settings.peers && counted.len() + 1 >= self.settings.peers;
        let mut deviations = vec![0.0; columns];
        for one in of_site {
            if let Some(member) = self.state.devices.get_mut(&one.device) {
                for (column, deviation) in deviations.iter_mut().enumerate() {
                    *deviation = one.values[column] - middle[column] - member.offset(column);
                }
                member.add(hour, one.weight, one.inferences, &deviations, peers);
            }
        }
        let inferences = counted.iter().map(|one| one.inferences).sum();
        let site = of_site[0].site;
        let state = self.state.sites.entry(site).or_default();
        state.streams.resize_with(columns, Stream::default);
        let usual = |(stream, value): (&Stream, &f32)| {
            stream
                .season
                .usual(hour.of_day(), hour.day())
                .map_or(f32::NAN, |usual| value - usual)
        };
        let deviation = state.streams.iter().zip(&middle).map(usual).collect();
        let learned = state
            .streams
            .iter()
            .any(|stream| stream.days >= self.settings.learn_days);
        SiteHour {
            site,
            middle,
            deviation,
            inferences,
            learned,
            young,
        }
    }

    /// The middle of the fleet at this hour; of an hour that is over, what it was then.
    fn fold_fleet(&mut self, hour: Hour, sites: &[SiteHour]) -> Option<Vec<f32>> {
        let fleet = &mut self.state.fleet;
        if fleet.through.is_some_and(|through| through >= hour) {
            let at = fleet
                .hours
                .binary_search_by_key(&hour, |middle| middle.hour)
                .ok()?;
            return Some(fleet.hours[at].values.clone());
        }
        let counted: Vec<&SiteHour> = sites
            .iter()
            .filter(|one| one.learned && !one.young)
            .collect();
        let counted = if counted.is_empty() {
            sites.iter().filter(|one| one.learned).collect()
        } else {
            counted
        };
        if counted.len() < SITES {
            return None;
        }
        let over = fleet
            .through
            .is_some_and(|through| through.day() < hour.day());
        fleet.through = Some(hour);
        fleet
            .streams
            .resize_with(self.layout.columns().len(), Stream::default);
        let mut sorted = Vec::with_capacity(counted.len());
        let mut values = Vec::with_capacity(fleet.streams.len());
        for (column, stream) in fleet.streams.iter_mut().enumerate() {
            sorted.clear();
            let known = counted.iter().map(|site| (site.deviation[column], 1.0));
            sorted.extend(known.filter(|(value, _)| value.is_finite()));
            let value = if sorted.len() < SITES {
                f32::NAN
            } else {
                median(&mut sorted)
            };
            values.push(value);
            // Sites do not all move alike, so the pool of sites is a weak guess of what the fleet does.
            let matters = f64::from(self.layout.matters()[column]);
            let judged = Judged {
                learn_days: 3,
                matters,
                prior: 2.0,
                frozen: false,
                sampling: 0.0,
                inferences: f32::INFINITY,
            };
            // The pool is that of sites: what the fleet does is not to be learned by it.
            let mut pool = self.state.site_pools[column];
            if let Some(shown) = stream.add(hour, value, &mut pool, judged) {
                note(
                    &mut self.state.candidates,
                    Place::Fleet,
                    column,
                    hour,
                    &shown,
                );
            }
        }
        fleet.hours.push_back(Middle {
            hour,
            values: values.clone(),
        });
        if fleet.hours.len() > RING {
            fleet.hours.pop_front();
        }
        if over {
            self.judge_versions(hour);
        }
        Some(values)
    }

    fn judge_site(&mut self, hour: Hour, of_site: &SiteHour, middle: Option<&[f32]>) {
        let beside = self.state.sites.len() >= SITES_BESIDE;
        let state = self.state.sites.entry(of_site.site).or_default();
        let SiteState { streams, .. } = state;
        for (column, stream) in streams.iter_mut().enumerate() {
            let fleet = middle
                .and_then(|middle| middle.get(column))
                .copied()
                .filter(|value| value.is_finite());
            let of_fleet = self.state.fleet.streams.get(column);
            let frozen = of_fleet.is_some_and(|fleet| !fleet.learns());
            let deviation = match fleet {
                Some(fleet) if beside => of_site.deviation[column] - fleet,
                _ => of_site.deviation[column],
            };
            let judged = Judged {
                learn_days: self.settings.learn_days,
                matters: f64::from(self.layout.matters()[column]),
                prior: PRIOR,
                frozen,
                sampling: self.state.device_pools[column].sampling(self.layout.columns()[column]),
                inferences: of_site.inferences,
            };
            let pool = &mut self.state.site_pools[column];
            if let Some(shown) = stream.add(hour, deviation, pool, judged) {
                note(
                    &mut self.state.candidates,
                    Place::Site(of_site.site),
                    column,
                    hour,
                    &shown,
                );
            }
            stream.learn_early(pool);
            if stream.learns() && !frozen && of_site.middle[column].is_finite() {
                stream
                    .season
                    .learn(hour.of_day(), hour.day(), of_site.middle[column]);
            }
        }
    }
}

/// Forgets what was noted of a device.
pub(crate) fn forget(candidates: &mut BTreeMap<(Place, u16), Candidate>, device: Device) {
    let place = Place::Device(device);
    let noted: Vec<(Place, u16)> = candidates
        .range((place, 0)..=(place, u16::MAX))
        .map(|(at, _)| *at)
        .collect();
    for at in noted {
        candidates.remove(&at);
    }
}

/// Closes a device's day, and notes what it shows.
fn roll(
    layout: &Layout,
    pools: &mut [crate::pool::Pool],
    candidates: &mut BTreeMap<(Place, u16), Candidate>,
    device: Device,
    member: &mut Member,
    hour: Hour,
) {
    member.roll(hour, pools, layout, |column, shown| {
        note(candidates, Place::Device(device), column, hour, &shown);
    });
}

/// Keeps evidence that might be enough. What could not be by far is not kept, so that there are few.
fn note(
    candidates: &mut BTreeMap<(Place, u16), Candidate>,
    place: Place,
    column: usize,
    hour: Hour,
    shown: &Shown,
) {
    const LEAST: f64 = 5.0;
    let Shown { strongest, effect } = shown;
    if strongest.ln < LEAST || !effect.value.is_finite() || (effect.value > 0.0) != strongest.up {
        candidates.remove(&(place, column as u16));
        return;
    }
    let effect = Effect {
        value: effect.value,
        low: effect.value - effect.half,
        high: effect.value + effect.half,
    };
    let candidate = Candidate {
        at: hour,
        since: strongest.since,
        ln: strongest.ln,
        effect,
    };
    candidates.insert((place, column as u16), candidate);
}

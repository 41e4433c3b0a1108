//! The fleet: what each device counts in each hour, and when that arrives.

use tern_protocol::{id::ModelVersion, profile::Reference};
use tern_stats::{
    confidence,
    histogram::{Edges, reference_by_class},
};

use super::{
    kind::{Quiet, Scenario, Truth},
    noise::Noise,
    world::{
        CLASSES, DAILY, FEATURES, FIRST, MEANS, OTHER, SECOND, SHARES, Simulated, WEATHER, WEEKEND,
        Weather, answer, pick,
    },
};
use crate::{
    column::Model,
    hour::{Device, DeviceHour, Hour, Site},
};

/// The hour at which simulated time begins: a Monday.
const START: u32 = 24 * 20_003;

/// How large a fleet is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Sites.
    pub sites: u32,
    /// Devices at most of one site.
    pub devices: u32,
    /// How large what happens is, as a part of what the scenario says; 1 as it says.
    pub size: f32,
}

/// What arrived: hours, each with its devices. The newest hour comes last.
pub type Arrival = Vec<(Hour, Vec<DeviceHour>)>;

/// A fleet in time.
pub struct Fleet {
    scenario: Scenario,
    size: f32,
    seed: u64,
    devices: Vec<Simulated>,
    sites: Vec<Weather>,
    common: Weather,
    edges: [Vec<Edges>; 2],
    hour: u32,
    onset: u32,
    hit: (Site, Device),
    fault: u8,
    /// Hours of devices that are offline, by device.
    held: Vec<(Hour, DeviceHour)>,
}

impl Fleet {
    /// A fleet before its first hour.
    pub fn new(scenario: Scenario, shape: Shape, seed: u64) -> Self {
        let shape = match scenario {
            Scenario::Quiet(Quiet::Small) => Shape {
                sites: 3,
                devices: 3,
                size: shape.size,
            },
            _ => shape,
        };
        let mut lots = Noise::of(seed, 0, 9);
        let mut devices = Vec::new();
        for site in 0..shape.sites {
            // One has one device, one has two; the others more.
            let n = match (scenario, site) {
                (Scenario::Quiet(Quiet::Small), site) => site + 1,
                (_, 0) => 1,
                (_, 1) => 2,
                _ => 4 + (lots.uniform() * shape.devices.saturating_sub(3) as f32) as u32,
            };
            for _ in 0..n {
                devices.push(Simulated::new(
                    Device(devices.len() as u32),
                    Site(site),
                    seed,
                ));
            }
        }
        let sites: Vec<Weather> = (0..shape.sites)
            .map(|site| Weather::new(seed, u64::from(site) + 1))
            .collect();
        // What is to be found happens where it can be told apart: not at sites of one or two.
        let site = Site(
            (2 + (lots.uniform() * (shape.sites.max(3) - 2) as f32) as u32).min(shape.sites - 1),
        );
        let of_site: Vec<Device> = devices
            .iter()
            .filter(|one| one.site == site)
            .map(|one| one.device)
            .collect();
        let device = of_site[(lots.uniform() * of_site.len() as f32) as usize % of_site.len()];
        let uniform = |bins| Edges::uniform(-3.5, 3.5, bins).expect("edges of a fixed histogram");
        Self {
            scenario,
            size: shape.size,
            seed,
            devices,
            sites,
            common: Weather::new(seed, 0),
            edges: [16, 12].map(|bins| vec![uniform(bins); FEATURES]),
            hour: 0,
            onset: 40 + (lots.uniform() * 7.0) as u32,
            hit: (site, device),
            fault: (lots.uniform() * 3.0) as u8,
            held: Vec::new(),
        }
    }

    /// The model that all devices serve: as it was trained on all classes, with no weather.
    pub fn model(&self) -> Model {
        let mut noise = Noise::of(self.seed, 0, 77);
        let samples: Vec<(usize, [f32; FEATURES])> = (0..6_000)
            .map(|_| {
                let class = pick(&SHARES, noise.uniform());
                (
                    class,
                    std::array::from_fn(|at| MEANS[class][at] + noise.normal()),
                )
            })
            .collect();
        let mut classes = vec![0; CLASSES];
        for (class, _) in &samples {
            classes[*class] += 1;
        }
        let of = |edges: &[Edges]| {
            let feature = |at: usize| {
                let values = samples.iter().map(move |(class, row)| (*class, row[at]));
                reference_by_class(format!("x{at}"), &edges[at], CLASSES, values)
            };
            Reference {
                features: (0..FEATURES).map(feature).collect(),
                classes: classes.clone(),
                ..Reference::default()
            }
        };
        Model {
            versions: vec![(FIRST, of(&self.edges[0])), (SECOND, of(&self.edges[1]))],
        }
    }

    /// What is true, if there is something to be found.
    pub fn truth(&self) -> Option<Truth> {
        self.scenario
            .truth(START / 24 + self.onset, self.hit.0, self.hit.1)
    }

    /// Devices.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Lets an hour pass and says what arrived.
    pub fn step(&mut self) -> Arrival {
        let hour = Hour(START + self.hour);
        let day = self.hour / 24;
        self.common.step();
        self.sites.iter_mut().for_each(Weather::step);
        let mut now = Vec::new();
        let mut late = Vec::new();
        for at in 0..self.devices.len() {
            let counted = self.count(at, hour, day);
            let offline = self.is_offline(at, day);
            if let Some(counted) = counted {
                if offline {
                    self.held.push((hour, counted));
                } else {
                    now.push(counted);
                }
            }
            if !offline {
                let device = self.devices[at].device;
                late.extend(self.held.extract_if(.., |(_, held)| held.device == device));
            }
        }
        self.hour += 1;
        late.sort_by_key(|(hour, held)| (*hour, held.device));
        let mut arrival: Arrival = Vec::new();
        for (hour, held) in late {
            match arrival.last_mut() {
                Some((last, devices)) if *last == hour => devices.push(held),
                _ => arrival.push((hour, vec![held])),
            }
        }
        arrival.push((hour, now));
        arrival
    }

    fn is_offline(&mut self, at: usize, day: u32) -> bool {
        let one = &mut self.devices[at];
        if self.scenario == Scenario::Quiet(Quiet::LongOver) && one.site == self.hit.0 {
            return (self.onset..self.onset + 21).contains(&day);
        }
        if self.hour < one.offline_until {
            return true;
        }
        // About once in five weeks, for a day in the median and sometimes for weeks.
        if one.noise.uniform() < 1.0 / (24.0 * 35.0) {
            let hours = 24.0 * (1.2 * one.noise.normal()).exp();
            one.offline_until = self.hour + hours.min(24.0 * 28.0) as u32;
        }
        false
    }

    fn version(&self, at: usize, day: u32) -> ModelVersion {
        let one = &self.devices[at];
        let third = one.lot < 0.34;
        // Not all on one day.
        let when = self.onset + u32::from(one.lot > 0.17);
        let has = match self.scenario {
            Scenario::BadVersion => third && day >= when,
            Scenario::BadVersionAtOnce => day >= self.onset,
            Scenario::Quiet(Quiet::GoodVersion) => day >= self.onset + (one.lot * 20.0) as u32,
            _ => false,
        };
        if has { SECOND } else { FIRST }
    }

    /// By how much each feature of a device is moved by what happens.
    fn shift(&self, at: usize, day: u32) -> [f32; FEATURES] {
        let mut shift = [0.0; FEATURES];
        let (site, device) = (self.devices[at].site, self.devices[at].device);
        let since = day.saturating_sub(self.onset) as f32;
        match self.scenario {
            _ if day < self.onset => {}
            Scenario::Sudden => (shift[0], shift[2]) = (0.8, -0.8),
            Scenario::Gradual => shift[4] = (since / 21.0).min(1.0),
            Scenario::OneSite if site == self.hit.0 => (shift[1], shift[5]) = (0.9, 0.9),
            Scenario::Sensor if device == self.hit.1 && self.fault == 0 => shift[5] = 1.5,
            Scenario::Quiet(Quiet::LongOver)
                if site == self.hit.0 && (4.0..8.0).contains(&since) =>
            {
                shift[5] = 1.5;
            }
            _ => {}
        }
        shift.map(|shift| self.size * shift)
    }

    fn count(&mut self, at: usize, hour: Hour, day: u32) -> Option<DeviceHour> {
        let version = self.version(at, day);
        let shift = self.shift(at, day);
        let strong = if self.scenario == Scenario::Quiet(Quiet::Seasonal) {
            2.0
        } else {
            1.0
        };
        let turn = std::f32::consts::TAU * (hour.of_day() as f32 - 8.0) / 24.0;
        let weekend = f32::from(u8::from(day % 7 >= 5));
        let (site, common) = (&self.sites[self.devices[at].site.0 as usize], &self.common);
        let mut level = [0.0; FEATURES];
        for (feature, level) in level.iter_mut().enumerate() {
            // A third of the weather is that of all sites.
            let weather = 0.58 * common.common + 0.81 * site.common;
            *level = WEATHER[feature] * weather + 0.08 * site.own[feature];
            *level += strong * (DAILY[feature] * turn.sin() + WEEKEND[feature] * weekend);
            *level += shift[feature] + self.devices[at].offsets[feature];
        }
        let happened = day >= self.onset;
        let mut shares = if self.scenario == Scenario::Mix && happened {
            std::array::from_fn(|at| SHARES[at] + self.size * (OTHER[at] - SHARES[at]))
        } else {
            SHARES
        };
        shares[1] += 0.05 * strong * turn.cos();
        shares[2] += 0.04 * strong * weekend;
        let open = !site.closes || (6..22).contains(&hour.of_day());
        let one = &mut self.devices[at];
        let busy = if open { 0.6 - 0.4 * turn.cos() } else { 0.0 };
        let mean = one.traffic * busy;
        let n = (mean + mean.sqrt() * one.noise.normal()).round().max(0.0) as u64;
        if n == 0 {
            return None;
        }
        let broken = self.scenario == Scenario::Sensor && one.device == self.hit.1 && happened;
        let bad = version == SECOND
            && matches!(
                self.scenario,
                Scenario::BadVersion | Scenario::BadVersionAtOnce
            );
        let wrong = if bad { 1.2 * self.size } else { 0.0 };
        let edges = &self.edges[usize::from(version == SECOND)];
        let mut counted = DeviceHour {
            device: one.device,
            site: one.site,
            version,
            inferences: n,
            errors: u64::from(one.noise.uniform() < 0.002 * n as f32),
            classes: vec![0; CLASSES],
            confidence: confidence::no_counts(),
            features: edges.iter().map(Edges::no_counts).collect(),
            stuck: Vec::new(),
        };
        for _ in 0..n {
            let class = pick(&shares, one.noise.uniform());
            let mut row: [f32; FEATURES] = std::array::from_fn(|at| {
                level[at] + MEANS[class][at] + one.scale * one.noise.normal()
            });
            if broken && self.fault == 1 {
                row[5] = 0.9;
            }
            if broken && self.fault == 2 && one.noise.uniform() < 0.33 * self.size {
                row[5] = f32::NAN;
            }
            answer(&row, wrong, &mut counted, edges);
        }
        Some(counted)
    }
}

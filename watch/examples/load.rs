//! What watching costs: `cargo run --release -p tern-watch --example load -- DEVICES FEATURES DEVICES_A_SITE`.

use std::time::{Duration, Instant};

use tern_protocol::{
    id::ModelVersion,
    profile::{FeatureReference, Reference},
    window::FeatureCounts,
};
use tern_stats::chance::Chance;
use tern_watch::{Device, DeviceHour, Hour, Model, Settings, Site, Watch};

const BINS: usize = 16;

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse::<u32>().ok());
    let devices = args.next().unwrap_or(10_000);
    let features = args.next().unwrap_or(64) as usize;
    let a_site = args.next().unwrap_or(20).max(1);
    let feature = |at: usize| FeatureReference {
        name: format!("x{at}"),
        edges: (0..=BINS).map(|edge| edge as f32).collect(),
        counts: vec![100; BINS],
        missing: 0,
        by_class: Vec::new(),
    };
    let reference = Reference {
        features: (0..features).map(feature).collect(),
        classes: vec![1; 10],
        ..Reference::default()
    };
    let model = Model {
        versions: vec![(ModelVersion::FIRST, reference)],
    };
    let mut watch = Watch::new(Settings::default(), &model).expect("a model to watch");
    let mut chance = Chance::new(1);
    let mut reports: Vec<DeviceHour> = (0..devices)
        .map(|device| report(device, a_site, features, &mut chance))
        .collect();
    let (mut hours, mut longest, mut sum) = (0, Duration::ZERO, Duration::ZERO);
    for hour in 24 * 20_000..24 * 20_010 {
        // Other devices have other counts each hour; it costs the same.
        for (device, one) in (0..).zip(&mut reports) {
            (one.device, one.site) = (Device(device), Site(device / a_site));
        }
        let by = (chance.below(3) + 1).min(features.max(1));
        for one in &mut reports {
            one.features.rotate_left(by);
        }
        let began = Instant::now();
        watch.hour(Hour(hour), &reports);
        let _ = watch.look(Hour(hour));
        let took = began.elapsed();
        (hours, longest, sum) = (hours + 1, longest.max(took), sum + took);
    }
    let began = Instant::now();
    let bytes = watch.to_bytes();
    let stored = began.elapsed();
    let began = Instant::now();
    let restored =
        Watch::restore(Settings::default(), &model, &bytes).map(|watch| watch.findings().len());
    println!(
        "{devices} devices, {features} features: {:.0} ms an hour ({:.0} at worst, {:.0} ns a device and feature)",
        sum.as_secs_f64() * 1e3 / f64::from(hours),
        longest.as_secs_f64() * 1e3,
        sum.as_secs_f64() * 1e9 / f64::from(hours) / f64::from(devices) / features as f64,
    );
    println!(
        "state {:.1} MB stored ({:.0} bytes a device and feature, all in), {:.2} s to write, {:.2} s to read: {restored:?}",
        bytes.len() as f64 / 1e6,
        bytes.len() as f64 / f64::from(devices) / features as f64,
        stored.as_secs_f64(),
        began.elapsed().as_secs_f64(),
    );
}

fn report(device: u32, a_site: u32, features: usize, chance: &mut Chance) -> DeviceHour {
    let counts = |chance: &mut Chance| {
        let mut counts: Vec<u64> = (0..BINS + 2).map(|_| chance.below(12) as u64).collect();
        counts.push(0);
        FeatureCounts(counts)
    };
    DeviceHour {
        device: Device(device),
        site: Site(device / a_site),
        version: ModelVersion::FIRST,
        inferences: 100,
        errors: 0,
        classes: vec![10; 10],
        confidence: vec![5; 20],
        features: (0..features).map(|_| counts(chance)).collect(),
        stuck: Vec::new(),
    }
}

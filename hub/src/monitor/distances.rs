//! How far what devices counted over a time is from what a version was trained on, or from the week before.
//!
//! Called by the API. Reads sums of hours, or of days where the time is long; with many sites hours of all together and
//! days of each. Must never break: the rows that are read are bounded; what is said to be certain counts hours and not
//! inferences, since those of one hour are alike.

use std::collections::BTreeMap;

use tern_protocol::{
    id::{ModelName, ModelVersion, SiteName, WorkspaceId},
    profile::{FeatureReference, Reference},
    rest::{Baseline, Counted, CountedDistance, DistancesView, Interval, PlaceDistances},
    time::WallTime,
    window::{FeatureCounts, Window},
};
use tern_stats::{
    drift::{
        distance::{Distance, distance, total},
        jackknife,
    },
    window::merge,
};

use super::rollup::{self, ALL_SITES, Level, Which};
use crate::{
    app::App,
    registry::{self, ProfileError},
    store::{StoreError, parsed},
};

const DOING: &str = "reading sums for distances";

/// Sums that one answer reads.
const ROWS: i64 = 20_000;

/// Hours of sites that one answer reads. Measured (optimised, a busy processor): 0.3 ms each with 64 features, so that an
/// answer stays below 400 ms.
const SITE_HOURS: i64 = 1_300;

/// Times up to this, in milliseconds, are read in hours.
const HOURS: i64 = 7 * 24 * 3_600_000;

/// The longest time, in milliseconds.
const LONGEST: i64 = 400 * 24 * 3_600_000;

/// Features of one place that are told.
const FEATURES: usize = 20;

/// A week, in milliseconds.
const WEEK: i64 = 7 * 24 * 3_600_000;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistancesQuery {
    /// Of this model.
    pub model: ModelName,
    /// Of this version.
    pub version: ModelVersion,
    /// Only at this site.
    pub site: Option<SiteName>,
    /// From this moment.
    pub from: WallTime,
    /// To this moment.
    pub to: WallTime,
    /// Compared with what.
    pub baseline: Baseline,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DistancesError {
    /// The end does not come after the start, or long after.
    #[error("`to` must be later than `from`, by 400 days at most")]
    Time,
    /// More sums than one answer reads.
    #[error(
        "so many sites have too many hours in that time; ask for one `site`, for less time, or for more than a week, which is read in days"
    )]
    Many,
    /// There is no such version.
    #[error("there is no version {version} of {model}")]
    NotFound {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// Nothing to compare with.
    #[error(
        "version {0} was published without a reference profile, so nothing is known of what it was trained on; \
         compare it with the week before (`baseline=week-before`), or publish a version with a profile"
    )]
    NoReference(ModelVersion),
    /// The reference profile is damaged or gone.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was counted at one place: all of it, and by hour or day.
#[derive(Default)]
struct Place {
    /// The time that is told of: hours or days, as a whole.
    from: i64,
    to: i64,
    all: Option<Window>,
    parts: Vec<Window>,
}

/// Sums by place; all sites are without a name.
type Places = BTreeMap<Option<String>, Place>;

/// Compares.
pub async fn distances(
    app: &App,
    workspace: &WorkspaceId,
    query: &DistancesQuery,
) -> Result<DistancesView, DistancesError> {
    let length = query.to.0.saturating_sub(query.from.0);
    if length <= 0 || length > LONGEST {
        return Err(DistancesError::Time);
    }
    let reference = reference(app, workspace, query).await?;
    let (from, to, level) = (query.from.0, query.to.0, level(length));
    let now = places(app, workspace, query, (from, to)).await?;
    let before = match query.baseline {
        Baseline::Training => Places::default(),
        Baseline::WeekBefore => places(app, workspace, query, (from - WEEK, to - WEEK)).await?,
    };
    let mut found = Vec::new();
    for (site, place) in &now {
        let Some(all) = &place.all else { continue };
        let baseline = match query.baseline {
            Baseline::Training => trained(&reference),
            Baseline::WeekBefore => match before.get(site).and_then(|place| place.all.as_ref()) {
                Some(all) => counted(all),
                None => continue,
            },
        };
        let site = site.as_deref().map(|site| parsed("site name", site));
        found.push(PlaceDistances {
            site: site.transpose()?,
            from: WallTime(place.from),
            to: WallTime(place.to),
            inferences: all.inferences,
            distances: compare(all, &place.parts, &baseline, &reference),
        });
        // Arithmetic without a pause: others get their turn.
        tokio::task::yield_now().await;
    }
    Ok(DistancesView {
        model: query.model.clone(),
        version: query.version,
        baseline: query.baseline,
        from: WallTime(level.start(from)),
        to: WallTime(end(level, to)),
        places: found,
    })
}

/// The profile of the version; an empty one, if that does, of one that came without.
async fn reference(
    app: &App,
    workspace: &WorkspaceId,
    query: &DistancesQuery,
) -> Result<Reference, DistancesError> {
    let (model, version) = (&query.model, query.version);
    match registry::profile(app, workspace, model, version).await? {
        None => Err(DistancesError::NotFound {
            model: model.clone(),
            version,
        }),
        Some(Some(reference)) => Ok(reference),
        Some(None) => match query.baseline {
            Baseline::Training => Err(DistancesError::NoReference(version)),
            Baseline::WeekBefore => Ok(Reference::default()),
        },
    }
}

async fn places(
    app: &App,
    workspace: &WorkspaceId,
    query: &DistancesQuery,
    (from, to): (i64, i64),
) -> Result<Places, DistancesError> {
    let (level, site) = (level(to - from), query.site.as_ref().map(SiteName::as_str));
    let which = |level: Level, site| Which {
        model: &query.model,
        version: query.version,
        site,
        arm: None,
        level,
        from: level.start(from),
        to: end(level, to),
        limit: ROWS + 1,
    };
    let all = which(level, site);
    let many = level == Level::Hour
        && site.is_none()
        && rollup::count(
            &app.store,
            workspace,
            Which {
                limit: SITE_HOURS,
                ..all
            },
            DOING,
        )
        .await?
            >= SITE_HOURS;
    let mut places = Places::default();
    if many {
        read(
            app,
            workspace,
            which(Level::Hour, Some(ALL_SITES)),
            &mut places,
        )
        .await?;
        let mut sites = Places::default();
        read(app, workspace, which(Level::Day, None), &mut sites).await?;
        places.extend(sites.into_iter().filter(|(site, _)| site.is_some()));
    } else {
        read(app, workspace, all, &mut places).await?;
    }
    Ok(places)
}

/// The end of the hour or day in which a time ends.
const fn end(level: Level, to: i64) -> i64 {
    level.start(to.saturating_add(level.ms() - 1))
}

const fn level(length: i64) -> Level {
    if length <= HOURS {
        Level::Hour
    } else {
        Level::Day
    }
}

async fn read(
    app: &App,
    workspace: &WorkspaceId,
    which: Which<'_>,
    places: &mut Places,
) -> Result<(), DistancesError> {
    let sums = rollup::sums(&app.store, workspace, which, DOING).await?;
    if sums.len() as i64 > ROWS {
        return Err(DistancesError::Many);
    }
    for sum in sums {
        let site = (sum.site != ALL_SITES).then_some(sum.site);
        let place = places.entry(site).or_insert_with(|| Place {
            from: which.from,
            to: which.to,
            ..Place::default()
        });
        place.add(sum.window);
    }
    Ok(())
}

impl Place {
    fn add(&mut self, window: Window) {
        let fits = if let Some(all) = &mut self.all {
            merge(all, &window).is_ok()
        } else {
            self.all = Some(window.clone());
            true
        };
        // Bins of one version are the same; a row that does not fit is left out of both.
        if fits {
            self.parts.push(window);
        }
    }
}

/// What a histogram is of: a feature or signal by its place among them, since none has to have a name.
type Key = (Counted, usize);

/// Histograms of a window without what is missing.
fn counted(window: &Window) -> BTreeMap<Key, Vec<u64>> {
    let mut all = BTreeMap::new();
    for (counted, list) in [
        (Counted::Feature, &window.features),
        (Counted::Signal, &window.signals),
    ] {
        for (at, counts) in list.iter().enumerate() {
            all.insert((counted, at), present(counts));
        }
    }
    for (counted, counts) in [
        (Counted::Prediction, &window.classes),
        (Counted::Confidence, &window.confidence),
        (Counted::Margin, &window.margin),
    ] {
        all.insert((counted, 0), counts.clone());
    }
    all
}

/// What it is called; what there is one of has no name.
fn name((counted, at): Key, reference: &Reference) -> String {
    let named = |list: &[FeatureReference], what: &str| match list.get(at) {
        Some(feature) if !feature.name.is_empty() => feature.name.clone(),
        _ => format!("{what} {at}"),
    };
    match counted {
        Counted::Feature => named(&reference.features, "feature"),
        Counted::Signal => named(&reference.signals, "signal"),
        Counted::Prediction | Counted::Confidence | Counted::Margin => String::new(),
    }
}

/// The same of a reference: nothing in training was beside its bins.
fn trained(reference: &Reference) -> BTreeMap<Key, Vec<u64>> {
    let mut all = BTreeMap::new();
    for (counted, list) in [
        (Counted::Feature, &reference.features),
        (Counted::Signal, &reference.signals),
    ] {
        for (at, feature) in list.iter().enumerate() {
            let inside = feature.counts.iter().copied();
            let counts = [0].into_iter().chain(inside).chain([0]).collect();
            all.insert((counted, at), counts);
        }
    }
    for (counted, counts) in [
        (Counted::Prediction, &reference.classes),
        (Counted::Confidence, &reference.confidence),
        (Counted::Margin, &reference.margin),
    ] {
        all.insert((counted, 0), counts.clone());
    }
    all
}

/// Under, bins, over; without missing.
fn present(counts: &FeatureCounts) -> Vec<u64> {
    let bins = counts.0.len().saturating_sub(1);
    counts.0[..bins].to_vec()
}

/// Distances of a place, the farthest first.
fn compare(
    all: &Window,
    parts: &[Window],
    baseline: &BTreeMap<Key, Vec<u64>>,
    reference: &Reference,
) -> Vec<CountedDistance> {
    let now = counted(all);
    let mut far: Vec<(f64, Key, &Vec<u64>, &Vec<u64>)> = Vec::new();
    for (key, counts) in &now {
        let Some(before) = baseline.get(key) else {
            continue;
        };
        if let Ok(value) = distance(Distance::JensenShannon, before, counts) {
            far.push((value, *key, before, counts));
        }
    }
    far.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut features = 0;
    far.retain(|(_, key, ..)| {
        features += usize::from(key.0 == Counted::Feature);
        key.0 != Counted::Feature || features <= FEATURES
    });
    let by_part: Vec<BTreeMap<Key, Vec<u64>>> = parts.iter().map(counted).collect();
    let told = far.into_iter().map(|(_, key, before, counts)| {
        let units: Vec<&[u64]> = by_part
            .iter()
            .filter_map(|part| part.get(&key))
            .filter(|counts| counts.len() == before.len())
            .map(Vec::as_slice)
            .collect();
        let measured = |kind| interval(kind, before, counts, &units);
        let ordered = key.0 != Counted::Prediction;
        CountedDistance {
            counted: key.0,
            name: name(key, reference),
            n: total(counts),
            jensen_shannon: measured(Distance::JensenShannon).unwrap_or(NOTHING),
            psi: measured(Distance::Psi).unwrap_or(NOTHING),
            kolmogorov_smirnov: ordered
                .then(|| measured(Distance::KolmogorovSmirnov))
                .flatten(),
            cramers_v: (!ordered).then(|| measured(Distance::CramersV)).flatten(),
            missing: missing(key, all),
            repeated: repeated(key, all),
        }
    });
    told.collect()
}

/// A distance that cannot be measured, beside one that can.
const NOTHING: Interval = Interval {
    value: 0.0,
    low: None,
    high: None,
};

fn interval(kind: Distance, before: &[u64], now: &[u64], units: &[&[u64]]) -> Option<Interval> {
    let value = distance(kind, before, now).ok()?;
    let effect = jackknife::by_device(kind, before, units).ok().flatten();
    Some(Interval {
        value,
        low: effect.map(|effect| effect.low),
        high: effect.map(|effect| effect.high),
    })
}

fn missing((counted, at): Key, all: &Window) -> Option<f64> {
    let counts = match counted {
        Counted::Feature => all.features.get(at)?,
        Counted::Signal => all.signals.get(at)?,
        Counted::Prediction | Counted::Confidence | Counted::Margin => return None,
    };
    let missing = *counts.0.last()?;
    share(missing, total(&counts.0))
}

fn repeated((counted, at): Key, all: &Window) -> Option<f64> {
    let feature = (counted == Counted::Feature).then_some(at)?;
    share(*all.repeated.get(feature)?, all.inferences)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use tern_protocol::log::Body;

    use super::*;
    use crate::monitor::fixture::Device;

    #[test]
    fn what_has_no_name_is_told_by_its_place() {
        let feature = |name: &str| FeatureReference {
            name: name.into(),
            edges: vec![0.0, 1.0, 2.0],
            counts: vec![5, 5],
            ..FeatureReference::default()
        };
        let reference = Reference {
            features: ["left", "", ""].map(feature).into(),
            ..Reference::default()
        };
        let body = Device::new("meter-1").window(0, 3_600_000, 100);
        let Body::Window(mut window) = body else {
            panic!("it is a window");
        };
        let counts = |low, missing| FeatureCounts(vec![0, low, 90 - low, 0, missing]);
        window.features = vec![counts(45, 10), counts(60, 20), counts(80, 40)];
        window.repeated = vec![0, 0, 50];
        let told = compare(&window, &[], &trained(&reference), &reference);
        let told: Vec<_> = told
            .iter()
            .filter(|one| one.counted == Counted::Feature)
            .map(|one| (one.name.as_str(), one.missing, one.repeated))
            .collect();
        let expected = [
            ("feature 2", Some(40.0 / 130.0), Some(0.5)),
            ("feature 1", Some(20.0 / 110.0), Some(0.0)),
            ("left", Some(0.1), Some(0.0)),
        ];
        assert_eq!(told, expected);
    }
}

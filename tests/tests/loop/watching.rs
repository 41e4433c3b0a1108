//! What the hub shows of what the fleet answered.

use tern_cli::client::ChartQuery;
use tern_protocol::{
    rest::{Chart, GroupBy, Metric},
    time::WallTime,
};
use tern_tests::{fleet::Fleet, package};

#[test]
fn charts_add_up_to_what_was_answered() {
    let fleet = Fleet::of(2);
    let package = package::digits(0);
    fleet.serve(package);
    let samples = package.samples();
    let mut classes = vec![0_u64; package.classes.len()];
    for agent in &fleet.agents {
        for input in &samples {
            classes[agent.infer(input).class()] += 1;
        }
    }
    let total = fleet.counts_exactly(0);
    assert_eq!(total, 2 * samples.len() as u64);

    let chart = |metric, group| {
        let query = ChartQuery {
            group,
            ..ChartQuery::of(metric)
        };
        let chart = fleet.client().chart(&query).expect("the hub draws charts");
        let lengths: Vec<_> = chart.series.iter().map(|one| one.points.len()).collect();
        assert!(lengths.iter().all(|len| *len == lengths[0]), "{chart:?}");
        chart
    };
    let traffic = chart(Metric::Traffic, GroupBy::None);
    assert_eq!(stands_on(&traffic, 0), total, "{traffic:?}");
    let sites = chart(Metric::Traffic, GroupBy::Site);
    let names: Vec<_> = sites.series.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["harbour", "hill"]);
    assert!(
        (0..2).all(|site| stands_on(&sites, site) == total / 2),
        "{sites:?}"
    );

    // A share of each class in each interval, which add up to 1 where anything was predicted.
    let mix = chart(Metric::Prediction, GroupBy::None);
    for place in 0..mix.series[0].points.len() {
        let values = mix.series.iter().filter_map(|one| one.points[place].value);
        let values: Vec<f64> = values.collect();
        let sum = values.iter().sum::<f64>();
        assert!(
            values.is_empty() || (sum - 1.0).abs() < 1e-9,
            "{place}: {values:?}"
        );
    }
    // A window that reaches over the end of an interval stands in both, so all of it is asked for as one.
    let step = traffic.step_ms * traffic.series[0].points.len() as u64;
    let end = traffic.from.0 + i64::try_from(step).expect("a quarter of an hour");
    let whole = ChartQuery {
        from: Some(traffic.from),
        to: Some(WallTime(end)),
        step_ms: Some(step),
        ..ChartQuery::of(Metric::Prediction)
    };
    let mix = fleet.client().chart(&whole).expect("the hub draws charts");
    for (class, name) in package.classes.iter().enumerate() {
        let series = mix.series.iter().find(|one| one.name == *name);
        let counts = series.into_iter().flat_map(|one| &one.points);
        let share = counts.map(|point| point.value.unwrap_or_default() * point.n as f64);
        let counted = share.sum::<f64>().round() as u64;
        assert_eq!(counted, classes[class], "class {name} in {mix:?}");
    }

    let latency = chart(Metric::Latency, GroupBy::None);
    let names: Vec<_> = latency.series.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["p50", "p90", "p99"]);
    for place in 0..latency.series[0].points.len() {
        let at = |series: usize| {
            latency.series[series].points[place]
                .value
                .unwrap_or_default()
        };
        assert!(at(0) <= at(1) && at(1) <= at(2), "{place} in {latency:?}");
    }
    assert!(
        latency.series[0]
            .points
            .iter()
            .any(|point| point.value > Some(0.0))
    );
    let errors = chart(Metric::Errors, GroupBy::None);
    let failed = errors.series.iter().flat_map(|one| &one.points);
    assert!(
        failed
            .filter_map(|point| point.value)
            .all(|share| share == 0.0),
        "{errors:?}"
    );
}

/// Inferences that a series stands on.
fn stands_on(chart: &Chart, series: usize) -> u64 {
    chart.series[series]
        .points
        .iter()
        .map(|point| point.n)
        .sum()
}

//! What the hub keeps of windows, and for how long.

use tern_cli::client::ChartQuery;
use tern_protocol::{
    rest::{GroupBy, Metric},
    time::WallTime,
};
use tern_tests::{binaries, fleet::Fleet, package, wait};

const HOUR: i64 = 3_600_000;

#[test]
fn sums_have_every_inference_also_after_the_hub_was_killed() {
    let mut fleet = Fleet::of(2);
    let package = package::digits(0);
    fleet.serve(package);
    let samples = package.samples();
    for round in 0..3 {
        for agent in &fleet.agents {
            for input in &samples {
                agent.infer(input);
            }
        }
        let total = fleet.counts_exactly(0);
        assert_eq!(total, (round + 1) * 2 * samples.len() as u64);
        if round < 2 {
            // In the middle of adding, or not: nothing is added twice and nothing is forgotten.
            fleet.hub.kill_9();
            fleet.run_hub();
        }
        let by_arm = wait::until("sums of all windows", || {
            let now = WallTime(
                i64::try_from(
                    std::time::SystemTime::now()
                        .duration_since(std::time::UNIX_EPOCH)
                        .expect("after 1970")
                        .as_millis(),
                )
                .expect("before the year 292,000,000"),
            );
            let query = ChartQuery {
                group: GroupBy::Arm,
                from: Some(WallTime(now.0 - 2 * HOUR)),
                to: Some(WallTime(now.0 + HOUR)),
                step_ms: Some(HOUR.unsigned_abs()),
                ..ChartQuery::of(Metric::Traffic)
            };
            let chart = fleet.client().chart(&query);
            let chart = chart.map_err(|err| err.to_string())?;
            let points = chart.series.iter().flat_map(|series| &series.points);
            let told: u64 = points.map(|point| point.n).sum();
            wait::that(told == total, || format!("{told} of {total}")).map(|()| chart)
        });
        let names: Vec<_> = by_arm.series.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["neither"], "nothing is rolled out by a plan");
    }
}

#[test]
fn what_cannot_be_kept_is_said_before_the_hub_starts() {
    for (flag, said) in [
        ("--keep-windows=1h", "at least 1d"),
        ("--keep-hours=forever", "`90s`, `5m`, `12h` or `30d`"),
    ] {
        let ended = std::process::Command::new(binaries::path("tern-hub"))
            .args(["serve", "--data", "nowhere", flag])
            .output()
            .expect("the hub's program starts");
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{text}");
        assert!(text.contains(said), "{text}");
    }
    assert!(!std::path::Path::new("nowhere").exists());
}

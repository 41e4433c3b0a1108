//! Our statistics beside those of scipy, Evidently, NannyML and river, for the same counts.
//!
//! `golden/golden.json` is what `golden/golden.py` printed, with the versions of the packages. With `TERN_GOLDEN_PYTHON`, a
//! Python that has them, it is run again, and both what it prints and what is pinned are compared.

use std::{process::Command, sync::OnceLock};

use serde_json::Value;
use tern_stats::{
    drift::{
        bets::ln_changes,
        distance::{Distance, chi_square, distance},
        tail,
    },
    estimate::{classes::Truths, confidence},
    interval::Z_95,
    truth::mean::WeightedMean,
};

fn pinned() -> Value {
    serde_json::from_str(include_str!("golden/golden.json")).expect("the pinned file is JSON")
}

/// What is pinned, and what Python says now if there is one.
fn golden() -> &'static [Value] {
    static ALL: OnceLock<Vec<Value>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = vec![pinned()];
        if let Ok(python) = std::env::var("TERN_GOLDEN_PYTHON") {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/golden.py");
            let output = Command::new(python)
                .arg(script)
                .output()
                .expect("TERN_GOLDEN_PYTHON can be run");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            all.push(serde_json::from_slice(&output.stdout).expect("the script prints JSON"));
        }
        all
    })
}

fn rows<'a>(golden: &'a Value, name: &str) -> &'a [Value] {
    golden[name].as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .expect("a row")
        .iter()
        .map(number)
        .collect()
}

fn counts(value: &Value) -> Vec<u64> {
    let row = value.as_array().expect("a row");
    row.iter()
        .map(|count| count.as_u64().expect("a count"))
        .collect()
}

#[track_caller]
fn near(own: f64, other: f64, what: &str) {
    assert!(
        (own - other).abs() <= 1e-8 + 1e-8 * other.abs(),
        "{what}: {own} here, {other} there"
    );
}

#[test]
fn distances_are_those_of_scipy() {
    for golden in golden() {
        assert!(rows(golden, "distances").len() >= 5);
        for row in rows(golden, "distances") {
            let (reference, current) = (counts(&row["reference"]), counts(&row["current"]));
            let of = |kind| distance(kind, &reference, &current).unwrap();
            near(of(Distance::Psi), number(&row["psi_half_count"]), "PSI");
            near(
                of(Distance::JensenShannon),
                number(&row["js"]),
                "Jensen-Shannon",
            );
            near(
                of(Distance::KolmogorovSmirnov),
                number(&row["ks"]),
                "Kolmogorov-Smirnov",
            );
            near(
                of(Distance::CramersV),
                number(&row["cramers_v"]),
                "Cramer's V",
            );
            let test = chi_square(&reference, &current).unwrap();
            near(test.statistic, number(&row["chi_square"]), "chi square");
            let (own, other) = (test.p, number(&row["chi_square_p"]));
            assert!((own - other).abs() <= 1e-8 * other, "{own} {other}");
        }
    }
}

#[test]
fn tails_are_those_of_scipy() {
    for golden in golden() {
        for row in rows(&golden["tails"], "chi_square").iter().map(numbers) {
            let own = tail::chi_square(row[0], row[1] as u32);
            assert!((own - row[2]).abs() <= 1e-8 * row[2], "{row:?} {own}");
        }
        for row in rows(&golden["tails"], "ln_gamma").iter().map(numbers) {
            near(tail::ln_gamma(row[0]), row[1], "ln gamma");
        }
        // A series in 1/freedom: to within a hundredth from three degrees up.
        for row in rows(&golden["tails"], "student").iter().map(numbers) {
            let own = tail::student_quantile(row[1], row[0]);
            assert!((own - row[2]).abs() < 0.02 / row[0], "{row:?} {own}");
        }
    }
}

#[test]
fn a_weighted_mean_is_that_of_the_formula() {
    for golden in golden() {
        let golden = &golden["weighted"];
        let mut mean = WeightedMean::default();
        for (value, probability) in numbers(&golden["values"])
            .into_iter()
            .zip(numbers(&golden["probabilities"]))
        {
            mean.add(value, probability);
        }
        let estimate = mean.estimate(Z_95).unwrap();
        near(estimate.mean, number(&golden["mean"]), "mean");
        let half = number(&golden["half_width"]);
        assert!(
            ((estimate.high - estimate.mean) / half - 1.0).abs() < 0.02,
            "{estimate:?} {half}"
        );
    }
}

#[test]
fn evidence_of_changes_is_the_integral_that_it_stands_for() {
    for golden in golden() {
        for row in rows(golden, "t_evidence").iter().map(numbers) {
            let own = ln_changes(row[0] as u64, row[1], row[2]);
            assert!((own - row[3]).abs() < 1e-6, "{row:?} {own}");
        }
    }
}

/// Evidently adds nothing to bins that are not empty; of a million times the counts, half a count is nothing.
#[test]
fn distances_are_those_of_evidently_and_river() {
    for golden in golden() {
        for row in rows(golden, "evidently") {
            let pair = rows(golden, "distances")
                .iter()
                .find(|pair| pair["name"] == row["name"])
                .unwrap();
            let many = |value: &Value| {
                counts(value)
                    .iter()
                    .map(|n| n * 1_000_000)
                    .collect::<Vec<u64>>()
            };
            let (reference, current) = (many(&pair["reference"]), many(&pair["current"]));
            let psi = distance(Distance::Psi, &reference, &current).unwrap();
            assert!((psi - number(&row["psi"])).abs() < 1e-6, "{psi}");
            // In nats there, in bits here.
            let js = distance(Distance::JensenShannon, &reference, &current).unwrap();
            near(
                js * std::f64::consts::LN_2.sqrt(),
                number(&row["js_nats"]),
                "Jensen-Shannon",
            );
        }
        let river = &golden["river"];
        if river.is_object() {
            let (reference, current) = (counts(&river["reference"]), counts(&river["current"]));
            near(
                distance(Distance::KolmogorovSmirnov, &reference, &current).unwrap(),
                number(&river["ks"]),
                "river",
            );
        }
    }
}

/// NannyML calibrates by isotonic regression in cross-validation, we by the table; both estimate the same.
#[test]
fn estimates_without_labels_are_those_of_nannyml() {
    for golden in golden() {
        let nannyml = &golden["nannyml"];
        if !nannyml.is_object() {
            continue;
        }
        let mut truths = Truths::new(2, 20).unwrap();
        let (mut validation, mut right) = (vec![0; 20], vec![0; 20]);
        for (predicted, bins) in rows(nannyml, "validation").iter().enumerate() {
            for (bin, row) in bins.as_array().unwrap().iter().map(counts).enumerate() {
                let ones = row[1];
                truths.add(predicted, bin, 1, ones).unwrap();
                truths.add(predicted, bin, 0, row[0] - ones).unwrap();
                validation[bin] += row[0];
                right[bin] += if predicted == 1 { ones } else { row[0] - ones };
            }
        }
        let served: Vec<Vec<u64>> = rows(nannyml, "served").iter().map(counts).collect();
        let expected = truths.expected(&served).unwrap();
        let both: Vec<u64> = served[0]
            .iter()
            .zip(&served[1])
            .map(|(a, b)| a + b)
            .collect();
        let simple = confidence::accuracy(&validation, &right, &both, Z_95).unwrap();
        for (name, own) in [
            ("accuracy", expected.accuracy().unwrap()),
            ("accuracy", simple.mean),
            ("f1", expected.f1(1).unwrap()),
            ("precision", expected.precision(1).unwrap()),
            ("recall", expected.recall(1).unwrap()),
        ] {
            let other = number(&nannyml[name]);
            assert!(
                (own - other).abs() < 0.01,
                "{name}: {own} here, {other} there"
            );
        }
    }
}

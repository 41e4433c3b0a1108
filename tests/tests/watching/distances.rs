//! How far what devices see is from what their model was trained on.

use serde_json::Value;
use tern_protocol::tensor::{Tensor, TensorSpec};
use tern_tests::{
    cli::{tern, tern_json},
    fleet::{Fleet, MODEL},
    oip::Input,
    package, wait,
};

/// The same image behind a veil: ink is grey and paper is not white.
fn fogged(input: &Input, spec: &TensorSpec) -> Input {
    let clear = input.tensor();
    let values = clear.to_f32().expect("whole");
    let values: Vec<f32> = values.iter().map(|value| 6.0 + 0.3 * value).collect();
    Input::new(spec, Tensor::from_f32(&clear.shape, &values))
}

/// The farthest of a place: what, and how far.
fn farthest<'a>(view: &'a Value, site: &str) -> (&'a Value, f64) {
    let places = view["places"].as_array().expect("places");
    let place = places.iter().find(|place| place["site"] == site);
    let place = place.unwrap_or_else(|| panic!("{site} in {view:#}"));
    let first = &place["distances"][0];
    (
        first,
        first["jensen_shannon"]["value"].as_f64().expect("a number"),
    )
}

#[test]
fn a_site_behind_a_veil_is_far_from_training_and_the_other_is_not() {
    let fleet = Fleet::of(2);
    let package = package::digits(0);
    fleet.serve(package);
    let samples = package.samples();
    let spec = &package.new_version().inputs[0];
    for input in &samples {
        fleet.agents[0].infer(&fogged(input, spec));
        fleet.agents[1].infer(input);
    }
    fleet.counts_exactly(0);
    let view = wait::until("sums of both sites", || {
        let view = tern_json(&fleet, &["distances", MODEL, "1", "--last", "2h"]);
        let places = view["places"].as_array().map_or(0, Vec::len);
        wait::that(places == 3, || format!("{view:#}")).map(|()| view)
    });
    let (what, far) = farthest(&view, "harbour");
    assert!(far > 0.6, "{what}");
    let (what, near) = farthest(&view, "hill");
    assert!(near < far - 0.1, "{what} beside {far}");

    let said = tern(&fleet, &["distances", MODEL, "1", "--site", "harbour"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("JENSEN-SHANNON") && !said.out.contains("hill"),
        "{said:?}"
    );
    let said = tern(&fleet, &["distances", MODEL, "9"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.log.contains("no version 9"), "{said:?}");
    let said = tern(&fleet, &["distances", MODEL, "1", "--week-before"]);
    assert_eq!(
        said.code,
        Some(0),
        "nothing is known of last week: {said:?}"
    );
    assert!(said.out.contains("nothing to compare"), "{said:?}");
}

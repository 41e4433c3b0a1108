//! What a version does to predictions and to the machine: their mix, their confidence, memory, processor.

use std::collections::BTreeSet;

use serde_json::json;
use tern_protocol::rest::{Deed, RolloutState, Verdict};
use tern_tests::{
    fleet::Fleet,
    package,
    played::{Conduct, REJECTS},
};

use crate::field::{DEVICES, FIRST, Field, THROUGH, USUAL, deeds, plan};

/// The gates, all of them in each plan.
const GATES: &str = r#"{"mix":{"margin":"10%"}},{"confidence":{"margin":"10%"}},
    {"memory":{"budget":"64MiB","margin":"10%"}},{"cpu":{"budget":"20%","margin":"10%"}}"#;

/// Versions from the second on, each bad in one way, and the gate that has to notice.
const BAD: [(&str, Conduct); 4] = [
    (
        "mix",
        Conduct {
            second: 0.7,
            ..Conduct::GOOD
        },
    ),
    (
        "confidence",
        Conduct {
            sure: 0.55,
            ..Conduct::GOOD
        },
    ),
    (
        "memory",
        Conduct {
            memory: 80 << 20,
            ..Conduct::GOOD
        },
    ),
    (
        "cpu",
        Conduct {
            cpu: 0.4,
            ..Conduct::GOOD
        },
    ),
];

/// Versions that are bad are numbered from here.
const SECOND: usize = 2;

#[test]
fn another_mix_less_confidence_more_memory_or_more_processor_are_stopped_and_nothing_of_it_is_not()
{
    let conduct = |_, _: &str, version: u32| {
        let bad = (version as usize).checked_sub(SECOND);
        let bad = bad.and_then(|place| BAD.get(place));
        bad.map_or(Conduct::GOOD, |(_, conduct)| *conduct)
    };
    // The last one is good again.
    let field = Field::playing(DEVICES, 2 + BAD.len() as u64, conduct);
    // The mix is compared with what was predicted before.
    field.goes_on_for(10);
    let mut plan = plan(&format!("{USUAL},{GATES}"));
    for (place, (gate, _)) in BAD.iter().enumerate() {
        plan.version = Some(field.versions[place + 1].version);
        let id = field.start(&plan);
        let touched = field.stops(id, gate);
        assert_eq!(touched.len(), FIRST, "{gate}: {touched:?}");
        field.all_serve(1, &BTreeSet::new());
    }

    plan.version = field.versions.last().map(|view| view.version);
    let id = field.start(&plan);
    let done = field.over(id, "all as it was");
    assert_eq!(done.state, RolloutState::Complete, "{}", done.reason);
    assert_eq!(deeds(&done), THROUGH);
    let evidence = done.evidence.expect("it has a plan");
    let mut decisions = evidence.decisions.iter();
    let advance = decisions.find(|one| one.what == Deed::Advance);
    let advance = advance.expect("it says that it went on");
    for (gate, _) in BAD {
        let said = advance.gates.iter().find(|one| one.gate == gate);
        let said = said.unwrap_or_else(|| panic!("{gate} says nothing: {advance:#?}"));
        // It passed by what was seen, and not because nothing was.
        assert_eq!(said.verdict, Verdict::Pass, "{gate}: {said:#?}");
        assert!(said.treated > 0 && said.control > 0, "{gate}: {said:#?}");
    }
}

/// What a bundle counts of itself decides too: version 2 rejects three times as much as it is usual, version 3 as much.
#[test]
fn a_metric_that_the_bundles_declare_stops_a_version_and_lets_the_next_one_through() {
    let fleet = Fleet::empty();
    let declared = json!([{"name": REJECTS, "kind": "counter"}]);
    let publish = |seed: u64| {
        let dir = fleet.dir().join(format!("declaring-{seed}"));
        let package = package::random(fleet.dir(), seed, 16).with_metrics(&dir, &declared);
        fleet.publish(&package)
    };
    let versions = (1..=3).map(publish).collect();
    let conduct = |_, _: &str, version: u32| Conduct {
        rejects: if version == 2 { 0.3 } else { 0.1 },
        ..Conduct::GOOD
    };
    let field = Field::playing_these(fleet, DEVICES, versions, conduct);
    let gate = format!("metric {REJECTS}");
    let mut plan = plan(&format!(
        r#"{USUAL},{{"metric":{{"name":"{REJECTS}","best":0,"worst":1,"margin":"5%"}}}}"#
    ));
    let id = field.start(&plan);
    let touched = field.stops(id, &gate);
    assert_eq!(touched.len(), FIRST, "{touched:?}");
    field.all_serve(1, &BTreeSet::new());

    plan.version = Some(field.versions[2].version);
    let id = field.start(&plan);
    let done = field.over(id, "as much as before");
    assert_eq!(done.state, RolloutState::Complete, "{}", done.reason);
    let evidence = done.evidence.expect("it has a plan");
    let mut decisions = evidence.decisions.iter();
    let advance = decisions.find(|one| one.what == Deed::Advance);
    let advance = advance.expect("it says that it went on");
    let said = advance.gates.iter().find(|one| one.gate == gate);
    let said = said.unwrap_or_else(|| panic!("it says nothing: {advance:#?}"));
    assert_eq!(said.verdict, Verdict::Pass, "{said:#?}");
    assert!(said.treated > 0 && said.control > 0, "{said:#?}");
}

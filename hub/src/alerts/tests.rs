//! The core, from look to look, with a clock turned by hand.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tern_protocol::{
    rest::{Span, Together},
    time::WallTime,
};

use super::{
    machine::{Ears, Held, Phase, Seen, Sight, Step, Timing, Why},
    round::{Bundle, Entry, Key, Round, Told, round},
};

const SECOND: i64 = 1_000;

fn timing(
    lasting: u64,
    resolve_after: u64,
    cool_down: u64,
    repeat: Option<u64>,
    gather: u64,
) -> Timing {
    let seconds = |seconds| Span::millis(seconds * 1_000);
    Timing {
        lasting: seconds(lasting),
        resolve_after: seconds(resolve_after),
        cool_down: seconds(cool_down),
        repeat: repeat.map(seconds),
        gather: seconds(gather),
    }
}

fn key(rule: &str, group: &str) -> Key {
    Key {
        rule: rule.parse().expect("a name"),
        group: group.into(),
    }
}

/// Groups as the tables hold them: what is live, and when each was last told of.
#[derive(Debug, Clone, Default, PartialEq)]
struct World {
    live: BTreeMap<Key, Held>,
    told: BTreeMap<Key, WallTime>,
}

/// What is seen of a group, and whether somebody listens.
type Sighted = (Key, Seen, Ears);

impl World {
    fn look(
        &mut self,
        sights: &[Sighted],
        timing: Timing,
        together: Together,
        now: WallTime,
    ) -> Round {
        let entries = sights.iter().map(|(key, seen, ears)| {
            let entry = Entry {
                held: self.live.get(key).copied(),
                told: self.told.get(key).copied(),
                sight: Some(Sight {
                    seen: *seen,
                    since: None,
                }),
                ears: *ears,
                timing,
                bundle: Bundle::of(together, key, Some("harbour")),
            };
            (key.clone(), entry)
        });
        let done = round(&entries.collect(), now);
        for (key, outcome) in &done.outcomes {
            match outcome.step {
                Step::Stays(held) | Step::Pends(held) | Step::Fires(held) => {
                    if let Some(told) = held.told {
                        self.told.insert(key.clone(), told);
                    }
                    self.live.insert(key.clone(), held);
                }
                Step::Drops | Step::Ends(_) => drop(self.live.remove(key)),
                Step::Nothing => {}
            }
        }
        done
    }
}

/// The story of one group: a letter a look, ten seconds apart. B beyond, = between, W well, ? unknown; in lower case
/// somebody knows of it or a silence holds.
fn story(looks: &str, timing: Timing) -> String {
    let mut world = World::default();
    let of = key("errors", "harbour");
    let mut told = Vec::new();
    for (n, look) in looks.chars().enumerate() {
        let seen = match look.to_ascii_uppercase() {
            'B' => Seen::Beyond,
            '=' => Seen::Between,
            'W' => Seen::Well,
            _ => Seen::Unknown,
        };
        let ears = if look.is_ascii_lowercase() {
            Ears::Closed
        } else {
            Ears::Open
        };
        let now = WallTime(n as i64 * 10 * SECOND);
        let done = world.look(&[(of.clone(), seen, ears)], timing, Together::Rule, now);
        let outcome = &done.outcomes[&of];
        let word = match outcome.step {
            Step::Nothing => "-",
            Step::Stays(held) if held.phase == Phase::Pending => "p",
            Step::Stays(_) => "f",
            Step::Pends(_) => "P",
            Step::Fires(_) => "F",
            Step::Drops => "x",
            Step::Ends(Why::Well) => "R",
            Step::Ends(_) => "?",
        };
        let sign = match outcome.tell {
            Some(Told::Firing) => "!",
            Some(Told::Over) => ".",
            None => "",
        };
        told.push(format!("{word}{sign}"));
    }
    told.join(" ")
}

#[test]
fn it_has_to_last_is_told_once_and_its_end_too() {
    let quiet = timing(20, 10, 600, None, 0);
    assert_eq!(story("WBBBBBWWW", quiet), "- P p F! f f f R. -");
    assert_eq!(
        story("WBBWBBB", quiet),
        "- P p x P p F!",
        "what does not last starts anew"
    );
}

#[test]
fn near_the_level_it_neither_comes_nor_goes() {
    let at_once = timing(0, 0, 600, None, 0);
    assert_eq!(story("B=B=W=B", at_once), "F! f f f R. - F");
    assert_eq!(story("=W=", at_once), "- - -");
}

#[test]
fn what_comes_and_goes_is_told_once_within_its_cool_down_and_is_not_forgotten() {
    // Told at 0; back at 20, 40, 60 s; the cool-down ends at 60 s.
    assert_eq!(
        story("BWBWBWBB", timing(0, 0, 60, None, 0)),
        "F! R. F R F R F! f"
    );
    assert_eq!(
        story("BWBBBBBB", timing(0, 0, 60, None, 0)),
        "F! R. F f f f f! f",
        "it stands and is told late"
    );
}

#[test]
fn it_is_told_again_until_somebody_knows() {
    assert_eq!(
        story("BBBBBBB", timing(0, 0, 20, Some(30), 0)),
        "F! f f f! f f f!"
    );
    assert_eq!(
        story("BBbbbbbW", timing(0, 0, 20, Some(30), 0)),
        "F! f f f f f f R."
    );
    assert_eq!(
        story("bbbB", timing(0, 0, 20, Some(30), 0)),
        "F f f f!",
        "a silence that ends holds nothing back"
    );
    assert_eq!(
        story("bbbw", timing(0, 0, 20, Some(30), 0)),
        "F f f R",
        "what nobody heard of does not end aloud"
    );
}

#[test]
fn nothing_known_is_neither_well_nor_bad_for_an_hour() {
    let at_once = timing(0, 0, 600, None, 0);
    assert_eq!(story("B???B", at_once), "F! f f f f");
    assert_eq!(story("?B", timing(20, 0, 600, None, 0)), "- P");
    assert_eq!(story("B??B", timing(20, 0, 600, None, 0)), "P p p F!");
    let hour = format!("B{}", "?".repeat(362));
    assert!(
        story(&hour, at_once).ends_with("f ?. -"),
        "{}",
        story(&hour, at_once)
    );
    let lasting = story(&hour, timing(20, 0, 600, None, 0));
    assert!(lasting.ends_with("p x -"), "{lasting}");
}

#[test]
fn a_notice_waits_for_others_that_it_tells_together() {
    let gathers = timing(0, 0, 600, None, 20);
    let (a, b, c) = (key("errors", "a"), key("errors", "b"), key("errors", "c"));
    let sights = |beyond: &[&Key]| -> Vec<Sighted> {
        [&a, &b, &c]
            .into_iter()
            .map(|key| {
                let seen = if beyond.contains(&key) {
                    Seen::Beyond
                } else {
                    Seen::Well
                };
                (key.clone(), seen, Ears::Open)
            })
            .collect()
    };
    for (together, expected) in [
        (Together::Rule, 1),
        (Together::Site, 1),
        (Together::None, 1),
    ] {
        let mut world = World::default();
        let at = |seconds| WallTime(seconds * SECOND);
        assert!(
            world
                .look(&sights(&[&a]), gathers, together, at(0))
                .notices
                .is_empty()
        );
        assert!(
            world
                .look(&sights(&[&a, &b]), gathers, together, at(10))
                .notices
                .is_empty()
        );
        let told = world.look(&sights(&[&a, &b]), gathers, together, at(20));
        assert_eq!(told.notices.len(), expected, "{together:?}");
        let members = told.notices.values().next().expect("one").len();
        assert_eq!(
            members,
            if together == Together::None { 1 } else { 2 },
            "{together:?}"
        );
    }
}

#[test]
fn a_rule_that_goes_ends_what_it_said() {
    let at_once = timing(0, 0, 600, None, 0);
    let of = key("errors", "harbour");
    let mut world = World::default();
    world.look(
        &[(of.clone(), Seen::Beyond, Ears::Open)],
        at_once,
        Together::Rule,
        WallTime(0),
    );
    let entry = Entry {
        held: Some(world.live[&of]),
        told: None,
        sight: None,
        ears: Ears::Open,
        timing: at_once,
        bundle: Bundle::Rule(of.rule.clone()),
    };
    let done = round(&BTreeMap::from([(of.clone(), entry)]), WallTime(SECOND));
    assert_eq!(done.outcomes[&of].step, Step::Ends(Why::Rule));
    assert_eq!(done.outcomes[&of].tell, Some(Told::Over));
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        3 => Just(Seen::Beyond),
        1 => Just(Seen::Between),
        2 => Just(Seen::Well),
        1 => Just(Seen::Unknown),
    ]
}

fn timings() -> impl Strategy<Value = Timing> {
    (
        0..40_u64,
        0..40_u64,
        0..120_u64,
        prop::option::of(1..90_u64),
        0..20_u64,
    )
        .prop_map(|(lasting, resolve, cool, repeat, gather)| {
            timing(
                lasting,
                resolve,
                cool,
                repeat.map(|repeat| repeat.max(cool)),
                gather,
            )
        })
}

type Look = (Vec<Seen>, Vec<bool>, i64);

fn looks() -> impl Strategy<Value = Vec<Look>> {
    let look = (
        prop::collection::vec(seen(), 4),
        prop::collection::vec(prop::bool::weighted(0.2), 4),
        -5..30_i64,
    );
    prop::collection::vec(look, 1..60)
}

proptest! {
    #[test]
    fn whatever_comes_and_goes_the_promises_hold(looks in looks(), timing in timings(), together in 0..3_u8) {
        let together = [Together::Rule, Together::Site, Together::None][usize::from(together)];
        let keys = [key("a", "1"), key("a", "2"), key("b", "1"), key("b", "2")];
        let mut world = World::default();
        let mut told: BTreeMap<Key, WallTime> = BTreeMap::new();
        let mut latest = WallTime(0);
        let mut now = WallTime(0);
        for (seen, closed, seconds) in looks {
            now = WallTime(now.0 + seconds * SECOND);
            let sights: Vec<Sighted> = keys.iter().zip(seen).zip(closed).map(|((key, seen), closed)| {
                (key.clone(), seen, if closed { Ears::Closed } else { Ears::Open })
            }).collect();
            let before = world.clone();
            // A restart reads the same rows; rules come in another order.
            let mut again = before.clone();
            let mut turned = sights.clone();
            turned.reverse();
            let done = world.look(&sights, timing, together, now);
            prop_assert_eq!(&again.look(&turned, timing, together, now), &done);
            prop_assert_eq!(&again, &world);
            for (key, seen, ears) in &sights {
                let outcome = &done.outcomes[key];
                match outcome.tell {
                    Some(Told::Firing) => {
                        prop_assert_eq!(*ears, Ears::Open);
                        prop_assert!(matches!(outcome.step, Step::Fires(_) | Step::Stays(_)));
                        // A clock that goes back costs time, it makes nobody hear twice.
                        if let Some(last) = told.insert(key.clone(), now) && now >= latest {
                            let passed = now.0 - last.0.min(now.0);
                            prop_assert!(passed.unsigned_abs() >= timing.cool_down.ms(), "{passed}");
                        }
                    }
                    Some(Told::Over) => {
                        prop_assert!(before.live[key].said);
                        prop_assert!(!world.live.contains_key(key));
                    }
                    None => {}
                }
                match outcome.step {
                    // What is over and comes back has to last anew.
                    Step::Fires(held) => {
                        prop_assert_eq!(*seen, Seen::Beyond);
                        prop_assert!(held.said == (outcome.tell == Some(Told::Firing)));
                    }
                    Step::Ends(_) => prop_assert!(matches!(before.live[key].phase, Phase::Firing(_))),
                    Step::Drops => prop_assert!(before.live[key].phase == Phase::Pending),
                    _ => {}
                }
                if let Some(said) = told.get_mut(key) {
                    *said = (*said).min(now);
                }
            }
            latest = latest.max(now);
        }
    }
}

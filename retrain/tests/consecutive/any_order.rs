//! Anything in any order: what must hold is checked at every look (`World::check`), and in the end it is at rest.

use proptest::prelude::*;
use tern_protocol::rest::Attribution;
use tern_retrain::{
    Verdict, Work,
    fact::{Again, Champion, Say},
    policy::{Mode, Trigger},
};

use crate::world::{DAY, HOUR, Kill, MINUTE, World, version};

#[derive(Debug, Clone)]
enum Happens {
    Wait(i64),
    ClockBack(i64),
    Look(Kill),
    Found(Attribution, usize),
    Over,
    Labels(u64, usize),
    Succeed(Verdict),
    Fail(Again),
    SomebodyStops,
    Say(&'static str, Say),
    LateWord(u32, Say),
    Accuracy(f64),
    OtherVersion,
    PolicyOff,
    PolicyOn,
    Forgets,
    Asks(u32),
}

fn happens() -> impl Strategy<Value = Happens> {
    let kill = prop_oneof![
        5 => Just(Kill::Never),
        1 => Just(Kill::BeforeCommit),
        2 => (0_usize..3).prop_map(Kill::After),
    ];
    let say = prop_oneof![
        6 => Just(Say::Agree),
        1 => Just(Say::Decline),
        1 => Just(Say::Again),
        1 => Just(Say::Cancel),
    ];
    let attribution = prop_oneof![
        4 => Just(Attribution::Sites),
        2 => Just(Attribution::Fleet),
        1 => Just(Attribution::Devices),
        1 => Just(Attribution::Version),
    ];
    let verdict = prop_oneof![
        5 => Just(Verdict::Better),
        1 => Just(Verdict::NoWorse),
        1 => Just(Verdict::Worse),
        2 => Just(Verdict::Unknown),
    ];
    prop_oneof![
        6 => (1_i64..40).prop_map(|hours| Happens::Wait(hours * HOUR)),
        1 => (1_i64..30).prop_map(|days| Happens::Wait(days * DAY)),
        1 => (1_i64..600).prop_map(|minutes| Happens::ClockBack(minutes * MINUTE)),
        14 => kill.prop_map(Happens::Look),
        3 => (attribution, 0_usize..4).prop_map(|(attribution, at)| Happens::Found(attribution, at)),
        1 => Just(Happens::Over),
        5 => (1_u64..300, 0_usize..4).prop_map(|(n, at)| Happens::Labels(n, at)),
        10 => verdict.prop_map(Happens::Succeed),
        2 => prop_oneof![3 => Just(Again::MayHelp), 1 => Just(Again::IsUseless)].prop_map(Happens::Fail),
        1 => Just(Happens::SomebodyStops),
        8 => (prop_oneof![Just("anna"), Just("ben")], say.clone()).prop_map(|(by, say)| Happens::Say(by, say)),
        1 => (0_u32..6, say).prop_map(|(round, say)| Happens::LateWord(round, say)),
        1 => (0.5_f64..1.0).prop_map(Happens::Accuracy),
        1 => Just(Happens::OtherVersion),
        1 => Just(Happens::PolicyOff),
        2 => Just(Happens::PolicyOn),
        1 => Just(Happens::Forgets),
        1 => (1_u32..6).prop_map(Happens::Asks),
    ]
}

fn happen(world: &mut World, what: &Happens, mode: Mode) {
    match what {
        Happens::Wait(ms) => world.wait(*ms),
        Happens::ClockBack(ms) => world.wait(-*ms),
        Happens::Look(kill) => {
            world.look(*kill);
        }
        Happens::Found(attribution, at) => {
            let sites: &[usize] = match attribution {
                Attribution::Sites => &[*at],
                _ => &[],
            };
            world.find(*attribution, sites);
            // What may call for a round is told apart by its text.
            if *attribution == Attribution::Fleet {
                world.facts.findings.last_mut().unwrap().text = "the fleet moved".into();
            }
        }
        Happens::Over => {
            world.facts.findings.pop();
        }
        Happens::Labels(n, at) => world.label(*n, *at),
        Happens::Succeed(verdict) => world.succeed(*verdict),
        Happens::Fail(again) => world.fail(*again),
        Happens::SomebodyStops => {
            world
                .facts
                .trainings
                .values_mut()
                .filter(|one| one.is_running())
                .for_each(|one| *one = Work::Stopped);
        }
        Happens::Say(by, say) => world.say(by, *say),
        Happens::LateWord(round, say) => {
            // Of a round that was: nobody listens.
            if let Some(key) = world
                .facts
                .told
                .iter()
                .find(|key| key.round == *round)
                .copied()
                && world
                    .known()
                    .open()
                    .is_none_or(|open| open.number != *round)
            {
                let word = tern_retrain::fact::Word {
                    key,
                    by: "ben".parse().unwrap(),
                    at: world.now,
                    say: *say,
                };
                world.facts.words.push(word);
            }
        }
        Happens::Accuracy(value) => world.accuracy(*value),
        Happens::OtherVersion => {
            let next = world.facts.champion.map_or(1, |one| one.version.get()) + 7;
            world.facts.champion = Some(Champion {
                version: version(next),
                since: world.now,
            });
        }
        Happens::PolicyOff => world.policy = None,
        Happens::PolicyOn => world.policy = Some(crate::world::policy(mode)),
        Happens::Asks(round) => {
            world.facts.asked = Some(tern_retrain::fact::Asked {
                round: *round,
                by: "anna".parse().unwrap(),
                at: world.now,
                note: String::new(),
            });
        }
        // Labels may be deleted, as captures of a person are.
        Happens::Forgets => {
            world.labels.clear();
            world.facts.labels = tern_retrain::fact::Labels::default();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, with kills anywhere: what must hold holds at every look, and when everything
    /// stays silent the round that is open ends within the limits.
    #[test]
    fn whatever_happens_it_comes_to_rest(
        all in prop::collection::vec(happens(), 1..160),
        automatic: bool,
    ) {
        let mode = if automatic { Mode::Automatic } else { Mode::Propose };
        let mut world = World::new(mode);
        for what in &all {
            happen(&mut world, what, mode);
        }
        // From now on nothing answers any more, and nothing calls for a round. The longest way through all stages is
        // the sum of their limits; the clock may have to catch up with where it was.
        world.policy = Some(crate::world::policy(mode));
        world.policy.as_mut().unwrap().triggers = vec![Trigger::NewLabels(u64::MAX)];
        world.facts.asked = None;
        let mut days = 0;
        while world.known().open().is_some() {
            world.look(Kill::Never);
            world.wait(DAY);
            days += 1;
            prop_assert!(days < 200, "{:?}", world.known().open());
        }
        world.look(Kill::Never);
        // And nothing runs that nobody waits for.
        let quiet = world.look(Kill::Never);
        prop_assert_eq!(quiet.actions, vec![]);
    }

    /// A look that is killed anywhere and then repeated comes to the same as one that is not.
    #[test]
    fn killed_or_not_it_comes_to_the_same(
        all in prop::collection::vec(happens(), 1..120),
        kill in prop_oneof![Just(Kill::BeforeCommit), (0_usize..3).prop_map(Kill::After)],
        automatic: bool,
    ) {
        let mode = if automatic { Mode::Automatic } else { Mode::Propose };
        let mut world = World::new(mode);
        for what in &all {
            if matches!(what, Happens::Look(_)) {
                let mut killed = world.clone();
                killed.look(kill);
                killed.look_until_quiet();
                world.look_until_quiet();
                prop_assert_eq!(&killed.effects, &world.effects);
                prop_assert_eq!(&killed.lessons, &world.lessons);
                prop_assert_eq!(killed.known(), world.known());
                prop_assert_eq!(&killed.facts, &world.facts);
            } else {
                happen(&mut world, what, mode);
            }
        }
    }
}

//! A small world in which jobs come, run and end, with a clock that is turned by hand.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tern_protocol::id::JobId;

use super::*;

fn key(job: u64) -> AttemptKey {
    AttemptKey {
        job: JobId(job),
        number: 1,
    }
}

fn owner(workspace: &str, person: &str) -> Owner {
    Owner {
        workspace: workspace.parse().unwrap(),
        person: person.parse().unwrap(),
    }
}

fn cores(cores: u32) -> Resources {
    Resources {
        cpu_millis: cores * 1000,
        memory: 0,
        gpus: 0,
    }
}

fn machine(cores_each: u32, units: u32) -> Compute {
    Compute {
        name: "local".parse().unwrap(),
        units,
        unit: Resources {
            memory: 1 << 30,
            gpus: 1,
            ..cores(cores_each)
        },
        shared_gpus: 0,
        together: Together::OneMachine,
        scaling: Scaling::fixed(units),
        wanted: Wanted::default(),
    }
}

/// A world: what waits, what runs until when.
struct World {
    view: View,
    rules: Rules,
    now: i64,
    ends: BTreeMap<AttemptKey, i64>,
    takes: BTreeMap<AttemptKey, i64>,
    started: Vec<(i64, Placed)>,
}

impl World {
    fn new(computes: Vec<Compute>) -> Self {
        Self {
            view: View {
                computes,
                waiting: Vec::new(),
                placed: Vec::new(),
                usage: Usage::default(),
            },
            rules: Rules::default(),
            now: 0,
            ends: BTreeMap::new(),
            takes: BTreeMap::new(),
            started: Vec::new(),
        }
    }

    fn time(&self) -> WallTime {
        WallTime(self.now * 1000)
    }

    fn come(&mut self, job: u64, owner: &Owner, needs: Resources, priority: u8, takes: i64) {
        self.takes.insert(key(job), takes);
        self.view.waiting.push(Waiting {
            key: key(job),
            owner: owner.clone(),
            needs,
            priority,
            since: self.time(),
            on: None,
        });
    }

    /// Ends what has run long enough, plans, and does what is planned.
    fn step(&mut self, seconds: i64) -> Plan {
        self.now += seconds;
        for placed in &self.view.placed {
            let part = share(&self.view.computes, placed.needs);
            let time = Duration::from_secs(seconds.unsigned_abs());
            self.view
                .usage
                .charge(self.time(), &placed.owner, part, time);
        }
        let (now, ends) = (self.now, &self.ends);
        self.view.placed.retain(|placed| ends[&placed.key] > now);
        let plan = plan(&self.view, &self.rules, self.time());
        assert_eq!(plan, super::plan(&self.view, &self.rules, self.time()));
        for placed in &plan.starts {
            assert!(!self.ends.contains_key(&placed.key), "{} twice", placed.key);
            self.ends.insert(placed.key, now + self.takes[&placed.key]);
            self.view.waiting.retain(|one| one.key != placed.key);
            self.view.placed.push(placed.clone());
            self.started.push((now, placed.clone()));
        }
        self.check_capacity();
        plan
    }

    #[track_caller]
    fn check_capacity(&self) {
        for compute in &self.view.computes {
            let mut free = compute.capacity(compute.units);
            let mut gpus = BTreeSet::new();
            for placed in self
                .view
                .placed
                .iter()
                .filter(|placed| placed.on == compute.name)
            {
                assert!(free.holds(placed.needs), "more than there is");
                free.take(placed.needs);
                assert!(
                    placed.gpus.iter().all(|gpu| gpus.insert(*gpu)),
                    "one for two"
                );
            }
        }
    }

    fn starts(&self) -> Vec<u64> {
        self.started
            .iter()
            .map(|(_, placed)| placed.key.job.0)
            .collect()
    }
}

#[test]
fn in_a_workspace_the_urgent_one_goes_first_and_an_old_one_becomes_urgent() {
    let mut world = World::new(vec![machine(1, 1)]);
    let ada = owner("lab", "ada");
    world.come(1, &ada, cores(1), 4, 10);
    world.come(2, &ada, cores(1), 9, 10);
    world.step(0);
    world.step(10);
    assert_eq!(world.starts(), [2, 1]);
    world.come(3, &ada, cores(1), 0, 10);
    world.now += 6 * 30 * 60;
    world.come(4, &ada, cores(1), 5, 10);
    world.step(0);
    assert_eq!(world.starts(), [2, 1, 3]);
}

#[test]
fn who_asks_for_much_does_not_wait_less_and_urgency_ends_at_the_workspace() {
    let mut world = World::new(vec![machine(1, 4)]);
    let (many, one) = (owner("many", "ada"), owner("one", "bob"));
    for job in 0..20 {
        world.come(job, &many, cores(1), 9, 100);
    }
    world.step(0);
    world.come(50, &one, cores(1), 0, 100);
    world.come(51, &one, cores(1), 0, 100);
    world.step(100);
    assert_eq!(
        world.starts()[4..8]
            .iter()
            .filter(|job| **job >= 50)
            .count(),
        2
    );
}

#[test]
fn people_of_a_workspace_take_turns() {
    let mut world = World::new(vec![machine(1, 2)]);
    let (ada, bob) = (owner("lab", "ada"), owner("lab", "bob"));
    for job in 0..10 {
        world.come(job, &ada, cores(1), 4, 100);
    }
    for job in 10..12 {
        world.come(job, &bob, cores(1), 4, 100);
    }
    world.step(0);
    world.step(100);
    assert_eq!(
        world.starts()[..4].iter().filter(|job| **job >= 10).count(),
        2
    );
}

#[test]
fn weights_divide_what_there_is() {
    let mut world = World::new(vec![machine(1, 4)]);
    world.rules.weights.insert("big".parse().unwrap(), 3);
    let (big, small) = (owner("big", "ada"), owner("small", "bob"));
    for job in 0..400_u64 {
        world.come(
            job,
            if job.is_multiple_of(2) { &big } else { &small },
            cores(1),
            4,
            60,
        );
    }
    for _ in 0..50 {
        world.step(60);
    }
    let of_big = world
        .starts()
        .iter()
        .filter(|job| job.is_multiple_of(2))
        .count();
    let part = of_big as f64 / world.starts().len() as f64;
    assert!((0.70..=0.80).contains(&part), "{part}");
}

#[test]
fn what_no_compute_can_hold_says_so_and_what_waits_says_why() {
    let mut world = World::new(vec![machine(2, 2)]);
    let ada = owner("lab", "ada");
    world.come(1, &ada, cores(5), 9, 10);
    world.come(2, &ada, cores(4), 8, 100);
    world.come(3, &ada, cores(4), 7, 10);
    let plan = world.step(0);
    assert_eq!(plan.waits[&key(1)], Why::TooLarge);
    assert_eq!(plan.waits[&key(3)], Why::Busy);
    assert_eq!(world.starts(), [2]);
    let elsewhere = Waiting {
        on: Some("ray".parse().unwrap()),
        ..world.view.waiting[1].clone()
    };
    world.view.waiting = vec![elsewhere];
    assert_eq!(world.step(0).waits[&key(3)], Why::TooLarge);
}

#[test]
fn small_ones_pass_a_large_one_until_it_has_waited_long_enough() {
    let mut world = World::new(vec![machine(1, 2)]);
    let ada = owner("lab", "ada");
    world.come(1, &ada, cores(1), 4, 1600);
    world.step(0);
    world.come(2, &ada, cores(2), 9, 10);
    world.come(3, &ada, cores(1), 4, 500);
    assert_eq!(world.step(1).waits[&key(2)], Why::Busy);
    assert_eq!(world.starts(), [1, 3]);
    world.come(4, &ada, cores(1), 4, 10);
    let plan = world.step(15 * 60);
    assert_eq!(plan.waits[&key(2)], Why::KeptFor("local".parse().unwrap()));
    assert_eq!(plan.waits[&key(4)], Why::Kept(key(2)));
    world.step(700);
    assert_eq!(world.starts(), [1, 3, 2]);
}

#[test]
fn graphics_processors_are_given_by_number() {
    let mut world = World::new(vec![machine(4, 2)]);
    let ada = owner("lab", "ada");
    let needs = Resources {
        gpus: 1,
        ..cores(1)
    };
    for job in 1..=3 {
        world.come(job, &ada, needs, 4, i64::try_from(job).unwrap() * 10);
    }
    world.step(0);
    let of = |world: &World, index: usize| world.started[index].1.gpus.clone();
    assert_eq!((of(&world, 0), of(&world, 1)), (vec![0], vec![1]));
    world.step(10);
    assert_eq!(of(&world, 2), [0]);
}

#[test]
fn a_queue_grows_a_compute_and_its_end_shrinks_it() {
    let mut compute = machine(1, 0);
    compute.together = Together::Machines;
    compute.scaling = Scaling {
        min: 0,
        max: 3,
        up_after: Duration::from_secs(20),
        idle_after: Duration::from_mins(1),
    };
    let mut world = World::new(vec![compute]);
    let ada = owner("lab", "ada");
    for job in 0..5 {
        world.come(job, &ada, cores(1), 4, 100);
    }
    let mut sizes = Vec::new();
    for _ in 0..40 {
        let plan = world.step(10);
        let compute = &mut world.view.computes[0];
        compute.wanted = plan.wanted[&compute.name];
        if let Some(to) = plan.scale.get(&compute.name) {
            compute.units = *to;
        }
        sizes.push(compute.units);
    }
    assert_eq!(world.started.len(), 5);
    assert_eq!(sizes.iter().max(), Some(&3));
    assert_eq!((sizes[0], sizes.last()), (0, Some(&0)));
    let running = world.view.placed.len();
    assert_eq!(running, 0);
}

#[derive(Debug, Clone)]
struct Arrival {
    after: i64,
    workspace: u8,
    person: u8,
    cores: u32,
    gpus: u32,
    priority: u8,
    takes: i64,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    (
        0_i64..200,
        0_u8..3,
        0_u8..2,
        1_u32..5,
        0_u32..3,
        0_u8..10,
        1_i64..600,
    )
        .prop_map(
            |(after, workspace, person, cores, gpus, priority, takes)| Arrival {
                after,
                workspace,
                person,
                cores,
                gpus,
                priority,
                takes,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in whatever order: never more than there is, never one twice, and everything runs at last.
    #[test]
    fn everything_starts_once_within_what_there_is(all in prop::collection::vec(arrival(), 1..60)) {
        let mut other = machine(2, 1);
        other.name = "other".parse().unwrap();
        other.together = Together::Machines;
        let mut world = World::new(vec![machine(2, 2), other]);
        for (job, one) in (0..).zip(&all) {
            let owner = owner(&format!("w{}", one.workspace), &format!("p{}", one.person));
            world.come(job, &owner, Resources { gpus: one.gpus, ..cores(one.cores) }, one.priority, one.takes);
            world.step(one.after);
        }
        let mut steps = 0;
        while !world.view.waiting.is_empty() {
            world.step(60);
            steps += 1;
            prop_assert!(steps < 5000, "something never starts");
        }
        prop_assert_eq!(world.started.len(), all.len());
    }

    /// A flood of small and urgent jobs of the same workspace, with no end: a large job of the lowest priority starts
    /// all the same, and nothing that came long after it starts before it.
    #[test]
    fn nothing_waits_for_ever(flood in 1_usize..5, takes in 30_i64..600, person in 0_u8..2) {
        let mut world = World::new(vec![machine(1, 4)]);
        let of_flood = owner("lab", "p0");
        let mut job = 100;
        for step in 0..5000 {
            if step == 5 {
                world.come(1, &owner("lab", &format!("p{person}")), cores(4), 0, 10);
            }
            for _ in 0..flood {
                job += 1;
                world.come(job, &of_flood, cores(1), 9, takes);
            }
            // A queue without bound is for its keeper to refuse; what matters here is that it is never empty.
            let surplus = world.view.waiting.len().saturating_sub(50);
            let victim = |one: &Waiting| one.key == key(1);
            let mut dropped = 0;
            world.view.waiting.retain(|one| victim(one) || { dropped += 1; dropped > surplus });
            world.step(60);
            if world.ends.contains_key(&key(1)) {
                break;
            }
        }
        prop_assert!(world.ends.contains_key(&key(1)), "it never started");
        let hour = 3600;
        let (started, _) = world.started.iter().find(|(_, placed)| placed.key == key(1)).unwrap();
        // Ten priorities of half an hour each, the patience, and what runs when a compute is kept for it.
        prop_assert!(*started < 300 + 5 * hour + 900 + 600 + 120, "only after {started} s");
    }
}

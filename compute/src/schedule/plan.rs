//! A plan: each in its turn is given room, or told why not.

use std::collections::{BTreeMap, BTreeSet};

use tern_protocol::{id::WorkspaceId, time::WallTime};

use super::{
    Compute, Free, Placed, Plan, Rules, Together, View, Waiting, Wanted, Why, everything,
    fair::Standing, scale,
};
use crate::job::AttemptKey;

/// What a job that starts is held to have cost at once, in seconds: without it somebody who starts a hundred at the same
/// moment would have had nothing yet.
const HORIZON: f64 = 600.0;

/// One compute while a plan is made.
struct Room<'a> {
    compute: &'a Compute,
    free: Free,
    gpus: BTreeSet<u32>,
    kept_for: Option<AttemptKey>,
}

/// What to do.
pub fn plan(view: &View, rules: &Rules, now: WallTime) -> Plan {
    let mut plan = Plan::default();
    let all = everything(&view.computes);
    let mut standing = view.usage.standing(now);
    let mut rooms: Vec<Room<'_>> = view.computes.iter().map(Room::new).collect();
    for placed in &view.placed {
        standing.add(&placed.owner, all.share(placed.needs) * HORIZON);
        if let Some(room) = rooms.iter_mut().find(|room| room.compute.name == placed.on) {
            room.free.take(placed.needs);
            for gpu in &placed.gpus {
                room.gpus.remove(gpu);
            }
        }
    }
    let given: BTreeSet<AttemptKey> = view.placed.iter().map(|placed| placed.key).collect();
    let by_key: BTreeMap<AttemptKey, &Waiting> = view
        .waiting
        .iter()
        .filter(|one| !given.contains(&one.key))
        .map(|one| (one.key, one))
        .collect();
    let mut waiting: Vec<&Waiting> = by_key.into_values().collect();
    loop {
        // What does not start changes nobody's turn; what starts does.
        waiting = in_turn(&waiting, &standing, rules, now);
        let mut started = None;
        for (index, next) in waiting.iter().enumerate() {
            match place(next, &mut rooms, rules, now) {
                Ok(placed) => {
                    started = Some(index);
                    standing.add(&placed.owner, all.share(placed.needs) * HORIZON);
                    plan.starts.push(placed);
                    break;
                }
                Err(why) => {
                    plan.waits.insert(next.key, why);
                }
            }
        }
        match started {
            Some(index) => drop(waiting.drain(..=index)),
            None => break,
        }
    }
    for compute in &view.computes {
        let (to, wanted) = resize(compute, view, &plan, now);
        plan.wanted.insert(compute.name.clone(), wanted);
        if let Some(to) = to {
            plan.scale.insert(compute.name.clone(), to);
        }
    }
    plan
}

/// In the order of their turns.
fn in_turn<'a>(
    waiting: &[&'a Waiting],
    standing: &Standing,
    rules: &Rules,
    now: WallTime,
) -> Vec<&'a Waiting> {
    let by_workspace = |workspace: &WorkspaceId| {
        let weight = rules.weights.get(workspace).copied().unwrap_or(1).max(1);
        standing.workspace(workspace) / f64::from(weight)
    };
    // What decides is worked out once for each.
    let mut turns: Vec<(f64, u64, f64, &Waiting)> = waiting
        .iter()
        .map(|one| {
            let (workspace, person) = (&one.owner.workspace, &one.owner);
            (
                by_workspace(workspace),
                urgency(one, rules, now),
                standing.person(person),
                *one,
            )
        })
        .collect();
    turns.sort_by(|a, b| {
        let (of_a, of_b) = (&a.3.owner.workspace, &b.3.owner.workspace);
        a.0.total_cmp(&b.0)
            .then_with(|| of_a.cmp(of_b))
            .then_with(|| b.1.cmp(&a.1))
            .then_with(|| a.2.total_cmp(&b.2))
            .then_with(|| a.3.since.cmp(&b.3.since))
            .then_with(|| a.3.key.cmp(&b.3.key))
    });
    turns.into_iter().map(|turn| turn.3).collect()
}

/// Its priority, and one more for each [`Rules::ageing`] that it has waited.
fn urgency(waiting: &Waiting, rules: &Rules, now: WallTime) -> u64 {
    let step = u64::try_from(rules.ageing.as_millis()).unwrap_or(u64::MAX);
    u64::from(waiting.priority) + waited(waiting, now) / step.max(1)
}

fn waited(waiting: &Waiting, now: WallTime) -> u64 {
    u64::try_from(now.0.saturating_sub(waiting.since.0)).unwrap_or(0)
}

fn place(
    next: &Waiting,
    rooms: &mut [Room<'_>],
    rules: &Rules,
    now: WallTime,
) -> Result<Placed, Why> {
    let mut why = Why::TooLarge;
    let mut could: Vec<&mut Room<'_>> = Vec::new();
    for room in rooms {
        let meant = next.on.as_ref().is_none_or(|on| *on == room.compute.name);
        if !meant || !room.compute.could_hold(next.needs) {
            continue;
        }
        match room.kept_for {
            Some(other) if room.free.holds(next.needs) => why = Why::Kept(other),
            _ if why == Why::TooLarge => why = Why::Busy,
            _ => {}
        }
        could.push(room);
    }
    let fits = |room: &Room<'_>| room.kept_for.is_none() && room.free.holds(next.needs);
    if let Some(room) = could.iter_mut().find(|room| fits(room)) {
        return Ok(room.give(next));
    }
    let patience = u64::try_from(rules.patience.as_millis()).unwrap_or(u64::MAX);
    if waited(next, now) >= patience
        && let Some(room) = could.iter_mut().find(|room| room.kept_for.is_none())
    {
        room.kept_for = Some(next.key);
        return Err(Why::KeptFor(room.compute.name.clone()));
    }
    Err(why)
}

impl<'a> Room<'a> {
    fn new(compute: &'a Compute) -> Self {
        let free = compute.capacity(compute.units);
        let numbered = match compute.together {
            Together::OneMachine => u32::try_from(free.gpus).unwrap_or(u32::MAX).min(4096),
            Together::Machines => 0,
        };
        Self {
            compute,
            free,
            gpus: (0..numbered).collect(),
            kept_for: None,
        }
    }

    fn give(&mut self, next: &Waiting) -> Placed {
        self.free.take(next.needs);
        let wanted = next.needs.gpus as usize;
        let gpus: Vec<u32> = self.gpus.iter().copied().take(wanted).collect();
        for gpu in &gpus {
            self.gpus.remove(gpu);
        }
        Placed {
            key: next.key,
            owner: next.owner.clone(),
            needs: next.needs,
            on: self.compute.name.clone(),
            gpus,
        }
    }
}

/// How many units a compute should have: for what runs on it, and for what waits and could run on it before it could on
/// any other.
fn resize(compute: &Compute, view: &View, plan: &Plan, now: WallTime) -> (Option<u32>, Wanted) {
    let placed = view.placed.iter().chain(&plan.starts);
    let runs = placed
        .filter(|placed| placed.on == compute.name)
        .map(|placed| placed.needs);
    let waits = view.waiting.iter().filter(|one| {
        let first = view.computes.iter().find(|compute| {
            let meant = one.on.as_ref().is_none_or(|on| *on == compute.name);
            meant && compute.could_hold(one.needs)
        });
        plan.waits.contains_key(&one.key) && first.is_some_and(|first| first.name == compute.name)
    });
    let demand = compute.demand(runs.chain(waits.map(|one| one.needs)));
    scale::scale(compute.scaling, compute.wanted, compute.units, demand, now)
}

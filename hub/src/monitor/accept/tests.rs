use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn claim(acked: u64, after: u64, end: u64) -> Claim {
    Claim {
        acked: Sequence(acked),
        after: Sequence(after),
        end: Sequence(end),
    }
}

#[test]
fn verdicts() {
    let take = |over, last| Verdict::Take {
        over: Sequence(over),
        last: Sequence(last),
    };
    let cases = [
        (
            "the first batch of a new outbox",
            0,
            claim(0, 0, 3),
            take(0, 3),
        ),
        ("the next one", 3, claim(3, 3, 5), take(3, 5)),
        ("sent before the ack came", 5, claim(3, 3, 8), take(5, 8)),
        ("repeated whole", 8, claim(3, 3, 8), Verdict::Known),
        (
            "a batch before it was lost",
            5,
            claim(5, 8, 9),
            Verdict::Gap,
        ),
        (
            "the hub was restored from an old copy",
            2,
            claim(8, 8, 9),
            take(2, 9),
        ),
        (
            "an empty batch asks where the hub stands",
            5,
            claim(5, 5, 5),
            Verdict::Known,
        ),
        (
            "entries were merged and left holes",
            5,
            claim(5, 5, 40),
            take(5, 40),
        ),
    ];
    for (case, stored, claim, verdict) in cases {
        assert_eq!(judge(Sequence(stored), claim), verdict, "{case}");
    }
}

/// What the network does with the messages on the way, one step at a time.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The device writes this many entries.
    Write(u8),
    /// It sends up to so many entries after what it believes to be stored.
    Send(u8),
    /// It sends without waiting for acks: from where its last sending ended.
    Stream(u8),
    /// The message at this place of those on the way arrives and stays (it will arrive again).
    Repeat(u8),
    /// It arrives and is gone.
    Deliver(u8),
    /// It is lost.
    Lose(u8),
    /// The ack at this place arrives.
    Ack(u8),
    /// The device restarts: it knows only what is on its disk.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1u8..5).prop_map(Step::Write),
        3 => (0u8..6).prop_map(Step::Send),
        3 => (0u8..6).prop_map(Step::Stream),
        2 => any::<u8>().prop_map(Step::Repeat),
        4 => any::<u8>().prop_map(Step::Deliver),
        2 => any::<u8>().prop_map(Step::Lose),
        3 => any::<u8>().prop_map(Step::Ack),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 0..200)
}

/// A device and a hub with a bad network between them. Each entry is worth its sequence, so that a
/// sum tells which were counted.
#[derive(Default)]
struct World {
    written: u64,
    /// Acknowledged entries are gone from the device's disk.
    acked: u64,
    sent: u64,
    messages: Vec<Claim>,
    acks: Vec<u64>,
    stored: u64,
    counted: BTreeMap<u64, u32>,
}

impl World {
    fn send_from(&mut self, after: u64, entries: u8) {
        let end = self.written.min(after + u64::from(entries));
        self.messages.push(claim(self.acked, after, end));
        self.sent = self.sent.max(end);
    }

    fn arrive(&mut self, claim: Claim) {
        if let Verdict::Take { over, last } = judge(Sequence(self.stored), claim) {
            let first = over.0.max(claim.after.0) + 1;
            for entry in first..=claim.end.0 {
                *self.counted.entry(entry).or_default() += 1;
            }
            self.stored = last.0;
        }
        self.acks.push(self.stored);
    }

    fn step(&mut self, step: Step) {
        let at = |place: u8, len: usize| (len > 0).then(|| usize::from(place) % len);
        match step {
            Step::Write(entries) => self.written += u64::from(entries),
            Step::Send(entries) => self.send_from(self.acked, entries),
            Step::Stream(entries) => self.send_from(self.sent.max(self.acked), entries),
            Step::Repeat(place) => {
                if let Some(at) = at(place, self.messages.len()) {
                    self.arrive(self.messages[at]);
                }
            }
            Step::Deliver(place) => {
                if let Some(at) = at(place, self.messages.len()) {
                    let message = self.messages.swap_remove(at);
                    self.arrive(message);
                }
            }
            Step::Lose(place) => {
                if let Some(at) = at(place, self.messages.len()) {
                    self.messages.swap_remove(at);
                }
            }
            Step::Ack(place) => {
                if let Some(at) = at(place, self.acks.len()) {
                    let ack = self.acks.swap_remove(at);
                    self.acked = self.acked.max(ack);
                    // An ack below what was sent tells the device to go back.
                    self.sent = self.acked;
                }
            }
            Step::Restart => self.sent = self.acked,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_entry_counts_exactly_once(steps in steps()) {
        let mut world = World::default();
        for step in steps {
            world.step(step);
            prop_assert!(world.acked <= world.stored, "acknowledged what is not stored");
        }
        // The network heals: what is left is sent until all of it is acknowledged.
        while world.acked < world.written {
            world.send_from(world.acked, 3);
            let message = world.messages.pop().expect("just sent");
            world.arrive(message);
            world.acked = world.acked.max(world.acks.pop().expect("just answered"));
        }
        let counts: Vec<_> = world.counted.into_iter().collect();
        let expected: Vec<_> = (1..=world.written).map(|entry| (entry, 1)).collect();
        prop_assert_eq!(counts, expected);
    }

    #[test]
    fn no_claim_moves_an_outbox_back(stored: u64, acked: u64, after: u64, more in 0u64..1000) {
        let end = after.saturating_add(more);
        if let Verdict::Take { over, last } = judge(Sequence(stored), claim(acked, after, end)) {
            prop_assert!(over.0 == stored && last.0 > stored);
        }
    }
}

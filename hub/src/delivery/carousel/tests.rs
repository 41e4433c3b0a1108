use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn workspace() -> WorkspaceId {
    "default".parse().expect("a name")
}

fn blob(name: &str, chunks: u32) -> BlobRef {
    BlobRef {
        digest: Digest::of(name.as_bytes()),
        len: u64::from(chunks) * limits::CHUNK as u64,
    }
}

fn all(blob: BlobRef) -> [ChunkRange; 1] {
    [ChunkRange {
        first: 0,
        count: blob.chunks(),
    }]
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Everything that is published until nothing is wanted, with the time of each.
fn drain(carousel: &mut Carousel, mut now: Duration) -> Vec<(Duration, Job)> {
    let mut jobs = Vec::new();
    loop {
        match carousel.next(now) {
            Next::Send(job) => {
                let (_, len) = job.blob.place(job.index).expect("within the blob");
                carousel.sent(len);
                jobs.push((now, job));
            }
            Next::WaitUntil(at) => {
                assert!(at > now, "waiting for {at:?} at {now:?} would never end");
                now = at;
            }
            Next::Idle => return jobs,
        }
        assert!(jobs.len() < 100_000, "it never ends");
    }
}

#[test]
fn five_hundred_devices_cost_one_blob() {
    let mut carousel = Carousel::new(Limits::default());
    let model = blob("model", 100);
    for device in 0..500_u64 {
        let taken = carousel.want(ms(device), &workspace(), model, &all(model));
        assert_eq!(taken, Ok(()));
    }
    let jobs = drain(&mut carousel, ms(500));
    let order: Vec<u32> = jobs.iter().map(|(_, job)| job.index).collect();
    assert_eq!(order, (0..100).collect::<Vec<_>>());
    assert!(carousel.is_empty());
}

#[test]
fn it_gathers_until_quiet_and_never_longer_than_its_limit() {
    let mut carousel = Carousel::new(Limits::default());
    let model = blob("model", 1);
    let want = |carousel: &mut Carousel, at| {
        let _ = carousel.want(at, &workspace(), model, &all(model));
    };
    want(&mut carousel, ms(0));
    assert_eq!(carousel.next(ms(0)), Next::WaitUntil(ms(200)));
    want(&mut carousel, ms(150));
    assert_eq!(carousel.next(ms(200)), Next::WaitUntil(ms(350)));
    for at in (150..1_000).step_by(100) {
        want(&mut carousel, ms(at));
        assert!(matches!(carousel.next(ms(at)), Next::WaitUntil(_)));
    }
    assert!(matches!(carousel.next(ms(1_000)), Next::Send(_)));
}

#[test]
fn blobs_take_turns() {
    let mut carousel = Carousel::new(Limits::default());
    let (large, small) = (blob("large", 1_000), blob("small", 3));
    let _ = carousel.want(ms(0), &workspace(), large, &all(large));
    let _ = carousel.want(ms(0), &workspace(), small, &all(small));
    let jobs = drain(&mut carousel, ms(0));
    let last_small = jobs.iter().rposition(|(_, job)| job.blob == small);
    assert!(
        last_small.expect("it was sent") < 6,
        "the small one waited for the large one"
    );
}

#[test]
fn a_late_want_is_sent_after_the_rest() {
    let mut carousel = Carousel::new(Limits::default());
    let model = blob("model", 10);
    let _ = carousel.want(ms(0), &workspace(), model, &all(model));
    for _ in 0..5 {
        assert!(matches!(carousel.next(ms(200)), Next::Send(_)));
    }
    let _ = carousel.want(ms(201), &workspace(), model, &all(model));
    let jobs = drain(&mut carousel, ms(201));
    let order: Vec<u32> = jobs.iter().map(|(_, job)| job.index).collect();
    assert_eq!(order, [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]);
}

#[test]
fn egress_stays_under_its_limit() {
    let rate = 1_000_000;
    let mut carousel = Carousel::new(Limits {
        egress: Some(rate),
        ..Limits::default()
    });
    let model = blob("model", 160);
    let _ = carousel.want(ms(0), &workspace(), model, &all(model));
    let jobs = drain(&mut carousel, ms(0));
    assert_eq!(jobs.len(), 160);
    let (start, end) = (jobs[0].0, jobs[159].0);
    let bytes = 160.0 * limits::CHUNK as f64;
    let took = end.saturating_sub(start).as_secs_f64();
    let ideal = bytes / rate as f64;
    assert!(
        took > ideal * 0.95 && took < ideal * 1.05,
        "took {took} s, ideal {ideal} s"
    );
}

#[test]
fn bounds_hold_for_any_want() {
    let mut carousel = Carousel::new(Limits {
        blobs: 2,
        ..Limits::default()
    });
    let nothing = [
        ChunkRange { first: 5, count: 9 },
        ChunkRange { first: 0, count: 0 },
    ];
    let model = blob("a", 5);
    assert_eq!(
        carousel.want(ms(0), &workspace(), model, &nothing),
        Err(Ignored::Nothing)
    );
    assert_eq!(
        carousel.want(ms(0), &workspace(), blob("e", 0), &nothing),
        Err(Ignored::Nothing)
    );
    let huge = [ChunkRange {
        first: 4,
        count: u32::MAX,
    }; 1_000];
    assert_eq!(carousel.want(ms(0), &workspace(), model, &huge), Ok(()));
    assert_eq!(
        carousel.want(ms(0), &workspace(), blob("b", 5), &huge),
        Ok(())
    );
    assert_eq!(
        carousel.want(ms(0), &workspace(), blob("c", 5), &huge),
        Err(Ignored::Full)
    );
    assert_eq!(
        carousel.want(ms(0), &workspace(), model, &huge),
        Ok(()),
        "a known one goes on"
    );
    assert_eq!(drain(&mut carousel, ms(0)).len(), 2);
}

proptest! {
    #[test]
    fn what_is_wanted_is_sent_once_and_nothing_else(
        chunks in 1_u32..300,
        ranges in prop::collection::vec((0_u32..400, 0_u32..100), 1..70),
    ) {
        let model = blob("model", chunks);
        let ranges: Vec<ChunkRange> =
            ranges.into_iter().map(|(first, count)| ChunkRange { first, count }).collect();
        let expected: BTreeSet<u32> = ranges
            .iter()
            .take(limits::WANT_RANGES)
            .flat_map(|range| range.first..(range.first + range.count).min(chunks))
            .collect();
        let mut carousel = Carousel::new(Limits::default());
        let _ = carousel.want(ms(0), &workspace(), model, &ranges);
        let sent: Vec<u32> =
            drain(&mut carousel, ms(0)).into_iter().map(|(_, job)| job.index).collect();
        prop_assert_eq!(sent, expected.into_iter().collect::<Vec<_>>());
    }
}

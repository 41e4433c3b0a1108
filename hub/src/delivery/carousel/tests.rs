use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

mod simulation;

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

fn device(number: usize) -> DeviceId {
    format!("meter-{number}").parse().expect("a name")
}

/// A device of no known site wants something.
fn want(
    carousel: &mut Carousel,
    now: Duration,
    number: usize,
    blob: BlobRef,
    ranges: &[ChunkRange],
) -> Result<Taken, Ignored> {
    want_at(carousel, now, (number, None), blob, ranges)
}

fn want_at(
    carousel: &mut Carousel,
    now: Duration,
    (number, site): (usize, Option<&str>),
    blob: BlobRef,
    ranges: &[ChunkRange],
) -> Result<Taken, Ignored> {
    let site: Option<SiteName> = site.map(|site| site.parse().expect("a name"));
    let asker = Asker {
        workspace: &workspace(),
        device: &device(number),
        site: site.as_ref(),
    };
    carousel.want(now, asker, blob, ranges)
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
    for device in 0..500 {
        let now = ms(device as u64);
        let taken = want(&mut carousel, now, device, model, &all(model));
        assert_eq!(taken, Ok(Taken::Fresh));
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
    let mut number = 0;
    let mut ask = |carousel: &mut Carousel, at| {
        number += 1;
        let _ = want(carousel, at, number, model, &all(model));
    };
    ask(&mut carousel, ms(0));
    assert_eq!(carousel.next(ms(0)), Next::WaitUntil(ms(200)));
    ask(&mut carousel, ms(150));
    assert_eq!(carousel.next(ms(200)), Next::WaitUntil(ms(350)));
    for at in (150..1_000).step_by(100) {
        ask(&mut carousel, ms(at));
        assert!(matches!(carousel.next(ms(at)), Next::WaitUntil(_)));
    }
    assert!(matches!(carousel.next(ms(1_000)), Next::Send(_)));
}

#[test]
fn blobs_take_turns() {
    let mut carousel = Carousel::new(Limits::default());
    let (large, small) = (blob("large", 1_000), blob("small", 3));
    let _ = want(&mut carousel, ms(0), 1, large, &all(large));
    let _ = want(&mut carousel, ms(0), 1, small, &all(small));
    let jobs = drain(&mut carousel, ms(0));
    let last_small = jobs.iter().rposition(|(_, job)| job.blob == small);
    assert!(
        last_small.expect("it was sent") < 6,
        "the small one waited for the large one"
    );
}

#[test]
fn a_late_joiner_joins_the_pass_and_gets_what_it_missed_afterwards() {
    let mut carousel = Carousel::new(Limits::default());
    let model = blob("model", 10);
    let _ = want(&mut carousel, ms(0), 1, model, &all(model));
    for _ in 0..5 {
        assert!(matches!(carousel.next(ms(200)), Next::Send(_)));
    }
    let late = want(&mut carousel, ms(201), 2, model, &all(model));
    assert_eq!(late, Ok(Taken::Fresh), "it lost nothing");
    let jobs = drain(&mut carousel, ms(201));
    let order: Vec<u32> = jobs.iter().map(|(_, job)| job.index).collect();
    assert_eq!(order, [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]);
}

#[test]
fn however_many_come_late_a_wave_costs_one_blob_and_what_the_last_of_them_missed() {
    let mut carousel = Carousel::new(Limits {
        blob: Some(100 * limits::CHUNK as u64),
        ..Limits::default()
    });
    let model = blob("model", 1_000);
    let _ = want(&mut carousel, ms(0), 0, model, &all(model));
    let mut sent = 0;
    // The pass takes ten seconds; one device more each 10 ms in the first of them.
    for at in 200..1_200 {
        if at % 10 == 0 {
            let _ = want(&mut carousel, ms(at), at as usize, model, &all(model));
        }
        while let Next::Send(_) = carousel.next(ms(at)) {
            sent += 1;
        }
    }
    sent += drain(&mut carousel, ms(1_200)).len();
    assert!((1_000..=1_120).contains(&sent), "{sent} chunks of 1000");
}

#[test]
fn what_was_sent_to_a_device_and_is_wanted_by_it_again_was_lost() {
    let mut carousel = Carousel::new(Limits::default());
    let model = blob("model", 10);
    let key = (workspace(), model.digest);
    let _ = want(&mut carousel, ms(0), 1, model, &all(model));
    for _ in 0..5 {
        assert!(matches!(carousel.next(ms(200)), Next::Send(_)));
    }
    let rest = [ChunkRange { first: 5, count: 5 }];
    let again = want(&mut carousel, ms(300), 1, model, &rest);
    assert_eq!(again, Ok(Taken::Fresh), "it is still to come");
    assert_eq!(carousel.repeats_at(&key), None);
    let again = want(&mut carousel, ms(400), 1, model, &all(model));
    assert_eq!(again, Ok(Taken::Lost), "0 to 4 were sent");
    assert!(carousel.repeats_at(&key).is_some());
    let jobs = drain(&mut carousel, ms(400));
    assert_eq!(jobs.len(), 10, "each once more, no more");
}

#[test]
fn a_blob_stays_under_its_limit() {
    let rate = 1_000_000;
    let mut carousel = Carousel::new(Limits {
        blob: Some(rate),
        ..Limits::default()
    });
    let (model, other) = (blob("model", 160), blob("other", 160));
    let _ = want(&mut carousel, ms(0), 1, model, &all(model));
    let _ = want(&mut carousel, ms(0), 1, other, &all(other));
    let jobs = drain(&mut carousel, ms(0));
    for blob in [model, other] {
        let times: Vec<_> = jobs.iter().filter(|(_, job)| job.blob == blob).collect();
        took(rate, &times.iter().map(|(at, _)| *at).collect::<Vec<_>>());
    }
}

#[test]
fn a_site_stays_under_its_limit_whatever_it_wants_and_others_do_not_wait_for_it() {
    let rate = 1_000_000;
    let mut carousel = Carousel::new(Limits {
        site: Some(rate),
        ..Limits::default()
    });
    let blobs: Vec<BlobRef> = (0..4).map(|n| blob(&n.to_string(), 40)).collect();
    let far = blob("far", 40);
    for (number, blob) in blobs.iter().enumerate() {
        let _ = want_at(
            &mut carousel,
            ms(0),
            (number, Some("harbour")),
            *blob,
            &all(*blob),
        );
    }
    let _ = want_at(&mut carousel, ms(0), (9, Some("hill")), far, &all(far));
    let jobs = drain(&mut carousel, ms(0));
    let harbour = jobs.iter().filter(|(_, job)| job.blob != far);
    took(rate, &harbour.map(|(at, _)| *at).collect::<Vec<_>>());
    let hill = jobs.iter().filter(|(_, job)| job.blob == far);
    took(rate, &hill.map(|(at, _)| *at).collect::<Vec<_>>());
}

#[test]
fn a_chunk_for_two_sites_does_not_starve_beside_those_for_one() {
    let rate = 10 * limits::CHUNK as u64;
    let mut carousel = Carousel::new(Limits {
        site: Some(rate),
        ..Limits::default()
    });
    let (both, left, right) = (blob("both", 20), blob("left", 400), blob("right", 400));
    for (number, site) in ["left", "right"].into_iter().enumerate() {
        let _ = want_at(&mut carousel, ms(0), (number, Some(site)), both, &all(both));
    }
    let _ = want_at(&mut carousel, ms(0), (7, Some("left")), left, &all(left));
    let _ = want_at(
        &mut carousel,
        ms(33),
        (8, Some("right")),
        right,
        &all(right),
    );
    let jobs = drain(&mut carousel, ms(0));
    let last = jobs.iter().rposition(|(_, job)| job.blob == both);
    let (at, _) = &jobs[last.expect("it was sent")];
    assert!(
        *at < Duration::from_secs(6),
        "half the rate of each site is two seconds a blob, and it took {at:?}"
    );
}

/// Whether what went out at these times, a chunk each, went at this rate.
#[track_caller]
fn took(rate: u64, times: &[Duration]) {
    let (start, end) = (times[0], times[times.len() - 1]);
    let bytes = (times.len() - 1) as f64 * limits::CHUNK as f64;
    let took = end.saturating_sub(start).as_secs_f64();
    let ideal = bytes / rate as f64;
    // A tenth of a second's worth may go ahead.
    assert!(
        took > ideal - 0.11 && took < ideal * 1.05,
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
    let mut ask = |blob, ranges: &[ChunkRange]| want(&mut carousel, ms(0), 1, blob, ranges);
    assert_eq!(ask(model, &nothing), Err(Ignored::Nothing));
    assert_eq!(ask(blob("e", 0), &nothing), Err(Ignored::Nothing));
    let huge = [ChunkRange {
        first: 4,
        count: u32::MAX,
    }; 1_000];
    assert_eq!(ask(model, &huge), Ok(Taken::Fresh));
    assert_eq!(ask(blob("b", 5), &huge), Ok(Taken::Fresh));
    assert_eq!(ask(blob("c", 5), &huge), Err(Ignored::Full));
    assert_eq!(ask(model, &huge), Ok(Taken::Fresh), "a known one goes on");
    assert_eq!(drain(&mut carousel, ms(0)).len(), 2);
    let taken = want(&mut carousel, ms(1_000), 1, blob("c", 5), &huge);
    assert_eq!(taken, Ok(Taken::Fresh), "one that rests gives way");
}

#[test]
fn memory_does_not_grow_with_the_fleet_and_what_rests_is_forgotten() {
    let mut carousel = Carousel::new(Limits {
        site: Some(u64::MAX),
        ..Limits::default()
    });
    let largest = BlobRef {
        digest: Digest::of(b"largest"),
        len: limits::BLOB,
    };
    let _ = want(&mut carousel, ms(0), 0, largest, &all(largest));
    for number in 0..20_000 {
        let site = format!("site-{}", number % 1_000);
        let from = (number, Some(site.as_str()));
        let first = [ChunkRange { first: 0, count: 1 }];
        let _ = want_at(&mut carousel, ms(0), from, largest, &first);
    }
    let wanted = carousel.blobs.values().next().expect("it is wanted");
    assert!(wanted.sites.len() <= Limits::default().sites + 1);
    assert_eq!(drain(&mut carousel, ms(0)).len(), largest.chunks() as usize);
    assert!(carousel.sites.len() <= Limits::default().sites + 1);
    assert_eq!(carousel.next(ms(120_000)), Next::Idle);
    assert!(carousel.blobs.is_empty());
}

proptest! {
    /// Between two chunks of one blob every other blob that is being sent has its turn, whatever is
    /// wanted by whom in which order.
    #[test]
    fn no_blob_goes_twice_while_another_waits(
        sizes in prop::collection::vec(1_u32..40, 2..8),
        extra in prop::collection::vec((0_usize..8, 0_u32..40, 1_u32..9), 0..20),
    ) {
        let mut carousel = Carousel::new(Limits::default());
        let blobs: Vec<BlobRef> =
            sizes.iter().enumerate().map(|(n, size)| blob(&n.to_string(), *size)).collect();
        for blob in &blobs {
            let _ = want(&mut carousel, ms(0), 1, *blob, &all(*blob));
        }
        let mut order = Vec::new();
        let mut extra = extra.into_iter();
        let mut now = ms(200);
        loop {
            // More is wanted of those that are still on their way.
            if order.len() % 3 == 0 && let Some((which, first, count)) = extra.next() {
                let blob = blobs[which % blobs.len()];
                let under_way = carousel.blobs[&(workspace(), blob.digest)].started;
                if under_way {
                    let range = [ChunkRange { first, count }];
                    let _ = want(&mut carousel, now, order.len() + 2, blob, &range);
                }
            }
            match carousel.next(now) {
                Next::Send(job) => order.push(job.blob.digest),
                Next::WaitUntil(at) => now = at,
                Next::Idle => break,
            }
        }
        for blob in &blobs {
            let places: Vec<usize> =
                (0..order.len()).filter(|at| order[*at] == blob.digest).collect();
            for pair in places.windows(2) {
                let between = &order[pair[0] + 1..pair[1]];
                for other in blobs.iter().filter(|other| *other != blob) {
                    let waits = order[..pair[0]].contains(&other.digest)
                        && order[pair[1]..].contains(&other.digest);
                    prop_assert!(
                        !waits || between.contains(&other.digest),
                        "{} went at {pair:?} without {}", blob.digest.short(), other.digest.short()
                    );
                }
            }
        }
    }

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
        let _ = want(&mut carousel, ms(0), 1, model, &ranges);
        let sent: Vec<u32> =
            drain(&mut carousel, ms(0)).into_iter().map(|(_, job)| job.index).collect();
        prop_assert_eq!(sent, expected.into_iter().collect::<Vec<_>>());
    }
}

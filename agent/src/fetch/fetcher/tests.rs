use tern_protocol::limits::CHUNK;

use super::*;
use crate::fetch::way::{Kind, Via};

fn blob(chunks: u64) -> BlobRef {
    BlobRef {
        digest: Digest::of(&chunks.to_be_bytes()),
        len: chunks * CHUNK as u64,
    }
}

const AUTO: Policy = Policy {
    via: Via::Auto,
    https: true,
    silence: Duration::from_secs(30),
};

fn fetching(chunks: u64) -> (Fetcher, BlobRef) {
    fetching_by(Policy::default(), chunks)
}

fn fetching_by(policy: Policy, chunks: u64) -> (Fetcher, BlobRef) {
    let mut fetcher = Fetcher::new(policy, Chance::seeded(1));
    let blob = blob(chunks);
    fetcher.want(blob);
    assert_eq!(fetcher.poll(Uptime(0), true), Some(Request::Open(blob)));
    fetcher.opened(blob.digest, Bitmap::new(blob.chunks()), Uptime(0));
    (fetcher, blob)
}

fn asked(request: Option<Request>) -> Vec<(u32, u32)> {
    match request {
        Some(Request::Ask(want)) => want.ranges.iter().map(|r| (r.first, r.count)).collect(),
        other => panic!("it asks for nothing: {other:?}"),
    }
}

#[test]
fn only_what_is_missing_is_asked_for_and_ever_less_often() {
    let (mut fetcher, blob) = fetching(10);
    assert_eq!(asked(fetcher.poll(Uptime(0), true)), [(0, 10)]);
    fetcher.wrote(blob.digest, 3, Uptime(10));
    let mut now = Uptime(10);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let next = fetcher.deadline(true).expect("it is not done");
        assert_eq!(fetcher.poll(Uptime(next.0 - 1), true), None);
        assert_eq!(asked(fetcher.poll(next, true)), [(0, 3), (4, 6)]);
        waits.push(next.since(now));
        now = next;
    }
    assert!(
        waits.iter().all(|wait| *wait <= PATIENCE_MAX * 2),
        "{waits:?}"
    );
    assert!(waits[0] >= FLOWING, "{waits:?}");
    assert!(waits[5] > waits[0] * 2, "{waits:?}");
}

#[test]
fn who_has_waited_long_for_a_chunk_waits_longer_for_the_next() {
    let (mut fetcher, blob) = fetching(10);
    asked(fetcher.poll(Uptime(0), true));
    fetcher.wrote(blob.digest, 0, Uptime(1_000));
    assert_eq!(fetcher.deadline(true), Some(Uptime(1_000).plus(FLOWING)));
    fetcher.wrote(blob.digest, 1, Uptime(9_000));
    assert_eq!(fetcher.deadline(true), Some(Uptime(9_000 + 8_000 * 4)));
    fetcher.wrote(blob.digest, 2, Uptime(90_000));
    assert_eq!(
        fetcher.deadline(true),
        Some(Uptime(90_000).plus(PATIENCE_MAX))
    );
    fetcher.online(Uptime(91_000));
    assert_eq!(asked(fetcher.poll(Uptime(91_000), true)), [(3, 7)]);
}

#[test]
fn nothing_is_asked_while_offline_and_at_once_when_back() {
    let (mut fetcher, blob) = fetching(2);
    assert_eq!(fetcher.poll(Uptime(5), false), None);
    assert_eq!(fetcher.deadline(false), None);
    asked(fetcher.poll(Uptime(5), true));
    assert_eq!(fetcher.poll(Uptime(6), true), None);
    fetcher.online(Uptime(7));
    assert_eq!(asked(fetcher.poll(Uptime(7), true)), [(0, 2)]);
    assert_eq!(fetcher.listening().collect::<Vec<_>>(), [blob.digest]);
}

#[test]
fn a_full_blob_is_verified_and_wrong_bytes_are_tried_three_times() {
    let (mut fetcher, blob) = fetching(1);
    let mut now = Uptime(0);
    for round in 1..=MISMATCHES_MAX {
        if round > 1 {
            now = fetcher.deadline(true).expect("it begins again");
            assert_eq!(fetcher.poll(now, true), Some(Request::Open(blob)));
            fetcher.opened(blob.digest, Bitmap::new(1), now);
        }
        asked(fetcher.poll(now, true));
        fetcher.wrote(blob.digest, 0, now);
        assert_eq!(fetcher.poll(now, true), Some(Request::Verify(blob)));
        assert_eq!(fetcher.poll(now, true), None);
        fetcher.mismatched(blob.digest, now);
    }
    assert_eq!(fetcher.stage(blob.digest), Some(&Stage::Mismatch));
    assert_eq!(fetcher.deadline(true), None);
}

#[test]
fn chunks_that_do_not_fit_are_told_from_those_of_others() {
    let (mut fetcher, blob) = fetching(2);
    let check = |f: &Fetcher, index, len| f.accepts(blob.digest, index, len);
    assert_eq!(check(&fetcher, 0, CHUNK), Acceptance::Awaited);
    assert_eq!(check(&fetcher, 0, CHUNK - 1), Acceptance::Malformed);
    assert_eq!(check(&fetcher, 2, CHUNK), Acceptance::Malformed);
    assert_eq!(check(&fetcher, u32::MAX, 0), Acceptance::Malformed);
    fetcher.wrote(blob.digest, 0, Uptime(0));
    assert_eq!(check(&fetcher, 0, CHUNK), Acceptance::Foreign);
    assert_eq!(
        fetcher.accepts(Digest::of(b"other"), 0, CHUNK),
        Acceptance::Foreign
    );
}

#[test]
fn few_blobs_are_under_way_at_once() {
    let mut fetcher = Fetcher::new(Policy::default(), Chance::seeded(1));
    (1..=10).for_each(|n| fetcher.want(blob(n)));
    let mut open = 0;
    while let Some(Request::Open(blob)) = fetcher.poll(Uptime(0), false) {
        fetcher.opened(blob.digest, Bitmap::new(blob.chunks()), Uptime(0));
        open += 1;
    }
    assert_eq!(open, ACTIVE_MAX);
}

fn ranges(download: &Download) -> Vec<(u32, u32)> {
    download.ranges.iter().map(|r| (r.first, r.count)).collect()
}

/// What it does from `now` on while nothing comes, until it says this or so much time is over.
fn until(
    fetcher: &mut Fetcher,
    now: &mut Uptime,
    span: Duration,
    wanted: impl Fn(&Request) -> bool,
) -> Option<Request> {
    let end = now.plus(span);
    while *now <= end {
        while let Some(request) = fetcher.poll(*now, true) {
            if wanted(&request) {
                return Some(request);
            }
        }
        *now = fetcher.deadline(true)?.max(*now);
    }
    None
}

fn is_download(request: &Request) -> bool {
    matches!(request, Request::Download(_))
}

#[test]
fn silence_leads_to_https_and_what_is_here_is_not_downloaded() {
    let (mut fetcher, blob) = fetching_by(AUTO, 10);
    asked(fetcher.poll(Uptime(0), true));
    fetcher.wrote(blob.digest, 4, Uptime(10));
    let mut now = Uptime(10);
    let told = |request: &Request| matches!(request, Request::Tell(notice) if notice.event);
    let notice = until(&mut fetcher, &mut now, Duration::from_mins(2), told);
    assert!(notice.is_some(), "it says so");
    let Some(Request::Download(download)) = fetcher.poll(now, false) else {
        panic!("it downloads, even offline");
    };
    assert_eq!(ranges(&download), [(0, 4), (5, 5)]);
    assert!(now.since(Uptime(10)) >= AUTO.silence, "not before its time");
    assert!(now.since(Uptime(10)) < AUTO.silence * 2, "{now:?}");
    assert_eq!(fetcher.listening().count(), 0, "the topic is left");
    assert_eq!(fetcher.downloading().collect::<Vec<_>>(), [blob.digest]);
    assert_eq!((fetcher.changes(), fetcher.poll(now, true)), (1, None));
    for index in (0..4).chain(5..10) {
        fetcher.wrote(blob.digest, index, now);
    }
    fetcher.downloaded(blob.digest, Ok(()), now);
    assert_eq!(fetcher.poll(now, true), Some(Request::Verify(blob)));
}

#[test]
fn mqtt_that_delivers_is_never_left() {
    let (mut fetcher, blob) = fetching_by(AUTO, 100);
    let mut now = Uptime(0);
    for index in 0..100 {
        while let Some(request) = fetcher.poll(now, true) {
            assert!(!is_download(&request), "at {now:?}");
        }
        // Slow, but not silent.
        now = now.plus(Duration::from_secs(20));
        fetcher.wrote(blob.digest, index, now);
    }
    assert_eq!(fetcher.changes(), 0);
}

#[test]
fn silence_while_the_link_is_down_is_no_reason_to_leave() {
    let (mut fetcher, _) = fetching_by(AUTO, 10);
    asked(fetcher.poll(Uptime(0), true));
    let hour = Uptime(0).plus(Duration::from_hours(1));
    assert_eq!(fetcher.poll(hour, false), None);
    fetcher.online(hour);
    assert!(matches!(fetcher.poll(hour, true), Some(Request::Ask(_))));
}

#[test]
fn without_https_or_by_setting_mqtt_is_asked_for_ever() {
    let alone = Policy {
        via: Via::Mqtt,
        ..AUTO
    };
    let unknown = Policy {
        https: false,
        ..AUTO
    };
    for policy in [alone, unknown] {
        let (mut fetcher, _) = fetching_by(policy, 10);
        let mut now = Uptime(0);
        let hours = Duration::from_hours(3);
        assert_eq!(until(&mut fetcher, &mut now, hours, is_download), None);
    }
}

#[test]
fn the_next_blob_does_not_wait_for_silent_mqtt_and_later_ones_try_it_again() {
    let (mut fetcher, first) = fetching_by(AUTO, 10);
    let mut now = Uptime(0);
    let minutes = Duration::from_mins(2);
    assert!(until(&mut fetcher, &mut now, minutes, is_download).is_some());
    fetcher.forget(first.digest);
    let mut begin = |now: Uptime, chunks: u64| {
        let blob = blob(chunks);
        fetcher.want(blob);
        assert_eq!(fetcher.poll(now, true), Some(Request::Open(blob)));
        fetcher.opened(blob.digest, Bitmap::new(blob.chunks()), now);
        let request = fetcher.poll(now, true);
        fetcher.forget(blob.digest);
        request
    };
    assert!(matches!(begin(now, 11), Some(Request::Download(_))));
    assert!(matches!(begin(now.plus(SILENT), 12), Some(Request::Ask(_))));
}

#[test]
fn by_setting_https_is_tried_for_ever_ever_less_often() {
    let policy = Policy {
        via: Via::Https,
        ..AUTO
    };
    let (mut fetcher, blob) = fetching_by(policy, 10);
    let mut now = Uptime(0);
    let mut waits = Vec::new();
    for kind in [Kind::Unreachable, Kind::Cut, Kind::Failed, Kind::Busy].repeat(5) {
        let began = now;
        let hour = Duration::from_hours(1);
        let request = until(&mut fetcher, &mut now, hour, is_download);
        assert!(request.is_some(), "it gave up after {waits:?}");
        waits.push(now.since(began));
        fetcher.downloaded(blob.digest, Err(Setback::new(kind, "")), now);
        let (way, trouble) = fetcher.way(blob.digest).expect("it is wanted");
        assert_eq!((way, trouble.is_some()), (Way::Https, true));
    }
    assert!(waits[10] > waits[2] * 4, "{waits:?}");
    assert_eq!(fetcher.changes(), 0);
    let stop = Setback::new(Kind::Refused, "the hub answers 401");
    fetcher.downloaded(blob.digest, Err(stop), now);
    let (_, trouble) = fetcher.way(blob.digest).expect("it is wanted");
    assert_eq!(trouble, Some("refused: the hub answers 401"));
}

#[test]
fn https_that_fails_gives_way_to_mqtt_and_rests() {
    for (kind, attempts) in [(Kind::Missing, 1), (Kind::Unreachable, FAILURES_MAX)] {
        let (mut fetcher, blob) = fetching_by(AUTO, 10);
        let mut now = Uptime(0);
        let hour = Duration::from_hours(1);
        for _ in 0..attempts {
            assert!(until(&mut fetcher, &mut now, hour, is_download).is_some());
            fetcher.downloaded(blob.digest, Err(Setback::new(kind, "")), now);
        }
        assert_eq!(fetcher.listening().count(), 1, "{kind:?}: back to MQTT");
        let failed = now;
        let asks = |request: &Request| matches!(request, Request::Ask(_));
        assert!(until(&mut fetcher, &mut now, hour, asks).is_some());
        assert_eq!(now, failed, "at once");
        assert!(until(&mut fetcher, &mut now, hour, is_download).is_some());
        assert!(now.since(failed) >= HTTPS_REST, "{:?}", now.since(failed));
    }
}

#[test]
fn a_download_that_brings_something_before_each_failure_goes_on() {
    let (mut fetcher, blob) = fetching_by(AUTO, 40);
    let mut now = Uptime(0);
    let hour = Duration::from_hours(1);
    for index in 0..39 {
        let request = until(&mut fetcher, &mut now, hour, is_download);
        let Some(Request::Download(download)) = request else {
            panic!("it stopped at {index}");
        };
        assert_eq!(ranges(&download), [(index, 40 - index)]);
        fetcher.wrote(blob.digest, index, now);
        fetcher.downloaded(blob.digest, Err(Setback::new(Kind::Cut, "")), now);
        assert_eq!(fetcher.downloading().count(), 1);
    }
    assert!(now.0 < 39 * 1_000 + 60_000, "each waits a second: {now:?}");
}

#[test]
fn a_server_that_sends_what_is_not_needed_is_not_asked_in_a_loop() {
    let policy = Policy {
        via: Via::Https,
        ..AUTO
    };
    let (mut fetcher, blob) = fetching_by(policy, 10);
    assert!(matches!(
        fetcher.poll(Uptime(0), true),
        Some(Request::Download(_))
    ));
    fetcher.downloaded(blob.digest, Ok(()), Uptime(0));
    let again = fetcher.deadline(true);
    // The notice first.
    while fetcher.poll(Uptime(0), true).is_some() {}
    let again = fetcher.deadline(true).or(again).expect("it tries again");
    assert!(again.0 > 60_000, "{again:?}");
}

#[test]
fn too_many_bytes_for_one_blob_end_in_a_named_wait_that_grows() {
    let alone = Policy {
        via: Via::Mqtt,
        ..AUTO
    };
    let (mut fetcher, blob) = fetching_by(alone, 100);
    let mut now = Uptime(0);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let mut bytes = 0;
        while fetcher.received(blob.digest, CHUNK, now) {
            bytes += CHUNK as u64;
            assert!(bytes <= way::budget(blob.len), "{bytes} bytes were taken");
        }
        let (_, trouble) = fetcher.way(blob.digest).expect("it is wanted");
        assert!(trouble.is_some_and(|text| text.starts_with("over-budget")));
        assert_eq!(fetcher.listening().count(), 0, "nobody listens meanwhile");
        let began = now;
        let opens = |request: &Request| matches!(request, Request::Open(_));
        assert!(until(&mut fetcher, &mut now, Duration::from_hours(1), opens).is_some());
        waits.push(now.since(began));
        fetcher.opened(blob.digest, Bitmap::new(100), now);
    }
    assert!(waits[3] > waits[0] * 2, "{waits:?}");
    let (mut fetcher, blob) = fetching_by(AUTO, 100);
    while fetcher.received(blob.digest, CHUNK, now) {}
    let (way, _) = fetcher.way(blob.digest).expect("it is wanted");
    assert_eq!(
        way,
        Way::Https,
        "the shared topic is left for what is its own"
    );
}

#[test]
fn what_is_not_wanted_any_more_is_neither_heard_nor_downloaded() {
    for policy in [
        AUTO,
        Policy {
            via: Via::Https,
            ..AUTO
        },
    ] {
        let (mut fetcher, blob) = fetching_by(policy, 10);
        assert!(fetcher.poll(Uptime(0), true).is_some());
        fetcher.forget(blob.digest);
        assert_eq!(fetcher.listening().count(), 0);
        assert_eq!(fetcher.downloading().count(), 0);
        assert_eq!(fetcher.deadline(true), None);
        let taken = fetcher.accepts(blob.digest, 0, CHUNK);
        assert_eq!(taken, Acceptance::Foreign);
        fetcher.downloaded(blob.digest, Ok(()), Uptime(0));
        assert_eq!(fetcher.poll(Uptime(1), true), None);
    }
}

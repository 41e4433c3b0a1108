//! Logs: live, from a place on, and bounded.

use std::fs;

use tern_compute::{job::Ended, local::Observed};

use crate::bench::{Bench, key, shell, wait_for};

#[test]
fn a_log_is_read_while_it_grows() {
    let bench = Bench::new();
    let script = "mkfifo gate; echo one; read word < gate; echo $word";
    bench.start(key(1), &shell(script));
    let part = wait_for("the first line", || {
        let part = bench.local.log(key(1), 0, 1000).unwrap();
        (!part.bytes.is_empty()).then_some(part)
    });
    assert_eq!((part.bytes.as_slice(), part.next), (b"one\n".as_slice(), 4));
    assert!(matches!(
        bench.local.observe(key(1)).unwrap(),
        Observed::Running { .. }
    ));
    let none = bench.local.log(key(1), part.next, 1000).unwrap();
    assert_eq!((none.bytes.len(), none.next, none.total), (0, 4, 4));
    fs::write(bench.work(key(1)).join("gate"), "two\n").unwrap();
    assert_eq!(bench.end_of(key(1)).ended, Ended::Exited(0));
    let rest = bench.local.log(key(1), part.next, 1000).unwrap();
    assert_eq!(rest.bytes, b"two\n");
}

#[test]
fn a_flood_is_bounded_and_says_what_is_missing() {
    let bench = Bench::new();
    let script = "echo begin; yes 0123456789 | head -c 22000000; echo end";
    let exit = bench.run(1, &shell(script));
    assert_eq!(exit.ended, Ended::Exited(0));
    assert_eq!(exit.log_bytes, 22_000_010);
    let log = bench.log(key(1));
    assert!(log.starts_with("begin\n0123456789\n") && log.ends_with("\nend\n"));
    assert!((50_000..=60_000).contains(&log.len()), "{}", log.len());
    let part = bench.local.log(key(1), 10_000, 100).unwrap();
    assert_eq!(part.left_out, 22_000_010 - log.len() as u64);
    assert_eq!(
        part.from,
        10_000 + part.left_out,
        "the next place that there is"
    );
    let entries = fs::read_dir(bench.attempt(key(1)).join("log")).unwrap();
    let bytes: u64 = entries
        .map(|one| one.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(bytes, log.len() as u64);
}

#[test]
fn a_reader_that_is_slower_than_a_flood_gets_what_there_is() {
    let bench = Bench::new();
    bench.start(key(1), &shell("seq 1 300000"));
    let (mut at, mut read) = (0, 0);
    loop {
        let ended = matches!(bench.local.observe(key(1)).unwrap(), Observed::Ended(_));
        let part = bench.local.log(key(1), at, 4096).unwrap();
        assert!(part.from >= at && part.next <= part.total);
        read += part.bytes.len();
        if ended && part.bytes.is_empty() {
            break;
        }
        at = part.next;
    }
    assert!(read >= 50_000);
    assert!(bench.log(key(1)).ends_with("\n300000\n"));
}

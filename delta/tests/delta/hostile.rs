//! Deltas that somebody wrote to do harm.

use tern_delta::{ApplyError, format};
use tern_protocol::blob::BlobRef;

use super::applied;

const BASE: &[u8] = b"0123456789";

/// A delta of raw streams for [`BASE`] and a new file of `len` bytes.
struct Delta(Vec<u8>);

impl Delta {
    fn new(len: u64) -> Self {
        let mut bytes = format::MAGIC.to_vec();
        bytes.push(BASE.len() as u8);
        varint(&mut bytes, len);
        Self(bytes)
    }

    /// A length and a stream as it is.
    fn stream(mut self, bytes: &[u8]) -> Self {
        varint(&mut self.0, bytes.len() as u64);
        if !bytes.is_empty() {
            self.0.push(0);
            self.0.extend_from_slice(bytes);
        }
        self
    }

    fn number(mut self, value: u64) -> Self {
        varint(&mut self.0, value);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn op(tag: u64, len: u64, rest: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, len << 3 | tag);
    for value in rest {
        varint(&mut bytes, *value);
    }
    bytes
}

/// What comes of a delta for a file of ten bytes.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a delta is written where it is refused"
)]
fn refused(delta: Delta) -> ApplyError {
    applied(BASE, &delta.0, b"9876543210").expect_err("it is refused")
}

#[test]
fn a_delta_that_keeps_to_the_rules_works() {
    // Two bytes of the base, three literals, then the rest of it.
    let ops = [op(0, 2, &[0]), op(1, 3, &[]), op(0, 5, &[2 * 3])].concat();
    let delta = Delta::new(10).stream(&ops).stream(b"abc").number(0);
    let out = applied(BASE, &delta.0, b"01abc56789").expect("it applies");
    assert_eq!(out, b"01abc56789");
}

#[test]
fn nothing_outside_the_base_is_read() {
    for (from, len) in [(0, 11), (10, 1), (u64::MAX / 4, 5), (5, 6)] {
        for tag in [0, 2] {
            let delta = Delta::new(10).stream(&op(tag, len, &[from << 1]));
            let err = refused(delta);
            assert!(matches!(err, ApplyError::OutsideBase { .. }), "{err}");
        }
        let delta = Delta::new(10).stream(&op(3, len, &[0, from << 1]));
        let err = refused(delta);
        assert!(matches!(err, ApplyError::OutsideBase { .. }), "{err}");
    }
    // Before its beginning.
    let err = refused(Delta::new(10).stream(&op(0, 5, &[1])));
    assert!(matches!(err, ApplyError::Corrupt(_)), "{err}");
}

#[test]
fn no_more_is_written_than_is_wanted() {
    let ops = [op(0, 10, &[0]), op(0, 10, &[19])].concat();
    let mut out = Vec::new();
    let delta = Delta::new(10).stream(&ops);
    let err = tern_delta::apply(
        std::io::Cursor::new(BASE),
        &delta.0[..],
        BlobRef::of(b"9876543210"),
        &mut out,
    )
    .expect_err("it is refused");
    assert!(matches!(err, ApplyError::Corrupt(_)), "{err}");
    assert!(out.len() <= 10);
    // A block that makes nothing could go on for ever.
    let err = refused(Delta::new(10).stream(&op(2, 5, &[0])).number(0).number(0));
    assert!(matches!(err, ApplyError::Corrupt(_)), "{err}");
}

#[test]
fn lengths_that_do_not_fit_are_refused_before_anything_is_held() {
    let huge = 1 << 40;
    let err = refused(Delta::new(10).number(huge));
    assert!(
        matches!(
            err,
            ApplyError::Bound {
                what: "operations",
                ..
            }
        ),
        "{err}"
    );
    let err = refused(Delta::new(10).stream(&op(1, 10, &[])).number(huge));
    assert!(
        matches!(
            err,
            ApplyError::Bound {
                what: "literals",
                ..
            }
        ),
        "{err}"
    );
    let err = refused(
        Delta::new(10)
            .stream(&op(4, 10, &[0]))
            .number(0)
            .number(huge),
    );
    assert!(
        matches!(err, ApplyError::Bound { what: "pools", .. }),
        "{err}"
    );
    let pool = Delta::new(10)
        .stream(&op(4, 10, &[0]))
        .number(0)
        .number(1)
        .bytes(&[0, 0, 0]);
    let err = refused(pool.number(huge));
    assert!(
        matches!(
            err,
            ApplyError::Bound {
                what: "elements",
                ..
            }
        ),
        "{err}"
    );
    // A stream that claims to be longer packed than unpacked.
    let delta = Delta::new(10).number(3).bytes(&[1]).number(huge);
    let err = refused(delta);
    assert!(
        matches!(
            err,
            ApplyError::Bound {
                what: "packed bytes",
                ..
            }
        ),
        "{err}"
    );
    let many = (0..20).map(|_| op(0, 1, &[1])).collect::<Vec<_>>().concat();
    let err = refused(Delta::new(10).stream(&many));
    assert!(matches!(err, ApplyError::Corrupt(_)), "{err}");
    let err = refused(Delta::new(u64::MAX).stream(&[]));
    assert!(matches!(err, ApplyError::WrongLength { .. }), "{err}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let cases = [
        // Too few literals, a pool that is not there, one without elements, one without its base.
        Delta::new(10)
            .stream(&op(1, 10, &[]))
            .stream(b"abc")
            .number(0),
        Delta::new(10).stream(&op(4, 10, &[0])).number(0).number(0),
        Delta::new(10).stream(&op(4, 10, &[99])).number(0).number(0),
        Delta::new(10)
            .stream(&op(4, 10, &[0]))
            .number(0)
            .number(1)
            .bytes(&[0, 0, 0, 4]),
        Delta::new(10)
            .stream(&op(4, 10, &[0]))
            .number(0)
            .number(1)
            .bytes(&[0, 2, 0, 10]),
        Delta::new(10)
            .stream(&op(4, 10, &[0]))
            .number(0)
            .number(1)
            .bytes(&[6, 0, 0, 10]),
        // Unknown element, method, order, operation, packing; no operation; none of length zero.
        Delta::new(10)
            .stream(&op(4, 10, &[0]))
            .number(0)
            .number(1)
            .bytes(&[8, 0, 0, 10]),
        Delta::new(10)
            .stream(&op(4, 10, &[0]))
            .number(0)
            .number(1)
            .bytes(&[0, 3, 0, 10]),
        Delta::new(10)
            .stream(&op(4, 10, &[0]))
            .number(0)
            .number(1)
            .bytes(&[0, 0, 2, 10]),
        Delta::new(10).stream(&op(7, 10, &[0])),
        Delta::new(10).number(1).bytes(&[9]),
        Delta::new(10).number(0).bytes(&[0]).number(0).number(0),
        Delta::new(10).stream(&[1]),
        // No zstd.
        Delta::new(10).number(9).bytes(&[1, 4]).bytes(b"zstd"),
    ];
    for (index, delta) in cases.into_iter().enumerate() {
        let err = refused(delta);
        assert!(matches!(err, ApplyError::Corrupt(_)), "case {index}: {err}");
    }
}

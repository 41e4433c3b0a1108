//! How a receiver knows that a webhook is from this hub. Pure.
//!
//! The header [`HEADER`] is `t=SECONDS,v1=HEX`: when it was sent, in seconds since 1970 UTC, and HMAC-SHA256
//! with the subscription's secret over `SECONDS`, a full stop, and the body as it was sent. The time is
//! signed so that a receiver can refuse what somebody recorded and sends again later.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt::Write as _;

use tern_protocol::time::WallTime;

/// The header that carries it.
pub const HEADER: &str = "tern-signature";

/// The value of [`HEADER`] for a body that is sent at `now`.
pub fn header(secret: &str, now: WallTime, body: &[u8]) -> String {
    let seconds = now.0.div_euclid(1_000);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .expect("HMAC takes keys of every length (RFC 2104)");
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut text = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_what_openssl_computes() {
        // printf '1700000000.{"version":1}' | openssl dgst -sha256 -hmac planted-secret-of-ours
        let signed = header(
            "planted-secret-of-ours",
            WallTime(1_700_000_000_999),
            br#"{"version":1}"#,
        );
        assert_eq!(
            signed,
            "t=1700000000,v1=4ff8dac11a81e851bbfc169ac30961cbcde7a4ec3d4799063066fb3adc2786e1"
        );
    }

    proptest! {
        #[test]
        fn it_hangs_on_secret_time_and_body(
            secret in "[!-~]{16,64}", at in 0..i64::MAX, body: Vec<u8>, flip: usize,
        ) {
            let now = WallTime(at);
            let signed = header(&secret, now, &body);
            prop_assert_eq!(signed.clone(), header(&secret, now, &body));
            prop_assert_ne!(signed.clone(), header(&format!("{secret}x"), now, &body));
            prop_assert_ne!(signed.clone(), header(&secret, WallTime(at ^ 0x10_0000), &body));
            let mut other = body.clone();
            if body.is_empty() {
                other.push(0);
            } else {
                let place = flip % body.len();
                other[place] ^= 1;
            }
            prop_assert_ne!(signed, header(&secret, now, &other));
        }
    }
}

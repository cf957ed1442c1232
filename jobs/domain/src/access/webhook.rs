//! Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, keyed by what stands behind `whsec_` in base64.
//!
//! Verified over the raw bytes before anything reads them. Several signatures in the header and several secrets on our
//! side keep a rotation seamless. A good signature proves who sent it and when, never that what it says is so.

use super::token::fill;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clawr_engine::db::DbError;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const PREFIX: &str = "whsec_";
/// Clocks may differ by this much, both ways.
const TOLERANCE_S: i64 = 300;
/// More signatures than this in one header are not looked at.
const SIGNATURES_MAX: usize = 16;

/// The three headers.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'h> {
    /// `webhook-id`
    pub id: &'h str,
    /// `webhook-timestamp`, Unix seconds.
    pub timestamp: &'h str,
    /// `webhook-signature`: `v1,<base64>`, several separated by blanks.
    pub signature: &'h str,
}

/// Why a message is not what its signature says. The outside hears only that it is not.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unverified {
    /// The id is empty, too long or contains a full stop.
    #[error("webhook-id is malformed")]
    BadId,
    /// Not a number of seconds.
    #[error("webhook-timestamp is malformed")]
    BadTimestamp,
    /// More than five minutes off.
    #[error("webhook-timestamp is more than 300 s from our time")]
    OutOfTime,
    /// Our own secret is unusable.
    #[error("the signing secret is malformed")]
    BadSecret,
    /// No signature is that of any secret.
    #[error("no webhook-signature matches")]
    NoMatch,
}

/// Whether `body` was signed with one of `secrets` within five minutes of `now_us`.
pub fn verify(secrets: &[&str], headers: Headers<'_>, body: &[u8], now_us: i64) -> Result<(), Unverified> {
    if headers.id.is_empty() || headers.id.len() > 128 || headers.id.contains('.') {
        return Err(Unverified::BadId);
    }
    let digits = !headers.timestamp.is_empty() && headers.timestamp.bytes().all(|b| b.is_ascii_digit());
    let at = headers.timestamp.parse::<i64>().ok().filter(|_| digits).ok_or(Unverified::BadTimestamp)?;
    if (now_us / 1_000_000).abs_diff(at) > TOLERANCE_S.unsigned_abs() {
        return Err(Unverified::OutOfTime);
    }
    let mut found = false;
    for secret in secrets {
        let good = mac(secret, headers.id, headers.timestamp, body).ok_or(Unverified::BadSecret)?;
        for given in headers.signature.split(' ').take(SIGNATURES_MAX) {
            found |= is(given, &good);
        }
    }
    if found { Ok(()) } else { Err(Unverified::NoMatch) }
}

/// The signature header for a message: `v1,<base64>`. `None` if the secret is malformed.
pub fn sign(secret: &str, id: &str, timestamp_s: i64, body: &[u8]) -> Option<String> {
    Some(format!("v1,{}", STANDARD.encode(mac(secret, id, &timestamp_s.to_string(), body)?)))
}

/// A new secret: `whsec_` and 32 random bytes in base64.
pub(super) fn new_secret() -> Result<String, DbError> {
    let mut bytes = [0; 32];
    fill(&mut bytes)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

fn is(given: &str, good: &[u8]) -> bool {
    let bytes = given.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
    bytes.is_some_and(|b| b.ct_eq(good).into())
}

fn mac(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok().filter(|k| (24..=64).contains(&k.len()))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    // the vector published with the specification
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn check(secrets: &[&str], signature: &str, body: &[u8], now_s: i64) -> Result<(), Unverified> {
        verify(secrets, Headers { id: ID, timestamp: "1614265330", signature }, body, now_s * 1_000_000)
    }

    #[test]
    fn the_published_vector_is_signed_and_verified() {
        assert_eq!(sign(SECRET, ID, AT, BODY).as_deref(), Some(SIGNATURE));
        assert_eq!(check(&[SECRET], SIGNATURE, BODY, AT), Ok(()));
    }

    #[test]
    fn one_good_signature_of_one_good_secret_is_enough() {
        let other = new_secret().unwrap();
        let many = format!("v1a,AAAA v1,!! v1,AAAA {SIGNATURE}");
        assert_eq!(check(&[&other, SECRET], &many, BODY, AT), Ok(()));
        assert_eq!(check(&[&other], &many, BODY, AT), Err(Unverified::NoMatch));
        assert_eq!(check(&[], SIGNATURE, BODY, AT), Err(Unverified::NoMatch));
        assert_eq!(check(&["whsec_short"], SIGNATURE, BODY, AT), Err(Unverified::BadSecret));
    }

    #[test]
    fn time_is_tolerated_for_five_minutes_both_ways() {
        for (now, want) in [(300, Ok(())), (-300, Ok(())), (301, Err(Unverified::OutOfTime)), (-301, Err(Unverified::OutOfTime))] {
            assert_eq!(check(&[SECRET], SIGNATURE, BODY, AT + now), want, "{now}");
        }
    }

    #[test]
    fn what_was_not_signed_is_refused() {
        assert_eq!(check(&[SECRET], SIGNATURE, br#"{"test": 2432232315}"#, AT), Err(Unverified::NoMatch));
        let with = |id, timestamp| verify(&[SECRET], Headers { id, timestamp, signature: SIGNATURE }, BODY, AT * 1_000_000);
        assert_eq!(with("msg_x", "1614265330"), Err(Unverified::NoMatch));
        assert_eq!(with("msg.x", "1614265330"), Err(Unverified::BadId));
        assert_eq!(with("", "1614265330"), Err(Unverified::BadId));
        for timestamp in ["", "-1614265330", "+1614265330", "1614265330.0", "99999999999999999999"] {
            assert_eq!(with(ID, timestamp), Err(Unverified::BadTimestamp), "{timestamp}");
        }
    }
}

//! The stored form of sealed args, version 1: JSON text
//! `{"enc":1,"kid":"…","wrapped":"…","nonce":"…","ct":"…"}`, bytes as base64url without padding.
//!
//! | field | what | bytes | letters |
//! |---|---|---|---|
//! | `kid` | id of the key that wraps | | 1 to 32 |
//! | `wrapped` | nonce 12, data key 32, tag 16: AES-256-GCM-SIV under that key | 60 | 80 |
//! | `nonce` | of the content | 12 | 16 |
//! | `ct` | args as JSON text, tag 16: AES-256-GCM under the data key | n + 16 | ⌈4 (n + 16) / 3⌉ |
//!
//! Around them stand 50 letters. Both carry associated data: a word for what they are, and the job's id, kind and tenant,
//! each behind its length as 8 bytes; the wrapped key its `kid`, too. A data key seals once.

use super::keys::{KEY_BYTES, Key, KeyRing};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The version that is written.
const VERSION: i64 = 1;
/// Bytes of a tag.
const TAG: usize = 16;
/// What the two ciphertexts are.
const CONTENT: &str = "clawr args 1";
const DATA_KEY: &str = "clawr args key 1";

/// The job whose args they are.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its kind, as it is stored.
    pub kind: &'a str,
    /// Its tenant's id, or empty.
    pub tenant: &'a str,
}

/// Why sealed args do not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// This process lacks the key; another one, or a later one, may have it.
    #[error("its args are sealed with key {0}, which is not here")]
    NoKey(String),
    /// A newer binary wrote it.
    #[error("its args are sealed in version {0}, which a newer binary knows")]
    Newer(i64),
    /// It is not what was stored for this job.
    #[error("its sealed args are not what was stored for this job: {0}")]
    Broken(&'static str),
}

/// Sealed args.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    enc: i64,
    /// The id of the key that wraps its data key.
    pub kid: String,
    wrapped: String,
    nonce: String,
    ct: String,
}

impl Envelope {
    pub(super) fn seal(key: &Key, bound: &Bound<'_>, plain: &[u8]) -> Result<Envelope, &'static str> {
        let (data_key, nonce) = (random::<KEY_BYTES>()?, random::<NONCE_LEN>()?);
        let mut ct = plain.to_vec();
        let aad = Aad::from(associated(&[CONTENT, bound.id, bound.kind, bound.tenant]));
        let sealing = content_key(&data_key)?;
        sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut ct).map_err(|_| "the content")?;
        let wrapped = wrap(key, bound, &data_key)?;
        Ok(Envelope { enc: VERSION, kid: key.id.clone(), wrapped, nonce: text(&nonce), ct: text(&ct) })
    }

    /// Reads stored args that say they are sealed.
    pub fn read(args: &Json) -> Result<Envelope, OpenError> {
        match args.get("enc").and_then(Json::as_i64) {
            Some(VERSION) => Envelope::deserialize(args).map_err(|_| OpenError::Broken("it is no envelope")),
            Some(newer) if newer > VERSION => Err(OpenError::Newer(newer)),
            _ => Err(OpenError::Broken("it is no envelope")),
        }
    }

    pub(super) fn open(&self, ring: &KeyRing, bound: &Bound<'_>) -> Result<Vec<u8>, OpenError> {
        let data_key = self.unwrap(ring, bound)?;
        let nonce: [u8; NONCE_LEN] = bytes(&self.nonce).and_then(|n| n.try_into().ok()).ok_or(OpenError::Broken("its nonce"))?;
        let mut ct = bytes(&self.ct).ok_or(OpenError::Broken("its content"))?;
        let aad = Aad::from(associated(&[CONTENT, bound.id, bound.kind, bound.tenant]));
        let opening = content_key(&data_key).map_err(OpenError::Broken)?;
        let plain = opening.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut ct);
        plain.map(|plain| plain.to_vec()).map_err(|_| OpenError::Broken("its content"))
    }

    /// The same content with its data key under the ring's current key; `None` = it is under that one already.
    pub(super) fn rewrap(&self, ring: &KeyRing, bound: &Bound<'_>) -> Result<Option<Envelope>, OpenError> {
        let current = ring.current().ok_or_else(|| OpenError::NoKey(self.kid.clone()))?;
        if current.id == self.kid {
            return Ok(None);
        }
        let data_key = self.unwrap(ring, bound)?;
        let wrapped = wrap(current, bound, &data_key).map_err(OpenError::Broken)?;
        Ok(Some(Envelope { kid: current.id.clone(), wrapped, ..self.clone() }))
    }

    fn unwrap(&self, ring: &KeyRing, bound: &Bound<'_>) -> Result<Vec<u8>, OpenError> {
        let key = ring.get(&self.kid).ok_or_else(|| OpenError::NoKey(self.kid.clone()))?;
        let broken = || OpenError::Broken("its data key");
        let mut wrapped = bytes(&self.wrapped).filter(|w| w.len() == NONCE_LEN + KEY_BYTES + TAG).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(&wrapped[..NONCE_LEN]).map_err(|_| broken())?;
        let aad = Aad::from(associated(&[DATA_KEY, &self.kid, bound.id, bound.kind, bound.tenant]));
        let data_key = key.aead.open_in_place(nonce, aad, &mut wrapped[NONCE_LEN..]).map_err(|_| broken())?;
        Ok(data_key.to_vec())
    }

    /// As it is stored.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("texts and a number always serialize")
    }
}

fn wrap(key: &Key, bound: &Bound<'_>, data_key: &[u8]) -> Result<String, &'static str> {
    let nonce = random::<NONCE_LEN>()?;
    let mut wrapped = data_key.to_vec();
    let aad = Aad::from(associated(&[DATA_KEY, &key.id, bound.id, bound.kind, bound.tenant]));
    key.aead.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut wrapped).map_err(|_| "the data key")?;
    Ok(text(&[&nonce[..], &wrapped].concat()))
}

fn content_key(data_key: &[u8]) -> Result<LessSafeKey, &'static str> {
    UnboundKey::new(&AES_256_GCM, data_key).map(LessSafeKey::new).map_err(|_| "its data key")
}

/// Parts of any length, each behind its length.
fn associated(parts: &[&str]) -> Vec<u8> {
    let one = |part: &&str| [&(part.len() as u64).to_be_bytes()[..], part.as_bytes()].concat();
    parts.iter().flat_map(one).collect()
}

fn random<const N: usize>() -> Result<[u8; N], &'static str> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| "no random bytes")?;
    Ok(bytes)
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: Bound<'_> = Bound { id: "job_1", kind: "k", tenant: "ten_1" };
    const PLAIN: &[u8] = br#"{"card":"4111"}"#;

    fn ring(ids: &[&str]) -> KeyRing {
        let line =
            |id: &&str| format!("{id} {}\n", id.chars().cycle().take(64).map(|c| if c == 'n' { 'a' } else { 'b' }).collect::<String>());
        KeyRing::parse(&ids.iter().map(line).collect::<String>()).unwrap()
    }

    fn sealed(ring: &KeyRing) -> Envelope {
        Envelope::seal(ring.current().unwrap(), &JOB, PLAIN).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_has_the_size_that_is_said() {
        let ring = ring(&["n"]);
        let envelope = sealed(&ring);
        assert_eq!(envelope.open(&ring, &JOB).unwrap(), PLAIN);
        let text = envelope.text();
        assert_eq!(text.len(), 50 + 1 + 80 + 16 + (4 * (PLAIN.len() + 16)).div_ceil(3), "{text}");
        assert!(text.starts_with(r#"{"enc":1,"kid":"n","wrapped":""#) && !text.contains("4111"));
        assert_eq!(Envelope::read(&serde_json::from_str(&text).unwrap()), Ok(envelope.clone()));
        assert_ne!(sealed(&ring).ct, envelope.ct, "each job has a key of its own");
    }

    #[test]
    fn in_another_job_it_is_worth_nothing() {
        let ring = ring(&["n"]);
        let envelope = sealed(&ring);
        for other in [Bound { id: "job_2", ..JOB }, Bound { kind: "l", ..JOB }, Bound { tenant: "ten_2", ..JOB }] {
            assert_eq!(envelope.open(&ring, &other), Err(OpenError::Broken("its data key")), "{other:?}");
        }
    }

    #[test]
    fn a_changed_letter_is_seen() {
        let ring = ring(&["n"]);
        let envelope = sealed(&ring);
        let text = envelope.text();
        for at in (0..text.len()).filter(|at| text.as_bytes()[*at].is_ascii_alphanumeric()) {
            let other = if text.as_bytes()[at] == b'x' { "y" } else { "x" };
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            let opened = serde_json::from_str(&changed).ok().map(|json| Envelope::read(&json).and_then(|e| e.open(&ring, &JOB)));
            // the last letter of a base64 text may stand for the same bytes only if it is refused as not canonical
            assert!(!matches!(opened, Some(Ok(_))), "{changed}");
        }
    }

    #[test]
    fn a_rotation_changes_the_wrapping_only_and_the_old_key_opens_no_more() {
        let (old, both, new) = (ring(&["o"]), ring(&["n", "o"]), ring(&["n"]));
        let envelope = sealed(&old);
        assert_eq!(envelope.open(&new, &JOB), Err(OpenError::NoKey("o".into())));
        let moved = envelope.rewrap(&both, &JOB).unwrap().unwrap();
        assert_eq!((moved.kid.as_str(), &moved.ct), ("n", &envelope.ct));
        assert_eq!(moved.open(&new, &JOB).unwrap(), PLAIN);
        assert_eq!(moved.rewrap(&both, &JOB), Ok(None));
        assert_eq!(envelope.rewrap(&both, &Bound { id: "job_2", ..JOB }), Err(OpenError::Broken("its data key")));
    }

    #[test]
    fn a_newer_version_is_not_called_broken() {
        assert_eq!(Envelope::read(&serde_json::json!({"enc": 2})), Err(OpenError::Newer(2)));
        assert_eq!(Envelope::read(&serde_json::json!({"enc": "x"})), Err(OpenError::Broken("it is no envelope")));
    }
}

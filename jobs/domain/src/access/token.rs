//! The text a key's holder has: `clawr_live_<kid>_<secret><checksum>`.
//!
//! The prefix can be searched for, a double click selects all of it, and the checksum lets scanners (and us) tell a typo
//! from a key without asking a store. Pattern: `clawr_live_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clawr_engine::db::DbError;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

const PREFIX: &str = "clawr_live_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KID: usize = 10;
/// 43 characters of 62 are 256 bits.
const SECRET: usize = 43;
const CHECKSUM: usize = 6;

/// Keys the hashes of keys, so that a stolen table alone cannot be searched. Never shown.
#[derive(Clone)]
pub struct Pepper(Vec<u8>);

impl Pepper {
    /// At least 16 bytes.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() >= 16 { Some(Self(bytes)) } else { None }
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper")
    }
}

/// A well-formed key.
pub(super) struct Token<'t> {
    text: &'t str,
    pub kid: &'t str,
}

impl<'t> Token<'t> {
    /// `None` for anything a typo could make of a key.
    pub fn parse(text: &'t str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (kid, tail) = rest.split_once('_')?;
        let base62 = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_alphanumeric());
        if !base62(kid, KID) || !base62(tail, SECRET + CHECKSUM) {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM);
        if checksum(body) == sum { Some(Self { text, kid }) } else { None }
    }

    /// What is stored of it.
    pub fn hash(&self, pepper: &Pepper) -> String {
        hash(self.text, pepper)
    }

    /// Whether its hash is `stored`; takes the same time whatever differs.
    pub fn matches(&self, stored: &str, pepper: &Pepper) -> bool {
        self.hash(pepper).as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

/// A new key: its text and its public part.
pub(super) fn generate() -> Result<(String, String), DbError> {
    let kid = random(KID)?;
    let body = format!("{PREFIX}{kid}_{}", random(SECRET)?);
    let sum = checksum(&body);
    Ok((body + &sum, kid))
}

fn hash(text: &str, pepper: &Pepper) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&pepper.0).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// CRC-32 of the text before it, six digits of base 62.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [ALPHABET[0]; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % 62];
        rest /= 62;
    }
    digits.iter().map(|&b| char::from(b)).collect()
}

/// Random base 62; bytes from 248 on are thrown away, so every character is equally likely.
fn random(length: usize) -> Result<String, DbError> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0u8; 64];
        fill(&mut bytes)?;
        let fair = bytes.iter().filter(|b| **b < 248).map(|b| char::from(ALPHABET[usize::from(*b) % 62]));
        text.extend(fair.take(length - text.len()));
    }
    Ok(text)
}

/// Fills `bytes` from the system's generator.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), DbError> {
    getrandom::fill(bytes).map_err(|e| DbError::Unavailable(format!("no random numbers: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_its_form_and_a_typo_is_no_key() {
        let (text, kid) = generate().unwrap();
        assert_eq!(text.len(), PREFIX.len() + 10 + 1 + 49);
        assert_eq!(Token::parse(&text).unwrap().kid, kid);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            assert!(Token::parse(std::str::from_utf8(&bytes).unwrap()).is_none(), "typo at {at}");
        }
        assert!(Token::parse("").is_none() && Token::parse("clawr_live_é").is_none() && Token::parse(&format!("{text} ")).is_none());
    }

    #[test]
    fn hashes_depend_on_the_pepper() {
        let (text, _) = generate().unwrap();
        let (one, two) = (Pepper::new(vec![1; 32]).unwrap(), Pepper::new(vec![2; 32]).unwrap());
        let token = Token::parse(&text).unwrap();
        let stored = token.hash(&one);
        assert!(token.matches(&stored, &one) && !token.matches(&stored, &two) && !token.matches("", &one));
        assert!(Pepper::new(vec![0; 15]).is_none());
    }

    #[test]
    fn random_text_uses_the_whole_alphabet() {
        let text = random(20_000).unwrap();
        assert!(ALPHABET.iter().all(|c| text.bytes().any(|b| b == *c)));
    }
}

//! SHA-256 as the stores keep it: 43 characters of base64url, because one of them binds no bytes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// SHA-256 of all parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Digest of an object's content: what "the same again" is judged by.
pub(crate) fn content(value: &serde_json::Value) -> String {
    sha256(&[value.to_string().as_bytes()])
}

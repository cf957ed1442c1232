//! Whether a report comes from where its key says, is fresh, and is about the event its headers name.

use crate::problem::Problem;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use clawr_domain::access::Credential;
use clawr_domain::access::webhook::{Headers, verify};
use serde::Deserialize;
use std::borrow::Cow;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Verifies whenever one of the three headers is there, and always where the key asks for it.
pub fn check(credential: &Credential, headers: &HeaderMap, body: &[u8], now_us: i64) -> Result<(), Problem> {
    let is_signed = [ID, TIMESTAMP, SIGNATURE].iter().any(|name| headers.contains_key(name));
    if !is_signed && !credential.require_signature {
        return Ok(());
    }
    let id = once(headers, &ID)?;
    let given = Headers { id, timestamp: once(headers, &TIMESTAMP)?, signature: once(headers, &SIGNATURE)? };
    let secrets: Vec<&str> = credential.signing_secret.iter().map(String::as_str).collect();
    if let Err(why) = verify(&secrets, given, body, now_us) {
        tracing::debug!(key = credential.key_id, "a signature was refused: {why}");
        return Err(bad_signature());
    }
    match event_id(body) {
        Some(event) if event != id => {
            Err(Problem::invalid_at("webhook_id_differs", "/id", "is not the webhook-id this message was signed with").audited())
        }
        _ => Ok(()),
    }
}

fn once<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, Problem> {
    let mut all = headers.get_all(name).iter();
    match (all.next().and_then(|v| v.to_str().ok()), all.next()) {
        (Some(text), None) => Ok(text),
        _ => Err(bad_signature()),
    }
}

/// Nobody hears what was wrong with it.
fn bad_signature() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "bad_signature", "the message is not signed as it must be").audited()
}

/// The id the message gives itself; a message without one is refused by whoever reads it.
fn event_id(body: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Named<'b> {
        #[serde(borrow)]
        id: Cow<'b, str>,
    }
    serde_json::from_slice::<Named<'_>>(body).ok().map(|named| named.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_message_is_found_without_reading_the_rest() {
        assert_eq!(event_id(br#"{"x":{"id":"no"},"id":"evt_1","y":[1]}"#).as_deref(), Some("evt_1"));
        assert_eq!(event_id(br#"{"id":"evt_\u0031"}"#).as_deref(), Some("evt_1"));
        assert_eq!(event_id(br#"{"id":7}"#), None);
        assert_eq!(event_id(b"{"), None);
    }
}

//! `Idempotency-Key`: the same key and body is the first request again, the same key and another body is refused.
//!
//! The key is taken in the engine's register (per tenant or for all global keys, per route, for 30 days) *before* the
//! object is made; every object that is made here is safe to make twice under one name, so a crash in between costs
//! nothing. Jobs do not come here: their key is the job's own identity.

use crate::api::Api;
use crate::auth::Caller;
use crate::problem::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use clawr_engine::db::{Scope, Value};
use sha2::{Digest, Sha256};
use std::time::Duration;

clawr_engine::sql!(TAKE, "sql/idempotency_take.sql");
clawr_engine::sql!(LOOK, "sql/idempotency_look.sql");
clawr_engine::sql!(NOTE, "sql/idempotency_note.sql");

const LIFE_US: i64 = 30 * 24 * 3_600_000_000;
const PATIENCE: Duration = Duration::from_secs(10);
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a request's key says of it.
pub enum Turn {
    /// It has none.
    Free,
    /// The key is new.
    First(Taken),
    /// The same request came before.
    Again(Taken, String),
}

/// A key of the register.
pub struct Taken {
    hash: Vec<u8>,
}

/// The header's value: 1 to 255 visible ASCII characters, at most once.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut all = headers.get_all(HEADER).iter();
    let Some(first) = all.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|t| (1..=255).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic()));
    match (text, all.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => {
            let detail = "Idempotency-Key must be given once, with 1 to 255 visible ASCII characters";
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail))
        }
    }
}

/// Takes the request's key, or finds what it was used for.
pub async fn turn(api: &Api, caller: &Caller, route: &str, headers: &HeaderMap, body: &[u8]) -> Result<Turn, Problem> {
    let Some(key) = key(headers)? else { return Ok(Turn::Free) };
    let whose = caller.scope().tenant().unwrap_or("*");
    let hash = short_hash(&[b"http", whose.as_bytes(), route.as_bytes(), key.as_bytes()]);
    let digest = short_hash(&[body]);
    let now = api.clock().now();
    let commit = vec![
        TAKE.with([Value::from(hash.clone()), Value::from(digest.clone()), (now + LIFE_US).into(), now.into()]),
        LOOK.with([Value::from(hash.clone()), Value::from(digest)]),
    ];
    let rows = api.db().commit_until_known(&Scope::System, commit, PATIENCE).await.0?;
    let taken = Taken { hash };
    if !rows[0].is_empty() {
        return Ok(Turn::First(taken));
    }
    let Some(row) = rows[1].first() else { return Err(Problem::internal(&"an idempotency key vanished")) };
    if !row.flag("same")? {
        return Err(Problem::conflict("idempotency_key_reused", "this Idempotency-Key was used for another body"));
    }
    Ok(Turn::Again(taken, row.text("object")?))
}

impl Turn {
    /// The object that was made the first time, if it is known.
    pub fn object(&self) -> Option<&str> {
        match self {
            Turn::Again(_, object) if !object.is_empty() => Some(object),
            _ => None,
        }
    }

    /// Remembers what was made; losing it costs a replay its object only.
    pub async fn note(&self, api: &Api, object: &str) {
        let (Turn::First(taken) | Turn::Again(taken, _)) = self else { return };
        let note = NOTE.with([Value::from(taken.hash.clone()), object.into()]);
        if let Err(error) = api.db().commit(&Scope::System, vec![note]).await {
            tracing::warn!("failed to note the object of an idempotency key: {error}");
        }
    }

    /// Marks the answer of a request that came before.
    pub fn mark(&self, mut response: Response) -> Response {
        if matches!(self, Turn::Again(..)) {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// Marks an answer as that of a request that came before.
pub fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn short_hash(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].to_vec()
}

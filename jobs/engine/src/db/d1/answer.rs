//! What came back: the envelope, the rows, and which [`DbError`] a refusal is.
//!
//! D1 reports nearly everything as code 7500, so texts decide. The rule behind the table: an error that can arise after
//! the statements ran leaves their fate open.

use crate::db::{DbError, Row, Rows, Value, value::INT_MAX};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// What a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Nothing was changed: the read may be repeated.
    Read,
    /// It may have been committed.
    Write,
}

impl Intent {
    /// The error for a request that was sent and not answered.
    pub(super) fn lost(self, why: impl Into<String>) -> DbError {
        match self {
            Intent::Read => DbError::Unavailable(why.into()),
            Intent::Write => DbError::Unknown(why.into()),
        }
    }
}

/// Texts of failures of D1 itself, in lower case. The transaction may have been committed before any of them.
const FATE_OPEN: &[&str] = &[
    "network connection lost",
    "caused object to be reset",
    "db reset because its code was updated",
    "transient issue on remote node",
    "because client disconnected",
    "overloaded",
    "internal error",
    "exceeded timeout",
    "exceeded its memory limit",
    "exceeded its cpu time limit",
];

/// The daily quota of a free account; D1 says so before it runs anything, until midnight UTC.
const QUOTA: &str = "exceeded d1's free tier daily";

#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    errors: Vec<Fault>,
    #[serde(default)]
    result: Option<Vec<Answer>>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<Map<String, Json>>,
}

/// The rows of every statement, or why there are none. `status` and `body` are those of the HTTP answer.
pub fn read_answer(status: u16, body: &[u8], intent: Intent) -> Result<Vec<Rows>, DbError> {
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) if envelope.success && status == 200 => rows(envelope.result.unwrap_or_default()),
        Ok(envelope) => Err(refusal(status, envelope.errors.first(), intent)),
        Err(_) => Err(stranger(status, intent)),
    }
}

fn refusal(status: u16, fault: Option<&Fault>, intent: Intent) -> DbError {
    let Some(Fault { code, message }) = fault else { return stranger(status, intent) };
    let lower = message.to_ascii_lowercase();
    match status {
        _ if lower.contains(QUOTA) => DbError::Unavailable(message.clone()),
        _ if is_login(status, *code) => bad_token(status),
        429 => DbError::Unavailable("D1 answers 429, too many requests".into()),
        408 | 500.. => intent.lost(format!("D1 answers HTTP {status}: {message}")),
        _ if FATE_OPEN.iter().any(|text| lower.contains(text)) => intent.lost(message.clone()),
        _ => DbError::from_sqlite_text(message),
    }
}

/// Code 10000 is Cloudflare's for a bad login, whatever the status; 7403 is the gateway's for a statement.
fn is_login(status: u16, code: i64) -> bool {
    code == 10_000 && status < 429 || matches!(status, 401 | 403) && code != 7403
}

fn bad_token(status: u16) -> DbError {
    DbError::Bug(format!("D1 refused the token (HTTP {status}): see store.token_file"))
}

/// An answer that is not the API's: a proxy, a captive portal, an edge error page.
fn stranger(status: u16, intent: Intent) -> DbError {
    match status {
        401 | 403 => bad_token(status),
        429 => DbError::Unavailable("D1 answers 429, too many requests".into()),
        408 | 500.. | 200..=299 => intent.lost(format!("HTTP {status} without D1's envelope")),
        _ => DbError::Bug(format!("HTTP {status} without D1's envelope: is the store URL right?")),
    }
}

fn rows(answers: Vec<Answer>) -> Result<Vec<Rows>, DbError> {
    answers.into_iter().map(|answer| table(answer.results)).collect()
}

/// Rows of one statement have the same columns, so they share the names.
fn table(objects: Vec<Map<String, Json>>) -> Result<Rows, DbError> {
    let Some(first) = objects.first() else { return Ok(Vec::new()) };
    let columns: Arc<[String]> = first.keys().cloned().collect();
    objects.into_iter().map(|object| row(&columns, object)).collect()
}

fn row(columns: &Arc<[String]>, object: Map<String, Json>) -> Result<Row, DbError> {
    let values: Result<Vec<Value>, DbError> = object.into_iter().map(|(name, json)| value(&name, json)).collect();
    Ok(Row::new(columns.clone(), values?))
}

fn value(column: &str, json: Json) -> Result<Value, DbError> {
    match json {
        Json::Null => Ok(Value::Text(None)),
        Json::String(text) => Ok(Value::Text(Some(text))),
        Json::Number(number) => integer(&number).map(|n| Value::Int(Some(n))).ok_or_else(|| misread(column, "no exact bigint")),
        Json::Array(bytes) => blob(&bytes).map(|b| Value::Bytes(Some(b))).ok_or_else(|| misread(column, "an array")),
        Json::Bool(_) | Json::Object(_) => Err(misread(column, "neither bigint nor text")),
    }
}

fn misread(column: &str, what: &str) -> DbError {
    DbError::Bug(format!("column {column} is {what}"))
}

/// JSON numbers are doubles on the way: whole ones within ±9·10¹⁵ are exact, all others are a bug of the statement.
fn integer(number: &serde_json::Number) -> Option<i64> {
    let whole = match number.as_i64() {
        Some(n) => n,
        None => {
            let n = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= INT_MAX as f64)?;
            n as i64
        }
    };
    (whole.unsigned_abs() <= INT_MAX.unsigned_abs()).then_some(whole)
}

/// D1 returns a BLOB as an array of its bytes; only a hand can have written one.
fn blob(bytes: &[Json]) -> Option<Vec<u8>> {
    bytes.iter().map(|b| b.as_u64().and_then(|b| u8::try_from(b).ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: i64, message: &str, intent: Intent) -> DbError {
        let body = serde_json::json!({"success": false, "errors": [{"code": code, "message": message}], "result": null});
        read_answer(status, body.to_string().as_bytes(), intent).unwrap_err()
    }

    #[test]
    fn what_may_have_run_is_unknown_for_writes_and_unavailable_for_reads() {
        let cases = [
            (400, "D1_ERROR: Network connection lost."),
            (400, "D1 DB is overloaded. Requests queued for too long."),
            (400, "D1 DB storage operation exceeded timeout which caused object to be reset."),
            (400, "internal error; reference = abc"),
            (503, "gateway failure"),
        ];
        for (status, text) in cases {
            assert!(matches!(refused(status, 7500, text, Intent::Write), DbError::Unknown(_)), "{text}");
            assert!(matches!(refused(status, 7500, text, Intent::Read), DbError::Unavailable(_)), "{text}");
        }
    }

    #[test]
    fn what_cannot_have_run_is_not_unknown() {
        let quota = "D1_ERROR: Exceeded D1's free tier daily row write limit";
        assert!(matches!(refused(400, 7500, quota, Intent::Write), DbError::Unavailable(_)));
        assert!(matches!(refused(429, 10000, "slow down", Intent::Write), DbError::Unavailable(_)));
        assert!(matches!(refused(401, 10000, "Authentication error", Intent::Write), DbError::Bug(t) if t.contains("token")));
        assert!(matches!(refused(403, 7403, "statement not listed", Intent::Write), DbError::Bug(t) if t == "statement not listed"));
        let guard = "D1_ERROR: CHECK constraint failed: stale: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)";
        assert_eq!(refused(400, 7500, guard, Intent::Write), DbError::Guard("stale".into()));
        assert_eq!(refused(400, 7500, "UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT", Intent::Write), DbError::Unique("t_id".into()));
    }

    #[test]
    fn answers_of_strangers_are_never_taken_for_success() {
        assert!(matches!(read_answer(200, b"<html>", Intent::Write), Err(DbError::Unknown(_))));
        assert!(matches!(read_answer(502, b"<html>", Intent::Read), Err(DbError::Unavailable(_))));
        assert!(matches!(read_answer(302, b"", Intent::Write), Err(DbError::Bug(_))));
        assert!(matches!(read_answer(403, b"error code: 1010", Intent::Write), Err(DbError::Bug(_))));
    }

    #[test]
    fn numbers_are_exact_or_a_bug() {
        let read = |json: &str| {
            let body = format!(r#"{{"success":true,"result":[{{"results":[{{"n":{json}}}]}}]}}"#);
            read_answer(200, body.as_bytes(), Intent::Read).and_then(|all| all[0][0].opt_int("n"))
        };
        assert_eq!(read("9000000000000000"), Ok(Some(9_000_000_000_000_000)));
        assert_eq!(read("-7.0"), Ok(Some(-7)));
        assert_eq!(read("1e3"), Ok(Some(1_000)));
        assert_eq!(read("null"), Ok(None));
        for wrong in ["1.5", "9007199254740992", "1e19", "true", "{}", "[300]"] {
            assert!(matches!(read(wrong), Err(DbError::Bug(_))), "{wrong}");
        }
    }
}

//! What is sent, and D1's limits, checked before anything is sent: a limit that D1 reports would come back as one more
//! text among its errors, and only for the statement that happened to be first.
//!
//! JSON numbers bind as REAL on D1, so integers travel as text (the statement casts them back) and bytes as base64url.

use crate::db::{DbError, Engine, Statement, Value};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

const PARAMS_MAX: usize = 100;
const SQL_BYTES_MAX: usize = 100_000;
const VALUE_BYTES_MAX: usize = 2_000_000;
/// Queries of one Worker invocation, which is what a batch costs.
const ENTRIES_MAX: usize = 1_000;
/// What the gateway reads.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A parameter as JSON carries it: text or null, never a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Param(Option<String>);

impl Param {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Param(Some(text.into()))
    }

    pub(super) fn int(n: i64) -> Self {
        Param(Some(n.to_string()))
    }

    pub(super) fn null() -> Self {
        Param(None)
    }
}

impl From<&Value> for Param {
    fn from(value: &Value) -> Self {
        Param(match value {
            Value::Int(n) => n.map(|n| n.to_string()),
            Value::Text(text) => text.clone(),
            Value::Bytes(bytes) => bytes.as_ref().map(|b| URL_SAFE_NO_PAD.encode(b)),
        })
    }
}

/// One statement of a batch.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    sql: &'a str,
    params: Vec<Param>,
}

impl<'a> Entry<'a> {
    pub(super) fn new(sql: &'a str, params: Vec<Param>) -> Self {
        Entry { sql, params }
    }

    pub(super) fn bare(sql: &'a str) -> Self {
        Entry { sql, params: Vec::new() }
    }
}

/// The request body.
#[derive(Serialize)]
struct Body<'a> {
    batch: &'a [Entry<'a>],
}

/// The entries of `statements`, each checked against its declaration and D1's limits.
pub(super) fn entries(statements: &[Statement]) -> Result<Vec<Entry<'_>>, DbError> {
    let entries: Result<Vec<Entry<'_>>, DbError> = statements.iter().map(entry).collect();
    let entries = entries?;
    match statements.first() {
        Some(first) => check_count(first.name(), &entries).map(|()| entries),
        None => Ok(entries),
    }
}

fn entry(statement: &Statement) -> Result<Entry<'_>, DbError> {
    statement.check()?;
    let entry = Entry::new(statement.sql.text(Engine::D1)?, statement.params.iter().map(Param::from).collect());
    check_entry(statement.name(), &entry)?;
    Ok(entry)
}

/// Checks entries that come from no statement file; `name` is what an error names.
pub(super) fn check(name: &str, entries: &[Entry<'_>]) -> Result<(), DbError> {
    entries.iter().try_for_each(|entry| check_entry(name, entry))?;
    check_count(name, entries)
}

fn check_count(name: &str, entries: &[Entry<'_>]) -> Result<(), DbError> {
    within(name, "statements in one commit", entries.len(), ENTRIES_MAX)
}

fn check_entry(name: &str, entry: &Entry<'_>) -> Result<(), DbError> {
    within(name, "parameters", entry.params.len(), PARAMS_MAX)?;
    within(name, "bytes of SQL", entry.sql.len(), SQL_BYTES_MAX)?;
    let sizes = entry.params.iter().map(|p| p.0.as_ref().map_or(0, String::len));
    within(name, "bytes in one value", sizes.max().unwrap_or(0), VALUE_BYTES_MAX)
}

fn within(name: &str, what: &str, given: usize, max: usize) -> Result<(), DbError> {
    match given <= max {
        true => Ok(()),
        false => Err(DbError::Bug(format!("{name}: {given} {what}, D1 takes {max}"))),
    }
}

/// The body of one request.
pub(super) fn body(entries: &[Entry<'_>]) -> Result<Vec<u8>, DbError> {
    let body = serde_json::to_vec(&Body { batch: entries });
    let body = body.map_err(|e| DbError::Bug(format!("failed to write a request: {e}")))?;
    within("a commit", "bytes in one request", body.len(), BODY_BYTES_MAX)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Sql;

    static PUT: Sql = Sql::one("put", "-- params: int, text?, bytes\ninsert into t values ($1, $2, $3)");

    #[test]
    fn integers_and_bytes_travel_as_text_and_null_as_null() {
        let statements = [PUT.with([7.into(), Value::Text(None), vec![255, 254].into()])];
        let text = String::from_utf8(body(&entries(&statements).unwrap()).unwrap()).unwrap();
        let want = r#"{"batch":[{"sql":"insert into t values (cast(?1 as integer), ?2, ?3)","params":["7",null,"__4"]}]}"#;
        assert_eq!(text, want);
    }

    #[test]
    fn limits_name_the_file() {
        let value = |bytes: usize| PUT.with([1.into(), "x".repeat(bytes).into(), vec![].into()]);
        assert!(entries(&[value(VALUE_BYTES_MAX)]).is_ok());
        let cases = [
            entries(&[value(VALUE_BYTES_MAX + 1)]).map(drop),
            entries(&vec![value(1); ENTRIES_MAX + 1]).map(drop),
            check("put", &[Entry::new("select 1", vec![Param::null(); PARAMS_MAX + 1])]),
            check("put", &[Entry::bare(&"x".repeat(SQL_BYTES_MAX + 1))]),
        ];
        for case in cases {
            assert!(matches!(&case, Err(DbError::Bug(why)) if why.starts_with("put: ")), "{case:?}");
        }
    }
}

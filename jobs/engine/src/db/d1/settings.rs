//! What `doctor` learns about a D1 database: promises that this project needs and Cloudflare's documents leave open are
//! tried out, on a table that exists only while the answer is bad.

use super::answer::Intent;
use super::transport::Http;
use super::wire::{Entry, Param};
use crate::db::{DbError, Row};

const PROBE_MAKE: &str = "create table if not exists clawr_atomicity_probe (marker integer)";
const PROBE_MARK: &str = "insert into clawr_atomicity_probe (marker) values (1)";
/// Fails when it runs, not when it is prepared: the statements before it have run by then.
const PROBE_FAIL: &str = "select json_extract('not json', '$')";
const PROBE_LOOK: &str = "select count(*) as n from sqlite_master where name = 'clawr_atomicity_probe'";
const PROBE_CLEAN: &str = "drop table if exists clawr_atomicity_probe";
const BINDS: &str = "select typeof(?1) as absent, cast(cast(?2 as integer) as text) as number";

pub(super) async fn read(http: &Http) -> Result<Vec<(String, String)>, DbError> {
    let facts = [
        ("transport", http.endpoint().transport().to_string()),
        ("endpoint", http.endpoint().to_string()),
        ("batch_atomic", atomicity(http).await?),
        ("binds_exact", binds(http).await?),
    ];
    Ok(facts.map(|(name, value)| (name.to_owned(), value)).into())
}

/// A batch whose last statement fails must leave nothing of the earlier ones.
async fn atomicity(http: &Http) -> Result<String, DbError> {
    let batch = [PROBE_MAKE, PROBE_MARK, PROBE_FAIL].map(Entry::bare);
    match http.send(&batch, Intent::Write).await {
        Err(DbError::Bug(text)) if text.contains("malformed JSON") => marker_absent(http).await,
        Err(DbError::Bug(text)) => Ok(format!("not tried: {text}")),
        Err(other) => Err(other),
        Ok(_) => clean(http).await.map(|()| "no: a failing statement passed".into()),
    }
}

async fn marker_absent(http: &Http) -> Result<String, DbError> {
    match one(http, Entry::bare(PROBE_LOOK)).await?.int("n")? {
        0 => Ok("yes".into()),
        _ => clean(http).await.map(|()| "no: a failed batch left its first statements".into()),
    }
}

async fn clean(http: &Http) -> Result<(), DbError> {
    http.send(&[Entry::bare(PROBE_CLEAN)], Intent::Write).await.map(drop)
}

/// NULL must arrive as NULL and an integer beyond 2⁵³ unrounded.
async fn binds(http: &Http) -> Result<String, DbError> {
    let number = i64::MAX;
    let entry = Entry::new(BINDS, vec![Param::null(), Param::int(number)]);
    match one(http, entry).await {
        Ok(row) if row.text("absent")? != "null" => Ok("no: NULL arrives as a value".into()),
        Ok(row) if row.text("number")? != number.to_string() => Ok("no: integers are rounded".into()),
        Ok(_) => Ok("yes".into()),
        Err(DbError::Bug(text)) => Ok(format!("no: {text}")),
        Err(other) => Err(other),
    }
}

async fn one(http: &Http, entry: Entry<'_>) -> Result<Row, DbError> {
    let mut answers = http.send(&[entry], Intent::Read).await?;
    answers.pop().and_then(|mut rows| rows.pop()).ok_or_else(|| DbError::Bug("a probe returned no row".into()))
}

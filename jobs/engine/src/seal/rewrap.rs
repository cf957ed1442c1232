//! Rotation: which keys stored jobs need, and their data keys under the current one.
//!
//! What is re-wrapped means the same as before, so no `rev` moves and a job that runs is not disturbed; a row that moved
//! since it was read is left to the next pass. Jobs, those that ended and those that groups make later are looked at in this
//! order, which is the way a job goes.

use super::{Bound, Envelope, OpenError};
use crate::db::{DbError, Row, Scope, Sql, Statement};
use crate::queue::Queue;
use serde_json::Value as Json;
use std::collections::BTreeMap;

crate::sql!(JOBS, "../sql/sealed_jobs.sql");
crate::sql!(ARCHIVE, "../sql/sealed_archive.sql");
crate::sql!(CALLBACKS, "../sql/sealed_callbacks.sql");
crate::sql!(REWRAP_JOB, "../sql/rewrap_job.sql");
crate::sql!(REWRAP_ARCHIVED, "../sql/rewrap_archived.sql");
crate::sql!(REWRAP_CALLBACK, "../sql/rewrap_callback.sql");

/// Where sealed args are, and how those of one row are put.
const TABLES: [(&Sql, &Sql); 3] = [(&CALLBACKS, &REWRAP_CALLBACK), (&JOBS, &REWRAP_JOB), (&ARCHIVE, &REWRAP_ARCHIVED)];
/// Rows that a count reads at once.
const COUNTED: i64 = 2_000;
/// Letters of args that tell the key: the beginning and the longest id.
const HEAD: i64 = 64;
/// Letters of the whole args, however long.
const WHOLE: i64 = 10_000_000;

/// How many rows need each key, by its id.
pub type Needs = BTreeMap<String, usize>;

/// What a pass did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Rows whose data key is under the current key now.
    pub done: usize,
    /// Rows that moved meanwhile; the next pass takes them.
    pub moved: usize,
    /// Rows that cannot be re-wrapped: id of the job and why.
    pub left: Vec<(String, OpenError)>,
}

impl Queue {
    /// How many rows of kinds that encrypt need each key, those of ended jobs with them.
    pub async fn sealed_by_key(&self) -> Result<Needs, DbError> {
        let mut needs = Needs::new();
        for (select, _) in TABLES {
            let mut after = String::new();
            loop {
                let rows = self.sealed_rows(select, &after, HEAD, COUNTED).await?;
                let Some(last) = rows.last() else { break };
                after = last.text("id")?;
                for row in &rows {
                    if let Some(kid) = self.needed(row)? {
                        *needs.entry(kid).or_insert(0) += 1;
                    }
                }
            }
        }
        Ok(needs)
    }

    /// One pass over everything that is sealed under a key that is not the current one, `batch` rows in a commit; `told`
    /// hears how many more rows were looked at.
    pub async fn rewrap_args(&self, batch: i64, mut told: impl FnMut(usize)) -> Result<Rewrapped, DbError> {
        let mut all = Rewrapped::default();
        for (select, put) in TABLES {
            let mut after = String::new();
            loop {
                let rows = self.sealed_rows(select, &after, WHOLE, batch).await?;
                let Some(last) = rows.last() else { break };
                after = last.text("id")?;
                self.rewrap_rows(&rows, put, &mut all).await?;
                told(rows.len());
            }
        }
        Ok(all)
    }

    async fn sealed_rows(&self, select: &'static Sql, after: &str, letters: i64, limit: i64) -> Result<Vec<Row>, DbError> {
        self.db.query(&Scope::System, select.with([after.into(), letters.into(), limit.into()])).await
    }

    async fn rewrap_rows(&self, rows: &[Row], put: &'static Sql, all: &mut Rewrapped) -> Result<(), DbError> {
        let mut commit = Vec::new();
        for row in rows {
            match self.rewrapped(row)? {
                Ok(Some(args)) => commit.push(statement(put, row, &args)?),
                Ok(None) => {}
                Err(why) => all.left.push((row.text("id")?, why)),
            }
        }
        if commit.is_empty() {
            return Ok(());
        }
        let asked = commit.len();
        // no door: re-wrapped twice is re-wrapped
        let done = self.db.commit(&Scope::System, commit).await?.iter().filter(|rows| !rows.is_empty()).count();
        all.done += done;
        all.moved += asked - done;
        Ok(())
    }

    fn rewrapped(&self, row: &Row) -> Result<Result<Option<String>, OpenError>, DbError> {
        let (id, kind, tenant) = (row.text("id")?, row.text("kind")?, row.text("tenant")?);
        if !self.sealing.seals(&kind) {
            return Ok(Ok(None));
        }
        let args: Json = serde_json::from_str(&row.text("args")?).unwrap_or_default();
        let bound = Bound { id: &id, kind: &kind, tenant: &tenant };
        let moved = Envelope::read(&args).and_then(|envelope| envelope.rewrap(self.sealing.ring(), &bound));
        Ok(moved.map(|envelope| envelope.map(|e| e.text())))
    }

    /// The key that a row needs, out of the beginning of its args.
    fn needed(&self, row: &Row) -> Result<Option<String>, DbError> {
        let head = row.text("args")?;
        let kid = head.split_once("\"kid\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(kid, _)| kid.to_owned());
        Ok(if self.sealing.seals(&row.text("kind")?) { kid } else { None })
    }
}

fn statement(put: &'static Sql, row: &Row, args: &str) -> Result<Statement, DbError> {
    Ok(put.with([row.text("id")?.into(), row.int("rev")?.into(), args.into()]))
}

//! Proof that the trail is whole: every hash recomputed, no gap in a chain, no entry outside it for longer than 5 s.
//!
//! What a chain cannot show by itself is a missing tail; that needs a signed checkpoint kept elsewhere.

use super::chain::{link, origin};
use super::list::Entry;
use clawr_engine::db::{Db, DbError, Row, Scope};

clawr_engine::sql!(WALK, "../sql/audit_seals_walk.sql");
clawr_engine::sql!(NEVER_SEALED, "../sql/audit_never_sealed.sql");
clawr_engine::sql!(COUNT, "../sql/audit_count.sql");

/// An entry may be outside the chain this long.
const GRACE_US: i64 = 5_000_000;
/// More findings than this are counted, not listed.
const FINDINGS_MAX: usize = 100;

/// One break in the trail.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// `gap`, `prev_differs`, `hash_differs`, `entry_missing`, `never_sealed`.
    pub what: &'static str,
    /// The chain.
    pub stream: String,
    /// The place in it; 0 for an entry outside.
    pub seq: i64,
    /// The entry.
    pub entry_id: String,
}

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Chains walked.
    pub streams: u64,
    /// Entries stored.
    pub entries: u64,
    /// Seals recomputed.
    pub sealed: u64,
    /// Breaks found, listed or not.
    pub broken: u64,
    /// The first hundred breaks.
    pub findings: Vec<Finding>,
}

impl Report {
    /// True if nothing is broken.
    pub fn is_whole(&self) -> bool {
        self.broken == 0
    }

    fn found(&mut self, what: &'static str, stream: &str, seq: i64, entry_id: &str) {
        self.broken += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { what, stream: stream.into(), seq, entry_id: entry_id.into() });
        }
    }
}

/// Walks all chains in batches. `now` is the clock's time in microseconds.
pub async fn verify(db: &Db, now: i64) -> Result<Report, DbError> {
    let mut report = Report::default();
    walk(db, &mut report).await?;
    never_sealed(db, now - GRACE_US, &mut report).await?;
    if let Some(row) = db.query(&Scope::System, COUNT.with([])).await?.first() {
        report.entries = u64::try_from(row.int("n")?).unwrap_or(0);
    }
    Ok(report)
}

async fn walk(db: &Db, report: &mut Report) -> Result<(), DbError> {
    let mut at = Place { stream: String::new(), seq: 0, hash: origin() };
    loop {
        let rows = db.query(&Scope::System, WALK.with([at.stream.as_str().into(), at.seq.into()])).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            at.step(row, report)?;
        }
    }
}

/// How far the walk has come.
struct Place {
    stream: String,
    seq: i64,
    hash: String,
}

impl Place {
    fn step(&mut self, row: &Row, report: &mut Report) -> Result<(), DbError> {
        let (stream, seq, prev, hash) = (row.text("stream")?, row.int("seq")?, row.text("prev")?, row.text("hash")?);
        let entry_id = row.text("entry_id")?;
        if stream != self.stream {
            *self = Place { stream, seq: 0, hash: origin() };
            report.streams += 1;
        }
        report.sealed += 1;
        if seq != self.seq + 1 {
            report.found("gap", &self.stream, seq, &entry_id);
        }
        if prev != self.hash {
            report.found("prev_differs", &self.stream, seq, &entry_id);
        }
        let entry = Entry { stream: row.text("entry_stream")?, ..Entry::from_row(row)? };
        if entry.id.is_empty() {
            report.found("entry_missing", &self.stream, seq, &entry_id);
        } else if link(&prev, &entry) != hash || entry.stream != self.stream {
            report.found("hash_differs", &self.stream, seq, &entry_id);
        }
        (self.seq, self.hash) = (seq, hash);
        Ok(())
    }
}

async fn never_sealed(db: &Db, before: i64, report: &mut Report) -> Result<(), DbError> {
    let mut after = String::new();
    loop {
        let rows = db.query(&Scope::System, NEVER_SEALED.with([before.into(), after.as_str().into()])).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.text("id")?;
        for row in &rows {
            report.found("never_sealed", &row.text("stream")?, 0, &row.text("id")?);
        }
    }
}

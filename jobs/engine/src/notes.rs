//! What a running job says of itself, for people: how far it is, and lines. Said at once, kept within a second and at the
//! end of the attempt, under the job's lease. Bounded: of an attempt [`LINES_MAX`] lines of [`LINE_BYTES`] bytes are kept,
//! what comes after is counted. What looks like a credential is masked before it is kept.

use crate::db::{DbError, Rows, Scope};
use crate::job::Claimed;
use crate::queue::Queue;
use crate::seal::Hidden;
use crate::write::json;
use serde_json::{Value as Json, json as object};
use std::sync::{Arc, Mutex};
use std::time::Duration;

crate::sql!(PROGRESS, "sql/notes_progress.sql");
crate::sql!(LOG, "sql/notes_log.sql");
crate::sql!(OF_JOB, "sql/notes_of_job.sql");
crate::sql!(PROGRESS_OF_JOB, "sql/notes_progress_of_job.sql");

/// Lines kept of one attempt.
pub const LINES_MAX: usize = 500;
/// Bytes kept of one line.
pub const LINE_BYTES: usize = 1_000;
/// How often what was said is kept.
pub const KEPT_EVERY: Duration = Duration::from_secs(1);
/// Lines in one commit.
const CHUNK: usize = 100;

/// The notes of one attempt. Cheap to clone.
#[derive(Clone)]
pub struct Notes {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Queue,
    job: Arc<Claimed>,
    /// Lines are numbered from the time of the run: an attempt that is given back runs again under its number.
    from: i64,
    hidden: Hidden,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    progress: Option<Json>,
    lines: Vec<Json>,
    count: usize,
    dropped: usize,
}

impl Notes {
    /// Of one attempt.
    pub fn of(queue: Queue, job: Arc<Claimed>) -> Self {
        Self::hiding(queue, job, Hidden::default())
    }

    /// The same without what must not be said.
    pub fn hiding(queue: Queue, job: Arc<Claimed>, hidden: Hidden) -> Self {
        let from = queue.clock().now();
        Self { inner: Arc::new(Inner { queue, job, from, hidden, said: Mutex::default() }) }
    }

    /// How far the job is: 0 to 100, and at what.
    pub fn progress(&self, percent: u8, note: &str) {
        let job = &self.inner.job;
        let row = object!({
            "job": job.id, "lease": job.lease, "percent": percent.min(100), "note": self.kept(note), "at": self.inner.queue.clock().now(),
        });
        self.said().progress = Some(row);
    }

    /// A line.
    pub fn log(&self, line: &str) {
        let mut said = self.said();
        if said.count >= LINES_MAX {
            said.dropped += 1;
            return;
        }
        said.count += 1;
        let row = self.row(said.count, &self.kept(line));
        said.lines.push(row);
    }

    fn kept(&self, text: &str) -> String {
        kept(&self.inner.hidden.without(text))
    }

    fn row(&self, seq: usize, line: &str) -> Json {
        let job = &self.inner.job;
        let at = self.inner.queue.clock().now();
        let seq = self.inner.from + i64::try_from(seq).unwrap_or(0);
        object!({ "job": job.id, "lease": job.lease, "attempt": job.attempt, "seq": seq, "line": line, "at": at })
    }

    /// Keeps what was said since the last time. What could not be kept is tried again with what is said next.
    pub async fn keep(&self) -> Result<(), DbError> {
        let (progress, lines) = {
            let mut said = self.said();
            (said.progress.take(), std::mem::take(&mut said.lines))
        };
        let mut commit: Vec<_> = progress.iter().map(|row| PROGRESS.with([json(&[row]).into()])).collect();
        commit.extend(lines.chunks(CHUNK).map(|part| LOG.with([json(part).into()])));
        if commit.is_empty() {
            return Ok(());
        }
        // in a box: most jobs say nothing, and each that is in flight has room for this
        let kept = Box::pin(self.inner.queue.db().commit(&Scope::System, commit)).await;
        if kept.is_err() {
            let mut said = self.said();
            said.progress = said.progress.take().or(progress);
            said.lines.splice(0..0, lines);
        }
        kept.map(|_| ())
    }

    /// Keeps everything, and says how many lines were too many: at the end of the attempt, before its outcome.
    pub async fn keep_all(&self) -> Result<(), DbError> {
        let dropped = std::mem::take(&mut self.said().dropped);
        if dropped > 0 {
            let row = self.row(LINES_MAX + 1, &format!("({dropped} more lines were not kept)"));
            self.said().lines.push(row);
        }
        self.keep().await
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.inner.said.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A text as it may be kept: bounded, without NUL and line breaks, credentials masked.
fn kept(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for mark in ["clawr_live_", "whsec_", "Bearer ", "bearer "] {
        line = masked(&line, mark);
    }
    let mut end = line.len().min(LINE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line
}

/// Whatever stands behind `mark` up to the next blank, quote or comma becomes `***`.
fn masked(line: &str, mark: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(at) = rest.find(mark) {
        let (before, secret) = rest.split_at(at + mark.len());
        let end = secret.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',')).unwrap_or(secret.len());
        out.push_str(before);
        out.push_str("***");
        rest = &secret[end..];
    }
    out.push_str(rest);
    out
}

impl Queue {
    /// Lines of a job in order, after line `seq` of `attempt`, at most `limit` (≤ 201): `attempt seq line at`.
    pub async fn logs(&self, scope: &Scope, job: &str, after: (i64, i64), limit: i64) -> Result<Rows, DbError> {
        let (attempt, seq) = after;
        self.db.query(scope, OF_JOB.with([scope.param(), job.into(), attempt.into(), seq.into(), limit.clamp(1, 201).into()])).await
    }

    /// How far a job said it is: (percent, note, when in microseconds).
    pub async fn progress(&self, scope: &Scope, job: &str) -> Result<Option<(i64, String, i64)>, DbError> {
        let rows = self.db.query(scope, PROGRESS_OF_JOB.with([scope.param(), job.into()])).await?;
        rows.first().map(|row| Ok((row.int("percent")?, row.text("note")?, row.int("at")?))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_and_lines_bounded() {
        assert_eq!(
            kept("sent with clawr_live_abc123, \"whsec_zzz\" and\nBearer tok.en"),
            "sent with clawr_live_***, \"whsec_***\" and Bearer ***"
        );
        assert_eq!(kept(&"é".repeat(900)).len(), LINE_BYTES);
        assert_eq!(kept("nothing to hide"), "nothing to hide");
    }
}

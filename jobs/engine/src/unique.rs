//! Jobs of a kind that count as one: which they are ([`Unique`]) and what becomes of the second ([`OnConflict`]).
//!
//! A live job holds the **slot** of its unique key, from enqueue to its end, in a column under a unique index: no claim,
//! retry, snooze or rescue ever meets it, and the delete that ends the job frees it. A policy may let a second job queue
//! once the first is past waiting for a claim: then the second *takes the slot over* and the first goes on without one.
//! Throttles are about time and not about liveness: they have a table of their own.
//!
//! Within the enqueue's commit, the statements first take slots or lock their holders, then replace what still waits,
//! take slots over, and note which job stands for each row. The note is part of the commit, so a repeat after a lost
//! reply reads the same answers.

use crate::clock::micros;
use crate::db::{DbError, Row, Statement};
use crate::enqueue::{CHUNK, JobRow};
use crate::job::{Enqueued, NewJob};
use crate::queue::keyed_hash;
use crate::write::json;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::time::Duration;

crate::sql!(TAKE, "sql/unique_take.pg.sql", "sql/unique_take.lite.sql");
crate::sql!(REPLACE, "sql/unique_replace.pg.sql", "sql/unique_replace.lite.sql");
crate::sql!(YIELD, "sql/unique_yield.pg.sql", "sql/unique_yield.lite.sql");
crate::sql!(NOTE, "sql/unique_note.pg.sql", "sql/unique_note.lite.sql");
crate::sql!(NOTED, "sql/unique_noted.sql");
crate::sql!(THROTTLE, "sql/throttle_take.pg.sql", "sql/throttle_take.lite.sql");
crate::sql!(REPOINT, "sql/register_repoint.pg.sql", "sql/register_repoint.lite.sql");
crate::sql!(RELEASE, "sql/register_release.pg.sql", "sql/register_release.lite.sql");

/// What becomes of a job when one like it is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// The live one stands for both.
    Return,
    /// The second is refused.
    Reject,
    /// The live one does what was asked for last, when it was asked for. Its attempts so far stay.
    Replace,
    /// As [`OnConflict::Replace`], and it runs `window` after the last request, at most `max_wait` after the first.
    Debounce {
        /// Quiet time that a run waits for.
        window: Duration,
        /// Longest wait.
        max_wait: Duration,
    },
    /// One is let through, then none for this long, whatever became of it.
    Throttle {
        /// From one that is let through to the next.
        per: Duration,
    },
}

/// Which jobs of a kind and tenant count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unique {
    /// JSON pointers into the args that must be equal; none = the whole args.
    pub by: &'static [&'static str],
    /// Only within the same period of this length, by `run_at`; `None` = at all times.
    pub period: Option<Duration>,
    /// Only within the same queue.
    pub in_queue: bool,
    /// A second one may queue once the first is past waiting for a claim: runs, sleeps or is held. Replace and debounce
    /// always allow it: what runs cannot be replaced.
    pub while_running: bool,
    /// What becomes of the second.
    pub on_conflict: OnConflict,
}

impl Unique {
    /// By the whole args, at all times, in all queues, from enqueue to end.
    pub const fn new(on_conflict: OnConflict) -> Self {
        Self { by: &[], period: None, in_queue: false, while_running: false, on_conflict }
    }

    /// The first of `by` that the args lack.
    pub fn missing(&self, args: &Json) -> Option<&'static str> {
        self.by.iter().copied().find(|pointer| args.pointer(pointer).is_none())
    }

    fn takes_over(&self) -> bool {
        self.while_running || matches!(self.on_conflict, OnConflict::Replace | OnConflict::Debounce { .. })
    }

    /// 128 bits as base64url of everything in which jobs must be equal; the args before any encryption.
    fn key(&self, pepper: &[u8], job: &NewJob, run_at: i64) -> Result<String, DbError> {
        let args: Json = serde_json::from_str(&job.args).map_err(|e| DbError::Bug(format!("args of a unique job are not JSON: {e}")))?;
        if let Some(field) = self.missing(&args) {
            return Err(DbError::Bug(format!("jobs of kind {} are unique by {field}, which the args lack", job.kind)));
        }
        let fields = if self.by.is_empty() { args } else { self.by.iter().filter_map(|pointer| args.pointer(pointer)).cloned().collect() };
        let period = self.period.map_or_else(String::new, |length| (run_at.div_euclid(micros(length))).to_string());
        let queue = if self.in_queue { job.queue.as_str() } else { "" };
        let parts = ["unique", &job.tenant, job.family(), &fields.to_string(), &period, queue];
        Ok(URL_SAFE_NO_PAD.encode(keyed_hash(pepper, &parts)))
    }
}

/// Refuses impossible policies, in a constant and so when compiled.
///
/// ```compile_fail
/// use clawr_engine::unique::{OnConflict, Unique, check};
/// const _: () = check(Some(Unique::new(OnConflict::Throttle { per: std::time::Duration::ZERO })));
/// ```
pub const fn check(unique: Option<Unique>) {
    let Some(unique) = unique else { return };
    crate::kind::check_pointers(unique.by);
    if let Some(period) = unique.period {
        assert!(period.as_micros() > 0, "unique: a period of no length");
    }
    match unique.on_conflict {
        OnConflict::Debounce { window, max_wait } => {
            assert!(window.as_micros() > 0, "unique: a debounce without window");
            assert!(max_wait.as_micros() >= window.as_micros(), "unique: a debounce's longest wait is shorter than its window");
        }
        OnConflict::Throttle { per } => {
            assert!(per.as_micros() > 0, "unique: a throttle of no length");
            assert!(!unique.while_running && unique.period.is_none(), "unique: a throttle counts time only: no period, no while_running");
        }
        OnConflict::Return | OnConflict::Reject | OnConflict::Replace => {}
    }
}

/// What a row says about its slot.
#[derive(serde::Serialize, Clone)]
pub(crate) struct Hold {
    /// The unique key, or empty for a throttle.
    pub unique_key: String,
    /// When a throttle is free again, microseconds; 0 = no throttle.
    free_at: i64,
    /// Order within the call, from 1.
    n: i64,
    /// The row of the smallest turn decides what is asked for: `n`, or `-n` where the last one wins.
    turn: i64,
    /// Microseconds from the making of a job to its latest run; 0 = no debounce.
    max_wait: i64,
    /// 1 = the slot of a holder that is past waiting for a claim is taken over.
    yields: i64,
    #[serde(skip)]
    on_conflict: OnConflict,
}

impl Hold {
    /// The answer of a row for which the job `holder` stands that it did not make.
    pub fn answer(&self, holder: &str) -> Enqueued {
        let id = holder.to_owned();
        match self.on_conflict {
            OnConflict::Return => Enqueued::Duplicate { id },
            OnConflict::Reject => Enqueued::Taken { id },
            OnConflict::Replace | OnConflict::Debounce { .. } => Enqueued::Replaced { id },
            OnConflict::Throttle { .. } => Enqueued::Throttled { id },
        }
    }

    /// Whether what it asks for may come to stand in a job that waits already.
    pub fn replaces(&self) -> bool {
        self.turn < 0
    }

    /// The answer of a second row with the same key and content as row `id`.
    pub fn again(&self, holder: &str, id: &str) -> Enqueued {
        let is_refused = holder != id && self.on_conflict == OnConflict::Reject;
        if is_refused { self.answer(holder) } else { Enqueued::Duplicate { id: holder.to_owned() } }
    }
}

/// A row's hold and the key of its throttle, which is empty for every other policy. Call before the row is made: a
/// debounced job waits for its window.
pub(crate) fn hold(pepper: &[u8], job: &mut NewJob, n: usize, now: i64) -> Result<(Option<Hold>, String), DbError> {
    let Some(unique) = job.unique else { return Ok((None, String::new())) };
    let key = unique.key(pepper, job, job.run_at.unwrap_or(now))?;
    let n = i64::try_from(n).unwrap_or(i64::MAX - 1) + 1;
    let mut hold = Hold {
        unique_key: key,
        free_at: 0,
        n,
        turn: n,
        max_wait: 0,
        yields: i64::from(unique.takes_over()),
        on_conflict: unique.on_conflict,
    };
    match unique.on_conflict {
        OnConflict::Return | OnConflict::Reject => {}
        OnConflict::Replace => hold.turn = -n,
        OnConflict::Debounce { window, max_wait } => {
            (hold.turn, hold.max_wait) = (-n, micros(max_wait));
            job.run_at = Some(job.run_at.unwrap_or(now) + micros(window));
        }
        OnConflict::Throttle { per } => {
            hold.free_at = now + micros(per);
            let slot = std::mem::take(&mut hold.unique_key);
            return Ok((Some(hold), slot));
        }
    }
    Ok((Some(hold), String::new()))
}

/// Takes throttles; before the plain insert, which asks them.
pub(crate) fn throttles(rows: &[JobRow], now: i64) -> Vec<Statement> {
    let rows = sorted(rows, |row| !row.slot.is_empty());
    rows.chunks(CHUNK).map(|part| THROTTLE.with([json(part).into(), now.into()])).collect()
}

/// Takes, replaces and takes over slots.
pub(crate) fn statements(rows: &[JobRow]) -> Vec<Statement> {
    let rows = sorted(rows, JobRow::has_slot);
    rows.chunks(CHUNK).flat_map(chunk).collect()
}

fn chunk(part: &[&JobRow]) -> Vec<Statement> {
    let any = |wanted: fn(&Hold) -> bool| part.iter().any(|row| row.hold.as_ref().is_some_and(wanted));
    let text = json(part);
    let mut all = vec![TAKE.with([text.as_str().into()])];
    if any(|hold| hold.turn < 0) {
        all.push(REPLACE.with([text.as_str().into()]));
    }
    if any(|hold| hold.yields == 1) {
        all.push(YIELD.with([text.as_str().into()]));
        all.push(TAKE.with([text.into()]));
    }
    all
}

#[derive(serde::Serialize)]
struct NoteRow<'a> {
    id: &'a str,
    reg: &'a str,
    unique_key: &'a str,
    slot: &'a str,
}

/// Notes who stands for each row, in the row of operation `op`; then keys of rows that made no job are pointed to the
/// job that stands for them, and keys of refused rows are given back.
pub(crate) fn notes(rows: &[JobRow], op: &str) -> Vec<Statement> {
    let held: Vec<(&Hold, NoteRow<'_>)> = rows.iter().filter_map(|row| Some((row.hold.as_ref()?, note_row(row)?))).collect();
    let of = |wanted: &dyn Fn(&Hold, &NoteRow<'_>) -> bool| -> Vec<&NoteRow<'_>> {
        held.iter().filter(|(hold, row)| wanted(hold, row)).map(|(_, row)| row).collect()
    };
    let noted = of(&|_, _| true);
    let refused = of(&|hold, row| !row.reg.is_empty() && hold.on_conflict == OnConflict::Reject);
    let kept = of(&|hold, row| !row.reg.is_empty() && hold.on_conflict != OnConflict::Reject);
    let mut all: Vec<Statement> = noted.chunks(CHUNK).map(|part| NOTE.with([op.into(), json(part).into()])).collect();
    all.extend(kept.chunks(CHUNK).map(|part| REPOINT.with([json(part).into()])));
    all.extend(refused.chunks(CHUNK).map(|part| RELEASE.with([json(part).into()])));
    all
}

fn note_row(row: &JobRow) -> Option<NoteRow<'_>> {
    let hold = row.hold.as_ref()?;
    Some(NoteRow { id: &row.id, reg: &row.reg, unique_key: &hold.unique_key, slot: &row.slot })
}

/// Rows in order of what they lock.
fn sorted(rows: &[JobRow], wanted: impl Fn(&JobRow) -> bool) -> Vec<&JobRow> {
    let mut rows: Vec<&JobRow> = rows.iter().filter(|row| wanted(row)).collect();
    rows.sort_by_key(|row| (row.hold.as_ref().map(|hold| &hold.unique_key), &row.slot));
    rows
}

/// Row's id → id of the job that stands for it, out of rows of `answer`; the longest note is the whole one.
pub(crate) fn noted<'a>(rows: impl IntoIterator<Item = &'a Row>) -> HashMap<String, String> {
    let notes = rows.into_iter().filter_map(|row| row.text("answer").ok());
    let longest = notes.max_by_key(String::len).unwrap_or_default();
    longest.lines().filter_map(|line| line.split_once(' ')).map(|(row, job)| (row.to_owned(), job.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_TO: Unique = Unique { by: &["/to"], ..Unique::new(OnConflict::Return) };

    fn job(args: &str) -> NewJob {
        NewJob { kind: "email".into(), queue: "mail".into(), tenant: "ten_1".into(), args: args.into(), ..NewJob::default() }
    }

    /// Other languages compute the same: tell them before this changes.
    #[test]
    fn keys_are_what_they_were() {
        let key = |unique: Unique, args: &str, run_at| unique.key(b"pepper", &job(args), run_at).unwrap();
        assert_eq!(key(BY_TO, r#"{"to":"a","n":1}"#, 0), key(BY_TO, r#"{"n":2,"to":"a"}"#, 9));
        assert_ne!(key(BY_TO, r#"{"to":"a"}"#, 0), key(BY_TO, r#"{"to":["a"]}"#, 0));
        let whole = Unique::new(OnConflict::Return);
        assert_eq!(key(whole, r#"{"to":"a","n":1}"#, 0), key(whole, r#"{"n":1,"to":"a"}"#, 0));
        let hourly = Unique { period: Some(Duration::from_secs(3600)), ..BY_TO };
        assert_eq!(key(hourly, r#"{"to":"a"}"#, 1), key(hourly, r#"{"to":"a"}"#, 3_599_999_999));
        assert_ne!(key(hourly, r#"{"to":"a"}"#, 1), key(hourly, r#"{"to":"a"}"#, 3_600_000_000));
        let vectors = [
            (BY_TO, "Yyh-nk-udMI8MYp4UtSaew"),
            (hourly, "djwmAg6yYuS0i7UrG5qURg"),
            (Unique { in_queue: true, ..BY_TO }, "h2q8LcKiA_QvEuDs3G9uiw"),
        ];
        let got: Vec<String> = vectors.iter().map(|(unique, _)| key(*unique, r#"{"to":"a"}"#, 7_200_000_000)).collect();
        assert_eq!(got, vectors.map(|(_, want)| want));
    }

    #[test]
    fn a_field_the_args_lack_is_named() {
        let answer = BY_TO.key(b"pepper", &job(r#"{"from":"a"}"#), 0);
        assert_eq!(answer, Err(DbError::Bug("jobs of kind email are unique by /to, which the args lack".into())));
    }

    #[test]
    fn impossible_policies_are_refused() {
        let (none, some) = (Duration::ZERO, Duration::from_secs(1));
        let of = Unique::new;
        let impossible = [
            Unique { by: &["to"], ..BY_TO },
            Unique { period: Some(none), ..BY_TO },
            of(OnConflict::Debounce { window: none, max_wait: some }),
            of(OnConflict::Debounce { window: some, max_wait: none }),
            of(OnConflict::Throttle { per: none }),
            Unique { period: Some(some), ..of(OnConflict::Throttle { per: some }) },
            Unique { while_running: true, ..of(OnConflict::Throttle { per: some }) },
        ];
        for unique in impossible {
            assert!(std::panic::catch_unwind(|| check(Some(unique))).is_err(), "{unique:?}");
        }
        check(Some(of(OnConflict::Debounce { window: some, max_wait: some })));
    }
}

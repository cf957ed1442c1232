//! Outcomes: one commit holds a job's transition, its handler's writes and its follow-up jobs, under the fence.
//!
//! Outcomes that wait together are merged into one commit: fence, writes, transitions, each set-based. A guard or
//! unique key that fails inside a merged commit rolls everybody back; the commit is then split in halves down to the
//! one that fails, which alone hears of it. After `Unknown` the very same commit is repeated until it answers; a lost
//! lease heard after an unknown one means *applied before, or superseded*, and both mean drop it.

use crate::clock::Clock;
use crate::coalesce::Coalescer;
use crate::db::{Db, DbError, Engine, Rows, Scope, Statement};
use crate::effect;
use crate::enqueue::{JobRow, insert_statement, job_row};
use crate::group::{self, Group};
use crate::ids::new_op;
use crate::job::{Claimed, NewJob, State, rank};
use crate::retention::{Class, Classes};
use crate::sequence::{self, Touched};
use crate::wait::{self, Sleeper, Wait};
use crate::write::{self, Write, json};
use futures::future::BoxFuture;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

crate::sql!(STAMP, "sql/outcome_stamp.pg.sql", "sql/outcome_stamp.lite.sql");
crate::sql!(GUARD_LEASE, "sql/outcome_guard.pg.sql", "sql/outcome_guard.lite.sql");
crate::sql!(END, "sql/outcome_end.pg.sql", "sql/outcome_end_stamp.lite.sql");
crate::sql!(ARCHIVE, "sql/outcome_archive.lite.sql");
crate::sql!(DELETE, "sql/outcome_delete.lite.sql");
crate::sql!(MOVE, "sql/outcome_move.pg.sql", "sql/outcome_move.lite.sql");
crate::sql!(STILL_HELD, "sql/outcome_still_held.pg.sql", "sql/outcome_still_held.lite.sql");

/// Outcomes that share a commit.
pub const MERGE_MAX: usize = 500;
/// The reason of a held job whose effects are unknown. It goes on by itself when they are known.
pub const HELD_FOR_EFFECTS: &str = "effect";
/// How long a commit with an unknown outcome is repeated. The heartbeat goes on meanwhile.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where a running job goes.
#[derive(Clone, Debug)]
pub enum Transition {
    /// Ends: completed, cancelled or dead; moves to the archive.
    End {
        /// An ended state.
        state: State,
        /// Why; empty for completed.
        reason: String,
        /// JSON text or empty.
        result: String,
        /// The whole new error history, or `None` to keep it.
        errors: Option<String>,
    },
    /// Stays live: retryable, scheduled, available, held.
    Stay {
        /// A live state other than running.
        state: State,
        /// Due time, microseconds.
        run_at: i64,
        /// Added to `attempt`: −1 gives the attempt back.
        attempts: i64,
        /// New count of stale runs.
        reruns: i64,
        /// Why.
        reason: String,
        /// The whole new error history, or `None` to keep it.
        errors: Option<String>,
    },
    /// Sleeps until a signal, or a timer; the attempt is given back.
    Wait(Wait),
}

/// One job's outcome, ready to be committed.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The job under its lease.
    pub job: Arc<Claimed>,
    /// Where it goes.
    pub transition: Transition,
    /// Committed if and only if the transition is.
    pub writes: Vec<Write>,
    /// Enqueued if and only if the transition is committed.
    pub follow_ups: Vec<NewJob>,
    /// Made, or added to, if and only if the transition is committed.
    pub groups: Vec<Group>,
}

impl Settled {
    fn sleeper(&self) -> Option<Sleeper<'_>> {
        let Transition::Wait(wait) = &self.transition else { return None };
        Some(Sleeper { job: &self.job.id, tenant: &self.job.tenant, wait })
    }

    /// Whether a group counts this end.
    fn ends_member(&self) -> bool {
        self.job.grouped && matches!(self.transition, Transition::End { .. })
    }

    /// The sequence that goes on after this end.
    fn ends_in(&self) -> Option<&str> {
        let is_end = matches!(self.transition, Transition::End { .. });
        (is_end && !self.job.sequence.is_empty()).then_some(self.job.sequence.as_str())
    }

    /// Whether its commit does more than to move the job, and so must be refused as a whole when it comes a second time.
    fn has_work(&self) -> bool {
        !self.writes.is_empty() || !self.follow_ups.is_empty() || !self.groups.is_empty() || self.ends_member() || self.ends_in().is_some()
    }

    /// Whether the job is held because what it did outside is unknown.
    fn is_held_for_effects(&self) -> bool {
        matches!(&self.transition, Transition::Stay { state: State::Held, reason, .. } if reason == HELD_FOR_EFFECTS)
    }
}

/// What became of one [`Settled`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Transition, writes and follow-ups are durable.
    Committed,
    /// The lease is somebody else's by now, or this was applied before: nothing changed now.
    LeaseLost,
    /// A guard, a unique key or the statement itself refused the writes: nothing changed, the lease still holds.
    Refused(DbError),
}

/// Commits outcomes; those that wait while a commit is in flight share the next.
#[derive(Clone)]
pub struct Finisher {
    plain: Coalescer<Settled, Answer>,
    working: Coalescer<Settled, Answer>,
}

impl Finisher {
    /// One per process. A job is never in two batches: its executor waits for the answer.
    pub fn start(db: Db, clock: Clock, classes: Classes) -> Self {
        let lanes = if db.engine() == Engine::Postgres { 3 } else { 1 };
        let batch = move |settled: Vec<Settled>| -> BoxFuture<'static, Result<Vec<Answer>, DbError>> {
            let (db, clock, classes) = (db.clone(), clock.clone(), classes.clone());
            Box::pin(async move { commit_at(Place { db: &db, clock: &clock, classes: &classes }, &settled).await })
        };
        let batch = Arc::new(batch);
        // writes of one kind meet on the same rows: side by side they would only wait for one another
        let working = Coalescer::start(MERGE_MAX, 1, batch.clone(), |_, _| true);
        Self { plain: Coalescer::start(MERGE_MAX, lanes, batch, |_, _| true), working }
    }

    /// Commits one outcome, together with whoever else waits.
    pub async fn finish(&self, settled: Settled) -> Result<Answer, DbError> {
        if settled.has_work() { self.working.call(settled).await } else { self.plain.call(settled).await }
    }
}

/// What every commit of outcomes needs.
#[derive(Clone, Copy)]
struct Place<'a> {
    db: &'a Db,
    clock: &'a Clock,
    classes: &'a Classes,
}

/// Commits outcomes together, splitting as far as refusals demand; one answer each, in order. What ends is kept long.
pub async fn commit(db: &Db, clock: &Clock, settled: &[Settled]) -> Result<Vec<Answer>, DbError> {
    commit_at(Place { db, clock, classes: &Classes::default() }, settled).await
}

async fn commit_at(place: Place<'_>, settled: &[Settled]) -> Result<Vec<Answer>, DbError> {
    let db = place.db;
    let statements = statements(place, settled);
    let (answer, _) = db.commit_until_known(&Scope::System, statements, PATIENCE).await;
    match answer {
        Ok(rows) => {
            wake(db, settled, &rows);
            answers(settled, &rows)
        }
        Err(error) if error.is_retryable() => Err(error),
        Err(error) if settled.len() == 1 => Ok(vec![if error.is_guard("lease_lost") { Answer::LeaseLost } else { Answer::Refused(error) }]),
        Err(error) if error.is_guard("lease_lost") => without_the_lost(place, settled).await,
        Err(_) => halves(place, settled).await,
    }
}

/// Whether the job still runs under this lease: what refused its outcome was then not the lease.
pub async fn still_held(db: &Db, job: &Claimed) -> Result<bool, DbError> {
    let fence = json(&[FenceRow { id: &job.id, lease: &job.lease }]);
    Ok(!db.query(&Scope::System, STILL_HELD.with([fence.into()])).await?.is_empty())
}

fn halves<'a>(place: Place<'a>, settled: &'a [Settled]) -> BoxFuture<'a, Result<Vec<Answer>, DbError>> {
    Box::pin(async move {
        let (left, right) = settled.split_at(settled.len() / 2);
        let mut answers = commit_at(place, left).await?;
        answers.extend(commit_at(place, right).await?);
        Ok(answers)
    })
}

/// A look says which leases seem lost; those run apart from the others, and the fence decides for each.
fn without_the_lost<'a>(place: Place<'a>, settled: &'a [Settled]) -> BoxFuture<'a, Result<Vec<Answer>, DbError>> {
    Box::pin(async move {
        let rows = place.db.query(&Scope::System, STILL_HELD.with([fence_rows(settled).into()])).await?;
        let held: HashSet<String> = rows.iter().map(|r| r.text("id")).collect::<Result<_, _>>()?;
        if held.is_empty() || held.len() == settled.len() {
            return halves(place, settled).await;
        }
        let mut answers = vec![Answer::LeaseLost; settled.len()];
        let (kept, lost): (Vec<usize>, Vec<usize>) = (0..settled.len()).partition(|&i| held.contains(&settled[i].job.id));
        for part in [kept, lost] {
            let group: Vec<Settled> = part.iter().map(|&i| settled[i].clone()).collect();
            for (i, answer) in part.into_iter().zip(commit_at(place, &group).await?) {
                answers[i] = answer;
            }
        }
        Ok(answers)
    })
}

#[derive(serde::Serialize)]
struct FenceRow<'a> {
    id: &'a str,
    lease: &'a str,
}

#[derive(serde::Serialize)]
struct EndRow<'a> {
    id: &'a str,
    lease: &'a str,
    state: State,
    class: Class,
    reason: &'a str,
    result: &'a str,
    errors: &'a str,
}

#[derive(serde::Serialize)]
struct MoveRow<'a> {
    id: &'a str,
    lease: &'a str,
    state: State,
    run_at: i64,
    rank: i64,
    attempts: i64,
    reruns: i64,
    reason: Cow<'a, str>,
    errors: &'a str,
}

fn fence_rows(settled: &[Settled]) -> String {
    json(&settled.iter().map(|s| FenceRow { id: &s.job.id, lease: &s.job.lease }).collect::<Vec<_>>())
}

fn statements(place: Place<'_>, settled: &[Settled]) -> Vec<Statement> {
    let (op, clock) = (new_op(), place.clock);
    let sleepers: Vec<Sleeper<'_>> = settled.iter().filter_map(Settled::sleeper).collect();
    let (lock, meet) = wait::around(&sleepers, &op, clock);
    let mut all = Vec::from_iter(lock);
    let (groups_lock, groups_count) = groups(settled, &op, clock);
    all.extend(groups_lock);
    let made: Vec<(&Claimed, &Group)> = settled.iter().flat_map(|s| s.groups.iter().map(|group| (&*s.job, group))).collect();
    let (make, children) = if made.is_empty() { Default::default() } else { group::make(&made, &op, clock) };
    let mut new: Vec<JobRow> = settled.iter().flat_map(|s| &s.follow_ups).map(|job| job_row(job.clone(), "", clock)).collect();
    new.extend(children);
    let touched = sequences(settled, &new);
    all.extend(touched.lock(clock));
    if settled.iter().any(Settled::has_work) {
        let fence = fence_rows(settled);
        let count = i64::try_from(settled.len()).unwrap_or(i64::MAX);
        all.push(STAMP.with([fence.as_str().into(), op.as_str().into()]));
        all.push(GUARD_LEASE.with([fence.into(), op.as_str().into(), count.into()]));
        all.extend(write::statements(settled.iter().flat_map(|s| &s.writes)));
        all.extend(make);
        if !new.is_empty() {
            all.push(insert_statement(&new));
            all.extend(touched.place(&new));
        }
    }
    all.extend(end_statements(place, settled, &op));
    let moves = move_statement(settled, &op);
    let has_moves = moves.is_some();
    all.extend(moves);
    all.extend(meet);
    all.extend(groups_count);
    all.extend(dead_ends(settled).map(|jobs| sequence::stop(&jobs, &op, clock.now())));
    all.extend(touched.promote(clock.now()));
    if has_moves {
        // a move holds what has an effect open, whatever it was meant to be
        all.extend(effect::lost(&op, &fence_rows(settled), clock.now()));
    }
    all
}

/// The sequences that jobs end in or are made in.
fn sequences(settled: &[Settled], new: &[JobRow]) -> Touched {
    let mut touched = Touched::default();
    for (tenant, key) in settled.iter().filter_map(|s| Some((&s.job.tenant, s.ends_in()?))) {
        touched.add(tenant, key);
    }
    touched.number(new);
    touched
}

/// The jobs that die in a sequence, if any.
fn dead_ends(settled: &[Settled]) -> Option<String> {
    let is_dead = |s: &&Settled| matches!(s.transition, Transition::End { state: State::Dead, .. }) && s.ends_in().is_some();
    let dead: Vec<&str> = settled.iter().filter(is_dead).map(|s| s.job.id.as_str()).collect();
    (!dead.is_empty()).then(|| group::ids(dead))
}

/// What comes first and last where groups are concerned; nothing elsewhere.
fn groups(settled: &[Settled], op: &str, clock: &Clock) -> (Vec<Statement>, Vec<Statement>) {
    let ending: Vec<&str> = settled.iter().filter(|s| s.ends_member()).map(|s| s.job.id.as_str()).collect();
    let more = settled.iter().flat_map(|s| &s.groups).filter(|group| !group.is_new).map(|group| group.id.as_str());
    let waiting: Vec<Sleeper<'_>> = settled.iter().filter_map(Settled::sleeper).filter(|s| s.wait.group().is_some()).collect();
    let named = more.chain(waiting.iter().filter_map(|s| s.wait.group())).collect();
    let jobs = group::ids(ending.iter().copied());
    let locks: Vec<Statement> =
        (!ending.is_empty()).then(|| group::lock(&jobs, op)).into_iter().chain(group::lock_named(&named, op)).collect();
    if locks.is_empty() && settled.iter().all(|s| s.groups.is_empty()) {
        return (Vec::new(), Vec::new());
    }
    let known = group::known(&waiting.iter().map(|s| s.job).collect::<Vec<_>>());
    (locks, known.into_iter().chain(group::count(&jobs, op, clock.now())).collect())
}

fn end_statements(place: Place<'_>, settled: &[Settled], op: &str) -> Vec<Statement> {
    let ends: Vec<EndRow<'_>> = settled.iter().filter_map(|s| end_row(s, place.classes)).collect();
    if ends.is_empty() {
        return Vec::new();
    }
    let (rows, now) = (json(&ends), place.clock.now());
    let end = END.with([rows.as_str().into(), op.into(), now.into()]);
    match place.db.engine() {
        Engine::Postgres => vec![end],
        _ => vec![end, ARCHIVE.with([rows.as_str().into(), op.into(), now.into()]), DELETE.with([rows.into(), op.into()])],
    }
}

fn end_row<'a>(settled: &'a Settled, classes: &Classes) -> Option<EndRow<'a>> {
    let Transition::End { state, reason, result, errors } = &settled.transition else { return None };
    let errors = errors.as_deref().unwrap_or(&settled.job.errors);
    let class = classes.of(&settled.job.kind, *state);
    Some(EndRow { id: &settled.job.id, lease: &settled.job.lease, state: *state, class, reason, result, errors })
}

fn move_statement(settled: &[Settled], op: &str) -> Option<Statement> {
    let moves: Vec<MoveRow<'_>> = settled.iter().filter_map(move_row).collect();
    (!moves.is_empty()).then(|| MOVE.with([json(&moves).into(), op.into()]))
}

fn move_row(settled: &Settled) -> Option<MoveRow<'_>> {
    let job = &settled.job;
    let (state, run_at, attempts, reruns, reason, errors) = match &settled.transition {
        Transition::End { .. } => return None,
        Transition::Wait(wait) => (wait.state(), wait.until.unwrap_or(job.run_at), -1, job.reruns, wait.reason().into(), None),
        Transition::Stay { state, run_at, attempts, reruns, reason, errors } => {
            (*state, *run_at, *attempts, *reruns, Cow::Borrowed(reason.as_str()), errors.as_deref())
        }
    };
    Some(MoveRow {
        id: &job.id,
        lease: &job.lease,
        state,
        run_at,
        rank: rank(run_at, job.priority),
        attempts,
        reruns,
        reason,
        errors: errors.unwrap_or(&job.errors),
    })
}

/// Every statement that moves a job returns its id; what no statement returned had lost its lease.
fn answers(settled: &[Settled], rows: &[Rows]) -> Result<Vec<Answer>, DbError> {
    let mut moved = HashSet::new();
    for row in rows.iter().flatten() {
        if let Ok(id) = row.text("moved") {
            moved.insert(id);
        }
    }
    let answer = |s: &Settled| if moved.contains(&s.job.id) { Answer::Committed } else { Answer::LeaseLost };
    Ok(settled.iter().map(answer).collect())
}

fn wake(db: &Db, settled: &[Settled], rows: &[Rows]) {
    let made: BTreeSet<String> = rows.iter().flatten().filter_map(|row| row.text("queue").ok()).collect();
    let children = settled.iter().flat_map(|s| &s.groups).flat_map(|group| &group.children).map(|job| job.queue.as_str());
    let follow_ups = settled.iter().flat_map(|s| &s.follow_ups).map(|job| job.queue.as_str());
    let moved = settled.iter().filter(|s| !matches!(s.transition, Transition::End { .. })).map(|s| s.job.queue.as_str());
    let resolving = settled.iter().filter(|s| s.is_held_for_effects()).map(|_| effect::QUEUE);
    let queues: BTreeSet<&str> = follow_ups.chain(moved).chain(resolving).chain(children).chain(made.iter().map(String::as_str)).collect();
    queues.into_iter().for_each(|queue| db.notify(queue));
}

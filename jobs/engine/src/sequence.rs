//! Sequences: jobs of one tenant that name the same one run one after the other, in the order in which their enqueues were
//! committed.
//!
//! The row of a sequence numbers its jobs; whoever makes one, ends one or brings one back updates that row before anything
//! else and decides in a later statement. So the order of the numbers is the order of the commits, and no job is promoted
//! beside one that is being made. Of a sequence's live jobs one at most is not **blocked**: it waits for its claim, runs,
//! sleeps, is held or will be tried again. When it ends, the lowest blocked one is promoted in the same commit. That there
//! never are two is also a unique index.
//!
//! A **dead** job stops its sequence, by a row of its own, until an operator lets it go on ([`Queue::unblock`]), the job is
//! brought back, or it is erased; a kind may say that its dead jobs stop nothing. A job that is brought back has its old
//! place.
//!
//! Jobs that name no sequence cost nothing here: no statement is about them. Ends that promoted nobody (by a binary that knows
//! no sequences) are found by a duty.
//!
//! [`Queue::unblock`]: crate::queue::Queue::unblock

mod before;
mod manage;
mod policy;

pub(crate) use before::Before;
pub use manage::{Stuck, Unblocked};
pub(crate) use manage::{of_job, promoted};
pub(crate) use policy::check;
pub use policy::{KEY_MAX, OnDead, Sequence, Sequenced};

use crate::clock::Clock;
use crate::db::{Db, Row, Scope, Statement};
use crate::enqueue::{CHUNK, JobRow};
use crate::job::{PRIORITY_STEP_US, State};
use crate::write::json;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

crate::sql!(LOCK, "sql/sequences_lock.sql");
crate::sql!(PLACE, "sql/sequence_place.pg.sql", "sql/sequence_place.lite.sql");
crate::sql!(PROMOTE, "sql/sequence_promote.pg.sql", "sql/sequence_promote.lite.sql");
crate::sql!(STOP, "sql/sequence_stops_insert.sql");
crate::sql!(STATES, "sql/sequence_states.pg.sql", "sql/sequence_states.lite.sql");

const DAY_US: i64 = 86_400 * 1_000_000;

/// The sequences that one commit is about, each with how many numbers it takes: in order, as they are locked.
#[derive(Default)]
pub(crate) struct Touched {
    counts: BTreeMap<(String, String), i64>,
}

#[derive(Serialize)]
struct SequenceRow<'a> {
    tenant: &'a str,
    key: &'a str,
    n: i64,
}

#[derive(Serialize)]
struct PlaceRow<'a> {
    id: &'a str,
    tenant: &'a str,
    key: &'a str,
    /// How far its number is below the next one.
    back: i64,
    passes: i64,
}

impl Touched {
    /// One sequence.
    pub fn one(tenant: &str, key: &str) -> Self {
        let mut touched = Self::default();
        touched.add(tenant, key);
        touched
    }

    /// That one is touched; it takes no number.
    pub fn add(&mut self, tenant: &str, key: &str) {
        self.counts.entry((tenant.to_owned(), key.to_owned())).or_default();
    }

    /// Takes a number for each row that names a sequence.
    pub fn number<'a>(&mut self, rows: impl IntoIterator<Item = &'a JobRow>) {
        for (row, sequence) in sequenced(rows) {
            *self.counts.entry((row.tenant.clone(), sequence.key.clone())).or_default() += 1;
        }
    }

    /// Locks them and takes their numbers: before anything that is decided by them.
    pub fn lock(&self, clock: &Clock) -> Vec<Statement> {
        let now = clock.now();
        let day = now - now.rem_euclid(DAY_US);
        self.rows().chunks(CHUNK).map(|part| LOCK.with([json(part).into(), now.into(), day.into()])).collect()
    }

    /// Gives the rows that were inserted their places, in order; `number` and `lock` went before.
    pub fn place<'a>(&self, rows: impl IntoIterator<Item = &'a JobRow>) -> Vec<Statement> {
        let mut left = self.counts.clone();
        let placed = sequenced(rows).map(|(row, sequence)| {
            let back = left.get_mut(&(row.tenant.clone(), sequence.key.clone())).expect("it was numbered");
            let place = PlaceRow { id: &row.id, tenant: &row.tenant, key: &sequence.key, back: *back, passes: sequence.passes() };
            *back -= 1;
            place
        });
        placed.collect::<Vec<_>>().chunks(CHUNK).map(|part| PLACE.with([json(part).into()])).collect()
    }

    /// Lets the first blocked job of each go on that may; last in a commit. Returns the queues to be woken.
    pub fn promote(&self, now: i64) -> Vec<Statement> {
        self.rows().chunks(CHUNK).map(|part| PROMOTE.with([json(part).into(), now.into(), PRIORITY_STEP_US.into()])).collect()
    }

    /// A dead job that was brought back or erased stops its sequence no longer.
    pub fn go_on(&self, scope: &Scope, job: &str, now: i64) -> Vec<Statement> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut all = vec![manage::UNSTOP.with([scope.param(), job.into()])];
        all.extend(self.promote(now));
        all
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Them as a statement takes them.
    pub fn text(&self) -> String {
        json(&self.rows())
    }

    fn rows(&self) -> Vec<SequenceRow<'_>> {
        self.counts.iter().map(|((tenant, key), n)| SequenceRow { tenant, key, n: *n }).collect()
    }
}

/// The rows that name a sequence.
fn sequenced<'a>(rows: impl IntoIterator<Item = &'a JobRow>) -> impl Iterator<Item = (&'a JobRow, &'a Sequence)> {
    rows.into_iter().filter_map(|row| Some((row, row.sequence.as_ref()?)))
}

/// Makes dead jobs among `jobs`, which operation `op` has ended, stop their sequences.
pub(crate) fn stop(jobs: &str, op: &str, now: i64) -> Statement {
    STOP.with([jobs.into(), op.into(), now.into()])
}

/// Asks where the rows that name a sequence stand.
pub(crate) fn states<'a>(rows: impl IntoIterator<Item = &'a JobRow>) -> Vec<Statement> {
    let ids: Vec<&str> = sequenced(rows).map(|(row, _)| row.id.as_str()).collect();
    ids.chunks(CHUNK).map(|part| STATES.with([json(part).into()])).collect()
}

/// Job id → its state, out of the rows of [`states`].
pub(crate) fn placed<'a>(rows: impl IntoIterator<Item = &'a Row>) -> HashMap<String, State> {
    let one = |row: &Row| Some((row.text("placed").ok()?, State::parse(&row.text("state").ok()?)?));
    rows.into_iter().filter_map(one).collect()
}

/// Wakes the queues of what was promoted.
pub(crate) fn wake<'a>(db: &Db, rows: impl IntoIterator<Item = &'a Row>) {
    let promoted = rows.into_iter().filter(|row| row.text("promoted").is_ok());
    promoted.filter_map(|row| row.text("queue").ok()).for_each(|queue| db.notify(&queue));
}

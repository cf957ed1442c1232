//! Sequences as operators see them and let them go on, and what looks after them.

use super::{DAY_US, Touched};
use crate::db::{Db, DbError, Row, Rows, Scope};
use crate::job::State;
use crate::queue::Queue;
use std::time::Duration;

crate::sql!(OF_JOB, "../sql/sequence_of_job.sql");
crate::sql!(LIST, "../sql/sequences_list.sql");
crate::sql!(FIRST_STOP, "../sql/sequence_stop_get.sql");
crate::sql!(UNSTOP, "../sql/sequence_stops_delete.sql");
crate::sql!(STRAYS, "../sql/sequence_strays.sql");
crate::sql!(HEAL, "../sql/sequence_stops_heal.sql");
crate::sql!(PRUNE, "../sql/sequences_prune.sql");

/// Most sequences that one pass looks after.
const STRAYS_MAX: i64 = 500;
/// How long an act is repeated whose reply was lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// A sequence that jobs wait in, or that a dead job stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Whose it is.
    pub tenant: String,
    /// Its name.
    pub key: String,
    /// How many jobs wait.
    pub waiting: i64,
    /// The job they wait for.
    pub job: String,
    /// Where that stands: dead, or live and not blocked.
    pub state: State,
    /// Since when, microseconds: the death, or when the first that waits was made.
    pub since: i64,
}

impl Stuck {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let (active, state) = (row.text("active")?, row.text("active_state")?);
        let is_stopped = active.is_empty();
        Ok(Self {
            tenant: row.text("tenant")?,
            key: row.text("key")?,
            waiting: row.int("waiting")?,
            job: if is_stopped { row.text("stop")? } else { active },
            state: if is_stopped { State::Dead } else { State::parse(&state).unwrap_or(State::Held) },
            since: row.int(if is_stopped { "stopped_at" } else { "waiting_since" })?,
        })
    }
}

/// What became of [`Queue::unblock`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unblocked {
    /// This dead job stops its sequence no longer; `next` is the job that goes on, if one waited and nothing else is before it.
    Done {
        /// The dead job.
        job: String,
        /// The job that goes on.
        next: Option<String>,
    },
    /// No dead job, or not this one, stops it first.
    NotStopped,
}

/// The sequence of a job, as what a commit touches that moves the job.
pub(crate) async fn of_job(db: &Db, scope: &Scope, id: &str) -> Result<Touched, DbError> {
    let rows = db.query(scope, OF_JOB.with([scope.param(), id.into()])).await?;
    rows.first().map_or(Ok(Touched::default()), |row| Ok(Touched::one(&row.text("tenant")?, &row.text("sequence")?)))
}

/// The job among `rows` that was promoted, with its state.
pub(crate) fn promoted(rows: &[Rows], id: &str) -> Option<State> {
    let row = rows.iter().flatten().find(|row| row.text("promoted").is_ok_and(|promoted| promoted == id))?;
    State::parse(&row.text("state").ok()?)
}

impl Queue {
    /// Sequences of the scope behind (`tenant`, `key`), in order, that jobs wait in or that a dead job stops.
    pub async fn stuck_sequences(&self, scope: &Scope, after: (&str, &str), limit: i64) -> Result<Vec<Stuck>, DbError> {
        let list = LIST.with([scope.param(), after.0.into(), after.1.into(), limit.clamp(1, 201).into()]);
        self.db.query(scope, list).await?.iter().map(Stuck::from_row).collect()
    }

    /// The dead job that stops a sequence of the scope first.
    pub async fn stopped_by(&self, scope: &Scope, tenant: &str, key: &str) -> Result<Option<String>, DbError> {
        let rows = self.db.query(scope, FIRST_STOP.with([scope.param(), tenant.into(), key.into()])).await?;
        rows.first().map(|row| row.text("job")).transpose()
    }

    /// Lets a sequence go on past the dead `job` that stops it. The job stays dead, and keeps its place should it come back.
    pub async fn unblock(&self, scope: &Scope, tenant: &str, key: &str, job: &str) -> Result<Unblocked, DbError> {
        if self.stopped_by(scope, tenant, key).await?.as_deref() != Some(job) {
            return Ok(Unblocked::NotStopped);
        }
        let touched = Touched::one(tenant, key);
        let mut commit = touched.lock(&self.clock);
        commit.push(UNSTOP.with([scope.param(), job.into()]));
        commit.extend(touched.promote(self.clock.now()));
        let (answer, was_unknown) = self.db.commit_until_known(scope, commit, PATIENCE).await;
        let rows = answer?;
        super::wake(&self.db, rows.iter().flatten());
        if !was_unknown && !rows.iter().flatten().any(|row| row.text("unstopped").is_ok()) {
            return Ok(Unblocked::NotStopped);
        }
        let next = rows.iter().flatten().find_map(|row| row.text("promoted").ok());
        Ok(Unblocked::Done { job: job.to_owned(), next })
    }

    /// Lets sequences go on that nothing is before and nobody has let go on; how many there were. Binaries that know
    /// sequences leave none.
    pub async fn heal_sequences(&self) -> Result<usize, DbError> {
        let strays = self.db.query(&Scope::System, STRAYS.with([STRAYS_MAX.into()])).await?;
        if strays.is_empty() {
            return Ok(0);
        }
        let mut touched = Touched::default();
        for row in &strays {
            touched.add(&row.text("tenant")?, &row.text("key")?);
        }
        let mut commit = touched.lock(&self.clock);
        commit.push(HEAL.with([touched.text().into()]));
        commit.extend(touched.promote(self.clock.now()));
        let rows = self.db.commit(&Scope::System, commit).await?;
        super::wake(&self.db, rows.iter().flatten());
        let healed = |row: &&Row| row.text("promoted").is_ok() || row.text("unstopped").is_ok();
        Ok(rows.iter().flatten().filter(healed).count())
    }

    /// Forgets sequences that nothing is left of and that nobody has used since `before`, microseconds.
    pub async fn prune_sequences(&self, before: i64) -> Result<(), DbError> {
        self.db.commit(&Scope::System, vec![PRUNE.with([(before - DAY_US).into()])]).await.map(|_| ())
    }
}

//! Looking at jobs, and what an operator may do to them. Every look is within a scope.

use crate::checkpoint;
use crate::db::{DbError, Row, Rows, Scope};
use crate::group;
use crate::job::{Job, State};
use crate::queue::Queue;
use crate::sequence::{self, of_job, promoted};
use serde_json::json;
use sha2::{Digest, Sha256};

crate::sql!(GET, "sql/job_get.sql");
crate::sql!(LIST, "sql/jobs_list.sql");
crate::sql!(CANCEL_LIVE, "sql/job_cancel_archive.sql");
crate::sql!(CANCEL_DELETE, "sql/job_cancel_delete.sql");
crate::sql!(CANCEL_STAMP, "sql/job_cancel_stamp.sql");
crate::sql!(CANCEL_ASK, "sql/job_cancel_ask.sql");
crate::sql!(RETRY_NOW, "sql/job_retry_now.sql");
crate::sql!(RUN_NOW, "sql/job_run_now.sql");
crate::sql!(ERASE, "sql/job_erase.sql");
crate::sql!(ERASE_LOGS, "sql/notes_erase_logs.sql");
crate::sql!(ERASE_PROGRESS, "sql/notes_erase_progress.sql");
crate::sql!(REDRIVE_INSERT, "sql/job_redrive_insert.pg.sql", "sql/job_redrive_insert.lite.sql");
crate::sql!(REDRIVE_DELETE, "sql/job_redrive_delete.sql");
crate::sql!(STATS, "sql/queue_stats.sql");
crate::sql!(COUNTS, "sql/archive_counts.sql");
crate::sql!(OP, "sql/op_insert.sql");
crate::sql!(PRUNE_OPS, "sql/ops_prune.sql");
crate::sql!(PRUNE_THROTTLES, "sql/throttles_prune.sql");
crate::sql!(HOLDER, "sql/unique_holder.sql");

/// Which jobs to list; empty fields do not filter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A state's word.
    pub state: String,
    /// Kind name.
    pub kind: String,
    /// Queue name.
    pub queue: String,
    /// Permanent identity.
    pub key: String,
    /// A tag.
    pub tag: String,
    /// Tenant id (for global scopes).
    pub tenant: String,
    /// Made at or after, microseconds.
    pub since: i64,
    /// Only ids below this one: the cursor.
    pub before: String,
}

/// What an operator's act met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// Done; the job's state now.
    Done(State),
    /// Made available; the group it belonged to had fired already and counts it no more.
    Detached {
        /// The group's id.
        group: String,
    },
    /// It runs: the handler is told, the state stays.
    Asked,
    /// Not allowed in this state.
    Refused(State, String),
    /// The slot its unique key had is taken by this live job.
    Taken(String),
    /// No such job in this scope.
    NotFound,
}

impl Queue {
    /// One job, live or archived, read in one statement (a reader that asks twice can see neither).
    pub async fn job(&self, scope: &Scope, id: &str) -> Result<Option<Job>, DbError> {
        let rows = self.db.query(scope, GET.with([scope.param(), id.into()])).await?;
        rows.first().map(Job::from_row).transpose()
    }

    /// Jobs, newest first, at most `limit` (≤ 200).
    pub async fn jobs(&self, scope: &Scope, filter: &Filter, limit: i64) -> Result<Vec<Job>, DbError> {
        let before = if filter.before.is_empty() { "~" } else { &filter.before };
        let statement = LIST.with([
            scope.param(),
            filter.state.as_str().into(),
            filter.kind.as_str().into(),
            filter.queue.as_str().into(),
            filter.key.as_str().into(),
            filter.tag.as_str().into(),
            filter.tenant.as_str().into(),
            filter.since.into(),
            before.into(),
            limit.clamp(1, 200).into(),
        ]);
        self.db.query(scope, statement).await?.iter().map(Job::from_row).collect()
    }

    /// Cancels: a job that does not run ends at once, a running one is asked to.
    pub async fn cancel(&self, scope: &Scope, id: &str, reason: &str) -> Result<Acted, DbError> {
        let (op, now) = (crate::ids::new_op(), self.clock.now());
        let (jobs, touched) = (group::ids([id]), of_job(&self.db, scope, id).await?);
        let mut commit = vec![group::lock(&jobs, &op)];
        commit.extend(touched.lock(&self.clock));
        let at = commit.len();
        commit.extend([
            CANCEL_STAMP.with([scope.param(), id.into(), op.as_str().into(), reason.into()]),
            CANCEL_LIVE.with([id.into(), op.as_str().into(), now.into(), self.classes.rows().into()]),
            CANCEL_DELETE.with([id.into(), op.as_str().into()]),
            CANCEL_ASK.with([scope.param(), id.into(), reason.into()]),
            checkpoint::DROP.with([id.into()]),
        ]);
        commit.extend(group::count(&jobs, &op, now));
        commit.extend(touched.promote(now));
        let rows = self.db.commit_until_known(scope, commit, std::time::Duration::from_secs(10)).await.0?;
        rows.iter().flatten().filter_map(|row| row.text("queue").ok()).for_each(|queue| self.db.notify(&queue));
        if !rows[at + 2].is_empty() {
            return Ok(Acted::Done(State::Cancelled));
        }
        if !rows[at + 3].is_empty() {
            return Ok(Acted::Asked);
        }
        self.why_not(scope, id, "only a live job without open effects can be cancelled").await
    }

    /// Runs again: a dead or cancelled job comes back from the archive under the same id, a waiting retry runs now, a
    /// quarantined one is released.
    pub async fn retry(&self, scope: &Scope, id: &str) -> Result<Acted, DbError> {
        let (op, now) = (crate::ids::new_op(), self.clock.now());
        let touched = of_job(&self.db, scope, id).await?;
        let mut commit = vec![group::lock(&group::ids([id]), &op)];
        commit.extend(touched.lock(&self.clock));
        let at = commit.len();
        commit.extend([
            RETRY_NOW.with([scope.param(), id.into(), now.into()]),
            REDRIVE_INSERT.with([scope.param(), id.into(), now.into()]),
            REDRIVE_DELETE.with([scope.param(), id.into()]),
        ]);
        commit.extend(group::bring_back(id, &op));
        commit.extend(touched.go_on(scope, id, now));
        let rows = match self.db.commit_until_known(scope, commit, std::time::Duration::from_secs(10)).await.0 {
            Err(DbError::Unique(name)) if name == "jobs_unique_key" => return self.taken(scope, id).await,
            answer => answer?,
        };
        let (hurried, back) = (rows[at].first(), rows[at + 1].first());
        match hurried.or(back) {
            Some(row) => {
                self.db.notify(&row.text("queue")?);
                sequence::wake(&self.db, rows.iter().flatten());
                let waits = back.is_some() && !touched.is_empty();
                let state = if waits { promoted(&rows, id).unwrap_or(State::Blocked) } else { State::Available };
                let detached = rows.iter().flatten().find_map(|row: &Row| row.text("detached").ok());
                Ok(detached.map_or(Acted::Done(state), |group| Acted::Detached { group }))
            }
            None => self.why_not(scope, id, "only a dead, cancelled, retryable, scheduled or quarantined job can be retried").await,
        }
    }

    /// Makes a scheduled job, or one that waits to try again, due now.
    pub async fn run_now(&self, scope: &Scope, id: &str) -> Result<Acted, DbError> {
        let commit = vec![RUN_NOW.with([scope.param(), id.into(), self.clock.now().into()])];
        let rows = self.db.commit_until_known(scope, commit, std::time::Duration::from_secs(10)).await.0?;
        match rows[0].first() {
            Some(row) => {
                self.db.notify(&row.text("queue")?);
                Ok(Acted::Done(State::Available))
            }
            None => self.why_not(scope, id, "only a scheduled or retryable job can be run now").await,
        }
    }

    /// Forgets what an ended job was given and gave. Id, kind, state and times stay, and the SHA-256 of its args, by which
    /// somebody who has them can show that they were these.
    pub async fn erase(&self, scope: &Scope, id: &str) -> Result<Acted, DbError> {
        let Some(job) = self.job(scope, id).await? else { return Ok(Acted::NotFound) };
        let digest = crate::db::migrate::hex(&Sha256::digest(job.args.to_string().as_bytes()));
        let left = json!({ "erased_at": self.clock.now(), "args_sha256": digest }).to_string();
        let touched = of_job(&self.db, scope, id).await?;
        let mut commit = touched.lock(&self.clock);
        let at = commit.len();
        commit.extend([
            ERASE.with([scope.param(), id.into(), left.into()]),
            ERASE_LOGS.with([scope.param(), id.into()]),
            ERASE_PROGRESS.with([scope.param(), id.into()]),
        ]);
        commit.extend(touched.go_on(scope, id, self.clock.now()));
        let rows = self.db.commit_until_known(scope, commit, std::time::Duration::from_secs(10)).await.0?;
        sequence::wake(&self.db, rows.iter().flatten());
        match rows[at].is_empty() {
            false => Ok(Acted::Done(job.state)),
            true => self.why_not(scope, id, "only a job that has ended and was not erased before can be erased").await,
        }
    }

    /// Who holds the slot; a holder that ended meanwhile left it free, so the caller may try again.
    async fn taken(&self, scope: &Scope, id: &str) -> Result<Acted, DbError> {
        let rows = self.db.query(scope, HOLDER.with([scope.param(), id.into()])).await?;
        let row = rows.first().ok_or_else(|| DbError::Unavailable("the job that held the slot has just ended".into()))?;
        Ok(Acted::Taken(row.text("id")?))
    }

    async fn why_not(&self, scope: &Scope, id: &str, rule: &str) -> Result<Acted, DbError> {
        Ok(match self.job(scope, id).await? {
            Some(job) => Acted::Refused(job.state, format!("the job is {}; {rule}", job.state.as_str())),
            None => Acted::NotFound,
        })
    }

    /// Live jobs per queue and state with the oldest due time: (queue, state, count, oldest).
    pub async fn queue_stats(&self, scope: &Scope) -> Result<Rows, DbError> {
        self.db.query(scope, STATS.with([scope.param()])).await
    }

    /// Archived jobs per state.
    pub async fn archive_counts(&self, scope: &Scope) -> Result<Rows, DbError> {
        self.db.query(scope, COUNTS.with([scope.param()])).await
    }

    /// Forgets operation ids older than `before`: far longer ago than any commit is repeated.
    pub async fn prune_ops(&self, before: i64) -> Result<(), DbError> {
        self.db.commit(&Scope::System, vec![PRUNE_OPS.with([before.into()])]).await.map(|_| ())
    }

    /// Forgets throttles that have been free since before `before`, microseconds.
    pub async fn prune_throttles(&self, before: i64) -> Result<(), DbError> {
        self.db.commit(&Scope::System, vec![PRUNE_THROTTLES.with([before.into()])]).await.map(|_| ())
    }

    /// Claims an operation id for good: whoever gives up first closes the door on a commit of that id.
    pub async fn close_door(&self, op: &str) -> Result<(), DbError> {
        self.db.commit(&Scope::System, vec![OP.with([op.into(), self.clock.now().into()])]).await.map(|_| ())
    }
}

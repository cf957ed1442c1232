//! Groups: jobs made together, and jobs that are made when they have ended.
//!
//! A handler's outcome makes a group: its children and up to three **callbacks**, each of which becomes a job exactly once,
//! in the commit that makes it so: `complete` when all children have ended, `success` when all are completed, `dead` at the
//! first that is dead. A group is sealed unless its handler says that more will come; an open one is not over however few
//! of its children are live. Whoever ends a child locks its group in the first statements of the commit and counts in a
//! later one; outcomes that are merged lock their groups in order and count each with one statement.
//!
//! A job may sleep until a group is over, also the one that makes it: its wait is woken under the same lock.
//!
//! A dead child that is retried counts again as long as its group has fired no callback; after that it is detached.
//! Ends that were not counted (by a binary that knows no groups) are found and counted by a duty.

use crate::clock::Clock;
use crate::db::{Db, DbError, Scope, Statement};
use crate::enqueue::{JobRow, job_row};
use crate::ids::new_op;
use crate::job::{Claimed, NewJob, PRIORITY_STEP_US};
use crate::queue::Queue;
use crate::wait::GROUP;
use crate::write::json;
use serde::Serialize;
use serde_json::json as object;
use std::collections::BTreeSet;
use std::time::Duration;

crate::sql!(LOCK, "sql/groups_lock.sql");
crate::sql!(MORE_LOCK, "sql/groups_more_lock.sql");
crate::sql!(MORE_GUARD, "sql/groups_more_guard.sql");
crate::sql!(MORE, "sql/groups_more.sql");
crate::sql!(INSERT, "sql/groups_insert.sql");
crate::sql!(MEMBERS, "sql/group_members_insert.sql");
crate::sql!(CALLBACKS, "sql/group_callbacks_insert.sql");
crate::sql!(END, "sql/group_members_end.sql");
crate::sql!(COUNT, "sql/groups_count.sql");
crate::sql!(FIRE, "sql/group_callbacks_fire.sql");
crate::sql!(JOBS, "sql/group_callbacks_jobs.sql");
crate::sql!(WAIT_GUARD, "sql/group_wait_guard.sql");
crate::sql!(WAKE, "sql/group_sleepers_wake.sql");
crate::sql!(GET, "sql/group_get.sql");
crate::sql!(UNSTAMP_MEMBERS, "sql/group_members_unstamp.sql");
crate::sql!(UNSTAMP_CALLBACKS, "sql/group_callbacks_unstamp.sql");
crate::sql!(UNSTAMP, "sql/groups_unstamp.sql");
crate::sql!(RECOUNT, "sql/group_recount.sql");
crate::sql!(REOPEN, "sql/group_reopen.sql");
crate::sql!(DETACH, "sql/group_detach.sql");
crate::sql!(STRAYS, "sql/group_strays.sql");
crate::sql!(PRUNE_CALLBACKS, "sql/group_callbacks_prune.sql");
crate::sql!(PRUNE_MEMBERS, "sql/group_members_prune.sql");
crate::sql!(PRUNE, "sql/groups_prune.sql");

/// Most uncounted ends that one pass counts.
const STRAYS_MAX: i64 = 500;
/// How long a pass over them is repeated whose reply was lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Children made with an outcome. Their keys and unique policies do not count.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id: of the job that made it and a name of its own.
    pub id: String,
    /// Whether it is made now; otherwise children are added to one that is there and open.
    pub is_new: bool,
    /// The jobs.
    pub children: Vec<NewJob>,
    /// Whether no more children will come.
    pub sealed: bool,
    /// Made when all children have ended, however.
    pub complete: Option<NewJob>,
    /// Made when all children are completed.
    pub success: Option<NewJob>,
    /// Made when the first child is dead.
    pub dead: Option<NewJob>,
}

impl Group {
    /// A new group of `job`, sealed; one job may make several under different names.
    pub fn of(job: &Claimed, name: &str, children: Vec<NewJob>) -> Self {
        Self { id: Self::id_of(job, name), is_new: true, children, sealed: true, complete: None, success: None, dead: None }
    }

    /// The id of the group of `job` that has this name.
    pub fn id_of(job: &Claimed, name: &str) -> String {
        format!("{}/{name}", job.id)
    }

    /// More children for an open group, which is sealed by it. They are of the tenant of the job that adds them.
    pub fn more(id: &str, children: Vec<NewJob>) -> Self {
        Self { id: id.into(), is_new: false, children, sealed: true, complete: None, success: None, dead: None }
    }

    /// More children will come.
    pub fn open(self) -> Self {
        Self { sealed: false, ..self }
    }

    /// What is made when all children have ended.
    pub fn on_complete(self, job: NewJob) -> Self {
        Self { complete: Some(job), ..self }
    }

    /// What is made when all children are completed.
    pub fn on_success(self, job: NewJob) -> Self {
        Self { success: Some(job), ..self }
    }

    /// What is made when the first child is dead.
    pub fn on_dead(self, job: NewJob) -> Self {
        Self { dead: Some(job), ..self }
    }

    /// The field that is wrong, and what is wrong with it, if anything.
    pub fn fault(&self) -> Option<(String, &'static str)> {
        let named = |field: String, job: &NewJob| (job.kind.is_empty() || job.queue.is_empty()).then_some(field);
        let children = self.children.iter().enumerate().find_map(|(n, job)| named(format!("children/{n}"), job));
        let callbacks = self.callbacks().find_map(|(what, job)| named(what.to_owned(), job));
        if let Some(field) = children.or(callbacks) {
            return Some((field, "must have a kind and a queue"));
        }
        if let Some((what, _)) = self.callbacks().find(|(_, job)| job.sequence.is_some()) {
            return Some((what.to_owned(), "cannot be in a sequence"));
        }
        let is_late = !self.is_new && self.callbacks().next().is_some();
        is_late.then_some(("callbacks".to_owned(), "are given when the group is made"))
    }

    /// Children and callbacks.
    pub(crate) fn jobs_mut(&mut self) -> impl Iterator<Item = &mut NewJob> {
        let callbacks = [&mut self.complete, &mut self.success, &mut self.dead];
        self.children.iter_mut().chain(callbacks.into_iter().flatten())
    }

    fn callbacks(&self) -> impl Iterator<Item = (&'static str, &NewJob)> {
        let all = [("complete", &self.complete), ("success", &self.success), ("dead", &self.dead)];
        all.into_iter().filter_map(|(what, job)| Some((what, job.as_ref()?)))
    }
}

#[derive(Serialize)]
struct JobId<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct GroupRow<'a> {
    id: &'a str,
    job: &'a str,
    tenant: &'a str,
    children: usize,
    sealed: i64,
}

#[derive(Serialize)]
struct CallbackRow<'a> {
    grp: &'a str,
    what: &'a str,
    #[serde(flatten)]
    job: JobRow,
}

/// Jobs as the statements here take them.
pub(crate) fn ids<'a>(jobs: impl IntoIterator<Item = &'a str>) -> String {
    json(&jobs.into_iter().map(|id| JobId { id }).collect::<Vec<_>>())
}

/// Locks the groups of `jobs`: before anything else of a commit that ends them.
pub(crate) fn lock(jobs: &str, op: &str) -> Statement {
    LOCK.with([jobs.into(), op.into()])
}

/// Locks groups by their ids, those that get more children and those that are waited for: the same.
pub(crate) fn lock_named(groups: &BTreeSet<&str>, op: &str) -> Option<Statement> {
    (!groups.is_empty()).then(|| MORE_LOCK.with([ids(groups.iter().copied()).into(), op.into()]))
}

/// Counts those of `jobs` that have ended and fires what that lets fire; last in a commit.
pub(crate) fn count(jobs: &str, op: &str, now: i64) -> [Statement; 8] {
    [
        END.with([jobs.into(), op.into()]),
        COUNT.with([op.into()]),
        FIRE.with([op.into(), now.into()]),
        JOBS.with([op.into(), now.into(), PRIORITY_STEP_US.into()]),
        WAKE.with([op.into(), now.into(), PRIORITY_STEP_US.into(), GROUP.into()]),
        UNSTAMP_MEMBERS.with([op.into()]),
        UNSTAMP_CALLBACKS.with([op.into()]),
        UNSTAMP.with([op.into()]),
    ]
}

/// Refuses the commit if any of `jobs`, which it has put to sleep, waits for a group that is not there.
pub(crate) fn known(jobs: &[&str]) -> Option<Statement> {
    (!jobs.is_empty()).then(|| WAIT_GUARD.with([ids(jobs.iter().copied()).into()]))
}

/// Makes groups, or adds to those that `lock_named` has locked; and the rows of their children, which the caller inserts.
/// `count` must follow.
pub(crate) fn make(made: &[(&Claimed, &Group)], op: &str, clock: &Clock) -> (Vec<Statement>, Vec<JobRow>) {
    let mut all = Vec::new();
    let (new, more): (Vec<_>, Vec<_>) = made.iter().partition(|(_, group)| group.is_new);
    let rows = |groups: &[&(&Claimed, &Group)]| json(&groups.iter().map(|(job, group)| row(job, group)).collect::<Vec<_>>());
    if !more.is_empty() {
        let rows = rows(&more);
        all.push(MORE_GUARD.with([rows.as_str().into(), op.into()]));
        all.push(MORE.with([rows.into()]));
    }
    if !new.is_empty() {
        all.push(INSERT.with([rows(&new).into(), op.into(), clock.now().into()]));
    }
    let (mut children, mut members, mut callbacks) = (Vec::new(), Vec::new(), Vec::new());
    for (job, group) in made {
        for child in &group.children {
            let child = job_row(NewJob { tenant: job.tenant.clone(), ..child.clone() }, "", clock);
            members.push(object!({ "job": child.id, "grp": group.id, "tenant": job.tenant }));
            children.push(child);
        }
        let kept = |(what, callback): (&'static str, &NewJob)| {
            let callback = NewJob { tenant: job.tenant.clone(), ..callback.clone() };
            CallbackRow { grp: &group.id, what, job: job_row(callback, "", clock) }
        };
        callbacks.extend(group.callbacks().map(kept));
    }
    all.push(MEMBERS.with([json(&members).into()]));
    all.push(CALLBACKS.with([json(&callbacks).into()]));
    (all, children)
}

fn row<'a>(job: &'a Claimed, group: &'a Group) -> GroupRow<'a> {
    GroupRow { id: &group.id, job: &job.id, tenant: &job.tenant, children: group.children.len(), sealed: i64::from(group.sealed) }
}

/// What a commit that brings an ended job back does about its group, which `lock` has locked.
pub(crate) fn bring_back(job: &str, op: &str) -> [Statement; 4] {
    [RECOUNT.with([job.into()]), REOPEN.with([job.into()]), DETACH.with([job.into()]), UNSTAMP.with([op.into()])]
}

/// How a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Children so far.
    pub children: i64,
    /// Those that have not ended.
    pub live: i64,
    /// Those that are completed.
    pub completed: i64,
    /// Those that are dead; the rest is cancelled.
    pub dead: i64,
    /// Whether all have ended and no more will come.
    pub over: bool,
}

pub(crate) async fn counts(db: &Db, id: &str) -> Result<Option<Counts>, DbError> {
    let rows = db.query(&Scope::System, GET.with([id.into()])).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let live = row.int("pending")?;
    let over = live == 0 && row.flag("sealed")?;
    Ok(Some(Counts { children: row.int("children")?, live, completed: row.int("completed")?, dead: row.int("dead")?, over }))
}

impl Queue {
    /// Counts members whose end nobody has counted; how many there were. Ends by binaries that know groups leave none.
    pub async fn heal_groups(&self) -> Result<usize, DbError> {
        let rows = self.db.query(&Scope::System, STRAYS.with([STRAYS_MAX.into()])).await?;
        let strays: Vec<String> = rows.iter().map(|row| row.text("id")).collect::<Result<_, _>>()?;
        if strays.is_empty() {
            return Ok(0);
        }
        let (op, now) = (new_op(), self.clock.now());
        let jobs = ids(strays.iter().map(String::as_str));
        let mut commit = vec![lock(&jobs, &op)];
        commit.extend(count(&jobs, &op, now));
        let made = self.db.commit_until_known(&Scope::System, commit, PATIENCE).await.0?;
        made.iter().flatten().filter_map(|row| row.text("queue").ok()).for_each(|queue| self.db.notify(&queue));
        Ok(strays.len())
    }

    /// Forgets groups made before `before`, microseconds, that are over.
    pub async fn prune_groups(&self, before: i64) -> Result<(), DbError> {
        let commit = [&PRUNE_CALLBACKS, &PRUNE_MEMBERS, &PRUNE].map(|sql| sql.with([before.into()]));
        self.db.commit(&Scope::System, commit.into()).await.map(|_| ())
    }
}

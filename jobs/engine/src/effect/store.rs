//! The commits of effects. Each has a door, so that one whose reply was lost is repeated into its own trace.

use super::{Class, State, Stored, Verdict};
use crate::db::{DbError, Scope, Statement};
use crate::ids::{new_id, new_op};
use crate::job::{Claimed, PRIORITY_STEP_US};
use crate::liveness::QUARANTINE_AFTER;
use crate::queue::Queue;
use crate::write::json;
use serde_json::{Value as Json, json as object};
use std::time::Duration;

crate::sql!(OP, "../sql/op_insert.sql");
crate::sql!(FENCE, "../sql/effect_fence.sql");
crate::sql!(FENCE_GUARD, "../sql/effect_fence_guard.sql");
crate::sql!(INSERT, "../sql/effect_insert.sql");
crate::sql!(REOPEN, "../sql/effect_reopen.sql");
crate::sql!(COUNT, "../sql/effect_count.sql");
crate::sql!(BY_KEY, "../sql/effect_by_key.sql");
crate::sql!(GET, "../sql/effect_get.sql");
crate::sql!(LIST, "../sql/effects_list.sql");
crate::sql!(OF_JOB, "../sql/effects_of_job.sql");
crate::sql!(LOCK_JOB, "../sql/effect_lock_job.sql");
crate::sql!(SETTLE, "../sql/effect_settle.sql");
crate::sql!(UNCOUNT, "../sql/effect_uncount.sql");
crate::sql!(RELEASE, "../sql/effect_release.sql");
crate::sql!(OBSERVE, "../sql/effect_observe.sql");
crate::sql!(OBSERVATIONS, "../sql/effect_observations.sql");
crate::sql!(CONTRADICTION, "../sql/effect_contradiction.sql");
crate::sql!(NEEDS_PERSON, "../sql/effect_needs_person.sql");
crate::sql!(LOST, "../sql/effects_lost.sql");
crate::sql!(LOST_IN_RESCUE, "../sql/effects_lost_in_rescue.sql");
crate::sql!(HEAL, "../sql/effects_heal.sql");
crate::sql!(ANOTHER_SAID, "../sql/effect_another_said.sql");
crate::sql!(RESOLVE_JOBS, "../sql/effect_resolve_jobs.pg.sql", "../sql/effect_resolve_jobs.lite.sql");

/// How long a commit with an unknown outcome is repeated.
const PATIENCE: Duration = Duration::from_secs(60);
/// An effect that is open for longer without anybody who will settle it is healed.
const HEALED_AFTER_US: i64 = 120_000_000;
/// Where jobs that resolve effects wait.
pub(crate) const QUEUE: &str = "effects";
/// A job that resolves an effect never dies of its attempts.
const RESOLVE_ATTEMPTS: i64 = 1_000_000;

/// Who observed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The handler that called.
    Handler,
    /// A job that asked the receiver.
    Resolver,
    /// A person with evidence.
    Person,
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Source::Handler => "handler",
            Source::Resolver => "resolver",
            Source::Person => "person",
        }
    }
}

/// Something observed of an effect.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// By what.
    pub source: Source,
    /// By whom: a worker, a key; empty for the system.
    pub actor: &'a str,
    /// What it was.
    pub verdict: Verdict,
    /// What shows it; JSON.
    pub evidence: &'a Json,
    /// Which try of the effect it is about.
    pub of_try: i64,
}

/// What became of an observation.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The effect afterwards.
    pub effect: Stored,
    /// Whether this observation settled it; otherwise somebody else was faster, or it had moved on.
    pub settled: bool,
}

/// What a job wants to do.
pub(super) struct Intent<'a> {
    pub key: &'a str,
    pub class: Class,
    pub money: bool,
    pub intent: &'a Json,
    /// Store time after which the call does not start.
    pub start_by: i64,
}

impl Queue {
    /// Intends an effect under the job's lease. The effect is ours to call if and only if its `op` is the returned one.
    pub(super) async fn intend(&self, job: &Claimed, wanted: &Intent<'_>) -> Result<(Stored, String), DbError> {
        let (op, now) = (new_op(), self.clock.now());
        let row = json(&[object!({
            "id": new_id("eff", &self.clock), "key": wanted.key, "job": job.id, "kind": job.kind, "tenant": job.tenant,
            "class": wanted.class.as_str(), "money": i64::from(wanted.money), "intent": wanted.intent.to_string(),
            "lease": job.lease, "op": op, "start_by": wanted.start_by, "now": now,
        })]);
        let (id, lease, key) = (job.id.as_str(), job.lease.as_str(), wanted.key);
        let commit = vec![
            OP.with([op.as_str().into(), now.into()]),
            FENCE.with([id.into(), lease.into(), op.as_str().into()]),
            FENCE_GUARD.with([id.into(), lease.into(), op.as_str().into()]),
            INSERT.with([row.as_str().into()]),
            REOPEN.with([row.as_str().into()]),
            COUNT.with([id.into(), key.into(), op.as_str().into()]),
            BY_KEY.with([key.into()]),
        ];
        let rows = match self.db.commit_until_known(&Scope::System, commit, PATIENCE).await {
            (Ok(mut all), _) => all.pop().unwrap_or_default(),
            (Err(DbError::Unique(name)), true) if name == "ops_id" => self.db.query(&Scope::System, BY_KEY.with([key.into()])).await?,
            (Err(error), _) => return Err(error),
        };
        let stored = rows.first().ok_or_else(|| DbError::Bug(format!("no effect {key} after its intent")))?;
        Ok((Stored::from_row(stored)?, op))
    }

    /// Keeps what was observed, and settles the effect by it if nobody has moved it since `rev`. The verdict of the handler
    /// that called counts also when the job was taken away meanwhile and its last try became unknown.
    pub async fn observe(&self, effect: &Stored, rev: i64, seen: &Observation<'_>) -> Result<Resolved, DbError> {
        let (op, now) = (new_op(), self.clock.now());
        let (id, verdict, evidence) = (effect.id.as_str(), seen.verdict.as_str(), seen.evidence.to_string());
        let commit = vec![
            OP.with([op.as_str().into(), now.into()]),
            LOCK_JOB.with([effect.job.as_str().into()]),
            SETTLE.with([
                id.into(),
                rev.into(),
                verdict.into(),
                evidence.as_str().into(),
                op.as_str().into(),
                now.into(),
                if seen.source == Source::Handler { seen.of_try.into() } else { 0.into() },
            ]),
            UNCOUNT.with([effect.job.as_str().into(), id.into(), op.as_str().into()]),
            RELEASE.with([effect.job.as_str().into(), now.into(), PRIORITY_STEP_US.into(), QUARANTINE_AFTER.into()]),
            self.observation(id, seen.source.as_str(), seen.actor, verdict, seen.of_try, &evidence, now),
            CONTRADICTION.with([
                new_id("fnd", &self.clock).into(),
                id.into(),
                op.as_str().into(),
                verdict.into(),
                seen.of_try.into(),
                object!({"observed": verdict, "try": seen.of_try, "by": seen.actor, "evidence": seen.evidence}).to_string().into(),
                now.into(),
            ]),
            GET.with(["*".into(), id.into()]),
        ];
        let (answer, unknown_before) = self.db.commit_until_known(&Scope::System, commit, PATIENCE).await;
        let rows = match answer {
            Ok(mut all) => {
                if let Some(row) = all[4].first() {
                    self.db.notify(&row.text("queue")?);
                }
                all.pop().unwrap_or_default()
            }
            Err(DbError::Unique(name)) if name == "ops_id" && unknown_before => {
                self.db.query(&Scope::System, GET.with(["*".into(), id.into()])).await?
            }
            Err(error) => return Err(error),
        };
        let row = rows.first().ok_or_else(|| DbError::Bug(format!("no effect {id}")))?;
        let effect = Stored::from_row(row)?;
        Ok(Resolved { settled: effect.op == op, effect })
    }

    /// Keeps what was observed and moves nothing.
    pub(super) async fn say(&self, effect: &Stored, seen: &Observation<'_>) -> Result<(), DbError> {
        let (now, evidence) = (self.clock.now(), seen.evidence.to_string());
        let row = self.observation(&effect.id, seen.source.as_str(), seen.actor, seen.verdict.as_str(), seen.of_try, &evidence, now);
        self.db.commit_until_known(&Scope::System, vec![row], PATIENCE).await.0.map(|_| ())
    }

    /// Keeps that somebody looked and still does not know; moves nothing.
    pub async fn observe_nothing(&self, effect: &Stored, source: Source, actor: &str, why: &str) -> Result<(), DbError> {
        let evidence = object!({ "why": why }).to_string();
        let row = self.observation(&effect.id, source.as_str(), actor, "unknown", effect.tries, &evidence, self.clock.now());
        self.db.commit(&Scope::System, vec![row]).await.map(|_| ())
    }

    #[expect(clippy::too_many_arguments, reason = "one row, column by column")]
    fn observation(&self, effect: &str, source: &str, actor: &str, verdict: &str, of_try: i64, evidence: &str, now: i64) -> Statement {
        OBSERVE.with([
            new_id("obs", &self.clock).into(),
            effect.into(),
            source.into(),
            actor.into(),
            verdict.into(),
            of_try.into(),
            evidence.into(),
            now.into(),
        ])
    }

    /// Hands an effect that is unknown for too long to a person.
    pub async fn needs_person(&self, effect: &Stored) -> Result<(), DbError> {
        let row = NEEDS_PERSON.with([effect.id.as_str().into(), effect.rev.into(), new_op().into()]);
        self.db.commit_until_known(&Scope::System, vec![row], PATIENCE).await.0.map(|_| ())
    }

    /// Whether another person said the same of the effect's last try.
    pub(super) async fn another_said(&self, effect: &Stored, actor: &str, verdict: Verdict) -> Result<bool, DbError> {
        let params = [effect.id.as_str().into(), verdict.as_str().into(), effect.tries.into(), actor.into()];
        Ok(!self.db.query(&Scope::System, ANOTHER_SAID.with(params)).await?.is_empty())
    }

    /// Gives a resolver to effects that nobody will settle; how many there were. In a house whose binaries all know effects
    /// there are none.
    pub async fn heal_effects(&self) -> Result<usize, DbError> {
        let (op, now) = (new_op(), self.clock.now());
        let commit = vec![HEAL.with([op.as_str().into(), (now - HEALED_AFTER_US).into()]), resolvers(&op, now)];
        let healed = self.db.commit(&Scope::System, commit).await?.swap_remove(0).len();
        if healed > 0 {
            self.db.notify(QUEUE);
        }
        Ok(healed)
    }

    /// One effect.
    pub async fn effect(&self, scope: &Scope, id: &str) -> Result<Option<Stored>, DbError> {
        let rows = self.db.query(scope, GET.with([scope.param(), id.into()])).await?;
        rows.first().map(Stored::from_row).transpose()
    }

    /// Effects, newest first, below the id `before` (empty = from the newest), in `state` and of `job` where given; at most
    /// `limit` (≤ 201).
    pub async fn effects(&self, scope: &Scope, state: Option<State>, job: &str, before: &str, limit: i64) -> Result<Vec<Stored>, DbError> {
        let before = if before.is_empty() { "~" } else { before };
        let state = state.map_or("", State::as_str);
        let statement = LIST.with([scope.param(), state.into(), job.into(), before.into(), limit.clamp(1, 201).into()]);
        self.db.query(scope, statement).await?.iter().map(Stored::from_row).collect()
    }

    /// A job's effects, oldest first.
    pub async fn effects_of_job(&self, scope: &Scope, job: &str) -> Result<Vec<Stored>, DbError> {
        let rows = self.db.query(scope, OF_JOB.with([scope.param(), job.into()])).await?;
        rows.iter().map(Stored::from_row).collect()
    }

    /// What was observed of an effect, the newest 200, newest first: `id source actor verdict try evidence at`.
    pub async fn observations(&self, scope: &Scope, effect: &str) -> Result<crate::db::Rows, DbError> {
        self.db.query(scope, OBSERVATIONS.with([scope.param(), effect.into()])).await
    }
}

/// What a commit that holds these jobs (`[{"id": …}]`) for their effects does besides: their intents become unknown, each gets
/// its resolver. `op` is the one that commit stamped the held jobs with.
pub(crate) fn lost(op: &str, jobs: &str, now: i64) -> [Statement; 2] {
    [LOST.with([op.into(), jobs.into()]), resolvers(op, now)]
}

/// The same where the commit cannot know beforehand which jobs it will hold.
pub(crate) fn lost_in_rescue(op: &str, now: i64) -> [Statement; 2] {
    [LOST_IN_RESCUE.with([op.into()]), resolvers(op, now)]
}

fn resolvers(op: &str, now: i64) -> Statement {
    RESOLVE_JOBS.with([op.into(), now.into(), RESOLVE_ATTEMPTS.into()])
}

//! Forgetting: periodic, by anybody, as often as one likes.

use super::Class;
use crate::db::{DbError, Engine, Scope, Statement};
use crate::group::ids;
use crate::queue::Queue;
use std::time::{Duration, Instant};

crate::sql!(OVER, "../sql/archive_over.pg.sql", "../sql/archive_over.lite.sql");
crate::sql!(FORGET, "../sql/archive_forget.sql");
crate::sql!(LOGS, "../sql/forget_logs.sql");
crate::sql!(PROGRESS, "../sql/forget_progress.sql");
crate::sql!(CHECKPOINTS, "../sql/forget_checkpoints.sql");
crate::sql!(RESCUES, "../sql/forget_rescues.sql");
crate::sql!(WAITS, "../sql/forget_waits.sql");
crate::sql!(OBSERVATIONS, "../sql/forget_observations.sql");
crate::sql!(EFFECTS, "../sql/forget_effects.sql");
crate::sql!(BELONGINGS, "../sql/belongings.pg.sql");
crate::sql!(AHEAD, "../sql/archive_ahead.pg.sql");
crate::sql!(PARTITIONS, "../sql/archive_partitions.pg.sql");
crate::sql!(DROP, "../sql/archive_drop.pg.sql");

/// Jobs of one commit.
const BATCH: i64 = 500;
/// One pass takes no longer; the next goes on.
const PASS_MAX: Duration = Duration::from_secs(60);
/// Others commit in between.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a commit whose reply was lost is repeated.
const PATIENCE: Duration = Duration::from_secs(10);
const DAY_US: i64 = 86_400_000_000;

/// What a pass has forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Partitions that were dropped, with the jobs they held.
    pub partitions: Vec<(String, i64)>,
    /// Jobs besides, one by one, by class.
    pub jobs: Vec<(Class, usize)>,
}

impl Queue {
    /// Makes the archive's partitions of the days to come; their names. Postgres only.
    pub async fn archive_ahead(&self) -> Result<Vec<String>, DbError> {
        if self.db.engine() != Engine::Postgres {
            return Ok(Vec::new());
        }
        let rows = self.db.commit(&Scope::System, vec![AHEAD.with([])]).await?;
        rows[0].iter().map(|row| row.text("leaf")).collect()
    }

    /// Forgets the ended jobs that have been kept for as long as their class says, with all that belongs to them.
    pub async fn forget(&self) -> Result<Forgotten, DbError> {
        let started = Instant::now();
        let mut forgotten = Forgotten::default();
        let now = self.clock.now();
        for (class, kept_as) in [(Class::Short, Class::Short), (Class::Long, Class::Long), (Class::Dead, Class::Long)] {
            let Some(days) = self.kept_days(kept_as).await? else { continue };
            let jobs = self.forget_class(class, now - days * DAY_US, started).await?;
            forgotten.jobs.extend((jobs > 0).then_some((class, jobs)));
        }
        if self.db.engine() == Engine::Postgres {
            forgotten.partitions = self.forget_partitions(now, started).await?;
        }
        Ok(forgotten)
    }

    async fn forget_class(&self, class: Class, before: i64, started: Instant) -> Result<usize, DbError> {
        let mut forgotten = 0;
        while started.elapsed() < PASS_MAX {
            let rows = self.db.query(&Scope::System, OVER.with([class.as_str().into(), before.into(), BATCH.into()])).await?;
            let jobs = rows.iter().map(|row| row.text("id")).collect::<Result<Vec<_>, _>>()?;
            let gone = self.forget_jobs(&jobs, class, before).await?;
            forgotten += gone;
            if gone == 0 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(forgotten)
    }

    /// The jobs first: who brings one back meanwhile waits for this commit, or is waited for and has it, with what belongs to it.
    async fn forget_jobs(&self, jobs: &[String], class: Class, before: i64) -> Result<usize, DbError> {
        if jobs.is_empty() {
            return Ok(0);
        }
        let jobs = ids(jobs.iter().map(String::as_str));
        let mut commit = vec![FORGET.with([jobs.as_str().into(), class.as_str().into(), before.into()])];
        let belongings = [&LOGS, &PROGRESS, &CHECKPOINTS, &RESCUES, &WAITS, &OBSERVATIONS, &EFFECTS];
        commit.extend(belongings.map(|sql| -> Statement { sql.with([jobs.as_str().into()]) }));
        let rows = self.db.commit_until_known(&Scope::System, commit, PATIENCE).await.0?;
        Ok(rows[0].len())
    }

    async fn forget_partitions(&self, now: i64, started: Instant) -> Result<Vec<(String, i64)>, DbError> {
        let mut dropped = Vec::new();
        for row in self.db.query(&Scope::System, PARTITIONS.with([])).await? {
            let (leaf, class) = (row.text("leaf")?, if row.text("class")? == "short" { Class::Short } else { Class::Long });
            let Some(days) = self.kept_days(class).await? else { continue };
            let is_bare = self.forget_belongings((row.text("from_id")?, row.text("to_id")?), class, now - days * DAY_US, started).await?;
            if !is_bare {
                break;
            }
            let rows = self.db.commit(&Scope::System, vec![DROP.with([leaf.as_str().into()])]).await?;
            if let Some(jobs) = rows[0].first().map(|row| row.opt_int("jobs")).transpose()?.flatten() {
                dropped.push((leaf, jobs));
            }
        }
        Ok(dropped)
    }

    /// Of a partition only jobs of which nothing else is kept go with the whole; the others go before it, one by one. True if none is left.
    async fn forget_belongings(
        &self,
        (mut from, to): (String, String),
        class: Class,
        before: i64,
        started: Instant,
    ) -> Result<bool, DbError> {
        while started.elapsed() < PASS_MAX {
            let rows = self.db.query(&Scope::System, BELONGINGS.with([from.as_str().into(), to.as_str().into(), BATCH.into()])).await?;
            let jobs = rows.iter().map(|row| row.text("id")).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = jobs.last() else { return Ok(true) };
            from.clone_from(last);
            self.forget_jobs(&jobs, class, before).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(false)
    }
}

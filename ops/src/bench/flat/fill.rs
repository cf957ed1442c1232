//! Filling a store by the million: set-based, past every role, never through the API.

use super::Plan;
use crate::bench::report::Report;
use anyhow::Context as _;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, Scope, Sql};
use std::time::{Duration, Instant};

clawr_engine::sql!(JOBS, "../sql/flat_jobs.sql");
clawr_engine::sql!(ARCHIVED, "../sql/flat_archived.sql");
clawr_engine::sql!(VACUUM_JOBS, "../sql/flat_vacuum_jobs.sql");
clawr_engine::sql!(VACUUM_ARCHIVE, "../sql/flat_vacuum_archive.sql");
clawr_engine::sql!(SNAPSHOT, "../sql/flat_snapshot.sql");

/// Rows of one statement.
const CHUNK: usize = 100_000;
const DAY_US: i64 = 86_400_000_000;

/// Somebody with the keys to the store. Cheap to clone.
#[derive(Clone)]
pub struct Filler {
    owner: Db,
    clock: Clock,
}

impl Filler {
    /// On a handle of the owner's.
    pub fn new(owner: Db, clock: Clock) -> Self {
        Self { owner, clock }
    }

    /// What the plan says: ready since an hour, scheduled for the next week, ended in the last six days.
    pub async fn fill(&self, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
        let (started, now) = (Instant::now(), self.clock.now());
        self.spread(&JOBS, plan.ready, (now - DAY_US / 24, DAY_US / 24)).await.context("ready jobs")?;
        self.spread(&JOBS, plan.scheduled, (now + DAY_US, 7 * DAY_US)).await.context("scheduled jobs")?;
        self.spread(&ARCHIVED, plan.archived, (now - 6 * DAY_US, 6 * DAY_US)).await.context("ended jobs")?;
        self.owner.commit(&Scope::System, vec![VACUUM_ARCHIVE.with([])]).await?;
        self.tidy_jobs().await?;
        let rows = (plan.ready + plan.scheduled + plan.archived) as f64;
        report.figure("filled_per_s", rows / started.elapsed().as_secs_f64());
        Ok(())
    }

    /// This many more jobs, due now.
    pub async fn more(&self, jobs: usize) -> anyhow::Result<()> {
        self.spread(&JOBS, jobs, (self.clock.now() - 1_000, 0)).await
    }

    /// The live jobs vacuumed, as they are when they were not made a moment ago.
    pub async fn tidy_jobs(&self) -> anyhow::Result<()> {
        self.owner.commit(&Scope::System, vec![VACUUM_JOBS.with([])]).await?;
        Ok(())
    }

    /// Holds one snapshot for this long.
    pub async fn hold(&self, length: Duration) -> anyhow::Result<()> {
        let seconds = i64::try_from(length.as_secs()).unwrap_or(1);
        self.owner.query(&Scope::System, SNAPSHOT.with([seconds.into()])).await?;
        Ok(())
    }

    /// Closes the owner's handle.
    pub async fn close(&self) {
        self.owner.close().await;
    }

    /// Rows at even distances over a span of time.
    async fn spread(&self, sql: &'static Sql, rows: usize, (from, span): (i64, i64)) -> anyhow::Result<()> {
        let step = span / i64::try_from(rows.max(1))?;
        for first in (0..rows).step_by(CHUNK) {
            let some = i64::try_from((rows - first).min(CHUNK))?;
            let at = from + i64::try_from(first)? * step;
            self.owner.commit(&Scope::System, vec![sql.with([some.into(), at.into(), step.into()])]).await?;
        }
        Ok(())
    }
}

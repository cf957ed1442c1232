//! Claiming: due jobs of one queue, lowest rank first, under a fresh lease.
//!
//! Claimed rows leave the claim index, but their dead entries stay while any snapshot is older; a scan that always
//! starts at the bottom would crawl through them. So each claimer remembers a **watermark**, the rank up to which it
//! has claimed, and starts there; every two seconds, when a claim comes back short, and when a timer is due, it scans
//! from the bottom.

use crate::db::{DbError, Row, Scope};
use crate::ids::new_op;
use crate::job::{Claimed, PRIORITY_MAX, PRIORITY_STEP_US};
use crate::queue::Queue;
use crate::write::json;
use std::time::{Duration, Instant};

crate::sql!(CLAIM, "sql/claim.pg.sql", "sql/claim.lite.sql");
crate::sql!(NEXT_RUN_AT, "sql/next_run_at.sql");
crate::sql!(HELD_BY, "sql/running_of_worker.sql");

/// A full scan at least this often.
const FULL_SCAN: Duration = Duration::from_secs(2);

/// Claims jobs of one queue for one worker.
pub struct Claimer {
    queue: Queue,
    name: String,
    runnable: String,
    watermark: i64,
    last_full: Option<Instant>,
}

impl Claimer {
    /// `runnable`: the `kind:version` pairs this process can run.
    pub fn new(queue: Queue, name: &str, runnable: &[String]) -> Self {
        Self { queue, name: name.to_owned(), runnable: json(runnable), watermark: 0, last_full: None }
    }

    /// Claims up to `limit` due jobs for `worker`, most urgent first. `Unknown` leaves claimed rows behind that only
    /// [`Claimer::adopt`] finds.
    pub async fn claim(&mut self, worker: &str, limit: i64) -> Result<Vec<Claimed>, DbError> {
        let full = self.last_full.is_none_or(|at| at.elapsed() >= FULL_SCAN);
        let from = if full { i64::MIN / 2_000 } else { self.watermark };
        let claimed = self.scan(worker, limit, from).await?;
        let short = i64::try_from(claimed.len()).unwrap_or(0) < limit;
        if full || short {
            self.last_full = if short { None } else { Some(Instant::now()) };
        }
        self.watermark = claimed.last().map_or(self.watermark, |job| job.rank);
        if claimed.is_empty() && !full {
            return Box::pin(self.claim(worker, limit)).await;
        }
        Ok(claimed)
    }

    /// The next claim starts at the bottom: a timer is due, or something entered below the watermark.
    pub fn rescan(&mut self) {
        self.last_full = None;
    }

    /// Rows that run under `worker` by the store's word: what a lost reply of a claim left behind is among them.
    pub async fn adopt(&self, worker: &str) -> Result<Vec<Claimed>, DbError> {
        let rows = self.queue.db.query(&Scope::System, HELD_BY.with([worker.into(), self.name.as_str().into()])).await?;
        sorted(&rows)
    }

    /// When the next job of this queue that is not due yet becomes due, as far as a look at the lowest ranks tells.
    pub async fn next_run_at(&self) -> Result<Option<i64>, DbError> {
        let now = self.queue.clock.now();
        let rows = self.queue.db.query(&Scope::System, NEXT_RUN_AT.with([self.name.as_str().into(), now.into()])).await?;
        rows.first().map_or(Ok(None), |row| row.opt_int("run_at"))
    }

    async fn scan(&self, worker: &str, limit: i64, from: i64) -> Result<Vec<Claimed>, DbError> {
        let now = self.queue.clock.now();
        let bound = now + PRIORITY_MAX * PRIORITY_STEP_US;
        let statement = CLAIM.with([
            self.name.as_str().into(),
            self.runnable.as_str().into(),
            now.into(),
            from.into(),
            bound.into(),
            limit.into(),
            new_op().into(),
            worker.into(),
        ]);
        let mut rows = self.queue.db.commit(&Scope::System, vec![statement]).await?;
        sorted(&rows.pop().unwrap_or_default())
    }
}

/// RETURNING has no order.
fn sorted(rows: &[Row]) -> Result<Vec<Claimed>, DbError> {
    let mut claimed: Vec<Claimed> = rows.iter().map(Claimed::from_row).collect::<Result<_, _>>()?;
    claimed.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    Ok(claimed)
}

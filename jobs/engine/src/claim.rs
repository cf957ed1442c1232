//! Claiming: due jobs of one queue, lowest rank first, under a fresh lease.
//!
//! Claimed rows leave the claim index, but their dead entries stay while any snapshot is older; a scan that always
//! starts at the bottom would crawl through them. So each claimer remembers a **watermark**, the rank up to which it
//! has claimed, and starts there; every two seconds, when a claim comes back short, and when a timer is due, it scans
//! from the bottom.
//!
//! Where a limit concerns the queue, the claim is a commit of more than one statement; see [`crate::limits`].

use crate::db::{DbError, Row, Scope};
use crate::ids::new_op;
use crate::job::{Claimed, PRIORITY_MAX, PRIORITY_STEP_US};
use crate::limits::{Limited, Measure};
use crate::queue::Queue;
use crate::write::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

crate::sql!(CLAIM, "sql/claim.pg.sql", "sql/claim.lite.sql");
crate::sql!(NEXT_RUN_AT, "sql/next_run_at.sql");
crate::sql!(LIMITED, "sql/claim_limited.pg.sql", "sql/claim_limited.lite.sql");
crate::sql!(LOCK, "sql/limits_lock.pg.sql", "sql/limits_lock.lite.sql");
crate::sql!(SPEND, "sql/limits_spend.sql");
crate::sql!(HELD_BY, "sql/running_of_worker.sql");

/// A full scan at least this often.
const FULL_SCAN: Duration = Duration::from_secs(2);

/// Tokens of a rate limit are looked for at most this often, microseconds.
const TOKEN_US: i64 = 5_000;

/// Claims jobs of one queue for one worker.
pub struct Claimer {
    queue: Queue,
    name: String,
    runnable: String,
    kinds: BTreeSet<String>,
    limited: Limited,
    watermark: i64,
    last_full: Option<Instant>,
}

impl Claimer {
    /// `runnable`: the `kind:version` pairs this process can run.
    pub fn new(queue: Queue, name: &str, runnable: &[String]) -> Self {
        let kinds = runnable.iter().filter_map(|what| what.rsplit_once(':')).map(|(kind, _)| kind.to_owned()).collect();
        let limited = Limited::default();
        Self { queue, name: name.to_owned(), runnable: json(runnable), kinds, limited, watermark: 0, last_full: None }
    }

    /// Claims up to `limit` due jobs for `worker`, most urgent first. `Unknown` leaves claimed rows behind that only
    /// [`Claimer::adopt`] finds.
    pub async fn claim(&mut self, worker: &str, limit: i64) -> Result<Vec<Claimed>, DbError> {
        self.limited = self.queue.limited(&self.name, &self.kinds).await?;
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

    /// Whether limits concern its claims: one that took fewer than it could may have left jobs for the next.
    pub fn is_limited(&self) -> bool {
        self.limited.any
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

    /// When the next job of this queue that is not due yet becomes due, as far as a look at the lowest ranks tells, or a rate
    /// limit that is used up lets one more start.
    pub async fn next_run_at(&self) -> Result<Option<i64>, DbError> {
        let now = self.queue.clock.now();
        let rows = self.queue.db.query(&Scope::System, NEXT_RUN_AT.with([self.name.as_str().into(), now.into()])).await?;
        let due = rows.first().map_or(Ok(None), |row| row.opt_int("run_at"))?;
        let room = self.room_at().await?.map(|at| at.max(now + TOKEN_US));
        Ok(due.into_iter().chain(room).min())
    }

    /// When a rate limit that is used up lets one more start; `None` if none concerns this queue.
    async fn room_at(&self) -> Result<Option<i64>, DbError> {
        if !self.limited.by_rate {
            return Ok(None);
        }
        let full = self.queue.full_limits().await?;
        let ours = full.iter().filter(|full| full.limit.measure == Measure::Rate && full.limit.concerns(&self.name, &self.kinds));
        Ok(ours.map(|full| full.room_at).min())
    }

    async fn scan(&self, worker: &str, limit: i64, from: i64) -> Result<Vec<Claimed>, DbError> {
        let now = self.queue.clock.now();
        let bound = now + PRIORITY_MAX * PRIORITY_STEP_US;
        let (op, sql) = (new_op(), if self.limited.any { &LIMITED } else { &CLAIM });
        let claim = sql.with([
            self.name.as_str().into(),
            self.runnable.as_str().into(),
            now.into(),
            from.into(),
            bound.into(),
            limit.into(),
            op.as_str().into(),
            worker.into(),
        ]);
        let (mut commit, mut at) = (vec![claim], 0);
        if self.limited.any {
            let kinds: Vec<&String> = self.kinds.iter().collect();
            commit.insert(0, LOCK.with([self.name.as_str().into(), json(&kinds).into()]));
            at = 1;
        }
        if self.limited.by_rate {
            commit.push(SPEND.with([op.into(), now.into(), worker.into()]));
        }
        sorted(&self.queue.db.commit(&Scope::System, commit).await?.swap_remove(at))
    }
}

/// RETURNING has no order.
fn sorted(rows: &[Row]) -> Result<Vec<Claimed>, DbError> {
    let mut claimed: Vec<Claimed> = rows.iter().map(Claimed::from_row).collect::<Result<_, _>>()?;
    claimed.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    Ok(claimed)
}

//! Claiming: due jobs of one queue, lowest rank first, under a fresh lease.
//!
//! Claimed rows leave the claim index, but their dead entries stay while any snapshot is older; a scan that always
//! starts at the bottom would crawl through them. So each claimer remembers a **watermark**, the rank up to which it
//! has claimed, and starts there; every two seconds, when a claim comes back short, and when a timer is due, it scans
//! from the bottom. Where such a scan takes long, the next one waits for twenty times as long.
//!
//! Where a limit concerns the queue, the claim is a commit of more than one statement; see [`crate::limits`]. Where tenants
//! share it, they take turns instead of order by rank; see [`crate::shares`].

use crate::db::{DbError, Row, Scope, Statement};
use crate::ids::new_op;
use crate::job::{Claimed, PRIORITY_MAX, PRIORITY_STEP_US};
use crate::limits::Heed;
use crate::queue::Queue;
use crate::shares::{Ring, Share};
use crate::write::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

crate::sql!(CLAIM, "sql/claim.pg.sql", "sql/claim.lite.sql");
crate::sql!(NEXT_RUN_AT, "sql/next_run_at.sql");
crate::sql!(LIMITED, "sql/claim_limited.pg.sql", "sql/claim_limited.lite.sql");
crate::sql!(LOCK, "sql/limits_lock.pg.sql", "sql/limits_lock.lite.sql");
crate::sql!(SHARED, "sql/claim_shared.pg.sql", "sql/claim_shared.lite.sql");
crate::sql!(SPEND, "sql/limits_spend.sql");
crate::sql!(START, "sql/limits_start.sql");
crate::sql!(HEAD_UNITS, "sql/head_units.sql");
crate::sql!(HELD_BY, "sql/running_of_worker.sql");

/// A full scan at least this often.
const FULL_SCAN: Duration = Duration::from_secs(2);
/// A full scan may take one part in so many of the time.
const FULL_SCAN_SHARE: u32 = 20;
/// However long they take.
const FULL_SCAN_MAX: Duration = Duration::from_secs(30);

/// Tokens of a rate limit are looked for at most this often, microseconds.
const TOKEN_US: i64 = 5_000;
/// So many jobs are looked at where those that come first found no room under a rate: they weigh more than is left, and whoever
/// counts by other keys must not wait behind them.
const LOOK_MAX: i64 = 10_000;
/// One claim of a shared queue goes round the ring at most so often.
const LAPS_MAX: usize = 8;

/// Claims jobs of one queue for one worker.
pub struct Claimer {
    queue: Queue,
    name: String,
    runnable: String,
    kinds: BTreeSet<String>,
    heed: Heed,
    ring: Ring,
    watermark: i64,
    last_full: Option<Instant>,
    full_every: Duration,
}

impl Claimer {
    /// `runnable`: the `kind:version` pairs this process can run.
    pub fn new(queue: Queue, name: &str, runnable: &[String]) -> Self {
        let kinds = runnable.iter().filter_map(|what| what.rsplit_once(':')).map(|(kind, _)| kind.to_owned()).collect();
        let (name, runnable, heed, ring) = (name.to_owned(), json(runnable), Heed::default(), Ring::default());
        Self { queue, name, runnable, kinds, heed, ring, watermark: 0, last_full: None, full_every: FULL_SCAN }
    }

    /// Claims up to `limit` due jobs for `worker`, most urgent first, or in turns where tenants share the queue. `Unknown` leaves
    /// claimed rows behind that only [`Claimer::adopt`] finds.
    pub async fn claim(&mut self, worker: &str, limit: i64) -> Result<Vec<Claimed>, DbError> {
        self.heed = self.queue.heed(&self.name, &self.kinds).await?;
        if let Some(share) = self.heed.shares.clone() {
            return self.claim_in_turns(worker, limit, &share).await;
        }
        // a rate that lets nothing light overtake does so from the lowest rank on: a watermark would hide who waits
        let full = self.heed.starts() || self.last_full.is_none_or(|at| at.elapsed() >= self.full_every);
        let from = if full { i64::MIN / 2_000 } else { self.watermark };
        let started = Instant::now();
        let mut claimed = self.scan(worker, limit, from, limit).await?;
        if claimed.is_empty() && self.heed.starts() {
            claimed = self.scan(worker, limit, from, LOOK_MAX).await?;
        }
        if full {
            self.full_every = (started.elapsed() * FULL_SCAN_SHARE).clamp(FULL_SCAN, FULL_SCAN_MAX);
        }
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

    /// Goes round the ring until the claim is full or a whole lap found nothing. Once something is claimed, an error waits for the
    /// next claim: what is claimed must be run.
    async fn claim_in_turns(&mut self, worker: &str, limit: i64, share: &Share) -> Result<Vec<Claimed>, DbError> {
        let (mut claimed, mut looks_deep) = (Vec::<Claimed>::new(), false);
        for _ in 0..LAPS_MAX {
            let wanted = limit - i64::try_from(claimed.len()).unwrap_or(limit);
            let (is_whole_lap, quantum) = (self.ring.is_at_start(), self.ring.quantum(wanted));
            let look = if looks_deep { LOOK_MAX } else { wanted };
            let took = match self.take_turns(worker, wanted, quantum, look).await {
                Ok(took) => took,
                Err(error) if claimed.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(queue = self.name, "failed to claim the rest: {error}");
                    break;
                }
            };
            let mut by_tenant: BTreeMap<&str, i64> = BTreeMap::new();
            took.iter().for_each(|job| *by_tenant.entry(&job.tenant).or_default() += 1);
            let by_tenant: Vec<(String, i64)> = by_tenant.into_iter().map(|(tenant, n)| (tenant.to_owned(), n)).collect();
            self.ring.advance(&by_tenant, wanted, quantum, share);
            let found = i64::try_from(took.len()).unwrap_or(0);
            claimed.extend(took);
            if found >= wanted || (found == 0 && is_whole_lap && (looks_deep || !self.heed.starts())) {
                break;
            }
            looks_deep = found == 0 && is_whole_lap;
        }
        Ok(claimed)
    }

    /// Whether one that took fewer than it could may have left jobs for the next: limits, or turns.
    pub fn may_have_left(&self) -> bool {
        self.heed.limits || self.heed.shares.is_some()
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

    /// When a rate lets the job start that comes first: lighter ones do not overtake it. `None` if none concerns this queue.
    async fn room_at(&self) -> Result<Option<i64>, DbError> {
        if !self.heed.starts() {
            return Ok(None);
        }
        let now = self.queue.clock.now();
        let rows = self.queue.db.query(&Scope::System, HEAD_UNITS.with([self.name.as_str().into(), now.into()])).await?;
        let Some(units) = rows.first().map_or(Ok(None), |row| row.opt_int("units"))? else { return Ok(None) };
        let in_use = self.queue.limits_in_use().await?;
        let ours = in_use.iter().filter(|used| used.limit.measure.is_of_starts() && used.limit.concerns(&self.name, &self.kinds));
        Ok(ours.filter(|used| !used.has_room(units)).map(|used| used.room_at(units)).min())
    }

    /// `look`: how many jobs at most are looked at where limits may refuse some.
    async fn scan(&self, worker: &str, limit: i64, from: i64, look: i64) -> Result<Vec<Claimed>, DbError> {
        let (now, op) = (self.queue.clock.now(), new_op());
        let mut claim = if self.heed.limits { &LIMITED } else { &CLAIM }.with([
            self.name.as_str().into(),
            self.runnable.as_str().into(),
            now.into(),
            from.into(),
            rank_bound(now).into(),
            limit.into(),
            op.as_str().into(),
            worker.into(),
        ]);
        if self.heed.limits {
            claim = claim.and(look.into());
        }
        self.commit(claim, &op, now, worker).await
    }

    async fn take_turns(&self, worker: &str, limit: i64, quantum: i64, look: i64) -> Result<Vec<Claimed>, DbError> {
        let (now, op, (from, taken)) = (self.queue.clock.now(), new_op(), self.ring.place());
        let claim = SHARED.with([
            self.name.as_str().into(),
            self.runnable.as_str().into(),
            now.into(),
            from.into(),
            rank_bound(now).into(),
            limit.into(),
            op.as_str().into(),
            worker.into(),
            quantum.into(),
            taken.into(),
            look.into(),
        ]);
        self.commit(claim, &op, now, worker).await
    }

    /// The claim, behind the locks of the limits that concern it, and what it spends of rates.
    async fn commit(&self, claim: Statement, op: &str, now: i64, worker: &str) -> Result<Vec<Claimed>, DbError> {
        let (mut commit, mut at) = (vec![claim], 0);
        if self.heed.limits {
            let kinds: Vec<&String> = self.kinds.iter().collect();
            commit.insert(0, LOCK.with([self.name.as_str().into(), json(&kinds).into()]));
            at = 1;
        }
        for (sql, is_needed) in [(&SPEND, self.heed.rates), (&START, self.heed.windows)] {
            if is_needed {
                commit.push(sql.with([op.into(), now.into(), worker.into()]));
            }
        }
        sorted(&self.queue.db.commit(&Scope::System, commit).await?.swap_remove(at))
    }
}

/// No job that is due at `now` has a greater rank.
fn rank_bound(now: i64) -> i64 {
    now + PRIORITY_MAX * PRIORITY_STEP_US
}

/// RETURNING has no order.
fn sorted(rows: &[Row]) -> Result<Vec<Claimed>, DbError> {
    let mut claimed: Vec<Claimed> = rows.iter().map(Claimed::from_row).collect::<Result<_, _>>()?;
    claimed.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    Ok(claimed)
}

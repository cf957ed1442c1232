//! Limits: how many jobs may run at once and how many may start in a time, of all, a queue, a kind or a tenant, together, for
//! each tenant by itself, or for each key: the field of its args that a kind names.
//!
//! What runs is counted where it stands, in the rows of running jobs: nothing is taken that could leak, and a dead worker's
//! jobs count until they are rescued. A claim under limits is one commit: lock the limits' rows in order of ids, claim as far
//! as the counts go, write down what rate limits spent. The lock makes claimers that share a limit take turns; counts taken
//! without it would each miss what the other one is about to take.
//!
//! A rate is a token bucket kept as one time per holder, at which it is full again: `cap` tokens, one more every
//! `every_us`. A window keeps what each claim started, and allows `cap` in any time of its length, by the clocks of the
//! claimers, which agree to within their error bounds. Both count by weight ([`crate::kind::Units`]). A job that finds no
//! room stays where it is, no attempt used, and its claimer sleeps until there is some; lighter ones do not overtake it.
//!
//! Claimers look which limits there are at least every 2 s, and those whom none concerns claim as ever. So a limit that is
//! new or lower holds 2 s after it was made at the latest; what runs by then goes on.

mod limit;

pub use limit::{CAP_MAX, EVERY_MAX_US, Limit, Measure, NewLimit, Per, Used, What};

use crate::db::{DbError, Row, Scope};
use crate::ids::new_id;
use crate::queue::Queue;
use crate::shares::{self, Shares};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

crate::sql!(PRUNE, "sql/limits_prune.sql");
crate::sql!(SETTLE, "sql/limits_settle.sql");
crate::sql!(PUT, "sql/limit_put.sql");
crate::sql!(DELETE, "sql/limit_delete.sql");
crate::sql!(FORGET, "sql/limit_uses_delete.sql");
crate::sql!(FORGET_STARTS, "sql/limit_starts_delete.sql");
crate::sql!(PRUNE_STARTS, "sql/limit_starts_prune.sql");
crate::sql!(LIST, "sql/limits_list.sql");
crate::sql!(IN_USE, "sql/limits_in_use.sql");

/// How old a look at the limits may be.
const FRESH: Duration = Duration::from_secs(2);

/// What a process knows of limits and shares.
#[derive(Default)]
pub(crate) struct Known {
    at: Option<Instant>,
    limits: Arc<Vec<Limit>>,
    shares: Arc<Shares>,
    /// Queues whose claimers may wait for a job of another queue to end.
    waiting: Arc<Vec<String>>,
}

/// What a claim has to heed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heed {
    /// Whether any limit concerns it.
    pub limits: bool,
    /// Whether a rate does.
    pub rates: bool,
    /// Whether a window does.
    pub windows: bool,
    /// How tenants share the queue, if they do.
    pub shares: Option<Arc<shares::Share>>,
}

impl Heed {
    /// Whether what starts is limited.
    pub fn starts(&self) -> bool {
        self.rates || self.windows
    }
}

impl Queue {
    /// Limits; what is limited already keeps its id and its beginning. A limit with an end goes back to what was before it.
    pub async fn limit(&self, new: NewLimit) -> Result<Limit, DbError> {
        if let Some((field, fault)) = new.fault() {
            return Err(DbError::Bug(format!("a limit of {} {:?}: {field} {fault}", new.what.as_str(), new.value)));
        }
        let (now, (measure, windowed)) = (self.clock.now(), new.measure.stored());
        let put = PUT.with([
            new_id("lim", &self.clock).into(),
            new.what.as_str().into(),
            new.value.into(),
            new.per.as_str().into(),
            measure.into(),
            new.cap.into(),
            new.every_us.into(),
            new.until.into(),
            new.who.into(),
            new.why.into(),
            now.into(),
            windowed.into(),
        ]);
        let rows = self.db.commit(&Scope::System, vec![SETTLE.with([now.into()]), PRUNE.with([now.into()]), put]).await?;
        let made = rows[2].first().map_or_else(|| Err(DbError::Bug("a limit was put and is not there".into())), Limit::from_row)?;
        self.look_again((made.what == What::Queue).then_some(&made.value)).await?;
        Ok(made)
    }

    /// Ends a limit, also what it would have gone back to; `None` if there was none.
    pub async fn unlimit(&self, id: &str) -> Result<Option<Limit>, DbError> {
        let now = self.clock.now();
        let forget = [&FORGET, &FORGET_STARTS].map(|sql| sql.with([id.into()]));
        let commit = [SETTLE.with([now.into()]), PRUNE.with([now.into()]), DELETE.with([id.into()])].into_iter().chain(forget).collect();
        let rows = self.db.commit(&Scope::System, commit).await?;
        let Some(ended) = rows[2].first().map(Limit::from_row).transpose()? else { return Ok(None) };
        self.look_again((ended.what == What::Queue).then_some(&ended.value)).await?;
        Ok(Some(ended))
    }

    /// The limits in force, in order of what they limit.
    pub async fn limits(&self) -> Result<Vec<Limit>, DbError> {
        let now = self.clock.now();
        let rows = self.db.query(&Scope::System, LIST.with([now.into()])).await?;
        rows.iter().map(|row| Ok(Limit::from_row(row)?.at(now))).collect()
    }

    /// How much of which limits is in use, what is used up first; at most 10,000 holders.
    pub async fn limits_in_use(&self) -> Result<Vec<Used>, DbError> {
        let limits = self.limits().await?;
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.db.query(&Scope::System, IN_USE.with([self.clock.now().into()])).await?;
        let used = |row: &Row| -> Result<Option<Used>, DbError> {
            let id = row.text("id")?;
            limits.iter().find(|limit| limit.id == id).cloned().map(|limit| Used::from_row(row, limit)).transpose()
        };
        rows.iter().filter_map(|row| used(row).transpose()).collect()
    }

    /// A running job of `queue` has ended: wakes whoever a limit may have kept waiting for that.
    pub fn freed(&self, queue: &str) {
        let (limits, waiting) = {
            let known = self.known();
            (known.limits.clone(), known.waiting.clone())
        };
        if limits.iter().any(|limit| limit.measure == Measure::Running) {
            self.db.notify(queue);
            waiting.iter().filter(|other| *other != queue).for_each(|other| self.db.notify(other));
        }
    }

    /// What a claim of `queue` by who runs `kinds` has to heed, by a look of at most 2 s ago.
    pub(crate) async fn heed(&self, queue: &str, kinds: &BTreeSet<String>) -> Result<Heed, DbError> {
        let (limits, shares) = self.look_at_limits().await?;
        let mut heed = Heed { shares: shares.get(queue).cloned(), ..Heed::default() };
        for limit in limits.iter().filter(|limit| limit.concerns(queue, kinds)) {
            heed.limits = true;
            // what a limit goes back to may be of the other measure
            heed.rates |= limit.measure == Measure::Rate || limit.then_measure == Measure::Rate && limit.measure.is_of_starts();
            heed.windows |= limit.measure == Measure::Window || limit.then_measure == Measure::Window;
        }
        Ok(heed)
    }

    async fn look_at_limits(&self) -> Result<(Arc<Vec<Limit>>, Arc<Shares>), DbError> {
        {
            let known = self.known();
            if known.at.is_some_and(|at| at.elapsed() < FRESH) {
                return Ok((known.limits.clone(), known.shares.clone()));
            }
        }
        let at = Instant::now();
        let limits = Arc::new(self.limits().await?);
        let shares = Arc::new(self.shares().await?);
        let is_shared = limits.iter().any(|limit| limit.what != What::Queue && limit.measure == Measure::Running);
        let waiting = Arc::new(if is_shared { self.served().await? } else { Vec::new() });
        self.prune_starts(&limits).await?;
        *self.known() = Known { at: Some(at), limits: limits.clone(), shares: shares.clone(), waiting };
        Ok((limits, shares))
    }

    /// Forgets starts that no window of today holds.
    async fn prune_starts(&self, limits: &[Limit]) -> Result<(), DbError> {
        let windows = limits.iter().filter(|limit| limit.measure == Measure::Window || limit.then_measure == Measure::Window);
        let now = self.clock.now();
        let prune: Vec<_> = windows
            .map(|limit| PRUNE_STARTS.with([limit.id.as_str().into(), (now - 2 * limit.every_us.max(limit.then_every_us)).into()]))
            .collect();
        if !prune.is_empty() {
            self.db.commit(&Scope::System, prune).await?;
        }
        Ok(())
    }

    /// What is known of limits and shares is old; whoever waits under what changed, of one queue or of all, looks again.
    pub(crate) async fn look_again(&self, queue: Option<&String>) -> Result<(), DbError> {
        self.known().at = None;
        let queues = if let Some(queue) = queue { vec![queue.clone()] } else { self.served().await? };
        queues.iter().for_each(|queue| self.db.notify(queue));
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.limits.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

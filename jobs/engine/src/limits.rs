//! Limits: how many jobs may run at once and how many may start in a time, of all, a queue, a kind or a tenant, together or
//! for each tenant by itself.
//!
//! What runs is counted where it stands, in the rows of running jobs: nothing is taken that could leak, and a dead worker's
//! jobs count until they are rescued. A claim under limits is one commit: lock the limits' rows in order of ids, claim as far
//! as the counts go, write down what rate limits spent. The lock makes claimers that share a limit take turns; counts taken
//! without it would each miss what the other one is about to take.
//!
//! A rate limit is a token bucket kept as one time per key, at which it is full again: `cap` tokens, one more every
//! `every_us`. A job that finds no token stays where it is, no attempt used, and its claimer sleeps until one is there.
//!
//! Claimers look which limits there are at least every 2 s, and those whom none concerns claim as ever. So a limit that is
//! new or lower holds 2 s after it was made at the latest; what runs by then goes on.

use crate::db::{DbError, Row, Scope};
use crate::ids::new_id;
use crate::job::Job;
use crate::queue::Queue;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

crate::sql!(PRUNE, "sql/limits_prune.sql");
crate::sql!(SETTLE, "sql/limits_settle.sql");
crate::sql!(PUT, "sql/limit_put.sql");
crate::sql!(DELETE, "sql/limit_delete.sql");
crate::sql!(FORGET, "sql/limit_uses_delete.sql");
crate::sql!(LIST, "sql/limits_list.sql");
crate::sql!(FULL, "sql/limits_full.sql");

/// How old a look at the limits may be.
const FRESH: Duration = Duration::from_secs(2);
/// Largest `cap` of a limit.
pub const CAP_MAX: i64 = 1_000_000;
/// Largest time between two tokens, microseconds: a day.
pub const EVERY_MAX_US: i64 = 86_400_000_000;

/// What a limit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Every job.
    All,
    /// A queue's.
    Queue,
    /// A kind's, in every queue.
    Kind,
    /// A tenant's, by id.
    Tenant,
}

impl What {
    /// Every way, in the order of the documentation.
    pub const ALL: [What; 4] = [What::All, What::Queue, What::Kind, What::Tenant];

    /// The stored and shown word.
    pub fn as_str(self) -> &'static str {
        match self {
            What::All => "all",
            What::Queue => "queue",
            What::Kind => "kind",
            What::Tenant => "tenant",
        }
    }

    /// The way of a stored word.
    pub fn parse(text: &str) -> Option<What> {
        Self::ALL.into_iter().find(|w| w.as_str() == text)
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Jobs that run.
    Running,
    /// Jobs that start.
    Rate,
}

impl Measure {
    /// The stored and shown word.
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::Running => "running",
            Measure::Rate => "rate",
        }
    }

    /// The measure of a stored word.
    pub fn parse(text: &str) -> Option<Measure> {
        [Measure::Running, Measure::Rate].into_iter().find(|m| m.as_str() == text)
    }
}

/// A limit to be made.
#[derive(Clone, Debug)]
pub struct NewLimit {
    /// All, queue, kind or tenant.
    pub what: What,
    /// Its name, a tenant's id; empty for all.
    pub value: String,
    /// Whether each tenant is counted by itself.
    pub per_tenant: bool,
    /// What is counted.
    pub measure: Measure,
    /// Most at once; of a rate the size of the bucket.
    pub cap: i64,
    /// Of a rate: microseconds until one more may start; else 0.
    pub every_us: i64,
    /// Who wants it.
    pub who: String,
    /// For whoever asks why nothing runs.
    pub why: String,
    /// Microseconds; 0 = until ended. What was before comes back then.
    pub until: i64,
}

impl NewLimit {
    /// The member that is wrong, and how.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if self.value.is_empty() != (self.what == What::All) {
            return Some(("value", "must be given, and for all be left out"));
        }
        if !(1..=CAP_MAX).contains(&self.cap) {
            return Some(("cap", "must be an integer from 1 to 1000000"));
        }
        match self.measure {
            Measure::Rate if !(1..=EVERY_MAX_US).contains(&self.every_us) => Some(("every", "must be from a microsecond to a day")),
            Measure::Running if self.every_us != 0 => Some(("every", "is of rates only")),
            _ => None,
        }
    }
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `lim_` + UUIDv7.
    pub id: String,
    /// All, queue, kind or tenant.
    pub what: What,
    /// Its name, a tenant's id; empty for all.
    pub value: String,
    /// Whether each tenant is counted by itself.
    pub per_tenant: bool,
    /// What is counted.
    pub measure: Measure,
    /// Most at once; of a rate the size of the bucket.
    pub cap: i64,
    /// Of a rate: microseconds until one more may start; else 0.
    pub every_us: i64,
    /// Microseconds; 0 = until ended.
    pub until: i64,
    /// The `cap` from `until` on; 0 = none.
    pub then_cap: i64,
    /// The `every_us` from `until` on.
    pub then_every_us: i64,
    /// Who said so last.
    pub who: String,
    /// Why.
    pub why: String,
    /// Since when there is a limit, microseconds.
    pub created_at: i64,
}

impl Limit {
    fn from_row(row: &Row) -> Result<Limit, DbError> {
        let (what, measure) = (row.text("what")?, row.text("measure")?);
        Ok(Limit {
            id: row.text("id")?,
            what: What::parse(&what).ok_or_else(|| DbError::Bug(format!("limit of {what}")))?,
            value: row.text("value")?,
            per_tenant: row.text("per")? == "tenant",
            measure: Measure::parse(&measure).ok_or_else(|| DbError::Bug(format!("limit of {measure}")))?,
            cap: row.int("cap")?,
            every_us: row.int("every_us")?,
            until: row.int("until")?,
            then_cap: row.int("then_cap")?,
            then_every_us: row.int("then_every_us")?,
            who: row.text("who")?,
            why: row.text("why")?,
            created_at: row.int("created_at")?,
        })
    }

    /// What it is at `now`, when it may have gone back to what was before.
    fn at(mut self, now: i64) -> Limit {
        if self.until != 0 && self.until <= now {
            (self.cap, self.every_us, self.until) = (self.then_cap, self.then_every_us, 0);
            (self.then_cap, self.then_every_us) = (0, 0);
        }
        self
    }

    /// Whether `job` counts under it.
    pub fn covers(&self, job: &Job) -> bool {
        match self.what {
            What::All => true,
            What::Queue => job.queue == self.value,
            What::Kind => job.kind == self.value,
            What::Tenant => job.tenant == self.value,
        }
    }

    /// Whether a claim of `queue` by who runs `kinds` may take a job under it.
    pub(crate) fn concerns(&self, queue: &str, kinds: &BTreeSet<String>) -> bool {
        match self.what {
            What::All | What::Tenant => true,
            What::Queue => queue == self.value,
            What::Kind => kinds.contains(&self.value),
        }
    }
}

/// A limit that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Which.
    pub limit: Limit,
    /// For which tenant, if each is counted by itself.
    pub tenant: String,
    /// How much of it is in use.
    pub used: i64,
    /// Of a rate: when one more may start, microseconds; else 0.
    pub room_at: i64,
}

impl Full {
    /// Whether it keeps `job` back.
    pub fn holds(&self, job: &Job) -> bool {
        self.limit.covers(job) && (!self.limit.per_tenant || self.tenant == job.tenant)
    }
}

/// What a process knows of limits.
#[derive(Default)]
pub(crate) struct Known {
    at: Option<Instant>,
    limits: Arc<Vec<Limit>>,
    /// Queues whose claimers may wait for a job of another queue to end.
    waiting: Arc<Vec<String>>,
}

/// Which measures limit a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limited {
    pub any: bool,
    pub by_rate: bool,
}

impl Queue {
    /// Limits; what is limited already keeps its id and its beginning. A limit with an end goes back to what was before it.
    pub async fn limit(&self, new: NewLimit) -> Result<Limit, DbError> {
        if let Some((field, fault)) = new.fault() {
            return Err(DbError::Bug(format!("a limit of {} {:?}: {field} {fault}", new.what.as_str(), new.value)));
        }
        let now = self.clock.now();
        let put = PUT.with([
            new_id("lim", &self.clock).into(),
            new.what.as_str().into(),
            new.value.into(),
            if new.per_tenant { "tenant" } else { "" }.into(),
            new.measure.as_str().into(),
            new.cap.into(),
            new.every_us.into(),
            new.until.into(),
            new.who.into(),
            new.why.into(),
            now.into(),
        ]);
        let rows = self.db.commit(&Scope::System, vec![SETTLE.with([now.into()]), PRUNE.with([now.into()]), put]).await?;
        let made = rows[2].first().map_or_else(|| Err(DbError::Bug("a limit was put and is not there".into())), Limit::from_row)?;
        self.look_again(&made).await?;
        Ok(made)
    }

    /// Ends a limit, also what it would have gone back to; `None` if there was none.
    pub async fn unlimit(&self, id: &str) -> Result<Option<Limit>, DbError> {
        let now = self.clock.now();
        let commit = vec![SETTLE.with([now.into()]), PRUNE.with([now.into()]), DELETE.with([id.into()]), FORGET.with([id.into()])];
        let rows = self.db.commit(&Scope::System, commit).await?;
        let Some(ended) = rows[2].first().map(Limit::from_row).transpose()? else { return Ok(None) };
        self.look_again(&ended).await?;
        Ok(Some(ended))
    }

    /// The limits in force, in order of what they limit.
    pub async fn limits(&self) -> Result<Vec<Limit>, DbError> {
        let now = self.clock.now();
        let rows = self.db.query(&Scope::System, LIST.with([now.into()])).await?;
        rows.iter().map(|row| Ok(Limit::from_row(row)?.at(now))).collect()
    }

    /// The limits that are used up now.
    pub async fn full_limits(&self) -> Result<Vec<Full>, DbError> {
        let limits = self.limits().await?;
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.db.query(&Scope::System, FULL.with([self.clock.now().into()])).await?;
        let full = |row: &Row| -> Result<Option<Full>, DbError> {
            let id = row.text("id")?;
            let Some(limit) = limits.iter().find(|limit| limit.id == id).cloned() else { return Ok(None) };
            Ok(Some(Full { limit, tenant: row.text("tenant")?, used: row.int("n")?, room_at: row.int("room_at")? }))
        };
        rows.iter().filter_map(|row| full(row).transpose()).collect()
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

    /// Whether limits concern a claim of `queue` by who runs `kinds`, by a look of at most 2 s ago.
    pub(crate) async fn limited(&self, queue: &str, kinds: &BTreeSet<String>) -> Result<Limited, DbError> {
        let limits = self.look_at_limits().await?;
        let mut concerning = limits.iter().filter(|limit| limit.concerns(queue, kinds)).peekable();
        Ok(Limited { any: concerning.peek().is_some(), by_rate: concerning.any(|limit| limit.measure == Measure::Rate) })
    }

    async fn look_at_limits(&self) -> Result<Arc<Vec<Limit>>, DbError> {
        {
            let known = self.known();
            if known.at.is_some_and(|at| at.elapsed() < FRESH) {
                return Ok(known.limits.clone());
            }
        }
        let at = Instant::now();
        let limits = Arc::new(self.limits().await?);
        let is_shared = limits.iter().any(|limit| limit.what != What::Queue && limit.measure == Measure::Running);
        let waiting = Arc::new(if is_shared { self.served().await? } else { Vec::new() });
        *self.known() = Known { at: Some(at), limits: limits.clone(), waiting };
        Ok(limits)
    }

    /// What is known of limits is old; whoever waits under the one that changed looks again.
    async fn look_again(&self, changed: &Limit) -> Result<(), DbError> {
        self.known().at = None;
        let queues = if changed.what == What::Queue { vec![changed.value.clone()] } else { self.served().await? };
        queues.iter().for_each(|queue| self.db.notify(queue));
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.limits.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(measure: Measure, cap: i64, every_us: i64) -> NewLimit {
        let (what, value) = (What::Queue, "q".to_owned());
        NewLimit { what, value, per_tenant: false, measure, cap, every_us, who: String::new(), why: String::new(), until: 0 }
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_refused_with_the_member_named() {
        let field = |new: NewLimit| new.fault().map_or("", |(field, _)| field);
        assert_eq!([0, -1, CAP_MAX + 1].map(|cap| field(new(Measure::Running, cap, 0))), ["cap"; 3]);
        assert_eq!([0, -1, EVERY_MAX_US + 1].map(|every| field(new(Measure::Rate, 1, every))), ["every"; 3]);
        assert_eq!(field(NewLimit { what: What::All, ..new(Measure::Running, 1, 0) }), "value");
        assert_eq!(field(NewLimit { value: String::new(), ..new(Measure::Running, 1, 0) }), "value");
        assert_eq!((field(new(Measure::Running, 1, 0)), field(new(Measure::Rate, CAP_MAX, EVERY_MAX_US))), ("", ""));
    }
}

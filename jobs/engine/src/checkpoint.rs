//! Checkpoints: how far a long job has come, kept with what it wrote on the way.
//!
//! A checkpoint is a commit of its own under the job's lease: the handler's data, and its writes if it has any, are there
//! together or not at all. The next run is told the data and goes on from there. A checkpoint whose reply was lost is
//! repeated behind its door; one that is still on its way when a later one of the same run is there is refused. All of it
//! is forgotten when the job ends.

use crate::clock::Clock;
use crate::db::{Db, DbError, Scope};
use crate::effect::FENCE_GUARD;
use crate::ids::new_op;
use crate::job::Claimed;
use crate::kind::Fatal;
use crate::queue::Queue;
use crate::write::{self, Write};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

crate::sql!(FENCE, "sql/checkpoint_fence.sql");
crate::sql!(OP, "sql/op_insert.sql");
crate::sql!(GUARD, "sql/checkpoint_guard.sql");
crate::sql!(PUT, "sql/checkpoint_put.sql");
crate::sql!(GET, "sql/checkpoint_get.sql");
crate::sql!(CLEAR, "sql/checkpoints_clear.sql");
crate::sql!(DROP, "sql/checkpoint_drop.sql");
crate::sql!(PRUNE, "sql/checkpoints_prune.sql");

/// Most bytes of a checkpoint's data as JSON.
pub const DATA_MAX: usize = 65_536;
/// How long a checkpoint with an unknown outcome is repeated.
const PATIENCE: Duration = Duration::from_secs(60);

/// The checkpoints of one run. Cheap to clone.
#[derive(Clone)]
pub struct Checkpoints {
    job: Arc<Claimed>,
    db: Db,
    clock: Clock,
    seq: Arc<AtomicI64>,
    touched: Arc<AtomicBool>,
}

impl Checkpoints {
    /// For one run of `job`.
    pub fn of(queue: &Queue, job: Arc<Claimed>) -> Self {
        Self { job, db: queue.db.clone(), clock: queue.clock.clone(), seq: Arc::default(), touched: Arc::default() }
    }

    /// Whether this run has asked for one, or made one.
    pub fn touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Keeps `data` in place of the last one, and commits `writes` with it.
    pub async fn put(&self, data: &Json, writes: &[Write]) -> anyhow::Result<()> {
        let text = data.to_string();
        if text.len() > DATA_MAX {
            return Err(Fatal(format!("a checkpoint of {} bytes; at most {DATA_MAX} are kept", text.len())).into());
        }
        self.touched.store(true, Ordering::Relaxed);
        let (op, now, seq) = (new_op(), self.clock.now(), self.seq.fetch_add(1, Ordering::Relaxed) + 1);
        let (id, lease) = (self.job.id.as_str(), self.job.lease.as_str());
        let mut commit = vec![
            OP.with([op.as_str().into(), now.into()]),
            FENCE.with([id.into(), lease.into(), op.as_str().into()]),
            FENCE_GUARD.with([id.into(), lease.into(), op.as_str().into()]),
            GUARD.with([id.into(), lease.into(), seq.into()]),
        ];
        commit.extend(write::statements(writes));
        commit.push(PUT.with([id.into(), self.job.tenant.as_str().into(), text.into(), lease.into(), seq.into(), now.into()]));
        match self.db.commit_until_known(&Scope::System, commit, PATIENCE).await {
            (Err(DbError::Unique(name)), true) if name == "ops_id" => Ok(()),
            (answer, _) => Ok(answer.map(|_| ())?),
        }
    }

    /// The data of the last one, of this run or an earlier one.
    pub async fn last(&self) -> anyhow::Result<Option<Json>> {
        self.touched.store(true, Ordering::Relaxed);
        let rows = self.db.query(&Scope::System, GET.with([self.job.id.as_str().into()])).await?;
        Ok(rows.first().map(|row| row.text("data")).transpose()?.map(|text| serde_json::from_str(&text)).transpose()?)
    }
}

/// What the commit that ends a job does about its checkpoints.
pub fn clear(job: &Claimed) -> Write {
    Write::new(&CLEAR, json!({ "job": job.id }))
}

impl Queue {
    /// Forgets checkpoints of ended jobs, made before `before`, microseconds, that their ends have left.
    pub async fn prune_checkpoints(&self, before: i64) -> Result<(), DbError> {
        self.db.commit(&Scope::System, vec![PRUNE.with([before.into()])]).await.map(|_| ())
    }
}

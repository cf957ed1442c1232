//! `clawr bench flat`: whether claims stay as fast when millions of jobs are ready, scheduled and archived, and while an old
//! snapshot keeps the dead entries of every index. Two schemas of one server take turns, one without anything, one full, so
//! that what else the machine does meets both.

mod fill;
mod rounds;
mod snapshot;

use super::measure;
use super::queue::{SLOTS, start};
use super::report::{Floor, Report};
use crate::config::Config;
use anyhow::Context as _;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbConfig, Scope, migrate};
use clawr_engine::queue::Queue;
use clawr_workers::process::WorkerProcess;
use fill::Filler;
use std::path::Path;
use std::time::Duration;

/// How much to fill in, and how long to hold a snapshot.
pub struct Plan {
    /// Jobs that are due.
    pub ready: usize,
    /// Jobs of the next days.
    pub scheduled: usize,
    /// Jobs that have ended.
    pub archived: usize,
    /// How long the old snapshot is held; zero leaves that part out.
    pub hold: Duration,
}

/// One schema with a queue on it and somebody who fills it.
pub struct Side {
    /// How a process opens it.
    pub store: DbConfig,
    /// Jobs in it.
    pub queue: Queue,
    /// By its owner.
    pub filler: Filler,
}

impl Side {
    async fn open(store: DbConfig) -> anyhow::Result<Side> {
        let owner = Db::open_for_migration(&store).await?;
        migrate::up(&owner).await?;
        let db = Db::open(&store).await?;
        let clock = Clock::of(&db).await?;
        let queue = Queue::new(db, clock.clone(), b"a pepper of a benchmark, worth nothing".to_vec());
        let live = queue.queue_stats(&Scope::System).await?;
        anyhow::ensure!(live.is_empty(), "schema {} has live jobs; a benchmark needs a scratch store", store.schema);
        Ok(Side { store, queue, filler: Filler::new(owner, clock) })
    }

    /// A worker process with a handle of its own, as it would have. Closed by [`stop`].
    pub async fn work(&self) -> anyhow::Result<(WorkerProcess, Db)> {
        let db = Db::open(&self.store).await?;
        let queue = Queue::new(db.clone(), self.queue.clock().clone(), b"a pepper of a benchmark, worth nothing".to_vec());
        Ok((start(&queue, &self.store, SLOTS, None).await?, db))
    }

    async fn close(&self) {
        self.queue.db().close().await;
        self.filler.close().await;
    }
}

/// Lets what runs finish.
pub async fn stop((process, db): (WorkerProcess, Db)) {
    process.stop(Duration::from_secs(20)).await;
    db.close().await;
}

/// Runs every part on a scratch Postgres.
pub async fn run(config: &Config, folder: &Path, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let full = Side::open(config.store.clone()).await.context("failed to open the full schema")?;
    let schema = format!("{}_empty", config.store.schema);
    let empty = Side::open(DbConfig { schema, ..config.store.clone() }).await.context("failed to open the empty schema")?;
    for (name, value) in full.queue.db().settings().await? {
        report.setting(&name, &value);
    }
    report.figure("fsync_per_s", measure::fsync_rate(folder, Duration::from_secs(1))?);
    full.filler.fill(plan, report).await?;
    rounds::run(&empty, &full, report).await?;
    if !plan.hold.is_zero() {
        snapshot::run(&full, plan.hold, report).await?;
    }
    empty.close().await;
    full.close().await;
    Ok(())
}

/// What must be the same, full or empty.
const FLOORS: [Floor; 2] = [("claim_p99_ratio", 1.10, false), ("drain_ratio", 0.90, true)];
/// What must be kept while a snapshot is held, and after it.
const HELD_FLOORS: [Floor; 2] = [("snapshot_kept_ratio", 0.80, true), ("snapshot_after_ratio", 0.90, true)];

/// What the figures of a plan must reach.
pub fn floors(plan: &Plan) -> Vec<Floor> {
    let held = HELD_FLOORS.into_iter().filter(|_| !plan.hold.is_zero());
    FLOORS.into_iter().chain(held).collect()
}

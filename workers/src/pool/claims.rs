//! The claim stream of one queue: when to claim, and how to wait.
//!
//! It claims only as many jobs as there are free slots, so what is in flight is bounded by construction. Idle, it waits
//! for a wake-up, for the next due time or for a jittered poll, whichever comes first. It never ends or errors because
//! a database went away: it reports, waits and asks again.

use crate::executor::Executor;
use crate::held::Hold;
use crate::process::Shared;
use clawr_engine::backoff::{Backoff, random_below};
use clawr_engine::claim::Claimer;
use clawr_engine::db::DbError;
use clawr_engine::job::Claimed;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// Most jobs of one claim.
const BATCH_MAX: usize = 500;
/// Idle poll, jittered by half: what a lost wake-up costs at most.
const POLL: Duration = Duration::from_secs(1);
/// How long a busy pool lets slots gather before it claims for fewer than half of them.
const GATHER: Duration = Duration::from_millis(4);
/// How often the store is asked for jobs that run under our name and that we do not know.
const ADOPT_EVERY: Duration = Duration::from_secs(10);

/// A claimed job with its slot, held from now on.
pub(crate) struct Claim {
    pub job: Claimed,
    pub hold: Hold,
    pub slot: OwnedSemaphorePermit,
}

/// Claims for one queue until stopped.
pub(crate) struct ClaimStream {
    pub name: String,
    pub claimer: Claimer,
    pub slots: usize,
    pub executor: Executor,
    pub shared: Arc<Shared>,
    pub out: mpsc::Sender<Claim>,
    pub stop: watch::Receiver<bool>,
}

impl ClaimStream {
    pub async fn run(mut self) {
        let free = Arc::new(Semaphore::new(self.slots));
        let mut wakes = self.executor.queue.db().wakes().subscribe(&self.name);
        let mut pause = Backoff::new(50, 2_000);
        let mut adopt_at = Instant::now() + ADOPT_EVERY;
        let mut doubt = false;
        while !*self.stop.borrow() {
            let Some(mut slots) = self.free_slots(&free).await else { break };
            wakes.mark_unchanged();
            if doubt || Instant::now() >= adopt_at {
                adopt_at = Instant::now() + ADOPT_EVERY;
                doubt = self.adopt(&mut slots).await.is_err();
            }
            let wanted = slots.num_permits();
            if wanted == 0 {
                continue;
            }
            match self.claimer.claim(&self.shared.worker_id(), i64::try_from(wanted).unwrap_or(1)).await {
                Ok(claimed) => {
                    pause = Backoff::new(50, 2_000);
                    self.shared.ticks.fetch_add(1, Ordering::Relaxed);
                    let full = claimed.len() == wanted || (self.claimer.may_have_left() && !claimed.is_empty());
                    self.hand_out(claimed, &mut slots).await;
                    drop(slots);
                    if !full {
                        self.wait(&mut wakes).await;
                    }
                }
                Err(error) => {
                    doubt = doubt || matches!(error, DbError::Unknown(_));
                    drop(slots);
                    tracing::warn!(queue = self.name, "failed to claim, trying again: {error}");
                    self.sleep(pause.next()).await;
                }
            }
        }
    }

    /// At least one slot; a busy pool lets some gather first.
    async fn free_slots(&mut self, free: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let mut first = tokio::select! {
            permit = free.clone().acquire_owned() => permit.ok()?,
            _ = self.stop.wait_for(|s| *s) => return None,
        };
        if free.available_permits() + 1 < self.slots.div_ceil(2) {
            tokio::time::sleep(GATHER).await;
        }
        let more = free.available_permits().min(BATCH_MAX - 1);
        if let Ok(others) = free.clone().try_acquire_many_owned(u32::try_from(more).unwrap_or(0)) {
            first.merge(others);
        }
        Some(first)
    }

    async fn hand_out(&self, claimed: Vec<Claimed>, slots: &mut OwnedSemaphorePermit) {
        // known before any of them waits for its turn: what nobody here knows of is taken for a claim whose reply was lost
        let claimed: Vec<(Claimed, Hold)> = claimed
            .into_iter()
            .map(|job| {
                let hold = self.executor.hold(&job);
                (job, hold)
            })
            .collect();
        for (job, hold) in claimed {
            let Some(slot) = slots.split(1) else {
                self.executor.give_back(job).await;
                continue;
            };
            if let Err(mpsc::error::SendError(claim)) = self.out.send(Claim { job, hold, slot }).await {
                self.executor.give_back(claim.job).await;
            }
        }
    }

    /// Takes on what a lost reply of a claim left running under our name.
    async fn adopt(&self, slots: &mut OwnedSemaphorePermit) -> Result<(), DbError> {
        // a job that ends while the store is asked is in the answer and not known any more: it is not in the next answer
        let seen = self.unknown().await?;
        let again = if seen.is_empty() { Vec::new() } else { self.unknown().await? };
        let is_stranded = |job: &Claimed| seen.iter().any(|before| before.id == job.id && before.lease == job.lease);
        let stranded: Vec<Claimed> = again.into_iter().filter(is_stranded).take(slots.num_permits()).collect();
        if !stranded.is_empty() {
            tracing::warn!(queue = self.name, count = stranded.len(), "adopting jobs of a claim whose reply was lost");
            self.hand_out(stranded, slots).await;
        }
        Ok(())
    }

    async fn wait(&mut self, wakes: &mut watch::Receiver<u64>) {
        let mut pause = POLL / 2 + Duration::from_micros(random_below(POLL.as_micros() as u64 / 2));
        if let Ok(Some(at)) = self.claimer.next_run_at().await {
            let until = at - self.executor.queue.clock().now();
            let until = Duration::from_micros(u64::try_from(until).unwrap_or(0) + 500);
            if until < pause {
                pause = until;
                self.claimer.rescan();
            }
        }
        tokio::select! {
            _ = wakes.changed() => {}
            () = tokio::time::sleep(pause) => {}
            _ = self.stop.wait_for(|s| *s) => {}
        }
    }

    async fn sleep(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.stop.wait_for(|s| *s) => {}
        }
    }

    /// What runs under our name by the store's word, and nobody here knows of.
    async fn unknown(&self) -> Result<Vec<Claimed>, DbError> {
        let ours = self.claimer.adopt(&self.shared.worker_id()).await.inspect_err(|e| {
            tracing::warn!(queue = self.name, "failed to look for stranded claims: {e}");
        })?;
        Ok(ours.into_iter().filter(|job| !self.shared.knows(&job.id)).collect())
    }
}

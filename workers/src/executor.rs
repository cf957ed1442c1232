//! One job's life under a lease: decode, run, settle, commit.
//!
//! The handler runs in a task of its own, so a panic is an answer and not the end of the pool. Every way a run can end
//! meets in one commit under the fence. What the handler read may have gone stale (run again at once, a few times, no
//! attempt used), its writes may be refused (the kind says what that means), the lease may be somebody else's by now
//! (drop everything).

use crate::held::{Held, Hold};
use crate::sealed::{Decoded, Undecoded, silent};
use crate::settle::{Ended, Settling};
use clawr_domain::ports::Ports;
use clawr_engine::checkpoint::{self, Checkpoints};
use clawr_engine::db::DbError;
use clawr_engine::effect::{Effects, findings};
use clawr_engine::job::{Claimed, State};
use clawr_engine::kind::{Asking, Finish, Registry, Run, Stop, StopSignal};
use clawr_engine::notes::{KEPT_EVERY, Notes};
use clawr_engine::outcome::{self, Answer, Finisher, HELD_FOR_EFFECTS, Settled, Transition};
use clawr_engine::queue::Queue;
use clawr_engine::seal::Hidden;
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

/// A run whose reads went stale is repeated at once this often; then it is snoozed.
const RERUNS_MAX: i64 = 5;
/// Why an outcome was refused whose lease still holds.
const EFFECT_OPEN: &str = "effect_open";

/// Runs claimed jobs. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    pub(crate) queue: Queue,
    pub(crate) registry: Registry<Ports>,
    pub(crate) ports: Ports,
    pub(crate) finisher: Finisher,
    pub(crate) held: Held,
    pub(crate) asking: Arc<dyn Asking>,
    pub(crate) worker: Arc<dyn Fn() -> String + Send + Sync>,
}

type Handler = tokio::task::JoinHandle<anyhow::Result<Finish>>;

/// Keeps what the job says of itself, every second; never returns.
async fn keeping(notes: &Notes) {
    loop {
        tokio::time::sleep(KEPT_EVERY).await;
        if let Err(error) = notes.keep().await {
            tracing::debug!("what a job said of itself is kept later: {error}");
        }
    }
}

/// A handler that was told to stop: gone at once, or cancelled after it had time to tidy up.
async fn stopped(handler: &mut Handler, asked: Stop, mut stop: StopSignal, within: Duration) -> Ended {
    let Stop::Cancel(reason) = asked else {
        handler.abort();
        return Ended::Interrupted;
    };
    tokio::select! {
        joined = &mut *handler => match Ended::from(joined) {
            finished @ Ended::Finished(_) => finished,
            _ => Ended::Cancelled(reason),
        },
        () = tokio::time::sleep(within) => {
            handler.abort();
            Ended::Cancelled(reason)
        }
        _ = stop.wait(|stop| *stop == Stop::Gone) => {
            handler.abort();
            Ended::Interrupted
        }
    }
}

impl Executor {
    /// Knows of a claimed job until the hold is dropped.
    pub(crate) fn hold(&self, job: &Claimed) -> Hold {
        self.held.hold(&job.id)
    }

    /// Runs one job to a durable end of this attempt. Returns when the store has answered.
    pub async fn execute(&self, job: Claimed, hold: Hold) {
        let mut job = Arc::new(job);
        loop {
            let settled = self.sealed(self.attempt(&job, &hold).await);
            #[cfg(feature = "failpoints")]
            crash_before_commit();
            let Some(refusal) = self.commit(settled).await else { return };
            match self.next(&job, &refusal) {
                Next::Again(rerun) => job = Arc::from(rerun),
                Next::Settle(settled) => return Box::pin(self.commit_last(forgetting(self.with_findings(*settled, &hold), true))).await,
            }
        }
    }

    /// Gives a claimed job back that was never started; burns no attempt.
    pub async fn give_back(&self, job: Claimed) {
        let job = Arc::new(job);
        self.commit_last(self.at(&job).stay(State::Available, job.run_at, -1, "given back")).await;
    }

    async fn attempt(&self, job: &Arc<Claimed>, hold: &Hold) -> Settled {
        if job.deadline != 0 && job.deadline < self.queue.clock().now() {
            return forgetting(self.at(job).dead("deadline", "not started before its deadline"), true);
        }
        match self.decode(job) {
            Ok(decoded) => {
                let (policy, hidden) = (decoded.entry.policy, decoded.hidden.clone());
                let effects = Effects::of(self.queue.clone(), job.clone(), &(self.worker)(), policy.effects, hold.stop.clone());
                let checkpoints = Checkpoints::of(&self.queue, job.clone());
                let ended = self.run(decoded, job, hold, &effects, &checkpoints).await;
                let ended = self.filled(ended);
                hold.confirmed(effects.confirmed());
                match effects.any_open() {
                    true => silent(self.at(job).held_for_effects(&ended), &hidden),
                    false => {
                        let settled = silent(self.at(job).after(policy, ended), &hidden);
                        forgetting(self.with_findings(settled, hold), checkpoints.touched())
                    }
                }
            }
            Err(Undecoded::Args(why)) => forgetting(self.at(job).dead("undecodable", &why), true),
            Err(Undecoded::Sealed(why)) => self.unopened(job, &why),
        }
    }

    /// What a handler makes gets what its kinds say of it.
    fn filled(&self, ended: Ended) -> Ended {
        let Ended::Finished(mut finish) = ended else { return ended };
        match self.registry.fill(&mut finish) {
            Ok(()) => Ended::Finished(finish),
            Err(fatal) => Ended::Failed(fatal.into()),
        }
    }

    fn decode(&self, job: &Claimed) -> Result<Decoded, Undecoded> {
        let entry = self.registry.get(&job.kind).ok_or_else(|| format!("this binary has no kind {}", job.kind))?;
        let args: Json = serde_json::from_str(job.args.as_ref()?).map_err(|e| format!("args are not JSON: {e}"))?;
        let args = self.opened(job, args)?;
        let hidden = if entry.policy.encrypt { Hidden::of(&args) } else { Hidden::default() };
        let args = entry.upcast(job.version, args).and_then(|args| entry.check(&args).map(|()| args)).map_err(|why| entry.told(why))?;
        Ok(Decoded { entry: entry.clone(), args, hidden })
    }

    async fn run(&self, decoded: Decoded, job: &Arc<Claimed>, hold: &Hold, effects: &Effects, checkpoints: &Checkpoints) -> Ended {
        let Decoded { entry, args, hidden } = decoded;
        let (queue, mut stop) = (&self.queue, hold.stop.clone());
        let notes = Notes::hiding(queue.clone(), job.clone(), hidden);
        let run = Run {
            job: job.clone(),
            db: queue.db().clone(),
            clock: queue.clock().clone(),
            stop: stop.clone(),
            effects: effects.clone(),
            notes: notes.clone(),
            checkpoints: checkpoints.clone(),
            asking: self.asking.clone(),
        };
        let mut handler = tokio::spawn(entry.start(args, run, self.ports.clone()));
        let limit = entry.policy.attempt_timeout;
        let ended = tokio::select! {
            joined = &mut handler => joined.into(),
            () = tokio::time::sleep(limit) => {
                handler.abort();
                Ended::TimedOut(limit)
            }
            asked = stop.asked() => stopped(&mut handler, asked, stop, entry.policy.cancel_within).await,
            () = keeping(&notes) => Ended::Interrupted,
        };
        if let Err(error) = notes.keep_all().await {
            tracing::warn!(job = job.id, "failed to keep what a job said of itself: {error}");
        }
        ended
    }

    pub(crate) fn at<'j>(&self, job: &'j Arc<Claimed>) -> Settling<'j> {
        Settling { job, now: self.queue.clock().now() }
    }

    /// A job that dies although the world outside moved: somebody has to look.
    fn with_findings(&self, mut settled: Settled, hold: &Hold) -> Settled {
        if let Transition::End { state: State::Dead, reason, .. } = &settled.transition {
            let finding = |key: String| findings::dead_after_effect(&self.queue, &settled.job, &key, reason);
            settled.writes.extend(hold.take_confirmed().into_iter().map(finding));
        }
        settled
    }

    /// `Some` = the outcome was refused and the lease still holds. Everything else is final and told here.
    async fn commit(&self, settled: Settled) -> Option<DbError> {
        let job = settled.job.clone();
        let (id, kind) = (&job.id, &job.kind);
        match self.finisher.finish(settled).await {
            Ok(Answer::Committed) => {
                self.queue.freed(&job.queue);
                None
            }
            Ok(Answer::LeaseLost) => self.lost(&job).await,
            Ok(Answer::Refused(error)) => Some(error),
            Err(error) => {
                tracing::error!(job = id, kind, "gave up on an outcome, the job will be adopted: {error}");
                None
            }
        }
    }

    /// The lease is lost, or the outcome was applied before: both mean drop it. A lease that still holds was refused for an
    /// effect nobody here knows to be open.
    async fn lost(&self, job: &Claimed) -> Option<DbError> {
        // in a box: thousands of jobs are in flight at once, each with room for all that may happen to it
        match Box::pin(outcome::still_held(self.queue.db(), job)).await {
            Ok(true) => Some(DbError::Guard(EFFECT_OPEN.into())),
            Ok(false) => {
                tracing::warn!(job = job.id, kind = job.kind, "the lease was lost; nothing was changed");
                None
            }
            Err(error) => {
                tracing::error!(job = job.id, "failed to look whether a lease still holds: {error}");
                None
            }
        }
    }

    /// Commits an outcome without a handler's writes, which nothing of ours refuses.
    async fn commit_last(&self, settled: Settled) {
        let id = settled.job.id.clone();
        if let Some(error) = self.commit(settled).await {
            tracing::error!(job = id, "an outcome without writes was refused, the job will be adopted: {error}");
        }
    }

    /// A store quotes what it refuses, so nothing of a kind that encrypts.
    fn told(&self, job: &Claimed, error: &DbError) -> String {
        let is_silent = self.registry.get(&job.kind).is_none_or(|entry| entry.policy.encrypt);
        if is_silent { "the store refused it; a kind that encrypts does not tell why".into() } else { error.to_string() }
    }

    /// What a refused outcome means.
    fn next(&self, job: &Arc<Claimed>, error: &DbError) -> Next {
        let name = match error {
            DbError::Guard(name) | DbError::Unique(name) => name.as_str(),
            _ => return Next::Settle(Box::new(self.at(job).dead("refused", &self.told(job, error)))),
        };
        if name == EFFECT_OPEN {
            return Next::Settle(Box::new(self.at(job).stay(State::Held, job.run_at, -1, HELD_FOR_EFFECTS)));
        }
        if name == "stale" && job.reruns < RERUNS_MAX {
            return Next::Again(Box::new(Claimed { reruns: job.reruns + 1, ..(**job).clone() }));
        }
        if name == "stale" {
            return Next::Settle(Box::new(self.at(job).stale()));
        }
        let outcome = self.registry.get(&job.kind).and_then(|entry| (entry.on_refused)(name));
        Next::Settle(Box::new(match outcome {
            Some(outcome) => self.at(job).finished(Finish::as_outcome(outcome)),
            None => self.at(job).dead(&format!("refused:{name}"), &self.told(job, error)),
        }))
    }
}

enum Next {
    Again(Box<Claimed>),
    Settle(Box<Settled>),
}

/// A job that ends leaves no checkpoint. One that is completed and never asked for any has none to forget.
pub(crate) fn forgetting(mut settled: Settled, touched: bool) -> Settled {
    let may_have = match settled.transition {
        Transition::End { state, .. } => touched || state != State::Completed,
        Transition::Stay { .. } | Transition::Wait(_) => false,
    };
    if may_have {
        settled.writes.push(checkpoint::clear(&settled.job));
    }
    settled
}

/// Fail point `before_commit`: the process dies between a handler's end and its commit.
#[cfg(feature = "failpoints")]
fn crash_before_commit() {
    fail::fail_point!("before_commit", |_| std::process::abort());
}

//! One job's life under a lease: decode, run, settle, commit.
//!
//! The handler runs in a task of its own, so a panic is an answer and not the end of the pool. Every way a run can end
//! meets in one commit under the fence. What the handler read may have gone stale (run again at once, a few times, no
//! attempt used), its writes may be refused (the kind says what that means), the lease may be somebody else's by now
//! (drop everything).

use crate::held::{Held, Hold};
use clawr_domain::ports::Ports;
use clawr_engine::backoff::random_below;
use clawr_engine::checkpoint::{self, Checkpoints};
use clawr_engine::db::DbError;
use clawr_engine::effect::{EffectOpen, Effects, findings};
use clawr_engine::group::Group;
use clawr_engine::job::{Claimed, State};
use clawr_engine::kind::{Asking, Entry, Fatal, Finish, Outcome, Policy, Registry, RetryAfter, Run, Stop, StopSignal};
use clawr_engine::notes::{KEPT_EVERY, Notes};
use clawr_engine::outcome::{self, Answer, Finisher, HELD_FOR_EFFECTS, Settled, Transition};
use clawr_engine::queue::Queue;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

/// A run whose reads went stale is repeated at once this often; then it is snoozed.
const RERUNS_MAX: i64 = 5;
/// In the history: the attempt did not fail, what it did outside was not known.
const UNKNOWN_EFFECT: &str = "effect_unknown";
/// Why an outcome was refused whose lease still holds.
const EFFECT_OPEN: &str = "effect_open";
/// Pause of a job whose effect another job has open.
const ELSEWHERE: Duration = Duration::from_secs(5);
/// Failed attempts kept with a job.
const ERRORS_KEPT: usize = 10;
/// Bytes kept of one error's chain.
const ERROR_BYTES: usize = 2_000;

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

/// How a handler's run ended.
enum Ended {
    Finished(Finish),
    Failed(anyhow::Error),
    Panicked(String),
    TimedOut(Duration),
    Cancelled(String),
    Interrupted,
}

type Handler = tokio::task::JoinHandle<anyhow::Result<Finish>>;

impl From<Result<anyhow::Result<Finish>, tokio::task::JoinError>> for Ended {
    fn from(joined: Result<anyhow::Result<Finish>, tokio::task::JoinError>) -> Ended {
        match joined {
            Ok(Ok(finish)) => Ended::Finished(finish),
            Ok(Err(error)) => Ended::Failed(error),
            Err(join) => Ended::Panicked(panic_text(join)),
        }
    }
}

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
    /// Runs one job to a durable end of this attempt. Returns when the store has answered.
    pub async fn execute(&self, job: Claimed) {
        let hold = self.held.hold(&job.id);
        let mut job = Arc::new(job);
        loop {
            let settled = self.attempt(&job, &hold).await;
            #[cfg(feature = "failpoints")]
            crash_before_commit();
            let Some(refusal) = self.commit(settled).await else { return };
            match self.next(&job, &refusal) {
                Next::Again(rerun) => job = Arc::from(rerun),
                Next::Settle(settled) => return self.commit_last(forgetting(self.with_findings(*settled, &hold), true)).await,
            }
        }
    }

    /// Gives a claimed job back that was never started; burns no attempt.
    pub async fn give_back(&self, job: Claimed) {
        let job = Arc::new(job);
        self.commit_last(stay(&job, State::Available, job.run_at, -1, "given back")).await;
    }

    async fn attempt(&self, job: &Arc<Claimed>, hold: &Hold) -> Settled {
        if job.deadline != 0 && job.deadline < self.queue.clock().now() {
            return forgetting(self.dead(job, "deadline", "not started before its deadline"), true);
        }
        match self.decode(job) {
            Ok((entry, args)) => {
                let policy = entry.policy.effects;
                let effects = Effects::of(self.queue.clone(), job.clone(), &(self.worker)(), policy, hold.stop.clone());
                let checkpoints = Checkpoints::of(&self.queue, job.clone());
                let ended = self.run(&entry, args, job, hold, &effects, &checkpoints).await;
                hold.confirmed(effects.confirmed());
                match effects.any_open() {
                    true => self.held_for_effects(job, &ended),
                    false => forgetting(self.with_findings(self.settle(&entry, job, ended), hold), checkpoints.touched()),
                }
            }
            Err(why) => forgetting(self.dead(job, "undecodable", &why), true),
        }
    }

    fn decode(&self, job: &Claimed) -> Result<(Entry<Ports>, Json), String> {
        let entry = self.registry.get(&job.kind).ok_or_else(|| format!("this binary has no kind {}", job.kind))?;
        let args: Json = serde_json::from_str(job.args.as_ref()?).map_err(|e| format!("args are not JSON: {e}"))?;
        let args = entry.upcast(job.version, args).and_then(|args| entry.check(&args).map(|()| args)).map_err(|why| entry.told(why))?;
        Ok((entry.clone(), args))
    }

    async fn run(
        &self,
        entry: &Entry<Ports>,
        args: Json,
        job: &Arc<Claimed>,
        hold: &Hold,
        effects: &Effects,
        checkpoints: &Checkpoints,
    ) -> Ended {
        let (queue, mut stop) = (&self.queue, hold.stop.clone());
        let notes = Notes::of(queue.clone(), job.clone());
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

    fn settle(&self, entry: &Entry<Ports>, job: &Arc<Claimed>, ended: Ended) -> Settled {
        match ended {
            Ended::Finished(finish) => self.finished(job, finish),
            Ended::Failed(error) => self.failed(entry.policy, job, &error),
            Ended::Panicked(text) => self.retry(entry.policy, job, "panic", &text, None),
            Ended::TimedOut(limit) => self.retry(entry.policy, job, "timeout", &format!("attempt took longer than {limit:?}"), None),
            Ended::Cancelled(reason) => self.finished(job, Finish::as_outcome(Outcome::Cancel(reason))),
            Ended::Interrupted => stay(job, State::Available, job.run_at, -1, "interrupted"),
        }
    }

    /// However the run ended: what it did outside decides first, and that is unknown. No attempt is used.
    fn held_for_effects(&self, job: &Arc<Claimed>, ended: &Ended) -> Settled {
        let mut settled = stay(job, State::Held, job.run_at, -1, HELD_FOR_EFFECTS);
        if let (Transition::Stay { errors, .. }, Ended::Failed(error)) = (&mut settled.transition, ended) {
            *errors = Some(history(&job.errors, job.attempt, UNKNOWN_EFFECT, &format!("{error:#}"), self.queue.clock().now()));
        }
        settled
    }

    /// A job that dies although the world outside moved: somebody has to look.
    fn with_findings(&self, mut settled: Settled, hold: &Hold) -> Settled {
        if let Transition::End { state: State::Dead, reason, .. } = &settled.transition {
            let finding = |key: String| findings::dead_after_effect(&self.queue, &settled.job, &key, reason);
            settled.writes.extend(hold.take_confirmed().into_iter().map(finding));
        }
        settled
    }

    fn finished(&self, job: &Arc<Claimed>, finish: Finish) -> Settled {
        if let Some((field, why)) = finish.groups.iter().find_map(Group::fault) {
            return self.dead(job, "group", &format!("a group's {field} {why}"));
        }
        let transition = self.transition(job, finish.outcome);
        Settled { job: job.clone(), transition, writes: finish.writes, follow_ups: finish.follow_ups, groups: finish.groups }
    }

    fn transition(&self, job: &Arc<Claimed>, outcome: Outcome) -> Transition {
        match outcome {
            Outcome::Done(result) => {
                let result = if result.is_null() { String::new() } else { result.to_string() };
                Transition::End { state: State::Completed, reason: String::new(), result, errors: None }
            }
            Outcome::Snooze(pause) => {
                let run_at = self.queue.clock().now() + micros(pause);
                let reason = "snoozed".to_owned();
                Transition::Stay { state: State::Scheduled, run_at, attempts: -1, reruns: job.reruns, reason, errors: None }
            }
            Outcome::Wait(wait) => match wait.fault() {
                None => Transition::Wait(wait),
                Some((field, why)) => self.dead(job, "wait", &format!("the wait's {field} {why}")).transition,
            },
            Outcome::Cancel(reason) => Transition::End { state: State::Cancelled, reason, result: String::new(), errors: None },
        }
    }

    fn failed(&self, policy: Policy, job: &Arc<Claimed>, error: &anyhow::Error) -> Settled {
        let text = format!("{error:#}");
        if error.downcast_ref::<Fatal>().is_some() {
            return self.dead(job, "fatal", &text);
        }
        if error.downcast_ref::<EffectOpen>().is_some() {
            let run_at = self.queue.clock().now() + micros(ELSEWHERE) + random_us(ELSEWHERE);
            return stay(job, State::Scheduled, run_at, -1, "effect open elsewhere");
        }
        let after = error.downcast_ref::<RetryAfter>().map(|r| r.after.min(policy.backoff_max));
        self.retry(policy, job, "error", &text, after)
    }

    fn retry(&self, policy: Policy, job: &Arc<Claimed>, class: &str, text: &str, after: Option<Duration>) -> Settled {
        if job.attempt >= job.max_attempts {
            return self.dead(job, "attempts_exhausted", text);
        }
        let now = self.queue.clock().now();
        let pause = after.map_or_else(|| backoff_us(policy, job.attempt), micros);
        if let (Some(total), Some(first)) = (policy.total, first_failure(&job.errors))
            && now + pause > first + micros(total)
        {
            return self.dead(job, "total_deadline", text);
        }
        let mut settled = stay(job, State::Retryable, now + pause, 0, class);
        if let Transition::Stay { errors, .. } = &mut settled.transition {
            *errors = Some(history(&job.errors, job.attempt, class, text, now));
        }
        settled
    }

    fn dead(&self, job: &Arc<Claimed>, reason: &str, text: &str) -> Settled {
        let errors = Some(history(&job.errors, job.attempt, reason, text, self.queue.clock().now()));
        let transition = Transition::End { state: State::Dead, reason: reason.to_owned(), result: String::new(), errors };
        Settled { job: job.clone(), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
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
        match outcome::still_held(self.queue.db(), job).await {
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

    /// What a refused outcome means.
    fn next(&self, job: &Arc<Claimed>, error: &DbError) -> Next {
        let name = match error {
            DbError::Guard(name) | DbError::Unique(name) => name.as_str(),
            _ => return Next::Settle(Box::new(self.dead(job, "refused", &error.to_string()))),
        };
        if name == EFFECT_OPEN {
            return Next::Settle(Box::new(stay(job, State::Held, job.run_at, -1, HELD_FOR_EFFECTS)));
        }
        if name == "stale" && job.reruns < RERUNS_MAX {
            return Next::Again(Box::new(Claimed { reruns: job.reruns + 1, ..(**job).clone() }));
        }
        if name == "stale" {
            let pause = 1_000_000 + i64::try_from(random_below(1_000_000)).unwrap_or(0);
            return Next::Settle(Box::new(stay(job, State::Scheduled, self.queue.clock().now() + pause, -1, "stale")));
        }
        let outcome = self.registry.get(&job.kind).and_then(|entry| (entry.on_refused)(name));
        Next::Settle(Box::new(match outcome {
            Some(outcome) => self.finished(job, Finish::as_outcome(outcome)),
            None => self.dead(job, &format!("refused:{name}"), &error.to_string()),
        }))
    }
}

enum Next {
    Again(Box<Claimed>),
    Settle(Box<Settled>),
}

fn stay(job: &Arc<Claimed>, state: State, run_at: i64, attempts: i64, reason: &str) -> Settled {
    let reruns = if reason == "stale" { 0 } else { job.reruns };
    let transition = Transition::Stay { state, run_at, attempts, reruns, reason: reason.to_owned(), errors: None };
    Settled { job: job.clone(), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
}

/// A job that ends leaves no checkpoint. One that is completed and never asked for any has none to forget.
fn forgetting(mut settled: Settled, touched: bool) -> Settled {
    let may_have = match settled.transition {
        Transition::End { state, .. } => touched || state != State::Completed,
        Transition::Stay { .. } | Transition::Wait(_) => false,
    };
    if may_have {
        settled.writes.push(checkpoint::clear(&settled.job));
    }
    settled
}

/// Doubles from the policy's first pause to its longest, ±20 %.
fn backoff_us(policy: Policy, attempt: i64) -> i64 {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(30);
    let base = micros(policy.backoff).saturating_mul(1 << doublings).min(micros(policy.backoff_max));
    let spread = base / 5;
    base - spread + i64::try_from(random_below(u64::try_from(2 * spread + 1).unwrap_or(1))).unwrap_or(0)
}

fn random_us(most: Duration) -> i64 {
    i64::try_from(random_below(u64::try_from(most.as_micros()).unwrap_or(1))).unwrap_or(0)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4)
}

/// When the first attempt of a history failed, microseconds.
fn first_failure(errors: &str) -> Option<i64> {
    let all: Vec<Json> = serde_json::from_str(errors).unwrap_or_default();
    all.iter().find(|e| e["class"] != UNKNOWN_EFFECT)?["at"].as_i64()
}

/// The job's error history with one more entry; beyond [`ERRORS_KEPT`] the first and the newest are kept.
fn history(errors: &str, attempt: i64, class: &str, text: &str, now: i64) -> String {
    let mut all: Vec<Json> = serde_json::from_str(errors).unwrap_or_default();
    let text: String = text.chars().filter(|c| *c != '\0').take(ERROR_BYTES).collect();
    all.push(json!({ "attempt": attempt, "at": now, "class": class, "error": text }));
    if all.len() > ERRORS_KEPT {
        all.drain(1..=all.len() - ERRORS_KEPT);
    }
    Json::Array(all).to_string()
}

fn panic_text(join: tokio::task::JoinError) -> String {
    match join.try_into_panic() {
        Ok(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
            format!("panicked: {}", text.unwrap_or("without a message"))
        }
        Err(_) => "the handler's task was cancelled".to_owned(),
    }
}

/// Fail point `before_commit`: the process dies between a handler's end and its commit.
#[cfg(feature = "failpoints")]
fn crash_before_commit() {
    fail::fail_point!("before_commit", |_| std::process::abort());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_keeps_the_first_failure_and_the_newest() {
        let errors = (1..=30).fold(String::new(), |errors, attempt| history(&errors, attempt, "error", "why", attempt * 100));
        let kept: Vec<Json> = serde_json::from_str(&errors).unwrap();
        let attempts: Vec<i64> = kept.iter().map(|e| e["attempt"].as_i64().unwrap()).collect();
        assert_eq!(attempts, [1, 22, 23, 24, 25, 26, 27, 28, 29, 30]);
        assert_eq!(first_failure(&errors), Some(100));
    }

    #[test]
    fn backoff_doubles_within_a_fifth_and_is_bounded() {
        let policy = Policy { backoff: Duration::from_secs(1), backoff_max: Duration::from_secs(60), ..Policy::default() };
        for (attempt, want) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (60, 60)] {
            let got = backoff_us(policy, attempt);
            let want = want * 1_000_000;
            assert!((want - want / 5..=want + want / 5).contains(&got), "attempt {attempt}: {got}");
        }
    }
}

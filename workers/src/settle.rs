//! What the end of an attempt means: where the job goes, when it is tried again, when it is given up. Decides, commits nothing.

use clawr_engine::backoff::{doubled, random_below};
use clawr_engine::clock::micros;
use clawr_engine::effect::EffectOpen;
use clawr_engine::group::Group;
use clawr_engine::job::{Claimed, State};
use clawr_engine::kind::{Fatal, Finish, Outcome, Policy, RetryAfter};
use clawr_engine::outcome::{HELD_FOR_EFFECTS, Settled, Transition};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

/// In the history: the attempt did not fail, what it did outside was not known.
const UNKNOWN_EFFECT: &str = "effect_unknown";
/// Why a job is put off whose reads keep going stale.
const STALE: &str = "stale";
/// For how long at least; at most twice that.
const STALE_PAUSE: Duration = Duration::from_secs(1);
/// Pause of a job whose args, or those of what it makes, this worker has no key for.
const KEYLESS_PAUSE: Duration = Duration::from_secs(20);
/// Pause of a job whose effect another job has open.
const ELSEWHERE: Duration = Duration::from_secs(5);
/// Failed attempts kept with a job.
const ERRORS_KEPT: usize = 10;
/// Bytes kept of one error's chain.
const ERROR_BYTES: usize = 2_000;

/// How a handler's run ended.
pub(crate) enum Ended {
    Finished(Finish),
    Failed(anyhow::Error),
    Panicked(String),
    TimedOut(Duration),
    Cancelled(String),
    Interrupted,
}

impl From<Result<anyhow::Result<Finish>, tokio::task::JoinError>> for Ended {
    fn from(joined: Result<anyhow::Result<Finish>, tokio::task::JoinError>) -> Ended {
        match joined {
            Ok(Ok(finish)) => Ended::Finished(finish),
            Ok(Err(error)) => Ended::Failed(error),
            Err(join) => Ended::Panicked(panic_text(join)),
        }
    }
}

/// A job whose attempt has ended, at this time.
pub(crate) struct Settling<'j> {
    pub(crate) job: &'j Arc<Claimed>,
    /// Microseconds.
    pub(crate) now: i64,
}

impl Settling<'_> {
    /// Where a job goes whose attempt ended this way.
    pub(crate) fn after(&self, policy: Policy, ended: Ended) -> Settled {
        match ended {
            Ended::Finished(finish) => self.finished(finish),
            Ended::Failed(error) => self.failed(policy, &error),
            Ended::Panicked(text) => self.retry(policy, "panic", &text, None),
            Ended::TimedOut(limit) => self.retry(policy, "timeout", &format!("attempt took longer than {limit:?}"), None),
            Ended::Cancelled(reason) => self.finished(Finish::as_outcome(Outcome::Cancel(reason))),
            Ended::Interrupted => self.stay(State::Available, self.job.run_at, -1, "interrupted"),
        }
    }

    /// However the run ended: what it did outside decides first, and that is unknown. No attempt is used.
    pub(crate) fn held_for_effects(&self, ended: &Ended) -> Settled {
        let mut settled = self.stay(State::Held, self.job.run_at, -1, HELD_FOR_EFFECTS);
        if let (Transition::Stay { errors, .. }, Ended::Failed(error)) = (&mut settled.transition, ended) {
            *errors = Some(history(&self.job.errors, self.job.attempt, UNKNOWN_EFFECT, &format!("{error:#}"), self.now));
        }
        settled
    }

    /// By the handler's own word.
    pub(crate) fn finished(&self, finish: Finish) -> Settled {
        if let Some((field, why)) = finish.groups.iter().find_map(Group::fault) {
            return self.dead("group", &format!("a group's {field} {why}"));
        }
        // nothing of what it made may be committed with an end that it did not ask for
        if let Outcome::Wait(wait) = &finish.outcome
            && let Some((field, why)) = wait.fault()
        {
            return self.dead("wait", &format!("the wait's {field} {why}"));
        }
        let transition = self.transition(finish.outcome);
        Settled { job: self.job.clone(), transition, writes: finish.writes, follow_ups: finish.follow_ups, groups: finish.groups }
    }

    fn transition(&self, outcome: Outcome) -> Transition {
        match outcome {
            Outcome::Done(result) => {
                let result = if result.is_null() { String::new() } else { result.to_string() };
                Transition::End { state: State::Completed, reason: String::new(), result, errors: None }
            }
            Outcome::Snooze(pause) => {
                let run_at = self.now + micros(pause);
                let reason = "snoozed".to_owned();
                Transition::Stay { state: State::Scheduled, run_at, attempts: -1, reruns: self.job.reruns, reason, errors: None }
            }
            Outcome::Wait(wait) => Transition::Wait(wait),
            Outcome::Cancel(reason) => Transition::End { state: State::Cancelled, reason, result: String::new(), errors: None },
        }
    }

    fn failed(&self, policy: Policy, error: &anyhow::Error) -> Settled {
        let text = format!("{error:#}");
        if error.downcast_ref::<Fatal>().is_some() {
            return self.dead("fatal", &text);
        }
        if error.downcast_ref::<EffectOpen>().is_some() {
            let run_at = self.now + micros(ELSEWHERE) + random_us(ELSEWHERE);
            return self.stay(State::Scheduled, run_at, -1, "effect open elsewhere");
        }
        let after = error.downcast_ref::<RetryAfter>().map(|r| r.after.min(policy.backoff_max));
        self.retry(policy, "error", &text, after)
    }

    fn retry(&self, policy: Policy, class: &str, text: &str, after: Option<Duration>) -> Settled {
        if self.job.attempt >= self.job.max_attempts {
            return self.dead("attempts_exhausted", text);
        }
        let pause = after.map_or_else(|| backoff_us(policy, self.job.attempt), micros);
        if let (Some(total), Some(first)) = (policy.total, first_failure(&self.job.errors))
            && self.now + pause > first + micros(total)
        {
            return self.dead("total_deadline", text);
        }
        let mut settled = self.stay(State::Retryable, self.now + pause, 0, class);
        if let Transition::Stay { errors, .. } = &mut settled.transition {
            *errors = Some(history(&self.job.errors, self.job.attempt, class, text, self.now));
        }
        settled
    }

    /// Given up, for this reason.
    pub(crate) fn dead(&self, reason: &str, text: &str) -> Settled {
        let errors = Some(history(&self.job.errors, self.job.attempt, reason, text, self.now));
        let transition = Transition::End { state: State::Dead, reason: reason.to_owned(), result: String::new(), errors };
        Settled { job: self.job.clone(), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
    }

    /// Stays live, in this state from this time on; `attempts` is added to its attempts.
    pub(crate) fn stay(&self, state: State, run_at: i64, attempts: i64, reason: &str) -> Settled {
        let reruns = if reason == STALE { 0 } else { self.job.reruns };
        let transition = Transition::Stay { state, run_at, attempts, reruns, reason: reason.to_owned(), errors: None };
        Settled { job: self.job.clone(), transition, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
    }

    /// Waits for a worker that has the key, with no attempt used.
    pub(crate) fn keyless(&self, why: &str) -> Settled {
        self.stay(State::Scheduled, self.now + micros(KEYLESS_PAUSE) + random_us(KEYLESS_PAUSE), -1, why)
    }

    /// What it read went stale too often at once: later, with no attempt used.
    pub(crate) fn stale(&self) -> Settled {
        self.stay(State::Scheduled, self.now + micros(STALE_PAUSE) + random_us(STALE_PAUSE), -1, STALE)
    }
}

/// Doubles from the policy's first pause to its longest, ±20 %.
fn backoff_us(policy: Policy, attempt: i64) -> i64 {
    let base = micros(doubled(policy.backoff, policy.backoff_max, attempt));
    let spread = base / 5;
    base - spread + i64::try_from(random_below(u64::try_from(2 * spread + 1).unwrap_or(1))).unwrap_or(0)
}

fn random_us(most: Duration) -> i64 {
    i64::try_from(random_below(u64::try_from(most.as_micros()).unwrap_or(1))).unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Arc<Claimed> {
        Arc::new(Claimed {
            id: "job_1".into(),
            kind: "k".into(),
            version: 1,
            queue: "q".into(),
            tenant: String::new(),
            args: Ok("{}".into()),
            attempt: 1,
            max_attempts: 3,
            crashes: 0,
            reruns: 0,
            priority: 4,
            run_at: 0,
            deadline: 0,
            lease: "op_1".into(),
            errors: "[]".into(),
            trace: String::new(),
            rank: 0,
            grouped: false,
            sequence: String::new(),
        })
    }

    #[test]
    fn a_wait_that_makes_no_sense_ends_the_job_without_what_it_made() {
        let job = job();
        let wait = clawr_engine::wait::Wait::signal("", "key");
        let child = clawr_engine::job::NewJob::default();
        let finish = Finish { follow_ups: vec![child], ..Finish::as_outcome(Outcome::Wait(wait)) };
        let settled = Settling { job: &job, now: 1 }.finished(finish);
        assert!(matches!(&settled.transition, Transition::End { state: State::Dead, reason, .. } if reason == "wait"));
        assert!(settled.follow_ups.is_empty() && settled.writes.is_empty());
    }

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

//! How jobs are shown.

use crate::times::{shown, shown_if};
use clawr_engine::job::{Job, NewJob, State};
use serde_json::{Value, json};

/// Why a job stands for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was made for it.
    New,
    /// It is the same: by its key, or by its kind's unique policy.
    Duplicate,
    /// It does now what the request asks for.
    Replaced,
    /// It was let through too short a time ago.
    Throttled,
}

/// What the maker of a job hears. The state is null only for a first job that is not kept any more.
pub fn made(id: &str, state: Option<State>, standing: Standing, job: &NewJob) -> Value {
    json!({
        "id": id,
        "state": state.map(State::as_str),
        "duplicate": standing == Standing::Duplicate,
        "replaced": standing == Standing::Replaced,
        "throttled": standing == Standing::Throttled,
        "kind": job.kind,
        "queue": job.queue,
        "key": job.key,
        "sequence": job.sequence.as_ref().map(|sequence| &sequence.key),
    })
}

/// The whole record; `tenant` is the slug of its tenant.
pub fn job(job: &Job, tenant: Option<String>) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "version": job.version,
        "queue": job.queue,
        "state": job.state.as_str(),
        "tenant": tenant,
        "args": job.args,
        "tags": if job.tags.is_array() { job.tags.clone() } else { json!([]) },
        "priority": job.priority,
        "run_at": shown(job.run_at),
        "deadline": shown_if(job.deadline),
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "crashes": job.crashes,
        "rev": job.rev,
        "key": some(&job.key),
        "sequence": some(&job.sequence),
        "worker": some(&job.worker),
        "trace": some(&job.trace),
        "reason": some(&job.reason),
        "errors": attempts(job),
        "result": job.result,
        "limit_key": some(&job.limit_key),
        "units": job.units,
        "created_at": shown(job.created_at),
        "started_at": shown_if(job.started_at),
        "finished_at": shown_if(job.finished_at),
    })
}

/// The failed attempts that are kept, oldest first.
pub fn attempts(job: &Job) -> Vec<Value> {
    let one = |entry: &Value| {
        json!({
            "attempt": entry["attempt"].as_i64().unwrap_or(0),
            "at": shown(entry["at"].as_i64().unwrap_or(0)),
            "class": entry["class"].as_str().unwrap_or("error"),
            "error": entry["error"].as_str().unwrap_or_default(),
        })
    };
    job.errors.as_array().map(|all| all.iter().map(one).collect()).unwrap_or_default()
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

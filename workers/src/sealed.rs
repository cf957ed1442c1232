//! Jobs of kinds that encrypt: opened for their handler, sealed when a handler makes them, and nothing said of what is in
//! them. Where the key is missing a job waits for a worker that has it, and uses no attempt.

use crate::executor::{Executor, forgetting};
use clawr_domain::ports::Ports;
use clawr_engine::db::DbError;
use clawr_engine::effect::findings;
use clawr_engine::group::Group;
use clawr_engine::job::{Claimed, NewJob, State};
use clawr_engine::kind::Entry;
use clawr_engine::outcome::{Settled, Transition};
use clawr_engine::seal::{Bound, Hidden, OpenError};
use serde_json::Value as Json;
use std::sync::Arc;

/// Why a job is dead whose sealed args are not its own.
const BROKEN: &str = "sealed_args";

/// A job's kind and plain args, and what must not be said of them.
pub(crate) struct Decoded {
    pub entry: Entry<Ports>,
    pub args: Json,
    pub hidden: Hidden,
}

/// Why a job's args cannot be had.
pub(crate) enum Undecoded {
    /// Nobody will: they do not decode.
    Args(String),
    /// They are sealed.
    Sealed(OpenError),
}

impl From<String> for Undecoded {
    fn from(why: String) -> Self {
        Self::Args(why)
    }
}

impl From<&String> for Undecoded {
    fn from(why: &String) -> Self {
        Self::Args(why.clone())
    }
}

impl Executor {
    pub(crate) fn opened(&self, job: &Claimed, args: Json) -> Result<Json, Undecoded> {
        let bound = Bound { id: &job.id, kind: &job.kind, tenant: &job.tenant };
        self.queue.seal().open(&bound, args).map_err(Undecoded::Sealed)
    }

    /// What cannot be opened here may be opened elsewhere, or later; what is broken never.
    pub(crate) fn unopened(&self, job: &Arc<Claimed>, why: &OpenError) -> Settled {
        match why {
            OpenError::NoKey(_) | OpenError::Newer(_) => {
                tracing::warn!(job = job.id, kind = job.kind, "cannot run a job here: {why}");
                self.at(job).keyless(&why.to_string())
            }
            OpenError::Broken(_) => {
                let mut settled = forgetting(self.at(job).dead(BROKEN, &why.to_string()), true);
                settled.writes.push(findings::sealed_args(&self.queue, job, &why.to_string()));
                settled
            }
        }
    }

    /// Seals the jobs that an outcome makes. Where that cannot be, the outcome waits for a worker that can: it runs again.
    pub(crate) fn sealed(&self, mut settled: Settled) -> Settled {
        match self.seal_made(&mut settled) {
            Ok(()) => settled,
            Err(error) => {
                let job = settled.job.clone();
                tracing::warn!(job = job.id, kind = job.kind, "failed to seal a job that this one makes: {error}");
                self.at(&job).keyless("it makes jobs of a kind that encrypts, for which its worker had no key")
            }
        }
    }

    fn seal_made(&self, settled: &mut Settled) -> Result<(), DbError> {
        let tenant = settled.job.tenant.clone();
        for job in settled.groups.iter_mut().flat_map(made_by) {
            // a group's jobs are of the tenant of who makes it
            job.tenant.clone_from(&tenant);
            self.queue.seal_made(job)?;
        }
        settled.follow_ups.iter_mut().try_for_each(|job| self.queue.seal_made(job))
    }
}

fn made_by(group: &mut Group) -> impl Iterator<Item = &mut NewJob> {
    let callbacks = group.complete.iter_mut().chain(group.success.iter_mut()).chain(group.dead.iter_mut());
    group.children.iter_mut().chain(callbacks)
}

/// Takes what must not be said out of what is kept of an attempt: of the error it adds, and of a handler's reason.
pub(crate) fn silent(mut settled: Settled, hidden: &Hidden) -> Settled {
    if hidden.is_empty() {
        return settled;
    }
    match &mut settled.transition {
        Transition::End { state, reason, errors, .. } => {
            if *state == State::Cancelled {
                *reason = hidden.without(reason);
            }
            silence_last(errors, hidden);
        }
        Transition::Stay { errors, .. } => silence_last(errors, hidden),
        Transition::Wait(_) => {}
    }
    settled
}

fn silence_last(errors: &mut Option<String>, hidden: &Hidden) {
    let Some(text) = errors else { return };
    let mut all: Vec<Json> = serde_json::from_str(text).unwrap_or_default();
    if let Some(last) = all.last_mut()
        && let Some(error) = last["error"].as_str()
    {
        last["error"] = hidden.without(error).into();
        *text = Json::Array(all).to_string();
    }
}

//! What can be run: a [`Kind`] is a payload type, a policy and a handler; the [`Registry`] knows them by name.

mod policy;
mod registry;
mod stop;
mod units;

pub use policy::{CALLS_MAX, EffectPolicy, MayEnqueue, Policy};
pub use registry::{Entry, Registry, RegistryBuilder};
pub use stop::{Stop, StopSignal};
pub use units::{FieldFault, Units, check_units};

use crate::checkpoint::Checkpoints;
use crate::clock::Clock;
use crate::db::Db;
use crate::effect::{Class, Effect, Effects, Look, Next, Stored};
use crate::group::{self, Counts, Group};
use crate::job::{Claimed, NewJob};
use crate::notes::Notes;
use crate::sequence::Sequenced;
use crate::unique::Unique;
use crate::wait::{self, Signal, Wait};
use crate::write::Write;
use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

/// How a run ended, by the handler's own word. An error instead means: retry with back-off.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is done; the result is kept with the job.
    Done(Json),
    /// Run again after this long; no attempt used.
    Snooze(Duration),
    /// Run again when a signal has come, or its timer; no attempt used.
    Wait(Wait),
    /// It will not be done, for this reason.
    Cancel(String),
}

/// What a handler hands back: the outcome, its work on our database and the jobs that follow, all in one commit.
#[derive(Clone, Debug)]
pub struct Finish {
    /// How it ended.
    pub outcome: Outcome,
    /// Committed if and only if the outcome is.
    pub writes: Vec<Write>,
    /// Enqueued if and only if the outcome is committed. Neither keys nor unique policies count here: children's
    /// ids are derived. Sequences do.
    pub follow_ups: Vec<NewJob>,
    /// Made, or added to, if and only if the outcome is committed.
    pub groups: Vec<Group>,
}

impl Finish {
    /// Done, with a result and nothing to write.
    pub fn done(result: Json) -> Self {
        Self { outcome: Outcome::Done(result), writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
    }

    /// Adds writes.
    pub fn with_writes(mut self, writes: Vec<Write>) -> Self {
        self.writes.extend(writes);
        self
    }

    /// The jobs it makes, now or when a group is over.
    pub fn jobs_mut(&mut self) -> impl Iterator<Item = &mut NewJob> {
        self.follow_ups.iter_mut().chain(self.groups.iter_mut().flat_map(Group::jobs_mut))
    }

    /// Ends as `outcome`, with nothing to write.
    pub fn as_outcome(outcome: Outcome) -> Self {
        Self { outcome, writes: Vec::new(), follow_ups: Vec::new(), groups: Vec::new() }
    }
}

/// An error that names when to try again; honoured up to the kind's longest back-off.
#[derive(Debug, thiserror::Error)]
#[error("retry after {after:?}: {why}")]
pub struct RetryAfter {
    /// How long to wait.
    pub after: Duration,
    /// Why it failed.
    pub why: String,
}

/// A failure no retry can cure: the job is dead at once.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

/// What a running job knows of itself.
#[derive(Clone)]
pub struct Run {
    /// The job under its lease.
    pub job: Arc<Claimed>,
    /// For reads; writes go into the outcome.
    pub db: Db,
    /// Time.
    pub clock: Clock,
    /// Tells when and why to stop.
    pub stop: StopSignal,
    /// What it does outside.
    pub effects: Effects,
    /// What it says of itself.
    pub notes: Notes,
    /// How far it has come.
    pub checkpoints: Checkpoints,
    /// Asks the receivers of any kind's effects.
    pub asking: Arc<dyn Asking>,
}

impl Run {
    /// Something to be done outside, once, under a key of its business identity.
    pub fn effect(&self, class: Class, key: impl Into<String>, intent: Json) -> Effect<'_> {
        self.effects.effect(class, key, intent)
    }

    /// Keeps how far this job has come, for its next run; at most 64 KiB. An error means that it was not kept, or that nobody
    /// knows: the run should end.
    pub async fn checkpoint(&self, data: Json) -> anyhow::Result<()> {
        self.checkpoints.put(&data, &[]).await
    }

    /// The same with writes, which are there if and only if the checkpoint is.
    pub async fn checkpoint_with(&self, data: Json, writes: &[Write]) -> anyhow::Result<()> {
        self.checkpoints.put(&data, writes).await
    }

    /// What the last checkpoint of this job kept.
    pub async fn checkpoint_data(&self) -> anyhow::Result<Option<Json>> {
        self.checkpoints.last().await
    }

    /// The last signal of this name and key that woke this job, in this run or an earlier one; `None` = none yet, or the
    /// wait's timer was faster.
    pub async fn signal(&self, name: &str, key: &str) -> anyhow::Result<Option<Signal>> {
        Ok(self.signals(name, key).await?.pop())
    }

    /// All of them, in the order in which they woke it.
    pub async fn signals(&self, name: &str, key: &str) -> anyhow::Result<Vec<Signal>> {
        Ok(wait::of_job(&self.db, &self.job.id, name, key).await?)
    }

    /// How a group of this job stands; `None` = it has made none of this name.
    pub async fn group(&self, name: &str) -> anyhow::Result<Option<Counts>> {
        Ok(group::counts(&self.db, &Group::id_of(&self.job, name)).await?)
    }

    /// Looks once at an unknown effect of any kind; what the kind `effect_resolve` does.
    pub async fn resolve_effect(&self, id: &str) -> anyhow::Result<Next> {
        self.effects.resolve(id, &*self.asking).await
    }
}

/// What a binary knows of effects: how those of a kind are resolved, and how their receivers are asked.
pub trait Asking: Send + Sync {
    /// The policy of the kind that intended it; `None` if this binary has no such kind.
    fn policy(&self, kind: &str) -> Option<EffectPolicy>;
    /// Asks the receiver.
    fn look(&self, effect: Stored) -> BoxFuture<'static, Look>;
}

/// A kind of job. `P` are the ports to the outside; the engine does not know them.
pub trait Kind<P>: Send + Sync + 'static {
    /// Its name: file, label, filter.
    const KIND: &'static str;
    /// Names it had before, oldest first. Jobs of those names still run, and keys taken under them stay taken.
    const FORMER: &'static [&'static str] = &[];
    /// Payload version that new jobs get; older ones still run, through [`Kind::upcast`].
    const VERSION: i64 = 1;
    /// The queue it runs in unless a job says otherwise.
    const QUEUE: &'static str;
    /// Which of its jobs count as one, and what becomes of the second. An impossible policy does not compile.
    const UNIQUE: Option<Unique> = None;
    /// Which of its jobs run one after the other.
    const SEQUENCE: Sequenced = Sequenced::AS_NAMED;
    /// JSON pointers into the args of what no view shows; nor are its jobs found by them.
    const MASKED: &'static [&'static str] = &[];
    /// JSON pointer to the field of the args by which limits count its jobs that count each key by itself, like the wallet that
    /// pays. It is stored and shown as it is: never a masked field.
    const LIMIT_KEY: Option<&'static str> = None;
    /// What the start of one weighs against rates.
    const UNITS: Units = Units::Each(1);
    /// The payload.
    type Args: Serialize + DeserializeOwned + Send + 'static;

    /// How it is run.
    fn policy() -> Policy;

    /// Does the work. Runs at least once; its writes take effect exactly once.
    fn run(args: Self::Args, run: Run, ports: P) -> impl Future<Output = anyhow::Result<Finish>> + Send;

    /// Asks the receiver what became of an effect of this kind.
    fn look(_effect: Stored, _ports: P) -> impl Future<Output = Look> + Send {
        async { Look::Unknown("this kind has nobody to ask".into()) }
    }

    /// Turns args of version `from` into those of the next. Without it older args must decode as they are.
    fn upcast(_from: i64, args: Json) -> Result<Json, String> {
        Ok(args)
    }

    /// A guard or unique constraint refused the writes. `Some` = the business result to commit in their place.
    fn on_refused(_name: &str) -> Option<Outcome> {
        None
    }
}

/// What stands in views for a masked value.
pub const MASK: &str = "***";

/// Refuses, when compiled, what is no JSON pointer to a field.
pub(crate) const fn check_pointers(pointers: &[&str]) {
    let mut at = 0;
    while at < pointers.len() {
        let pointer = pointers[at].as_bytes();
        assert!(!pointer.is_empty() && pointer[0] == b'/', "a field is named by a JSON pointer like /to");
        at += 1;
    }
}

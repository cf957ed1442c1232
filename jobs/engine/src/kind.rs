//! What can be run: a [`Kind`] is a payload type, a policy and a handler; the [`Registry`] knows them by name.

use crate::checkpoint::Checkpoints;
use crate::clock::Clock;
use crate::db::Db;
use crate::effect::{Class, Effect, Effects, Look, Next, Stored};
use crate::group::{self, Counts, Group};
use crate::job::{Claimed, Job, NewJob};
use crate::notes::Notes;
use crate::unique::Unique;
use crate::wait::{self, Signal, Wait};
use crate::write::Write;
use futures::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Who may put a kind into the queue from outside. Money kinds and duties: nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayEnqueue {
    /// Only the system itself.
    Nobody,
    /// A global key.
    Global,
    /// A tenant's key, for that tenant; and a global key.
    Tenant,
}

/// How a kind is run.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Attempts before a job is dead.
    pub max_attempts: i64,
    /// First pause after a failure; doubles.
    pub backoff: Duration,
    /// Longest pause after a failure.
    pub backoff_max: Duration,
    /// An attempt that takes longer has failed.
    pub attempt_timeout: Duration,
    /// A job that has failed is tried again for no longer than this after its first failure; `None` = as often as it may.
    pub total: Option<Duration>,
    /// How long a running job that was asked to cancel may tidy up.
    pub cancel_within: Duration,
    /// Who may enqueue it from outside.
    pub may_enqueue: MayEnqueue,
    /// How long a key stays taken; `None` = for ever.
    pub key_life: Option<Duration>,
    /// How its effects are called and resolved.
    pub effects: EffectPolicy,
}

/// No call may take longer: after this and the start bound a person may say that it did not happen.
pub const CALLS_MAX: Duration = Duration::from_secs(120);
/// The start bound and a call together: what looks for proof of absence waits for as long.
const RESOLVED_WITHIN: Duration = Duration::from_secs(300);

/// How a kind's effects are called, and what happens to those that become unknown.
#[derive(Clone, Copy, Debug)]
pub struct EffectPolicy {
    /// A call starts no later than this after its intent.
    pub start_within: Duration,
    /// A call is given up after this and is then unknown.
    pub call_within: Duration,
    /// First pause before an unknown effect is repeated or looked at again; doubles.
    pub pause: Duration,
    /// Longest such pause.
    pub pause_max: Duration,
    /// Unknown for longer than this, it is a person's.
    pub max_age: Duration,
    /// `at_least_once` ones are intended at most this often; then they are a person's.
    pub tries_max: i64,
    /// Money moves by them: a person's verdict needs a second person.
    pub money: bool,
}

impl Default for EffectPolicy {
    fn default() -> Self {
        Self {
            start_within: Duration::from_secs(10),
            call_within: Duration::from_secs(30),
            pause: Duration::from_secs(5),
            pause_max: Duration::from_secs(1800),
            max_age: Duration::from_secs(24 * 3600),
            tries_max: 10,
            money: false,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_attempts: 20,
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(3600),
            attempt_timeout: Duration::from_secs(300),
            total: None,
            cancel_within: Duration::from_secs(10),
            may_enqueue: MayEnqueue::Nobody,
            key_life: None,
            effects: EffectPolicy::default(),
        }
    }
}

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
    /// ids are derived.
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

/// Why a running job should stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It should not.
    #[default]
    No,
    /// Its lease is lost or its process ends. What it does from now on is dropped; it runs again elsewhere.
    Gone,
    /// Somebody asked for its end, for this reason. It may tidy up for the kind's `cancel_within`; if it is done by then it
    /// is completed, else cancelled.
    Cancel(String),
}

/// A running job's ear for [`Stop`]. Cheap to clone.
#[derive(Clone)]
pub struct StopSignal {
    receiver: watch::Receiver<Stop>,
}

impl StopSignal {
    /// Hears what is sent to `receiver`.
    pub fn new(receiver: watch::Receiver<Stop>) -> Self {
        Self { receiver }
    }

    /// What is asked now.
    pub fn now(&self) -> Stop {
        self.receiver.borrow().clone()
    }

    /// Waits until a stop is asked that `counts`; for ever if nobody can ask any more.
    pub async fn wait(&mut self, counts: impl Fn(&Stop) -> bool) -> Stop {
        let heard = self.receiver.wait_for(|stop| counts(stop)).await.map(|stop| stop.clone());
        match heard {
            Ok(stop) => stop,
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits until any stop is asked.
    pub async fn asked(&mut self) -> Stop {
        self.wait(|stop| *stop != Stop::No).await
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
    /// JSON pointers into the args of what no view shows; nor are its jobs found by them.
    const MASKED: &'static [&'static str] = &[];
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

type LookFn<P> = Arc<dyn Fn(Stored, P) -> BoxFuture<'static, Look> + Send + Sync>;
type RunFn<P> = Arc<dyn Fn(Json, Run, P) -> BoxFuture<'static, anyhow::Result<Finish>> + Send + Sync>;

/// One kind with its type forgotten.
#[derive(Clone)]
pub struct Entry<P> {
    /// Its name.
    pub kind: &'static str,
    /// Names it had before, oldest first.
    pub former: &'static [&'static str],
    /// Current payload version.
    pub version: i64,
    /// Its queue.
    pub queue: &'static str,
    /// How it is run.
    pub policy: Policy,
    /// Which of its jobs count as one.
    pub unique: Option<Unique>,
    /// Business results of refused writes.
    pub on_refused: fn(&str) -> Option<Outcome>,
    masked: &'static [&'static str],
    decode: fn(&Json) -> Result<(), String>,
    upcast: fn(i64, Json) -> Result<Json, String>,
    run: RunFn<P>,
    look: LookFn<P>,
}

impl<P> Entry<P> {
    /// Checks that args decode; the error names what does not.
    pub fn check(&self, args: &Json) -> Result<(), String> {
        (self.decode)(args)
    }

    /// Asks the receiver of an effect.
    pub fn look(&self, effect: Stored, ports: P) -> BoxFuture<'static, Look> {
        (self.look)(effect, ports)
    }

    /// Args of payload version `from` as the current version has them; the error says which step failed.
    pub fn upcast(&self, from: i64, args: Json) -> Result<Json, String> {
        if from > self.version {
            return Err(format!("args have version {from}, this binary knows {} and below", self.version));
        }
        (from.max(1)..self.version).try_fold(args, |args, step| {
            let upcast = std::panic::AssertUnwindSafe(|| (self.upcast)(step, args));
            let answer = std::panic::catch_unwind(upcast).unwrap_or_else(|_| Err("the upcaster panicked".into()));
            answer.map_err(|why| format!("args of version {step} are not raised to {}: {why}", step + 1))
        })
    }

    /// Args as views show them; what is not JSON is masked as a whole.
    fn shown(&self, mut args: Json) -> Json {
        if !self.masked.is_empty() && args.is_string() {
            return MASK.into();
        }
        for pointer in self.masked {
            if let Some(field) = args.pointer_mut(pointer) {
                *field = MASK.into();
            }
        }
        args
    }

    /// What is told of args that do not decode: a decoder quotes values, so nothing of a kind that masks any.
    pub fn told(&self, why: String) -> String {
        if self.masked.is_empty() { why } else { "args do not decode; a kind with masked fields does not tell why".into() }
    }

    /// The name its keys and unique slots are taken under: its first, so that a new name frees none.
    pub fn family(&self) -> &'static str {
        self.former.first().copied().unwrap_or(self.kind)
    }

    /// Every name its jobs may have.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.kind).chain(self.former.iter().copied())
    }

    /// Starts the handler.
    pub fn start(&self, args: Json, run: Run, ports: P) -> BoxFuture<'static, anyhow::Result<Finish>> {
        (self.run)(args, run, ports)
    }
}

/// All kinds of a binary, by name.
#[derive(Clone)]
pub struct Registry<P> {
    kinds: Arc<BTreeMap<&'static str, Entry<P>>>,
    former: Arc<BTreeMap<&'static str, &'static str>>,
}

/// Collects kinds.
pub struct RegistryBuilder<P> {
    kinds: BTreeMap<&'static str, Entry<P>>,
}

impl<P: Send + 'static> RegistryBuilder<P> {
    /// Adds a kind.
    ///
    /// # Panics
    /// If two kinds have one name, now or before: a mistake of this binary, seen at its first start.
    pub fn with<K: Kind<P>>(mut self) -> Self {
        const { crate::unique::check(K::UNIQUE) };
        const { check_pointers(K::MASKED) };
        let run: RunFn<P> = Arc::new(|args, run, ports| {
            Box::pin(async move {
                let args = serde_json::from_value(args).map_err(|e| Fatal(format!("undecodable: {e}")))?;
                K::run(args, run, ports).await
            })
        });
        let entry = Entry {
            kind: K::KIND,
            former: K::FORMER,
            version: K::VERSION,
            queue: K::QUEUE,
            policy: K::policy(),
            unique: K::UNIQUE,
            masked: K::MASKED,
            on_refused: K::on_refused,
            decode: |args| K::Args::deserialize_from(args),
            upcast: K::upcast,
            run,
            look: Arc::new(|effect, ports| Box::pin(K::look(effect, ports))),
        };
        let effects = K::policy().effects;
        assert!(
            effects.call_within <= CALLS_MAX && effects.start_within + effects.call_within <= RESOLVED_WITHIN,
            "the effects of {} may start and call for too long",
            K::KIND
        );
        for name in entry.names() {
            assert!(!self.kinds.values().flat_map(Entry::names).any(|other| other == name), "two kinds are named {name}");
        }
        self.kinds.insert(K::KIND, entry);
        self
    }

    /// The finished registry.
    pub fn build(self) -> Registry<P> {
        let former = self.kinds.values().flat_map(|e| e.former.iter().map(|name| (*name, e.kind))).collect();
        Registry { kinds: Arc::new(self.kinds), former: Arc::new(former) }
    }
}

trait DeserializeFrom {
    fn deserialize_from(args: &Json) -> Result<(), String>;
}

impl<T: DeserializeOwned> DeserializeFrom for T {
    fn deserialize_from(args: &Json) -> Result<(), String> {
        T::deserialize(args).map(|_| ()).map_err(|e| e.to_string())
    }
}

impl<P: Send + 'static> Registry<P> {
    /// No kinds yet.
    pub fn builder() -> RegistryBuilder<P> {
        RegistryBuilder { kinds: BTreeMap::new() }
    }

    /// The kind that has this name, or had it.
    pub fn get(&self, kind: &str) -> Option<&Entry<P>> {
        self.kinds.get(kind).or_else(|| self.kinds.get(self.former.get(kind)?))
    }

    /// The job as views show it. A kind that this binary does not know may mask anything, so all its args are.
    pub fn shown(&self, mut job: Job) -> Job {
        job.args = self.get(&job.kind).map_or_else(|| MASK.into(), |entry| entry.shown(job.args.take()));
        job
    }

    /// All kinds in order of names.
    pub fn all(&self) -> impl Iterator<Item = &Entry<P>> {
        self.kinds.values()
    }

    /// Every `kind:version` this binary can run, for claims: under each name it has or had.
    pub fn runnable(&self) -> Vec<String> {
        let of = |e: &Entry<P>| e.names().flat_map(|name| (1..=e.version).map(move |v| format!("{name}:{v}"))).collect::<Vec<_>>();
        self.all().flat_map(of).collect()
    }

    /// The queues its kinds live in.
    pub fn queues(&self) -> Vec<&'static str> {
        let mut queues: Vec<&'static str> = self.all().map(|e| e.queue).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Renamed;

    impl Kind<()> for Renamed {
        const KIND: &'static str = "new";
        const FORMER: &'static [&'static str] = &["first", "second"];
        const VERSION: i64 = 3;
        const QUEUE: &'static str = "q";
        type Args = Vec<i64>;

        fn policy() -> Policy {
            Policy::default()
        }

        async fn run(_args: Vec<i64>, _run: Run, (): ()) -> anyhow::Result<Finish> {
            Ok(Finish::done(Json::Null))
        }

        fn upcast(from: i64, args: Json) -> Result<Json, String> {
            match from {
                1 => args.get("n").cloned().ok_or_else(|| "no n".into()),
                _ => Ok(json!([args, args.as_i64().unwrap() + 1])),
            }
        }
    }

    #[test]
    fn a_renamed_kind_answers_to_every_name_and_keeps_its_family() {
        let registry = Registry::builder().with::<Renamed>().build();
        for name in ["new", "first", "second"] {
            assert_eq!(registry.get(name).map(|e| (e.kind, e.family())), Some(("new", "first")));
        }
        assert!(registry.get("third").is_none());
        let runnable = registry.runnable();
        assert_eq!((runnable.len(), runnable.contains(&"second:1".to_owned()), runnable.contains(&"new:3".to_owned())), (9, true, true));
    }

    #[test]
    fn args_are_raised_step_by_step_and_the_step_that_fails_is_named() {
        let registry = Registry::builder().with::<Renamed>().build();
        let entry = registry.get("new").unwrap();
        assert_eq!(entry.upcast(1, json!({"n": 4})), Ok(json!([4, 5])));
        assert_eq!(entry.upcast(3, json!([1])), Ok(json!([1])));
        assert_eq!(entry.upcast(1, json!({})), Err("args of version 1 are not raised to 2: no n".into()));
        assert_eq!(entry.upcast(2, json!("x")), Err("args of version 2 are not raised to 3: the upcaster panicked".into()));
        assert!(entry.upcast(4, json!([1])).unwrap_err().contains("version 4"));
    }

    #[test]
    #[should_panic(expected = "two kinds are named new")]
    fn one_name_is_of_one_kind() {
        Registry::builder().with::<Renamed>().with::<Renamed>();
    }
}

//! Effects as a handler sees them: `run.effect(class, key, intent).send(call)`.

use super::store::{Intent, Observation, Source};
use super::{Class, Next, State, Stored, Verdict};
use crate::clock::{micros, since_boot};
use crate::db::{DbError, Scope};
use crate::job::Claimed;
use crate::kind::{Asking, EffectPolicy, Fatal, Stop, StopSignal};
use crate::queue::Queue;
use anyhow::Context as _;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What the receiver said, in the handler's words.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It happened; the evidence is kept.
    Confirmed(Json),
    /// It was refused and did not happen.
    Rejected(Json),
    /// The call certainly never reached the receiver (no connection, a name that does not resolve).
    NotSent(String),
    /// Anything else: a time-out, a connection that broke, an answer nobody can read.
    Unknown(String),
}

/// What became of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It happened, now or before; with its evidence.
    Confirmed(Json),
    /// It was refused, now or before; with its evidence.
    Rejected(Json),
}

/// Another run has this effect open; this one waits its turn.
#[derive(Debug, thiserror::Error)]
#[error("the effect {key} is {} elsewhere", .state.as_str())]
pub struct EffectOpen {
    /// Its key.
    pub key: String,
    /// Where it stands.
    pub state: State,
}

/// Nobody knows whether the effect happened; the job is held until somebody does.
#[derive(Debug, thiserror::Error)]
#[error("whether {key} happened is unknown: {why}")]
pub struct EffectUnknown {
    /// Its key.
    pub key: String,
    /// What was seen.
    pub why: String,
}

/// The effects of one attempt: what it has open decides where its job goes. Cheap to clone.
#[derive(Clone)]
pub struct Effects {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Queue,
    job: Arc<Claimed>,
    worker: String,
    policy: EffectPolicy,
    stop: StopSignal,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How many of this attempt's sends are under way or undecided: two may name one key.
    open: usize,
    confirmed: BTreeSet<String>,
}

impl Effects {
    /// For one attempt of `job` by `worker`.
    pub fn of(queue: Queue, job: Arc<Claimed>, worker: &str, policy: EffectPolicy, stop: StopSignal) -> Self {
        let inner = Inner { queue, job, worker: worker.to_owned(), policy, stop, seen: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Whether this attempt may have left an effect open.
    pub fn any_open(&self) -> bool {
        self.seen().open > 0
    }

    /// Keys of the effects this attempt knows to have happened.
    pub fn confirmed(&self) -> Vec<String> {
        self.seen().confirmed.iter().cloned().collect()
    }

    /// An effect to be sent.
    pub fn effect(&self, class: Class, key: impl Into<String>, intent: Json) -> Effect<'_> {
        Effect { effects: self, class, key: key.into(), intent }
    }

    pub(crate) async fn resolve(&self, id: &str, asking: &dyn Asking) -> anyhow::Result<Next> {
        let queue = &self.inner.queue;
        let effect = queue.effect(&Scope::System, id).await.context("failed to read the effect")?;
        let effect = effect.ok_or_else(|| Fatal(format!("no effect {id}")))?;
        let policy = asking.policy(&effect.kind).unwrap_or_default();
        queue.resolve(id, &self.inner.worker, &policy, |effect| asking.look(effect)).await.context("failed to resolve the effect")
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.inner.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// One send is decided.
    fn close(&self) {
        let mut seen = self.seen();
        seen.open = seen.open.saturating_sub(1);
    }
}

/// One effect on its way.
pub struct Effect<'r> {
    effects: &'r Effects,
    class: Class,
    key: String,
    intent: Json,
}

impl Effect<'_> {
    /// Commits the intent, calls, commits the verdict. An effect that happened before is not called again.
    ///
    /// `call` is given the effect as it is stored: its key and id are what the receiver may know it by. Nothing is called
    /// after the policy's start bound, and a call is given up (unknown) after its time.
    pub async fn send<F, R>(self, call: F) -> anyhow::Result<Sent>
    where
        F: FnOnce(Stored) -> R,
        R: Future<Output = Reply>,
    {
        let (inner, began) = (&self.effects.inner, since_boot());
        let stored = match self.intend().await? {
            Intended::Ours(stored) => stored,
            Intended::Before(sent) => return Ok(sent),
        };
        #[cfg(feature = "failpoints")]
        crate::failpoints::between("effect_intended");
        let too_late = since_boot().saturating_sub(began) >= inner.policy.start_within || inner.stop.now() != Stop::No;
        if too_late {
            return self.settle(&stored, Reply::NotSent("it was too late to start the call".into())).await;
        }
        let reply = match tokio::time::timeout(inner.policy.call_within, call((*stored).clone())).await {
            Ok(reply) => reply,
            Err(_) => Reply::Unknown(format!("no answer within {:?}", inner.policy.call_within)),
        };
        #[cfg(feature = "failpoints")]
        crate::failpoints::between("effect_called");
        self.settle(&stored, reply).await
    }

    async fn intend(&self) -> anyhow::Result<Intended> {
        let inner = &self.effects.inner;
        let bound = micros(inner.policy.start_within) + inner.queue.clock().error_bound_us();
        let wanted = Intent {
            key: &self.key,
            class: self.class,
            money: inner.policy.money,
            intent: &self.intent,
            start_by: inner.queue.clock().now() + bound,
        };
        self.effects.seen().open += 1;
        let (stored, op) = match inner.queue.intend(&inner.job, &wanted).await {
            Ok(intended) => intended,
            // after its patience nobody knows whether the intent is there: the job is held and looked at
            Err(error @ DbError::Unknown(_)) => return Err(error.into()),
            Err(error) => {
                self.effects.close();
                return Err(error.into());
            }
        };
        if stored.tenant != inner.job.tenant {
            self.effects.close();
            return Err(Fatal(format!("the effect key {} belongs to another tenant", self.key)).into());
        }
        if stored.op == op {
            return Ok(Intended::Ours(Box::new(stored)));
        }
        self.effects.close();
        match stored.state {
            State::Confirmed => {
                self.effects.seen().confirmed.insert(self.key.clone());
                Ok(Intended::Before(Sent::Confirmed(stored.evidence)))
            }
            State::Rejected => Ok(Intended::Before(Sent::Rejected(stored.evidence))),
            state => Err(EffectOpen { key: self.key.clone(), state }.into()),
        }
    }

    async fn settle(&self, stored: &Stored, reply: Reply) -> anyhow::Result<Sent> {
        let (verdict, evidence) = match &reply {
            Reply::Confirmed(evidence) => (Verdict::Confirmed, evidence.clone()),
            Reply::Rejected(evidence) => (Verdict::Rejected, evidence.clone()),
            Reply::NotSent(why) => (Verdict::Absent, json!({ "why": why })),
            Reply::Unknown(why) => {
                let inner = &self.effects.inner;
                if let Err(error) = inner.queue.observe_nothing(stored, Source::Handler, &inner.worker, why).await {
                    tracing::warn!(effect = stored.id, "failed to keep that a call has no verdict: {error}");
                }
                return Err(EffectUnknown { key: self.key.clone(), why: why.clone() }.into());
            }
        };
        self.observed(stored, verdict, &evidence).await?;
        match reply {
            Reply::Confirmed(evidence) => {
                self.effects.seen().confirmed.insert(self.key.clone());
                Ok(Sent::Confirmed(evidence))
            }
            Reply::Rejected(evidence) => Ok(Sent::Rejected(evidence)),
            Reply::NotSent(why) | Reply::Unknown(why) => anyhow::bail!("{} was not sent: {why}", self.key),
        }
    }

    /// The verdict of the one who called.
    async fn observed(&self, stored: &Stored, verdict: Verdict, evidence: &Json) -> Result<(), DbError> {
        let inner = &self.effects.inner;
        let seen = Observation { source: Source::Handler, actor: &inner.worker, verdict, evidence, of_try: stored.tries };
        inner.queue.observe(stored, stored.rev, &seen).await?;
        self.effects.close();
        Ok(())
    }
}

enum Intended {
    Ours(Box<Stored>),
    Before(Sent),
}

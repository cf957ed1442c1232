//! Finding out what became of an unknown effect: by asking, by waiting, in the end by a person.

use super::store::{Observation, Source};
use super::{Class, State, Stored, Verdict};
use crate::backoff::doubled;
use crate::clock::{micros, since_boot};
use crate::db::{DbError, Scope};
use crate::kind::EffectPolicy;
use crate::queue::Queue;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Nobody's call takes longer than this after its latest start: `kind::CALLS_MAX` in microseconds.
const CALLS_MAX_US: i64 = 120_000_000;

/// What the receiver shows when it is asked.
#[derive(Clone, Debug)]
pub enum Look {
    /// It happened.
    Confirmed(Json),
    /// It was refused for good.
    Rejected(Json),
    /// There is no trace of it.
    Absent(Json),
    /// It cannot be asked, or did not answer.
    Unknown(String),
}

/// What is next for the one who resolves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing more to do: it is settled, or a person's.
    Over(State),
    /// Look again after this long.
    Again(Duration),
}

/// What became of a person's word.
#[derive(Clone, Debug)]
pub enum Word {
    /// The effect is settled by it.
    Settled(Stored),
    /// Money moves by it: the same verdict of another person is needed.
    NeedsSecond(Stored),
    /// It is not in doubt, or was moved meanwhile.
    NotInDoubt(Stored),
    /// Its call may still be under way, so that nobody can say that it did not happen.
    TooEarly(Stored),
    /// No such effect.
    NotFound,
}

impl Queue {
    /// Looks once at an unknown effect and does what its class allows. `look` asks the receiver; `worker` is who does.
    pub async fn resolve<L, R>(&self, id: &str, worker: &str, policy: &EffectPolicy, look: L) -> Result<Next, DbError>
    where
        L: Fn(Stored) -> R,
        R: Future<Output = Look>,
    {
        let Some(effect) = self.effect(&Scope::System, id).await? else { return Err(DbError::Bug(format!("no effect {id}"))) };
        if effect.state != State::Unknown {
            return Ok(Next::Over(effect.state));
        }
        let seen_at = since_boot();
        let (verdict, evidence) = match look(effect.clone()).await {
            Look::Confirmed(evidence) => (Verdict::Confirmed, evidence),
            Look::Rejected(evidence) => (Verdict::Rejected, evidence),
            Look::Absent(_) => {
                // no trace now proves nothing while the call may still start or be under way
                let over = effect.over_after(policy).saturating_sub(since_boot().saturating_sub(seen_at));
                tokio::time::sleep(over).await;
                match look(effect.clone()).await {
                    Look::Confirmed(evidence) => (Verdict::Confirmed, evidence),
                    Look::Rejected(evidence) => (Verdict::Rejected, evidence),
                    Look::Absent(evidence) => (Verdict::Absent, evidence),
                    Look::Unknown(why) => return self.undecided(&effect, worker, policy, &why).await,
                }
            }
            Look::Unknown(why) => return self.undecided(&effect, worker, policy, &why).await,
        };
        self.settle(&effect, worker, verdict, &evidence).await
    }

    async fn settle(&self, effect: &Stored, worker: &str, verdict: Verdict, evidence: &Json) -> Result<Next, DbError> {
        let seen = Observation { source: Source::Resolver, actor: worker, verdict, evidence, of_try: effect.tries };
        Ok(Next::Over(self.observe(effect, effect.rev, &seen).await?.effect.state))
    }

    /// The receiver does not tell: repeat where the class allows it, else look again, in the end call a person.
    async fn undecided(&self, effect: &Stored, worker: &str, policy: &EffectPolicy, why: &str) -> Result<Next, DbError> {
        let age = self.clock.now().saturating_sub(effect.open_since);
        let pause = doubled(policy.pause, policy.pause_max, effect.tries);
        let may_repeat = match effect.class {
            Class::Keyed => self.clock.now() - effect.created_at < micros(policy.max_age),
            Class::AtLeastOnce => effect.tries < policy.tries_max,
            Class::Provable => false,
        };
        if may_repeat {
            let left = micros(pause) - age;
            if left > 0 {
                return Ok(Next::Again(Duration::from_micros(u64::try_from(left).unwrap_or(0))));
            }
            let evidence = json!({ "why": format!("{why}; it may be repeated under its key"), "class": effect.class });
            return self.settle(effect, worker, Verdict::Absent, &evidence).await;
        }
        self.observe_nothing(effect, Source::Resolver, worker, why).await?;
        if age < micros(policy.max_age) && effect.class == Class::Provable {
            return Ok(Next::Again(pause.max(Duration::from_micros(u64::try_from(age / 4).unwrap_or(0))).min(policy.pause_max)));
        }
        self.needs_person(effect).await?;
        tracing::error!(effect = effect.id, key = effect.key, job = effect.job, "an effect needs a person: {why}");
        Ok(Next::Over(State::NeedsPerson))
    }

    /// A person's verdict on an effect in doubt, with evidence. Where money moves, two different people must agree.
    pub async fn resolve_by_person(
        &self,
        scope: &Scope,
        id: &str,
        actor: &str,
        verdict: Verdict,
        evidence: &Json,
    ) -> Result<Word, DbError> {
        let Some(effect) = self.effect(scope, id).await? else { return Ok(Word::NotFound) };
        if !matches!(effect.state, State::Unknown | State::NeedsPerson) {
            return Ok(Word::NotInDoubt(effect));
        }
        if matches!(verdict, Verdict::Absent | Verdict::Rejected) && self.clock.now() < effect.start_by + CALLS_MAX_US {
            return Ok(Word::TooEarly(effect));
        }
        let seconded = !effect.money || self.another_said(&effect, actor, verdict).await?;
        let seen = Observation { source: Source::Person, actor, verdict, evidence, of_try: effect.tries };
        if !seconded {
            self.say(&effect, &seen).await?;
            return Ok(Word::NeedsSecond(effect));
        }
        let resolved = self.observe(&effect, effect.rev, &seen).await?;
        Ok(if resolved.settled { Word::Settled(resolved.effect) } else { Word::NotInDoubt(resolved.effect) })
    }
}

impl Stored {
    /// How long after it was first seen no call of its last try can start or be under way any more.
    fn over_after(&self, policy: &EffectPolicy) -> Duration {
        let start = Duration::from_micros(u64::try_from(self.start_by.saturating_sub(self.open_since)).unwrap_or(0));
        start.max(policy.start_within) + policy.call_within
    }
}

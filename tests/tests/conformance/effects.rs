//! Effects on every store: the intent before the call, the verdict after it, what rescue makes of both, who may settle.

use crate::support::{claim, claimer, done, enqueue, int, on_every_store, rows, worker};
use clawr_engine::db::{DbError, Scope};
use clawr_engine::effect::{
    Class, EffectOpen, EffectUnknown, Effects, Look, Next, Observation, Reply, Sent, Source, State, Stored, Verdict, Word,
};
use clawr_engine::job::Claimed;
use clawr_engine::kind::EffectPolicy;
use clawr_engine::liveness::Rescuer;
use clawr_engine::manage::Acted;
use clawr_engine::outcome::{Answer, HELD_FOR_EFFECTS, commit};
use clawr_engine::queue::Queue;
use clawr_tests::provider::Provider;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, in_state, start, until};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn quick(money: bool) -> EffectPolicy {
    let short = Duration::from_millis(50);
    EffectPolicy {
        start_within: Duration::from_secs(5),
        call_within: short,
        pause: short,
        pause_max: short,
        money,
        ..EffectPolicy::default()
    }
}

fn effects_of(queue: &Queue, job: &Claimed, policy: EffectPolicy) -> Effects {
    let (sender, cancelled) = tokio::sync::watch::channel(clawr_engine::kind::Stop::No);
    std::mem::forget(sender);
    Effects::of(queue.clone(), Arc::new(job.clone()), "wkr_1", policy, clawr_engine::kind::StopSignal::new(cancelled))
}

async fn running(queue: &Queue) -> Claimed {
    worker(queue, "wkr_1").await;
    enqueue(queue, 1).await;
    claim(queue, 1).await.remove(0)
}

fn lose_next(n: u32) {
    fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point");
}

async fn open_effects(queue: &Queue) -> i64 {
    int(queue, "select coalesce(max(open_effects), 0) as n from jobs").await
}

fn held(job: &Claimed) -> clawr_engine::outcome::Settled {
    let mut settled = crate::support::stay(job, clawr_engine::job::State::Held, job.run_at);
    if let clawr_engine::outcome::Transition::Stay { reason, attempts, .. } = &mut settled.transition {
        HELD_FOR_EFFECTS.clone_into(reason);
        *attempts = -1;
    }
    settled
}

/// An effect nobody knows of, its job held.
async fn in_doubt(queue: &Queue, policy: EffectPolicy) -> Stored {
    let job = running(queue).await;
    let effects = effects_of(queue, &job, policy);
    drop(effects.effect(Class::Provable, "pay:1", json!({})).send(async |_| Reply::Unknown("?".into())).await);
    commit(queue.db(), queue.clock(), &[held(&job)]).await.expect("held");
    queue.effects_of_job(&Scope::System, &job.id).await.expect("effects").remove(0)
}

/// Every commit of an effect loses its reply twice: one call, one effect, the job can end.
#[tokio::test]
async fn a_confirmed_effect_is_called_once_though_every_reply_is_lost() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        let effects = effects_of(&queue, &job, quick(false));
        let mut calls = 0;
        lose_next(2);
        let sent = effects.effect(Class::Provable, "pay:1", json!({"to": "x"})).send(|effect| {
            calls += 1;
            assert_eq!((effect.key.as_str(), effect.tries), ("pay:1", 1));
            lose_next(2);
            async { Reply::Confirmed(json!({"tx": "0x1"})) }
        });
        assert_eq!(sent.await.expect("sent"), Sent::Confirmed(json!({"tx": "0x1"})));
        assert_eq!((open_effects(&queue).await, effects.any_open()), (0, false));

        let again = effects.effect(Class::Provable, "pay:1", json!({"to": "x"})).send(async |_| panic!("called again"));
        assert_eq!(again.await.expect("known"), Sent::Confirmed(json!({"tx": "0x1"})));
        assert_eq!(calls, 1);
        assert_eq!(commit(queue.db(), queue.clock(), &[done(&job)]).await.expect("done"), [Answer::Committed]);
        assert_eq!(int(&queue, "select count(*) as n from effect_observations").await, 1);
    })
    .await;
}

/// Nothing of ours ends a job while its effect is open: no outcome, no retry, no cancel, no second worker.
#[tokio::test]
async fn an_open_effect_holds_its_job_against_everybody() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        let effects = effects_of(&queue, &job, quick(false));
        let sent = effects.effect(Class::Provable, "pay:1", json!({})).send(async |_| Reply::Unknown("the line broke".into())).await;
        assert!(sent.as_ref().is_err_and(|e| e.downcast_ref::<EffectUnknown>().is_some()), "{sent:?}");
        assert!(effects.any_open());
        assert_eq!(commit(queue.db(), queue.clock(), &[done(&job)]).await.expect("an answer"), [Answer::LeaseLost]);
        lose_next(1);
        let answers = commit(queue.db(), queue.clock(), &[held(&job)]).await.expect("held");
        assert!(matches!(answers[..], [Answer::Committed | Answer::LeaseLost]), "{answers:?}");

        let now = queue.job(&Scope::System, &job.id).await.expect("a look").expect("the job");
        assert_eq!((now.state.as_str(), now.reason.as_str(), now.attempt), ("held", "effect", 0));
        for acted in [queue.retry(&Scope::System, &job.id).await, queue.cancel(&Scope::System, &job.id, "no").await] {
            assert!(matches!(acted, Ok(Acted::Refused(..))), "{acted:?}");
        }
        assert!(claim(&queue, 5).await.is_empty());
        assert_eq!(int(&queue, "select count(*) as n from jobs where kind = 'effect_resolve' and queue = 'effects'").await, 1);
    })
    .await;
}

/// Its worker dies: the job does not run again before somebody knows; then it does and learns what happened.
#[tokio::test]
async fn a_rescue_makes_intents_unknown_and_evidence_lets_the_job_go_on() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        let effects = effects_of(&queue, &job, quick(false));
        drop(effects.effect(Class::Provable, "pay:1", json!({})).send(async |_| Reply::Unknown("died".into())).await);
        let mut rescuer = Rescuer::new(queue.clone(), "elsewhere", Duration::ZERO);
        let mut rescue = rescuer.pass().await.expect("a pass");
        if rescue.held == 0 {
            rescue = rescuer.pass().await.expect("a pass");
        }
        assert_eq!((rescue.held, rescue.requeued), (1, 0));
        let effect = queue.effects(&Scope::System, Some(State::Unknown), &job.id, "", 10).await.expect("effects").remove(0);
        assert_eq!(int(&queue, "select count(*) as n from jobs where kind = 'effect_resolve'").await, 1);

        let next = queue.resolve(&effect.id, "job_r", &quick(false), async |_| Look::Confirmed(json!({"block": 7}))).await;
        assert_eq!(next.expect("resolved"), Next::Over(State::Confirmed));
        assert_eq!(open_effects(&queue).await, 0);
        let again = claimer(&queue).claim("wkr_2", 1).await.expect("claimed").remove(0);
        assert_eq!(again.id, job.id);
        let second = effects_of(&queue, &again, quick(false));
        let sent = second.effect(Class::Provable, "pay:1", json!({})).send(async |_| panic!("called again")).await;
        assert_eq!(sent.expect("known"), Sent::Confirmed(json!({"block": 7})));
    })
    .await;
}

/// Proof of absence counts only when the call can no longer start, and then the effect is tried again.
#[tokio::test]
async fn absence_counts_after_the_start_bound() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        let policy = EffectPolicy { start_within: Duration::from_millis(300), ..quick(false) };
        let effects = effects_of(&queue, &job, policy);
        drop(effects.effect(Class::Provable, "pay:1", json!({})).send(async |_| Reply::Unknown("?".into())).await);
        commit(queue.db(), queue.clock(), &[held(&job)]).await.expect("held");
        let effect = queue.effects_of_job(&Scope::System, &job.id).await.expect("effects").remove(0);
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let began = std::time::Instant::now();
        let look = async |_| {
            looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Look::Absent(json!({"seen": "nothing"}))
        };
        assert_eq!(queue.resolve(&effect.id, "job_r", &policy, look).await.expect("resolved"), Next::Over(State::Absent));
        assert!(began.elapsed() >= Duration::from_millis(350), "believed after {:?}", began.elapsed());
        assert_eq!(looks.into_inner(), 2);
        let again = claim(&queue, 1).await.remove(0);
        let second = effects_of(&queue, &again, policy);
        let sent = second.effect(Class::Provable, "pay:1", json!({})).send(async |effect| Reply::Confirmed(json!(effect.tries))).await;
        assert_eq!(sent.expect("sent"), Sent::Confirmed(json!(2)));
    })
    .await;
}

/// Of two who resolve, one settles; the other's word is kept, and opens a finding where it contradicts.
#[tokio::test]
async fn one_of_two_settles_and_a_contradiction_is_a_finding() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let effect = in_doubt(&queue, quick(false)).await;
        let (yes, no) = (json!({"tx": "0x1"}), json!({"tx": null}));
        let observe = |verdict, evidence| Observation { source: Source::Resolver, actor: "r", verdict, evidence, of_try: effect.tries };
        let (confirmed, absent) = (observe(Verdict::Confirmed, &yes), observe(Verdict::Absent, &no));
        let (one, two) = futures::join!(queue.observe(&effect, effect.rev, &absent), queue.observe(&effect, effect.rev, &confirmed));
        let (one, two) = (one.expect("one"), two.expect("two"));
        assert!(one.settled != two.settled, "{one:?} {two:?}");
        assert_eq!(open_effects(&queue).await, 0);
        assert_eq!(int(&queue, "select count(*) as n from effect_observations where verdict <> 'unknown'").await, 2);
        // confirmed after absence was proven is a contradiction; an absence seen before the confirmation is not
        let expected = i64::from(one.settled);
        assert_eq!(int(&queue, "select count(*) as n from findings").await, expected);
        let late = queue.observe(&effect, effect.rev, &observe(Verdict::Rejected, &no)).await.expect("late");
        assert!(!late.settled);
        assert_eq!(int(&queue, "select count(*) as n from findings").await, 1);
    })
    .await;
}

/// What was seen of the first try says nothing of the second, which is under way.
#[tokio::test]
async fn a_slow_resolver_cannot_settle_the_next_try() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let first = in_doubt(&queue, quick(false)).await;
        let nothing = json!({"seen": "nothing"});
        let absent =
            Observation { source: Source::Resolver, actor: "r", verdict: Verdict::Absent, evidence: &nothing, of_try: first.tries };
        assert!(queue.observe(&first, first.rev, &absent).await.expect("absent").settled);
        let again = claim(&queue, 1).await.remove(0);
        let second = effects_of(&queue, &again, quick(false));
        let sent = second.effect(Class::Provable, "pay:1", json!({})).send(async |_| {
            let slow = queue.observe(&first, first.rev, &absent).await.expect("an answer");
            assert!(!slow.settled);
            assert_eq!((slow.effect.state, slow.effect.tries), (State::Intended, 2));
            Reply::Confirmed(json!(1))
        });
        assert_eq!(sent.await.expect("sent"), Sent::Confirmed(json!(1)));
        assert_eq!(open_effects(&queue).await, 0);
    })
    .await;
}

/// A key is one effect, whoever intends it: the second job waits for the first one's verdict.
#[tokio::test]
async fn a_key_is_open_in_one_job_at_a_time() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 2).await;
        let jobs = claim(&queue, 2).await;
        let (first, second) = (effects_of(&queue, &jobs[0], quick(false)), effects_of(&queue, &jobs[1], quick(false)));
        let outer = first.effect(Class::Keyed, "pay:1", json!({})).send(async |_| {
            let inner = second.effect(Class::Keyed, "pay:1", json!({})).send(async |_| panic!("called beside the first")).await;
            assert!(inner.as_ref().is_err_and(|e| e.downcast_ref::<EffectOpen>().is_some()), "{inner:?}");
            Reply::Rejected(json!("no"))
        });
        assert_eq!(outer.await.expect("sent"), Sent::Rejected(json!("no")));
        assert!(!second.any_open());
        let known = second.effect(Class::Keyed, "pay:1", json!({})).send(async |_| panic!("called after the verdict")).await;
        assert_eq!(known.expect("known"), Sent::Rejected(json!("no")));
    })
    .await;
}

/// Two sends of one attempt under one key: the second is refused, and the first still holds the job.
#[tokio::test]
async fn a_second_send_of_the_same_key_does_not_hide_the_first() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        let effects = effects_of(&queue, &job, quick(false));
        let outer = effects.effect(Class::Provable, "pay:1", json!({})).send(async |_| {
            let inner = effects.effect(Class::Provable, "pay:1", json!({})).send(async |_| panic!("called beside the first")).await;
            assert!(inner.as_ref().is_err_and(|e| e.downcast_ref::<EffectOpen>().is_some()), "{inner:?}");
            Reply::Unknown("?".into())
        });
        assert!(outer.await.is_err());
        assert!(effects.any_open());
    })
    .await;
}

/// What is tried again is looked for where it was sent this time.
#[tokio::test]
async fn a_new_try_is_of_todays_intent() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        let effects = effects_of(&queue, &job, quick(false));
        let away = effects.effect(Class::Keyed, "pay:1", json!({"to": "x"})).send(async |_| Reply::NotSent("away".into())).await;
        assert!(away.is_err());
        let lost = effects.effect(Class::Provable, "pay:1", json!({"to": "y"})).send(async |_| Reply::Unknown("?".into())).await;
        assert!(lost.is_err());
        let stored = queue.effects_of_job(&Scope::System, &job.id).await.expect("effects").remove(0);
        assert_eq!((stored.class, &stored.intent, stored.tries), (Class::Provable, &json!({"to": "y"}), 2));
    })
    .await;
}

/// A key belongs to the tenant that used it first; another one learns nothing of it and does nothing.
#[tokio::test]
async fn a_key_is_of_one_tenant() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let of = |tenant: &str| clawr_engine::job::NewJob { tenant: tenant.into(), ..crate::support::job("k") };
        queue.enqueue_many(vec![of("ten_a"), of("ten_b")]).await.expect("enqueued");
        let jobs = claim(&queue, 2).await;
        let (a, b) = (effects_of(&queue, &jobs[0], quick(false)), effects_of(&queue, &jobs[1], quick(false)));
        for reply in [Reply::NotSent("away".into()), Reply::Confirmed(json!("secret of the first"))] {
            drop(a.effect(Class::Keyed, "pay:1", json!({})).send(async |_| reply).await);
            let other = b.effect(Class::Keyed, "pay:1", json!({})).send(async |_| panic!("called under another tenant's key")).await;
            let error = other.expect_err("refused");
            assert!(error.downcast_ref::<clawr_engine::kind::Fatal>().is_some(), "{error:#}");
            assert!(!error.to_string().contains("secret") && !b.any_open());
        }
    })
    .await;
}

/// After a cancel was asked nothing begins outside.
#[tokio::test]
async fn a_job_asked_to_stop_intends_nothing_more() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        assert_eq!(queue.cancel(&Scope::System, &job.id, "stop").await.expect("asked"), Acted::Asked);
        let effects = effects_of(&queue, &job, quick(false));
        let sent = effects.effect(Class::Keyed, "pay:1", json!({})).send(async |_| panic!("called after the cancel")).await;
        assert!(sent.is_err() && !effects.any_open());
    })
    .await;
}

/// What an older binary leaves behind finds its resolver; what others look after is left alone.
#[tokio::test]
async fn effects_without_anybody_are_healed() {
    on_every_store(async |store| {
        let queue = store.queue_with(clawr_engine::clock::Clock::stepped(1_790_000_000_000_000)).await.expect("queue");
        let job = running(&queue).await;
        let effects = effects_of(&queue, &job, quick(false));
        drop(effects.effect(Class::Provable, "pay:1", json!({})).send(async |_| Reply::Unknown("?".into())).await);
        queue.clock().step(Duration::from_secs(200));
        assert_eq!(queue.heal_effects().await.expect("healed"), 0, "its job runs");
        // as a binary rescues that knows no effects
        store.by_hand("update jobs set state = 'held', reason = 'effect', lease = '', worker = ''").await.expect("held");
        assert_eq!(queue.heal_effects().await.expect("healed"), 1);
        assert_eq!(queue.heal_effects().await.expect("healed"), 0, "it has its resolver");
        assert_eq!(int(&queue, "select count(*) as n from jobs where kind = 'effect_resolve'").await, 1);
    })
    .await;
}

/// Who lost the lease cannot intend, and nothing is left behind.
#[tokio::test]
async fn a_lost_lease_intends_nothing() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = running(&queue).await;
        let stale = Claimed { lease: "op_other".into(), ..job };
        let effects = effects_of(&queue, &stale, quick(false));
        let sent = effects.effect(Class::Keyed, "pay:1", json!({})).send(async |_| panic!("called without a lease")).await;
        let error = sent.expect_err("refused");
        assert!(error.downcast_ref::<DbError>().is_some_and(|e| e.is_guard("lease_lost")), "{error:#}");
        assert!(!effects.any_open());
        assert!(rows(&queue, "select id from effects").await.is_empty());
    })
    .await;
}

/// Money is settled by two people; the same one twice is one.
#[tokio::test]
async fn money_needs_a_second_person() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let id = in_doubt(&queue, quick(true)).await.id;
        let evidence = json!({"seen": "the bank's letter"});
        let say =
            async |actor: &str, verdict| queue.resolve_by_person(&Scope::System, &id, actor, verdict, &evidence).await.expect("a word");
        assert!(matches!(say("key_a", Verdict::Confirmed).await, Word::NeedsSecond(_)));
        assert!(matches!(say("key_a", Verdict::Confirmed).await, Word::NeedsSecond(_)));
        assert!(matches!(say("key_b", Verdict::Rejected).await, Word::TooEarly(_)));
        assert!(matches!(say("key_b", Verdict::Absent).await, Word::TooEarly(_)));
        assert_eq!(open_effects(&queue).await, 1);
        assert!(matches!(say("key_b", Verdict::Confirmed).await, Word::Settled(effect) if effect.state == State::Confirmed));
        assert!(matches!(say("key_c", Verdict::Absent).await, Word::NotInDoubt(_)));
        assert_eq!(open_effects(&queue).await, 0);
    })
    .await;
}

/// The world moved and our books could not follow: somebody has to look.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_dies_after_its_effect_happened_is_a_finding() {
    for kind in Kind::selected() {
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log, provider) = (store.queue().await.expect("queue"), Log::new(), Provider::start(7).await);
        let worker = start(&store, "one", 4).await;
        let args = |n: usize| json!({ "provider": provider.address(), "class": "keyed", "key": format!("keyed:{n}"), "dies": true });
        let made = queue.enqueue_many((0..8).map(|n| log.job("chaos_effect", args(n))).collect()).await.expect("enqueued");
        let ended = async || in_state(&queue, "dead").await.len() + in_state_of(&queue, "completed", "chaos_effect").await;
        until("all end", Duration::from_secs(30), async || ended().await == made.len()).await;
        let confirmed = queue.effects(&Scope::System, Some(State::Confirmed), "", "", 100).await.expect("effects").len();
        let findings = queue.findings(&Scope::System, "", 100).await.expect("findings");
        let of_dead = findings.iter().filter(|row| row.text("what").is_ok_and(|what| what == "dead_after_effect")).count();
        println!("{kind:?}: {confirmed} of {} confirmed, {of_dead} findings", made.len());
        assert!(confirmed > 0);
        assert_eq!((of_dead, in_state(&queue, "dead").await.len()), (confirmed, confirmed));
        worker.stop(Duration::from_secs(5)).await;
        clawr_tests::evidence::keep(kind);
    }
}

async fn in_state_of(queue: &Queue, state: &str, kind: &str) -> usize {
    in_state(queue, state).await.iter().filter(|job| job.kind == kind).count()
}

//! Sequences: one after the other in the order of the commits, whoever makes, ends, cancels or brings back, and however.

use crate::support::{claim, done, int, job, on_every_store, rows, stay, worker};
use clawr_engine::clock::Clock;
use clawr_engine::db::Scope;
use clawr_engine::group::Group;
use clawr_engine::job::{Claimed, Enqueued, NewJob, State};
use clawr_engine::liveness::Rescuer;
use clawr_engine::manage::Acted;
use clawr_engine::outcome::{Answer, HELD_FOR_EFFECTS, Settled, Transition, commit};
use clawr_engine::queue::Queue;
use clawr_engine::sequence::{Sequence, Unblocked};
use clawr_engine::unique::{OnConflict, Unique};
use clawr_tests::stores::Kind;
use std::collections::BTreeSet;
use std::time::Duration;

pub const ALL: Scope = Scope::System;

fn lose_next(n: u32) {
    fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point");
}

pub fn of(key: &str) -> NewJob {
    NewJob { sequence: Some(Sequence::named(key)), ..job("k") }
}

fn passing(key: &str) -> NewJob {
    NewJob { sequence: Some(Sequence::named(key).going_on()), ..job("k") }
}

pub async fn make(queue: &Queue, jobs: Vec<NewJob>) -> Vec<String> {
    let made = queue.enqueue_many(jobs).await.expect("made");
    made.iter().map(|made| made.id().to_owned()).collect()
}

fn ends(job: &Claimed, state: State) -> Settled {
    let transition = Transition::End { state, reason: "test".into(), result: String::new(), errors: None };
    Settled { transition, ..done(job) }
}

pub async fn settle(queue: &Queue, settled: Settled) -> Answer {
    commit(queue.db(), queue.clock(), &[settled]).await.expect("an answer").remove(0)
}

/// The only job that a claim finds.
pub async fn next(queue: &Queue) -> Claimed {
    let mut claimed = claim(queue, 10).await;
    assert_eq!(claimed.len(), 1, "one goes on");
    claimed.remove(0)
}

async fn is_still(queue: &Queue) -> bool {
    claim(queue, 10).await.is_empty()
}

pub async fn state(queue: &Queue, id: &str) -> State {
    queue.job(&ALL, id).await.expect("a look").expect("a job").state
}

pub fn states(made: &[Enqueued]) -> Vec<&'static str> {
    let state = |made: &Enqueued| if let Enqueued::New { state, .. } = made { state.as_str() } else { "not made" };
    made.iter().map(state).collect()
}

#[tokio::test]
async fn a_blocked_job_waits_for_the_one_before_it() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let later = queue.clock().now() + 3_600_000_000;
        let tenant = NewJob { tenant: "ten_1".into(), ..of("a") };
        let jobs = vec![of("a"), of("b"), of("a"), tenant, job("k"), NewJob { run_at: Some(later), ..of("a") }];
        let made = queue.enqueue_many(jobs).await.expect("made");
        assert_eq!(states(&made), ["available", "available", "blocked", "available", "available", "blocked"]);
        let ids: Vec<&str> = made.iter().map(Enqueued::id).collect();
        let first = claim(&queue, 10).await;
        let mut got: Vec<&str> = first.iter().map(|job| job.id.as_str()).collect();
        got.sort_unstable();
        let mut want = [ids[0], ids[1], ids[3], ids[4]];
        want.sort_unstable();
        assert_eq!(got, want);
        let outcomes: Vec<Settled> = first.iter().map(done).collect();
        assert_eq!(commit(queue.db(), queue.clock(), &outcomes).await.expect("ended"), vec![Answer::Committed; 4]);
        let second = next(&queue).await;
        assert_eq!((second.id.as_str(), second.sequence.as_str()), (ids[2], "a"));
        settle(&queue, done(&second)).await;
        assert!(is_still(&queue).await, "the third is not due");
        assert_eq!(state(&queue, ids[5]).await, State::Scheduled);
        assert_eq!(queue.heal_sequences().await, Ok(0));
    })
    .await;
}

#[tokio::test]
async fn whatever_keeps_a_job_keeps_those_behind_it() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let ids = make(&queue, vec![of("a"), of("a")]).await;
        let far = queue.clock().now() + 3_600_000_000;
        for (kept, run_at) in [(State::Retryable, far), (State::Scheduled, far), (State::Waiting, 0), (State::Held, 0)] {
            let job = next(&queue).await;
            assert_eq!(job.id, ids[0]);
            settle(&queue, stay(&job, kept, run_at)).await;
            assert!(is_still(&queue).await, "{kept:?}");
            store.by_hand("update jobs set state = 'available', run_at = 0, rank = 0 where state <> 'blocked'").await.expect("let go on");
        }
        // a rescue, also one that holds the job for its effect
        let job = next(&queue).await;
        let mut rescuer = Rescuer::new(queue.clone(), "elsewhere", Duration::ZERO);
        assert_eq!(rescuer.pass().await.expect("a look").requeued, 1);
        worker(&queue, "wkr_1b").await;
        let mut claimer = crate::support::claimer(&queue);
        let again = claimer.claim("wkr_1b", 5).await.expect("claim");
        assert_eq!(again.iter().map(|job| &job.id).collect::<Vec<_>>(), [&job.id]);
        assert_eq!(settle(&queue, done(&job)).await, Answer::LeaseLost, "the dead worker's end changes nothing");
        assert!(is_still(&queue).await);
        settle(&queue, stay(&again[0], State::Held, 0)).await;
        store.by_hand(&format!("update jobs set reason = '{HELD_FOR_EFFECTS}' where state = 'held'")).await.expect("held");
        assert!(is_still(&queue).await);
        assert_eq!(queue.heal_sequences().await, Ok(0));
    })
    .await;
}

#[tokio::test]
async fn every_reply_may_be_lost() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        lose_next(2);
        let made = queue.enqueue_many(vec![of("a"), of("a"), of("a")]).await.expect("made");
        assert_eq!(states(&made), ["available", "blocked", "blocked"]);
        assert_eq!(int(&queue, "select count(distinct seq_no) as n from jobs").await, 3);
        for id in made.iter().map(Enqueued::id) {
            let job = next(&queue).await;
            assert_eq!(job.id, id);
            lose_next(2);
            settle(&queue, done(&job)).await;
        }
        let dead = make(&queue, vec![of("a"), of("a"), of("a")]).await;
        let job = next(&queue).await;
        lose_next(1);
        settle(&queue, ends(&job, State::Dead)).await;
        lose_next(1);
        let unblocked = queue.unblock(&ALL, "", "a", &dead[0]).await;
        assert!(matches!(unblocked, Ok(Unblocked::Done { .. })), "{unblocked:?}");
        let job = next(&queue).await;
        assert_eq!(job.id, dead[1]);
        lose_next(1);
        assert!(queue.cancel(&ALL, &dead[2], "test").await.is_ok());
        settle(&queue, done(&job)).await;
        assert!(is_still(&queue).await);
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 0);
    })
    .await;
}

/// An outcome is repeated after others have gone on: it promotes nobody a second time and stops nothing again.
#[tokio::test]
async fn an_end_that_comes_twice_changes_nothing() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let ids = make(&queue, vec![of("a"), of("a"), of("a")]).await;
        let first = ends(&next(&queue).await, State::Dead);
        settle(&queue, first.clone()).await;
        queue.unblock(&ALL, "", "a", &ids[0]).await.expect("unblocked");
        let second = next(&queue).await;
        assert_eq!(settle(&queue, first).await, Answer::LeaseLost);
        assert_eq!(int(&queue, "select count(*) as n from sequence_stops").await, 0);
        assert!(is_still(&queue).await);
        settle(&queue, done(&second)).await;
        assert_eq!(next(&queue).await.id, ids[2]);
    })
    .await;
}

#[tokio::test]
async fn a_dead_job_stops_its_sequence_until_somebody_decides() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let ids = make(&queue, vec![of("a"), of("a"), of("a"), of("a")]).await;
        settle(&queue, ends(&next(&queue).await, State::Dead)).await;
        assert!(is_still(&queue).await);
        assert_eq!(states(&queue.enqueue_many(vec![of("a")]).await.expect("made")), ["blocked"], "also for those that come later");
        // brought back, it runs in its old place
        assert_eq!(queue.retry(&ALL, &ids[0]).await, Ok(Acted::Done(State::Available)));
        let again = next(&queue).await;
        assert_eq!(again.id, ids[0]);
        settle(&queue, ends(&again, State::Dead)).await;
        // passed over, it stays dead
        let wrong = queue.unblock(&ALL, "", "a", &ids[1]).await;
        assert_eq!(wrong, Ok(Unblocked::NotStopped));
        assert_eq!(queue.unblock(&Scope::Tenant("ten_1".into()), "", "a", &ids[0]).await, Ok(Unblocked::NotStopped));
        let unblocked = Unblocked::Done { job: ids[0].clone(), next: Some(ids[1].clone()) };
        assert_eq!(queue.unblock(&ALL, "", "a", &ids[0]).await, Ok(unblocked));
        assert_eq!(state(&queue, &ids[0]).await, State::Dead);
        let second = next(&queue).await;
        // brought back while the next one runs, it is the next but one
        assert_eq!(queue.retry(&ALL, &ids[0]).await, Ok(Acted::Done(State::Blocked)));
        settle(&queue, ends(&second, State::Dead)).await;
        let first = next(&queue).await;
        assert_eq!(first.id, ids[0]);
        settle(&queue, done(&first)).await;
        assert!(is_still(&queue).await, "the second is dead and before the third");
        // erased, it will never come back
        queue.erase(&ALL, &ids[1]).await.expect("erased");
        let third = next(&queue).await;
        assert_eq!(third.id, ids[2]);
        settle(&queue, done(&third)).await;
        assert_eq!(int(&queue, "select count(*) as n from sequence_stops").await, 0);
        assert_eq!(queue.heal_sequences().await, Ok(0));
    })
    .await;
}

#[tokio::test]
async fn a_dead_job_of_a_kind_that_says_so_stops_nothing() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let ids = make(&queue, vec![passing("a"), passing("a"), of("a"), of("a")]).await;
        for id in &ids[..3] {
            let job = next(&queue).await;
            assert_eq!(job.id, *id);
            settle(&queue, ends(&job, State::Dead)).await;
        }
        assert!(is_still(&queue).await);
        let stuck = queue.stuck_sequences(&ALL, ("", ""), 10).await.expect("stuck");
        assert_eq!(
            stuck.iter().map(|one| (one.job.as_str(), one.state, one.waiting)).collect::<Vec<_>>(),
            [(ids[2].as_str(), State::Dead, 1)]
        );
        assert_eq!(queue.retry(&ALL, &ids[0]).await, Ok(Acted::Done(State::Available)), "before the one that stops");
        settle(&queue, ends(&next(&queue).await, State::Dead)).await;
        assert!(is_still(&queue).await);
    })
    .await;
}

#[tokio::test]
async fn cancelled_jobs_give_way() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let ids = make(&queue, vec![of("a"), of("a"), of("a"), of("a")]).await;
        let first = next(&queue).await;
        assert_eq!(queue.cancel(&ALL, &ids[1], "test").await, Ok(Acted::Done(State::Cancelled)), "a blocked one");
        assert_eq!(queue.cancel(&ALL, &ids[0], "test").await, Ok(Acted::Asked), "a running one");
        assert!(is_still(&queue).await);
        settle(&queue, ends(&first, State::Cancelled)).await;
        assert_eq!(state(&queue, &ids[2]).await, State::Available);
        assert_eq!(queue.cancel(&ALL, &ids[2], "test").await, Ok(Acted::Done(State::Cancelled)), "one that may run");
        let fourth = next(&queue).await;
        assert_eq!(fourth.id, ids[3]);
        assert_eq!(queue.retry(&ALL, &ids[1]).await, Ok(Acted::Done(State::Blocked)));
        assert_eq!(queue.run_now(&ALL, &ids[1]).await.map(|acted| matches!(acted, Acted::Refused(State::Blocked, _))), Ok(true));
        settle(&queue, done(&fourth)).await;
        assert_eq!(next(&queue).await.id, ids[1]);
    })
    .await;
}

#[tokio::test]
async fn what_is_made_with_an_outcome_has_its_place() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let waits = make(&queue, vec![of("a"), of("a")]).await.remove(1);
        let parent = next(&queue).await;
        let children = vec![of("b"), of("b"), job("k")];
        let settled = Settled { groups: vec![Group::of(&parent, "g", children)], follow_ups: vec![of("a"), of("b")], ..done(&parent) };
        lose_next(1);
        settle(&queue, settled).await;
        let mut seen: Vec<String> = Vec::new();
        while let claimed @ [_, ..] = &claim(&queue, 10).await[..] {
            let keys: Vec<&str> = claimed.iter().map(|job| job.sequence.as_str()).collect();
            assert!(
                keys.iter().filter(|key| !key.is_empty()).collect::<BTreeSet<_>>().len()
                    == keys.iter().filter(|key| !key.is_empty()).count(),
                "one of each at a time: {keys:?}"
            );
            seen.extend(claimed.iter().map(|job| job.id.clone()));
            let outcomes: Vec<Settled> = claimed.iter().map(done).collect();
            commit(queue.db(), queue.clock(), &outcomes).await.expect("ended");
        }
        assert_eq!(seen.len(), 6);
        assert!(seen[..3].contains(&waits), "the follow-up comes after those that waited");
        assert_eq!(int(&queue, "select count(*) as n from group_members where ended = ''").await, 0);
        let callback = Group::of(&parent, "g", vec![]).on_complete(of("a"));
        assert_eq!(callback.fault(), Some(("complete".into(), "cannot be in a sequence")));
    })
    .await;
}

#[tokio::test]
async fn a_replaced_job_keeps_its_place() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let unique = |n: i64, on_conflict| NewJob {
            args: format!(r#"{{"to":"x","n":{n}}}"#),
            unique: Some(Unique { by: &["/to"], ..Unique::new(on_conflict) }),
            ..of("a")
        };
        let first = make(&queue, vec![of("a")]).await.remove(0);
        let made = queue.enqueue_many(vec![unique(1, OnConflict::Replace), of("a"), unique(2, OnConflict::Replace)]).await.expect("made");
        assert_eq!(states(&made), ["blocked", "blocked", "not made"]);
        // without its sequence, and with another one
        let elsewhere = NewJob { sequence: None, ..unique(3, OnConflict::Replace) };
        let other = NewJob { sequence: Some(Sequence::named("b")), ..unique(4, OnConflict::Replace) };
        let window = Duration::from_millis(1);
        let debounced = unique(5, OnConflict::Debounce { window, max_wait: window });
        for job in [elsewhere, other, debounced] {
            assert_eq!(queue.enqueue(job).await.expect("replaced"), Enqueued::Replaced { id: made[0].id().to_owned() });
            assert_eq!(state(&queue, made[0].id()).await, State::Blocked);
        }
        let job = next(&queue).await;
        assert_eq!(job.id, first);
        settle(&queue, done(&job)).await;
        let replaced = next(&queue).await;
        assert_eq!((replaced.id.as_str(), replaced.args.as_deref()), (made[0].id(), Ok(r#"{"to":"x","n":5}"#)));
        settle(&queue, done(&replaced)).await;
        assert_eq!(next(&queue).await.id, made[1].id());
        // in one call, the first of the unique ones says where and the last one what
        for (first, second) in [(None, Some(Sequence::named("c"))), (Some(Sequence::named("c")), None)] {
            let jobs = [first.clone(), second].map(|sequence| NewJob { sequence, ..unique(6, OnConflict::Replace) });
            let made = queue.enqueue_many(jobs.to_vec()).await.expect("made");
            assert_eq!(states(&made), ["available", "not made"]);
            let job = next(&queue).await;
            assert_eq!(job.sequence, first.map(|sequence| sequence.key).unwrap_or_default());
            settle(&queue, done(&job)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_names_one_job_of_one_sequence() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let keyed = |sequence: Option<&str>| NewJob { key: Some("order".into()), sequence: sequence.map(Sequence::named), ..job("k") };
        let first = make(&queue, vec![keyed(Some("a"))]).await.remove(0);
        let again = queue.enqueue_many(vec![keyed(Some("a")), keyed(Some("b")), keyed(None)]).await.expect("answers");
        let (same, other) = (Enqueued::Duplicate { id: first.clone() }, Enqueued::Conflict { id: first });
        assert_eq!(again, [same, other.clone(), other]);
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 1);
        let odd = NewJob { sequence: Some(Sequence::named("")), ..job("k") };
        assert!(queue.enqueue(odd).await.is_err());
    })
    .await;
}

/// On Postgres a tenant's acts are those of a role that sees nothing of others.
#[tokio::test]
async fn a_tenants_acts_move_its_own_sequences() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let tenants = |tenant: &str| NewJob { tenant: tenant.into(), ..of("a") };
        let own = Scope::Tenant("ten_1".into());
        let ids = make(&queue, (0..5).map(|_| tenants("ten_1")).collect()).await;
        let theirs = make(&queue, vec![tenants("ten_2"), tenants("ten_2")]).await;
        let dies = async |id: &str| {
            let claimed = claim(&queue, 5).await;
            let job = claimed.iter().find(|job| job.id == id).expect("it may run");
            settle(&queue, ends(job, State::Dead)).await
        };
        dies(&ids[0]).await;
        let listed = queue.stuck_sequences(&own, ("", ""), 10).await.expect("a list");
        assert_eq!(listed.iter().map(|one| (one.tenant.as_str(), one.job.as_str())).collect::<Vec<_>>(), [("ten_1", ids[0].as_str())]);
        assert_eq!(queue.stuck_sequences(&ALL, ("", ""), 10).await.expect("a list").len(), 2);
        assert_eq!(queue.stuck_sequences(&ALL, ("ten_1", "a"), 10).await.expect("a page").len(), 1);
        assert_eq!(queue.unblock(&own, "ten_2", "a", &ids[0]).await, Ok(Unblocked::NotStopped));
        let unblocked = Unblocked::Done { job: ids[0].clone(), next: Some(ids[1].clone()) };
        assert_eq!(queue.unblock(&own, "ten_1", "a", &ids[0]).await, Ok(unblocked));
        dies(&ids[1]).await;
        assert_eq!(queue.retry(&own, &ids[1]).await, Ok(Acted::Done(State::Available)));
        dies(&ids[1]).await;
        assert_eq!(queue.erase(&own, &ids[1]).await, Ok(Acted::Done(State::Dead)));
        assert_eq!(queue.cancel(&own, &ids[3], "test").await, Ok(Acted::Done(State::Cancelled)));
        assert_eq!(queue.cancel(&own, &ids[2], "test").await, Ok(Acted::Done(State::Cancelled)));
        assert_eq!(state(&queue, &ids[4]).await, State::Available);
        assert_eq!(queue.cancel(&own, &theirs[1], "test").await, Ok(Acted::NotFound));
        let why = queue.explain(&Scope::Tenant("ten_2".into()), &theirs[1]).await.expect("a look").expect("a job");
        let gate = why.first_closed().expect("it is blocked");
        assert!(gate.detail.contains(&theirs[0]) && gate.detail.contains("runs under wkr_1"), "{gate:?}");
    })
    .await;
}

/// Jobs that name no sequence are made and ended by the statements that did it before there were any.
#[tokio::test]
async fn jobs_in_no_sequence_cost_nothing() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let sent = async |act: Vec<NewJob>| {
            let before = queue.db().sent().1;
            queue.enqueue_many(act).await.expect("made");
            queue.db().sent().1 - before
        };
        assert_eq!((sent(vec![job("k"), job("k")]).await, sent(vec![of("a")]).await), (2, 6));
        let claimed = claim(&queue, 2).await;
        let before = queue.db().sent().1;
        commit(queue.db(), queue.clock(), &[done(&claimed[0])]).await.expect("ended");
        let plain = if store.kind == Kind::Postgres { 1 } else { 3 };
        assert_eq!(queue.db().sent().1 - before, plain);
    })
    .await;
}

/// What a binary that knows no sequences leaves behind: an end that promoted nobody, a job back from the archive.
#[tokio::test]
async fn what_stands_still_for_nothing_is_found() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        let ids = make(&queue, vec![of("a"), of("a"), of("b"), of("b")]).await;
        for job in claim(&queue, 2).await {
            let is_a = job.sequence == "a";
            let settled = if is_a { done(&Claimed { sequence: String::new(), ..job }) } else { ends(&job, State::Dead) };
            settle(&queue, settled).await;
        }
        store.by_hand(&format!("update archive set state = 'cancelled' where id = '{}'", ids[2])).await.expect("no longer dead");
        assert!(is_still(&queue).await);
        assert_eq!(queue.heal_sequences().await, Ok(3), "two jobs and what stopped one of them");
        let got: BTreeSet<String> = claim(&queue, 5).await.into_iter().map(|job| job.id).collect();
        assert_eq!(got, BTreeSet::from([ids[1].clone(), ids[3].clone()]));
        assert_eq!(queue.heal_sequences().await, Ok(0));
    })
    .await;
}

#[tokio::test]
async fn a_sequence_is_forgotten_when_nothing_is_left_of_it() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(1_790_000_000_000_000)).await.expect("queue");
        worker(&queue, "wkr_1").await;
        let ids = make(&queue, vec![of("a"), of("a"), of("b"), of("c")]).await;
        let claimed = claim(&queue, 5).await;
        for job in &claimed {
            let state = if job.sequence == "c" { State::Dead } else { State::Completed };
            if job.sequence != "a" {
                settle(&queue, ends(job, state)).await;
            }
        }
        let days = |n: u64| Duration::from_secs(n * 86_400);
        queue.prune_sequences(queue.clock().now()).await.expect("pruned");
        assert_eq!(int(&queue, "select count(*) as n from sequences").await, 3, "used today");
        queue.clock().step(days(2));
        queue.prune_sequences(queue.clock().now()).await.expect("pruned");
        let left: Vec<String> =
            rows(&queue, "select key from sequences order by key").await.iter().map(|row| row.text("key").expect("key")).collect();
        assert_eq!(left, ["a", "c"]);
        // numbers go on where they were, so that the first b is before the second however late it comes back
        let second = make(&queue, vec![of("b")]).await.remove(0);
        let numbers = rows(
            &queue,
            &format!("select seq_no as n from archive where id = '{}' union all select seq_no from jobs where id = '{second}'", ids[2]),
        )
        .await;
        assert!(numbers[0].int("n").expect("n") < numbers[1].int("n").expect("n"));
    })
    .await;
}

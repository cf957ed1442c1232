//! Explain: every gate by itself, and that it says eligible if and only if a claim returns the job.

use crate::support::{able_worker, claim, claimer, commit, done, int, job, on_every_store, pausing, rate, running, sql, stay, worker};
use clawr_engine::claim::Claimer;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Engine, Scope};
use clawr_engine::explain::Explained;
use clawr_engine::job::{NewJob, State};
use clawr_engine::limits;
use clawr_engine::liveness::{Identity, Rescuer};
use clawr_engine::pauses::What;
use clawr_engine::queue::Queue;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeSet;
use std::time::Duration;

const NOW: i64 = 1_800_000_000_000_000;

async fn explain(queue: &Queue, id: &str) -> Explained {
    queue.explain(&Scope::System, id).await.expect("explain").expect("a job")
}

/// The first gate that is closed, its command, and when the job could start (from [`NOW`]).
fn closed(explained: &Explained) -> (&str, &str, i64) {
    let gate = explained.first_closed().expect("a closed gate");
    let start = if explained.earliest_start == 0 { -1 } else { explained.earliest_start - NOW };
    (gate.gate, &gate.fix, start)
}

async fn set(queue: &Queue, id: &str, what: &str) {
    let text = format!("update jobs set {what} where id = '{id}'");
    commit(queue, vec![sql("none", &text).with([])]).await.expect("set");
}

#[tokio::test]
async fn every_gate_is_told_with_the_command_that_opens_it() {
    on_every_store(async |store| {
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        assert!(queue.explain(&Scope::System, "job_none").await.expect("explain").is_none());
        let made = queue.enqueue(NewJob { tenant: "ten_1".into(), tags: vec!["vip".into()], ..job("k") }).await.expect("job");
        let id = made.id();
        assert!(queue.explain(&Scope::Tenant("ten_2".into()), id).await.expect("explain").is_none(), "another tenant's");
        assert_eq!(closed(&explain(&queue, id).await), ("runnable", "clawr work", -1));
        able_worker(&queue, "wkr_2", "r=1", &["k:1"]).await;
        assert_eq!(closed(&explain(&queue, id).await), ("served", "clawr work --set workers.queues.q=4", -1));
        able_worker(&queue, "wkr_1", "q=4,r=1", &["k:1", "other:1"]).await;
        let open = explain(&queue, id).await;
        assert!(open.eligible && open.first_closed().is_none(), "{open:?}");
        assert_eq!((open.earliest_start, open.ahead, open.claimers), (NOW, Some(0), 1));
        let seen = queue.explain(&Scope::Tenant("ten_1".into()), id).await.expect("explain").expect("its own");
        assert!(seen.eligible, "{seen:?}");

        pauses_are_told(&queue, id).await;
        limits_are_told(&queue, id).await;
        set(&queue, id, &format!("state = 'scheduled', run_at = {}", NOW + 7)).await;
        let retry = format!("clawr jobs retry {id}");
        assert_eq!(closed(&explain(&queue, id).await), ("due", retry.as_str(), 7));
        for (what, fix) in
            [("waiting', reason = 'signal", ""), ("blocked", ""), ("held', reason = 'effect", ""), ("held', reason = 'quarantine", &retry)]
        {
            set(&queue, id, &format!("run_at = {NOW}, state = '{what}'")).await;
            assert_eq!(closed(&explain(&queue, id).await), ("state", fix, -1));
        }
        set(&queue, id, "state = 'available'").await;
        let claimed = claim(&queue, 1).await;
        let running = explain(&queue, id).await;
        assert_eq!(closed(&running), ("state", "", -1));
        assert!(running.first_closed().expect("state").detail.contains("wkr_1") && running.lease == claimed[0].lease, "{running:?}");
        clawr_engine::outcome::commit(queue.db(), queue.clock(), &[done(&claimed[0])]).await.expect("done");
        let ended = explain(&queue, id).await;
        assert_eq!(closed(&ended), ("live", "", -1));
        assert!(!ended.eligible && ended.job.state == State::Completed);
    })
    .await;
}

async fn pauses_are_told(queue: &Queue, id: &str) {
    let cases = [
        (What::Queue, "q", "clawr queues resume q"),
        (What::Kind, "k", "clawr queues resume --kind k"),
        (What::Tag, "vip", "clawr queues resume --tag vip"),
        (What::Tenant, "ten_1", "clawr queues resume --tenant ten_1"),
    ];
    for (what, value, fix) in cases {
        queue.pause(pausing(what, value, NOW + 60)).await.expect("pause");
        let held = explain(queue, id).await;
        assert_eq!(closed(&held), ("pause", fix, 60));
        assert!(!held.eligible && held.first_closed().expect("a gate").detail.contains("by ada: for a test"), "{held:?}");
        let its = queue.explain(&Scope::Tenant("ten_1".into()), id).await.expect("explain").expect("its own");
        assert!(!its.first_closed().expect("a gate").detail.contains("ada"), "who paused is no business of a tenant");
        queue.pause(pausing(what, value, 0)).await.expect("for good");
        assert_eq!(closed(&explain(queue, id).await), ("pause", fix, -1));
        queue.resume(what, value).await.expect("resume");
    }
}

async fn limits_are_told(queue: &Queue, id: &str) {
    let used_up = queue.limit(rate(limits::What::Kind, "k", 1, 60)).await.expect("a limit");
    assert!(explain(queue, id).await.eligible, "a token is there");
    let spent = format!("insert into limit_uses (limit_id, tenant, free_at) values ('{}', '', {})", used_up.id, NOW + 60);
    commit(queue, vec![sql("none", &spent).with([])]).await.expect("spent");
    let kept = explain(queue, id).await;
    assert_eq!(closed(&kept), ("limit", format!("clawr queues unlimit {}", used_up.id).as_str(), 60));
    let gate = kept.first_closed().expect("a gate");
    assert_eq!((kept.eligible, gate.detail.as_str()), (false, "the limit of 1 starts of kind k is used up: for a test"));
    queue.unlimit(&used_up.id).await.expect("ended").expect("there");
    let other = queue.enqueue(job("k")).await.expect("another");
    set(queue, other.id(), "state = 'running', worker = 'wkr_1'").await;
    let full = queue.limit(running(limits::What::Queue, "q", 1)).await.expect("a limit");
    let its = queue.explain(&Scope::Tenant("ten_1".into()), id).await.expect("explain").expect("its own");
    assert_eq!(closed(&its), ("limit", format!("clawr queues unlimit {}", full.id).as_str(), -1), "running jobs of others count");
    queue.unlimit(&full.id).await.expect("ended").expect("there");
    commit(queue, vec![sql("none", &format!("delete from jobs where id = '{}'", other.id())).with([])]).await.expect("gone");
}

#[tokio::test]
async fn a_job_knows_how_many_come_before_it() {
    on_every_store(async |store| {
        let queue = store.queue_with(Clock::stepped(NOW)).await.expect("queue");
        let ids = crate::support::enqueue(&queue, 5).await;
        let urgent = queue.enqueue(NewJob { priority: Some(0), tenant: "ten_1".into(), ..job("k") }).await.expect("urgent");
        let mut ahead = Vec::new();
        for id in &ids {
            ahead.push(explain(&queue, id).await.ahead.expect("claimable"));
        }
        ahead.sort_unstable();
        assert_eq!(ahead, [1, 2, 3, 4, 5]);
        let alone = queue.explain(&Scope::Tenant("ten_1".into()), urgent.id()).await.expect("explain").expect("its own");
        assert_eq!(alone.ahead, Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_rescue_is_told_with_who_and_on_what_evidence() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let id = crate::support::enqueue(&queue, 1).await.remove(0);
        let who = Identity { id: "wkr_1".into(), name: "w".into(), host: "here".into(), pid: 1, pid_start: "never".into() };
        queue.register_worker(&who, "test", "q=1", &[]).await.expect("worker");
        let first = claim(&queue, 1).await.remove(0);
        let mut rescuer = Rescuer::new(queue.clone(), "here", Duration::from_millis(50));
        rescuer.known_as("wkr_r".into());
        rescuer.pass().await.expect("first look");
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(rescuer.pass().await.expect("second look").requeued, 1);
        assert_eq!(claimer(&queue).claim("wkr_1", 1).await.expect("a zombie's claim").len(), 1);
        assert_eq!(rescuer.pass().await.expect("a stray").requeued, 1);
        worker(&queue, "wkr_2").await;
        let second = claimer(&queue).claim("wkr_2", 1).await.expect("claim").remove(0);
        clawr_engine::outcome::commit(queue.db(), queue.clock(), &[stay(&second, State::Retryable, 0)]).await.expect("failed");

        let told = queue.rescues(&explain(&queue, &id).await.job).await.expect("rescues");
        assert_eq!(told.len(), 2, "what ended by itself has no row: {told:?}");
        assert_eq!((told[0].lease.as_str(), told[0].worker.as_str(), told[0].attempt), (first.lease.as_str(), "wkr_1", 1));
        assert_eq!((told[0].rescuer.as_str(), told[0].crash), ("wkr_r", true));
        assert!(told[0].evidence.contains("beat 1 did not move in 0.") && told[0].evidence.ends_with("its process is gone"), "{told:?}");
        assert!(told[1].evidence.contains("had been declared dead") && !told[1].crash && told[0].at <= told[1].at, "{told:?}");
    })
    .await;
}

/// A beat that moved in the last moment keeps the jobs, and no rescue is recorded.
#[tokio::test]
async fn a_rescue_that_did_not_happen_is_not_told() {
    on_every_store(async |store| {
        use clawr_engine::liveness::{QUARANTINE_AFTER, RECORD, REQUEUE, TAKE};
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        crate::support::enqueue(&queue, 1).await;
        claim(&queue, 1).await;
        let act = vec![
            TAKE.with(["wkr_1".into(), 77.into()]),
            RECORD.with(["wkr_1".into(), NOW.into(), 0.into(), "wkr_r".into(), "none".into()]),
            REQUEUE.with(["wkr_1".into(), 0.into(), QUARANTINE_AFTER.into(), "op_1".into()]),
        ];
        commit(&queue, act).await.expect("commit");
        assert_eq!(int(&queue, "select count(*) as n from rescues").await, 0);
    })
    .await;
}

// ---------------------------------------------------------------- explain ⇔ claim

const QUEUES: [&str; 3] = ["q", "r", "s"];
const KINDS: [&str; 3] = ["k", "other", "foreign"];
const TAGS: [&str; 5] = ["a", "b", "ab", "x,", "y\"a"];
const TENANTS: [&str; 3] = ["", "ten_1", "ten_2"];
const WORKERS: [&str; 3] = ["wkr_1", "wkr_2", "wkr_3"];
const STATES: [&str; 8] = ["", "", "available", "scheduled", "retryable", "waiting", "held", "running"];

#[derive(Clone, Debug)]
struct RandomJob {
    queue: usize,
    kind: usize,
    version: i64,
    tags: Vec<usize>,
    tenant: usize,
    priority: i64,
    due_in: i64,
    /// What the state is set to by hand; empty for what enqueue made of it.
    state: usize,
}

#[derive(Clone, Debug)]
struct RandomLimit {
    what: usize,
    value: usize,
    per_tenant: bool,
    cap: i64,
    /// 0: running jobs; else microseconds per start.
    every_us: i64,
    ends_in: i64,
    /// What is spent of a rate, per tenant: as if full this long from now.
    spent: Vec<i64>,
}

impl RandomLimit {
    async fn put(&self, queue: &Queue) {
        let now = queue.clock().now();
        let what = limits::What::ALL[self.what];
        let value = match what {
            limits::What::All => "",
            limits::What::Queue => QUEUES[self.value],
            limits::What::Kind => KINDS[self.value],
            limits::What::Tenant => TENANTS[self.value.max(1)],
        };
        let until = if self.ends_in == 0 { 0 } else { now + self.ends_in };
        let new = if self.every_us == 0 { running(what, value, self.cap) } else { rate(what, value, self.cap, self.every_us) };
        let made = queue
            .limit(limits::NewLimit { per: if self.per_tenant { limits::Per::Tenant } else { limits::Per::All }, until, ..new })
            .await
            .expect("limit");
        for (tenant, ahead) in TENANTS.iter().zip(&self.spent).filter(|_| self.every_us > 0) {
            let free_at = now + ahead;
            let text = format!(
                "insert into limit_uses (limit_id, tenant, free_at) values ('{}', '{tenant}', {free_at}) on conflict (limit_id, tenant) do nothing",
                made.id
            );
            commit(queue, vec![sql("none", &text).with([])]).await.expect("spent");
        }
    }
}

fn random_limit() -> impl Strategy<Value = RandomLimit> {
    let which = (0..4_usize, 0..3_usize, prop::bool::ANY, 1..4_i64, prop_oneof![Just(0), 1..900_000_000_i64]);
    (which, prop_oneof![Just(0), instants()], prop::collection::vec(instants(), 0..3)).prop_map(
        |((what, value, per_tenant, cap, every_us), ends_in, spent)| RandomLimit { what, value, per_tenant, cap, every_us, ends_in, spent },
    )
}

#[derive(Clone, Debug)]
struct Round {
    jobs: Vec<RandomJob>,
    /// (which, value, ends in)
    pauses: Vec<(usize, usize, i64)>,
    /// (queues, kinds at version 1, kinds at version 2) of each live worker, as bits.
    workers: Vec<(usize, usize, usize)>,
    limits: Vec<RandomLimit>,
    later_s: u64,
}

fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(-1), Just(1), -900_000_000..900_000_000_i64]
}

fn random_job() -> impl Strategy<Value = RandomJob> {
    let which = (0..QUEUES.len(), 0..KINDS.len(), 1..3_i64, 0..TENANTS.len(), 0..STATES.len());
    (which, prop::collection::vec(0..TAGS.len(), 0..3), 0..10_i64, instants()).prop_map(
        |((queue, kind, version, tenant, state), tags, priority, due_in)| RandomJob {
            queue,
            kind,
            version,
            tags,
            tenant,
            priority,
            due_in,
            state,
        },
    )
}

fn round(jobs: usize, limits: usize) -> impl Strategy<Value = Round> {
    let pause = (0..4_usize, 0..3_usize, prop_oneof![Just(0), instants()]);
    let workers = prop::collection::vec((1..8_usize, 0..8_usize, 0..8_usize), 0..4);
    let limits = prop::collection::vec(random_limit(), 0..limits + 1);
    (prop::collection::vec(random_job(), jobs), prop::collection::vec(pause, 0..4), workers, limits, 0..600_u64).prop_map(
        |(jobs, pauses, workers, limits, later_s)| {
            let workers = workers.into_iter().take(3).collect();
            Round { jobs, pauses, workers, limits, later_s }
        },
    )
}

/// What the random bits mean: names whose bit is set.
fn picked<'n>(names: &[&'n str], bits: usize) -> Vec<&'n str> {
    names.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, name)| *name).collect()
}

impl Round {
    async fn arrange(&self, queue: &Queue) -> Vec<String> {
        let made = queue.enqueue_many(self.jobs.iter().map(|j| j.made_at(queue.clock().now())).collect()).await.expect("jobs");
        let ids: Vec<String> = made.iter().map(|e| e.id().to_owned()).collect();
        for state in STATES.iter().filter(|s| !s.is_empty()) {
            let of: Vec<String> =
                ids.iter().zip(&self.jobs).filter(|(_, j)| STATES[j.state] == *state).map(|(id, _)| format!("'{id}'")).collect();
            if !of.is_empty() {
                let text = format!("update jobs set state = '{state}', worker = 'wkr_9' where id in ({})", of.join(","));
                commit(queue, vec![sql("none", &text).with([])]).await.expect("states");
            }
        }
        for (what, value, ends_in) in &self.pauses {
            let what = What::ALL[*what];
            let value = match what {
                What::Queue => QUEUES[*value],
                What::Kind => KINDS[*value],
                What::Tag => TAGS[*value],
                What::Tenant => TENANTS[(*value).max(1)],
            };
            let until = if *ends_in == 0 { 0 } else { queue.clock().now() + ends_in };
            queue.pause(pausing(what, value, until)).await.expect("pause");
        }
        for limit in &self.limits {
            limit.put(queue).await;
        }
        for (id, worker) in WORKERS.iter().zip(&self.workers) {
            let runnable: Vec<String> = runnable(*worker);
            let runnable: Vec<&str> = runnable.iter().map(String::as_str).collect();
            able_worker(queue, id, &picked(&QUEUES, worker.0).join("=1,"), &runnable).await;
        }
        ids
    }

    /// Everything that all live workers together claim, with slots for all of it.
    async fn claimed(&self, queue: &Queue) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (id, worker) in WORKERS.iter().zip(&self.workers) {
            for name in picked(&QUEUES, worker.0) {
                let got = Claimer::new(queue.clone(), name, &runnable(*worker)).claim(id, 1_000).await.expect("claim");
                all.extend(got.into_iter().map(|j| j.id));
            }
        }
        all
    }
}

fn runnable(worker: (usize, usize, usize)) -> Vec<String> {
    let of = |bits, version| picked(&KINDS, bits).into_iter().map(move |kind| format!("{kind}:{version}"));
    of(worker.1, 1).chain(of(worker.2, 2)).collect()
}

impl RandomJob {
    fn made_at(&self, now: i64) -> NewJob {
        NewJob {
            kind: KINDS[self.kind].into(),
            version: self.version,
            queue: QUEUES[self.queue].into(),
            tenant: TENANTS[self.tenant].into(),
            args: "{}".into(),
            tags: self.tags.iter().map(|t| TAGS[*t].to_owned()).collect(),
            priority: Some(self.priority),
            run_at: Some(now + self.due_in),
            ..NewJob::default()
        }
    }
}

async fn clean(queue: &Queue) {
    for table in ["jobs", "pauses", "workers", "limits", "limit_uses"] {
        commit(queue, vec![sql("none", &format!("delete from {table}")).with([])]).await.expect("none left");
    }
}

fn runner(seed: &str) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, seed.as_bytes().first_chunk::<32>().expect("a seed of 32 characters"));
    TestRunner::new_with_rng(Config::default(), rng)
}

#[expect(clippy::disallowed_methods, reason = "a failed run is repeated by its seed")]
fn seed() -> String {
    std::env::var("CLAWR_TEST_SEED").unwrap_or_else(|_| clawr_engine::ids::new_op())
}

/// I11, for random jobs, states, pauses, workers and times.
#[tokio::test]
async fn a_job_is_called_eligible_if_and_only_if_a_claim_returns_it() {
    on_every_store(async |store| {
        let (rounds, jobs) = match store.engine() {
            Engine::Sqlite => (100, 24),
            Engine::Postgres => (30, 24),
            Engine::D1 => (3, 12),
        };
        let seed = seed();
        let mut runner = runner(&seed);
        let (mut looked, mut eligible, mut closed) = (0, 0, std::collections::BTreeMap::<String, usize>::new());
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        for n in 0..rounds {
            let round = round(jobs, 0).new_tree(&mut runner).expect("a round").current();
            let ids = round.arrange(&queue).await;
            clock.step(Duration::from_secs(round.later_s));
            let mut said = BTreeSet::new();
            for id in &ids {
                let told = explain(&queue, id).await;
                let gate = told.first_closed().map_or("", |g| g.gate);
                assert_eq!(told.eligible, gate.is_empty(), "gates and condition disagree, seed {seed}, round {n}: {told:?}");
                *closed.entry(gate.to_owned()).or_default() += 1;
                said.extend(told.eligible.then(|| id.clone()));
            }
            let claimed = round.claimed(&queue).await;
            assert_eq!(said, claimed, "explain (left) and claim (right) disagree, seed {seed}, round {n}: {round:?}");
            (looked, eligible) = (looked + ids.len(), eligible + said.len());
            clean(&queue).await;
        }
        println!("  seed {seed}: {looked} jobs, {eligible} eligible, first closed gates {closed:?}");
        assert!(eligible * 50 > looked && (store.engine() == Engine::D1 || closed.len() == 6), "too narrow: {closed:?}");
    })
    .await;
}

/// I11 under limits: what one job uses up another one lacks, so each is claimed while all others are not due.
#[tokio::test]
async fn under_limits_a_job_is_called_eligible_if_and_only_if_a_claim_returns_it() {
    on_every_store(async |store| {
        let (rounds, jobs) = match store.engine() {
            Engine::Sqlite => (100, 8),
            Engine::Postgres => (40, 8),
            Engine::D1 => (2, 6),
        };
        let seed = seed();
        let mut runner = runner(&seed);
        let (mut kept, mut eligible) = (0, 0);
        let clock = Clock::stepped(NOW);
        let queue = store.queue_with(clock.clone()).await.expect("queue");
        for n in 0..rounds {
            let round = round(jobs, 4).new_tree(&mut runner).expect("a round").current();
            let ids = round.arrange(&queue).await;
            clock.step(Duration::from_secs(round.later_s));
            for id in &ids {
                let told = explain(&queue, id).await;
                assert_eq!(told.eligible, told.first_closed().is_none(), "seed {seed}, round {n}: {told:?}");
                let others = format!("where id <> '{id}' and state in ('available', 'scheduled', 'retryable')");
                let later = |sign| sql("none", &format!("update jobs set run_at = run_at {sign} 1000000000000 {others}")).with([]);
                commit(&queue, vec![later("+")]).await.expect("not due");
                let claimed = round.claimed(&queue).await;
                commit(&queue, vec![later("-")]).await.expect("due");
                let said: BTreeSet<String> = told.eligible.then(|| id.clone()).into_iter().collect();
                assert_eq!(said, claimed, "explain (left) and claim (right), seed {seed}, round {n}: {told:?} {round:?}");
                eligible += usize::from(told.eligible);
                kept += usize::from(told.gates.iter().filter(|gate| !gate.passes).map(|gate| gate.gate).eq(["limit"]));
            }
            clean(&queue).await;
        }
        println!("  seed {seed}: {eligible} eligible, {kept} kept back by a limit alone");
        assert!(store.engine() == Engine::D1 || (eligible > 10 && kept > 1), "too narrow: {eligible}, {kept}");
    })
    .await;
}

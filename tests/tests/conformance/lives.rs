//! Random lives of jobs against a model in plain Rust: enqueues with keys, claims, every way an attempt ends, effects at a
//! provider that may not tell, crashes, resolutions, retries, cancels, a clock that is stepped, replies that are lost. After
//! every step the store holds what the model holds, and explain says of a job what the next claim will do (I1 to I5, I11).

use crate::support::{able_worker, done, job, rows, stay, table, with_writes};
use clawr_engine::claim::Claimer;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Scope, Sql};
use clawr_engine::effect::{Class, EffectOpen, Effects, Look, Reply, State as EffectState, Stored};
use clawr_engine::job::{Claimed, Enqueued, NewJob, PRIORITY_STEP_US, State};
use clawr_engine::kind::{EffectPolicy, Stop, StopSignal};
use clawr_engine::liveness::{QUARANTINE_AFTER, Rescuer};
use clawr_engine::outcome::{Answer, HELD_FOR_EFFECTS, Settled, Transition, commit};
use clawr_engine::queue::Queue;
use clawr_engine::write::Write;
use clawr_tests::stores::{Kind, TestStore};
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const CLASSES: [Class; 3] = [Class::Keyed, Class::Provable, Class::AtLeastOnce];

static MARK: Sql = Sql::one("test/mark", "-- params: text\ninsert into marks (job) select v.value ->> 'job' from json_each($1) as v");

#[derive(Clone, Debug)]
enum Step {
    /// A job due after so many milliseconds, of this priority, with one of a few keys or none.
    Enqueue(u16, u8, Option<u8>),
    Claim(u8),
    /// The running job of this number, counted round, ends its attempt.
    End(usize, End),
    /// It does something outside, and this is what the provider does.
    Effect(usize, World),
    /// All workers die.
    Crash,
    /// The unknown effect of this number is looked into.
    Resolve(usize),
    Cancel(usize),
    Retry(usize),
    Tick(u16),
    /// So many of the next commits lose their reply.
    Lose(u8),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Complete,
    Retry,
    Snooze,
    Dead,
    Hold,
    /// With the lease of somebody else.
    Stale,
}

#[derive(Clone, Copy, Debug)]
enum World {
    Accepts,
    AcceptsSilently,
    Drops,
    Refuses,
    IsAway,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        4 => proptest::strategy::Just(End::Complete),
        2 => proptest::strategy::Just(End::Retry),
        1 => proptest::strategy::Just(End::Snooze),
        1 => proptest::strategy::Just(End::Dead),
        3 => proptest::strategy::Just(End::Hold),
        1 => proptest::strategy::Just(End::Stale),
    ];
    let world = prop_oneof![
        proptest::strategy::Just(World::Accepts),
        proptest::strategy::Just(World::AcceptsSilently),
        proptest::strategy::Just(World::Drops),
        proptest::strategy::Just(World::Refuses),
        proptest::strategy::Just(World::IsAway),
    ];
    let step = prop_oneof![
        5 => (0..3_000_u16, 0..10_u8, prop::option::of(0..4_u8)).prop_map(|(after, priority, key)| Step::Enqueue(after, priority, key)),
        5 => (1..4_u8).prop_map(Step::Claim),
        5 => (any::<usize>(), end).prop_map(|(at, end)| Step::End(at, end)),
        4 => (any::<usize>(), world).prop_map(|(at, world)| Step::Effect(at, world)),
        1 => proptest::strategy::Just(Step::Crash),
        3 => any::<usize>().prop_map(Step::Resolve),
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => any::<usize>().prop_map(Step::Retry),
        3 => (0..4_000_u16).prop_map(Step::Tick),
        2 => (1..3_u8).prop_map(Step::Lose),
    ];
    prop::collection::vec(step, 20..60)
}

#[derive(Clone, Debug, PartialEq)]
struct Modelled {
    state: State,
    reason: &'static str,
    run_at: i64,
    priority: i64,
    attempt: i64,
    crashes: i64,
    key: Option<u8>,
    class: usize,
    effect: Option<EffectState>,
}

impl Modelled {
    fn is_open(&self) -> bool {
        self.effect.is_some_and(EffectState::is_open)
    }

    fn is_due(&self, now: i64) -> bool {
        matches!(self.state, State::Scheduled | State::Available | State::Retryable) && self.run_at <= now
    }

    fn goes(&mut self, state: State, reason: &'static str) {
        (self.state, self.reason) = (state, reason);
    }
}

/// What should be there, what runs by the store's word, and what the world outside has done.
struct Model {
    queue: Queue,
    name: String,
    worker: String,
    workers: usize,
    jobs: BTreeMap<String, Modelled>,
    running: Vec<Claimed>,
    keys: BTreeMap<u8, String>,
    done: BTreeMap<String, usize>,
    marks: usize,
}

type Checked = Result<(), TestCaseError>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Checked {
    if got == want { Ok(()) } else { Err(TestCaseError::fail(format!("{what}: got {got:?}, want {want:?}"))) }
}

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn policy() -> EffectPolicy {
    EffectPolicy {
        start_within: Duration::from_secs(5),
        call_within: Duration::ZERO,
        pause: Duration::ZERO,
        pause_max: Duration::ZERO,
        tries_max: 1_000,
        max_age: Duration::from_secs(1_000_000),
        ..EffectPolicy::default()
    }
}

impl Model {
    fn now(&self) -> i64 {
        self.queue.clock().now()
    }

    fn nth(&self, at: usize, is: impl Fn(&Modelled) -> bool) -> Option<String> {
        let all: Vec<&String> = self.jobs.iter().filter(|(_, j)| is(j)).map(|(id, _)| id).collect();
        (!all.is_empty()).then(|| all[at % all.len()].clone())
    }

    fn of(&mut self, id: &str) -> &mut Modelled {
        self.jobs.get_mut(id).expect("modelled")
    }

    async fn new_worker(&mut self) {
        self.workers += 1;
        self.worker = format!("wkr_{}_{}", self.name, self.workers);
        able_worker(&self.queue, &self.worker, &self.name, &["k:1"]).await;
    }

    async fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Enqueue(after, priority, key) => self.enqueue(*after, *priority, *key).await?,
            Step::Claim(limit) => self.claim(usize::from(*limit)).await?,
            Step::End(at, end) if !self.running.is_empty() => self.end(*at % self.running.len(), *end).await?,
            Step::Effect(at, world) if !self.running.is_empty() => self.effect(*at % self.running.len(), *world).await?,
            Step::Crash => self.crash().await?,
            Step::Resolve(at) => self.resolve(*at).await?,
            Step::Cancel(at) => self.cancel(*at).await?,
            Step::Retry(at) => self.retry(*at).await?,
            Step::Tick(ms) => self.queue.clock().step(Duration::from_millis(u64::from(*ms))),
            Step::Lose(n) => fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point"),
            Step::End(..) | Step::Effect(..) => {}
        }
        if !matches!(step, Step::Lose(_)) {
            fail::remove("lost_reply");
        }
        self.compare().await
    }

    async fn enqueue(&mut self, after: u16, priority: u8, key: Option<u8>) -> Checked {
        // a time and a priority are content: the same key is said again with the same
        let (after, priority) = if key.is_some() { (0, 4) } else { (after, priority) };
        let run_at = self.now() + i64::from(after) * 1_000;
        let name = key.map(|key| format!("{}-{key}", self.name));
        let args = json!({ "key": key }).to_string();
        let new = NewJob {
            queue: self.name.clone(),
            args,
            key: name,
            run_at: (after > 0).then_some(run_at),
            priority: Some(i64::from(priority)),
            ..job("k")
        };
        let made = self.queue.enqueue(new).await.map_err(failed)?;
        match key.and_then(|key| self.keys.get(&key)) {
            Some(first) => return same("the same key", made, Enqueued::Duplicate { id: first.clone() }),
            None => same("a new job", matches!(made, Enqueued::New { .. }), true)?,
        }
        let id = made.id().to_owned();
        if let Some(key) = key {
            self.keys.insert(key, id.clone());
        }
        let state = if after > 0 { State::Scheduled } else { State::Available };
        let priority = i64::from(priority);
        let class = self.jobs.len() % CLASSES.len();
        let modelled = Modelled { state, reason: "", run_at, priority, attempt: 0, crashes: 0, key, class, effect: None };
        self.jobs.insert(id, modelled);
        Ok(())
    }

    /// Due jobs in the order in which claims must take them.
    fn due(&self) -> Vec<String> {
        let now = self.now();
        let mut due: Vec<(i64, &String)> =
            self.jobs.iter().filter(|(_, j)| j.is_due(now)).map(|(id, j)| (j.run_at + j.priority * PRIORITY_STEP_US, id)).collect();
        due.sort();
        due.into_iter().map(|(_, id)| id.clone()).collect()
    }

    async fn claim(&mut self, limit: usize) -> Checked {
        let due = self.due();
        let mut claimer = Claimer::new(self.queue.clone(), &self.name, &["k:1".to_owned()]);
        let claimed = match claimer.claim(&self.worker, i64::try_from(limit).expect("small")).await {
            Ok(claimed) => claimed,
            // the reply was lost: what was claimed is found by name
            Err(_) => {
                fail::remove("lost_reply");
                let held: Vec<String> = self.running.iter().map(|j| j.id.clone()).collect();
                let all = claimer.adopt(&self.worker).await.map_err(failed)?;
                all.into_iter().filter(|j| !held.contains(&j.id)).collect()
            }
        };
        let mut got: Vec<String> = claimed.iter().map(|j| j.id.clone()).collect();
        let mut want: Vec<String> = due.into_iter().take(limit).collect();
        got.sort();
        want.sort();
        same("claimed", got, want)?;
        for job in claimed {
            let modelled = self.of(&job.id);
            modelled.goes(State::Running, "");
            modelled.attempt += 1;
            self.running.push(job);
        }
        Ok(())
    }

    async fn end(&mut self, at: usize, end: End) -> Checked {
        let job = match end {
            End::Stale => Claimed { lease: "op_of_somebody_else".into(), ..self.running[at].clone() },
            _ => self.running[at].clone(),
        };
        let (now, open) = (self.now(), self.of(&job.id).is_open());
        let settled = match end {
            End::Complete | End::Stale => with_writes(done(&job), vec![Write::new(&MARK, json!({ "job": job.id }))]),
            End::Retry => moved(&job, State::Retryable, now + 1_000_000, 0, "test"),
            End::Snooze => moved(&job, State::Scheduled, now + 500_000, -1, "test"),
            End::Hold => moved(&job, State::Held, job.run_at, -1, HELD_FOR_EFFECTS),
            End::Dead => Settled {
                transition: Transition::End { state: State::Dead, reason: "test".into(), result: String::new(), errors: None },
                ..done(&job)
            },
        };
        let answers = commit(self.queue.db(), self.queue.clock(), &[settled]).await.map_err(failed)?;
        same("an answer", matches!(answers[..], [Answer::Committed | Answer::LeaseLost]), true)?;
        let refused = matches!(end, End::Stale) || (open && matches!(end, End::Complete | End::Dead));
        if refused {
            return same("a refused outcome", answers, vec![Answer::LeaseLost]);
        }
        self.running.remove(at);
        let modelled = self.of(&job.id);
        match end {
            End::Complete => modelled.goes(State::Completed, ""),
            End::Dead => modelled.goes(State::Dead, "test"),
            End::Retry => {
                modelled.goes(State::Retryable, "test");
                modelled.run_at = now + 1_000_000;
            }
            End::Snooze => {
                modelled.goes(State::Scheduled, "test");
                modelled.run_at = now + 500_000;
                modelled.attempt -= 1;
            }
            End::Hold | End::Stale => {
                modelled.goes(State::Available, HELD_FOR_EFFECTS);
                modelled.run_at = job.run_at;
                modelled.attempt -= 1;
            }
        }
        if open {
            modelled.goes(State::Held, HELD_FOR_EFFECTS);
            modelled.effect = Some(EffectState::Unknown);
        }
        self.marks += usize::from(matches!(end, End::Complete));
        Ok(())
    }

    async fn effect(&mut self, at: usize, world: World) -> Checked {
        let job = self.running[at].clone();
        let (_sender, stop) = tokio::sync::watch::channel(Stop::No);
        let effects = Effects::of(self.queue.clone(), Arc::new(job.clone()), &self.worker, policy(), StopSignal::new(stop));
        let (before, class) = (self.of(&job.id).effect, CLASSES[self.of(&job.id).class]);
        let key = format!("pay:{}", job.id);
        let called = Cell::new(false);
        let sent = effects.effect(class, key.as_str(), json!({})).send(async |_| {
            called.set(true);
            match world {
                World::Accepts => Reply::Confirmed(json!("yes")),
                World::AcceptsSilently | World::Drops => Reply::Unknown("silence".into()),
                World::Refuses => Reply::Rejected(json!("no")),
                World::IsAway => Reply::NotSent("away".into()),
            }
        });
        let sent = sent.await;
        let calls = matches!(before, None | Some(EffectState::Absent));
        same("called", called.get(), calls)?;
        if !calls {
            let open = before == Some(EffectState::Intended);
            return same("known before", sent.is_ok(), !open)
                .and_then(|()| same("open elsewhere", sent.err().is_some_and(|e| e.downcast_ref::<EffectOpen>().is_some()), open));
        }
        let accepted = matches!(world, World::Accepts | World::AcceptsSilently);
        let done = self.done.entry(job.id.clone()).or_default();
        *done = if class == Class::Keyed { (*done).max(usize::from(accepted)) } else { *done + usize::from(accepted) };
        self.of(&job.id).effect = Some(match world {
            World::Accepts => EffectState::Confirmed,
            World::Refuses => EffectState::Rejected,
            World::IsAway => EffectState::Absent,
            World::AcceptsSilently | World::Drops => EffectState::Intended,
        });
        Ok(())
    }

    async fn crash(&mut self) -> Checked {
        fail::remove("lost_reply");
        let mut rescuer = Rescuer::new(self.queue.clone(), "elsewhere", Duration::ZERO);
        rescuer.pass().await.map_err(failed)?;
        rescuer.pass().await.map_err(failed)?;
        let crash = i64::from(self.running.len() == 1);
        for job in std::mem::take(&mut self.running) {
            let modelled = self.of(&job.id);
            modelled.crashes += crash;
            modelled.attempt -= 1 - crash;
            if modelled.is_open() {
                modelled.effect = Some(EffectState::Unknown);
                modelled.goes(State::Held, HELD_FOR_EFFECTS);
            } else if modelled.crashes >= QUARANTINE_AFTER {
                modelled.goes(State::Held, "quarantine");
            } else {
                modelled.goes(State::Available, "rescued");
            }
        }
        self.new_worker().await;
        Ok(())
    }

    async fn resolve(&mut self, at: usize) -> Checked {
        let Some(id) = self.nth(at, |j| j.effect == Some(EffectState::Unknown)) else { return Ok(()) };
        let found = self.queue.effects_of_job(&Scope::System, &id).await.map_err(failed)?;
        let done = self.done.get(&id).copied().unwrap_or_default() > 0;
        let look = async |effect: Stored| match effect.class {
            Class::Provable if done => Look::Confirmed(json!("asked")),
            Class::Provable => Look::Absent(json!("asked")),
            Class::Keyed | Class::AtLeastOnce => Look::Unknown("nobody to ask".into()),
        };
        // the bounds of the intent itself are honoured: here they are as short as the policy of this look allows
        let quick = EffectPolicy { start_within: Duration::ZERO, ..policy() };
        self.shorten(&found[0]).await;
        self.queue.resolve(&found[0].id, "job_r", &quick, look).await.map_err(failed)?;
        let now = self.now();
        let provable = CLASSES[self.of(&id).class] == Class::Provable;
        let modelled = self.of(&id);
        modelled.effect = Some(if provable && done { EffectState::Confirmed } else { EffectState::Absent });
        if modelled.state == State::Held && modelled.reason == HELD_FOR_EFFECTS {
            let poison = modelled.crashes >= QUARANTINE_AFTER;
            modelled.goes(if poison { State::Held } else { State::Available }, if poison { "quarantine" } else { "effect settled" });
            modelled.run_at = now;
        }
        Ok(())
    }

    /// The start bound of a stored intent, shortened so that a life of sixty steps need not wait for it.
    async fn shorten(&self, effect: &Stored) {
        static SHORTEN: Sql = Sql::one("test/shorten", "-- params: text\nupdate effects set start_by = open_since where id = $1");
        let statement = vec![SHORTEN.with([effect.id.as_str().into()])];
        self.queue.db().commit_until_known(&Scope::System, statement, Duration::from_secs(5)).await.0.expect("shortened");
    }

    async fn cancel(&mut self, at: usize) -> Checked {
        let Some(id) = self.nth(at, |j| !j.state.is_ended() && j.state != State::Running && !j.is_open()) else { return Ok(()) };
        fail::remove("lost_reply");
        self.queue.cancel(&Scope::System, &id, "test").await.map_err(failed)?;
        self.of(&id).goes(State::Cancelled, "test");
        Ok(())
    }

    async fn retry(&mut self, at: usize) -> Checked {
        let may = |j: &Modelled| {
            matches!(j.state, State::Dead | State::Cancelled | State::Retryable | State::Scheduled)
                || (j.state == State::Held && j.reason == "quarantine")
        };
        let Some(id) = self.nth(at, may) else { return Ok(()) };
        fail::remove("lost_reply");
        self.queue.retry(&Scope::System, &id).await.map_err(failed)?;
        let now = self.now();
        let modelled = self.of(&id);
        if modelled.state.is_ended() || modelled.state == State::Held {
            modelled.crashes = 0;
        }
        modelled.goes(State::Available, "");
        modelled.run_at = now;
        Ok(())
    }

    async fn compare(&self) -> Checked {
        let text = "select id, queue, state, attempt, crashes, open_effects, run_at from jobs union all \
            select id, queue, state, attempt, crashes, 0 as open_effects, run_at from archive order by id";
        let mut got = Vec::new();
        for row in rows(&self.queue, text).await.iter().filter(|row| row.text("queue").as_deref() == Ok(&self.name)) {
            let (text, int) = (|name| row.text(name).map_err(failed), |name| row.int(name).map_err(failed));
            got.push((text("id")?, text("state")?, int("attempt")?, int("open_effects")?));
        }
        let want = self.jobs.iter().map(|(id, j)| (id.clone(), j.state.as_str().to_owned(), j.attempt, i64::from(j.is_open())));
        same("jobs", got, want.collect())?;
        for (id, modelled) in &self.jobs {
            let done = self.done.get(id).copied().unwrap_or_default();
            same("a provable effect done twice", CLASSES[modelled.class] == Class::Provable && done > 1, false)?;
            same("confirmed and never done", modelled.effect == Some(EffectState::Confirmed) && done == 0, false)?;
        }
        self.explains().await
    }

    /// I11 for the job that was made last, and one that is due if there is one.
    async fn explains(&self) -> Checked {
        let now = self.now();
        let one = self.jobs.keys().next_back().cloned();
        for id in self.due().into_iter().take(1).chain(one) {
            let told = self.queue.explain(&Scope::System, &id).await.map_err(failed)?.expect("explained");
            same(&format!("eligible {id}"), told.eligible, self.jobs[&id].is_due(now))?;
        }
        Ok(())
    }

    /// I3: the marks of completed jobs, one each.
    async fn marks(&self) -> Checked {
        let all = rows(&self.queue, "select job from marks").await;
        let own = all.iter().filter(|row| row.text("job").is_ok_and(|id| self.jobs.contains_key(&id))).count();
        same("marks", own, self.marks)
    }
}

fn moved(job: &Claimed, state: State, run_at: i64, given_back: i64, why: &str) -> Settled {
    let mut settled = stay(job, state, run_at);
    if let Transition::Stay { attempts, reason, .. } = &mut settled.transition {
        *attempts = given_back;
        why.clone_into(reason);
    }
    settled
}

async fn live(store: &TestStore, number: usize, states: &Cell<usize>, steps: &[Step]) -> Checked {
    let queue = store.queue_with(Clock::stepped(1_790_000_000_000_000)).await.map_err(failed)?;
    let mut model = Model {
        queue,
        name: format!("m{number}"),
        worker: String::new(),
        workers: 0,
        jobs: BTreeMap::new(),
        running: Vec::new(),
        keys: BTreeMap::new(),
        done: BTreeMap::new(),
        marks: 0,
    };
    model.new_worker().await;
    let mut lived = Ok(());
    for step in steps {
        lived = model.step(step).await;
        states.set(states.get() + 1);
        if lived.is_err() {
            break;
        }
    }
    fail::remove("lost_reply");
    lived?;
    model.marks().await?;
    model.queue.stop_worker(&model.worker).await.map_err(failed)?;
    model.queue.db().close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn random_lives_of_jobs_are_those_of_a_model() {
    let mut total = 0;
    for kind in Kind::selected() {
        let store = TestStore::start(kind).await.expect("a store");
        table(&store, "create table marks (job text not null primary key)").await;
        let cases = match kind {
            Kind::Sqlite => 170,
            Kind::Postgres => 75,
            Kind::D1Fake => 20,
            Kind::Workerd => 5,
        };
        let seed = u64::try_from(clawr_engine::clock::host_now()).unwrap_or(1);
        let (number, states) = (Cell::new(0), Cell::new(0));
        let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
        let answer = TestRunner::new_with_rng(config, rng).run(&steps(), |steps| {
            number.set(number.get() + 1);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(live(&store, number.get(), &states, &steps)))
        });
        println!("store {kind:?}, seed {seed}: {} lives, {} states", number.get(), states.get());
        answer.unwrap_or_else(|error| panic!("store {kind:?}, seed {seed}: {error}"));
        total += states.get();
        clawr_tests::evidence::keep(kind);
    }
    println!("{total} states, 0 differences");
}

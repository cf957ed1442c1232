//! Random lives of unique jobs against a model in plain Rust: the same answers, the same live jobs with the same args, at
//! most one slot per unique key, and no claim, outcome, rescue or retry that fails.

use crate::support::{commit, done, job, rows, stay};
use clawr_engine::claim::Claimer;
use clawr_engine::db::Scope;
use clawr_engine::job::{Claimed, Enqueued, NewJob, State};
use clawr_engine::liveness::{QUARANTINE_AFTER, REQUEUE};
use clawr_engine::manage::Acted;
use clawr_engine::outcome::{Answer, Settled, Transition};
use clawr_engine::queue::Queue;
use clawr_engine::unique::{OnConflict, Unique};
use clawr_tests::stores::{Kind, TestStore};
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::Cell;
use std::collections::BTreeMap;

/// One policy each.
const KEYS: [(&str, OnConflict, bool); 5] = [
    ("return", OnConflict::Return, false),
    ("beside", OnConflict::Return, true),
    ("reject", OnConflict::Reject, false),
    ("reject beside", OnConflict::Reject, true),
    ("replace", OnConflict::Replace, false),
];

#[derive(Clone, Debug)]
enum Step {
    /// Enqueues of these keys in one call.
    Enqueue(Vec<usize>),
    Claim(i64),
    /// The running job of this number, counted round, ends.
    End(usize, bool),
    /// It waits for its next attempt.
    Stay(usize),
    /// Everything that runs is taken from its worker.
    Rescue,
    /// The waiting job of this number ends.
    Cancel(usize),
    /// The ended job of this number comes back.
    Redrive(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(0..KEYS.len(), 1..5).prop_map(Step::Enqueue),
        3 => (1..4_i64).prop_map(Step::Claim),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, is_dead)| Step::End(at, is_dead)),
        2 => any::<usize>().prop_map(Step::Stay),
        1 => proptest::strategy::Just(Step::Rescue),
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => any::<usize>().prop_map(Step::Redrive),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    Waits,
    Runs,
    /// Ended, and may come back.
    Ended,
    /// Completed.
    Gone,
}

#[derive(Clone, Debug)]
struct Modelled {
    key: usize,
    n: i64,
    stand: Stand,
    has_slot: bool,
}

impl Modelled {
    fn is_live(&self) -> bool {
        matches!(self.stand, Stand::Waits | Stand::Runs)
    }
}

/// What should be there, and what runs by the store's word.
struct Model {
    queue: Queue,
    name: String,
    jobs: BTreeMap<String, Modelled>,
    running: Vec<Claimed>,
    asked: i64,
}

type Checked = Result<(), TestCaseError>;

fn same<T: PartialEq + std::fmt::Debug>(got: T, want: T) -> Checked {
    if got == want { Ok(()) } else { Err(TestCaseError::fail(format!("got {got:?}, want {want:?}"))) }
}

impl Model {
    fn holder(&self, key: usize) -> Option<String> {
        self.jobs.iter().find(|(_, j)| j.key == key && j.has_slot && j.is_live()).map(|(id, _)| id.clone())
    }

    fn nth(&self, at: usize, stand: Stand) -> Option<String> {
        let all: Vec<&String> = self.jobs.iter().filter(|(_, j)| j.stand == stand).map(|(id, _)| id).collect();
        (!all.is_empty()).then(|| all[at % all.len()].clone())
    }

    fn set(&mut self, id: &str, stand: Stand) {
        self.jobs.get_mut(id).expect("modelled").stand = stand;
    }

    fn running(&mut self, at: usize) -> Option<Claimed> {
        (!self.running.is_empty()).then(|| self.running.remove(at % self.running.len()))
    }

    async fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Enqueue(keys) => self.enqueue(keys).await?,
            Step::Claim(limit) => self.claim(*limit).await?,
            Step::End(at, is_dead) => {
                if let Some(job) = self.running(*at) {
                    let mut settled = done(&job);
                    if let (true, Transition::End { state, .. }) = (*is_dead, &mut settled.transition) {
                        *state = State::Dead;
                    }
                    self.settle(settled).await?;
                    self.set(&job.id, if *is_dead { Stand::Ended } else { Stand::Gone });
                }
            }
            Step::Stay(at) => {
                if let Some(job) = self.running(*at) {
                    self.settle(stay(&job, State::Retryable, self.queue.clock().now())).await?;
                    self.set(&job.id, Stand::Waits);
                }
            }
            Step::Rescue => {
                let requeue = REQUEUE.with([self.name.as_str().into(), 0.into(), QUARANTINE_AFTER.into(), "op_1".into()]);
                same(commit(&self.queue, vec![requeue]).await.map(|rows| rows[0].len()), Ok(self.running.len()))?;
                for job in std::mem::take(&mut self.running) {
                    self.set(&job.id, Stand::Waits);
                }
            }
            Step::Cancel(at) => {
                if let Some(id) = self.nth(*at, Stand::Waits) {
                    same(self.queue.cancel(&Scope::System, &id, "test").await, Ok(Acted::Done(State::Cancelled)))?;
                    self.set(&id, Stand::Ended);
                }
            }
            Step::Redrive(at) => self.redrive(*at).await?,
        }
        self.compare().await
    }

    async fn enqueue(&mut self, keys: &[usize]) -> Checked {
        let numbers: Vec<(usize, i64)> = keys.iter().copied().zip(self.asked..).collect();
        self.asked += 10;
        let got = self.queue.enqueue_many(numbers.iter().map(|(key, n)| self.asked_for(*key, *n)).collect()).await;
        let got = got.map_err(|e| TestCaseError::fail(e.to_string()))?;
        for ((key, n), answer) in numbers.into_iter().zip(got) {
            let id = answer.id().to_owned();
            let Some(holder) = self.yielding(key) else {
                same(matches!(answer, Enqueued::New { .. }), true)?;
                self.jobs.insert(id, Modelled { key, n, stand: Stand::Waits, has_slot: true });
                continue;
            };
            same(&id, &holder)?;
            match KEYS[key].1 {
                OnConflict::Return => same(answer, Enqueued::Duplicate { id })?,
                OnConflict::Reject => same(answer, Enqueued::Taken { id })?,
                _ => {
                    same(answer, Enqueued::Replaced { id })?;
                    self.jobs.get_mut(&holder).expect("modelled").n = n;
                }
            }
        }
        Ok(())
    }

    fn asked_for(&self, key: usize, n: i64) -> NewJob {
        let (to, on_conflict, while_running) = KEYS[key];
        let unique = Some(Unique { by: &["/to"], while_running, ..Unique::new(on_conflict) });
        let args = format!(r#"{{"to":"{to} {}","n":{n}}}"#, self.name);
        NewJob { args, unique, queue: self.name.clone(), ..job("k") }
    }

    /// The holder a request meets; one that runs gives its slot up where the policy says so.
    fn yielding(&mut self, key: usize) -> Option<String> {
        let holder = self.holder(key)?;
        let yields = KEYS[key].2 || KEYS[key].1 == OnConflict::Replace;
        let job = self.jobs.get_mut(&holder).expect("modelled");
        if yields && job.stand == Stand::Runs {
            job.has_slot = false;
            return None;
        }
        Some(holder)
    }

    async fn claim(&mut self, limit: i64) -> Checked {
        let mut claimer = Claimer::new(self.queue.clone(), &self.name, &["k:1".to_owned()]);
        let claimed = claimer.claim(&self.name, limit).await.map_err(|e| TestCaseError::fail(e.to_string()))?;
        let waiting = self.jobs.values().filter(|j| j.stand == Stand::Waits).count();
        same(claimed.len(), waiting.min(usize::try_from(limit).expect("small")))?;
        for job in claimed {
            same(self.jobs[&job.id].stand, Stand::Waits)?;
            self.set(&job.id, Stand::Runs);
            self.running.push(job);
        }
        Ok(())
    }

    async fn settle(&self, settled: Settled) -> Checked {
        let answer = clawr_engine::outcome::commit(self.queue.db(), self.queue.clock(), &[settled]).await;
        same(answer, Ok(vec![Answer::Committed]))
    }

    async fn redrive(&mut self, at: usize) -> Checked {
        let Some(id) = self.nth(at, Stand::Ended) else { return Ok(()) };
        let job = &self.jobs[&id];
        let holder = if job.has_slot { self.holder(job.key) } else { None };
        let got = self.queue.retry(&Scope::System, &id).await;
        match holder {
            Some(holder) => same(got, Ok(Acted::Taken(holder))),
            None => {
                self.set(&id, Stand::Waits);
                same(got, Ok(Acted::Done(State::Available)))
            }
        }
    }

    /// The live jobs are those of the model.
    async fn compare(&self) -> Checked {
        let all = rows(&self.queue, "select id, queue, state, args, unique_key from jobs order by id").await;
        let mut got = Vec::new();
        for row in all.iter().filter(|row| row.text("queue").as_ref() == Ok(&self.name)) {
            let text = |name| row.text(name).map_err(|e| TestCaseError::fail(e.to_string()));
            let args: serde_json::Value = serde_json::from_str(&text("args")?).expect("JSON");
            let stand = if text("state")? == "running" { Stand::Runs } else { Stand::Waits };
            got.push((text("id")?, args["n"].as_i64().expect("n"), stand, !text("unique_key")?.is_empty()));
        }
        let live = self.jobs.iter().filter(|(_, j)| j.is_live());
        same(got, live.map(|(id, j)| (id.clone(), j.n, j.stand, j.has_slot)).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_lives_of_unique_jobs_are_those_of_a_model() {
    for kind in Kind::selected() {
        let store = TestStore::start(kind).await.expect("a store");
        let queue = store.queue().await.expect("queue");
        let cases = match kind {
            Kind::Sqlite => 96,
            Kind::Postgres => 48,
            Kind::D1Fake => 8,
            Kind::Workerd => 2,
        };
        let seed = u64::try_from(queue.clock().now()).unwrap_or(1);
        let counts = Cell::new((0, 0));
        let bytes: Vec<u8> = seed.to_le_bytes().into_iter().cycle().take(32).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
        let answer = TestRunner::new_with_rng(config, rng).run(&steps(), |steps| {
            let (number, so_far) = counts.get();
            counts.set((number + 1, so_far + steps.len()));
            let name = format!("m{number}");
            let mut model = Model { queue: queue.clone(), name, jobs: BTreeMap::new(), running: Vec::new(), asked: 0 };
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    for step in &steps {
                        model.step(step).await?;
                    }
                    Ok(())
                })
            })
        });
        let (lives, steps) = counts.get();
        println!("store {kind:?}, seed {seed}: {lives} lives, {steps} steps");
        answer.unwrap_or_else(|error| panic!("store {kind:?}, seed {seed}: {error}"));
        clawr_tests::evidence::keep(kind);
    }
}

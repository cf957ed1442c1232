//! Random lives of jobs in sequences against a model in plain Rust: what may run, what is blocked, what stops a sequence, in
//! which order the numbers are; and after every step the duty that looks after sequences has nothing to heal.

use crate::support::{done, job, rows, stay, worker};
use clawr_engine::claim::Claimer;
use clawr_engine::clock::Clock;
use clawr_engine::db::Scope;
use clawr_engine::job::{Claimed, Enqueued, NewJob, State};
use clawr_engine::liveness::Rescuer;
use clawr_engine::manage::Acted;
use clawr_engine::outcome::{Answer, Settled, Transition, commit};
use clawr_engine::queue::Queue;
use clawr_engine::sequence::{Sequence, Unblocked};
use clawr_engine::wait::{NewSignal, Wait};
use clawr_tests::stores::{Kind, TestStore};
use proptest::prelude::{Strategy, any, prop, prop_oneof};
use proptest::strategy::Just;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

const ALL: Scope = Scope::System;

/// Which sequence, if any, and whether it goes on past the job when that is dead.
type Asked = (Option<u8>, bool);

#[derive(Clone, Debug)]
enum Step {
    Enqueue(Vec<Asked>),
    Claim(i64),
    /// The running job of this number, counted round, ends, perhaps with jobs that follow.
    End(usize, End, Vec<Asked>),
    /// All that run end in one commit, one of them dead.
    EndAll(usize),
    Stay(usize, Kept),
    /// The signal comes that the job of this number waits for.
    Wake(usize),
    Rescue,
    Cancel(usize),
    Redrive(usize),
    Erase(usize),
    Unblock(u8),
    /// So many of the next commits lose their reply.
    Lose(u8),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Completed,
    Cancelled,
    Dead,
}

#[derive(Clone, Copy, Debug)]
enum Kept {
    Retryable,
    Held,
    Waiting,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let asked = || (prop::option::weighted(0.85, 0..3_u8), prop::bool::weighted(0.2));
    let end = || prop_oneof![4 => Just(End::Completed), 1 => Just(End::Cancelled), 2 => Just(End::Dead)];
    let kept = prop_oneof![3 => Just(Kept::Retryable), 1 => Just(Kept::Held), 2 => Just(Kept::Waiting)];
    let step = prop_oneof![
        5 => prop::collection::vec(asked(), 1..5).prop_map(Step::Enqueue),
        5 => (1..4_i64).prop_map(Step::Claim),
        5 => (any::<usize>(), end(), prop::collection::vec(asked(), 0..3)).prop_map(|(at, end, more)| Step::End(at, end, more)),
        1 => any::<usize>().prop_map(Step::EndAll),
        2 => (any::<usize>(), kept).prop_map(|(at, kept)| Step::Stay(at, kept)),
        2 => any::<usize>().prop_map(Step::Wake),
        1 => Just(Step::Rescue),
        2 => any::<usize>().prop_map(Step::Cancel),
        3 => any::<usize>().prop_map(Step::Redrive),
        1 => any::<usize>().prop_map(Step::Erase),
        2 => (0..3_u8).prop_map(Step::Unblock),
        1 => (1..3_u8).prop_map(Step::Lose),
    ];
    prop::collection::vec(step, 20..50)
}

#[derive(Clone, Debug)]
struct Modelled {
    key: Option<u8>,
    no: usize,
    passes: bool,
    state: State,
    erased: bool,
}

impl Modelled {
    fn is_active(&self) -> bool {
        !self.state.is_ended() && self.state != State::Blocked
    }

    fn is_claimable(&self) -> bool {
        matches!(self.state, State::Available | State::Retryable)
    }
}

/// What should be there, and what runs by the store's word.
struct Model {
    queue: Queue,
    name: String,
    worker: String,
    workers: usize,
    jobs: BTreeMap<String, Modelled>,
    running: Vec<Claimed>,
    /// Dead jobs that stop a sequence: number in it by job.
    stops: BTreeMap<String, (u8, usize)>,
    numbers: usize,
}

type Checked = Result<(), TestCaseError>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Checked {
    if got == want { Ok(()) } else { Err(TestCaseError::fail(format!("{what}: got {got:?}, want {want:?}"))) }
}

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn ends(job: &Claimed, end: End) -> Settled {
    let state = match end {
        End::Completed => State::Completed,
        End::Cancelled => State::Cancelled,
        End::Dead => State::Dead,
    };
    Settled { transition: Transition::End { state, reason: "test".into(), result: String::new(), errors: None }, ..done(job) }
}

impl Model {
    fn key(&self, key: u8) -> String {
        format!("{}-{key}", self.name)
    }

    fn new_job(&self, (key, passes): Asked) -> NewJob {
        let named = key.map(|key| Sequence::named(&self.key(key)));
        let sequence = if passes { named.map(Sequence::going_on) } else { named };
        NewJob { sequence, queue: self.name.clone(), ..job("k") }
    }

    fn of(&mut self, id: &str) -> &mut Modelled {
        self.jobs.get_mut(id).expect("modelled")
    }

    fn nth(&self, at: usize, is: impl Fn(&Modelled) -> bool) -> Option<String> {
        let all: Vec<&String> = self.jobs.iter().filter(|(_, j)| is(j)).map(|(id, _)| id).collect();
        (!all.is_empty()).then(|| all[at % all.len()].clone())
    }

    fn adds(&mut self, id: &str, (key, passes): Asked) {
        self.numbers += 1;
        let state = if key.is_some() { State::Blocked } else { State::Available };
        self.jobs.insert(id.to_owned(), Modelled { key, no: self.numbers, passes, state, erased: false });
    }

    /// The rule: the lowest blocked job goes on when none of its sequence is active and no dead one before it stops it.
    fn promote(&mut self) {
        for key in 0..3 {
            let of_key = |j: &&Modelled| j.key == Some(key);
            if self.jobs.values().filter(of_key).any(Modelled::is_active) {
                continue;
            }
            let head = self.jobs.values_mut().filter(|j| j.key == Some(key) && j.state == State::Blocked).min_by_key(|j| j.no);
            let Some(head) = head else { continue };
            if !self.stops.values().any(|(of, no)| *of == key && *no < head.no) {
                head.state = State::Available;
            }
        }
    }

    fn has_ended(&mut self, id: &str, end: End) {
        let job = self.of(id);
        job.state = match end {
            End::Completed => State::Completed,
            End::Cancelled => State::Cancelled,
            End::Dead => State::Dead,
        };
        if let (End::Dead, Some(key), false) = (end, job.key, job.passes) {
            let stop = (key, job.no);
            self.stops.insert(id.to_owned(), stop);
        }
    }

    async fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Enqueue(asked) => self.enqueue(asked).await?,
            Step::Claim(limit) => self.claim(*limit).await?,
            Step::End(at, end, more) if !self.running.is_empty() => self.end(*at % self.running.len(), *end, more).await?,
            Step::EndAll(at) if !self.running.is_empty() => self.end_all(*at % self.running.len()).await?,
            Step::Stay(at, kept) if !self.running.is_empty() => self.stay(*at % self.running.len(), *kept).await?,
            Step::Wake(at) => self.wake(*at).await?,
            Step::Rescue => self.rescue().await?,
            Step::Cancel(at) => self.cancel(*at).await?,
            Step::Redrive(at) => self.redrive(*at).await?,
            Step::Erase(at) => self.erase(*at).await?,
            Step::Unblock(key) => self.unblock(*key).await?,
            Step::Lose(n) => fail::cfg("lost_reply", &format!("{n}*return")).expect("fail point"),
            Step::End(..) | Step::EndAll(_) | Step::Stay(..) => {}
        }
        if matches!(step, Step::Lose(_)) {
            return Ok(());
        }
        fail::remove("lost_reply");
        self.promote();
        self.compare().await?;
        same("healed", self.queue.heal_sequences().await.map_err(failed)?, 0)
    }

    async fn enqueue(&mut self, asked: &[Asked]) -> Checked {
        let made = self.queue.enqueue_many(asked.iter().map(|asked| self.new_job(*asked)).collect()).await.map_err(failed)?;
        for (made, asked) in made.iter().zip(asked) {
            self.adds(made.id(), *asked);
        }
        self.promote();
        for made in made {
            let Enqueued::New { id, state } = made else { return Err(failed("nothing was made")) };
            same("made", state, self.jobs[&id].state)?;
        }
        Ok(())
    }

    async fn claim(&mut self, limit: i64) -> Checked {
        let mut claimer = Claimer::new(self.queue.clone(), &self.name, &["k:1".to_owned()]);
        let claimed = match claimer.claim(&self.worker, limit).await {
            Ok(claimed) => claimed,
            Err(_) => {
                fail::remove("lost_reply");
                let held: Vec<String> = self.running.iter().map(|j| j.id.clone()).collect();
                let all = claimer.adopt(&self.worker).await.map_err(failed)?;
                all.into_iter().filter(|j| !held.contains(&j.id)).collect()
            }
        };
        let may = self.jobs.values().filter(|j| j.is_claimable()).count();
        same("claimed", claimed.len(), may.min(usize::try_from(limit).expect("small")))?;
        for job in claimed {
            same("claimable", self.of(&job.id).is_claimable(), true)?;
            let key = self.of(&job.id).key.map(|key| self.key(key)).unwrap_or_default();
            same("its sequence", &job.sequence, &key)?;
            self.of(&job.id).state = State::Running;
            self.running.push(job);
        }
        Ok(())
    }

    async fn settle(&self, settled: &[Settled]) -> Checked {
        let answers = commit(self.queue.db(), self.queue.clock(), settled).await.map_err(failed)?;
        // a lost reply makes the repeat of what was committed a lost lease
        let odd: Vec<Answer> = answers.into_iter().filter(|answer| !matches!(answer, Answer::Committed | Answer::LeaseLost)).collect();
        same("answers", odd, vec![])
    }

    async fn end(&mut self, at: usize, end: End, more: &[Asked]) -> Checked {
        let job = self.running.remove(at);
        let named = |n: usize| format!("{}-{}-{n}", job.id, job.attempt);
        let follow_ups = more.iter().enumerate().map(|(n, asked)| NewJob { id: named(n), ..self.new_job(*asked) }).collect();
        self.settle(&[Settled { follow_ups, ..ends(&job, end) }]).await?;
        for (n, asked) in more.iter().enumerate() {
            self.adds(&named(n), *asked);
        }
        self.has_ended(&job.id, end);
        Ok(())
    }

    async fn end_all(&mut self, dead: usize) -> Checked {
        let all = std::mem::take(&mut self.running);
        let end = |n: usize| if n == dead { End::Dead } else { End::Completed };
        let settled: Vec<Settled> = all.iter().enumerate().map(|(n, job)| ends(job, end(n))).collect();
        self.settle(&settled).await?;
        all.iter().enumerate().for_each(|(n, job)| self.has_ended(&job.id, end(n)));
        Ok(())
    }

    async fn stay(&mut self, at: usize, kept: Kept) -> Checked {
        let (job, now) = (self.running.remove(at), self.queue.clock().now());
        let settled = match kept {
            Kept::Retryable => stay(&job, State::Retryable, now),
            Kept::Held => stay(&job, State::Held, now),
            Kept::Waiting => Settled { transition: Transition::Wait(Wait::signal("w", &job.id)), ..done(&job) },
        };
        self.settle(&[settled]).await?;
        self.of(&job.id).state = match kept {
            Kept::Retryable => State::Retryable,
            Kept::Held => State::Held,
            Kept::Waiting => State::Waiting,
        };
        Ok(())
    }

    async fn wake(&mut self, at: usize) -> Checked {
        let Some(id) = self.nth(at, |j| j.state == State::Waiting) else { return Ok(()) };
        let signal = NewSignal { name: "w".into(), key: id.clone(), ..NewSignal::default() };
        self.queue.signal(signal).await.map_err(failed)?;
        self.of(&id).state = State::Available;
        Ok(())
    }

    async fn rescue(&mut self) -> Checked {
        fail::remove("lost_reply");
        let mut rescuer = Rescuer::new(self.queue.clone(), "elsewhere", Duration::ZERO);
        rescuer.pass().await.map_err(failed)?;
        let is_crash = self.running.len() == 1;
        for job in std::mem::take(&mut self.running) {
            self.of(&job.id).state = State::Available;
            if is_crash {
                // so that none is ever taken for poison
                let text = format!("update jobs set crashes = 0 where id = '{}'", job.id);
                crate::support::commit(&self.queue, vec![crate::support::sql("none", &text).with([])]).await.map_err(failed)?;
            }
        }
        self.new_worker().await;
        Ok(())
    }

    async fn new_worker(&mut self) {
        self.workers += 1;
        self.worker = format!("wkr_{}_{}", self.name, self.workers);
        worker(&self.queue, &self.worker).await;
    }

    async fn cancel(&mut self, at: usize) -> Checked {
        let Some(id) = self.nth(at, |j| !j.state.is_ended() && j.state != State::Running) else { return Ok(()) };
        fail::remove("lost_reply");
        same("cancelled", self.queue.cancel(&ALL, &id, "test").await, Ok(Acted::Done(State::Cancelled)))?;
        self.has_ended(&id, End::Cancelled);
        Ok(())
    }

    async fn redrive(&mut self, at: usize) -> Checked {
        let may = |j: &Modelled| matches!(j.state, State::Dead | State::Cancelled) && !j.erased;
        let Some(id) = self.nth(at, may) else { return Ok(()) };
        fail::remove("lost_reply");
        self.stops.remove(&id);
        let job = self.of(&id);
        job.state = if job.key.is_some() { State::Blocked } else { State::Available };
        self.promote();
        same("brought back", self.queue.retry(&ALL, &id).await, Ok(Acted::Done(self.jobs[&id].state)))
    }

    async fn erase(&mut self, at: usize) -> Checked {
        let Some(id) = self.nth(at, |j| j.state.is_ended() && !j.erased) else { return Ok(()) };
        fail::remove("lost_reply");
        same("erased", self.queue.erase(&ALL, &id).await, Ok(Acted::Done(self.jobs[&id].state)))?;
        self.of(&id).erased = true;
        self.stops.remove(&id);
        Ok(())
    }

    async fn unblock(&mut self, key: u8) -> Checked {
        let first = self.stops.iter().filter(|(_, (of, _))| *of == key).min_by_key(|(_, (_, no))| *no).map(|(id, _)| id.clone());
        same("what stops it", self.queue.stopped_by(&ALL, "", &self.key(key)).await.map_err(failed)?, first.clone())?;
        let Some(first) = first else { return Ok(()) };
        let answer = self.queue.unblock(&ALL, "", &self.key(key), &first).await.map_err(failed)?;
        same("let go on", matches!(answer, Unblocked::Done { .. }), true)?;
        self.stops.remove(&first);
        Ok(())
    }

    async fn compare(&self) -> Checked {
        let text = "select id, queue, state, sequence, seq_no from jobs union all \
            select id, queue, state, sequence, seq_no from archive order by sequence, seq_no, id";
        let mut got = BTreeMap::new();
        let mut order: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for row in rows(&self.queue, text).await.iter().filter(|row| row.text("queue").as_deref() == Ok(&self.name)) {
            let text = |name| row.text(name).map_err(failed);
            let (id, key) = (text("id")?, text("sequence")?);
            if let (false, Some(job)) = (key.is_empty(), self.jobs.get(&id)) {
                order.entry(key).or_default().push(job.no);
            }
            got.insert(id, text("state")?);
        }
        let want = self.jobs.iter().map(|(id, j)| (id.clone(), j.state.as_str().to_owned())).collect();
        same("jobs", got, want)?;
        for (key, numbers) in order {
            same(&format!("the order of {key}"), numbers.is_sorted(), true)?;
        }
        let stops = rows(&self.queue, "select job from sequence_stops order by job").await;
        let ours = stops.iter().filter_map(|row| row.text("job").ok()).filter(|id| self.jobs.contains_key(id));
        same("stops", ours.collect::<Vec<_>>(), self.stops.keys().cloned().collect())
    }
}

async fn live(store: &TestStore, number: usize, states: &Cell<usize>, steps: &[Step]) -> Checked {
    let queue = store.queue_with(Clock::host()).await.map_err(failed)?;
    let mut model = Model {
        queue,
        name: format!("m{number}"),
        worker: String::new(),
        workers: 0,
        jobs: BTreeMap::new(),
        running: Vec::new(),
        stops: BTreeMap::new(),
        numbers: 0,
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
    model.queue.stop_worker(&model.worker).await.map_err(failed)?;
    model.queue.db().close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn random_lives_in_sequences_are_those_of_a_model() {
    for kind in Kind::selected() {
        let store = TestStore::start(kind).await.expect("a store");
        let cases = match kind {
            Kind::Sqlite => 100,
            Kind::Postgres => 50,
            Kind::D1Fake | Kind::Workerd => 20,
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
        println!("store {kind:?}, seed {seed}: {} lives, {} steps", number.get(), states.get());
        answer.unwrap_or_else(|error| panic!("store {kind:?}, seed {seed}: {error}"));
        assert!(states.get() >= 500, "too few steps");
        clawr_tests::evidence::keep(kind);
    }
}

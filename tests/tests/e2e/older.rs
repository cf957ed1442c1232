//! A deploy that rolls: the binary of an earlier commit serves and works beside this one on a store that this one migrated.
//! Jobs are made through the API of either and run by the workers of either; workers of both are killed; what one leaves
//! behind the other takes. Nothing is lost, nothing is done twice, and both call the books right.
//!
//! Run by `ops/test older` alone, which builds the earlier binary.

use crate::dispatcher::{Api, people, until};
use anyhow::{Context as _, ensure};
use clawr_tests::binary::{House, Process};
use clawr_tests::fixtures;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::Log;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(60);
/// Rescue takes 10 s of looking, and is promised within 15.
const RESCUED: Duration = Duration::from_secs(15);
/// How long those jobs run that are running when their worker is killed.
const LONG_MS: u64 = 8_000;
/// What the recorded reports come to.
const PAYMENTS: usize = 186;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Old,
    New,
}

impl Age {
    fn other(self) -> Age {
        if self == Age::Old { Age::New } else { Age::Old }
    }
}

/// Both binaries on one store, and what was asked of them.
struct Roll {
    old: House,
    new: House,
    apis: [Api; 2],
    _servers: [Process; 2],
    log: Log,
    /// Whose process it is, by its id.
    pids: BTreeMap<u32, Age>,
    /// Jobs that were acknowledged, but for those of settlements.
    made: Vec<String>,
    reports: usize,
}

impl Roll {
    fn house(&self, age: Age) -> &House {
        if age == Age::Old { &self.old } else { &self.new }
    }

    fn api(&self, age: Age) -> &Api {
        &self.apis[usize::from(age == Age::New)]
    }

    fn work(&mut self, age: Age) -> anyhow::Result<Process> {
        let worker = self.house(age).work("")?;
        self.pids.insert(worker.pid(), age);
        Ok(worker)
    }

    async fn post(&mut self, through: Age, kind: &str, args: Json) -> anyhow::Result<String> {
        let mut args = args;
        args["log"] = self.log.path().into();
        let key = format!("roll-{}", self.made.len());
        let made = self.api(through).post_for("/v1/jobs", json!({ "kind": kind, "args": args, "key": key })).await?;
        // said again to the other one it is the same job
        let again = self.api(through.other()).post_for("/v1/jobs", json!({ "kind": kind, "args": args, "key": key })).await;
        let id = made["id"].as_str().context("id")?.to_owned();
        if kind != "chaos_sealed" {
            ensure!(again.is_ok_and(|again| again["id"] == id && again["duplicate"] == true), "{key} is another job to the other binary");
        }
        self.made.push(id.clone());
        Ok(id)
    }

    /// Reports `from..to` of the recorded ones, each as it must be answered.
    async fn report(&mut self, through: &[Age], from: usize, to: usize) -> anyhow::Result<()> {
        let lines: Vec<_> = fixtures::x402("events.jsonl").lines().map(str::to_owned).zip(fixtures::expected()).collect();
        let to = to.min(lines.len());
        for (n, (line, want)) in lines[from..to].iter().enumerate() {
            let (status, body) = self.api(through[n % through.len()]).report(line).await?;
            ensure!(status == want.status, "line {}: {status} {body}, want {want:?}", from + n + 1);
            self.reports += usize::from(status == 202);
        }
        Ok(())
    }

    async fn settled(&self, what: &str) -> anyhow::Result<()> {
        let want = self.made.len() + self.reports;
        let api = self.api(Age::New);
        until(what, SOON * 2, async || Ok((self.ended(api).await? >= want).then_some(()))).await
    }

    async fn ended(&self, api: &Api) -> anyhow::Result<usize> {
        let all = api.all("/v1/jobs?q=state:completed").await?;
        Ok(all.iter().filter(|job| job["kind"] == "settlement" || self.made.iter().any(|id| job["id"] == id.as_str())).count())
    }

    /// How many handlers came to their end under each binary.
    fn ran(&self) -> BTreeMap<Age, usize> {
        let mut ran = BTreeMap::new();
        for line in self.log.lines().into_iter().filter(|line| line.word == "end") {
            *ran.entry(self.pids[&line.pid]).or_insert(0) += 1;
        }
        ran
    }

    /// Who started a job, in order.
    fn starts(&self, id: &str) -> Vec<Age> {
        let lines = self.log.lines();
        lines.iter().filter(|line| line.word == "start" && line.job == id).map(|line| self.pids[&line.pid]).collect()
    }

    async fn started(&self, what: &str, ids: &[String], by: Age) -> anyhow::Result<()> {
        until(what, SOON, async || Ok(ids.iter().all(|id| self.starts(id).contains(&by)).then_some(()))).await
    }
}

/// A bit of everything, asked of one binary and run by whoever claims it.
async fn mixed(roll: &mut Roll, through: Age, n: usize) -> anyhow::Result<()> {
    let (kind, args) = match n % 5 {
        0 => ("chaos_fail", json!({ "times": 1 })),
        1 => ("chaos_checkpoint", json!({ "steps": 3, "fail_after": 2 })),
        2 => ("chaos_group", json!({ "good": 2, "bad": 0, "gather": true })),
        _ => ("chaos_sleep", json!({ "ms": 20 })),
    };
    roll.post(through, kind, args).await.map(|_| ())
}

/// A job that sleeps until the other binary is told its signal.
async fn signalled(roll: &mut Roll, age: Age) -> anyhow::Result<()> {
    let key = format!("order-{age:?}");
    let id = roll.post(age.other(), "chaos_wait", json!({ "name": "paid", "key": key })).await?;
    roll.started("the sleeper starts", std::slice::from_ref(&id), age).await?;
    let said = json!({ "name": "paid", "key": key, "payload": null, "id": format!("said-{age:?}") });
    roll.api(age.other()).post("/v1/signals", said).await
}

/// One binary alone works, all is asked of the other; then its worker is killed and one of the other takes over.
async fn alone(roll: &mut Roll, age: Age, reports: (usize, usize)) -> anyhow::Result<()> {
    let worker = roll.work(age)?;
    roll.report(&[age.other()], reports.0, reports.1).await?;
    for n in 0..10 {
        mixed(roll, age.other(), n).await?;
    }
    signalled(roll, age).await?;
    roll.settled(&format!("{age:?} alone runs what {:?} took", age.other())).await?;
    let mut stuck = Vec::new();
    for _ in 0..3 {
        stuck.push(roll.post(age.other(), "chaos_sleep", json!({ "ms": LONG_MS })).await?);
    }
    roll.started("the long ones start", &stuck, age).await?;
    let rescuer = roll.work(age.other())?;
    // it must have seen the beat before it can see it stand still
    tokio::time::sleep(Duration::from_secs(4)).await;
    worker.kill();
    let killed = Instant::now();
    roll.started("the other binary takes them over", &stuck, age.other()).await?;
    println!("  {:?} took over from {age:?} {:.1} s after its death", age.other(), killed.elapsed().as_secs_f64());
    ensure!(killed.elapsed() < RESCUED, "taken over too late");
    roll.settled("what was taken over ends").await?;
    let twice = stuck.iter().all(|id| roll.starts(id) == [age, age.other()]);
    ensure!(twice, "started otherwise than once by each: {:?}", stuck.iter().map(|id| roll.starts(id)).collect::<Vec<_>>());
    rescuer.stop();
    Ok(())
}

/// What only the new binary knows: the old one leaves it alone, and is not disturbed by it.
async fn unknown_to_the_old(roll: &mut Roll) -> anyhow::Result<()> {
    let old = roll.work(Age::Old)?;
    let sealed = roll.post(Age::New, "chaos_sealed", json!({ "card": "canary-4111" })).await?;
    let known = roll.post(Age::New, "chaos_sleep", json!({ "ms": 1 })).await?;
    roll.started("the old binary runs what it knows", &[known], Age::Old).await?;
    for age in [Age::New, Age::Old] {
        let shown = roll.api(age).get(&format!("/v1/jobs/{sealed}")).await?;
        ensure!(shown["state"] == "available" && !shown.to_string().contains("wrapped"), "{age:?} shows {shown}");
    }
    let limit = json!({ "what": "kind", "value": "chaos_sealed", "per_key": true, "concurrency": 1, "why": "a small bank" });
    roll.api(Age::New).post("/v1/limits", limit).await?;
    let after = roll.post(Age::New, "chaos_sleep", json!({ "ms": 1 })).await?;
    roll.started("the old binary claims under a limit it only half knows", &[after], Age::Old).await?;
    let new = roll.work(Age::New)?;
    roll.settled("the new one runs it").await?;
    ensure!(roll.starts(&sealed) == [Age::New], "started by {:?}", roll.starts(&sealed));
    old.stop();
    new.stop();
    Ok(())
}

/// Everybody works, everybody is asked, and one of each is killed in the middle.
async fn together(roll: &mut Roll, reports: (usize, usize)) -> anyhow::Result<()> {
    let mut workers = Vec::new();
    for age in [Age::Old, Age::New, Age::Old, Age::New] {
        workers.push(roll.work(age)?);
    }
    let before = roll.ran();
    for n in 0..60 {
        if n == 30 {
            roll.report(&[Age::Old, Age::New], reports.0, reports.1).await?;
            workers.drain(..2).for_each(Process::kill);
        }
        mixed(roll, if n % 2 == 0 { Age::Old } else { Age::New }, n).await?;
        roll.post(if n % 2 == 0 { Age::New } else { Age::Old }, "chaos_sleep", json!({ "ms": 100 })).await?;
    }
    roll.settled("all together").await?;
    let count = |ran: &BTreeMap<Age, usize>, age| ran.get(&age).copied().unwrap_or(0);
    let ran = roll.ran();
    let (old, new) = (count(&ran, Age::Old) - count(&before, Age::Old), count(&ran, Age::New) - count(&before, Age::New));
    println!("  together: {old} handlers ended under the old binary, {new} under the new one");
    ensure!(old > 0 && new > 0, "one of them did nothing");
    workers.into_iter().for_each(Process::stop);
    Ok(())
}

/// One terminal row for each job, one entry for each payment, and both binaries say that the books are right.
async fn check(roll: &Roll) -> anyhow::Result<()> {
    for api in &roll.apis {
        for state in ["dead", "cancelled", "running", "available", "retryable", "held", "waiting", "scheduled"] {
            ensure!(api.jobs(state).await? == 0, "{} jobs are {state}", api.jobs(state).await?);
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        for job in api.all("/v1/jobs?q=state:completed").await? {
            *seen.entry(job["id"].as_str().context("id")?.to_owned()).or_insert(0) += 1;
        }
        ensure!(roll.made.iter().all(|id| seen.get(id) == Some(&1)), "a job is missing, or there twice");
        let entries = api.all("/v1/ledger/entries").await?;
        let keys: HashSet<String> = entries.iter().map(|entry| entry["key"].to_string()).collect();
        ensure!((entries.len(), keys.len()) == (roll.reports, roll.reports), "{} entries for {} payments", entries.len(), roll.reports);
    }
    ensure!(roll.reports == PAYMENTS, "{} payments", roll.reports);
    for house in [&roll.old, &roll.new] {
        until("all sealed", SOON, async || Ok(house.run(&["audit", "verify", "--json"])?.status.success().then_some(()))).await?;
        house.json(&["ledger", "verify", "--json"])?;
    }
    println!("  {} jobs and {} payments: none lost, none twice; both verify ledger and audit", roll.made.len(), roll.reports);
    Ok(())
}

async fn roll_on(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let (old, new) = (House::older(&store)?, House::on(&store)?);
    let key = new.key()?;
    let ((old_server, old_url), (new_server, new_url)) = (old.serve()?, new.serve()?);
    let apis = [Api::new(old_url, key.clone()), Api::new(new_url, key)];
    let (pids, made) = (BTreeMap::new(), Vec::new());
    let mut roll = Roll { old, new, apis, _servers: [old_server, new_server], log: Log::new(), pids, made, reports: 0 };
    people(roll.api(Age::Old)).await?;
    alone(&mut roll, Age::Old, (0, 60)).await?;
    alone(&mut roll, Age::New, (60, 120)).await?;
    unknown_to_the_old(&mut roll).await?;
    together(&mut roll, (120, usize::MAX)).await?;
    check(&roll).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_binary_works_beside_this_one() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        roll_on(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

//! Limits in a storm: four worker processes, one of them killed with -9 every 20 s, for three minutes (ten when it is to be
//! long). What their handlers told the outside shows that at no instant more ran than a limit allows, in all, of a tenant, of a
//! key, that no time held more starts than a window allows, and in the end nothing is stuck.

use crate::{Chance, is_long, settle};
use anyhow::ensure;
use clawr_engine::job::NewJob;
use clawr_engine::limits::{Measure, NewLimit, Per, What};
use clawr_engine::queue::Queue;
use clawr_tests::binary::House;
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::Log;
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

const TENANTS: [&str; 4] = ["ten_a", "ten_b", "ten_c", "ten_d"];
const WALLETS: [&str; 3] = ["w1", "w2", "w3"];
/// Of the queue, of each tenant within a kind, of each key within a kind.
const CAPS: (usize, usize, usize) = (6, 2, 1);
/// What may start of a kind in a time, by weight. A start is told a little after it was counted, hence the slack.
const WINDOW: (i64, Duration) = (12, Duration::from_secs(4));
const SLACK: Duration = Duration::from_secs(1);
const KILL_EVERY: Duration = Duration::from_secs(20);

async fn limit(queue: &Queue) -> anyhow::Result<()> {
    let new = |what, value: &str, cap: usize, per| {
        let (who, why, measure) = ("storm".to_owned(), "a storm".to_owned(), Measure::Running);
        let cap = i64::try_from(cap).expect("small");
        NewLimit { what, value: value.to_owned(), per, measure, cap, every_us: 0, who, why, until: 0 }
    };
    queue.limit(new(What::Queue, "chaos", CAPS.0, Per::All)).await?;
    queue.limit(new(What::Kind, "chaos_sleep", CAPS.1, Per::Tenant)).await?;
    queue.limit(new(What::Kind, "chaos_weigh", CAPS.2, Per::Key)).await?;
    let window = new(What::Kind, "chaos_weigh", 1, Per::All);
    let every_us = i64::try_from(WINDOW.1.as_micros())?;
    queue.limit(NewLimit { measure: Measure::Window, cap: WINDOW.0, every_us, ..window }).await?;
    Ok(())
}

/// A job of the storm, as the outside knows it.
struct Made {
    tenant: &'static str,
    wallet: &'static str,
    units: i64,
}

/// The weight of what started within the window's length, less the slack, at most.
fn most_in_a_window(log: &Log, made: &HashMap<String, Made>) -> i64 {
    let starts: Vec<(i64, i64)> = log
        .lines()
        .into_iter()
        .filter(|line| line.word == "start")
        .filter_map(|line| Some((line.at, made.get(&line.job).filter(|job| !job.wallet.is_empty())?.units)))
        .collect();
    let length = i64::try_from((WINDOW.1 - SLACK).as_micros()).expect("small");
    let within = |from: i64| starts.iter().filter(|(at, _)| (from..from + length).contains(at)).map(|(_, units)| units).sum();
    starts.iter().map(|(at, _)| within(*at)).max().unwrap_or(0)
}

/// Most executions at one instant, by the order in which the lines were written: no clock is asked. An execution that never
/// ended ended with its process; `deaths`: how many lines there were when a process was gone.
fn most_at_once(log: &Log, deaths: &HashMap<u32, usize>, of: impl Fn(&str) -> bool) -> usize {
    let (mut running, mut most) = (BTreeSet::new(), 0);
    for (at, line) in log.lines().into_iter().enumerate().filter(|(_, line)| of(&line.job)) {
        running.retain(|(_, _, pid)| deaths.get(pid).is_none_or(|death| at < *death));
        let run = (line.job, line.attempt, line.pid);
        match line.word.as_str() {
            "start" => running.insert(run),
            _ => running.remove(&run),
        };
        most = most.max(running.len());
    }
    most
}

/// What comes in: jobs of each tenant, and one of a wallet every third time. Enough to meet every limit, and no more than they let
/// through in the long run.
async fn make(queue: &Queue, log: &Log, chance: &mut Chance, made: &mut HashMap<String, Made>) -> anyhow::Result<()> {
    for tenant in TENANTS {
        let job = log.job("chaos_sleep", json!({ "ms": 50 + chance.below(500) }));
        let id = queue.enqueue(NewJob { tenant: tenant.into(), ..job }).await?.id().to_owned();
        made.insert(id, Made { tenant, wallet: "", units: 1 });
    }
    if chance.below(3) > 0 {
        return Ok(());
    }
    let wallet = WALLETS[usize::try_from(chance.below(3))?];
    let units = 1 + i64::try_from(chance.below(3))?;
    let job = log.job("chaos_weigh", json!({ "ms": 50 + chance.below(300), "wallet": wallet, "units": units }));
    let id = queue.enqueue(NewJob { limit_key: wallet.into(), units, ..job }).await?.id().to_owned();
    made.insert(id, Made { tenant: "", wallet, units });
    Ok(())
}

async fn storm(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let (house, queue, log) = (House::on(&store)?, store.queue().await?, Log::new());
    limit(&queue).await?;
    let mut chance = Chance::new();
    let mut workers = [house.work("")?, house.work("")?, house.work("")?, house.work("")?];
    let (mut made, mut deaths) = (HashMap::new(), HashMap::new());
    let started = Instant::now();
    let mut next_kill = KILL_EVERY / 2;
    while started.elapsed() < Duration::from_secs(if is_long() { 600 } else { 180 }) {
        make(&queue, &log, &mut chance, &mut made).await?;
        tokio::time::sleep(Duration::from_millis(200 + chance.below(150))).await;
        if started.elapsed() > next_kill {
            next_kill += KILL_EVERY;
            let fresh = house.work("")?;
            let victim = std::mem::replace(&mut workers[usize::try_from(chance.below(4))?], fresh);
            let pid = victim.pid();
            victim.kill();
            deaths.insert(pid, log.lines().len());
        }
    }
    let healed = settle(&queue, made.len(), Duration::from_secs(120)).await?;
    let all = most_at_once(&log, &deaths, |_| true);
    let of_a_tenant = TENANTS.map(|tenant| most_at_once(&log, &deaths, |job| made.get(job).is_some_and(|job| job.tenant == tenant)));
    let of_a_key = WALLETS.map(|wallet| most_at_once(&log, &deaths, |job| made.get(job).is_some_and(|job| job.wallet == wallet)));
    let in_a_window = most_in_a_window(&log, &made);
    println!(
        "  {kind:?}: {} jobs, {} kills, settled {:.1} s after the storm; at once at most {all} in all, {of_a_tenant:?} of a tenant, \
         {of_a_key:?} of a key; {in_a_window} of {} in a window",
        made.len(),
        deaths.len(),
        healed.as_secs_f64(),
        WINDOW.0
    );
    ensure!(all <= CAPS.0, "{all} ran at once under a limit of {}", CAPS.0);
    ensure!(of_a_tenant.iter().all(|n| *n <= CAPS.1), "{of_a_tenant:?} of a tenant ran at once under a limit of {}", CAPS.1);
    ensure!(of_a_key.iter().all(|n| *n <= CAPS.2), "{of_a_key:?} of a key ran at once under a limit of {}", CAPS.2);
    ensure!(in_a_window <= WINDOW.0, "{in_a_window} started in a window of {}", WINDOW.0);
    ensure!(all == CAPS.0 && of_a_key.contains(&1) && in_a_window > WINDOW.0 / 2 && deaths.len() > 6, "the storm showed nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_run_than_limits_allow_while_workers_are_killed() {
    let storms: Vec<_> = Kind::fast().into_iter().map(|kind| tokio::spawn(async move { (kind, storm(kind).await) })).collect();
    for storm in storms {
        let (kind, answer) = storm.await.expect("a storm");
        answer.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

//! Limits in a storm: four worker processes, killed with -9 one after the other. What their handlers told the outside shows
//! that at no instant more ran than a limit allows, and in the end nothing is stuck.

use crate::{Chance, factor, settle};
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
/// Of the queue, and of each tenant within the kind.
const CAPS: (usize, usize) = (6, 2);

async fn limit(queue: &Queue) -> anyhow::Result<()> {
    let new = |what, value: &str, cap: usize, per| {
        let (who, why, measure) = ("storm".to_owned(), "a storm".to_owned(), Measure::Running);
        let cap = i64::try_from(cap).expect("small");
        NewLimit { what, value: value.to_owned(), per, measure, cap, every_us: 0, who, why, until: 0 }
    };
    queue.limit(new(What::Queue, "chaos", CAPS.0, Per::All)).await?;
    queue.limit(new(What::Kind, "chaos_sleep", CAPS.1, Per::Tenant)).await?;
    Ok(())
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

async fn storm(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let (house, queue, log) = (House::on(&store)?, store.queue().await?, Log::new());
    limit(&queue).await?;
    let mut chance = Chance::new();
    let mut workers = [house.work("")?, house.work("")?, house.work("")?, house.work("")?];
    let (mut tenants, mut deaths) = (HashMap::new(), HashMap::new());
    let started = Instant::now();
    let mut next_kill = Duration::from_secs(4);
    while started.elapsed() < Duration::from_secs(25 * factor()) {
        for tenant in TENANTS {
            let job = log.job("chaos_sleep", json!({ "ms": 20 + chance.below(300) }));
            let made = queue.enqueue(NewJob { tenant: tenant.into(), ..job }).await?;
            tenants.insert(made.id().to_owned(), tenant);
        }
        tokio::time::sleep(Duration::from_millis(100 + chance.below(100))).await;
        if started.elapsed() > next_kill {
            next_kill += Duration::from_secs(6);
            let fresh = house.work("")?;
            let victim = std::mem::replace(&mut workers[usize::try_from(chance.below(4))?], fresh);
            let pid = victim.pid();
            victim.kill();
            deaths.insert(pid, log.lines().len());
        }
    }
    let healed = settle(&queue, tenants.len(), Duration::from_secs(90)).await?;
    let all = most_at_once(&log, &deaths, |_| true);
    println!(
        "  {} jobs, {} kills, settled {:.1} s after the storm, at most {all} at once",
        tenants.len(),
        deaths.len(),
        healed.as_secs_f64()
    );
    ensure!(all <= CAPS.0, "{all} ran at once under a limit of {}", CAPS.0);
    for tenant in TENANTS {
        let its = most_at_once(&log, &deaths, |job| tenants.get(job) == Some(&tenant));
        ensure!(its <= CAPS.1, "{its} of {tenant} ran at once under a limit of {}", CAPS.1);
    }
    ensure!(all == CAPS.0 && deaths.len() > 2, "the storm showed nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_run_than_limits_allow_while_workers_are_killed() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        storm(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

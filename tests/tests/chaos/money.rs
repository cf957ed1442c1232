//! The same storms with money in them: reports are taken in while the workers that post them are killed and the server
//! crashes. In the end each payment has exactly one entry, the books balance, the audit trail is whole.

use crate::{Chance, factor};
use anyhow::{Context as _, ensure};
use clawr_domain::settlement::{Intake, IntakeError};
use clawr_domain::{audit, ledger};
use clawr_engine::queue::Queue;
use clawr_tests::binary::{House, Process};
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::in_state;
use clawr_tests::{fixtures, marketplace};
use std::time::{Duration, Instant};

/// What the recorded reports come to.
const PAYMENTS: u64 = 186;

/// Says a report until it is answered: an outage refuses or leaves unknown.
async fn report(intake: &Intake, line: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        match intake.submit(line.as_bytes().to_vec(), &marketplace::actor()).await {
            Err(IntakeError::Store(error)) if started.elapsed() < Duration::from_secs(60) && error.is_retryable() => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(IntakeError::Store(error)) => return Err(error).context("a report"),
            _ => return Ok(()),
        }
    }
}

/// What goes wrong between two reports.
trait Fault {
    async fn strike(&mut self, chance: &mut Chance, house: &House, workers: &mut [Process; 2]) -> anyhow::Result<()>;
}

struct Kills;

impl Fault for Kills {
    async fn strike(&mut self, chance: &mut Chance, house: &House, workers: &mut [Process; 2]) -> anyhow::Result<()> {
        let victim = usize::try_from(chance.below(2))?;
        // some die at their own hand, between a handler's end and its commit
        let points = if chance.below(2) == 0 { "before_commit=20*off->1*return" } else { "" };
        let fresh = house.work(points)?;
        std::mem::replace(&mut workers[victim], fresh).kill();
        Ok(())
    }
}

struct Crashes<'s>(&'s mut TestStore);

impl Fault for Crashes<'_> {
    async fn strike(&mut self, chance: &mut Chance, _house: &House, _workers: &mut [Process; 2]) -> anyhow::Result<()> {
        let server = self.0.postgres().context("a server")?;
        server.crash()?;
        tokio::time::sleep(Duration::from_millis(300 + chance.below(700))).await;
        server.resume()
    }
}

/// Every recorded line is reported by 8 hands while faults strike; again and again when the storm is long.
async fn storm(queue: &Queue, house: &House, strikes: usize, mut fault: impl Fault) -> anyhow::Result<()> {
    let intake = marketplace::open(queue, || {}).await;
    let mut chance = Chance::new();
    let mut workers = [house.work("")?, house.work("")?];
    let events = fixtures::x402("events.jsonl");
    let lines: Vec<&str> = events.lines().collect();
    for part in lines.chunks(lines.len().div_ceil(strikes)) {
        let reporting = async {
            for eight in part.chunks(8) {
                futures::future::try_join_all(eight.iter().map(|line| report(&intake, line))).await?;
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            anyhow::Ok(())
        };
        let wait = Duration::from_millis(100 + chance.below(400));
        let striking = async {
            tokio::time::sleep(wait).await;
            fault.strike(&mut chance, house, &mut workers).await
        };
        futures::try_join!(reporting, striking)?;
    }
    let started = Instant::now();
    while in_state(queue, "completed").await.len() < usize::try_from(PAYMENTS)? {
        ensure!(started.elapsed() < Duration::from_secs(60), "{} jobs completed", in_state(queue, "completed").await.len());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    println!("  settled {:.1} s after the last of {strikes} faults", started.elapsed().as_secs_f64());
    books(queue).await
}

async fn books(queue: &Queue) -> anyhow::Result<()> {
    while audit::seal(queue.db()).await? > 0 {}
    let (ledger, trail) = (ledger::verify(queue.db()).await?, audit::verify(queue.db(), queue.clock().now()).await?);
    println!("  {} settlements, {} entries, {} audit entries", ledger.settlements, ledger.entries, trail.entries);
    ensure!(ledger.is_balanced() && trail.is_whole(), "{ledger:?} {trail:?}");
    ensure!((ledger.settlements, ledger.entries) == (PAYMENTS, PAYMENTS), "{ledger:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_money_lose_and_double_nothing() {
    for kind in Kind::fast() {
        println!("store {kind:?}");
        let store = TestStore::start(kind).await.expect("a store");
        let (house, queue) = (House::on(&store).expect("a house"), store.queue().await.expect("queue"));
        let strikes = 6 * usize::try_from(factor()).expect("small");
        storm(&queue, &house, strikes, Kills).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_under_money_lose_and_double_nothing() {
    if Kind::selected().contains(&Kind::Postgres) {
        let mut store = TestStore::start(Kind::Postgres).await.expect("a store");
        let (house, queue) = (House::on(&store).expect("a house"), store.queue().await.expect("queue"));
        let strikes = 4 * usize::try_from(factor()).expect("small");
        storm(&queue, &house, strikes, Crashes(&mut store)).await.unwrap_or_else(|error| panic!("{error:#}"));
    }
}

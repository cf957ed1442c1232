//! Every recorded report over HTTP, signed, in order; workers killed in the worst moments; in the end each payment has
//! one entry and its audit event, on every store.

use crate::dispatcher::{Api, people, until};
use anyhow::{Context as _, ensure};
use clawr_tests::binary::House;
use clawr_tests::fixtures;
use clawr_tests::stores::{Kind, TestStore};
use std::time::{Duration, Instant};

/// Every line is answered as expected, and nothing is posted while nobody works.
async fn post_all(api: &Api) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for (n, (line, want)) in fixtures::x402("events.jsonl").lines().zip(fixtures::expected()).enumerate() {
        let (status, body) = api.report(line).await.with_context(|| format!("line {}", n + 1))?;
        let type_ok = want.reason.is_empty() || body["type"].as_str().is_some_and(|t| t.ends_with(&format!(":{}", want.reason)));
        let verdict_ok = status >= 400 || body["verdict"] == want.verdict;
        if status != want.status || !type_ok || !verdict_ok {
            wrong.push(format!("line {}: {status} {body}, want {want:?}", n + 1));
        }
    }
    ensure!(wrong.is_empty(), "{} lines differ:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(api.jobs("available").await? == 186, "{} jobs available", api.jobs("available").await?);
    ensure!(api.all("/v1/ledger/entries").await?.is_empty(), "an entry without a worker");
    Ok(())
}

/// Both of these workers hold running leases; then they are killed.
async fn kill_two_holding_leases(api: &Api, house: &House) -> anyhow::Result<()> {
    // after eight outcomes each, every handler that ended waits for ever before its commit
    let workers = [house.work("before_commit=8*off->sleep(600000)")?, house.work("before_commit=8*off->sleep(600000)")?];
    until("both hold leases", Duration::from_secs(60), async || {
        let rows = api.get("/v1/workers").await?;
        let holds =
            |pid: u32| rows["items"].as_array().is_some_and(|all| all.iter().any(|w| w["pid"] == pid && w["running"].as_i64() > Some(0)));
        Ok((holds(workers[0].pid()) && holds(workers[1].pid())).then_some(()))
    })
    .await?;
    // let what can still end come to the fail point
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = api.jobs("running").await?;
    ensure!(held >= 2, "only {held} running jobs when both workers are killed");
    println!("  killing two workers that hold {held} leases");
    workers.into_iter().for_each(clawr_tests::binary::Process::kill);
    Ok(())
}

/// This one dies between a handler's end and its commit.
async fn die_before_commit(house: &House) -> anyhow::Result<()> {
    let mut worker = house.work("before_commit=5*off->return")?;
    ensure!(worker.died(Duration::from_secs(60)).await, "the worker did not die at its fail point");
    println!("  a worker died between a handler's end and its commit");
    Ok(())
}

async fn check_the_books(api: &Api, house: &House) -> anyhow::Result<()> {
    let settlements = api.all("/v1/settlements").await?;
    let state = |name: &str| settlements.iter().filter(|s| s["state"] == name).count();
    ensure!((settlements.len(), state("reported"), state("unknown")) == (186, 169, 17), "{} settlements", settlements.len());
    let entries = api.all("/v1/ledger/entries").await?;
    let keys: std::collections::HashSet<String> = entries.iter().map(|e| e["key"].to_string()).collect();
    ensure!((entries.len(), keys.len()) == (186, 186), "{} entries, {} keys", entries.len(), keys.len());
    let posted = api.all("/v1/audit").await?.iter().filter(|e| e["action"] == "settlement.posted").count();
    ensure!(posted == 186, "{posted} audit events of postings");
    for command in [["ledger", "verify", "--json"], ["audit", "verify", "--json"]] {
        house.json(&command)?;
    }
    Ok(())
}

async fn recorded_on(kind: Kind) -> anyhow::Result<()> {
    let store = TestStore::start(kind).await?;
    let house = House::on(&store)?;
    let ended = play(kind, &house).await;
    if ended.is_err() {
        let said = house.said();
        eprintln!("the processes said:\n{}", said.lines().filter(|l| !l.contains("\"INFO\"")).collect::<Vec<_>>().join("\n"));
    }
    ended
}

async fn play(kind: Kind, house: &House) -> anyhow::Result<()> {
    let key = house.key()?;
    let (_server, url) = house.serve()?;
    let api = Api::new(url, key);
    people(&api).await?;
    post_all(&api).await?;
    println!("  267 answers as expected, 186 jobs available, 0 entries");
    kill_two_holding_leases(&api, house).await?;
    let killed = Instant::now();
    die_before_commit(house).await?;
    let _workers = [house.work("")?, house.work("")?];
    let limit = Duration::from_secs(if matches!(kind, Kind::D1Fake | Kind::Workerd) { 120 } else { 60 });
    until("all posted", limit, async || Ok((api.jobs("completed").await? == 186).then_some(()))).await?;
    println!("  all posted {:.1} s after the kill", killed.elapsed().as_secs_f64());
    // the sealer is given its time
    until("all sealed", Duration::from_secs(20), async || Ok(house.run(&["audit", "verify", "--json"])?.status.success().then_some(())))
        .await?;
    check_the_books(&api, house).await
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded() {
    for kind in Kind::selected() {
        println!("store {kind:?}");
        recorded_on(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        println!("  186 payments (169 reported, 17 unknown), each with one entry and its audit event");
    }
}

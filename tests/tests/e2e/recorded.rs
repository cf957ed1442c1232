//! Every recorded report over HTTP, signed, in order; workers killed in the worst moments; in the end each payment has
//! one entry and its audit event, on every store.

use anyhow::{Context as _, ensure};
use clawr_domain::access::webhook;
use clawr_tests::binary::{House, Key};
use clawr_tests::fixtures;
use clawr_tests::stores::{Kind, TestStore};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

struct Api {
    client: reqwest::Client,
    url: String,
    key: Key,
}

impl Api {
    async fn get(&self, path: &str) -> anyhow::Result<Json> {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key.secret).send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.json().await?)
    }

    async fn post(&self, path: &str, body: Json) -> anyhow::Result<()> {
        let answer = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key.secret).json(&body).send().await?;
        ensure!(answer.status().is_success(), "{path} {body}: {} {}", answer.status(), answer.text().await?);
        Ok(())
    }

    async fn report(&self, line: &str) -> anyhow::Result<(u16, Json)> {
        let event: Json = serde_json::from_str(line)?;
        let id = event["id"].as_str().context("id")?;
        let now = clawr_engine::clock::host_now() / 1_000_000;
        let signature = webhook::sign(&self.key.signing_secret, id, now, line.as_bytes()).context("secret")?;
        let request = self.client.post(format!("{}/v1/events/settlements", self.url)).bearer_auth(&self.key.secret);
        let request = request.header("webhook-id", id).header("webhook-timestamp", now).header("webhook-signature", signature);
        let answer = request.header("content-type", "application/json").body(line.to_owned()).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// All items of a list, page by page.
    async fn all(&self, path: &str) -> anyhow::Result<Vec<Json>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}{}limit=200{cursor}", if path.contains('?') { "&" } else { "?" })).await?;
            items.extend(page["items"].as_array().context("items")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    async fn jobs(&self, state: &str) -> anyhow::Result<usize> {
        Ok(self.all(&format!("/v1/jobs?q=state:{state}")).await?.len())
    }
}

async fn people(api: &Api) -> anyhow::Result<()> {
    let given = fixtures::x402_json("given.json");
    for (tenant, sold) in given["tenants"].as_object().context("tenants")? {
        api.post("/v1/tenants", json!({ "slug": tenant })).await?;
        for (slug, kind) in sold.as_object().context("apis")? {
            api.post("/v1/apis", json!({ "tenant": tenant, "slug": slug, "resource_type": kind, "price_micros": "2500" })).await?;
        }
    }
    Ok(())
}

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

async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
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
    let api = Api { client: reqwest::Client::new(), url, key };
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

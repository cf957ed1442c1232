//! `clawr bench intake`: signed settlement reports over HTTP, each a payment of its own, while the workers of the same
//! process post them to the ledger. A figure counts only if every report was accepted, durable, and posted in the end.

use super::http::Connection;
use super::measure::{self, Cpu};
use super::report::Report;
use super::scratch::Scratch;
use crate::commands::keys::issue;
use crate::compose::{House, Pools, Server};
use crate::demo::recorded;
use anyhow::{Context as _, ensure};
use clawr_domain::access::{NewKey, Scopes, webhook};
use clawr_engine::clock::host_now;
use clawr_engine::db::Scope;
use serde_json::Value as Json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What every connection shares.
struct Load {
    url: String,
    authorization: String,
    signing_secret: String,
    template: Json,
    next: AtomicU64,
    run: u64,
    until: Instant,
}

/// Runs it.
pub async fn run(house: &House, scratch: &Scratch, seconds: u64, connections: usize, report: &mut Report) -> anyhow::Result<()> {
    for (name, value) in house.db.settings().await? {
        report.setting(&name, &value);
    }
    report.figure("fsync_per_s", measure::fsync_rate(scratch.folder(), Duration::from_secs(1))?);
    report.figure("bare_commits_per_s", measure::commit_rate(&house.queue, Duration::from_secs(1)).await?);
    let before = clawr_domain::ledger::verify(&house.db).await?.entries;
    let pools = Pools::start_with(house, &scratch.config, [("money".to_owned(), 256)].into()).await?;
    let server = Server::start(house, &scratch.config, Some(pools.clone())).await?;
    let load = Arc::new(load(house, &server.url, seconds).await?);
    let (cpu, started) = (Cpu::now(), Instant::now());
    let tasks: Vec<_> = (0..connections).map(|_| tokio::spawn(post_until(load.clone()))).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let behind = backlog(house).await?;
    let posted = wait_until_posted(house).await?;
    tell(report, &times, elapsed, behind, posted, &cpu);
    server.stop().await;
    pools.stop(Duration::from_secs(10)).await;
    let ledger = clawr_domain::ledger::verify(&house.db).await?;
    ensure!(ledger.is_balanced(), "the ledger does not verify: {ledger:?}");
    let entries = ledger.entries - before;
    ensure!(usize::try_from(entries).ok() == Some(times.len()), "{} accepted, {entries} entries", times.len());
    Ok(())
}

fn tell(report: &mut Report, times: &[Duration], elapsed: f64, behind: i64, posted: Duration, cpu: &Cpu) {
    let at = |p: usize| times.get((times.len() * p / 100).min(times.len().saturating_sub(1))).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    let n = times.len() as f64;
    report.figure("accepted", n);
    report.figure("accepted_per_s", n / elapsed);
    report.figure("accept_p50_ms", at(50));
    report.figure("accept_p99_ms", at(99));
    report.figure("behind_at_the_end", behind as f64);
    report.figure("behind_s", posted.as_secs_f64());
    report.figure("store_cpu_us_per_report", cpu.store_us_since() / n);
    report.figure("own_cpu_us_per_report", cpu.own_us_since() / n);
}

async fn load(house: &House, url: &str, seconds: u64) -> anyhow::Result<Load> {
    let scopes = Scopes::parse(["write"])?;
    let issued = issue(house, NewKey { scopes, require_signature: true, ..NewKey::default() }).await?;
    let first = recorded::events().first().copied().context("no recorded event")?;
    Ok(Load {
        url: url.to_owned(),
        authorization: format!("authorization: Bearer {}\r\n", issued.secret),
        signing_secret: issued.signing_secret.context("a key with signatures has a secret")?,
        template: serde_json::from_slice(first)?,
        next: AtomicU64::new(0),
        run: u64::try_from(host_now())?,
        until: Instant::now() + Duration::from_secs(seconds),
    })
}

async fn post_until(load: Arc<Load>) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(&load.url).await?;
    let mut times = Vec::new();
    while Instant::now() < load.until {
        let (id, body) = load.event();
        let timestamp = host_now() / 1_000_000;
        let signature = webhook::sign(&load.signing_secret, &id, timestamp, &body).context("the secret is malformed")?;
        let headers =
            format!("{}webhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n", load.authorization);
        let asked = Instant::now();
        let status = connection.post("/v1/events/settlements", &headers, &body).await?;
        ensure!(status == 202, "a report was answered {status}");
        times.push(asked.elapsed());
    }
    Ok(times)
}

impl Load {
    /// A report of a payment nobody has heard of.
    fn event(&self) -> (String, Vec<u8>) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("evt_bench_{:x}_{n}", self.run);
        let mut event = self.template.clone();
        event["id"] = id.as_str().into();
        event["request_id"] = format!("req_bench_{n}").into();
        event["paymentPayload"]["payload"]["authorization"]["nonce"] = format!("0x{:032x}{n:032x}", self.run).into();
        let (tenant, api) = [("acme", "weather"), ("acme", "geocode"), ("nimbus", "fx-rates"), ("tidepool", "tides")][(n % 4) as usize];
        event["tenant"] = tenant.into();
        event["api"] = api.into();
        event["resource_type"] = if api == "tides" { "dataset" } else { "function" }.into();
        (id, event.to_string().into_bytes())
    }
}

async fn backlog(house: &House) -> anyhow::Result<i64> {
    let rows = house.queue.queue_stats(&Scope::System).await?;
    Ok(rows.iter().map(|r| r.int("jobs")).sum::<Result<i64, _>>()?)
}

/// From the last accepted report until nothing is live.
async fn wait_until_posted(house: &House) -> anyhow::Result<Duration> {
    let started = Instant::now();
    while backlog(house).await? > 0 {
        ensure!(started.elapsed() < Duration::from_secs(120), "the workers did not catch up within two minutes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(started.elapsed())
}

/// On Postgres and on SQLite.
pub fn floors() -> &'static [(&'static str, f64, bool)] {
    &[("accepted_per_s", 1_500.0, true), ("accept_p99_ms", 50.0, false), ("behind_s", 2.0, false)]
}

//! `doctor`: everything a process needs before it can serve, tried one by one, each failure with what to do about it.

use crate::cli::Context;
use crate::config::{Config, Peppers};
use crate::exit::Exit;
use crate::out::say;
use crate::table::Table;
use clawr_engine::clock::{Clock, host_now};
use clawr_engine::db::migrate::{self, Status};
use clawr_engine::db::{Db, Engine, StoreUrl};
use clawr_engine::queue::Queue;
use clawr_engine::seal::Sealing;
use serde_json::{Value as Json, json};
use std::time::Instant;

/// A host whose clock differs from the store's by more than this misleads people who read logs.
const SKEW_MAX_US: i64 = 2_000_000;

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    ok: bool,
    says: String,
    fix: String,
}

fn good(what: &'static str, says: impl Into<String>) -> Finding {
    Finding { what, ok: true, says: says.into(), fix: String::new() }
}

fn bad(what: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, ok: false, says: says.into(), fix: fix.into() }
}

/// Looks at everything; exit 1 if something is not as it should be.
pub async fn run(context: Context) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let mut findings = vec![good("configuration", format!("{} values in force", config.effective.len()))];
    findings.extend(store(&config).await);
    findings.push(peppers(&config));
    findings.push(treasury(&config));
    findings.push(port(&config).await);
    let sick: Vec<&Finding> = findings.iter().filter(|f| !f.ok).collect();
    let is_well = sick.is_empty();
    let items: Vec<Json> = findings.iter().map(|f| json!({ "check": f.what, "ok": f.ok, "says": f.says, "fix": f.fix })).collect();
    let value = json!({ "ok": is_well, "items": items });
    context.out.show(&value, || table(&findings))?;
    sick.iter().for_each(|f| say(&format!("{}: {}", f.what, f.says)));
    Ok(if is_well { Exit::Done } else { Exit::Failed })
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(["", "check", "found", "do"]);
    for f in findings {
        table.row([if f.ok { "✔" } else { "✖" }.to_owned(), f.what.to_owned(), f.says.clone(), f.fix.clone()]);
    }
    table
}

async fn store(config: &Config) -> Vec<Finding> {
    if let StoreUrl::Sqlite(path) = &config.store.url
        && !path.exists()
    {
        return vec![good("store", format!("{} is not there yet; `clawr serve` makes it", path.display()))];
    }
    let db = match Db::open_for_migration(&config.store).await {
        Ok(db) => db,
        Err(error) => return vec![bad("store", error.to_string(), "check store.url, and that the store is up and lets us in")],
    };
    let mut findings = vec![good("store", config.store.url.to_string())];
    findings.extend(settings(&db).await);
    findings.push(clock(&db).await);
    let schema = schema(&db).await;
    let is_current = schema.ok;
    findings.push(schema);
    if is_current {
        findings.push(args_keys(config, &db).await);
    }
    if is_current && db.engine() == Engine::Postgres {
        findings.push(roles(config).await);
    }
    db.close().await;
    findings
}

/// D1's probes answer yes or no; everything else is shown as it is.
async fn settings(db: &Db) -> Vec<Finding> {
    let all = match db.settings().await {
        Ok(all) => all,
        Err(error) => return vec![bad("settings", error.to_string(), "the store was reached but did not answer")],
    };
    let shown = all.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ");
    let broken = all.iter().any(|(name, value)| ["batch_atomic", "binds_exact"].contains(&name.as_str()) && value != "yes");
    vec![if broken { bad("settings", shown, "do not use this gateway: update ops/deploy/d1-gateway") } else { good("settings", shown) }]
}

async fn clock(db: &Db) -> Finding {
    let asked = Instant::now();
    match db.sample_time().await {
        Ok(store) => {
            let skew = host_now() - store - i64::try_from(asked.elapsed().as_micros()).unwrap_or(0) / 2;
            let says = format!("host and store differ by {} ms", skew / 1000);
            if skew.abs() <= SKEW_MAX_US {
                good("clock", says)
            } else {
                bad("clock", says, "set this host's clock (chrony, systemd-timesyncd)")
            }
        }
        Err(error) => bad("clock", error.to_string(), "the store could not tell its time"),
    }
}

async fn schema(db: &Db) -> Finding {
    let all = match migrate::status(db).await {
        Ok(all) => all,
        Err(error) => return bad("schema", error.to_string(), "the list of migrations could not be read"),
    };
    let first = |status: Status| all.iter().find(|(_, s)| *s == status).map(|(name, _)| name.clone());
    if let Some(name) = first(Status::Changed) {
        return bad("schema", format!("{name} was applied with another text"), "run the binary that applied it, or restore the backup");
    }
    if let Some(name) = first(Status::Unknown) {
        return bad("schema", format!("{name} is newer than this binary"), "run a newer clawr");
    }
    match first(Status::Pending) {
        Some(name) => bad("schema", format!("{name} is not applied"), "clawr migrate up"),
        None => good("schema", format!("{} migrations applied", all.len())),
    }
}

async fn roles(config: &Config) -> Finding {
    match Db::open(&config.store).await {
        Ok(db) => {
            db.close().await;
            good("roles", "clawr_worker and clawr_app own nothing and are bound by row security")
        }
        Err(error) => bad("roles", error.to_string(), "grant clawr_worker, clawr_app to the login role"),
    }
}

fn peppers(config: &Config) -> Finding {
    let is_new = matches!(&config.store.url, StoreUrl::Sqlite(path) if !path.exists());
    if is_new {
        return good("peppers", "made with the store");
    }
    match Peppers::load(config, false) {
        Ok(_) => good("peppers", "both can be read"),
        Err(error) => bad("peppers", format!("{error:#}"), "without the right ones every key and every job's identity is lost"),
    }
}

/// Which keys the sealed args of jobs need, and whether they are here.
async fn args_keys(config: &Config, db: &Db) -> Finding {
    let kinds = clawr_kinds::registry().encrypting();
    if kinds.is_empty() {
        return good("args_keys", "no kind of this binary encrypts its args");
    }
    let kinds_told = kinds.join(", ");
    let sealing = Sealing::new(config.args_keys.clone(), kinds);
    let needs = match Queue::sealing(db.clone(), Clock::host(), Vec::new(), sealing).sealed_by_key().await {
        Ok(needs) => needs,
        Err(error) => return bad("args_keys", error.to_string(), "sealed jobs could not be counted"),
    };
    let ring = &config.args_keys;
    let missing: Vec<String> = needs.iter().filter(|(id, _)| !ring.has(id)).map(|(id, jobs)| format!("{id} ({jobs} jobs)")).collect();
    if !missing.is_empty() {
        return bad("args_keys", format!("not here: {}", missing.join(", ")), "put them into secrets.args_keys_file; their jobs wait");
    }
    let one = |(n, id): (usize, &str)| match (n, needs.get(id).copied().unwrap_or(0)) {
        (0, jobs) => format!("{id}, current, {jobs} jobs"),
        (_, 0) => format!("{id}, needed by no job, may be removed"),
        (_, jobs) => format!("{id}, {jobs} jobs; `clawr keys rewrap-args` frees it"),
    };
    match ring.is_empty() {
        true => good("args_keys", format!("none: jobs of {kinds_told} are refused here, and none waits")),
        false => good("args_keys", ring.ids().enumerate().map(one).collect::<Vec<_>>().join("; ")),
    }
}

fn treasury(config: &Config) -> Finding {
    let names: Vec<&str> = config.networks.iter().map(|n| n.id.as_str()).collect();
    match config.networks.first().map(|n| n.treasuries.len()).unwrap_or(0) {
        0 => bad("treasury", "chain.treasury is not set", "set it, or every settlement report is refused"),
        n => good("treasury", format!("{n} address(es) on {}", names.join(", "))),
    }
}

async fn port(config: &Config) -> Finding {
    match tokio::net::TcpListener::bind(config.http.listen).await {
        Ok(_) => good("port", format!("{} is free", config.http.listen)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            good("port", format!("{} is in use: by clawr, one hopes", config.http.listen))
        }
        Err(error) => bad("port", format!("{}: {error}", config.http.listen), "choose another http.listen"),
    }
}

//! What each command does on the running system, and how one sees that it did.

use super::system::System;
use anyhow::{Context as _, ensure};
use clawr_tests::stores::{Kind, TestStore};
use serde_json::{Value as Json, json};

/// Acts, and is seen to have acted.
pub type Act = fn(&System) -> anyhow::Result<()>;

/// A time that comes late enough for a job to stay where it is.
pub const FAR: &str = "2099-01-01T00:00:00Z";

fn items(list: &Json) -> anyhow::Result<&Vec<Json>> {
    list["items"].as_array().context("items")
}

/// The item whose `field` is `value`.
pub fn item<'l>(list: &'l Json, field: &str, value: &str) -> anyhow::Result<&'l Json> {
    items(list)?.iter().find(|item| item[field] == value).with_context(|| format!("no {field} {value} in {list}"))
}

pub fn text<'j>(value: &'j Json, field: &str) -> anyhow::Result<&'j str> {
    value[field].as_str().with_context(|| format!("no {field} in {value}"))
}

pub fn demo(system: &System) -> anyhow::Result<()> {
    let counts = system.json("demo", &["--once"])?;
    ensure!(counts["answers"] == json!({"200": 47, "202": 186, "409": 7, "422": 27}), "{counts}");
    ensure!(counts["entries"] == 186 && counts["ledger"] == "ok" && counts["audit"] == "ok", "{counts}");
    Ok(())
}

pub fn serve(system: &System) -> anyhow::Result<()> {
    let (_process, first) = system.house.start(&["serve", "--json"])?;
    let value: Json = serde_json::from_str(&first)?;
    system.schemas.check("serve", &value)?;
    ensure!(value["queues"] == json!({"money": 4, "chaos": 8}), "{value}");
    let health = system.json("health", &["--url", text(&value, "url")?])?;
    ensure!(health["checks"]["claims"] == true, "{health}");
    Ok(())
}

pub fn work(system: &System) -> anyhow::Result<()> {
    let (process, first) = system.house.start(&["work", "--set", "workers.queues=errands=1", "--json"])?;
    let value: Json = serde_json::from_str(&first)?;
    system.schemas.check("work", &value)?;
    let job = system.job(&["--queue", "errands"])?;
    let record = system.json("jobs show", &[&job, "--wait"])?;
    let workers = system.json("workers", &[])?;
    let ran = items(&workers)?.iter().find(|worker| worker["pid"] == process.pid()).context("its worker")?;
    ensure!(record["state"] == "completed" && ran["queues"].to_string().contains("errands=1"), "{record} {ran}");
    Ok(())
}

/// A store that nobody has migrated.
fn new_store(system: &System) -> String {
    format!("store.url=sqlite://{}/new.db", system.house.folder().display())
}

pub fn migrate_plan(system: &System) -> anyhow::Result<()> {
    let plan = system.json("migrate plan", &["--set", &new_store(system)])?;
    let with_sql = system.json("migrate plan", &["--sql", "--set", &new_store(system)])?;
    ensure!(plan["pending"].as_array().is_some_and(|all| !all.is_empty()), "{plan}");
    ensure!(with_sql["pending"] == plan["pending"] && text(&items(&with_sql)?[0], "sql")?.contains("create table jobs"), "{with_sql}");
    Ok(())
}

pub fn migrate_up(system: &System) -> anyhow::Result<()> {
    let plan = system.json("migrate plan", &["--set", &new_store(system)])?;
    let dry = system.json("migrate plan", &["--set", &new_store(system)])?;
    let up = system.json("migrate up", &["--set", &new_store(system)])?;
    let again = system.json("migrate up", &["--set", &new_store(system)])?;
    ensure!(dry == plan && up["applied"] == plan["pending"] && again["applied"] == json!([]), "{plan} {up} {again}");
    Ok(())
}

pub fn migrate_status(system: &System) -> anyhow::Result<()> {
    let status = system.json("migrate status", &["--set", &new_store(system)])?;
    ensure!(status["current"] == true && items(&status)?.iter().all(|item| item["status"] == "applied"), "{status}");
    Ok(())
}

pub fn doctor(system: &System) -> anyhow::Result<()> {
    let findings = system.json("doctor", &[])?;
    ensure!(findings["ok"] == true && item(&findings, "check", "schema")?["ok"] == true, "{findings}");
    Ok(())
}

/// Every value knows where it came from; a flag wins over the environment, the environment over the file.
pub fn check_config(system: &System) -> anyhow::Result<()> {
    let config = system.json("check-config", &["--set", "log.level=debug"])?;
    let source = |key: &str| anyhow::Ok((text(item(&config, "key", key)?, "value")?, text(item(&config, "key", key)?, "source")?));
    ensure!(source("http.listen")? == ("127.0.0.1:0", "clawr.toml"), "{config}");
    ensure!(source("http.base_url")? == (&*system.api.url, "CLAWR_HTTP__BASE_URL"), "{config}");
    ensure!(source("log.level")? == ("debug", "--set log.level"), "{config}");
    ensure!(source("store.schema")? == ("clawr", "default"), "{config}");
    Ok(())
}

pub fn config_init(system: &System) -> anyhow::Result<()> {
    let file = system.house.folder().join("example.toml");
    let planned = system.json("config init", &["example.toml", "--dry-run"])?;
    ensure!(planned["written"] == false && !file.exists(), "{planned}");
    let written = system.json("config init", &["example.toml"])?;
    ensure!(written["written"] == true && std::fs::read_to_string(&file)? == text(&written, "text")?, "{written}");
    Ok(())
}

pub fn config_keys(system: &System) -> anyhow::Result<()> {
    let keys = system.json("config keys", &[])?;
    ensure!(item(&keys, "key", "http.listen")?["default"] == "127.0.0.1:8080", "{keys}");
    Ok(())
}

pub fn tenants_create(system: &System) -> anyhow::Result<()> {
    let made = system.json("tenants create", &["bakery", "--name", "Bread & Co", "--settings", r#"{"dailySpendUsd":"5"}"#])?;
    let again = system.json("tenants create", &["bakery", "--name", "Bread & Co", "--settings", r#"{"dailySpendUsd":"5"}"#])?;
    ensure!(made == again && made["name"] == "Bread & Co", "{made} {again}");
    Ok(())
}

pub fn tenants_list(system: &System) -> anyhow::Result<()> {
    let list = system.json("tenants list", &[])?;
    ensure!(item(&list, "slug", "bakery")?["config"] == json!({"dailySpendUsd": "5"}), "{list}");
    Ok(())
}

pub fn apis_create(system: &System) -> anyhow::Result<()> {
    let made = system.json("apis create", &["bakery", "rolls", "--type", "dataset", "--price-micros", "1200", "--quota", "9"])?;
    ensure!(made["tenant"] == "bakery" && made["price_micros"] == "1200" && made["quota"] == 9, "{made}");
    Ok(())
}

pub fn apis_list(system: &System) -> anyhow::Result<()> {
    let own = system.json("apis list", &["--tenant", "bakery"])?;
    ensure!(items(&own)?.len() == 1 && item(&own, "slug", "rolls")?["resource_type"] == "dataset", "{own}");
    ensure!(items(&system.json("apis list", &[])?)?.len() == 8, "seven recorded APIs and one more");
    Ok(())
}

/// A key of the tenant acme; its id and its secret.
fn new_key(system: &System) -> anyhow::Result<(String, String)> {
    let made = system.json("keys create", &["--tenant", "acme", "--scope", "read"])?;
    Ok((text(&made, "id")?.to_owned(), text(&made, "secret")?.to_owned()))
}

pub fn keys_create(system: &System) -> anyhow::Result<()> {
    let (_, secret) = new_key(system)?;
    ensure!(system.asked_with(&secret)? == Some(0), "a new key is not taken");
    let signing = system.json("keys create", &["--global", "--scope", "write", "--require-signature"])?;
    ensure!(signing["require_signature"] == true && signing["signing_secret"].is_string(), "no signing secret");
    Ok(())
}

pub fn keys_list(system: &System) -> anyhow::Result<()> {
    let (id, secret) = new_key(system)?;
    let list = system.json("keys list", &[])?;
    ensure!(item(&list, "id", &id)?["last4"] == secret[secret.len() - 4..], "{list}");
    ensure!(!list.to_string().contains(&secret), "a list shows a secret");
    Ok(())
}

pub fn keys_rotate(system: &System) -> anyhow::Result<()> {
    let (id, old) = new_key(system)?;
    let successor = system.json("keys rotate", &[&id, "--overlap-hours", "0"])?;
    ensure!(successor["replaces"] == id && successor["scopes"] == json!(["read"]), "{}", successor["id"]);
    ensure!(system.asked_with(text(&successor, "secret")?)? == Some(0), "the successor is not taken");
    system.locked_out(&old)
}

pub fn keys_revoke(system: &System) -> anyhow::Result<()> {
    let (id, secret) = new_key(system)?;
    let planned = system.json("keys revoke", &[&id, "--dry-run"])?;
    ensure!(planned["revoked"] == false && system.asked_with(&secret)? == Some(0), "a dry run revoked");
    let revoked = system.json("keys revoke", &[&id, "--yes"])?;
    ensure!(revoked == json!({"id": id, "revoked": true}), "{revoked}");
    system.locked_out(&secret)
}

pub fn jobs_enqueue(system: &System) -> anyhow::Result<()> {
    let once = ["chaos_sleep", "--args", r#"{"ms":1}"#, "--key", "cli-once"];
    let made = system.json("jobs enqueue", &once)?;
    let again = system.json("jobs enqueue", &once)?;
    ensure!(made["duplicate"] == false && again["duplicate"] == true && made["id"] == again["id"], "{made} {again}");
    ensure!(system.state(text(&made, "id")?, &["--wait"])? == "completed", "it did not run");
    Ok(())
}

pub fn jobs_list(system: &System) -> anyhow::Result<()> {
    let job = system.job(&["--tag", "findme"])?;
    let list = system.json("jobs list", &["tag:findme"])?;
    ensure!(items(&list)?.len() == 1 && items(&list)?[0]["id"] == job, "{list}");
    Ok(())
}

pub fn jobs_show(system: &System) -> anyhow::Result<()> {
    let job = system.job(&["--priority", "7"])?;
    let record = system.json("jobs show", &[&job, "--wait"])?;
    ensure!(record["state"] == "completed" && record["priority"] == 7 && record["args"] == json!({"ms": 1}), "{record}");
    Ok(())
}

pub fn jobs_cancel(system: &System) -> anyhow::Result<()> {
    let job = system.job(&["--run-at", FAR])?;
    system.json("jobs cancel", &[&job, "--dry-run"])?;
    ensure!(system.state(&job, &[])? == "scheduled", "a dry run cancelled");
    system.json("jobs cancel", &[&job, "--yes"])?;
    ensure!(system.state(&job, &[])? == "cancelled", "it is not cancelled");
    Ok(())
}

pub fn jobs_retry(system: &System) -> anyhow::Result<()> {
    let job = system.job(&["--run-at", FAR])?;
    system.json("jobs cancel", &[&job, "--yes"])?;
    let retried = system.json("jobs retry", &[&job])?;
    ensure!(items(&retried)?[0]["id"] == job, "{retried}");
    ensure!(system.state(&job, &["--wait"])? == "completed", "it did not run again");
    Ok(())
}

pub fn jobs_tail(system: &System) -> anyhow::Result<()> {
    let jobs = [system.job(&[])?, system.job(&[])?];
    let lines = system.lines("jobs tail", &["kind:chaos_sleep", "-n", "2"])?;
    let ids: Vec<&Json> = lines.iter().map(|line| &line["id"]).collect();
    ensure!(ids == [&jobs[0], &jobs[1]], "{ids:?}, not {jobs:?}");
    Ok(())
}

pub fn workers(system: &System) -> anyhow::Result<()> {
    let list = system.json("workers", &[])?;
    let own = items(&list)?.iter().find(|worker| worker["pid"] == system.worker.pid()).context("the worker's row")?;
    ensure!(own["state"] == "live" && own["queues"] == json!(["chaos=8", "effects=4", "money=4"]), "{own}");
    Ok(())
}

pub fn settlements_list(system: &System) -> anyhow::Result<()> {
    let list = system.json("settlements list", &["--limit", "200"])?;
    ensure!(items(&list)?.len() == system.payments, "{} of {}", items(&list)?.len(), system.payments);
    let acme = system.json("settlements list", &["--tenant", "acme", "--state", "reported"])?;
    ensure!(items(&acme)?.iter().all(|one| one["tenant"] == "acme" && one["state"] == "reported"), "{acme}");
    let bare: Json = serde_json::from_str(&system.text(&["settlements", "--json"])?)?;
    ensure!(items(&bare)?.first() == items(&list)?.first(), "without a word it is the list");
    Ok(())
}

pub fn settlements_show(system: &System) -> anyhow::Result<()> {
    let list = system.json("settlements list", &["--limit", "1"])?;
    let one = system.json("settlements show", &[text(&items(&list)?[0], "id")?])?;
    ensure!(one["entry_id"].is_string() && one["nonce"] == items(&list)?[0]["nonce"], "{one}");
    Ok(())
}

pub fn ledger_balances(system: &System) -> anyhow::Result<()> {
    let list = system.json("ledger balances", &[])?;
    let sum = |side: &str| -> anyhow::Result<u64> { items(&list)?.iter().map(|account| Ok(text(account, side)?.parse::<u64>()?)).sum() };
    ensure!(sum("debits_micros")? > 0 && sum("debits_micros")? == sum("credits_micros")?, "{list}");
    Ok(())
}

pub fn ledger_verify(system: &System) -> anyhow::Result<()> {
    let proof = system.json("ledger verify", &[])?;
    ensure!(proof["balanced"] == true && proof["entries"] == system.payments, "{proof}");
    Ok(())
}

pub fn audit_tail(system: &System) -> anyhow::Result<()> {
    let posted = system.lines("audit tail", &["--action", "settlement.posted", "-n", "5"])?;
    ensure!(posted.len() == 5 && posted.iter().all(|line| line["action"] == "settlement.posted"), "{posted:?}");
    let newest = system.lines("audit tail", &["--action", "job.cancelled"])?;
    ensure!(newest.last().is_some_and(|line| line["metadata"]["from"] == "scheduled"), "{newest:?}");
    Ok(())
}

pub fn audit_verify(system: &System) -> anyhow::Result<()> {
    let proof = system.json("audit verify", &[])?;
    ensure!(proof["whole"] == true && proof["entries"].as_u64() > Some(system.payments as u64), "{proof}");
    Ok(())
}

pub fn health(system: &System) -> anyhow::Result<()> {
    let health = system.json("health", &[])?;
    ensure!(health["ready"] == true, "{health}");
    Ok(())
}

pub fn bench_queue(system: &System) -> anyhow::Result<()> {
    let report = system.json("bench queue", &["--jobs", "20", "--enqueue-secs", "1", "--pickups", "2"])?;
    ensure!(report["figures"]["drain_per_s"].as_f64() > Some(0.0), "{report}");
    Ok(())
}

pub fn bench_intake(system: &System) -> anyhow::Result<()> {
    let report = system.json("bench intake", &["--seconds", "1", "--connections", "1"])?;
    ensure!(report["figures"]["accepted"].as_f64() > Some(0.0), "{report}");
    Ok(())
}

pub fn bench_limits(system: &System) -> anyhow::Result<()> {
    let report = system.json("bench limits", &["--jobs", "20"])?;
    ensure!(report["figures"]["drain_under_limits_per_s"].as_f64() > Some(0.0), "{report}");
    Ok(())
}

/// Fills a Postgres; with stores chosen by hand and none among them it is seen to ask for one.
pub fn bench_flat(system: &System) -> anyhow::Result<()> {
    if !Kind::fast().contains(&Kind::Postgres) {
        return Ok(());
    }
    let store = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(TestStore::start(Kind::Postgres)))?;
    let few = ["--ready", "1000", "--scheduled", "100", "--archived", "1000", "--hold-snapshot", "0s"];
    let url = store.config.url.to_string();
    let report = system.json("bench flat", &[&["--store", url.as_str()], few.as_slice()].concat())?;
    ensure!(report["figures"]["drain_ratio"].as_f64() > Some(0.0), "{report}");
    Ok(())
}

pub fn bench_shares(system: &System) -> anyhow::Result<()> {
    let report = system.json("bench shares", &["--ready", "10000", "--seconds", "2"])?;
    ensure!(report["figures"]["jain_worst_minute"].as_f64() > Some(0.8), "{report}");
    Ok(())
}

pub fn bench_cron(system: &System) -> anyhow::Result<()> {
    let report = system.json("bench cron", &["--rounds", "1"])?;
    ensure!(report["figures"]["next_us_median"].as_f64() > Some(0.0) && report["settings"]["expressions"] == "2000", "{report}");
    Ok(())
}

pub fn completions(system: &System) -> anyhow::Result<()> {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = system.text(&["completions", shell])?;
        let value = system.json("completions", &[shell])?;
        ensure!(script.contains("settlements") && value == json!({"shell": shell, "script": script}), "{shell}: {script}");
    }
    Ok(())
}

pub fn man(system: &System) -> anyhow::Result<()> {
    let page = system.text(&["man"])?;
    ensure!(page.contains(".SH COMMAND JOBS") && system.json("man", &[])?["page"] == page, "{page}");
    Ok(())
}

pub fn jobs_replay(system: &System) -> anyhow::Result<()> {
    let job = system.job(&[])?;
    ensure!(system.state(&job, &["--wait"])? == "completed", "it did not run");
    let replayed = system.json("jobs replay", &[&job])?;
    let again = system.json("jobs replay", &[&job])?;
    let id = text(&items(&replayed)?[0], "id")?.to_owned();
    ensure!(id != job && items(&again)?[0]["id"] == id && items(&again)?[0]["duplicate"] == true, "{replayed} {again}");
    ensure!(system.state(&id, &["--wait"])? == "completed", "the replay did not run");
    Ok(())
}

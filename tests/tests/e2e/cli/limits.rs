//! How many run at once: limits made, shown and ended.

use super::acts::item;
use super::system::System;
use anyhow::ensure;

pub fn limit(system: &System) -> anyhow::Result<()> {
    let limit = ["cellar", "--concurrency", "2", "--why", "it is narrow", "--until", "1h"];
    let made = system.json("queues limit", &limit)?;
    ensure!(made["what"] == "queue" && made["value"] == "cellar" && made["concurrency"] == 2 && made["until"].is_string(), "{made}");
    let all = ["--all", "--rate", "1000000/1m", "--per-tenant", "--why", "enough for everybody"];
    let made = system.json("queues limit", &all)?;
    ensure!(made["every_us"] == 60 && made["burst"] == 1_000_000 && made["per_tenant"] == true, "{made}");
    let job = system.job(&[])?;
    ensure!(system.state(&job, &["--wait"])? == "completed", "a limit far away kept a job back");
    Ok(())
}

pub fn limits(system: &System) -> anyhow::Result<()> {
    let list = system.json("queues limits", &[])?;
    let cellar = item(&list, "value", "cellar")?;
    ensure!(cellar["why"] == "it is narrow", "{cellar}");
    Ok(())
}

pub fn unlimit(system: &System) -> anyhow::Result<()> {
    let list = system.json("queues limits", &[])?;
    for limit in list["items"].as_array().into_iter().flatten() {
        let ended = system.json("queues unlimit", &[limit["id"].as_str().unwrap_or_default()])?;
        ensure!(ended["ended"] == true, "{ended}");
    }
    let list = system.json("queues limits", &[])?;
    ensure!(list["items"].as_array().is_some_and(Vec::is_empty), "{list}");
    Ok(())
}

pub fn share(system: &System) -> anyhow::Result<()> {
    let made = system.json("queues share", &["chaos", "--why", "nobody waits behind a crowd"])?;
    ensure!(made["queue"] == "chaos" && made["weights"] == serde_json::json!({}), "{made}");
    let job = system.job(&[])?;
    ensure!(system.state(&job, &["--wait"])? == "completed", "a shared queue kept a job back");
    Ok(())
}

pub fn shares(system: &System) -> anyhow::Result<()> {
    let list = system.json("queues shares", &[])?;
    ensure!(item(&list, "queue", "chaos")?["why"] == "nobody waits behind a crowd", "{list}");
    Ok(())
}

pub fn unshare(system: &System) -> anyhow::Result<()> {
    let ended = system.json("queues unshare", &["chaos"])?;
    ensure!(ended["ended"] == true, "{ended}");
    Ok(())
}

//! A sequence that a dead job stops is listed, explained, and let go on by the command that explain names.

use super::system::System;
use anyhow::{Context as _, ensure};
use serde_json::json;

const KEY: &str = "chaos_sequence/the till";

fn made(system: &System, dead: bool) -> anyhow::Result<String> {
    let args = json!({ "account": "the till", "dead": dead }).to_string();
    let made = system.json("jobs enqueue", &["chaos_sequence", "--args", &args])?;
    ensure!(made["sequence"] == KEY, "{made}");
    Ok(made["id"].as_str().context("an id")?.to_owned())
}

pub fn list(system: &System) -> anyhow::Result<()> {
    let dead = made(system, true)?;
    ensure!(system.state(&dead, &["--wait"])? == "dead", "it did not die");
    let waits = made(system, false)?;
    ensure!(system.state(&waits, &[])? == "blocked", "it did not wait");
    let list = system.json("sequences list", &[])?;
    let ours = list["items"].as_array().into_iter().flatten().find(|one| one["key"] == KEY).context("it is not listed")?;
    ensure!(ours["job_id"] == dead.as_str() && ours["state"] == "dead" && ours["waiting"] == 1, "{list}");
    let why = system.json("jobs explain", &[&waits])?;
    let fix = why["first_closed"]["fix"].as_str().unwrap_or_default();
    ensure!(fix == format!("clawr sequences unblock '{KEY}' --job {dead}"), "{why}");
    Ok(())
}

pub fn unblock(system: &System) -> anyhow::Result<()> {
    let named = system.json("jobs enqueue", &["chaos_sleep", "--args", r#"{"ms":1}"#, "--sequence", "by name"])?;
    ensure!(named["sequence"] == "by name", "{named}");
    let last = made(system, false)?;
    let answer = system.json("sequences unblock", &[KEY, "--reason", "paid by hand"])?;
    let next = answer["next_job_id"].as_str().context("nobody goes on")?;
    ensure!(system.state(next, &["--wait"])? == "completed" && system.state(&last, &["--wait"])? == "completed", "{answer}");
    Ok(())
}

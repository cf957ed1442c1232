//! What the commands of effects do: a provider that tells nothing leaves a payment in doubt, and two people end it.

use super::system::System;
use anyhow::{Context as _, ensure};
use serde_json::{Value as Json, json};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const SAID: [&str; 4] = ["--evidence", "the provider's letter", "--reason", "asked by telephone"];

/// A job whose payment nobody knows of; its effect as it is listed.
fn in_doubt(system: &System, key: &str) -> anyhow::Result<Json> {
    let provider = TcpListener::bind("127.0.0.1:0")?;
    let args = json!({"provider": provider.local_addr()?.to_string(), "class": "provable", "key": key}).to_string();
    std::thread::spawn(move || provider.incoming().for_each(drop));
    system.json("jobs enqueue", &["chaos_effect", "--args", &args])?;
    let started = Instant::now();
    loop {
        let list = system.json("effects list", &["--state", "unknown"])?;
        let found = list["items"].as_array().and_then(|items| items.iter().find(|e| e["key"] == key)).cloned();
        if let Some(effect) = found {
            return Ok(effect);
        }
        ensure!(started.elapsed() < Duration::from_secs(20), "no effect {key} in doubt: {list}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn id(effect: &Json) -> anyhow::Result<&str> {
    effect["id"].as_str().context("an id")
}

pub fn list(system: &System) -> anyhow::Result<()> {
    let effect = in_doubt(system, "cli:listed")?;
    ensure!(effect["money"] == true && effect["class"] == "provable", "{effect}");
    let confirmed = system.json("effects list", &["--state", "confirmed"])?;
    ensure!(!confirmed.to_string().contains("cli:listed"), "{confirmed}");
    Ok(())
}

pub fn show(system: &System) -> anyhow::Result<()> {
    let effect = in_doubt(system, "cli:shown")?;
    let shown = system.json("effects show", &[id(&effect)?])?;
    ensure!(shown["observations"][0]["verdict"] == "unknown" && shown["key"] == "cli:shown", "{shown}");
    Ok(())
}

pub fn resolve(system: &System) -> anyhow::Result<()> {
    let effect = in_doubt(system, "cli:resolved")?;
    let words = [&[id(&effect)?, "--verdict", "confirmed"][..], &SAID].concat();
    let first = system.json("effects resolve", &words)?;
    ensure!(first["settled"] == false && first["needs_second_person"] == true, "{first}");
    let colleague = system.json("keys create", &["--global", "--scope", "admin"])?;
    let secret = colleague["secret"].as_str().context("a secret")?;
    let out = system.run_with(&[&["effects", "resolve"], &words[..], &["--json"]].concat(), secret)?;
    let second: Json = serde_json::from_slice(&out.stdout)?;
    ensure!(second["settled"] == true && second["effect"]["state"] == "confirmed", "{second}");
    let job = effect["job_id"].as_str().context("a job")?;
    let record = system.json("jobs show", &[job, "--wait"])?;
    ensure!(record["state"] == "completed" && record["result"]["outcome"] == "confirmed", "{record}");
    Ok(())
}

//! What jobs wait for, told by hand.

use super::system::System;
use anyhow::{Context as _, ensure};
use serde_json::json;

pub fn send(system: &System) -> anyhow::Result<()> {
    let args = json!({"name": "paid", "key": "cli order"}).to_string();
    let made = system.json("jobs enqueue", &["chaos_wait", "--args", &args])?;
    let job = made["id"].as_str().context("an id")?;
    let words = ["paid", "cli order", "--payload", r#"{"tx":"0x1"}"#, "--id", "cli-1"];
    let sent = system.json("signals send", &words)?;
    ensure!(sent["duplicate"] == false && sent["id"] == "cli-1", "{sent}");
    let record = system.json("jobs show", &[job, "--wait"])?;
    ensure!(record["state"] == "completed" && record["result"]["payload"]["tx"] == "0x1", "{record}");
    let again = system.json("signals send", &words)?;
    ensure!(again["duplicate"] == true && again["job_id"] == job, "{again}");
    Ok(())
}

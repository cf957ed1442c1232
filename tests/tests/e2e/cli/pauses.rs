//! What waits and why: pauses, and the gates before a job.

use super::acts::{FAR, item};
use super::system::System;
use anyhow::ensure;

pub fn list(system: &System) -> anyhow::Result<()> {
    system.job(&["--queue", "attic", "--run-at", FAR])?;
    let list = system.json("queues list", &[])?;
    let attic = item(&list, "name", "attic")?;
    ensure!(attic["depth"] == 1 && attic["states"]["scheduled"] == 1, "{attic}");
    Ok(())
}

pub fn pause(system: &System) -> anyhow::Result<()> {
    let pause = system.json("queues pause", &["--tag", "fragile", "--why", "a broken crate", "--until", "1h"])?;
    ensure!(pause["what"] == "tag" && pause["value"] == "fragile" && pause["why"] == "a broken crate", "{pause}");
    let job = system.job(&["--tag", "fragile"])?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    ensure!(system.state(&job, &[])? == "available", "a paused job was run");
    Ok(())
}

pub fn explain(system: &System) -> anyhow::Result<()> {
    system.json("queues pause", &["--tag", "explained", "--why", "to be explained"])?;
    let job = system.job(&["--tag", "explained"])?;
    let told = system.json("jobs explain", &[&job])?;
    ensure!(told["eligible"] == false && told["first_closed"]["gate"] == "pause", "{told}");
    let fix = told["first_closed"]["fix"].as_str().unwrap_or_default();
    ensure!(fix.contains("queues resume --tag explained"), "{told}");
    system.json("jobs explain", &[&job, "--twice"])?;
    system.json("queues resume", &["--tag", "explained"])?;
    ensure!(system.state(&job, &["--wait"])? == "completed", "it does not run after its fix");
    Ok(())
}

pub fn resume(system: &System) -> anyhow::Result<()> {
    system.json("queues pause", &["loft", "--why", "for a while"])?;
    let resumed = system.json("queues resume", &["loft"])?;
    ensure!(resumed["resumed"] == true && resumed["value"] == "loft", "{resumed}");
    let list = system.json("queues list", &[])?;
    ensure!(!list.to_string().contains("for a while"), "{list}");
    Ok(())
}

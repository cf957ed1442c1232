//! What holds for the processes that stay: signals end them gracefully with a code that tells which, logs are as asked.

use crate::dispatcher::until;
use anyhow::{Context as _, ensure};
use clawr_tests::binary::House;
use clawr_tests::stores::{Kind, TestStore};
use std::time::Duration;

/// Long enough that a stop meets it running, short enough for the grace that running jobs have.
const SLOW: &str = r#"{"ms":1500}"#;

#[tokio::test(flavor = "multi_thread")]
async fn signals() {
    for (command, signal, exit) in [("serve", "TERM", 0), ("serve", "INT", 130), ("work", "TERM", 0), ("work", "INT", 130)] {
        stopped(command, signal, exit).await.unwrap_or_else(|error| panic!("{command}, {signal}: {error:#}"));
        println!("  {command} ends with {exit} on SIG{signal}, after the job that was running");
    }
}

/// A process that is asked to stop while a job runs lets it finish, and says so with its exit code.
async fn stopped(command: &str, signal: &str, exit: i32) -> anyhow::Result<()> {
    let store = TestStore::start(Kind::Sqlite).await?;
    let house = House::on(&store)?;
    let key = house.key()?;
    let (_server, url) = house.serve()?;
    let (mut process, _) = house.start(&[command])?;
    let ask = |arguments: &[&str]| -> anyhow::Result<serde_json::Value> {
        let out = house.command(arguments).args(["--json", "--url", &url]).env("CLAWR_API_KEY", &key.secret).output()?;
        ensure!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        Ok(serde_json::from_slice(&out.stdout)?)
    };
    let made = ask(&["jobs", "enqueue", "chaos_sleep", "--args", SLOW])?;
    let job = made["id"].as_str().context("id")?;
    let running = async || Ok((ask(&["jobs", "show", job])?["state"] == "running").then_some(()));
    until("the job runs", Duration::from_secs(10), running).await?;
    process.signal(signal);
    let status = process.ended(Duration::from_secs(10)).await.context("it did not end")?;
    ensure!(status.code() == Some(exit), "{status}");
    let record = ask(&["jobs", "show", job])?;
    ensure!(record["state"] == "completed" && record["attempt"] == 1, "{record}");
    ensure!(house.said().contains("stopped"), "{}", house.said());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn logs() {
    for (format, is_json) in [("json", true), ("pretty", false)] {
        let line = first_log_line(format).await.unwrap_or_else(|error| panic!("{format}: {error:#}"));
        let parsed = serde_json::from_str::<serde_json::Value>(&line);
        let is_record = parsed.is_ok_and(|record| record["level"].is_string() && record["timestamp"].is_string());
        assert_eq!(is_record, is_json, "{format}: {line}");
        println!("  {format}: {line}");
    }
}

/// The first line of the log of a server that starts on a store of its own: what it tells of making that store.
async fn first_log_line(format: &str) -> anyhow::Result<String> {
    let store = TestStore::start(Kind::Sqlite).await?;
    let house = House::on(&store)?;
    let fresh = format!("store.url=sqlite://{}/fresh.db", house.folder().display());
    let format = format!("log.format={format}");
    let (_server, _) = house.start(&["serve", "--set", &fresh, "--set", &format, "--set", "log.level=info"])?;
    let said = house.said();
    Ok(said.lines().find(|line| line.contains("made a new embedded store")).context("nothing logged")?.to_owned())
}

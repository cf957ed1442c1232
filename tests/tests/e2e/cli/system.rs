//! The running system the commands act on: a file store, a server without workers, a worker process, recorded payments
//! posted and in the ledger.

use super::schemas::Schemas;
use crate::dispatcher::{Api, people, until};
use anyhow::{Context as _, ensure};
use clawr_tests::binary::{House, Process};
use clawr_tests::fixtures;
use clawr_tests::stores::{Kind, TestStore};
use serde_json::Value as Json;
use std::cell::Cell;
use std::process::Output;
use std::time::{Duration, Instant};

/// How many of the recorded reports are enough.
const REPORTS: usize = 40;
/// A job and a key that nobody made.
const NOBODYS: &str = "01930000-0000-7000-8000-000000000000";

/// Processes, key, and what was asked of them.
pub struct System {
    pub house: House,
    pub api: Api,
    pub worker: Process,
    pub schemas: Schemas,
    /// How many payments were posted.
    pub payments: usize,
    calls: Cell<usize>,
    _server: Process,
    store: TestStore,
}

impl System {
    /// Starts it, and waits until everything reported is posted.
    pub async fn start() -> anyhow::Result<System> {
        let store = TestStore::start(Kind::Sqlite).await?;
        let house = House::on(&store)?;
        let key = house.key()?;
        let (server, url) = house.serve()?;
        let worker = house.work("")?;
        let api = Api::new(url, key);
        people(&api).await?;
        let payments = post(&api).await?;
        until("all posted", Duration::from_secs(60), async || Ok((api.jobs("completed").await? == payments).then_some(()))).await?;
        let system = System { house, api, worker, schemas: Schemas::default(), payments, calls: Cell::new(0), _server: server, store };
        system.write_keys()?;
        Ok(system)
    }

    /// Runs a command against the server, with the key.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.run_with(arguments, &self.api.key.secret)
    }

    /// The same with another key.
    pub fn run_with(&self, arguments: &[&str], key: &str) -> anyhow::Result<Output> {
        self.calls.set(self.calls.get() + 1);
        let mut command = self.house.command(arguments);
        command.env("CLAWR_HTTP__BASE_URL", &self.api.url).env("CLAWR_API_KEY", key);
        command.output().with_context(|| format!("failed to run clawr {arguments:?}"))
    }

    /// Data that a command prints with `--json`, one value a line, each as its schema says.
    pub fn lines(&self, command: &str, arguments: &[&str]) -> anyhow::Result<Vec<Json>> {
        let words: Vec<&str> = command.split(' ').chain(arguments.iter().copied()).chain(["--json"]).collect();
        let out = self.run(&words)?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{words:?}: {}: {said}", out.status);
        let text = String::from_utf8(out.stdout)?;
        let values = text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("{words:?}: {line}")));
        let values = values.collect::<anyhow::Result<Vec<Json>>>()?;
        for value in &values {
            self.schemas.check(command, value)?;
        }
        Ok(values)
    }

    /// The one value that a command prints with `--json`.
    pub fn json(&self, command: &str, arguments: &[&str]) -> anyhow::Result<Json> {
        let mut values = self.lines(command, arguments)?;
        ensure!(values.len() == 1, "{command} {arguments:?} printed {} lines", values.len());
        Ok(values.remove(0))
    }

    /// The text that a command prints without `--json`.
    pub fn text(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let out = self.run(arguments)?;
        ensure!(out.status.success(), "{arguments:?}: {}: {}", out.status, String::from_utf8_lossy(&out.stderr));
        Ok(String::from_utf8(out.stdout)?)
    }

    /// A job of the tests' kind; `more` are arguments of `jobs enqueue`. Its id.
    pub fn job(&self, more: &[&str]) -> anyhow::Result<String> {
        let made = self.json("jobs enqueue", &[&["chaos_sleep", "--args", r#"{"ms":1}"#], more].concat())?;
        Ok(made["id"].as_str().context("id")?.to_owned())
    }

    /// The state of a job as the API has it, at its end if it comes soon.
    pub fn state(&self, job: &str, more: &[&str]) -> anyhow::Result<Json> {
        Ok(self.json("jobs show", &[&[job], more].concat())?["state"].clone())
    }

    /// The exit code of a question asked with this key.
    pub fn asked_with(&self, key: &str) -> anyhow::Result<Option<i32>> {
        Ok(self.run_with(&["jobs", "list", "-n", "1"], key)?.status.code())
    }

    /// A key that was good is not any more, within the time that is promised for it.
    pub fn locked_out(&self, key: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        while self.asked_with(key)? != Some(5) {
            ensure!(started.elapsed() < Duration::from_secs(8), "the key is still good");
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// A word of a call, with what only a running system knows.
    pub fn filled(&self, word: &str) -> String {
        let address = self.api.url.trim_start_matches("http://");
        word.replace("{address}", address).replace("{folder}", &self.house.folder().to_string_lossy()).replace("{nobodys}", NOBODYS)
    }

    /// How many commands were run.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// What `ledger verify` and `audit verify` are for.
    pub async fn falsify_the_books(&self) -> anyhow::Result<()> {
        self.store.by_hand("update accounts set debits = debits + 1, credits = credits + 1").await?;
        self.store.by_hand("drop trigger audit_log_no_update").await?;
        self.store.by_hand("update audit_log set object = 'another' where action = 'settlement.posted'").await
    }

    /// Files with keys: one that may next to nothing, one that nobody issued.
    fn write_keys(&self) -> anyhow::Result<()> {
        let weak = self.json("keys create", &["--tenant", "acme", "--scope", "deploy"])?;
        std::fs::write(self.house.folder().join("weak"), weak["secret"].as_str().context("secret")?)?;
        let mut forged = self.api.key.secret.clone();
        forged.replace_range(forged.len() - 8.., "AAAAAAAA");
        Ok(std::fs::write(self.house.folder().join("forged"), forged)?)
    }
}

/// Posts the first reports; how many payments they tell of.
async fn post(api: &Api) -> anyhow::Result<usize> {
    let mut payments = 0;
    for (line, want) in fixtures::x402("events.jsonl").lines().zip(fixtures::expected()).take(REPORTS) {
        let (status, body) = api.report(line).await?;
        ensure!(status == want.status, "{status} {body}, want {want:?}");
        payments += usize::from(status == 202);
    }
    Ok(payments)
}

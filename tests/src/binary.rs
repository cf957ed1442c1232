//! The built `clawr` binary as processes on a test's store: started, asked, killed.

use crate::fixtures;
use crate::postgres::scratch;
use crate::stores::TestStore;
use anyhow::{Context as _, ensure};
use clawr_engine::db::StoreUrl;
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// The binary with fail points and the tests' kinds, which `ops/test` builds before the tests run.
#[expect(clippy::disallowed_methods, reason = "the tests are told by ops/test where the binary is")]
pub fn clawr() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/clawr");
    let path = std::env::var("CLAWR_TEST_BIN").map_or(built, PathBuf::from);
    assert!(path.exists(), "{} is missing: cargo build --workspace --all-features", path.display());
    path
}

/// The keys of its processes for sealed args.
pub const ARGS_KEYS: &str = "k1 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// The binary of an earlier commit, which `ops/test older` builds.
#[expect(clippy::disallowed_methods, reason = "the tests are told by ops/test where the binary is")]
pub fn older() -> PathBuf {
    let path = std::env::var("CLAWR_TEST_OLDER_BIN").map(PathBuf::from);
    let path = path.expect("CLAWR_TEST_OLDER_BIN names the older binary; `ops/test older` builds it and runs this");
    assert!(path.exists(), "{} is missing: ops/test older", path.display());
    path
}

/// A configuration folder for processes on one store.
pub struct House {
    folder: PathBuf,
    binary: PathBuf,
}

/// A running process of the binary; killed when dropped.
pub struct Process {
    child: Child,
}

/// A global key with every scope.
#[derive(Clone)]
pub struct Key {
    /// Bearer.
    pub secret: String,
    /// Of signed reports.
    pub signing_secret: String,
}

impl House {
    /// Writes the configuration of the recorded chain on `store`.
    pub fn on(store: &TestStore) -> anyhow::Result<House> {
        Self::of(store, clawr(), &[("args_keys_file", "args-keys", ARGS_KEYS)])
    }

    /// The same for the older binary, which knows fewer settings.
    pub fn older(store: &TestStore) -> anyhow::Result<House> {
        Self::of(store, older(), &[])
    }

    fn of(store: &TestStore, binary: PathBuf, secrets: &[(&str, &str, &str)]) -> anyhow::Result<House> {
        let folder = scratch("house")?;
        let given = fixtures::x402_json("given.json");
        let file = |name: &str, text: &str| -> anyhow::Result<String> {
            let path = folder.join(name);
            std::fs::write(&path, text)?;
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            Ok(path.display().to_string())
        };
        let mut lines = vec![format!("[store]\nurl = {}", json!(url(store)))];
        if let Some(token) = &store.config.token {
            lines.push(format!("token_file = {}", json!(file("token", token)?)));
        }
        lines.push("[http]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n[log]\nformat = \"json\"\nlevel = \"warn\"".into());
        lines.push("[workers]\nqueues = { money = 4, chaos = 8 }\nshutdown_grace_s = 5".into());
        lines.push(format!("[chain]\nnetwork = \"eip155:84532\"\ntreasury = {}", given["treasuries"][0]));
        lines.push(format!("former_treasuries = [{}]", given["treasuries"][1]));
        let (register, key) =
            (file("register", "a register pepper of tests, 32 bytes")?, file("key", "a key pepper of tests, of 32 bytes..")?);
        lines.push(format!("[secrets]\nregister_pepper_file = {}\nkey_pepper_file = {}", json!(register), json!(key)));
        for (setting, name, text) in secrets {
            lines.push(format!("{setting} = {}", json!(file(name, text)?)));
        }
        file("clawr.toml", &(lines.join("\n") + "\n"))?;
        Ok(House { folder, binary })
    }

    /// Where its processes run, and where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command with this configuration and nothing of this process's own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.folder).args(["--config", "clawr.toml"]).args(arguments);
        for name in [
            "CLAWR_TEST_STORES",
            "CLAWR_TEST_PG_BIN",
            "CLAWR_TEST_NODE",
            "CLAWR_TEST_BIN",
            "CLAWR_TEST_OLDER_BIN",
            "CLAWR_CHAOS",
            "FAILPOINTS",
        ] {
            command.env_remove(name);
        }
        command.env("HOME", &self.folder).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.command(arguments).output().with_context(|| format!("failed to run clawr {arguments:?}"))
    }

    /// Runs a command that must succeed; its JSON.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Json> {
        let out = self.run(arguments)?;
        ensure!(out.status.success(), "clawr {arguments:?}: {} {}", out.status, String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).with_context(|| format!("clawr {arguments:?}: {}", String::from_utf8_lossy(&out.stdout)))
    }

    /// A key for a dispatcher and operator.
    pub fn key(&self) -> anyhow::Result<Key> {
        let made = self.json(&["keys", "create", "--global", "--scope", "read,write,admin,deploy", "--require-signature", "--json"])?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {made}"));
        Ok(Key { secret: text("secret")?, signing_secret: text("signing_secret")? })
    }

    /// `serve --no-workers`; the process and its URL.
    pub fn serve(&self) -> anyhow::Result<(Process, String)> {
        let (process, first) = self.start(&["serve", "--no-workers"])?;
        let url = first.strip_prefix("listening on ").with_context(|| format!("unexpected: {first}"))?.to_owned();
        Ok((process, url))
    }

    /// A command that stays; the process and the first line of its output.
    pub fn start(&self, arguments: &[&str]) -> anyhow::Result<(Process, String)> {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(self.log()?).spawn()?;
        let out = child.stdout.take().context("stdout")?;
        let first = BufReader::new(out).lines().next().with_context(|| format!("clawr {arguments:?} ended without a word"))??;
        Ok((Process { child }, first))
    }

    /// `work`, with fail points (`name=action`) or none.
    pub fn work(&self, fail_points: &str) -> anyhow::Result<Process> {
        if fail_points.is_empty() {
            return self.work_in([]);
        }
        self.work_in([("FAILPOINTS".to_owned(), fail_points.to_owned())])
    }

    /// `work`, with more in its environment.
    pub fn work_in(&self, env: impl IntoIterator<Item = (String, String)>) -> anyhow::Result<Process> {
        let mut command = self.command(&["work"]);
        command.envs(env);
        Ok(Process { child: command.stdout(Stdio::null()).stderr(self.log()?).spawn()? })
    }

    fn log(&self) -> anyhow::Result<std::fs::File> {
        Ok(std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"))?)
    }

    /// What all processes said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said();
            let tail: Vec<&str> = said.lines().rev().take(30).collect();
            eprintln!("the processes said, newest first:\n{}", tail.join("\n"));
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("failed to remove {}: {error}", self.folder.display());
        }
    }
}

impl Process {
    /// Its process id, by which the store knows it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|s| s.success()), "failed to send {name}");
    }

    /// kill -9, and gone.
    pub fn kill(mut self) {
        self.signal("KILL");
        drop(self.child.wait());
    }

    /// Asks it to stop, and waits until it is gone.
    pub fn stop(mut self) {
        self.signal("TERM");
        drop(self.child.wait());
    }

    /// Waits until it ends by itself; whether it was killed by a signal.
    pub async fn died(&mut self, limit: Duration) -> bool {
        self.ended(limit).await.is_some_and(|status| std::os::unix::process::ExitStatusExt::signal(&status).is_some())
    }

    /// Waits until it ends by itself; how it did.
    pub async fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let started = std::time::Instant::now();
        while started.elapsed() < limit {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn url(store: &TestStore) -> String {
    match &store.config.url {
        StoreUrl::Postgres(url) => url.clone(),
        other => other.to_string(),
    }
}

//! The D1 gateway on real workerd, as a child process: the other side of the contract that the in-process fake keeps.
//!
//! It needs Node and miniflare, which `tests/d1/package.json` pins; nothing is downloaded here.

use anyhow::{Context, bail, ensure};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TOKEN: &str = "workerd-d1-token";
const NODE_MIN: (u32, u32) = (22, 12);
const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const SETUP: &str = "run ops/test --setup";

/// A running gateway with an empty in-memory database; it stops when dropped.
pub struct Workerd {
    child: Child,
    port: u16,
}

impl Workerd {
    /// Starts workerd on a free loopback port and waits until it answers.
    pub async fn start() -> anyhow::Result<Workerd> {
        Self::start_with(&[]).await
    }

    /// The same with more of the gateway's environment, for example `SQL_ALLOW`.
    pub async fn start_with(environment: &[(&str, &str)]) -> anyhow::Result<Workerd> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("d1");
        ensure!(folder.join("node_modules/miniflare").is_dir(), "tests/d1/node_modules is missing: {SETUP}");
        let node = node(&folder)?;
        let port = free_port()?;
        let mut workerd = Workerd { child: spawn(&node, &folder, port, environment)?, port };
        workerd.wait_until_ready().await?;
        Ok(workerd)
    }

    /// The store URL.
    pub fn url(&self) -> String {
        format!("d1+http://127.0.0.1:{}/acc/db", self.port)
    }

    /// The token it takes.
    pub fn token(&self) -> &str {
        TOKEN
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let stdout = self.child.stdout.take().context("standard output is piped")?;
        let line = tokio::task::spawn_blocking(move || first_line(stdout));
        let line = tokio::time::timeout(START_TIMEOUT, line).await.context("workerd did not start in time")???;
        ensure!(line.trim() == "ready", "workerd did not start; it said {line:?}");
        Ok(())
    }
}

/// Closing its standard input asks the child to stop workerd and leave; one that does not is killed.
impl Drop for Workerd {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        if matches!(self.child.try_wait(), Ok(None)) && self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn spawn(node: &Path, folder: &Path, port: u16, environment: &[(&str, &str)]) -> anyhow::Result<Child> {
    Command::new(node)
        .arg(folder.join("workerd.mjs"))
        .arg(port.to_string())
        .env("GATEWAY_TOKEN", TOKEN)
        .env("STOP_WITH_STDIN", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to run {}", node.display()))
}

fn first_line(out: impl Read) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    Ok(line)
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free loopback port")?;
    Ok(listener.local_addr()?.port())
}

/// The pinned Node, or one on the PATH that is new enough.
fn node(folder: &Path) -> anyhow::Result<PathBuf> {
    let candidates = [folder.join("node_modules/.bin/node"), PathBuf::from("node")];
    match candidates.into_iter().find(|node| version(node).is_some_and(|v| v >= NODE_MIN)) {
        Some(node) => Ok(node),
        None => bail!("no Node {}.{} or newer: {SETUP}", NODE_MIN.0, NODE_MIN.1),
    }
}

/// `v22.23.3` → (22, 23).
fn version(node: &Path) -> Option<(u32, u32)> {
    let output = Command::new(node).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().strip_prefix('v')?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

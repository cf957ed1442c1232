//! A private Postgres per test: real server binaries, loopback, a free port, a data folder of its own.
//!
//! A template folder (initdb and all migrations) is made once per schema and copied, so a server costs half a second.
//! Postgres refuses root: as root the server runs as the user `postgres`. It dies with the test (SIGQUIT at the
//! parent's death), and is stopped by pid.

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running private server with a migrated database `clawr`.
pub struct PrivatePostgres {
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
    extra: Vec<String>,
}

impl PrivatePostgres {
    /// Copies the template and starts a server.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with extra settings (`name=value`).
    pub fn start_with(extra: &[&str]) -> anyhow::Result<Self> {
        let template = template()?;
        let folder = scratch("pg")?;
        run(Command::new("cp").arg("-a").arg(&template).arg(folder.join("data")))?;
        let mut server = Self { folder, port: free_port()?, server: None, extra: extra.iter().map(|e| (*e).to_owned()).collect() };
        server.resume()?;
        Ok(server)
    }

    /// The URL of the login role, which owns the schema.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/clawr", self.port)
    }

    /// Crashes the server as `pg_ctl stop -m immediate` does: no checkpoint, every connection cut.
    pub fn crash(&mut self) -> anyhow::Result<()> {
        self.signal("-QUIT")
    }

    /// Starts a stopped or crashed server again on the same data and port.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        let data = self.folder.join("data");
        self.server = Some(serve(&data, &self.folder, self.port, &self.extra)?);
        wait_until_ready(self.port)
    }

    fn signal(&mut self, signal: &str) -> anyhow::Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        run(Command::new("kill").arg(signal).arg(server.id().to_string()))?;
        server.wait()?;
        Ok(())
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.crash() {
            eprintln!("failed to stop a private Postgres: {error:#}");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("failed to remove {}: {error}", self.folder.display());
        }
    }
}

/// A folder of our own under the temporary directory, open to the server's user.
pub fn scratch(name: &str) -> anyhow::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("clawr-{name}-{}-{:x}", std::process::id(), random()));
    std::fs::create_dir_all(&folder)?;
    if is_root() {
        run(Command::new("chown").arg("postgres:").arg(&folder))?;
    }
    Ok(folder)
}

/// A port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[expect(clippy::disallowed_methods, reason = "the tests are told by ops/test where the server is")]
fn bin(program: &str) -> anyhow::Result<PathBuf> {
    if let Ok(folder) = std::env::var("CLAWR_TEST_PG_BIN") {
        return Ok(Path::new(&folder).join(program));
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|dirs| dirs.flatten().map(|d| d.path().join("bin").join(program)).filter(|p| p.exists()).collect())
        .unwrap_or_default();
    versions.sort();
    versions.pop().with_context(|| format!("no Postgres server binary {program}; install the package postgresql or run ops/test --setup"))
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// The command, as a user Postgres accepts, killed when this process dies.
fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg(program).stdin(Stdio::null()).env("LC_ALL", "C");
    command
}

fn serve(data: &Path, folder: &Path, port: u16, extra: &[String]) -> anyhow::Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = as_server_user(&bin("postgres")?);
    command.arg("-D").arg(data).args(["-p", &port.to_string(), "-k"]).arg(folder);
    for setting in
        ["listen_addresses=127.0.0.1", "max_connections=200", "log_min_messages=fatal", "shared_buffers=256MB", "max_wal_size=2GB"]
    {
        command.args(["-c", setting]);
    }
    for setting in extra {
        command.args(["-c", setting]);
    }
    command.stdout(log.try_clone()?).stderr(log);
    spawn_for_good(command).context("failed to start postgres")
}

/// The kernel sends the death signal when the *thread* that started the server ends, and a runtime's blocking threads
/// end after ten idle seconds: the server is started by a thread that stays.
fn spawn_for_good(mut command: Command) -> anyhow::Result<Child> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if sender.send(command.spawn()).is_ok() {
            loop {
                std::thread::park();
            }
        }
    });
    Ok(receiver.recv()??)
}

fn wait_until_ready(port: u16) -> anyhow::Result<()> {
    let started = Instant::now();
    let ready = bin("pg_isready")?;
    while started.elapsed() < Duration::from_secs(60) {
        let status = Command::new(&ready).args(["-q", "-h", "127.0.0.1", "-p", &port.to_string(), "-d", "postgres"]).status()?;
        if status.success() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("Postgres on port {port} did not accept connections within 60 s")
}

/// The migrated template folder, made once per schema and server version.
fn template() -> anyhow::Result<PathBuf> {
    let mut hash = Sha256::new();
    for script in clawr_engine::db::migrate::scripts(clawr_engine::db::Engine::Postgres) {
        hash.update(script.checksum.as_bytes());
    }
    hash.update(bin("postgres")?.display().to_string());
    let name: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
    let done = std::env::temp_dir().join(format!("clawr-pg-template-{name}"));
    let lock = std::fs::File::create(std::env::temp_dir().join(format!("clawr-pg-template-{name}.lock")))?;
    lock.lock()?;
    if !done.join("PG_VERSION").exists() {
        make_template(&done)?;
    }
    Ok(done)
}

fn make_template(done: &Path) -> anyhow::Result<()> {
    let folder = scratch("pg-template")?;
    let data = folder.join("data");
    run(as_server_user(&bin("initdb")?)
        .arg("-D")
        .arg(&data)
        .args(["-U", "postgres", "-A", "trust", "--encoding=UTF8", "--locale=C"])
        .stdout(Stdio::null()))?;
    let port = free_port()?;
    let mut server = serve(&data, &folder, port, &[])?;
    let made = wait_until_ready(port).and_then(|()| {
        run(Command::new(bin("createdb")?).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "clawr"]))?;
        migrate(&format!("postgres://postgres@127.0.0.1:{port}/clawr"))
    });
    run(Command::new("kill").arg("-INT").arg(server.id().to_string()))?;
    server.wait()?;
    made?;
    std::fs::rename(&data, done)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// In a thread of its own, because the caller may already be inside a runtime.
fn migrate(url: &str) -> anyhow::Result<()> {
    let url = url.to_owned();
    let thread = std::thread::spawn(move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let store = url.parse().map_err(anyhow::Error::msg)?;
            let db = clawr_engine::db::Db::open_for_migration(&clawr_engine::db::DbConfig::new(store)).await?;
            clawr_engine::db::migrate::up(&db).await?;
            db.close().await;
            Ok(())
        })
    });
    thread.join().map_err(|_| anyhow::anyhow!("the migration panicked"))?
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("failed to run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

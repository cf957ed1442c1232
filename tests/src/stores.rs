//! The stores a test runs on: every behaviour of storage is written once and every store earns it.

use crate::d1_fake::D1Fake;
use crate::postgres::{PrivatePostgres, scratch};
use crate::workerd::Workerd;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbConfig, Engine, migrate};
use clawr_engine::queue::Queue;
use clawr_engine::seal::{KeyRing, Sealing};
use std::path::PathBuf;
use std::sync::Arc;

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A private server.
    Postgres,
    /// The in-process fake of the D1 REST API.
    D1Fake,
    /// Real workerd behind the gateway Worker.
    Workerd,
}

impl Kind {
    /// The stores named in `CLAWR_TEST_STORES`, all four without it. An unknown name fails.
    #[expect(clippy::disallowed_methods, reason = "the tests are told by ops/test which stores to use")]
    pub fn selected() -> Vec<Kind> {
        let names = std::env::var("CLAWR_TEST_STORES").unwrap_or_else(|_| "sqlite,postgres,d1-fake,workerd".into());
        names.split(',').map(|name| Kind::parse(name.trim())).collect()
    }

    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Sqlite, Kind::Postgres, Kind::D1Fake, Kind::Workerd];

    /// Its name in `CLAWR_TEST_STORES`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
            Kind::D1Fake => "d1-fake",
            Kind::Workerd => "workerd",
        }
    }

    fn parse(name: &str) -> Kind {
        let known = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        known.unwrap_or_else(|| panic!("CLAWR_TEST_STORES names {name}; known: sqlite, postgres, d1-fake, workerd"))
    }

    /// What it speaks.
    pub fn engine(self) -> Engine {
        match self {
            Kind::Sqlite => Engine::Sqlite,
            Kind::Postgres => Engine::Postgres,
            Kind::D1Fake | Kind::Workerd => Engine::D1,
        }
    }

    /// Those among the selected that can carry a storm.
    pub fn fast() -> Vec<Kind> {
        Self::selected().into_iter().filter(|k| matches!(k, Kind::Sqlite | Kind::Postgres)).collect()
    }
}

enum Guard {
    Folder(PathBuf),
    Postgres(Box<PrivatePostgres>),
    D1Fake(Box<D1Fake>),
    Workerd(#[expect(dead_code, reason = "held until dropped")] Box<Workerd>),
}

/// A migrated store of a test's own.
pub struct TestStore {
    /// Which.
    pub kind: Kind,
    /// How to open it.
    pub config: DbConfig,
    guard: Guard,
}

impl TestStore {
    /// Starts and migrates one.
    pub async fn start(kind: Kind) -> anyhow::Result<TestStore> {
        let (url, token, guard) = match kind {
            Kind::Sqlite => {
                let folder = scratch("sqlite")?;
                (format!("sqlite://{}/clawr.db", folder.display()), None, Guard::Folder(folder))
            }
            Kind::Postgres => {
                let server = tokio::task::spawn_blocking(PrivatePostgres::start).await??;
                (server.url(), None, Guard::Postgres(Box::new(server)))
            }
            Kind::D1Fake => {
                let fake = D1Fake::start().await;
                (fake.url(), Some(fake.token().to_owned()), Guard::D1Fake(Box::new(fake)))
            }
            Kind::Workerd => {
                let workerd = Workerd::start().await?;
                (workerd.url(), Some(workerd.token().to_owned()), Guard::Workerd(Box::new(workerd)))
            }
        };
        let config = DbConfig { token, ..DbConfig::new(url.parse().map_err(anyhow::Error::msg)?) };
        let db = Db::open_for_migration(&config).await?;
        migrate::up(&db).await?;
        db.close().await;
        Ok(TestStore { kind, config, guard })
    }

    /// A handle of its own, as another process would have.
    pub async fn open(&self) -> anyhow::Result<Db> {
        Ok(Db::open(&self.config).await?)
    }

    /// A queue on a handle of its own.
    pub async fn queue(&self) -> anyhow::Result<Queue> {
        self.queue_with(Clock::host()).await
    }

    /// A queue with this clock.
    pub async fn queue_with(&self, clock: Clock) -> anyhow::Result<Queue> {
        Ok(Queue::new(self.open().await?, clock, b"a pepper for tests".to_vec()))
    }

    /// A queue of a process with the keys of `text`, which seals kind `chaos_sealed`.
    pub async fn queue_with_keys(&self, text: &str) -> anyhow::Result<Queue> {
        let ring = KeyRing::parse(text).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        self.sealing(ring).await
    }

    /// The same of a process without any.
    pub async fn queue_without_keys(&self) -> anyhow::Result<Queue> {
        self.sealing(KeyRing::default()).await
    }

    async fn sealing(&self, ring: KeyRing) -> anyhow::Result<Queue> {
        let sealing = Sealing::new(Arc::new(ring), clawr_kinds::registry().encrypting());
        Ok(Queue::sealing(self.open().await?, Clock::host(), b"a pepper for tests".to_vec(), sealing))
    }

    /// Its engine.
    pub fn engine(&self) -> Engine {
        match self.kind {
            Kind::Sqlite => Engine::Sqlite,
            Kind::Postgres => Engine::Postgres,
            Kind::D1Fake | Kind::Workerd => Engine::D1,
        }
    }

    /// The private server behind it.
    pub fn postgres(&mut self) -> Option<&mut PrivatePostgres> {
        match &mut self.guard {
            Guard::Postgres(server) => Some(server),
            _ => None,
        }
    }

    /// The fake behind it, with its faults.
    pub fn d1_fake(&self) -> Option<&D1Fake> {
        match &self.guard {
            Guard::D1Fake(fake) => Some(fake),
            _ => None,
        }
    }

    /// Runs a statement as somebody with the keys to the store would, past every role.
    pub async fn by_hand(&self, text: &str) -> anyhow::Result<()> {
        by_hand(self, text).await
    }
}

async fn by_hand(store: &TestStore, text: &str) -> anyhow::Result<()> {
    use clawr_engine::db::{DbError, Sql};
    let text: &'static str = Box::leak(format!("-- params: none\n{text}").into_boxed_str());
    let sql: &'static Sql = Box::leak(Box::new(Sql::one("by hand", text)));
    let db = Db::open_for_migration(&store.config).await?;
    let answer: Result<_, DbError> = db.commit(&clawr_engine::db::Scope::System, vec![sql.with([])]).await;
    db.close().await;
    answer.map(|_| ()).map_err(Into::into)
}

impl Drop for TestStore {
    fn drop(&mut self) {
        match &self.guard {
            Guard::Folder(folder) => {
                if let Err(error) = std::fs::remove_dir_all(folder) {
                    eprintln!("failed to remove {}: {error}", folder.display());
                }
            }
            Guard::Workerd(_) | Guard::Postgres(_) | Guard::D1Fake(_) => {}
        }
    }
}

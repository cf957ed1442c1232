//! The composition root: which store, clock, queue, kinds, adapters, API and workers make one process, and in which
//! order they start and stop. Everything else takes what it is handed.

mod host;
mod server;
mod store;
mod workers;

use crate::config::Config;
use crate::exit::{Exit, Failure};
use clawr_api::{Api, Parts, Settings};
use clawr_domain::access::{Pepper, Verifier};
use clawr_domain::audit::Actor;
use clawr_domain::ports::Ports;
use clawr_domain::settlement::{Intake, JobPolicy, Networks};
use clawr_engine::clock::Clock;
use clawr_engine::db::Db;
use clawr_engine::kind::Registry;
use clawr_engine::queue::Queue;
use clawr_engine::seal::Sealing;

pub use server::Server;
pub use store::make_place;
pub use workers::Pools;

/// The version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An open store with everything that is the same for every kind of process.
pub struct House {
    /// The store.
    pub db: Db,
    /// Its time.
    pub clock: Clock,
    /// Jobs.
    pub queue: Queue,
    /// Kinds.
    pub registry: Registry<Ports>,
    /// Who a bearer is.
    pub verifier: Verifier,
    /// What API keys are hashed with.
    pub pepper: Pepper,
}

impl House {
    /// Opens the configured store. A new embedded one is migrated and given its peppers; any other must be ready.
    pub async fn open(config: &Config) -> anyhow::Result<House> {
        let (db, peppers) = store::open(config).await?;
        let clock = Clock::of(&db).await?;
        let registry = clawr_kinds::registry();
        let sealing = Sealing::new(config.args_keys.clone(), registry.encrypting());
        let queue = Queue::sealing(db.clone(), clock.clone(), peppers.register.bytes(), sealing);
        let too_short = || Failure::new(Exit::Usage, "the key pepper is too short");
        let pepper = Pepper::new(peppers.key.bytes()).ok_or_else(too_short)?;
        let verifier = Verifier::new(db.clone(), clock.clone(), pepper.clone());
        Ok(House { db, clock, queue, registry, verifier, pepper })
    }

    /// The adapters behind the ports.
    pub fn ports(&self) -> Ports {
        Ports::new(self.db.clone(), self.clock.clone())
    }

    /// The door for settlement reports.
    fn intake(&self, config: &Config) -> anyhow::Result<Intake> {
        let kind = self.registry.get("settlement").ok_or_else(|| anyhow::anyhow!("this binary has no kind settlement"))?;
        anyhow::ensure!(!kind.policy.encrypt, "settlement jobs are made by their intake, which seals nothing");
        let policy = JobPolicy { version: kind.version, max_attempts: kind.policy.max_attempts };
        Ok(Intake::new(self.db.clone(), self.clock.clone(), Networks::new(config.networks.clone()), policy))
    }

    /// The HTTP side.
    fn api(&self, config: &Config, settings: Settings) -> anyhow::Result<Api> {
        let parts = Parts {
            queue: self.queue.clone(),
            registry: self.registry.clone(),
            verifier: self.verifier.clone(),
            intake: self.intake(config)?,
            pepper: self.pepper.clone(),
        };
        Ok(Api::new(parts, settings))
    }
}

/// Who acts when somebody with access to the store uses the command line.
pub fn operator() -> Actor {
    Actor::new("cli", "")
}

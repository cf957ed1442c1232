//! The demo's stage: a temporary folder, an embedded store, tenants with their APIs, a key, an API and workers.

use super::record::{self, Given};
use crate::cli::Context;
use crate::commands::keys::issue;
use crate::compose::{House, Pools, Server, operator};
use crate::config::{Config, Environment, Flags};
use crate::out::say;
use crate::{cli, logging};
use clawr_domain::access::{NewKey, Scopes};
use clawr_domain::{apis, tenants};
use clawr_engine::db::Scope;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a call costs in the demo; the recording does not say.
const PRICE_MICROS: &str = "2500";
/// How long running jobs may finish in when the demo ends.
const GRACE: Duration = Duration::from_secs(5);

/// A folder that is gone when this is.
pub struct Folder(PathBuf);

impl Folder {
    /// A temporary one, for this process and `purpose`.
    pub fn new(environment: &Environment, purpose: &str) -> anyhow::Result<Folder> {
        let path = environment.temp_folder().join(format!("clawr-{purpose}-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            say(&format!("could not remove {}: {error}", self.0.display()));
        }
    }
}

/// Everything that runs.
pub struct Stage {
    /// Store, clock, queue.
    pub house: House,
    /// The listeners.
    pub server: Server,
    /// A global key with every scope, whose reports must be signed.
    pub key: String,
    /// What it signs with.
    pub signing_secret: String,
    /// Where the store is.
    pub folder: Folder,
    pools: Pools,
}

impl Stage {
    /// Builds it and starts everything.
    pub async fn build(context: &Context) -> anyhow::Result<Stage> {
        let given = record::given()?;
        let folder = Folder::new(&context.environment, "demo")?;
        let config = config(context, &given, folder.path())?;
        logging::start(&config.log, context.environment.no_colour());
        let house = House::open(&config).await?;
        say(&format!("clawr {} demo: embedded SQLite in {}", crate::compose::VERSION, folder.path().display()));
        people(&house, &given).await?;
        let scopes = Scopes::parse(["read", "write", "admin", "deploy"])?;
        let issued = issue(&house, NewKey { scopes, require_signature: true, ..NewKey::default() }).await?;
        let pools = Pools::start(&house, &config).await?;
        let server = Server::start(&house, &config, Some(pools.clone())).await?;
        say(&format!("listening on {}, working on {}", server.url, pools.describe()));
        let signing_secret = issued.signing_secret.unwrap_or_default();
        Ok(Stage { house, server, key: issued.secret, signing_secret, folder, pools })
    }

    /// Stops everything; the folder goes last.
    pub async fn clear(self) {
        let Stage { house, server, pools, folder, .. } = self;
        server.stop().await;
        pools.stop(GRACE).await;
        house.db.close().await;
        drop(folder);
    }
}

/// Nobody's configuration but flags: a demo must not find a real store.
fn config(context: &Context, given: &Given, folder: &Path) -> anyhow::Result<Config> {
    let own = |key: &str, value: String| ("demo".to_owned(), key.to_owned(), value);
    let mut values =
        vec![own("http.listen", "127.0.0.1:0".into()), own("metrics.listen", "127.0.0.1:0".into()), own("log.level", "warn".into())];
    values.extend(context.flags.values.iter().cloned());
    values.push(own("store.url", format!("sqlite://{}", folder.join("clawr.db").display())));
    values.extend(chain_values(given));
    let flags = Flags { file: None, values, without_file: true };
    Config::load(&context.environment.unconfigured(), &flags).map_err(cli::configuration)
}

/// The recorded tenants and their APIs.
pub async fn people(house: &House, given: &Given) -> anyhow::Result<()> {
    let actor = operator();
    for (slug, sold) in &given.tenants {
        let new = tenants::New { slug: slug.clone(), ..tenants::New::default() };
        let tenant = tenants::create(&house.db, &house.clock, &actor, new).await?.into_inner();
        for (api, resource_type) in sold {
            let (slug, resource_type) = (api.clone(), resource_type.clone());
            let new = apis::New { slug, resource_type, price_micros: PRICE_MICROS.into(), quota: None };
            apis::create(&house.db, &house.clock, &Scope::System, &actor, &tenant, new).await?;
        }
    }
    Ok(())
}

/// The network, token and treasuries of the recording, as settings.
pub fn chain_values(given: &Given) -> Vec<(String, String, String)> {
    let own = |key: &str, value: String| ("recording".to_owned(), key.to_owned(), value);
    let mut values = Vec::new();
    for (id, network) in given.networks.iter().take(1) {
        values.push(own("chain.network", id.clone()));
        values.push(own("chain.v1_name", network.v1_name.clone()));
        values.push(own("chain.token", network.assets.first().cloned().unwrap_or_default()));
    }
    values.push(own("chain.treasury", given.treasuries.first().cloned().unwrap_or_default()));
    values.push(own("chain.former_treasuries", given.treasuries.iter().skip(1).cloned().collect::<Vec<_>>().join(",")));
    values
}

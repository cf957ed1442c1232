//! A store nobody needs: a temporary SQLite file, or a schema of its own in a given database.

use crate::cli::{self, Context};
use crate::compose::House;
use crate::config::{Config, Flags};
use crate::demo::{Folder, people, recorded};
use crate::logging;
use clawr_engine::db::{Db, StoreUrl, migrate};
use std::path::Path;

/// The store's configuration and the folder that goes with it.
pub struct Scratch {
    /// As a process would have it.
    pub config: Config,
    folder: Folder,
}

impl Scratch {
    /// Makes the folder and the configuration.
    pub fn make(context: &Context, store: Option<&str>) -> anyhow::Result<Scratch> {
        let folder = Folder::new(&context.environment, "bench")?;
        let url = store.map_or_else(|| format!("sqlite://{}", folder.path().join("clawr.db").display()), str::to_owned);
        let given = recorded::given()?;
        let mut values = vec![set("http.listen", "127.0.0.1:0"), set("log.level", "warn")];
        values.extend(context.flags.values.iter().cloned());
        values.push(("--store".to_owned(), "store.url".to_owned(), url.clone()));
        values.push(set("store.schema", "clawr_bench"));
        values.extend(crate::demo::chain_values(&given));
        if !url.starts_with("sqlite:") {
            values.push(set("secrets.register_pepper_file", &pepper(folder.path(), "register")?));
            values.push(set("secrets.key_pepper_file", &pepper(folder.path(), "key")?));
        }
        let flags = Flags { file: None, values, without_file: true };
        let config = Config::load(&context.environment.unconfigured(), &flags).map_err(cli::configuration)?;
        logging::start(&config.log, context.environment.no_colour());
        Ok(Scratch { config, folder })
    }

    /// Opens it, migrated, with the recorded tenants.
    pub async fn open(&self) -> anyhow::Result<House> {
        if !matches!(self.config.store.url, StoreUrl::Sqlite(_)) {
            let db = Db::open_for_migration(&self.config.store).await?;
            migrate::up(&db).await?;
            db.close().await;
        }
        let house = House::open(&self.config).await?;
        people(&house, &recorded::given()?).await?;
        Ok(house)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn set(key: &str, value: &str) -> (String, String, String) {
    ("bench".to_owned(), key.to_owned(), value.to_owned())
}

fn pepper(folder: &Path, name: &str) -> anyhow::Result<String> {
    let path = folder.join(format!("{name}-pepper"));
    std::fs::write(&path, "a pepper of a benchmark, worth nothing")?;
    Ok(path.display().to_string())
}

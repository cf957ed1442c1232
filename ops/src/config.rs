//! Configuration: defaults < `clawr.toml` < environment (`CLAWR_STORE__URL`) < flags. Every problem is found at once and
//! names the place it came from; a key nobody knows is an error, because a misspelt limit is no limit.
//!
//! This file is the only one that reads the environment; everything else is handed what it needs.

mod example;
mod keys;
mod layers;
mod nearest;
mod read;
mod secrets;
mod values;

use clawr_domain::settlement::Network;
use clawr_engine::db::DbConfig;
use clawr_engine::seal::KeyRing;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use example::EXAMPLE;
pub use keys::KEYS;
pub use secrets::Peppers;

/// Names with our prefix that are no settings: the test harness's, and what is read here by itself.
const NOT_SETTINGS: [&str; 4] = ["CLAWR_TEST_*", "CLAWR_CHAOS", "CLAWR_API_KEY", "CLAWR_CONFIG"];

/// What this process was given by its surroundings, read once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Names and values that are settings: `CLAWR_…`.
    settings: Vec<(String, String)>,
    /// The credential for client commands.
    api_key: Option<SecretString>,
    /// Where a configuration file is, unless `--config` says so.
    config_file: Option<PathBuf>,
    /// Where a file of ours belongs that nobody placed.
    data_folder: PathBuf,
    temp_folder: PathBuf,
    no_colour: bool,
}

/// The file this process was started from, for a second one of it.
pub fn own_binary() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

impl Environment {
    /// Reads it. Empty variables count as absent, names that are not UTF-8 are nobody's.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Self::of(std::env::vars_os().filter_map(text), std::env::temp_dir())
    }

    fn of(all: impl IntoIterator<Item = (String, String)>, temp_folder: PathBuf) -> Self {
        let all: BTreeMap<String, String> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let get = |name: &str| all.get(name).cloned();
        let home = get("HOME").map(PathBuf::from);
        let share = get("XDG_DATA_HOME").map(PathBuf::from).or_else(|| home.map(|h| h.join(".local/share")));
        Self {
            settings: all.iter().filter(|(name, _)| is_setting(name)).map(|(n, v)| (n.clone(), v.clone())).collect(),
            api_key: get("CLAWR_API_KEY").map(SecretString::from),
            config_file: get("CLAWR_CONFIG").map(PathBuf::from),
            data_folder: share.unwrap_or_else(|| ".".into()).join("clawr"),
            temp_folder,
            no_colour: all.contains_key("NO_COLOR"),
        }
    }

    /// The same place, but nobody has configured anything.
    pub fn unconfigured(&self) -> Self {
        Self { settings: Vec::new(), config_file: None, ..self.clone() }
    }

    /// The credential for client commands, if the environment holds one.
    pub fn api_key(&self) -> Option<SecretString> {
        self.api_key.clone()
    }

    /// Where temporary folders go.
    pub fn temp_folder(&self) -> &std::path::Path {
        &self.temp_folder
    }

    /// `NO_COLOR` is set.
    pub fn no_colour(&self) -> bool {
        self.no_colour
    }
}

fn is_setting(name: &str) -> bool {
    let ignored = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    name.starts_with("CLAWR_") && !NOT_SETTINGS.iter().any(|p| ignored(p))
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// (flag as typed, key, value), later ones win.
    pub values: Vec<(String, String, String)>,
    /// No file is looked for: the demo must not find somebody's real store.
    pub without_file: bool,
}

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store, with its token already read.
    pub store: DbConfig,
    /// Where the API listens and how it is known outside.
    pub http: Http,
    /// Where metrics are served; `None` = nowhere.
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// The worker pools.
    pub workers: Workers,
    /// How long ended jobs are kept.
    pub retention: Retention,
    /// Networks, assets and treasuries that settlement reports may name.
    pub networks: Vec<Network>,
    /// How much is logged, and how.
    pub log: Log,
    /// Files of secrets.
    pub secret_files: SecretFiles,
    /// What the args of kinds that encrypt are sealed with, already read.
    pub args_keys: Arc<KeyRing>,
    /// Every setting as it is in force, secrets masked, with its source.
    pub effective: Vec<Effective>,
}

/// The API's listener.
#[derive(Clone, Debug)]
pub struct Http {
    /// Port 0 takes a free one.
    pub listen: std::net::SocketAddr,
    /// The address clients know, without a slash at the end; empty = the one listened on.
    pub base_url: String,
    /// A path in front of every route, `/back` or empty.
    pub base_path: String,
}

/// The pools of a worker process.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Slots per queue; empty = every queue this binary has kinds for.
    pub queues: BTreeMap<String, usize>,
    /// How long running jobs may finish after a stop.
    pub grace: Duration,
    /// A label for people; empty = the host's name.
    pub name: String,
}

/// Days that ended jobs are kept, by class; `None` = as the store says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Most jobs.
    pub short_days: Option<i64>,
    /// Those that move money.
    pub long_days: Option<i64>,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// A level, or a filter per module.
    pub level: String,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One object a line.
    Json,
    /// For people.
    Pretty,
}

/// Where secrets are kept; `None` = beside an embedded store.
#[derive(Clone, Debug, Default)]
pub struct SecretFiles {
    /// Keys the hashes of jobs' permanent identities; can never change.
    pub register_pepper: Option<PathBuf>,
    /// Keys the hashes of API keys.
    pub key_pepper: Option<PathBuf>,
}

/// One setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    /// Dotted path.
    pub key: String,
    /// The value as text, masked where it holds a secret.
    pub value: String,
    /// `default`, a file, a variable or a flag.
    pub source: String,
}

/// Everything wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "problem" } else { "problems" };
        write!(f, "the configuration has {} {noun}:", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Reads all layers and checks everything.
    pub fn load(environment: &Environment, flags: &Flags) -> Result<Config, Problems> {
        read::config(environment, flags)
    }

    /// Where the value of `key` came from.
    pub fn source(&self, key: &str) -> &str {
        self.effective.iter().find(|e| e.key == key).map_or("default", |e| &e.source)
    }
}

#[cfg(test)]
mod tests;

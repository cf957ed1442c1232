//! Store URLs and what can keep a store from opening.

use super::DbError;
use std::path::PathBuf;

/// `sqlite:///path`, `postgres://…`, `d1://account/database`, `d1+https://gateway…`.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file; its folder must exist.
    Sqlite(PathBuf),
    /// A libpq-style URL.
    Postgres(String),
    /// REST API or gateway.
    D1(super::d1::Endpoint),
}

impl std::str::FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" => Err("sqlite:// needs a path: sqlite:///var/lib/clawr/clawr.db".into()),
                path => Ok(StoreUrl::Sqlite(PathBuf::from(path))),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(StoreUrl::Postgres(text.to_owned()));
        }
        if text.starts_with("d1") {
            return super::d1::Endpoint::parse(text).map(StoreUrl::D1);
        }
        Err(format!("unknown store URL {}: use sqlite:///path, postgres://…, d1://account/database or d1+https://gateway/…", mask(text)))
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Without its password.
impl std::fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            StoreUrl::Postgres(url) => f.write_str(&mask(url)),
            StoreUrl::D1(endpoint) => write!(f, "{endpoint}"),
        }
    }
}

/// `scheme://user:secret@host` → `scheme://user:***@host`.
fn mask(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((login, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = login.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:***@{host}")
}

/// Why a store could not be opened for use.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not reachable, or refused our login.
    #[error("failed to open the store: {0}")]
    Unreachable(String),
    /// A setting that would lose acknowledged work.
    #[error("refusing to start: {0}")]
    Unsafe(String),
    /// Migrations are missing.
    #[error("the schema is older than this binary: {0} is not applied; run `clawr migrate up`")]
    SchemaOld(String),
    /// Somebody newer migrated this store.
    #[error("the schema is newer than this binary: {0} is applied and unknown here; run a newer clawr")]
    SchemaNew(String),
    /// A migration's text is not the one that was applied.
    #[error("migration {0} was applied with another text; its checksum differs")]
    Checksum(String),
    /// The store answered with an error.
    #[error("failed to read the schema: {0}")]
    Db(#[from] DbError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked() {
        let url: StoreUrl = "postgres://bob:hunter2@db/clawr".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://bob:***@db/clawr");
        assert!("mysql://a:b@c".parse::<StoreUrl>().unwrap_err().contains("***"));
    }
}

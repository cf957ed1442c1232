//! Judging the key of a request: form and checksum without a store, then a keyed hash compared in constant time.
//!
//! What is known of a key is remembered for at most 5 s, which is therefore how long a revocation may take to be felt.
//! A key nobody issued costs the same work as a wrong one.

use super::keys::Key;
use super::scopes::Scopes;
use super::token::{Pepper, Token};
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbError, Scope};
use clawr_engine::write::json as text;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

clawr_engine::sql!(FIND, "../sql/key_find.sql");
clawr_engine::sql!(TOUCH, "../sql/keys_touch.sql");

const TTL: Duration = Duration::from_secs(5);
const KNOWN_MAX: usize = 10_000;
/// `last_used_at` is written at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// Stands in for the hash of a key nobody issued.
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a good key stands for.
#[derive(Clone)]
pub struct Credential {
    /// `key_…`
    pub key_id: String,
    /// Whom it stands for; empty for a machine.
    pub user_id: String,
    /// Whose it is; `None` for a global key.
    pub tenant_id: Option<String>,
    /// The slug of that tenant; empty for a global key.
    pub tenant: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Whether its callbacks must be signed.
    pub require_signature: bool,
    /// `whsec_…`, to verify them with.
    pub signing_secret: Option<String>,
}

impl Credential {
    /// What it may see.
    pub fn scope(&self) -> Scope {
        self.tenant_id.clone().map_or(Scope::System, Scope::Tenant)
    }

    fn of(key: &Key) -> Self {
        let some = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
        Self {
            key_id: key.id.clone(),
            user_id: key.user_id.clone(),
            tenant_id: some(&key.tenant_id),
            tenant: key.tenant.clone(),
            scopes: key.scopes.clone(),
            require_signature: key.require_signature,
            signing_secret: some(&key.signing_secret),
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("key_id", &self.key_id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// Why a key opens nothing. The outside hears only that it does not.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Denied {
    /// Not the form of a key.
    #[error("the key is malformed")]
    Malformed,
    /// Nobody issued it, or its secret is another.
    #[error("the key is unknown")]
    Unknown,
    /// Its time is over.
    #[error("the key {0} has expired")]
    Expired(String),
    /// Somebody ended it.
    #[error("the key {0} is revoked")]
    Revoked(String),
    /// Try again.
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Judges keys. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Clock,
    pepper: Pepper,
    known: Mutex<HashMap<String, (Key, Instant)>>,
    used: Mutex<Used>,
}

struct Used {
    at: HashMap<String, i64>,
    written: Instant,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Verifier {
    /// Knows nobody yet.
    pub fn new(db: Db, clock: Clock, pepper: Pepper) -> Self {
        let used = Mutex::new(Used { at: HashMap::new(), written: Instant::now() });
        Self { inner: Arc::new(Inner { db, clock, pepper, known: Mutex::default(), used }) }
    }

    /// What `text` (the part after `Bearer `) stands for.
    pub async fn verify(&self, text: &str) -> Result<Credential, Denied> {
        let token = Token::parse(text).ok_or(Denied::Malformed)?;
        let key = self.find(token.kid).await?;
        let stored = key.as_ref().map_or(NOBODY, |k| k.key_hash.as_str());
        let matches = token.matches(stored, &self.inner.pepper);
        let key = key.filter(|_| matches).ok_or(Denied::Unknown)?;
        if key.revoked_at != 0 {
            return Err(Denied::Revoked(key.id));
        }
        if key.is_expired(self.inner.clock.now()) {
            return Err(Denied::Expired(key.id));
        }
        self.touch(&key.id).await;
        Ok(Credential::of(&key))
    }

    async fn find(&self, kid: &str) -> Result<Option<Key>, DbError> {
        if let Some((key, at)) = lock(&self.inner.known).get(kid)
            && at.elapsed() < TTL
        {
            return Ok(Some(key.clone()));
        }
        let asked = Instant::now();
        let rows = self.inner.db.query(&Scope::System, FIND.with([kid.into()])).await?;
        let key = rows.first().map(Key::from_row).transpose()?;
        let mut known = lock(&self.inner.known);
        match &key {
            Some(found) => {
                if known.len() >= KNOWN_MAX {
                    known.clear();
                }
                known.insert(kid.to_owned(), (found.clone(), asked));
            }
            None => drop(known.remove(kid)),
        }
        Ok(key)
    }

    /// Notes the use; once a minute all notes are written. Losing some costs nothing but an older time.
    async fn touch(&self, id: &str) {
        let due = {
            let mut used = lock(&self.inner.used);
            used.at.insert(id.to_owned(), self.inner.clock.now());
            used.written.elapsed() >= TOUCH_EVERY
        };
        if due {
            self.write_used().await;
        }
    }

    /// Writes when keys were last used; called on shutdown, and by itself once a minute.
    pub async fn write_used(&self) {
        let at = {
            let mut used = lock(&self.inner.used);
            used.written = Instant::now();
            std::mem::take(&mut used.at)
        };
        let rows: Vec<_> = at.iter().map(|(id, at)| json!({"id": id, "at": at})).collect();
        if rows.is_empty() {
            return;
        }
        if let Err(error) = self.inner.db.commit(&Scope::System, vec![TOUCH.with([text(&rows).into()])]).await {
            tracing::debug!("failed to note when keys were used: {error}");
        }
    }
}

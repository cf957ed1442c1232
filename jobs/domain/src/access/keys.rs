//! Issuing, listing, rotating and revoking API keys. What the holder has is shown once and stored as a keyed hash.

use super::scopes::Scopes;
use super::token::{Pepper, Token, generate};
use super::webhook;
use crate::audit::{self, Actor, Event, Stamp};
use crate::page::{Listed, Page};
use crate::refusal::Problem;
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbError, Row, Scope};
use clawr_engine::ids::new_id;
use clawr_engine::write::{Write, statements};
use serde_json::json;
use std::time::Duration;

clawr_engine::sql!(INSERT, "../sql/keys_insert.sql");
clawr_engine::sql!(GET, "../sql/key_get.sql");
clawr_engine::sql!(LIST, "../sql/keys_list.sql");
clawr_engine::sql!(REVOKE, "../sql/keys_revoke.sql");
clawr_engine::sql!(EXPIRE, "../sql/keys_expire.sql");
clawr_engine::sql!(GUARD, "../sql/keys_guard.sql");

const PATIENCE: Duration = Duration::from_secs(10);
const HOUR_US: i64 = 3_600_000_000;
/// A key that reaches every tenant lives at most this long.
const GLOBAL_LIFE_MAX_US: i64 = 90 * 24 * HOUR_US;
/// How long an old key stays good beside its successor, if nobody says otherwise.
pub const OVERLAP_DEFAULT_HOURS: i64 = 24;
const OVERLAP_MAX_HOURS: i64 = 7 * 24;

/// A key to be issued.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// What it may do.
    pub scopes: Scopes,
    /// Whose it is; empty for a global key.
    pub tenant_id: String,
    /// Whom it stands for; empty for a machine.
    pub user_id: String,
    /// Whether its callbacks must be signed; makes a signing secret.
    pub require_signature: bool,
    /// Whether to make a signing secret although none is required.
    pub signing_secret: bool,
    /// Microseconds since 1970 UTC; none = never, for a global key 90 days.
    pub expires_at: Option<i64>,
}

/// A key as stored; nothing in it opens anything but `signing_secret`, which is shown by nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// `key_…`
    pub id: String,
    /// The public part of its text.
    pub kid: String,
    /// Whom it stands for; empty for a machine.
    pub user_id: String,
    /// The last four characters of its text.
    pub last4: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Whose; empty for a global key.
    pub tenant_id: String,
    /// The slug of that tenant; empty for a global key.
    pub tenant: String,
    /// Whether its callbacks must be signed.
    pub require_signature: bool,
    /// Who issued it.
    pub created_by: String,
    /// Microseconds since 1970 UTC; 0 = never.
    pub expires_at: i64,
    /// About when; 0 = never.
    pub last_used_at: i64,
    /// The key it took over from; empty if none.
    pub replaces: String,
    /// When it was issued.
    pub created_at: i64,
    /// 0 = it is not.
    pub revoked_at: i64,
    pub(super) key_hash: String,
    pub(super) signing_secret: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("tenant", &self.tenant).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl Key {
    pub(super) fn from_row(row: &Row) -> Result<Self, DbError> {
        let text = |column: &str| row.text(column);
        Ok(Self {
            id: text("id")?,
            kid: text("kid")?,
            user_id: text("user_id")?,
            last4: text("last4")?,
            scopes: Scopes::stored(&text("scopes")?),
            tenant_id: text("tenant_id")?,
            tenant: text("tenant")?,
            require_signature: row.flag("require_signature")?,
            created_by: text("created_by")?,
            expires_at: row.int("expires_at")?,
            last_used_at: row.int("last_used_at")?,
            replaces: text("replaces")?,
            created_at: row.int("created_at")?,
            revoked_at: row.int("revoked_at")?,
            key_hash: text("key_hash")?,
            signing_secret: text("signing_secret")?,
        })
    }

    /// Whether it opens anything at `now`.
    pub fn is_live(&self, now: i64) -> bool {
        self.revoked_at == 0 && !self.is_expired(now)
    }

    pub(super) fn is_expired(&self, now: i64) -> bool {
        self.expires_at != 0 && self.expires_at <= now
    }
}

/// A new key with what is shown this once.
pub struct Issued {
    /// As stored.
    pub key: Key,
    /// `clawr_live_…`
    pub secret: String,
    /// `whsec_…`, if asked for.
    pub signing_secret: Option<String>,
}

/// Issues keys, in the name of `actor`, within `scope`: what every function here needs.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    /// The store.
    pub db: &'a Db,
    /// Its time.
    pub clock: &'a Clock,
    /// Keys the hashes.
    pub pepper: &'a Pepper,
    /// What the caller may see.
    pub scope: &'a Scope,
    /// Who the caller is.
    pub actor: &'a Actor,
}

impl Issuer<'_> {
    /// Issues a key. A tenant's scope issues only keys of that tenant.
    pub async fn create(&self, new: NewKey) -> Result<Issued, Problem> {
        self.check(&new)?;
        let issued = self.issue(new, "")?;
        let mut writes = vec![insert(&issued)];
        writes.extend(self.audit("key.created", &issued.key, json!({"scopes": issued.key.scopes, "kid": issued.key.kid})));
        self.commit(&writes).await?;
        Ok(issued)
    }

    /// Issues a successor with the same reach; the old key ends after `overlap_hours` (24 by default, at most 168).
    pub async fn rotate(&self, id: &str, overlap_hours: Option<i64>) -> Result<Issued, Problem> {
        let hours = overlap_hours.unwrap_or(OVERLAP_DEFAULT_HOURS);
        if !(0..=OVERLAP_MAX_HOURS).contains(&hours) {
            return Err(Problem::invalid("invalid_overlap", "/overlap_hours", "must be between 0 and 168"));
        }
        let (old, now) = (get(self.db, self.scope, id).await?, self.clock.now());
        if !old.is_live(now) {
            return Err(Problem::Conflict { reason: "key_ended", detail: format!("key {id} is revoked or expired") });
        }
        let issued = self.issue(successor(&old, now), &old.id)?;
        let end = json!({"id": old.id, "at": now + hours * HOUR_US});
        let mut writes = vec![Write::new(&EXPIRE, end.clone()), Write::new(&GUARD, end), insert(&issued)];
        writes.extend(self.audit("key.rotated", &issued.key, json!({"replaces": old.id, "overlap_hours": hours})));
        self.commit(&writes).await?;
        Ok(issued)
    }

    /// Ends a key at once (everywhere within 5 s). Ending it again changes nothing.
    pub async fn revoke(&self, id: &str) -> Result<(), Problem> {
        let key = get(self.db, self.scope, id).await?;
        if key.revoked_at != 0 {
            return Ok(());
        }
        let mut writes = vec![Write::new(&REVOKE, json!({"id": id, "at": self.clock.now()}))];
        writes.extend(self.audit("key.revoked", &key, json!({"kid": key.kid})));
        self.commit(&writes).await
    }

    fn check(&self, new: &NewKey) -> Result<(), Problem> {
        if self.scope.tenant().is_some_and(|own| own != new.tenant_id) {
            return Err(Problem::NotFound("tenant"));
        }
        if new.scopes == Scopes::default() {
            return Err(Problem::invalid("invalid_scope", "/scopes", "must name at least one of read, write, admin, deploy"));
        }
        let now = self.clock.now();
        match new.expires_at {
            Some(at) if at <= now => Err(Problem::invalid("invalid_expiry", "/expires_at", "must lie in the future")),
            Some(at) if new.tenant_id.is_empty() && at > now + GLOBAL_LIFE_MAX_US => {
                Err(Problem::invalid("invalid_expiry", "/expires_at", "must be within 90 days for a global key"))
            }
            _ => Ok(()),
        }
    }

    fn issue(&self, new: NewKey, replaces: &str) -> Result<Issued, DbError> {
        let (secret, kid) = generate()?;
        let hash = Token::parse(&secret).map(|t| t.hash(self.pepper)).ok_or_else(|| DbError::Bug("a new key is malformed".into()))?;
        let signing_secret = if new.require_signature || new.signing_secret { Some(webhook::new_secret()?) } else { None };
        let now = self.clock.now();
        let forever = if new.tenant_id.is_empty() { now + GLOBAL_LIFE_MAX_US } else { 0 };
        let key = Key {
            id: new_id("key", self.clock),
            kid,
            user_id: new.user_id,
            last4: secret.chars().skip(secret.len() - 4).collect(),
            scopes: new.scopes,
            tenant_id: new.tenant_id,
            tenant: String::new(),
            require_signature: new.require_signature,
            created_by: self.actor.id.clone(),
            expires_at: new.expires_at.unwrap_or(forever),
            last_used_at: 0,
            replaces: replaces.to_owned(),
            created_at: now,
            revoked_at: 0,
            key_hash: hash,
            signing_secret: signing_secret.clone().unwrap_or_default(),
        };
        Ok(Issued { key, secret, signing_secret })
    }

    fn audit(&self, action: &'static str, key: &Key, metadata: serde_json::Value) -> Vec<Write> {
        let event = Event { action, object: &key.id, tenant_id: &key.tenant_id, metadata };
        audit::entry(self.actor, &Stamp::new(self.clock), event)
    }

    /// Every commit here carries an audit entry with an id of its own, so a repeat after a lost reply is told apart.
    async fn commit(&self, writes: &[Write]) -> Result<(), Problem> {
        match self.db.commit_until_known(self.scope, statements(writes), PATIENCE).await {
            (Ok(_), _) => Ok(()),
            (Err(DbError::Unique(name)), true) if name == "api_keys_id" || name == "audit_log_id" => Ok(()),
            (Err(DbError::Guard(name)), _) if name == "stale" => {
                Err(Problem::Conflict { reason: "key_ended", detail: "the key was revoked meanwhile".into() })
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

/// The same reach, the same length of life from now on.
fn successor(old: &Key, now: i64) -> NewKey {
    NewKey {
        scopes: old.scopes.clone(),
        tenant_id: old.tenant_id.clone(),
        user_id: old.user_id.clone(),
        require_signature: old.require_signature,
        signing_secret: !old.signing_secret.is_empty(),
        expires_at: if old.expires_at == 0 { None } else { Some(now + (old.expires_at - old.created_at)) },
    }
}

fn insert(issued: &Issued) -> Write {
    let key = &issued.key;
    let row = json!({
        "id": key.id, "kid": key.kid, "user_id": key.user_id, "key_hash": key.key_hash, "last4": key.last4,
        "scopes": key.scopes.to_string(), "tenant_id": key.tenant_id, "require_signature": i64::from(key.require_signature),
        "signing_secret": key.signing_secret, "created_by": key.created_by, "expires_at": key.expires_at, "replaces": key.replaces,
        "created_at": key.created_at,
    });
    Write::new(&INSERT, row)
}

/// One key, if it is visible to `scope`.
pub async fn get(db: &Db, scope: &Scope, id: &str) -> Result<Key, Problem> {
    let rows = db.query(scope, GET.with([scope.param(), id.into()])).await?;
    Ok(Key::from_row(rows.first().ok_or(Problem::NotFound("key"))?)?)
}

/// One page, newest first.
pub async fn list(db: &Db, scope: &Scope, page: &Page) -> Result<Listed<Key>, Problem> {
    let rows = db.query(scope, LIST.with([scope.param(), page.after(), page.fetch()])).await?;
    page.listed(rows, Key::from_row, |k| k.id.clone())
}

//! Sealed args: a kind whose policy says `encrypt` has its args stored only as an [`Envelope`].
//!
//! Each job has a data key of its own, which one of the [`KeyRing`]'s keys wraps; a rotation re-wraps data keys and leaves
//! the content alone. An envelope is bound to the job's id, kind and tenant, so that it is worth nothing in another job.
//! Identities, unique keys and digests are computed from the plain args before; nobody but the handler sees them after.
//! Why it is like this: `ops/docs/decisions/0008-sealed-args.md`.

mod envelope;
mod hidden;
mod keys;
mod rewrap;

pub use envelope::{Bound, Envelope, OpenError};
pub use hidden::Hidden;
pub use keys::{KEY_BYTES, KeyRing};
pub use rewrap::{Needs, Rewrapped};

use crate::db::DbError;
use crate::ids::new_id;
use crate::job::NewJob;
use crate::queue::{Queue, keyed_hash};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The guard that refuses to store what no key can seal.
pub const NO_KEY: &str = "args_key_missing";

/// How the reason of a job begins that waits for a worker with the key.
pub const WAITS_FOR_KEY: &str = "its args are sealed";

/// What a process can seal and open, and the kinds whose args it must. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Sealing {
    ring: Arc<KeyRing>,
    kinds: Arc<BTreeSet<String>>,
}

impl Sealing {
    /// `kinds`: every name of the kinds that encrypt.
    pub fn new(ring: Arc<KeyRing>, kinds: impl IntoIterator<Item = &'static str>) -> Self {
        Self { ring, kinds: Arc::new(kinds.into_iter().map(str::to_owned).collect()) }
    }

    /// Its keys.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Whether jobs of this kind are sealed.
    pub fn seals(&self, kind: &str) -> bool {
        self.kinds.contains(kind)
    }

    /// Refuses a kind that must be sealed where there is no key.
    pub fn check(&self, kind: &str) -> Result<(), DbError> {
        let is_lost = self.seals(kind) && self.ring.current().is_none();
        if is_lost { Err(DbError::Guard(NO_KEY.into())) } else { Ok(()) }
    }

    /// The text that is stored in place of `args`.
    pub(crate) fn sealed(&self, bound: &Bound<'_>, args: &str) -> Result<String, DbError> {
        let Some(key) = self.ring.current() else { return Err(DbError::Guard(NO_KEY.into())) };
        let sealed = Envelope::seal(key, bound, args.as_bytes());
        sealed.map(|envelope| envelope.text()).map_err(|why| DbError::Bug(format!("args could not be sealed: {why}")))
    }

    /// By what limits count a job is of its args as well: what is stored of a sealed one tells only which are equal.
    pub(crate) fn hide_limit_key(&self, pepper: &[u8], job: &mut NewJob) {
        if self.seals(&job.kind) && !job.limit_key.is_empty() {
            job.limit_key = URL_SAFE_NO_PAD.encode(keyed_hash(pepper, &["limit", &job.limit_key]));
        }
    }

    /// The plain args of a job. Those of other kinds, and those that were stored before the kind encrypted, are plain already.
    pub fn open(&self, bound: &Bound<'_>, args: Json) -> Result<Json, OpenError> {
        if !self.seals(bound.kind) || args.get("enc").is_none() {
            return Ok(args);
        }
        let envelope = Envelope::read(&args)?;
        let plain = envelope.open(&self.ring, bound)?;
        serde_json::from_slice(&plain).map_err(|_| OpenError::Broken("what was sealed is not JSON"))
    }
}

impl Queue {
    /// What is sealed here, and with which keys.
    pub fn seal(&self) -> &Sealing {
        &self.sealing
    }

    /// Seals a job that a handler makes, which gets its id by it; a job of another kind stays as it is. Its args stay plain
    /// for what is computed from them; what is stored is the envelope. Once for a job.
    pub fn seal_made(&self, job: &mut NewJob) -> Result<(), DbError> {
        if !self.sealing.seals(&job.kind) {
            return Ok(());
        }
        self.sealing.hide_limit_key(&self.pepper, job);
        if job.id.is_empty() {
            job.id = new_id("job", &self.clock);
        }
        let bound = Bound { id: &job.id, kind: &job.kind, tenant: &job.tenant };
        job.sealed = Some(self.sealing.sealed(&bound, &job.args)?);
        Ok(())
    }
}

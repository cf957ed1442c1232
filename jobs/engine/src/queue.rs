//! The handle through which jobs are made, claimed, ended and looked at.

use crate::clock::Clock;
use crate::coalesce::Coalescer;
use crate::db::{Db, DbError, Engine};
use crate::enqueue::Maker;
use crate::job::{Enqueued, NewJob};
use crate::limits::Known;
use crate::retention::Classes;
use crate::seal::Sealing;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};

/// Store, clock and register of one process. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) pepper: Arc<Vec<u8>>,
    pub(crate) sealing: Sealing,
    /// The limits as they were last read.
    pub(crate) limits: Arc<Mutex<Known>>,
    /// Which kinds are kept how long.
    pub(crate) classes: Classes,
    singles: Coalescer<NewJob, Enqueued>,
}

/// At most this many concurrent single enqueues share a commit.
const SINGLES_MAX: usize = 256;

impl Queue {
    /// `pepper` keys the register's hashes and can never be rotated without keeping the old one.
    pub fn new(db: Db, clock: Clock, pepper: Vec<u8>) -> Self {
        Self::sealing(db, clock, pepper, Sealing::default())
    }

    /// The same where kinds encrypt.
    pub fn sealing(db: Db, clock: Clock, pepper: Vec<u8>, sealing: Sealing) -> Self {
        let pepper = Arc::new(pepper);
        let maker = Maker { db: db.clone(), clock: clock.clone(), pepper: pepper.clone(), sealing: sealing.clone() };
        let lanes = if db.engine() == Engine::Postgres { 3 } else { 1 };
        let singles = Coalescer::start(
            SINGLES_MAX,
            lanes,
            Arc::new(move |jobs| {
                let maker = maker.clone();
                Box::pin(async move { maker.enqueue_many(jobs).await })
            }),
            |gathered, next| next.key.is_none() || gathered.iter().all(|j| j.key != next.key),
        );
        Self { db, clock, pepper, sealing, limits: Arc::default(), classes: Classes::default(), singles }
    }

    /// The store.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Makes one job; durable when this returns. Concurrent calls of one process share a commit.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, DbError> {
        self.sealing.check(&job.kind)?;
        self.singles.call(job).await
    }

    /// Makes many jobs in one commit; one answer each, in order. The same rules as [`Queue::enqueue`].
    pub async fn enqueue_many(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, DbError> {
        let Self { db, clock, pepper, sealing, .. } = self.clone();
        Maker { db, clock, pepper, sealing }.enqueue_many(jobs).await
    }
}

/// The first 128 bits of HMAC-SHA256 over parts of any length, each behind its length.
pub(crate) fn keyed_hash(pepper: &[u8], parts: &[&str]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(pepper).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes()[..16].to_vec()
}

/// What the register keeps instead of a key.
pub(crate) fn key_hash(pepper: &[u8], job: &NewJob, key: &str) -> Vec<u8> {
    keyed_hash(pepper, &[&job.tenant, job.family(), key])
}

/// The first 128 bits of SHA-256 over what makes two requests the same request.
pub(crate) fn digest(job: &NewJob) -> Vec<u8> {
    Sha256::digest(canonical(job).as_bytes())[..16].to_vec()
}

/// The same of a job whose args are sealed: who reads it and guesses the args cannot tell that they are right.
pub(crate) fn sealed_digest(pepper: &[u8], job: &NewJob) -> Vec<u8> {
    keyed_hash(pepper, &["digest", &canonical(job)])
}

fn canonical(job: &NewJob) -> String {
    let mut canonical = serde_json::json!([
        job.family(),
        job.tenant,
        canonical_args(&job.args),
        job.queue,
        job.tags,
        job.priority,
        job.run_at,
        job.deadline,
        job.max_attempts
    ]);
    // only what was asked for: digests of jobs that name no sequence are what they were
    if let (Some(named), Some(all)) = (job.sequence.as_ref().filter(|sequence| sequence.is_named), canonical.as_array_mut()) {
        all.push(named.key.as_str().into());
    }
    canonical.to_string()
}

/// Objects compare without regard to the order of their members.
fn canonical_args(args: &str) -> serde_json::Value {
    serde_json::from_str(args).unwrap_or_else(|_| serde_json::Value::String(args.to_owned()))
}

/// Bytes inside JSON input: hex for Postgres (`decode(…, 'hex')`), base64url text elsewhere.
pub(crate) fn encode(bytes: &[u8], engine: Engine) -> String {
    if engine == Engine::Postgres { crate::db::migrate::hex(bytes) } else { URL_SAFE_NO_PAD.encode(bytes) }
}

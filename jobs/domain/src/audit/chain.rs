//! Sealing: hash = SHA-256(previous hash ‖ canonical entry), one chain per stream, beginning after 32 zero bytes.
//!
//! Two sealers collide on (stream, seq); the slower one's commit is refused whole and it starts again from the new head.

use super::list::Entry;
use crate::digest::sha256;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clawr_engine::db::{Db, DbError, Scope};
use clawr_engine::write::json;
use serde_json::{Value as Json, json};

clawr_engine::sql!(STREAMS, "../sql/audit_unsealed_streams.sql");
clawr_engine::sql!(HEAD, "../sql/audit_head.sql");
clawr_engine::sql!(UNSEALED, "../sql/audit_unsealed_list.sql");
clawr_engine::sql!(SEALS_INSERT, "../sql/audit_seals_insert.sql");
clawr_engine::sql!(UNSEALED_DELETE, "../sql/audit_unsealed_delete.sql");

/// Tries per stream and pass; the next pass goes on.
const TRIES: u32 = 5;

/// Seals up to 1,000 entries of each stream that has some; returns how many. A duty: idempotent, any number at once.
pub async fn seal(db: &Db) -> Result<u64, DbError> {
    let mut sealed = 0;
    for row in db.query(&Scope::System, STREAMS.with([])).await? {
        sealed += seal_stream(db, &row.text("stream")?).await?;
    }
    Ok(sealed)
}

async fn seal_stream(db: &Db, stream: &str) -> Result<u64, DbError> {
    for _ in 0..TRIES {
        match seal_once(db, stream).await {
            Err(DbError::Unique(_)) => tracing::debug!(stream, "another sealer was faster"),
            answer => return answer,
        }
    }
    Ok(0)
}

/// The head is read before the entries: whatever another sealer commits after that makes our `seq` collide.
async fn seal_once(db: &Db, stream: &str) -> Result<u64, DbError> {
    let (seq, head) = head(db, stream).await?;
    let rows = db.query(&Scope::System, UNSEALED.with([stream.into()])).await?;
    let entries = rows.iter().map(Entry::from_row).collect::<Result<Vec<_>, _>>()?;
    if entries.is_empty() {
        return Ok(0);
    }
    let seals = json(&links(stream, seq, head, &entries));
    let statements = vec![SEALS_INSERT.with([seals.as_str().into()]), UNSEALED_DELETE.with([seals.into()])];
    db.commit(&Scope::System, statements).await?;
    Ok(entries.len() as u64)
}

async fn head(db: &Db, stream: &str) -> Result<(i64, String), DbError> {
    match db.query(&Scope::System, HEAD.with([stream.into()])).await?.first() {
        Some(row) => Ok((row.int("seq")?, row.text("hash")?)),
        None => Ok((0, origin())),
    }
}

fn links(stream: &str, mut seq: i64, mut prev: String, entries: &[Entry]) -> Vec<Json> {
    let mut seals = Vec::with_capacity(entries.len());
    for entry in entries {
        let hash = link(&prev, entry);
        seq += 1;
        seals.push(json!({"stream": stream, "seq": seq, "entry_id": entry.id, "prev": prev, "hash": hash}));
        prev = hash;
    }
    seals
}

/// What the first entry of a chain follows.
pub(super) fn origin() -> String {
    URL_SAFE_NO_PAD.encode([0; 32])
}

/// The hash of an entry that follows `prev`. A `prev` that is no hash (only a hand can have written it) is taken as it
/// stands, so that it is found and not skipped.
pub(super) fn link(prev: &str, entry: &Entry) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(prev).unwrap_or_else(|_| prev.as_bytes().to_vec());
    sha256(&[&bytes, entry.canonical().as_bytes()])
}

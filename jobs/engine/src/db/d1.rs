//! Cloudflare D1 over HTTP: one wire shape, two transports (the REST API and our gateway Worker).
//!
//! A request carries a list of statements that D1 runs in one transaction; there is nothing else to hold open, so a
//! lost answer is the only hard case. Whatever may have reached the database is [`DbError::Unknown`] for a commit and
//! [`DbError::Unavailable`] for a read; nothing is repeated here, except a 429, which says that nothing was done.
//!
//! In reading order: [`Endpoint`] (where), `wire` (what is sent, and what is refused before sending), `answer` (what
//! came back), `transport` (how), `pace` (how often), `settings` (what `doctor` learns).

mod answer;
mod endpoint;
mod pace;
mod settings;
mod transport;
mod wire;

pub use answer::{Intent, read_answer};
pub use endpoint::{Endpoint, Transport};

use super::migrate::Script;
use super::{DbError, OpenError, Rows, Sql, Statement};
use transport::Http;
use wire::{Entry, Param};

static TIME: Sql = Sql::one("d1/time", "-- params: none\nselect cast(round(unixepoch('subsec') * 1000) as integer) as millis");

const RECORDS: &str = "create table if not exists d1_migrations \
    (id integer primary key autoincrement, name text unique, applied_at text)";
const RECORD_FOR_WRANGLER: &str = "insert into d1_migrations (name, applied_at) \
    values (?1, datetime(cast(?2 as integer) / 1000000, 'unixepoch'))";
const RECORD: &str = "insert into schema_migrations (name, checksum, applied_at) values (?1, ?2, cast(?3 as integer))";

/// A D1 database. Holds a connection pool and a token, no state of the database.
pub struct D1Store {
    http: Http,
}

impl D1Store {
    /// Makes a client; nothing is sent yet. Without a token every answer would be 401, so that is refused here.
    pub fn open(endpoint: &Endpoint, token: Option<String>) -> Result<D1Store, OpenError> {
        let token = token.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let token = token.ok_or_else(|| OpenError::Unsafe(format!("{endpoint} needs a token: set store.token_file")))?;
        let http = Http::new(endpoint.clone(), &token).map_err(OpenError::Unreachable)?;
        Ok(D1Store { http })
    }

    /// Reads: one statement. A lost answer is [`DbError::Unavailable`], because repeating a read is harmless.
    pub async fn query(&self, statement: Statement) -> Result<Rows, DbError> {
        let entries = wire::entries(std::slice::from_ref(&statement))?;
        let mut answers = self.http.send(&entries, Intent::Read).await?;
        answers.pop().ok_or_else(|| DbError::Unavailable("D1 answered without rows".into()))
    }

    /// Writes: all statements in one transaction, or none. A lost answer is [`DbError::Unknown`].
    pub async fn commit(&self, statements: Vec<Statement>) -> Result<Vec<Rows>, DbError> {
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        self.http.send(&wire::entries(&statements)?, Intent::Write).await
    }

    /// The database's time in microseconds since 1970 UTC; D1 tells milliseconds.
    pub async fn sample_time(&self) -> Result<i64, DbError> {
        let rows = self.query(TIME.with([])).await?;
        let row = rows.first().ok_or_else(|| DbError::Bug("d1/time returned no row".into()))?;
        Ok(row.int("millis")? * 1_000)
    }

    /// Runs a migration and records it twice, in one transaction: for us with its checksum, and for `wrangler d1
    /// migrations`, which knows a migration by its file name.
    pub async fn run_script(&self, script: &Script) -> Result<(), DbError> {
        let now = self.sample_time().await?;
        let mut entries: Vec<Entry<'_>> = pieces(script.text).map(Entry::bare).collect();
        entries.push(Entry::bare(RECORDS));
        let file = format!("{}.sql", script.name);
        entries.push(Entry::new(RECORD_FOR_WRANGLER, vec![Param::text(file), Param::int(now)]));
        let checksum = Param::text(script.record());
        entries.push(Entry::new(RECORD, vec![Param::text(script.name), checksum, Param::int(now)]));
        wire::check(script.name, &entries)?;
        self.http.send(&entries, Intent::Write).await.map(drop)
    }

    /// What `doctor` prints: the transport, whether a batch really is one transaction, whether NULL survives.
    pub async fn settings(&self) -> Result<Vec<(String, String)>, DbError> {
        settings::read(&self.http).await
    }
}

/// The statements of a script: the text between lines `--;;`, less what is only comment. Never split at semicolons,
/// which triggers contain.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let split = std::iter::from_fn(move || {
        let text = rest.take()?;
        let cut = marker(text);
        rest = cut.map(|(_, after)| after);
        Some(cut.map_or(text, |(before, _)| before))
    });
    split.map(str::trim).filter(|piece| piece.lines().any(is_sql))
}

/// The text before and after the first line `--;;`.
fn marker(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim() == "--;;" {
            return Some((&text[..at], &text[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

fn is_sql(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_cut_at_marker_lines_only() {
        let text = "-- head\ncreate table a (x);\n--;;\ncreate trigger t after insert on a BEGIN select 1; END;\r\n--;;\r\n-- end\n";
        let found: Vec<_> = pieces(text).collect();
        assert_eq!(found, ["-- head\ncreate table a (x);", "create trigger t after insert on a BEGIN select 1; END;"]);
        assert_eq!(pieces("select '--;;'\n").count(), 1);
        assert_eq!(pieces("-- nothing\n\n").count(), 0);
    }

    #[test]
    fn a_store_without_a_token_is_refused() {
        let endpoint = Endpoint::parse("d1://acc/db").unwrap();
        for token in [None, Some(String::new()), Some(" \n".into())] {
            let refused = D1Store::open(&endpoint, token).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(refused.contains("store.token_file"), "{refused}");
        }
    }
}

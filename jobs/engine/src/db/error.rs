//! What can go wrong between us and the store, one variant per thing a caller would treat differently.

/// The store's answer when a statement or commit did not succeed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DbError {
    /// A named CHECK refused the commit (`lease_lost`, `insufficient_funds`, `stale`, `append_only`): nothing was written.
    #[error("guard {0} refused the commit")]
    Guard(String),
    /// A unique key was taken already: nothing was written. The name is `table_column[_column…]`.
    #[error("{0} exists already")]
    Unique(String),
    /// Certainly not committed; the same call may be tried again.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// Nobody knows whether it was committed. Repeat the same commit; a look is never proof of absence.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The statement is wrong or the schema is not what this binary expects: a bug, never retried.
    #[error("store refused the statement: {0}")]
    Bug(String),
}

impl DbError {
    /// True for answers that a later repeat of the same call may turn into success.
    pub fn is_retryable(&self) -> bool {
        matches!(self, DbError::Unavailable(_) | DbError::Unknown(_))
    }

    /// True when guard `name` refused.
    pub fn is_guard(&self, name: &str) -> bool {
        matches!(self, DbError::Guard(n) if n == name)
    }

    /// Classifies the text of a SQLite error, which D1 hands on with a prefix and a suffix of its own.
    pub(crate) fn from_sqlite_text(text: &str) -> DbError {
        let text = text.strip_prefix("D1_ERROR: ").unwrap_or(text);
        let text = text.split(": SQLITE_").next().unwrap_or(text).trim();
        if let Some(name) = text.strip_prefix("CHECK constraint failed: ") {
            return DbError::Guard(name.trim().to_owned());
        }
        if let Some(columns) = text.strip_prefix("UNIQUE constraint failed: ") {
            return DbError::Unique(unique_name(columns));
        }
        if let Some(name) = text.strip_prefix("duplicate ") {
            return DbError::Unique(name.trim().to_owned());
        }
        if text.ends_with("is append-only") {
            return DbError::Guard("append_only".into());
        }
        DbError::Bug(text.to_owned())
    }
}

/// `entries.key` → `entries_key`; `a.x, a.y` → `a_x_y`; `index 'name'` → `name`: the names Postgres constraints have.
fn unique_name(columns: &str) -> String {
    if let Some(index) = columns.strip_prefix("index '") {
        return index.trim_end_matches('\'').to_owned();
    }
    let mut name = String::new();
    for (i, column) in columns.split(", ").enumerate() {
        match column.split_once('.') {
            Some((table, field)) if i == 0 => name = format!("{table}_{field}"),
            Some((_, field)) => name = format!("{name}_{field}"),
            None => name.push_str(column),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_texts_become_the_names_postgres_uses() {
        let cases = [
            ("CHECK constraint failed: lease_lost", DbError::Guard("lease_lost".into())),
            (
                "D1_ERROR: CHECK constraint failed: stale: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)",
                DbError::Guard("stale".into()),
            ),
            ("UNIQUE constraint failed: entries.key", DbError::Unique("entries_key".into())),
            ("UNIQUE constraint failed: settlements.network, settlements.payer", DbError::Unique("settlements_network_payer".into())),
            ("duplicate entries_key: SQLITE_CONSTRAINT", DbError::Unique("entries_key".into())),
            ("audit_log is append-only", DbError::Guard("append_only".into())),
            ("no such table: x", DbError::Bug("no such table: x".into())),
        ];
        for (text, want) in cases {
            assert_eq!(DbError::from_sqlite_text(text), want, "{text}");
        }
    }
}

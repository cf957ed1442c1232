//! Driver errors as ours. What an error means depends on where it struck: before COMMIT was sent nothing can have been
//! committed; once it was sent, a lost connection leaves the outcome unknown.

use super::DbError;

/// Where an error struck.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Getting a connection, or BEGIN.
    Begin,
    /// Inside a transaction.
    Inside,
    /// COMMIT, or a single statement that commits by itself.
    Commit,
    /// A read.
    Read,
}

/// Prefix of the texts that `Db` runs again.
pub(super) const CONFLICT: &str = "conflict";

pub(super) fn fault(error: sqlx::Error, at: At) -> DbError {
    if let sqlx::Error::Database(e) = &error {
        let code = e.code().unwrap_or_default().into_owned();
        let constraint = || e.constraint().unwrap_or("unnamed").to_owned();
        return match code.as_str() {
            "23514" => DbError::Guard(constraint()),
            "23505" => DbError::Unique(constraint()),
            "40001" | "40P01" => DbError::Unavailable(format!("{CONFLICT} {code}: {}", e.message())),
            "55P03" | "57014" | "25006" | "53100" | "53200" | "53300" | "53400" => DbError::Unavailable(format!("{code}: {}", e.message())),
            "57P01" | "57P02" | "57P03" | "58030" | "XX000" => broken(format!("{code}: {}", e.message()), at),
            "P0001" if e.message().ends_with("is append-only") => DbError::Guard("append_only".into()),
            _ if code.starts_with("08") => broken(format!("{code}: {}", e.message()), at),
            _ => DbError::Bug(format!("{code}: {}", e.message())),
        };
    }
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => DbError::Unavailable(error.to_string()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) | sqlx::Error::TypeNotFound { .. } => {
            DbError::Bug(error.to_string())
        }
        other => broken(other.to_string(), at),
    }
}

fn broken(text: String, at: At) -> DbError {
    if at == At::Commit { DbError::Unknown(text) } else { DbError::Unavailable(text) }
}

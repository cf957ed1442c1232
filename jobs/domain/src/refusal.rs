//! What the business says no with. One type, so that whoever faces the outside maps it once: bad input names the places
//! in the input, a conflict names its reason, and what belongs to somebody else is simply not there.

use clawr_engine::db::DbError;

/// One thing wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// JSON pointer into the input; empty for the whole of it.
    pub pointer: String,
    /// A fragment that says what is wrong.
    pub detail: String,
}

impl FieldError {
    /// `detail` is wrong at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    /// The input cannot be what it claims to be.
    #[error("invalid input: {}", first(.errors))]
    Invalid {
        /// Stable name of the rule, in snake case.
        reason: &'static str,
        /// Everything found wrong, in order of the input.
        errors: Vec<FieldError>,
    },
    /// The input is fine and contradicts what is stored.
    #[error("{detail}")]
    Conflict {
        /// Stable name of the rule, in snake case.
        reason: &'static str,
        /// A sentence for a person.
        detail: String,
    },
    /// Not there, or not visible to this scope.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The credential does not reach that far.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// The store did not answer as expected.
    #[error(transparent)]
    Store(#[from] DbError),
}

impl Problem {
    /// Bad input, unless `errors` is empty.
    pub fn unless_empty(reason: &'static str, errors: Vec<FieldError>) -> Result<(), Problem> {
        if errors.is_empty() { Ok(()) } else { Err(Problem::Invalid { reason, errors }) }
    }

    /// One thing wrong.
    pub fn invalid(reason: &'static str, pointer: &str, detail: impl Into<String>) -> Problem {
        Problem::Invalid { reason, errors: vec![FieldError::new(pointer, detail)] }
    }
}

fn first(errors: &[FieldError]) -> String {
    errors.first().map(|e| format!("{} {}", e.pointer, e.detail)).unwrap_or_default()
}

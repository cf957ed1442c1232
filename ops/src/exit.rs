//! How a command ends: one number a script can branch on, and one sentence on stderr.

use clawr_domain::Problem;
use clawr_engine::db::{DbError, OpenError};
use std::fmt;
use std::process::ExitCode;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done = 0,
    /// It was not.
    Failed = 1,
    /// The command line, its input or the configuration is wrong.
    Usage = 2,
    /// No such thing, or not visible to this credential.
    NotFound = 3,
    /// It contradicts what is there, or the state forbids it.
    Conflict = 4,
    /// No credential, or one that does not reach that far.
    NotAllowed = 5,
    /// The store or the server does not answer.
    Unavailable = 69,
    /// Ctrl-C.
    Interrupted = 130,
}

/// A failure that knows its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What stderr says.
    pub message: String,
}

impl Failure {
    /// `message` with `exit`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The process's exit code; a failure is said on stderr, here and nowhere else.
pub fn status(result: anyhow::Result<Exit>) -> ExitCode {
    let error = match result {
        Ok(exit) => return exit.into(),
        Err(error) => error,
    };
    if is_broken_pipe(&error) {
        return Exit::Done.into();
    }
    crate::out::say(&format!("error: {error:#}"));
    of(&error).into()
}

/// Which code an error means: the first cause that knows.
pub fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(known).unwrap_or(Exit::Failed)
}

fn known(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.exit);
    }
    if let Some(problem) = cause.downcast_ref::<Problem>() {
        return Some(of_problem(problem));
    }
    if let Some(open) = cause.downcast_ref::<OpenError>() {
        return Some(of_open(open));
    }
    cause.downcast_ref::<DbError>().map(of_store)
}

fn of_problem(problem: &Problem) -> Exit {
    match problem {
        Problem::Invalid { .. } => Exit::Usage,
        Problem::Conflict { .. } => Exit::Conflict,
        Problem::NotFound(_) => Exit::NotFound,
        Problem::Forbidden(_) => Exit::NotAllowed,
        Problem::Store(error) => of_store(error),
    }
}

fn of_open(error: &OpenError) -> Exit {
    match error {
        OpenError::Unreachable(_) => Exit::Unavailable,
        OpenError::Unsafe(_) => Exit::Usage,
        OpenError::Db(error) => of_store(error),
        OpenError::SchemaOld(_) | OpenError::SchemaNew(_) | OpenError::Checksum(_) => Exit::Failed,
    }
}

fn of_store(error: &DbError) -> Exit {
    if error.is_retryable() { Exit::Unavailable } else { Exit::Failed }
}

/// The code for an answer of our HTTP API.
pub fn of_status(status: u16) -> Exit {
    match status {
        200..=299 => Exit::Done,
        400 | 422 => Exit::Usage,
        401 | 403 => Exit::NotAllowed,
        404 => Exit::NotFound,
        409 | 412 => Exit::Conflict,
        429 | 502..=504 => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

/// `clawr jobs list | head` ends the reader, which is no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn every_kind_of_failure_has_its_code() {
        let cases: [(anyhow::Error, Exit); 9] = [
            (anyhow::anyhow!("something"), Exit::Failed),
            (Failure::new(Exit::Usage, "x").into(), Exit::Usage),
            (Problem::NotFound("tenant").into(), Exit::NotFound),
            (Problem::Conflict { reason: "x", detail: "y".into() }.into(), Exit::Conflict),
            (Problem::Forbidden("x".into()).into(), Exit::NotAllowed),
            (Problem::invalid("x", "/slug", "y").into(), Exit::Usage),
            (Problem::Store(DbError::Unavailable("x".into())).into(), Exit::Unavailable),
            (OpenError::Unreachable("x".into()).into(), Exit::Unavailable),
            (DbError::Bug("x".into()).into(), Exit::Failed),
        ];
        for (error, want) in cases {
            assert_eq!(of(&error), want, "{error}");
        }
    }

    #[test]
    fn a_code_survives_its_context() {
        let error = Err::<(), _>(Failure::new(Exit::Conflict, "taken")).context("failed to make acme").unwrap_err();
        assert_eq!(of(&error), Exit::Conflict);
        assert_eq!(format!("{error:#}"), "failed to make acme: taken");
    }

    #[test]
    fn answers_of_the_api_have_codes() {
        let codes =
            [(200, 0), (202, 0), (400, 2), (401, 5), (403, 5), (404, 3), (409, 4), (422, 2), (429, 69), (503, 69), (500, 1), (402, 1)];
        for (status, code) in codes {
            assert_eq!(of_status(status) as u8, code, "{status}");
        }
    }
}

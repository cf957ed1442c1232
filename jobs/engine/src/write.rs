//! A handler's work on our database: named set-based statements and their parameter rows.
//!
//! A write's file takes one parameter, `$1`: a JSON array of rows, read with `json_each($1)`. Writes of the same file
//! that are committed together are merged into one execution, in the order in which the files first appear, so a file
//! must not depend on running once per row. A domain function that writes is pure: it returns `Vec<Write>`; the API
//! commits them directly, a handler puts them into its outcome.

use crate::db::{Sql, Statement};
use serde_json::Value as Json;

/// One row for one set-based statement.
#[derive(Clone, Debug)]
pub struct Write {
    /// The statement; its file declares `-- params: text`.
    pub sql: &'static Sql,
    /// One object; the statement reads its fields with `->>`.
    pub row: Json,
}

impl Write {
    /// A row for `sql`.
    pub fn new(sql: &'static Sql, row: Json) -> Self {
        Self { sql, row }
    }
}

/// Merges writes into one statement per file, files in order of first appearance, rows in order.
pub fn statements<'w>(writes: impl IntoIterator<Item = &'w Write>) -> Vec<Statement> {
    let mut merged: Vec<(&'static Sql, Vec<&Json>)> = Vec::new();
    for write in writes {
        match merged.iter_mut().find(|(sql, _)| std::ptr::eq(*sql, write.sql)) {
            Some((_, rows)) => rows.push(&write.row),
            None => merged.push((write.sql, vec![&write.row])),
        }
    }
    merged.into_iter().map(|(sql, rows)| sql.with([json(&rows).into()])).collect()
}

/// Rows as the JSON text a set-based statement takes.
pub fn json<T: serde::Serialize>(rows: &[T]) -> String {
    serde_json::to_string(rows).expect("plain data always serializes")
}

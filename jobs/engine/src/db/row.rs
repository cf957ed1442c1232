//! Rows as every store returns them: named columns, typed values, no driver type.

use super::{DbError, Value};
use std::sync::Arc;

/// The rows of one statement.
pub type Rows = Vec<Row>;

/// One row. Column access by name; a missing or differently typed column is a [`DbError::Bug`].
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub(crate) columns: Arc<[String]>,
    pub(crate) values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of `column`.
    pub fn get(&self, column: &str) -> Result<&Value, DbError> {
        let at = self.columns.iter().position(|c| c == column);
        at.and_then(|i| self.values.get(i)).ok_or_else(|| DbError::Bug(format!("no column {column} in {:?}", self.columns)))
    }

    /// A `bigint` that is not null.
    pub fn int(&self, column: &str) -> Result<i64, DbError> {
        self.opt_int(column)?.ok_or_else(|| DbError::Bug(format!("column {column} is null")))
    }

    /// A nullable `bigint`.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, DbError> {
        match self.get(column)? {
            Value::Int(v) => Ok(*v),
            Value::Text(None) | Value::Bytes(None) => Ok(None),
            Value::Text(Some(t)) => t.parse().map(Some).map_err(|_| DbError::Bug(format!("column {column} is text, not bigint"))),
            Value::Bytes(Some(_)) => Err(DbError::Bug(format!("column {column} is bytes, not bigint"))),
        }
    }

    /// A `text` that is not null.
    pub fn text(&self, column: &str) -> Result<String, DbError> {
        self.opt_text(column)?.ok_or_else(|| DbError::Bug(format!("column {column} is null")))
    }

    /// A nullable `text`. Bytes that are not UTF-8 (only a hand can have written them) come back with replacement marks.
    pub fn opt_text(&self, column: &str) -> Result<Option<String>, DbError> {
        match self.get(column)? {
            Value::Text(v) => Ok(v.clone()),
            Value::Int(None) => Ok(None),
            Value::Int(Some(n)) => Ok(Some(n.to_string())),
            Value::Bytes(v) => Ok(v.as_ref().map(|b| String::from_utf8_lossy(b).into_owned())),
        }
    }

    /// A 0/1 column.
    pub fn flag(&self, column: &str) -> Result<bool, DbError> {
        Ok(self.int(column)? != 0)
    }

    /// True if the column holds bytes that are not UTF-8 text.
    pub fn is_raw(&self, column: &str) -> bool {
        matches!(self.get(column), Ok(Value::Bytes(Some(_))))
    }
}

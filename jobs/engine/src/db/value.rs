//! Parameter and column values. There is no untyped NULL: a driver that caches prepared statements by text would
//! remember the wrong type, so every NULL says what it would have been.

/// A bound parameter or a column's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `bigint`; within ±9·10¹⁵ so that no JSON transport can round it.
    Int(Option<i64>),
    /// `text`, UTF-8.
    Text(Option<String>),
    /// Raw bytes: `bytea` on Postgres, base64url text on SQLite and D1.
    Bytes(Option<Vec<u8>>),
}

/// Largest absolute integer that survives every transport of this project.
pub const INT_MAX: i64 = 9_000_000_000_000_000;

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Value::Int(Some(v))
    }
}
impl From<Option<i64>> for Value {
    fn from(v: Option<i64>) -> Self {
        Value::Int(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Value::Text(Some(v.to_owned()))
    }
}
impl From<&String> for Value {
    fn from(v: &String) -> Self {
        Value::Text(Some(v.clone()))
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Value::Text(Some(v))
    }
}
impl From<Option<String>> for Value {
    fn from(v: Option<String>) -> Self {
        Value::Text(v)
    }
}
impl From<Vec<u8>> for Value {
    fn from(v: Vec<u8>) -> Self {
        Value::Bytes(Some(v))
    }
}

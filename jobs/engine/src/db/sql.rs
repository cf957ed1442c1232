//! SQL files and how they become statements.
//!
//! One operation, one file, one statement. The first line declares the parameter types
//! (`-- params: text, int, int?`), checked on every call, so a wrong bind fails in the first test and not in a
//! prepared-statement cache. Files are written with `$n`; the loader rewrites to `?n` for SQLite and D1, because there
//! `$1` is a *name*, numbered by first appearance. For D1, whose JSON transport binds numbers as REAL, integers are
//! sent as text and the loader writes `cast(?n as integer)`.
//!
//! What may be claimed is said once, in `claimable.*.sql`; the loader puts it where a file says `{{claimable}}`, so that
//! claim and explain cannot disagree. So are limits: `{{limits}}` is how much of them is in use, `{{room}}` whether they let a
//! job through, `{{placed}}` how what is left of them is shared out.

use super::{DbError, Value, value::INT_MAX};
use std::sync::OnceLock;

/// What may be claimed, as a condition over jobs `j`: for Postgres, and for SQLite and D1.
const CLAIMABLE: [&str; 2] = [include_str!("../sql/claimable.pg.sql"), include_str!("../sql/claimable.lite.sql")];
const CLAIMABLE_MARK: &str = "{{claimable}}";
/// What stands for a mark, of limits.
const OF_LIMITS: [(&str, &str); 3] = [
    ("{{limits}}", include_str!("../sql/claimable_limits.sql")),
    ("{{room}}", include_str!("../sql/claimable_room.sql")),
    ("{{placed}}", include_str!("../sql/claimable_placed.sql")),
];

/// Which store a statement runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Embedded SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// Cloudflare D1 over HTTP.
    D1,
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
            Engine::D1 => "d1",
        })
    }
}

/// The type of one declared parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamType {
    /// `int`
    Int,
    /// `text`
    Text,
    /// `bytes`
    Bytes,
}

/// A statement's text in its dialects, parsed on first use.
pub struct Sql {
    name: &'static str,
    postgres: &'static str,
    lite: &'static str,
    parsed: OnceLock<Result<Parsed, String>>,
}

struct Parsed {
    params: Vec<(ParamType, bool)>,
    postgres: String,
    sqlite: String,
    d1: String,
}

/// A statement of one text for all stores: `sql!(NAME, "path.sql")`. The name is the path without its ending.
#[macro_export]
macro_rules! sql {
    ($(#[$meta:meta])* $name:ident, $path:literal) => {
        #[doc = concat!("The statement of `", $path, "`.")]
        $(#[$meta])*
        pub static $name: $crate::db::Sql = $crate::db::Sql::one($path, include_str!($path));
    };
    ($(#[$meta:meta])* $name:ident, $postgres:literal, $lite:literal) => {
        #[doc = concat!("The statement of `", $postgres, "` and its twin for SQLite and D1.")]
        $(#[$meta])*
        pub static $name: $crate::db::Sql = $crate::db::Sql::two($postgres, include_str!($postgres), include_str!($lite));
    };
}

impl Sql {
    /// One text for all three stores.
    pub const fn one(name: &'static str, text: &'static str) -> Self {
        Self { name, postgres: text, lite: text, parsed: OnceLock::new() }
    }

    /// A Postgres text, and one for SQLite and D1.
    pub const fn two(name: &'static str, postgres: &'static str, lite: &'static str) -> Self {
        Self { name, postgres, lite, parsed: OnceLock::new() }
    }

    /// The file's path, for messages and plan snapshots.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Binds parameters; arity and types are checked against the file's first line when it runs.
    pub fn with<const N: usize>(&'static self, params: [Value; N]) -> Statement {
        Statement { sql: self, params: params.into() }
    }

    /// The final text for `engine`; `Err` names what is wrong with the file.
    pub fn text(&self, engine: Engine) -> Result<&str, DbError> {
        let parsed = self.parsed()?;
        Ok(match engine {
            Engine::Postgres => &parsed.postgres,
            Engine::Sqlite => &parsed.sqlite,
            Engine::D1 => &parsed.d1,
        })
    }

    /// The declared parameters: type and whether NULL is allowed.
    pub fn params(&self) -> Result<&[(ParamType, bool)], DbError> {
        Ok(&self.parsed()?.params)
    }

    fn parsed(&self) -> Result<&Parsed, DbError> {
        let parsed = self.parsed.get_or_init(|| self.parse());
        parsed.as_ref().map_err(|why| DbError::Bug(format!("{}: {why}", self.name)))
    }

    fn parse(&self) -> Result<Parsed, String> {
        let params = declared(self.postgres)?;
        if declared(self.lite)? != params {
            return Err("the two texts declare different parameters".into());
        }
        let put = |text: &str, claimable: &str| {
            let text = text.replace(CLAIMABLE_MARK, claimable.trim_end());
            OF_LIMITS.iter().fold(text, |text, (mark, part)| text.replace(mark, part.trim_end()))
        };
        let lite = put(self.lite, CLAIMABLE[1]);
        Ok(Parsed {
            postgres: rewrite(&put(self.postgres, CLAIMABLE[0]), &params, Engine::Postgres)?,
            sqlite: rewrite(&lite, &params, Engine::Sqlite)?,
            d1: rewrite(&lite, &params, Engine::D1)?,
            params,
        })
    }
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(crate) sql: &'static Sql,
    pub(crate) params: Vec<Value>,
}

impl Statement {
    /// The file's name.
    pub fn name(&self) -> &'static str {
        self.sql.name
    }

    /// Binds one more parameter.
    pub fn and(mut self, value: Value) -> Statement {
        self.params.push(value);
        self
    }

    /// Checks arity, types and integer range against the declaration.
    pub(crate) fn check(&self) -> Result<(), DbError> {
        let declared = self.sql.params()?;
        if declared.len() != self.params.len() {
            return Err(DbError::Bug(format!("{}: {} parameters given, {} declared", self.sql.name, self.params.len(), declared.len())));
        }
        for (n, ((kind, nullable), value)) in declared.iter().zip(&self.params).enumerate() {
            let (given, null) = match value {
                Value::Int(v) => (ParamType::Int, v.is_none()),
                Value::Text(v) => (ParamType::Text, v.is_none()),
                Value::Bytes(v) => (ParamType::Bytes, v.is_none()),
            };
            if given != *kind || (null && !nullable) {
                return Err(DbError::Bug(format!("{}: ${} is {value:?}, declared {kind:?}", self.sql.name, n + 1)));
            }
            if matches!(value, Value::Int(Some(v)) if v.abs() > INT_MAX) {
                return Err(DbError::Bug(format!("{}: ${} is beyond ±{INT_MAX}", self.sql.name, n + 1)));
            }
        }
        Ok(())
    }

    /// Rough size in bytes, for group limits.
    pub(crate) fn size(&self) -> usize {
        self.params
            .iter()
            .map(|p| match p {
                Value::Text(Some(t)) => t.len(),
                Value::Bytes(Some(b)) => b.len(),
                _ => 8,
            })
            .sum()
    }
}

/// Reads `-- params: int, text?, bytes` from the first line.
fn declared(text: &str) -> Result<Vec<(ParamType, bool)>, String> {
    let first = text.lines().next().unwrap_or_default();
    let list = first.strip_prefix("-- params:").ok_or("first line must be `-- params: …`")?;
    let names = list.split(',').map(str::trim).filter(|n| !n.is_empty() && *n != "none");
    names
        .map(|name| {
            let (base, nullable) = name.strip_suffix('?').map_or((name, false), |b| (b, true));
            match base {
                "int" => Ok((ParamType::Int, nullable)),
                "text" => Ok((ParamType::Text, nullable)),
                "bytes" => Ok((ParamType::Bytes, nullable)),
                other => Err(format!("unknown parameter type {other}")),
            }
        })
        .collect()
}

/// Rewrites `$n` outside literals and comments; comments are dropped (D1 counts bytes of SQL text).
fn rewrite(text: &str, params: &[(ParamType, bool)], engine: Engine) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut used = vec![false; params.len()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                out.push(c);
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == c {
                        break;
                    }
                }
            }
            '-' if chars.peek() == Some(&'-') => {
                for inner in chars.by_ref() {
                    if inner == '\n' {
                        out.push('\n');
                        break;
                    }
                }
            }
            '$' if chars.peek().is_some_and(char::is_ascii_digit) => {
                let mut number = String::new();
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    number.push(digit);
                }
                let n: usize = number.parse().map_err(|_| format!("bad parameter ${number}"))?;
                let kind = params.get(n.wrapping_sub(1)).ok_or(format!("${n} is not declared"))?.0;
                used[n - 1] = true;
                match (engine, kind) {
                    (Engine::Postgres, _) => out.push_str(&format!("${n}")),
                    (Engine::D1, ParamType::Int) => out.push_str(&format!("cast(?{n} as integer)")),
                    _ => out.push_str(&format!("?{n}")),
                }
            }
            _ => out.push(c),
        }
    }
    if let Some(unused) = used.iter().position(|u| !u) {
        return Err(format!("${} is declared and not used", unused + 1));
    }
    let out = out.trim().trim_end_matches(';').trim_end().to_owned();
    if out.contains(';') && !out.contains('\'') {
        return Err("more than one statement".into());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    static ORDER: Sql = Sql::one("order", "-- params: text, int\nselect $2 + 1 as b, $1 as a, '$3' as lit -- $4\n");

    #[test]
    fn dollars_become_numbers_outside_literals_and_comments() {
        assert_eq!(ORDER.text(Engine::Postgres).unwrap(), "select $2 + 1 as b, $1 as a, '$3' as lit");
        assert_eq!(ORDER.text(Engine::Sqlite).unwrap(), "select ?2 + 1 as b, ?1 as a, '$3' as lit");
        assert_eq!(ORDER.text(Engine::D1).unwrap(), "select cast(?2 as integer) + 1 as b, ?1 as a, '$3' as lit");
    }

    #[test]
    fn wrong_binds_are_named() {
        assert!(ORDER.with(["a".into(), 1.into()]).check().is_ok());
        let swapped = ORDER.with([1.into(), "a".into()]).check().unwrap_err();
        assert!(matches!(&swapped, DbError::Bug(m) if m.contains("$1")), "{swapped}");
        let null = ORDER.with([Value::Text(None), 1.into()]).check().unwrap_err();
        assert!(matches!(null, DbError::Bug(_)));
        let big = ORDER.with(["a".into(), i64::MAX.into()]).check().unwrap_err();
        assert!(matches!(big, DbError::Bug(_)));
    }
}

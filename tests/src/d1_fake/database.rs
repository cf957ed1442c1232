//! The fake's SQLite: batches in one transaction, parameters bound and rows read as JSON would have them.

use super::{Entry, sql};
use serde_json::{Map, Value as Json, json};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Row, SqliteConnection, TypeInfo, ValueRef};

/// Whole numbers beyond this are rounded on their way through JSON.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
const COLUMNS_MAX: usize = 100;
/// What workerd says when a deferred constraint fails at the end.
const CONSTRAINTS_VIOLATED: &str = "Durable Object was reset and rolled back to its last known good state because the \
    application left the database in a state where constraints were violated: ";
const WIDEST: &str = "select m.name, count(*) as n from sqlite_master as m, pragma_table_xinfo(m.name) as c \
    where m.type = 'table' group by m.name order by n desc limit 1";

pub(super) struct Database {
    connection: SqliteConnection,
}

/// What one statement returned.
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Json>>,
    pub(super) changes: u64,
}

impl Table {
    /// Rows as `/query` shows them; of columns with one name the last wins.
    pub(super) fn objects(&self) -> Json {
        let object = |row: &Vec<Json>| self.columns.iter().cloned().zip(row.iter().cloned()).collect::<Map<String, Json>>();
        self.rows.iter().map(object).collect()
    }
}

impl Database {
    pub(super) async fn open() -> Result<Database, sqlx::Error> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true).statement_cache_capacity(0);
        let options = options.disable_statement_logging();
        Ok(Database { connection: SqliteConnection::connect_with(&options).await? })
    }

    /// Runs the entries in one transaction; the first error undoes all of them. Errors are D1's texts.
    pub(super) async fn batch(&mut self, entries: &[Entry]) -> Result<Vec<Table>, String> {
        self.control("begin").await?;
        match self.each(entries).await {
            Ok(tables) => self.commit().await.map(|()| tables),
            Err(text) => self.control("rollback").await.and(Err(text)),
        }
    }

    async fn each(&mut self, entries: &[Entry]) -> Result<Vec<Table>, String> {
        let mut tables = Vec::with_capacity(entries.len());
        for entry in entries {
            tables.push(self.one(entry).await?);
        }
        Ok(tables)
    }

    async fn one(&mut self, entry: &Entry) -> Result<Table, String> {
        let checked = sql::check(&entry.sql, &entry.params)?;
        let query = entry.params.iter().fold(sqlx::query(AssertSqlSafe(checked.sql)).persistent(false), bind);
        let rows = query.fetch_all(&mut self.connection).await.map_err(text)?;
        let changes = self.changes().await?;
        if checked.changes_tables {
            self.refuse_wide_tables().await?;
        }
        let columns = rows.first().map_or_else(Vec::new, |row| row.columns().iter().map(|c| c.name().to_owned()).collect());
        if columns.len() > COLUMNS_MAX {
            return Err("too many columns in result set: SQLITE_ERROR".into());
        }
        let rows: Result<Vec<Vec<Json>>, String> = rows.iter().map(read).collect();
        Ok(Table { columns, rows: rows?, changes })
    }

    async fn changes(&mut self) -> Result<u64, String> {
        let row = sqlx::query("select changes()").fetch_one(&mut self.connection).await.map_err(text)?;
        row.try_get::<i64, _>(0).map(i64::unsigned_abs).map_err(text)
    }

    /// Columns are counted afterwards; the transaction undoes a table that is too wide.
    async fn refuse_wide_tables(&mut self) -> Result<(), String> {
        let Some(row) = sqlx::query(WIDEST).fetch_optional(&mut self.connection).await.map_err(text)? else { return Ok(()) };
        let (name, columns): (String, i64) = (row.try_get(0).map_err(text)?, row.try_get(1).map_err(text)?);
        match usize::try_from(columns).is_ok_and(|n| n <= COLUMNS_MAX) {
            true => Ok(()),
            false => Err(format!("too many columns on {name}: SQLITE_ERROR")),
        }
    }

    /// A deferred constraint fails only here.
    async fn commit(&mut self) -> Result<(), String> {
        let Err(why) = self.control("commit").await else { return Ok(()) };
        let why = why.split(": SQLITE_").next().unwrap_or_default();
        self.control("rollback").await.and(Err(format!("{CONSTRAINTS_VIOLATED}{why}")))
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), String> {
        sqlx::query(sql).execute(&mut self.connection).await.map(drop).map_err(text)
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// JSON numbers and booleans become REAL, strings TEXT.
fn bind<'q>(query: Query<'q>, param: &Json) -> Query<'q> {
    match param {
        Json::String(text) => query.bind(text.clone()),
        Json::Number(number) => query.bind(number.as_f64()),
        Json::Bool(flag) => query.bind(f64::from(u8::from(*flag))),
        Json::Null | Json::Array(_) | Json::Object(_) => query.bind(None::<String>),
    }
}

fn read(row: &SqliteRow) -> Result<Vec<Json>, String> {
    (0..row.len()).map(|at| value(row, at).map_err(text)?).collect()
}

fn value(row: &SqliteRow, at: usize) -> Result<Result<Json, String>, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Ok(Json::Null));
    }
    let kind = raw.type_info().name().to_owned();
    Ok(Ok(match kind.as_str() {
        "INTEGER" => number(row.try_get_unchecked::<i64, _>(at)? as f64),
        "REAL" => number(row.try_get_unchecked::<f64, _>(at)?),
        "BLOB" => return Ok(sized(row.try_get_unchecked::<Vec<u8>, _>(at)?, Vec::len)),
        _ => return Ok(sized(row.try_get_unchecked::<String, _>(at)?, String::len)),
    }))
}

fn sized<T: Into<Json>>(value: T, bytes: impl Fn(&T) -> usize) -> Result<Json, String> {
    match sql::too_big(bytes(&value)) {
        true => Err("string or blob too big: SQLITE_TOOBIG".into()),
        false => Ok(value.into()),
    }
}

/// A number as JavaScript prints it: whole ones without a point.
fn number(n: f64) -> Json {
    match n.fract() == 0.0 && n.abs() <= EXACT_MAX {
        true => json!(n as i64),
        false => json!(n),
    }
}

/// SQLite's message with the name of its code behind it, as D1's REST API shows it.
fn text(error: sqlx::Error) -> String {
    let sqlx::Error::Database(error) = error else { return format!("internal error; reference = {error}") };
    let code: i64 = error.code().and_then(|code| code.parse().ok()).unwrap_or(1);
    format!("{}: {}", error.message(), code_name(code & 0xff))
}

fn code_name(code: i64) -> &'static str {
    match code {
        18 => "SQLITE_TOOBIG",
        19 => "SQLITE_CONSTRAINT",
        20 => "SQLITE_MISMATCH",
        23 => "SQLITE_AUTH",
        25 => "SQLITE_RANGE",
        _ => "SQLITE_ERROR",
    }
}

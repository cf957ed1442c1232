//! Values in and out of Postgres.

use super::{DbError, Row, Rows, Value};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Column, Postgres, Row as _, TypeInfo};
use std::sync::Arc;

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

pub(super) fn bind<'q>(query: Query<'q>, value: &'q Value) -> Query<'q> {
    match value {
        Value::Int(v) => query.bind(*v),
        Value::Text(v) => query.bind(v.as_deref()),
        Value::Bytes(v) => query.bind(v.as_deref()),
    }
}

pub(super) fn rows(rows: &[PgRow]) -> Result<Rows, DbError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns: Arc<[String]> = first.columns().iter().map(|c| c.name().to_owned()).collect();
    let kinds: Vec<Kind> = first.columns().iter().map(|c| Kind::of(c.type_info().name())).collect();
    rows.iter().map(|row| Ok(Row::new(columns.clone(), values(row, &kinds)?))).collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Int8,
    Int4,
    Text,
    Bytes,
    Bool,
    Void,
    Other,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "INT8" => Kind::Int8,
            "INT4" => Kind::Int4,
            "TEXT" | "VARCHAR" | "NAME" => Kind::Text,
            "BYTEA" => Kind::Bytes,
            "BOOL" => Kind::Bool,
            "VOID" => Kind::Void,
            _ => Kind::Other,
        }
    }
}

fn values(row: &PgRow, kinds: &[Kind]) -> Result<Vec<Value>, DbError> {
    kinds.iter().enumerate().map(|(i, kind)| value(row, i, *kind)).collect()
}

fn value(row: &PgRow, i: usize, kind: Kind) -> Result<Value, DbError> {
    let bad = |e: sqlx::Error| DbError::Bug(e.to_string());
    Ok(match kind {
        Kind::Int8 => Value::Int(row.try_get(i).map_err(bad)?),
        Kind::Int4 => Value::Int(row.try_get::<Option<i32>, _>(i).map_err(bad)?.map(i64::from)),
        Kind::Text => Value::Text(row.try_get(i).map_err(bad)?),
        Kind::Bytes => Value::Bytes(row.try_get(i).map_err(bad)?),
        Kind::Bool => Value::Int(row.try_get::<Option<bool>, _>(i).map_err(bad)?.map(i64::from)),
        Kind::Void => Value::Text(None),
        Kind::Other => return Err(DbError::Bug(format!("column {} has a type this project does not use", row.columns()[i].name()))),
    })
}

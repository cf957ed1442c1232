//! The portability table as tests: parameters, NULLs, integers, text order, and every file prepared on every engine.

use crate::support::{commit, on_every_store, rows, sql, stmt, table};
use clawr_engine::db::{DbError, Engine, Scope, Sql, Value};
use std::path::{Path, PathBuf};

#[tokio::test]
async fn parameters_mean_their_number_and_not_their_order_of_use() {
    on_every_store(async |store| {
        let db = store.open().await.expect("db");
        let swapped = sql("text, text", "select $2 as b, $1 as a, $2 as c");
        let got = db.query(&Scope::System, stmt(swapped, ["one".into(), "two".into()])).await.expect("row");
        assert_eq!(
            (got[0].text("a").unwrap(), got[0].text("b").unwrap(), got[0].text("c").unwrap()),
            ("one".into(), "two".into(), "two".into())
        );
    })
    .await;
}

#[tokio::test]
async fn values_survive_the_round_trip() {
    on_every_store(async |store| {
        table(store, "create table things (id bigint not null primary key, n bigint, t text)").await;
        let queue = store.queue().await.expect("queue");
        let insert = sql("int, int?, text?", "insert into things (id, n, t) values ($1, $2, $3)");
        let cases: [(Option<i64>, Option<&str>); 5] = [
            (Some(9_000_000_000_000_000), Some("plain")),
            (Some(-9_000_000_000_000_000), Some("")),
            (Some(0), Some("quote ' and \" and $1 ?2 — ünïcode 🦀")),
            (None, None),
            (Some(1), Some("line\nbreak\ttab")),
        ];
        for (i, (n, t)) in cases.iter().enumerate() {
            let id = i64::try_from(i).expect("small");
            let row = [id.into(), Value::Int(*n), Value::Text(t.map(str::to_owned))];
            commit(&queue, vec![stmt(insert, row)]).await.expect("insert");
        }
        let got = rows(&queue, "select n, t from things order by id").await;
        for (row, (n, t)) in got.iter().zip(cases) {
            assert_eq!(row.opt_int("n").unwrap(), n);
            assert_eq!(row.opt_text("t").unwrap().as_deref(), t);
        }
        let arithmetic = sql("int, int", "select $1 + $2 as n, case when $1 = 5 then 1 else 0 end as five, $1 / 2 as half");
        let row = queue.db().query(&Scope::System, stmt(arithmetic, [5.into(), 2.into()])).await.expect("arithmetic");
        assert_eq!((row[0].int("n").unwrap(), row[0].int("five").unwrap(), row[0].int("half").unwrap()), (7, 1, 2));
    })
    .await;
}

#[tokio::test]
async fn text_sorts_by_bytes() {
    on_every_store(async |store| {
        table(
            store,
            &format!(
                "create table words (w text {} not null primary key)",
                if store.engine() == Engine::Postgres { "collate \"C\"" } else { "" }
            ),
        )
        .await;
        let queue = store.queue().await.expect("queue");
        for word in ["b", "B", "a_", "a-", "Ä", "aa"] {
            commit(&queue, vec![stmt(sql("text", "insert into words (w) values ($1)"), [word.into()])]).await.expect("word");
        }
        let got: Vec<String> = rows(&queue, "select w from words order by w").await.iter().map(|r| r.text("w").unwrap()).collect();
        assert_eq!(got, ["B", "a-", "a_", "aa", "b", "Ä"]);
    })
    .await;
}

#[tokio::test]
async fn integers_beyond_every_transport_are_refused_before_sending() {
    on_every_store(async |store| {
        let db = store.open().await.expect("db");
        let answer = db.query(&Scope::System, stmt(sql("int", "select $1 as n"), [i64::MAX.into()])).await;
        assert!(matches!(answer, Err(DbError::Bug(_))), "{answer:?}");
    })
    .await;
}

/// Every `.sql` file of the engine and the domain runs on every engine: with parameters of the declared types it
/// prepares and executes, or is refused by a constraint; a syntax error or a missing column fails.
#[tokio::test]
async fn every_statement_prepares_on_every_engine() {
    let files = files();
    assert!(files.len() > 40, "only {} files found", files.len());
    on_every_store(async |store| {
        let db = store.open().await.expect("db");
        let is_postgres = store.engine() == Engine::Postgres;
        let is_of = |name: &str, lite: &str| if is_postgres { !name.ends_with(".lite.sql") } else { !lite.is_empty() };
        for (name, postgres, lite) in files.iter().filter(|(name, _, lite)| is_of(name, lite)) {
            let lite = if lite.is_empty() { postgres } else { lite };
            let sql: &'static Sql = Box::leak(Box::new(Sql::two(leak(name), leak(postgres), leak(lite))));
            let mut statement = sql.with([]);
            for value in sample(sql) {
                statement = statement.and(value);
            }
            let scope = Scope::System;
            match db.commit(&scope, vec![statement]).await {
                Ok(_) | Err(DbError::Guard(_) | DbError::Unique(_)) => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
        println!("{} statements", files.len());
    })
    .await;
}

pub fn sample(sql: &'static Sql) -> Vec<Value> {
    use clawr_engine::db::ParamType;
    let one = |(kind, _): &(ParamType, bool)| match kind {
        ParamType::Int => Value::Int(Some(1)),
        ParamType::Text => Value::Text(Some("[]".into())),
        ParamType::Bytes => Value::Bytes(Some(vec![1])),
    };
    sql.params().expect("declared").iter().map(one).collect()
}

pub fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// (name, Postgres text, text for SQLite and D1 or nothing where Postgres alone has the statement)
pub fn files() -> Vec<(String, String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    for folder in ["jobs/engine/src/sql", "jobs/domain/src/sql"] {
        let mut names: Vec<PathBuf> = std::fs::read_dir(root.join(folder)).expect(folder).flatten().map(|e| e.path()).collect();
        names.sort();
        all.extend(names.iter().filter_map(|path| pair(path)));
    }
    all
}

fn pair(path: &Path) -> Option<(String, String, String)> {
    let name = path.file_name()?.to_str()?.to_owned();
    if name.starts_with("claimable") {
        return None; // no statement: the loader puts it into others
    }
    let read = |p: &Path| std::fs::read_to_string(p).expect("a .sql file");
    if let Some(stem) = name.strip_suffix(".pg.sql") {
        let lite = path.with_file_name(format!("{stem}.lite.sql"));
        let lite = if stem == "outcome_end" { path.with_file_name("outcome_end_stamp.lite.sql") } else { lite };
        let lite = if lite.exists() { read(&lite) } else { String::new() };
        return Some((name.clone(), read(path), lite));
    }
    if name.ends_with(".lite.sql") {
        let has_twin = path.with_file_name(name.replace(".lite.sql", ".pg.sql")).exists() || name == "outcome_end_stamp.lite.sql";
        return (!has_twin).then(|| (name.clone(), read(path), read(path)));
    }
    Some((name.clone(), read(path), read(path)))
}

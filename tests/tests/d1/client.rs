//! The client against the fake: lost answers, refusals, limits, migrations, and what `doctor` learns.

use clawr_engine::db::d1::{D1Store, Endpoint};
use clawr_engine::db::migrate::{self, Script, Status};
use clawr_engine::db::{Db, DbConfig, DbError, Sql, Statement, Value};
use clawr_tests::d1_fake::D1Fake;
use clawr_tests::workerd::Workerd;

static PUT: Sql = Sql::one("test/put", "-- params: text, int, text?, bytes\ninsert into things (id, n, note, raw) values ($1, $2, $3, $4)");
static GET: Sql = Sql::one("test/get", "-- params: text\nselect id, n, note, raw from things where id = $1");
static COUNT: Sql = Sql::one("test/count", "-- params: none\nselect count(*) as n from things");
static BROKEN: Sql = Sql::one("test/broken", "-- params: none\nselect * from nowhere");

const SCHEMA: &str = "-- things\n\
    create table schema_migrations (name text primary key, checksum text not null, applied_at integer not null) strict;\n\
    --;;\n\
    create table things (id text primary key, n integer not null constraint n_small check (n < 9000000000000000), note text, raw text) strict;\n\
    --;;\n\
    create trigger things_stay before delete on things BEGIN SELECT RAISE(ABORT, 'things is append-only'); END;\n";

fn script() -> Script {
    Script { name: "0001_test", checksum: "c0ffee".into(), additive: false, text: SCHEMA }
}

fn put(id: &str, n: i64) -> Statement {
    PUT.with([id.into(), n.into(), Value::Text(None), vec![1, 2, 255].into()])
}

async fn count(store: &D1Store) -> i64 {
    store.query(COUNT.with([])).await.expect("the fake answers")[0].int("n").expect("a count is a bigint")
}

async fn started() -> (D1Fake, D1Store) {
    let fake = D1Fake::start().await;
    let endpoint = Endpoint::parse(&fake.url()).expect("the fake's URL is a store URL");
    let store = D1Store::open(&endpoint, Some(fake.token().into())).expect("a token is given");
    store.run_script(&script()).await.expect("the schema applies");
    (fake, store)
}

#[tokio::test]
async fn values_come_back_as_they_went() {
    let (_fake, store) = started().await;
    store.commit(vec![put("a", 8_999_999_999_999_999)]).await.unwrap();
    let rows = store.query(GET.with(["a".into()])).await.unwrap();
    assert_eq!(rows[0].int("n").unwrap(), 8_999_999_999_999_999);
    assert_eq!(rows[0].opt_text("note").unwrap(), None);
    assert_eq!(rows[0].text("raw").unwrap(), "AQL_");
}

#[tokio::test]
async fn a_commit_is_all_or_nothing_and_names_what_refused() {
    let (_fake, store) = started().await;
    store.commit(vec![put("a", 1)]).await.unwrap();
    let taken = store.commit(vec![put("b", 1), put("a", 2)]).await;
    assert_eq!(taken, Err(DbError::Unique("things_id".into())));
    let guarded = store.commit(vec![put("b", 1), put("c", 9_000_000_000_000_000)]).await;
    assert_eq!(guarded, Err(DbError::Guard("n_small".into())));
    let broken = store.commit(vec![put("b", 1), BROKEN.with([])]).await;
    assert_eq!(broken, Err(DbError::Bug("no such table: nowhere".into())));
    assert_eq!(count(&store).await, 1);
    assert_eq!(store.commit(vec![]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_lost_reply_of_a_commit_is_unknown_and_the_repeat_tells() {
    let (fake, store) = started().await;
    fake.lose_next_reply(1);
    let lost = store.commit(vec![put("a", 1)]).await;
    assert!(matches!(lost, Err(DbError::Unknown(_))), "{lost:?}");
    assert_eq!(store.commit(vec![put("a", 1)]).await, Err(DbError::Unique("things_id".into())));
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_lost_reply_of_a_read_is_unavailable() {
    let (fake, store) = started().await;
    fake.lose_next_reply(1);
    let lost = store.query(COUNT.with([])).await;
    assert!(matches!(lost, Err(DbError::Unavailable(_))), "{lost:?}");
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn an_overloaded_database_leaves_a_commit_unknown_and_is_not_asked_twice() {
    let (fake, store) = started().await;
    let before = fake.requests();
    fake.refuse_next(1);
    let refused = store.commit(vec![put("a", 1)]).await;
    assert!(matches!(refused, Err(DbError::Unknown(_))), "{refused:?}");
    assert_eq!(fake.requests(), before + 1);
    fake.refuse_next(1);
    assert!(matches!(store.query(COUNT.with([])).await, Err(DbError::Unavailable(_))));
    assert_eq!(count(&store).await, 0);
}

#[tokio::test]
async fn a_429_is_waited_out_and_three_are_given_up() {
    let (fake, store) = started().await;
    let before = fake.requests();
    fake.answer_429(2);
    store.commit(vec![put("a", 1)]).await.unwrap();
    assert_eq!(fake.requests(), before + 3);
    fake.answer_429(3);
    let given_up = store.commit(vec![put("b", 1)]).await;
    assert!(matches!(given_up, Err(DbError::Unavailable(_))), "{given_up:?}");
    assert_eq!(fake.requests(), before + 6);
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn nobody_there_is_unavailable_even_for_a_commit() {
    let (fake, store) = started().await;
    let url = fake.url();
    drop((fake, store));
    let store = D1Store::open(&Endpoint::parse(&url).unwrap(), Some("t".into())).unwrap();
    let answer = retry_until_refused(&store).await;
    assert!(matches!(&answer, Err(DbError::Unavailable(why)) if why.contains("connect")), "{answer:?}");
}

/// A dropped fake closes its port as soon as its task runs.
async fn retry_until_refused(store: &D1Store) -> Result<(), DbError> {
    for _ in 0..200 {
        match store.commit(vec![put("a", 1)]).await.map(drop) {
            Err(DbError::Bug(_) | DbError::Unknown(_)) => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_token_is_a_clear_bug_without_the_token() {
    let (fake, _) = started().await;
    let store = D1Store::open(&Endpoint::parse(&fake.url()).unwrap(), Some("not-the-token".into())).unwrap();
    let refused = store.commit(vec![put("a", 1)]).await.unwrap_err().to_string();
    assert!(refused.contains("store.token_file") && !refused.contains("not-the-token"), "{refused}");
}

#[tokio::test]
async fn limits_are_checked_before_anything_is_sent() {
    let (fake, store) = started().await;
    let before = fake.requests();
    let long = PUT.with(["a".into(), 1.into(), "x".repeat(2_000_001).into(), vec![].into()]);
    let cases = [vec![long], vec![put("a", 1); 1_001], vec![put("a", i64::MAX)]];
    for statements in cases {
        let refused = store.commit(statements).await;
        assert!(matches!(&refused, Err(DbError::Bug(why)) if why.starts_with("test/put: ")), "{refused:?}");
    }
    assert_eq!(fake.requests(), before);
}

#[tokio::test]
async fn a_script_is_recorded_for_us_and_for_wrangler_and_cannot_run_twice() {
    static OURS: Sql = Sql::one("test/ours", "-- params: none\nselect name, checksum, applied_at from schema_migrations");
    static WRANGLERS: Sql = Sql::one("test/wranglers", "-- params: none\nselect id, name, applied_at from d1_migrations");
    let (_fake, store) = started().await;
    let ours = store.query(OURS.with([])).await.unwrap();
    assert_eq!((ours[0].text("name").unwrap().as_str(), ours[0].text("checksum").unwrap().as_str()), ("0001_test", "c0ffee"));
    let now = store.sample_time().await.unwrap();
    assert!((0..60_000_000).contains(&(now - ours[0].int("applied_at").unwrap())));
    let theirs = store.query(WRANGLERS.with([])).await.unwrap();
    assert_eq!((theirs[0].int("id").unwrap(), theirs[0].text("name").unwrap()), (1, "0001_test.sql".into()));
    assert_eq!(theirs[0].text("applied_at").unwrap().len(), "2026-01-01 00:00:00".len());
    assert!(store.run_script(&script()).await.is_err());
    assert_eq!(store.query(WRANGLERS.with([])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn settings_tell_the_transport_and_that_a_batch_is_atomic_and_leave_nothing() {
    static TABLES: Sql = Sql::one("test/tables", "-- params: none\nselect count(*) as n from sqlite_master");
    let (_fake, store) = started().await;
    let tables = store.query(TABLES.with([])).await.unwrap();
    let settings = store.settings().await.unwrap();
    let value = |name: &str| settings.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!((value("transport"), value("batch_atomic"), value("binds_exact")), (Some("gateway"), Some("yes"), Some("yes")));
    assert_eq!(store.query(TABLES.with([])).await.unwrap(), tables);
}

#[tokio::test]
async fn our_migrations_apply_on_the_fake_and_on_workerd() {
    let (fake, workerd) = (D1Fake::start().await, Workerd::start().await.expect("workerd starts"));
    for (url, token) in [(fake.url(), fake.token()), (workerd.url(), workerd.token())] {
        let config = DbConfig { token: Some(token.into()), ..DbConfig::new(url.parse().expect("a store URL")) };
        let db = Db::open_for_migration(&config).await.expect("D1 opens");
        let done = migrate::up(&db).await.expect("every script applies");
        assert_eq!(done.len(), migrate::scripts(db.engine()).len());
        assert!(migrate::status(&db).await.expect("it is listed").iter().all(|(_, status)| *status == Status::Applied));
        assert!(Db::open(&config).await.is_ok());
    }
}

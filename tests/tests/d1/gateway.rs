//! What the gateway has beyond the REST API: two live tokens, one database id, a list of statements; and the client on it.

use clawr_engine::db::d1::{D1Store, Endpoint};
use clawr_engine::db::{DbError, Rows, Sql};
use clawr_tests::workerd::Workerd;

static LISTED: Sql = Sql::one("test/listed", "-- params: none\nselect 1 as v");
static OTHER: Sql = Sql::one("test/other", "-- params: none\nselect 2 as v");

/// SHA-256 of `select 1 as v`.
const LISTED_HASH: &str = "13f2b257f6c1f482ded95f56f1d648cb5226bba486fa17da97f90b6c2d43262a";

async fn ask(url: &str, token: &str, sql: &'static Sql) -> Result<Rows, DbError> {
    let endpoint = Endpoint::parse(url).expect("the test made this URL");
    D1Store::open(&endpoint, Some(token.into())).expect("a token is given").query(sql.with([])).await
}

#[tokio::test]
async fn the_gateway_takes_both_tokens_its_own_database_and_listed_statements() {
    let environment = [("GATEWAY_TOKEN_PREVIOUS", "older"), ("DATABASE_ID", "db"), ("SQL_ALLOW", LISTED_HASH)];
    let workerd = Workerd::start_with(&environment).await.expect("workerd starts");
    let url = workerd.url();
    for token in [workerd.token(), "older"] {
        assert_eq!(ask(&url, token, &LISTED).await.expect("both tokens are live")[0].int("v"), Ok(1));
    }
    for token in ["olde", "older2", "undefined"] {
        assert!(matches!(ask(&url, token, &LISTED).await, Err(DbError::Bug(why)) if why.contains("token")), "{token}");
    }
    let unlisted = ask(&url, "older", &OTHER).await;
    assert!(matches!(&unlisted, Err(DbError::Bug(why)) if why.contains("not listed")), "{unlisted:?}");
    let elsewhere = ask(&url.replace("/acc/db", "/acc/production"), "older", &LISTED).await;
    assert!(matches!(&elsewhere, Err(DbError::Bug(why)) if why.contains("not found")), "{elsewhere:?}");
}

#[tokio::test]
async fn doctor_finds_a_batch_on_workerd_atomic_and_its_binds_exact() {
    let workerd = Workerd::start().await.expect("workerd starts");
    let endpoint = Endpoint::parse(&workerd.url()).expect("the test made this URL");
    let store = D1Store::open(&endpoint, Some(workerd.token().into())).expect("a token is given");
    let settings = store.settings().await.expect("workerd answers");
    for name in ["batch_atomic", "binds_exact"] {
        assert!(settings.contains(&(name.into(), "yes".into())), "{settings:?}");
    }
    assert!(store.sample_time().await.expect("workerd tells the time") > 1_700_000_000_000_000);
}

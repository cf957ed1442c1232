//! The four rules, each with the interleaving that breaks the naive form, and what a commit promises.

use crate::support::{commit, int, on_every_store, sql, stmt, table};
use clawr_engine::db::{DbError, Engine};

const LOCKS: &str = "create table locks (id text not null primary key, rev bigint not null)";
const SPENT: &str = "create table spent (id text not null primary key, amount bigint not null)";
const GUARD: &str = "create table test_guard (over_limit bigint constraint over_limit check (over_limit is null))";

#[tokio::test]
async fn a_commit_is_all_or_nothing() {
    on_every_store(async |store| {
        table(store, SPENT).await;
        let queue = store.queue().await.expect("queue");
        let insert = sql("text, int", "insert into spent (id, amount) values ($1, $2)");
        let answer = commit(&queue, vec![stmt(insert, ["a".into(), 1.into()]), stmt(insert, ["a".into(), 2.into()])]).await;
        assert!(matches!(&answer, Err(DbError::Unique(_))), "{answer:?}");
        assert_eq!(int(&queue, "select count(*) as n from spent").await, 0);
        commit(&queue, vec![stmt(insert, ["a".into(), 1.into()]), stmt(insert, ["b".into(), 2.into()])]).await.expect("both");
        assert_eq!(int(&queue, "select cast(sum(amount) as bigint) as n from spent").await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_guard_names_itself_and_writes_nothing() {
    on_every_store(async |store| {
        table(store, SPENT).await;
        table(store, GUARD).await;
        let queue = store.queue().await.expect("queue");
        let insert = sql("text, int", "insert into spent (id, amount) values ($1, $2)");
        let guard = sql("none", "insert into test_guard (over_limit) select 1 where (select sum(amount) from spent) > 100");
        let answer = commit(&queue, vec![stmt(insert, ["a".into(), 101.into()]), stmt(guard, [])]).await;
        assert_eq!(answer.unwrap_err(), DbError::Guard("over_limit".into()));
        assert_eq!(int(&queue, "select count(*) as n from spent").await, 0);
        commit(&queue, vec![stmt(insert, ["a".into(), 100.into()]), stmt(guard, [])]).await.expect("within the limit");
    })
    .await;
}

/// Rule 1. Many commits each add 60 and guard a sum of 100: with the parent locked first, one passes. Without the lock
/// Postgres lets several pass, because each guard's snapshot sees none of the others.
#[tokio::test]
async fn a_guard_over_locked_rows_holds_under_concurrency() {
    on_every_store(async |store| {
        table(store, LOCKS).await;
        table(store, SPENT).await;
        table(store, GUARD).await;
        let queue = store.queue().await.expect("queue");
        let insert = sql("text, int", "insert into spent (id, amount) values ($1, $2)");
        let lock = sql("text", "update locks set rev = rev + 1 where id = $1");
        let guard = sql("none", "insert into test_guard (over_limit) select 1 where (select sum(amount) from spent) > 100");
        commit(&queue, vec![stmt(sql("none", "insert into locks (id, rev) values ('p', 0)"), [])]).await.expect("the parent");
        let one = |n: usize, locked: bool| {
            let queue = queue.clone();
            async move {
                let mut all = vec![stmt(insert, [format!("s{n}").into(), 60.into()]), stmt(guard, [])];
                if locked {
                    all.insert(0, stmt(lock, ["p".into()]));
                }
                commit(&queue, all).await
            }
        };
        let answers = futures::future::join_all((0..8).map(|n| one(n, true))).await;
        assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1, "{answers:?}");
        assert_eq!(int(&queue, "select cast(sum(amount) as bigint) as n from spent").await, 60);
        if store.engine() == Engine::Postgres {
            // the naive form, to see that the rule is needed: two open transactions, neither sees the other's row
            let sum = naive_double_spend(store).await;
            assert_eq!(sum, 120, "the naive form should overspend; if not, this test no longer shows why the rule exists");
        }
    })
    .await;
}

async fn naive_double_spend(store: &clawr_tests::stores::TestStore) -> i64 {
    use sqlx::{Connection, Executor};
    let url = match &store.config.url {
        clawr_engine::db::StoreUrl::Postgres(url) => format!("{url}?options=-csearch_path%3Dclawr"),
        other => panic!("not Postgres: {other}"),
    };
    let mut a = sqlx::PgConnection::connect(&url).await.expect("a");
    let mut b = sqlx::PgConnection::connect(&url).await.expect("b");
    a.execute("delete from spent").await.expect("clear");
    for connection in [&mut a, &mut b] {
        connection.execute("begin").await.expect("begin");
    }
    let guard = "insert into test_guard (over_limit) select 1 where (select sum(amount) from spent) > 100";
    a.execute("insert into spent values ('x', 60)").await.expect("x");
    b.execute("insert into spent values ('y', 60)").await.expect("y");
    a.execute(guard).await.expect("a sees 60");
    b.execute(guard).await.expect("b sees 60");
    a.execute("commit").await.expect("a");
    b.execute("commit").await.expect("b");
    sqlx::query_scalar::<_, i64>("select cast(sum(amount) as bigint) from spent").fetch_one(&mut a).await.expect("sum")
}

/// Rule 2. The first statement of a commit cannot succeed twice, so a repeat under the same operation id answers
/// definitely, whatever became of the first.
#[tokio::test]
async fn a_repeat_under_the_same_operation_id_applies_once() {
    on_every_store(async |store| {
        table(store, SPENT).await;
        let queue = store.queue().await.expect("queue");
        let door = sql("text", "insert into ops (id, at) values ($1, 0)");
        let insert = sql("text, int", "insert into spent (id, amount) values ($1, $2)");
        let same = |row: &str| vec![stmt(door, ["op-1".into()]), stmt(insert, [row.into(), 1.into()])];
        let answers = futures::future::join_all((0..6).map(|n| commit(&queue, same(&format!("row{n}"))).boxed())).await;
        assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1, "{answers:?}");
        let refused = answers.iter().filter(|a| matches!(a, Err(DbError::Unique(name)) if name == "ops_id")).count();
        assert_eq!(refused, 5, "{answers:?}");
        assert_eq!(int(&queue, "select count(*) as n from spent").await, 1);
    })
    .await;
}

/// Rule 3. Sleeper and waker both update the same row first, so one of them sees the other.
#[tokio::test]
async fn a_sleeper_and_its_waker_never_miss_each_other() {
    on_every_store(async |store| {
        table(
            store,
            "create table slots (id text not null primary key, rev bigint not null, signal bigint not null, asleep bigint not null)",
        )
        .await;
        let queue = store.queue().await.expect("queue");
        let rounds = if store.engine() == Engine::D1 { 4 } else { 40 };
        for round in 0..rounds {
            let id = format!("s{round}");
            commit(
                &queue,
                vec![stmt(sql("text", "insert into slots (id, rev, signal, asleep) values ($1, 0, 0, 0)"), [id.as_str().into()])],
            )
            .await
            .expect("slot");
            let lock = sql("text", "update slots set rev = rev + 1 where id = $1");
            let sleep = sql("text", "update slots set asleep = 1 where id = $1 and signal = 0");
            let signal = sql("text", "update slots set signal = 1 where id = $1");
            let wake = sql("text", "update slots set asleep = 0 where id = $1 and asleep = 1");
            let sleeper = commit(&queue, vec![stmt(lock, [id.as_str().into()]), stmt(sleep, [id.as_str().into()])]);
            let waker = commit(
                &queue,
                vec![stmt(lock, [id.as_str().into()]), stmt(signal, [id.as_str().into()]), stmt(wake, [id.as_str().into()])],
            );
            let (a, b) = futures::join!(sleeper, waker);
            a.expect("sleeper");
            b.expect("waker");
        }
        assert_eq!(
            int(&queue, "select count(*) as n from slots where asleep = 1 and signal = 1").await,
            0,
            "asleep with a signal nobody will repeat"
        );
    })
    .await;
}

/// Rule 4. Bulk stamps its winners, and the rest follows the stamp.
#[tokio::test]
async fn bulk_operations_take_only_what_they_stamped() {
    on_every_store(async |store| {
        table(store, "create table pieces (id bigint not null primary key, op text not null, moved bigint not null)").await;
        let queue = store.queue().await.expect("queue");
        for n in 0..20 {
            commit(&queue, vec![stmt(sql("int", "insert into pieces (id, op, moved) values ($1, '', 0)"), [n.into()])])
                .await
                .expect("piece");
        }
        let stamp = sql("text", "update pieces set op = $1 where op = ''");
        let follow = sql("text", "update pieces set moved = moved + 1 where op = $1");
        let mover = |op: &str| commit(&queue, vec![stmt(stamp, [op.to_owned().into()]), stmt(follow, [op.to_owned().into()])]).boxed();
        let answers = futures::future::join_all(["a", "b", "c"].map(mover)).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(int(&queue, "select count(*) as n from pieces where moved = 1").await, 20);
    })
    .await;
}

/// Two bulk operations that lock rows in opposite order: Postgres answers one with a deadlock, which `Db` repeats.
#[tokio::test]
async fn deadlocks_are_repeated_by_the_store_handle() {
    on_every_store(async |store| {
        table(store, LOCKS).await;
        let queue = store.queue().await.expect("queue");
        for id in ["a", "b"] {
            commit(&queue, vec![stmt(sql("text", "insert into locks (id, rev) values ($1, 0)"), [id.into()])]).await.expect("lock row");
        }
        let lock = sql("text", "update locks set rev = rev + 1 where id = $1");
        let rounds = if store.engine() == Engine::D1 { 2 } else { 20 };
        for _ in 0..rounds {
            let ab = commit(&queue, vec![stmt(lock, ["a".into()]), stmt(lock, ["b".into()])]);
            let ba = commit(&queue, vec![stmt(lock, ["b".into()]), stmt(lock, ["a".into()])]);
            let (x, y) = futures::join!(ab, ba);
            x.expect("a, b");
            y.expect("b, a");
        }
        assert_eq!(int(&queue, "select cast(sum(rev) as bigint) as n from locks").await, i64::from(rounds) * 4);
    })
    .await;
}

#[tokio::test]
async fn a_member_that_fails_leaves_the_others_of_its_group() {
    on_every_store(async |store| {
        table(store, SPENT).await;
        let queue = store.queue().await.expect("queue");
        let insert = sql("text, int", "insert into spent (id, amount) values ($1, $2)");
        let n: usize = if store.engine() == Engine::D1 { 12 } else { 120 };
        let one = |i: usize| {
            let id = if i.is_multiple_of(3) { "same".to_owned() } else { format!("own{i}") };
            commit(&queue, vec![stmt(insert, [id.into(), 1.into()])]).boxed()
        };
        let answers = futures::future::join_all((0..n).map(one)).await;
        let good = i64::try_from(answers.iter().filter(|a| a.is_ok()).count()).expect("small");
        assert_eq!(good, i64::try_from(n - n / 3 + 1).expect("small"));
        assert_eq!(int(&queue, "select count(*) as n from spent").await, good);
    })
    .await;
}

use futures::FutureExt as _;

//! How long ended jobs are kept, what goes with them, and what can never go.

use crate::support::{claim, commit, done, int, job, keyed, on_every_store, rows, sql, stmt, worker};
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, Engine, Scope, StoreUrl, migrate};
use clawr_engine::ids::new_id;
use clawr_engine::job::{Claimed, Enqueued, NewJob, State};
use clawr_engine::manage::{self, Acted};
use clawr_engine::outcome::{self, Finisher, Settled, Transition};
use clawr_engine::queue::Queue;
use clawr_engine::retention::{Class, Classes, Forgotten};
use clawr_tests::stores::{Kind, TestStore};

const DAY_US: i64 = 86_400_000_000;

fn classes() -> Classes {
    Classes::new([("k", Class::Short)])
}

fn dead(job: &Claimed) -> Settled {
    let transition = Transition::End { state: State::Dead, reason: "fatal".into(), result: String::new(), errors: None };
    Settled { transition, ..done(job) }
}

/// The id of a job made so many days ago.
fn id(queue: &Queue, days: i64) -> String {
    new_id("job", &Clock::stepped(queue.clock().now() - days * DAY_US))
}

/// An ended job in the archive that was made and ended so many days ago.
async fn ended(queue: &Queue, (made, ended): (i64, i64), class: &str, state: &str, reason: &str) -> String {
    let insert =
        "insert into archive (id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts,
        crashes, lease, op, rev, key, trace, errors, reason, created_at, started_at, finished_at, class)
        values ($1, 'k', 1, 'q', $2, '', '{}', '[]', 4, $3, 0, 1, 20, 0, '', '', 1, '', '', '[]', $6, $3, $3, $4, $5)";
    let (id, now) = (id(queue, made), queue.clock().now());
    let (made, ended) = (now - made * DAY_US, now - ended * DAY_US);
    let row = [id.as_str().into(), state.into(), made.into(), ended.into(), class.into(), reason.into()];
    commit(queue, vec![stmt(sql("text, text, int, int, text, text", insert), row)]).await.expect("an ended job");
    id
}

/// A line, progress, a checkpoint, a rescue, and a settled effect with an observation.
async fn belongings(queue: &Queue, job: &str) {
    let texts = [
        "insert into job_logs (job, attempt, seq, tenant, line, at) values ($1, 1, 1, '', 'line', 1)",
        "insert into job_progress (job, tenant, percent, note, at) values ($1, '', 50, '', 1)",
        "insert into checkpoints (job, tenant, data, lease, seq, at) values ($1, '', '{}', '', 1, 1)",
        "insert into rescues (job, lease, worker, attempt, started_at, at, crash, rescuer, evidence) values ($1, 'l', 'w', 1, 1, 1, 0, 'r', '{}')",
        "insert into effects (id, key, job, kind, tenant, class, state, money, intent, lease, op, start_by, created_at, open_since)
            values ('eff_' || $1, 'key ' || $1, $1, 'k', '', 'keyed', 'absent', 0, '{}', '', '', 1, 1, 1)",
        "insert into effect_observations (id, effect, tenant, source, actor, verdict, try, evidence, at)
            values ('obs_' || $1, 'eff_' || $1, '', 'handler', '', 'absent', 1, '{}', 1)",
    ];
    let statements = texts.map(|text| stmt(sql("text", text), [job.into()]));
    commit(queue, statements.to_vec()).await.expect("belongings");
}

/// How many rows belong to jobs.
async fn belonging(queue: &Queue) -> [i64; 6] {
    let mut counts = [0; 6];
    let tables = ["job_logs", "job_progress", "checkpoints", "rescues", "effects", "effect_observations"];
    for (count, table) in counts.iter_mut().zip(tables) {
        *count = int(queue, &format!("select count(*) as n from {table}")).await;
    }
    counts
}

async fn kept(queue: &Queue) -> Vec<(String, String)> {
    let rows = rows(queue, "select id, class from archive order by id").await;
    rows.iter().map(|row| (row.text("id").expect("id"), row.text("class").expect("class"))).collect()
}

async fn kept_ids(queue: &Queue) -> Vec<String> {
    kept(queue).await.into_iter().map(|(id, _)| id).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test]
async fn an_ended_job_is_kept_as_its_kind_says() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue").with_classes(classes());
        worker(&queue, "wkr_1").await;
        let make = vec![job("k"), job("other"), job("k")];
        let made = queue.enqueue_many(make).await.expect("enqueue");
        let claimed = claim(&queue, 3).await;
        let of = |n: usize| claimed.iter().find(|c| c.id == made[n].id()).expect("claimed");
        let finisher = Finisher::start(queue.db().clone(), queue.clock().clone(), classes());
        for settled in [done(of(0)), done(of(1)), dead(of(2))] {
            finisher.finish(settled).await.expect("finished");
        }
        let later = Some(queue.clock().now() + DAY_US);
        let wait = |kind: &str| NewJob { run_at: later, ..job(kind) };
        let waiting = queue.enqueue_many(vec![wait("k"), wait("other")]).await.expect("enqueue");
        for job in &waiting {
            assert_eq!(queue.cancel(&Scope::System, job.id(), "no").await.expect("cancel"), Acted::Done(State::Cancelled));
        }
        let ids: Vec<&str> = made.iter().chain(&waiting).map(Enqueued::id).collect();
        let classes = ["short", "long", "dead", "short", "long"];
        let mut expected: Vec<(String, String)> = ids.iter().zip(classes).map(|(id, class)| ((*id).to_owned(), class.to_owned())).collect();
        expected.sort();
        assert_eq!(kept(&queue).await, expected);

        let made = queue.enqueue(job("k")).await.expect("enqueue");
        let claimed = claim(&queue, 1).await;
        outcome::commit(queue.db(), queue.clock(), &[done(&claimed[0])]).await.expect("by somebody who knows no kinds");
        let classes = kept(&queue).await;
        assert!(classes.contains(&(made.id().to_owned(), "long".to_owned())), "{classes:?}");
    })
    .await;
}

#[tokio::test]
async fn what_was_kept_for_long_enough_is_forgotten_with_what_belongs_to_it() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let completed = async |days: (i64, i64), class: &str| ended(&queue, days, class, "completed", "").await;
        let gone = [
            completed((100, 8), "short").await,
            completed((3_660, 3_651), "long").await,
            ended(&queue, (3_660, 3_651), "dead", "dead", "erased").await,
        ];
        let stay = [
            completed((100, 6), "short").await,
            completed((100, 8), "long").await,
            completed((3_660, 3_649), "long").await,
            ended(&queue, (9_000, 9_000), "dead", "dead", "fatal").await,
            ended(&queue, (9_000, 9_000), "long", "dead", "of a binary that knows no classes").await,
        ];
        for job in gone.iter().chain(&stay) {
            belongings(&queue, job).await;
        }
        let forgotten = queue.forget().await.expect("forget");
        let jobs = vec![(Class::Short, 1), (Class::Long, 1), (Class::Dead, 1)];
        assert_eq!(forgotten, Forgotten { partitions: vec![], jobs });
        assert_eq!(kept_ids(&queue).await, sorted(stay.to_vec()));
        assert_eq!(belonging(&queue).await, [5; 6]);
        assert_eq!(queue.forget().await.expect("again"), Forgotten::default());
    })
    .await;
}

/// Its key is taken for ever, so a job that names it again does not do it again.
#[tokio::test]
async fn that_something_happened_is_known_longer_than_its_job() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let gone = ended(&queue, (9, 8), "short", "completed", "").await;
        belongings(&queue, &gone).await;
        commit(&queue, vec![stmt(sql("none", "update effects set state = 'confirmed'"), [])]).await.expect("it happened");
        assert_eq!(queue.forget().await.expect("forget").jobs, [(Class::Short, 1)]);
        assert_eq!(belonging(&queue).await, [0, 0, 0, 0, 1, 0]);
    })
    .await;
}

#[tokio::test]
async fn many_are_forgotten_in_batches_and_a_setting_counts_for_all() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let template = ended(&queue, (20, 3), "short", "completed", "").await;
        let columns = "kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt, max_attempts, crashes, lease,
            op, rev, key, trace, errors, reason, created_at, started_at, finished_at, class";
        let rows: Vec<serde_json::Value> = (0..1_200).map(|n| serde_json::json!({ "id": format!("{template}{n:04}") })).collect();
        let copy = format!(
            "insert into archive (id, {columns}) select v.id, {columns} from (select {columns} from archive where id = $2) a
            cross join (select value ->> 'id' as id from json_each($1)) v"
        );
        let rows = serde_json::Value::from(rows).to_string();
        commit(&queue, vec![stmt(sql("text, text", &copy), [rows.into(), template.as_str().into()])]).await.expect("copies");
        assert_eq!(queue.forget().await.expect("forget"), Forgotten::default());

        let other = store.queue().await.expect("another process");
        assert_eq!(
            (other.kept_days(Class::Short).await.expect("days"), other.kept_days(Class::Dead).await.expect("days")),
            (Some(7), None)
        );
        assert!(other.keep(Class::Short, 2).await.expect("set") && !other.keep(Class::Short, 2).await.expect("the same"));
        assert!(other.keep(Class::Long, 364).await.is_err_and(|e| e.is_guard("retention_days")));
        assert!(other.keep(Class::Short, 0).await.is_err_and(|e| e.is_guard("retention_days")));
        assert_eq!(queue.forget().await.expect("forget").jobs, [(Class::Short, 1_201)]);
        assert_eq!(int(&queue, "select count(*) as n from archive").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_key_stays_taken_when_its_job_is_forgotten() {
    on_every_store(async |store| {
        let long_ago = Clock::stepped(Clock::host().now() - 30 * DAY_US);
        let queue = store.queue_with(long_ago.clone()).await.expect("queue").with_classes(classes());
        worker(&queue, "wkr_1").await;
        let first = queue.enqueue(keyed("once", "{}")).await.expect("enqueue");
        let claimed = claim(&queue, 1).await;
        let finisher = Finisher::start(queue.db().clone(), queue.clock().clone(), classes());
        finisher.finish(done(&claimed[0])).await.expect("finished");
        long_ago.step(std::time::Duration::from_secs(30 * 86_400));
        assert_eq!(queue.forget().await.expect("forget").jobs, [(Class::Short, 1)]);
        assert!(queue.job(&Scope::System, first.id()).await.expect("a look").is_none());

        let again = queue.enqueue(keyed("once", "{}")).await.expect("enqueue");
        assert_eq!(again, Enqueued::Duplicate { id: first.id().into() });
        let other = queue.enqueue(keyed("once", "{\"n\":1}")).await.expect("enqueue");
        assert_eq!(other, Enqueued::Conflict { id: first.id().into() });
        assert_eq!(int(&queue, "select count(*) as n from jobs").await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_older_binary_archives_what_is_kept_long() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let insert = "insert into archive (id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt,
            max_attempts, crashes, lease, op, rev, key, trace, errors, reason, result, created_at, started_at, finished_at)
            select 'job_old', 'k', 1, 'q', 'completed', '', '{}', '[]', 4, 1, 0, 1, 20, 0, '', '', 1, '', '', '[]', '', '', 1, 1, $1";
        let yesterday = queue.clock().now() - DAY_US;
        commit(&queue, vec![stmt(sql("int", insert), [yesterday.into()])]).await.expect("as before");
        assert_eq!(kept(&queue).await, [("job_old".to_owned(), "long".to_owned())]);
    })
    .await;
}

/// A cancelled job may be brought back in the very moment it is forgotten: it is then live with all that belongs to it, or gone.
#[tokio::test]
async fn a_job_that_is_brought_back_keeps_what_belongs_to_it() {
    for kind in Kind::fast() {
        let store = TestStore::start(kind).await.expect("a store");
        let queue = store.queue().await.expect("queue");
        let mut jobs = Vec::new();
        for _ in 0..60 {
            let job = ended(&queue, (9, 9), "short", "cancelled", "").await;
            belongings(&queue, &job).await;
            jobs.push(job);
        }
        let retries = async {
            let mut back = 0;
            for job in &jobs {
                back += usize::from(queue.retry(&Scope::System, job).await.expect("an answer") == Acted::Done(State::Available));
            }
            back
        };
        let (back, forgotten) = tokio::join!(retries, async {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            queue.forget().await.expect("forget")
        });
        let live = int(&queue, "select count(*) as n from jobs").await;
        println!("store {kind:?}: {back} were brought back, {forgotten:?}");
        assert_eq!(i64::try_from(back).expect("small"), live);
        assert_eq!(int(&queue, "select count(*) as n from archive").await, 0);
        assert_eq!(belonging(&queue).await, [live; 6]);
    }
}

const MIGRATION: &str = "0012_engine_retention";

/// A store beside `store`, migrated up to the one before this migration.
async fn older(store: &TestStore) -> Db {
    let mut config = store.config.clone();
    match &mut config.url {
        StoreUrl::Sqlite(path) => path.set_file_name("older.db"),
        _ => config.schema = "older".into(),
    }
    let db = Db::open_for_migration(&config).await.expect("a store");
    let script = migrate::scripts(db.engine()).into_iter().find(|script| script.name == MIGRATION).expect("it");
    let records =
        "create table schema_migrations (name text not null constraint schema_migrations_name primary key, checksum text not null,
        applied_at bigint not null)";
    let records = if db.engine() == Engine::Postgres { records.to_owned() } else { records.replace("bigint", "integer") + " strict" };
    let record = "insert into schema_migrations (name, checksum, applied_at) values ($1, $2, 1)";
    let hold_back = vec![stmt(sql("none", &records), []), stmt(sql("text, text", record), [MIGRATION.into(), script.record().into()])];
    db.commit(&Scope::System, hold_back).await.expect("held back");
    migrate::up(&db).await.expect("all others");
    let forget = sql("text", "delete from schema_migrations where name = $1");
    db.commit(&Scope::System, vec![stmt(forget, [MIGRATION.into()])]).await.expect("next");
    db
}

#[tokio::test]
async fn a_migration_moves_what_has_ended_into_its_class() {
    for kind in Kind::fast() {
        let store = TestStore::start(kind).await.expect("a store");
        let queue = Queue::new(older(&store).await, Clock::host(), Vec::new());
        let insert = "insert into archive (id, kind, version, queue, state, tenant, args, tags, priority, run_at, deadline, attempt,
            max_attempts, crashes, lease, op, rev, key, trace, errors, reason, created_at, started_at, finished_at)
            values ($1, 'k', 1, 'q', $2, '', '{}', '[]', 4, 1, 0, 1, 20, 0, '', '', 1, '', '', '[]', '', $3, 1, $3)";
        let insert = sql("text, text, int", insert);
        let made = [id(&queue, 400), id(&queue, 1), "job_without_time".to_owned()];
        for (job, state) in made.iter().zip(["completed", "dead", "cancelled"]) {
            let at = queue.clock().now() - if state == "completed" { 400 * DAY_US } else { DAY_US };
            commit(&queue, vec![stmt(insert, [job.as_str().into(), state.into(), at.into()])]).await.expect("an ended job");
        }
        assert_eq!(migrate::up(queue.db()).await.expect("migrated"), [MIGRATION]);
        let mut expected: Vec<(String, String)> = made.iter().cloned().zip(["long", "dead", "long"].map(str::to_owned)).collect();
        expected.sort();
        assert_eq!(kept(&queue).await, expected);
        if kind == Kind::Postgres {
            let elsewhere = rows(&queue, "select id from archive_long_other").await;
            assert_eq!(elsewhere.iter().map(|row| row.text("id").expect("id")).collect::<Vec<_>>(), ["job_without_time"]);
        }
    }
}

#[tokio::test]
async fn a_partition_goes_when_nothing_in_it_must_stay() {
    on_postgres(async |store| {
        let queue = store.queue().await.expect("queue");
        let day = partition(store, "archive_make_day", queue.clock().now() - 30 * DAY_US, 8).await;
        let old = [ended(&queue, (30, 29), "short", "completed", "").await, ended(&queue, (30, 29), "short", "completed", "").await];
        let late = ended(&queue, (30, 5), "short", "completed", "").await;
        belongings(&queue, &old[0]).await;
        belongings(&queue, &late).await;
        assert_eq!(queue.forget().await.expect("forget"), Forgotten::default());
        assert_eq!(kept_ids(&queue).await, sorted(vec![old[1].clone(), late.clone()]), "only what more is kept of goes by itself");
        assert_eq!(belonging(&queue).await, [1; 6]);

        store.by_hand(&format!("update archive set finished_at = finished_at - {}", 3 * DAY_US)).await.expect("later");
        let forgotten = queue.forget().await.expect("forget");
        assert_eq!(forgotten.partitions, [(day.clone(), 1)]);
        assert_eq!((kept_ids(&queue).await, belonging(&queue).await), (vec![], [0; 6]));
        assert_eq!(int(&queue, &format!("select count(*) as n from pg_class where relname = '{day}'")).await, 0);
        assert_eq!(queue.forget().await.expect("again"), Forgotten::default());
    })
    .await;
}

#[tokio::test]
async fn money_and_what_is_dead_is_not_dropped_with_the_days() {
    on_postgres(async |store| {
        let queue = store.queue().await.expect("queue");
        let made = queue.clock().now() - 4_500 * DAY_US;
        let year = partition(store, "archive_make_year", made, 4).await;
        let money = ended(&queue, (4_500, 3_640), "long", "completed", "").await;
        assert_eq!(queue.forget().await.expect("forget"), Forgotten::default());
        store.by_hand(&format!("update archive set finished_at = {made}, state = 'dead'")).await.expect("dead, by an older binary");
        assert_eq!(queue.forget().await.expect("forget"), Forgotten::default());
        assert_eq!(kept_ids(&queue).await, [money]);
        store.by_hand("update archive set state = 'completed'").await.expect("completed");
        assert_eq!(queue.forget().await.expect("forget").partitions, [(year, 1)]);
    })
    .await;
}

#[tokio::test]
async fn only_partitions_past_their_retention_can_be_dropped() {
    on_postgres(async |store| {
        let queue = store.queue().await.expect("queue");
        let drop = sql("text", "select archive_drop($1) as jobs");
        let partitions = rows(&queue, "select leaf from archive_partitions() order by leaf").await;
        let partitions: Vec<String> = partitions.iter().map(|row| row.text("leaf").expect("leaf")).collect();
        assert!(partitions.len() >= 16, "{partitions:?}");
        let others = ["jobs", "archive", "archive_short", "archive_long_other", "archive_kept_dead", "entries", "x\"; drop table jobs"];
        for name in partitions.iter().map(String::as_str).chain(others) {
            let answer = queue.db().query(&Scope::System, stmt(drop, [name.into()])).await.expect(name);
            assert_eq!(answer[0].opt_int("jobs").expect("jobs"), None, "{name}");
        }
        assert_eq!(rows(&queue, "select leaf from archive_partitions()").await.len(), partitions.len());
        for forbidden in [
            format!("drop table {}", partitions[0]),
            format!("select id from {}", partitions[0]),
            "select archive_make('archive_long', 'archive_long_x', timestamptz '2020-01-01', timestamptz '2021-01-01')".to_owned(),
            "insert into retention (class, days) values ('x', 1)".to_owned(),
        ] {
            let refused = queue.db().query(&Scope::System, stmt(sql("none", &forbidden), [])).await;
            assert!(refused.is_err_and(|error| error.to_string().contains("42501")), "{forbidden}");
        }
    })
    .await;
}

/// Whoever reads an old partition keeps it for a while; nobody waits behind the drop for longer than a moment.
#[tokio::test]
async fn a_drop_that_has_to_wait_gives_up() {
    on_postgres(async |store| {
        let queue = store.queue().await.expect("queue");
        let day = partition(store, "archive_make_day", queue.clock().now() - 30 * DAY_US, 8).await;
        ended(&queue, (30, 29), "short", "completed", "").await;
        let reader = store.queue().await.expect("queue");
        let reading = sql("none", "select count(*) as n from archive, pg_sleep(2)");
        let reading = tokio::spawn(async move { reader.db().query(&Scope::System, stmt(reading, [])).await });
        let locks = format!("select count(*) as n from pg_locks where relation = '{day}'::regclass and mode = 'AccessShareLock'");
        while int(&queue, &locks).await == 0 {
            assert!(!reading.is_finished(), "the reader holds no lock");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let started = std::time::Instant::now();
        assert_eq!(queue.forget().await.expect("forget"), Forgotten::default());
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
        reading.await.expect("the reader").expect("rows");
        assert_eq!(queue.forget().await.expect("forget").partitions.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn partitions_are_made_ahead_and_an_end_always_has_a_place() {
    on_postgres(async |store| {
        let queue = store.queue().await.expect("queue");
        store.by_hand("drop table archive_short_other").await.expect("a day without a place is an error");
        let today = ended(&queue, (0, 0), "short", "completed", "").await;
        let year = ended(&queue, (0, 0), "long", "completed", "").await;
        let of = |job: &str| format!("select count(*) as n from archive where id = '{job}' and tableoid::regclass::text ~ '[0-9]$'");
        assert_eq!((int(&queue, &of(&today)).await, int(&queue, &of(&year)).await), (1, 1));
        let ahead = ended(&queue, (-7, 0), "short", "completed", "").await;
        assert_eq!(int(&queue, &of(&ahead)).await, 1);

        store.by_hand("create table archive_short_other partition of archive_short default").await.expect("the place of all others");
        let beyond = ended(&queue, (-9, 0), "short", "completed", "").await;
        assert_eq!(int(&queue, &of(&beyond)).await, 0);
        assert_eq!(queue.archive_ahead().await.expect("ahead"), [""; 0]);
        let last =
            rows(&queue, "select max(leaf) as leaf from archive_partitions() where class = 'short'").await[0].text("leaf").expect("leaf");
        store.by_hand(&format!("drop table {last}")).await.expect("dropped");
        assert_eq!(queue.archive_ahead().await.expect("ahead"), [last]);
    })
    .await;
}

#[tokio::test]
async fn one_job_is_read_from_few_partitions() {
    on_postgres(async |store| {
        let queue = store.queue().await.expect("queue");
        let job = id(&queue, 0);
        let plan = queue.db().explain(manage::GET.with(["*".into(), job.as_str().into()])).await.expect("a plan");
        let scans: Vec<&str> = plan.lines().filter(|line| line.contains(" on archive")).collect();
        assert!(scans.len() == 3 && scans.iter().all(|line| line.contains("Index Scan")), "{plan}");
    })
    .await;
}

async fn on_postgres(test: impl AsyncFn(&TestStore)) {
    if Kind::selected().contains(&Kind::Postgres) {
        test(&TestStore::start(Kind::Postgres).await.expect("a store")).await;
        clawr_tests::evidence::keep(Kind::Postgres);
    }
}

/// Makes the partition that holds jobs of this time; its name ends in the first `digits` of the day.
async fn partition(store: &TestStore, function: &str, at: i64, digits: usize) -> String {
    let format = &"YYYYMMDD"[..digits];
    let name = format!("to_char(to_timestamp({}) at time zone 'UTC', '{format}')", at / 1_000_000);
    store.by_hand(&format!("select {function}({name})::text")).await.expect("a partition");
    let queue = store.queue().await.expect("queue");
    let leaf = format!("select leaf from archive_partitions() where right(leaf, {digits}) = {name} and leaf ~ '_[0-9]{{{digits}}}$'");
    rows(&queue, &leaf).await[0].text("leaf").expect("leaf")
}

//! Args of a kind that encrypts: nobody but the handler sees them, whatever becomes of the job and of the keys.

use crate::support::{on_every_store, sql};
use clawr_engine::db::{Db, DbError, Engine, Scope};
use clawr_engine::job::{Enqueued, Job, NewJob, State};
use clawr_engine::queue::Queue;
use clawr_engine::seal::Needs;
use clawr_engine::unique::{OnConflict, Unique};
use clawr_tests::stores::TestStore;
use clawr_tests::workers::{Log, in_state, start_on, until, until_state};
use clawr_workers::process::WorkerProcess;
use serde_json::{Value as Json, json};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(30);
/// What must not be found anywhere but in a handler.
const CANARY: &str = "canary-4111-1111";
/// What the handler answers that saw it.
const SEEN: &str = "1111-1114-yranac";

fn key(id: &str) -> String {
    let digits: String = id.bytes().cycle().take(32).map(|b| format!("{b:02x}")).collect();
    format!("{id} {digits}\n")
}

fn sealed(log: &Log, more: Json) -> NewJob {
    let mut args = more;
    args["card"] = CANARY.into();
    NewJob { limit_key: CANARY.into(), ..log.job("chaos_sealed", args) }
}

/// A job of the kind without a log.
fn plain(args: Json) -> NewJob {
    NewJob { kind: "chaos_sealed".into(), queue: "chaos".into(), args: args.to_string(), ..NewJob::default() }
}

async fn worker(store: &TestStore, queue: &Queue, name: &str) -> WorkerProcess {
    start_on(queue.clone(), store.config.clone(), name, 4).await
}

async fn job(queue: &Queue, id: &str) -> Job {
    queue.job(&Scope::System, id).await.expect("read").expect("there")
}

/// Every text in every column of every table of the store, as somebody with a copy of it reads it.
async fn everything(store: &TestStore) -> Vec<String> {
    let db = Db::open_for_migration(&store.config).await.expect("the store's owner");
    let rows = async |text: &str| db.query(&Scope::System, sql("none", text).with([])).await.expect("rows");
    let tables = match store.engine() {
        Engine::Postgres => {
            "select table_name as name, string_agg('coalesce(cast(\"' || column_name || '\" as text), '''')', ' || '' '' || ') as columns
             from information_schema.columns where table_schema = 'clawr' group by table_name"
        }
        _ => {
            "select m.name as name, group_concat('coalesce(cast(\"' || p.name || '\" as text), '''')', ' || '' '' || ') as columns
             from sqlite_master m join pragma_table_info(m.name) p
             where m.type = 'table' and m.name not like 'sqlite%' and m.name not like '\\_cf%' escape '\\' group by m.name"
        }
    };
    let mut texts = Vec::new();
    for table in rows(tables).await {
        let (name, columns) = (table.text("name").expect("name"), table.text("columns").expect("columns"));
        for row in rows(&format!("select {columns} as everything from \"{name}\"")).await {
            texts.push(format!("{name}: {}", row.text("everything").expect("text")));
        }
    }
    db.close().await;
    texts
}

async fn needs(queue: &Queue) -> Vec<(String, usize)> {
    let needs: Needs = queue.sealed_by_key().await.expect("counts");
    needs.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stored_or_said_holds_what_the_handler_sees() {
    on_every_store(async |store| {
        let queue = store.queue_with_keys(&key("k1")).await.expect("queue");
        let log = Log::new();
        let of = |how: &str| sealed(&log, json!({ "how": how }));
        let keyed = NewJob { key: Some("order 7".into()), ..of("") };
        let slot = NewJob { unique: Some(Unique { by: &["/card"], ..Unique::new(OnConflict::Return) }), ..of("fail") };
        let jobs = vec![keyed, slot, of("die"), of("panic"), of("cancel"), of("follow"), of("group")];
        let made =
            queue.enqueue_many(jobs.into_iter().map(|job| NewJob { max_attempts: Some(1), ..job }).collect()).await.expect("enqueue");
        let single = queue.enqueue(of("")).await.expect("enqueue");
        assert!(everything(store).await.iter().any(|text| text.contains(r#"{"enc":1,"kid":"k1","#)), "the search reads args");
        let worker = worker(store, &queue, "one").await;
        // keyed, single, the two parents, what follows, the child and its two callbacks
        let done = until_state(&queue, "completed", 8, GRACE).await;
        assert!(done.iter().all(|job| job.result["backwards"] == SEEN), "{done:?}");
        let dead = until_state(&queue, "dead", 3, GRACE).await;
        let errors: Vec<&str> = dead.iter().filter_map(|job| job.errors[0]["error"].as_str()).collect();
        assert!(errors.iter().all(|error| error.contains("no bank takes ***")), "{errors:?}");
        assert_eq!(job(&queue, made[4].id()).await.reason, "nobody wants ***");
        worker.stop(GRACE).await;
        assert!(matches!(single, Enqueued::New { .. }));
        let all = everything(store).await;
        let leaks: Vec<&String> = all.iter().filter(|text| text.contains(CANARY) || text.contains("4111")).collect();
        assert!(leaks.is_empty(), "{leaks:?}");
        let counted_by = &job(&queue, made[0].id()).await.limit_key;
        assert!(done.iter().all(|job| job.limit_key == *counted_by) && counted_by.len() == 22, "limits still count what is alike");
        assert!(all.iter().any(|text| text.contains("the card is \"***\"")), "notes are kept, without it");
        let shown = clawr_kinds::registry().shown(job(&queue, made[0].id()).await);
        assert_eq!(shown.args, json!({ "encrypted": true, "key_id": "k1" }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_encrypts_is_not_stored_without_a_key() {
    on_every_store(async |store| {
        let queue = store.queue_without_keys().await.expect("queue");
        let refused = Err(DbError::Guard("args_key_missing".into()));
        assert_eq!(queue.enqueue(plain(json!({ "card": CANARY }))).await, refused);
        assert_eq!(
            queue.enqueue_many(vec![crate::support::job("k"), plain(json!({ "card": CANARY }))]).await.map(|_| ()),
            refused.map(|_: Enqueued| ())
        );
        assert!(queue.enqueue(crate::support::job("k")).await.is_ok());
        assert_eq!(in_state(&queue, "available").await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_a_job_waits_and_uses_no_attempt() {
    on_every_store(async |store| {
        let (old, new) =
            (store.queue_with_keys(&key("old")).await.expect("queue"), store.queue_with_keys(&key("new")).await.expect("queue"));
        let keyless = store.queue_without_keys().await.expect("queue");
        let log = Log::new();
        let made = old.enqueue(sealed(&log, json!({}))).await.expect("enqueue");
        let id = made.id();
        // no key at all: it is not even claimed
        let without = worker(store, &keyless, "without").await;
        let told = keyless.explain(&Scope::System, id).await.expect("explain").expect("there");
        let gate = told.first_closed().expect("a closed gate");
        assert_eq!((gate.gate, told.eligible), ("runnable", false), "{gate:?}");
        assert!(gate.detail.contains("sealed with key old") && gate.fix.contains("args_keys_file"), "{gate:?}");
        assert_eq!(job(&keyless, id).await.state, State::Available);
        without.stop(GRACE).await;
        // other keys: it is given back
        let other = worker(store, &new, "other").await;
        until("given back", GRACE, async || job(&new, id).await.state == State::Scheduled).await;
        let given_back = job(&new, id).await;
        assert_eq!((given_back.attempt, given_back.crashes), (0, 0));
        let told = new.explain(&Scope::System, id).await.expect("explain").expect("there");
        let gate = told.first_closed().expect("a closed gate");
        assert!(gate.gate == "due" && gate.detail.contains("sealed with key old, which is not here"), "{gate:?}");
        other.stop(GRACE).await;
        assert!(log.lines().is_empty(), "no handler has seen it");
        // and runs once the key is there
        let both = store.queue_with_keys(&(key("new") + &key("old"))).await.expect("queue");
        assert_eq!(both.run_now(&Scope::System, id).await.expect("run now"), clawr_engine::manage::Acted::Done(State::Available));
        let worker = worker(store, &both, "both").await;
        let done = until_state(&both, "completed", 1, GRACE).await;
        assert_eq!((done[0].attempt, &done[0].result["backwards"]), (1, &json!(SEEN)));
        worker.stop(GRACE).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_or_moved_kills_its_job_with_a_finding() {
    on_every_store(async |store| {
        let queue = store.queue_with_keys(&key("k1")).await.expect("queue");
        let log = Log::new();
        let made = queue.enqueue_many((0..4).map(|_| sealed(&log, json!({}))).collect()).await.expect("enqueue");
        let id = |n: usize| made[n].id();
        // the ciphertext of one is changed, one gets the envelope of another, one goes to another tenant
        store
            .by_hand(&format!("update jobs set args = replace(args, '\"ct\":\"', '\"ct\":\"AAAA') where id = '{}'", id(0)))
            .await
            .expect("tamper");
        store
            .by_hand(&format!("update jobs set args = (select args from jobs where id = '{}') where id = '{}'", id(3), id(1)))
            .await
            .expect("move");
        store.by_hand(&format!("update jobs set tenant = 'ten_2' where id = '{}'", id(2))).await.expect("give away");
        let worker = worker(store, &queue, "one").await;
        until_state(&queue, "completed", 1, GRACE).await;
        let dead = until_state(&queue, "dead", 3, GRACE).await;
        assert!(dead.iter().all(|job| (job.reason.as_str(), job.attempt) == ("sealed_args", 1)), "{dead:?}");
        let findings = queue.findings(&Scope::System, "", 100).await.expect("findings");
        let mut objects: Vec<String> =
            findings.iter().filter(|f| f.text("what").is_ok_and(|w| w == "sealed_args")).map(|f| f.text("object").unwrap()).collect();
        objects.sort();
        let mut changed: Vec<&str> = (0..3).map(id).collect();
        changed.sort_unstable();
        assert_eq!(objects, changed);
        worker.stop(GRACE).await;
        assert_eq!(log.starts().len(), 1, "no handler got what was changed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_and_content_is_the_first_job_also_after_a_rotation() {
    on_every_store(async |store| {
        let old = store.queue_with_keys(&key("old")).await.expect("queue");
        let new = store.queue_with_keys(&(key("new") + &key("old"))).await.expect("queue");
        let asked = |card: &str| NewJob { key: Some("a".into()), ..plain(json!({ "card": card, "ms": 0 })) };
        let first = old.enqueue(asked(CANARY)).await.expect("first");
        assert_eq!(new.enqueue(asked(CANARY)).await.expect("again"), Enqueued::Duplicate { id: first.id().into() });
        assert_eq!(new.enqueue(asked("other")).await.expect("other"), Enqueued::Conflict { id: first.id().into() });
        // one that was made before its kind encrypted is known as well
        let before = store.queue().await.expect("queue");
        let asked = |args: Json| NewJob { key: Some("b".into()), ..plain(args) };
        let first = before.enqueue(asked(json!({ "card": "1" }))).await.expect("before");
        assert_eq!(new.enqueue(asked(json!({ "card": "1" }))).await.expect("again"), Enqueued::Duplicate { id: first.id().into() });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_of_sealed_args_cannot_be_guessed() {
    on_every_store(async |store| {
        let asked = NewJob { key: Some("a".into()), ..plain(json!({ "card": "1" })) };
        let sealing = store.queue_with_keys(&key("k1")).await.expect("queue");
        sealing.enqueue(asked.clone()).await.expect("sealed");
        let open = store.queue().await.expect("queue");
        open.enqueue(NewJob { key: Some("b".into()), ..asked }).await.expect("plain");
        let digests = "select count(distinct digest) as n from register";
        assert_eq!(crate::support::int(&open, digests).await, 2, "the plain digest of the same content is another");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_alike_are_found_by_their_plain_args_and_run_with_what_was_asked_last() {
    on_every_store(async |store| {
        let queue = store.queue_with_keys(&key("k1")).await.expect("queue");
        let alike = |on: OnConflict, ms: u64| NewJob {
            unique: Some(Unique { by: &["/card"], ..Unique::new(on) }),
            ..plain(json!({ "card": CANARY, "ms": ms }))
        };
        let first = queue.enqueue(alike(OnConflict::Reject, 1)).await.expect("first");
        assert_eq!(queue.enqueue(alike(OnConflict::Reject, 2)).await.expect("second"), Enqueued::Taken { id: first.id().into() });
        let replaced = queue.enqueue(alike(OnConflict::Replace, 3)).await.expect("third");
        assert_eq!(replaced, Enqueued::Replaced { id: first.id().into() });
        let many = queue.enqueue_many(vec![alike(OnConflict::Replace, 4), alike(OnConflict::Replace, 5)]).await.expect("more");
        assert!(many.iter().all(|e| e.id() == first.id()), "{many:?}");
        let worker = worker(store, &queue, "one").await;
        let done = until_state(&queue, "completed", 1, GRACE).await;
        assert_eq!((done[0].id.as_str(), &done[0].result["backwards"]), (first.id(), &json!(SEEN)));
        // several in one call with nobody there yet: the first makes the job, the last says what it does
        let keyed = |key: &str, ms| NewJob { key: Some(key.into()), ..alike(OnConflict::Replace, ms) };
        let made = queue.enqueue_many(vec![keyed("x", 6), alike(OnConflict::Replace, 7)]).await.expect("two");
        let done = until_state(&queue, "completed", 2, GRACE).await;
        assert!(done.iter().any(|job| job.id == made[0].id()), "{made:?}");
        // a row whose key is an earlier call's makes nothing, and the next one of its slot does
        let made = queue.enqueue_many(vec![keyed("x", 6), alike(OnConflict::Replace, 8)]).await.expect("two more");
        let done = until_state(&queue, "completed", 3, GRACE).await;
        assert!(done.iter().any(|job| job.id == made[1].id()) && made[0].id() != made[1].id(), "{made:?}");
        worker.stop(GRACE).await;
        assert!(in_state(&queue, "dead").await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_replacements_never_leave_an_envelope_in_a_foreign_job() {
    on_every_store(async |store| {
        let n = if store.engine() == Engine::D1 { 4 } else { 40 };
        let queue = store.queue_with_keys(&key("k1")).await.expect("queue");
        let other = store.queue_with_keys(&key("k1")).await.expect("another process");
        let worker = worker(store, &queue, "one").await;
        let ask = |queue: Queue, n: usize| async move {
            let unique = Some(Unique { by: &["/card"], ..Unique::new(OnConflict::Replace) });
            for ms in 0..n {
                let job = NewJob { unique, ..plain(json!({ "card": CANARY, "ms": ms % 3 })) };
                queue.enqueue(job).await.expect("asked");
            }
        };
        futures::join!(ask(queue.clone(), n), ask(other.clone(), n), ask(queue.clone(), n));
        until("all have ended", GRACE, async || {
            in_state(&queue, "available").await.is_empty() && in_state(&queue, "running").await.is_empty()
        })
        .await;
        worker.stop(GRACE).await;
        assert!(in_state(&queue, "dead").await.is_empty());
        let done = in_state(&queue, "completed").await;
        assert!(!done.is_empty() && done.iter().all(|job| job.result["backwards"] == SEEN), "{done:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_under_load_ends_with_no_job_that_needs_the_old_key() {
    on_every_store(async |store| {
        let n = if store.engine() == Engine::D1 { 20 } else { 200 };
        // the new key is known everywhere before it is the first anywhere
        let old = store.queue_with_keys(&(key("old") + &key("new"))).await.expect("queue");
        let new = store.queue_with_keys(&(key("new") + &key("old"))).await.expect("queue");
        let log = Log::new();
        let asked = |queue: Queue, n: usize| {
            let jobs: Vec<NewJob> =
                (0..n).map(|at| sealed(&log, json!({ "ms": at % 40, "how": if at % 10 == 0 { "group" } else { "" } }))).collect();
            async move { queue.enqueue_many(jobs).await.expect("enqueue") }
        };
        asked(old.clone(), n).await;
        // one worker still has the old key as its current one while the first pass runs
        let (before, after) = (worker(store, &old, "before").await, worker(store, &new, "after").await);
        let first = async {
            let pass = new.rewrap_args(10, |_| {}).await.expect("pass");
            before.stop(GRACE).await;
            pass
        };
        let (pass, _) = futures::join!(first, asked(new.clone(), n));
        assert!(pass.left.is_empty(), "{:?}", pass.left);
        until("no pass finds more", GRACE, async || {
            let pass = new.rewrap_args(10, |_| {}).await.expect("pass");
            pass.left.is_empty() && pass.done + pass.moved == 0
        })
        .await;
        let only: Vec<String> = needs(&new).await.into_iter().map(|(kid, _)| kid).collect();
        assert_eq!(only, ["new"]);
        // every tenth has a child and two callbacks
        let all = 2 * n + 3 * (2 * n).div_ceil(10);
        let done = until_state(&new, "completed", all, GRACE).await;
        assert!(done.iter().all(|job| job.result["backwards"] == SEEN && job.attempt == 1));
        after.stop(GRACE).await;
        assert!(in_state(&new, "dead").await.is_empty());
        // what is left needs the new key alone
        let alone = store.queue_with_keys(&key("new")).await.expect("queue");
        let pass = alone.rewrap_args(50, |_| {}).await.expect("pass");
        assert_eq!((pass.done, pass.moved, pass.left.len()), (0, 0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rewrapping_leaves_what_moved_and_what_it_cannot_open() {
    on_every_store(async |store| {
        let old = store.queue_with_keys(&key("old")).await.expect("queue");
        let new = store.queue_with_keys(&(key("new") + &key("old"))).await.expect("queue");
        let lost = store.queue_with_keys(&key("lost")).await.expect("queue");
        let made = old.enqueue_many((0..3).map(|_| plain(json!({ "card": CANARY }))).collect()).await.expect("enqueue");
        let gone = lost.enqueue(plain(json!({ "card": CANARY }))).await.expect("enqueue");
        store.by_hand(&format!("update jobs set tenant = 'ten_2' where id = '{}'", made[0].id())).await.expect("give away");
        let rev = job(&new, made[1].id()).await.rev;
        let pass = new.rewrap_args(2, |_| {}).await.expect("pass");
        let mut left: Vec<&str> = pass.left.iter().map(|(id, _)| id.as_str()).collect();
        left.sort_unstable();
        assert_eq!((pass.done, pass.moved, left), (2, 0, vec![made[0].id(), gone.id()]));
        assert_eq!(job(&new, made[1].id()).await.rev, rev, "nothing of the job has changed");
        assert_eq!(needs(&new).await, [("lost".to_owned(), 1), ("new".to_owned(), 2), ("old".to_owned(), 1)]);
        assert!(old.sealed_by_key().await.is_ok());
    })
    .await;
}

//! What was enqueued before a kind got another name or other args still runs, and still is what it was.

use crate::support::on_every_store;
use clawr_engine::job::{Enqueued, NewJob, State};
use clawr_engine::unique::{OnConflict, Unique};
use clawr_tests::workers::{Log, start, until_state};
use serde_json::{Value, json};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_old_names_and_versions_run() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let log = Log::new();
        let of = |kind: &str, version: i64, args: Value| NewJob { version, ..log.job(kind, args) };
        let jobs = vec![
            of("chaos_first_name", 1, json!({"text": "one two"})),
            of("chaos_first_name", 2, json!({"words": "one two"})),
            of("chaos_renamed", 2, json!({"words": "one two"})),
            of("chaos_renamed", 3, json!({"words": ["one", "two"]})),
            of("chaos_renamed", 1, json!({"words": "no text"})),
            of("chaos_renamed", 4, json!({"words": ["of a newer binary"]})),
            of("chaos_secret", 1, json!({"card": "4111", "owner": {"name": 4111}})),
        ];
        let made = queue.enqueue_many(jobs).await.expect("enqueue");
        let worker = start(store, "one", 4).await;
        let completed = until_state(&queue, "completed", 4, GRACE).await;
        assert!(completed.iter().all(|job| job.result == json!(["one", "two"])), "{completed:?}");
        let dead = until_state(&queue, "dead", 2, GRACE).await;
        let why =
            |n: usize| dead.iter().find(|job| job.id == made[n].id()).map(|job| (job.reason.as_str(), job.errors[0]["error"].clone()));
        assert_eq!(why(4), Some(("undecodable", json!("args of version 1 are not raised to 2: no text"))));
        // the decoder's words quote the value
        assert_eq!(why(6), Some(("undecodable", json!("args do not decode; a kind with masked fields does not tell why"))));
        worker.stop(GRACE).await;
        let newer = queue.job(&clawr_engine::db::Scope::System, made[5].id()).await.expect("read").expect("there");
        assert_eq!(newer.state, State::Available, "waits for a binary that knows it");
    })
    .await;
}

#[tokio::test]
async fn a_new_name_keeps_keys_and_slots() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        let old = NewJob { kind: "old".into(), key: Some("a".into()), ..crate::support::job("k") };
        let new = NewJob { kind: "new".into(), family: "old".into(), ..old.clone() };
        let first = queue.enqueue(old).await.expect("under the old name");
        assert_eq!(queue.enqueue(new).await.expect("under the new one"), Enqueued::Duplicate { id: first.id().into() });
        let old = NewJob { kind: "old".into(), unique: Some(Unique::new(OnConflict::Reject)), ..crate::support::job("k") };
        let new = NewJob { kind: "new".into(), family: "old".into(), ..old.clone() };
        let first = queue.enqueue(old).await.expect("under the old name");
        assert_eq!(queue.enqueue(new).await.expect("under the new one"), Enqueued::Taken { id: first.id().into() });
    })
    .await;
}

//! What a running job says of itself is kept under its lease, bounded, without credentials, and goes with the job.

use crate::support::{claim, enqueue, on_every_store, worker};
use clawr_engine::db::Scope;
use clawr_engine::job::Claimed;
use clawr_engine::notes::{LINES_MAX, Notes};
use clawr_tests::stores::{Kind, TestStore};
use clawr_tests::workers::{Log, start, until_state};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn lines_are_kept_in_order_once_and_only_under_the_lease() {
    on_every_store(async |store| {
        let queue = store.queue().await.expect("queue");
        worker(&queue, "wkr_1").await;
        enqueue(&queue, 1).await;
        let job = Arc::new(claim(&queue, 1).await.remove(0));
        let notes = Notes::of(queue.clone(), job.clone());
        notes.log("one");
        notes.progress(10, "begun");
        fail::cfg("lost_reply", "1*return").expect("fail point");
        assert!(notes.keep().await.is_err(), "the reply was lost");
        notes.log("two\0 with whsec_abc");
        notes.progress(60, "more");
        notes.keep().await.expect("kept");
        let stale = Notes::of(queue.clone(), Arc::new(Claimed { lease: "op_other".into(), ..(*job).clone() }));
        stale.log("of a zombie");
        stale.progress(99, "of a zombie");
        stale.keep().await.expect("nothing to do");
        let lines = queue.logs(&Scope::System, &job.id, (0, 0), 10).await.expect("lines");
        let lines: Vec<String> = lines.iter().map(|row| row.text("line").expect("text")).collect();
        assert_eq!(lines, ["one", "two  with whsec_***"]);
        let (percent, note, _) = queue.progress(&Scope::System, &job.id).await.expect("a look").expect("progress");
        assert_eq!((percent, note.as_str()), (60, "more"));
        assert!(queue.logs(&Scope::Tenant("ten_x".into()), &job.id, (0, 0), 10).await.expect("lines").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_talks_too_much_is_cut_and_erased_with_its_lines() {
    for kind in Kind::selected() {
        let store = TestStore::start(kind).await.expect("a store");
        let (queue, log) = (store.queue().await.expect("queue"), Log::new());
        let worker = start(&store, "one", 2).await;
        let mut job = log.job("chaos_notes", json!({}));
        job.args = json!({ "lines": LINES_MAX + 7 }).to_string();
        let id = queue.enqueue(job).await.expect("enqueued").id().to_owned();
        until_state(&queue, "completed", 1, Duration::from_secs(10)).await;
        let (mut count, mut after, mut last) = (0, (0, 0), String::new());
        loop {
            let lines = queue.logs(&Scope::System, &id, after, 200).await.expect("lines");
            let Some(row) = lines.last() else { break };
            after = (row.int("attempt").expect("attempt"), row.int("seq").expect("seq"));
            last = row.text("line").expect("line");
            count += lines.len();
        }
        assert_eq!((count, last.as_str()), (LINES_MAX + 1, "(7 more lines were not kept)"));
        assert_eq!(queue.progress(&Scope::System, &id).await.expect("a look").map(|p| p.0), Some(100));
        queue.erase(&Scope::System, &id).await.expect("erased");
        assert!(queue.logs(&Scope::System, &id, (0, 0), 200).await.expect("lines").is_empty());
        assert_eq!(queue.progress(&Scope::System, &id).await.expect("a look"), None);
        worker.stop(Duration::from_secs(5)).await;
        clawr_tests::evidence::keep(kind);
    }
}

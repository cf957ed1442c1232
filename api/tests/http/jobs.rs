//! Jobs over HTTP.

use super::support::{EVENTS, House};
use clawr_engine::db::Scope;
use clawr_engine::retention::Class;
use serde_json::{Value, json};

fn sleep(ms: i64) -> Value {
    json!({"kind": "chaos_sleep", "args": {"ms": ms}})
}

#[tokio::test]
async fn a_job_is_made_looked_at_cancelled_and_retried() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let made = house.post_with("/v1/jobs", &key, sleep(1), &[("traceparent", parent)]).await;
    assert_eq!((made.status, &made.body["duplicate"], &made.body["state"]), (202, &json!(false), &json!("available")));
    let path = made.header("location").to_owned();
    assert_eq!(path, format!("/v1/jobs/{}", made.body["id"].as_str().unwrap()));

    let job = house.get(&path, &key).await;
    assert_eq!(
        (job.status, &job.body["trace"], &job.body["queue"], &job.body["max_attempts"]),
        (200, &json!(parent), &json!("chaos"), &json!(5))
    );
    assert_eq!(house.get(&format!("{path}/attempts"), &key).await.body, json!({"items": [], "next": null}));
    assert_eq!(house.get(&format!("{path}?wait=10ms"), &key).await.status, 200);

    let cancelled = house.post(&format!("{path}/cancel"), &key, json!({"reason": "not needed"})).await;
    assert_eq!((cancelled.status, &cancelled.body["state"], &cancelled.body["reason"]), (200, &json!("cancelled"), &json!("not needed")));
    house.post(&format!("{path}/cancel"), &key, json!({})).await.is(409, "state_forbids");
    let again = house.post(&format!("{path}/retry"), &key, json!({})).await;
    assert_eq!((again.status, &again.body["state"]), (200, &json!("available")));
    let trail = house.get("/v1/audit?action=job.retried", &key).await;
    assert_eq!(trail.body["items"][0]["object"], made.body["id"]);
}

#[tokio::test]
async fn a_key_makes_one_job() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let mut body = sleep(1);
    body["key"] = "once".into();
    let first = house.post("/v1/jobs", &key, body.clone()).await;
    let second = house.post("/v1/jobs", &key, body.clone()).await;
    assert_eq!((first.status, second.status, &second.body["duplicate"]), (202, 200, &json!(true)));
    assert_eq!(first.body["id"], second.body["id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
    let by_header = house.post_with("/v1/jobs", &key, sleep(1), &[("idempotency-key", "once")]).await;
    assert_eq!((by_header.status, &by_header.body["id"]), (200, &first.body["id"]));
    let other = house.post_with("/v1/jobs", &key, sleep(2), &[("idempotency-key", "once")]).await;
    other.is(409, "key_reused");
    assert_eq!(other.body["job_id"], first.body["id"]);
    house.post_with("/v1/jobs", &key, body, &[("idempotency-key", "twice")]).await.is(400, "two_keys");
    house.post_with("/v1/jobs", &key, sleep(1), &[("idempotency-key", "")]).await.is(400, "invalid_idempotency_key");
}

#[tokio::test]
async fn what_is_wrong_with_a_job_is_named() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    for (body, code, pointer) in [
        (json!({"kind": "nope", "args": {}}), "unknown_kind", "/kind"),
        (json!({"kind": "chaos_sleep", "args": {}}), "invalid_args", "/args/ms"),
        (json!({"kind": "chaos_sleep", "args": {"ms": 1, "x": 1}}), "invalid_args", "/args/x"),
        (json!({"kind": "chaos_sleep", "args": {"ms": "1"}}), "invalid_args", "/args"),
        (json!({"kind": "chaos_sleep"}), "invalid_input", "/args"),
        (json!({"kind": "chaos_sleep", "args": {"ms": 1}, "retries": 1}), "invalid_input", "/retries"),
        (json!({"kind": "chaos_sleep", "args": {"ms": 1}, "deadline": "2020-01-01T00:00:00Z"}), "invalid_input", "/deadline"),
        (json!([]), "invalid_input", ""),
    ] {
        let refused = house.post("/v1/jobs", &key, body).await;
        refused.is(422, code);
        assert_eq!(refused.pointer(), pointer);
    }
    let large = json!({"kind": "chaos_sleep", "args": {"ms": 1, "log": "x".repeat(70_000)}});
    house.post("/v1/jobs", &key, large).await.is(413, "args_too_large");
    house.post("/v1/jobs", &key, json!({"x": "y".repeat(300_000)})).await.is(413, "body_too_large");
}

#[tokio::test]
async fn money_kinds_cannot_be_put_into_the_queue_from_outside() {
    let house = House::new().await;
    let dispatcher = house.dispatcher().await;
    let key = house.global("read,write,admin").await;
    let money = json!({"kind": "settlement", "args": {"settlement_id": "stl_x"}});
    house.post("/v1/jobs", &key, money.clone()).await.is(403, "kind_not_open");
    let bulk = house.post("/v1/jobs/bulk", &key, json!({"jobs": [money]})).await;
    assert_eq!((bulk.status, &bulk.body["results"][0]["status"]), (200, &json!(403)));
    let accepted = house.report(&dispatcher, EVENTS.lines().next().unwrap()).await;
    let path = format!("/v1/jobs/{}", accepted.body["job_id"].as_str().unwrap());
    house.post(&format!("{path}/retry"), &key, json!({})).await.is(403, "kind_not_open");
    house.post(&format!("{path}/cancel"), &key, json!({})).await.is(403, "kind_not_open");
    let trail = house.get("/v1/audit?action=access.refused", &key).await;
    assert_eq!(trail.body["items"].as_array().unwrap().len(), 4, "{}", trail.text);
}

#[tokio::test]
async fn a_row_of_a_bulk_request_is_refused_alone() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let rows = json!({"jobs": [sleep(1), {"kind": "nope", "args": {}}, 7, sleep(2), {"kind": "chaos_sleep", "args": {"ms": 3}, "key": "k"}, {"kind": "chaos_sleep", "args": {"ms": 4}, "key": "k"}]});
    let answer = house.post_with("/v1/jobs/bulk", &key, rows.clone(), &[("idempotency-key", "b1")]).await;
    let statuses = |answer: &super::support::Answer| {
        answer.body["results"].as_array().unwrap().iter().map(|r| r["status"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&answer), [202, 422, 422, 202, 202, 409], "{}", answer.text);
    assert_eq!(answer.body["results"][1]["error"]["errors"][0]["pointer"], "/jobs/1/kind");
    let again = house.post_with("/v1/jobs/bulk", &key, rows, &[("idempotency-key", "b1")]).await;
    assert_eq!(statuses(&again), [200, 422, 422, 200, 200, 409]);
    assert_eq!(again.body["results"][3]["id"], answer.body["results"][3]["id"]);
    let many = json!({"jobs": vec![sleep(1); 1001]});
    house.post("/v1/jobs/bulk", &key, many).await.is(422, "invalid_input");
    house.post("/v1/jobs/bulk", &key, json!({"jobs": []})).await.is(422, "invalid_input");
    let thousand = json!({"jobs": vec![sleep(1); 1000]});
    assert!(statuses(&house.post("/v1/jobs/bulk", &key, thousand).await).iter().all(|s| *s == 202));
}

#[tokio::test]
async fn jobs_are_listed_filtered_and_paged() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    for ms in 0..7 {
        let mut body = sleep(ms);
        body["tags"] = json!([format!("t{}", ms % 2)]);
        assert_eq!(house.post("/v1/jobs", &key, body).await.status, 202);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/jobs?limit=3".to_owned();
    loop {
        let page = house.get(&path, &key).await;
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|j| j["args"]["ms"].as_i64().unwrap()));
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/v1/jobs?limit=3&cursor={next}");
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    let count = |page: super::support::Answer| page.body["items"].as_array().unwrap().len();
    assert_eq!(count(house.get("/v1/jobs?q=tag:t1+state:available+since:1h", &key).await), 3);
    assert_eq!(count(house.get("/v1/jobs?q=args.ms:5", &key).await), 1);
    assert_eq!(count(house.get("/v1/jobs?q=tag:t%25", &key).await), 0);
    assert_eq!(count(house.get("/v1/jobs?q=state:dead", &key).await), 0);
    house.get("/v1/jobs?q=colour:red", &key).await.is(400, "invalid_query");
    house.get("/v1/jobs?limit=3&limit=4", &key).await.is(400, "invalid_query");
    house.get("/v1/jobs?limit=201", &key).await.is(400, "invalid_query");
    house.get("/v1/jobs?wat=1", &key).await.is(400, "invalid_query");
    let queues = house.get("/v1/queues", &key).await;
    assert_eq!((&queues.body["items"][0]["name"], &queues.body["items"][0]["depth"]), (&json!("chaos"), &json!(7)));
}

#[tokio::test]
async fn one_tenant_does_not_see_another() {
    let house = House::new().await;
    let (ours, theirs) = (house.of("acme", "read,write").await, house.of("nimbus", "read,write").await);
    let made = house.post("/v1/jobs", &ours, sleep(1)).await;
    let path = format!("/v1/jobs/{}", made.body["id"].as_str().unwrap());
    assert_eq!(house.get(&path, &ours).await.body["tenant"], "acme");
    for hidden in [path.clone(), format!("{path}/attempts"), format!("{path}?wait=1ms")] {
        house.get(&hidden, &theirs).await.is(404, "not_found");
    }
    house.post(&format!("{path}/retry"), &theirs, json!({})).await.is(404, "not_found");
    house.post(&format!("{path}/cancel"), &theirs, json!({})).await.is(404, "not_found");
    assert_eq!(house.get("/v1/jobs", &theirs).await.body["items"], json!([]));
    let mut named = sleep(1);
    named["tenant"] = "nimbus".into();
    house.post("/v1/jobs", &ours, named.clone()).await.is(404, "not_found");
    assert_eq!(house.post("/v1/jobs", &theirs, named).await.status, 202);
    house.get("/v1/jobs?q=tenant:nimbus", &ours).await.is(404, "not_found");
    assert_eq!(house.get("/v1/jobs?q=tenant:acme", &ours).await.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_poll_ends_with_the_job_or_with_the_process() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let made = house.post("/v1/jobs", &key, sleep(1)).await;
    let path = format!("/v1/jobs/{}", made.body["id"].as_str().unwrap());
    let started = std::time::Instant::now();
    let (waiting, cancel) = (format!("{path}?wait=60s"), format!("{path}/cancel"));
    let (waited, _) = tokio::join!(house.get(&waiting, &key), house.post(&cancel, &key, json!({})));
    assert_eq!(waited.body["state"], "cancelled");
    let made = house.post("/v1/jobs", &key, sleep(2)).await;
    let path = format!("/v1/jobs/{}?wait=60s", made.body["id"].as_str().unwrap());
    let (waited, ()) = tokio::join!(house.get(&path, &key), async { house.api.drain() });
    assert_eq!((waited.status, &waited.body["state"]), (200, &json!("available")));
    assert!(started.elapsed().as_secs() < 30);
    house.get(&path.replace("60s", "61s"), &key).await.is(400, "invalid_query");
    assert_eq!(house.get("/readyz", "").await.status, 503);
}

#[tokio::test]
async fn a_second_job_of_a_unique_kind_meets_its_policy() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let ask = |kind: &str, ms: i64| json!({"kind": kind, "args": {"to": "a", "ms": ms}});
    let kinds = ["chaos_return", "chaos_reject", "chaos_replace", "chaos_debounce", "chaos_throttle"];
    let mut ids = Vec::new();
    for kind in kinds {
        let made = house.post("/v1/jobs", &key, ask(kind, 1)).await;
        assert_eq!((made.status, &made.body["duplicate"], &made.body["replaced"]), (202, &json!(false), &json!(false)), "{kind}");
        ids.push(made.body["id"].clone());
    }
    for (n, word) in [(0, "duplicate"), (2, "replaced"), (3, "replaced"), (4, "throttled")] {
        let second = house.post("/v1/jobs", &key, ask(kinds[n], 2)).await;
        assert_eq!((second.status, &second.body["id"], &second.body[word]), (200, &ids[n], &json!(true)), "{}", kinds[n]);
        let said = ["duplicate", "replaced", "throttled"].iter().filter(|word| second.body[**word] == true).count();
        assert_eq!((said, second.header("idempotency-replayed").is_empty()), (1, n != 0), "{}", kinds[n]);
    }
    let refused = house.post("/v1/jobs", &key, ask("chaos_reject", 2)).await;
    refused.is(409, "unique_taken");
    assert_eq!(refused.body["job_id"], ids[1]);
    let replaced = house.get(&format!("/v1/jobs/{}", ids[2].as_str().unwrap()), &key).await;
    assert_eq!(replaced.body["args"], json!({"to": "a", "ms": 2}));

    let rows: Vec<Value> = kinds.iter().map(|kind| ask(kind, 3)).chain([ask("chaos_sleep", 1)]).collect();
    let bulk = house.post("/v1/jobs/bulk", &key, json!({"jobs": rows})).await;
    let statuses: Vec<i64> = bulk.body["results"].as_array().unwrap().iter().map(|row| row["status"].as_i64().unwrap()).collect();
    assert_eq!(statuses, [200, 409, 200, 200, 200, 422], "{}", bulk.body);

    let lacks = house.post("/v1/jobs", &key, json!({"kind": "chaos_return", "args": {"ms": 1}})).await;
    lacks.is(422, "invalid_args");
    assert_eq!(lacks.body["errors"][0]["pointer"], "/args/to");
}

#[tokio::test]
async fn a_job_whose_slot_was_taken_does_not_come_back() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let ask = json!({"kind": "chaos_return", "args": {"to": "a"}});
    let first = house.post("/v1/jobs", &key, ask.clone()).await;
    let path = format!("/v1/jobs/{}", first.body["id"].as_str().unwrap());
    assert_eq!(house.post(&format!("{path}/cancel"), &key, json!({})).await.status, 200);
    let second = house.post("/v1/jobs", &key, ask).await;
    assert_eq!(second.status, 202);
    let refused = house.post(&format!("{path}/retry"), &key, json!({})).await;
    refused.is(409, "unique_taken");
    assert_eq!(refused.body["job_id"], second.body["id"]);
}

#[tokio::test]
async fn masked_args_are_in_no_answer_and_nothing_is_found_by_them() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let args = json!({"card": "4111-1111", "owner": {"name": "Ann", "mail": "ann@example.com"}});
    let made = house.post("/v1/jobs", &key, json!({"kind": "chaos_secret", "args": args})).await;
    assert_eq!(made.status, 202);
    let path = format!("/v1/jobs/{}", made.body["id"].as_str().unwrap());
    let shown = json!({"card": "***", "owner": {"name": "Ann", "mail": "***"}});
    assert_eq!(house.get(&path, &key).await.body["args"], shown);
    assert_eq!(house.get("/v1/jobs?q=args.owner.name:Ann", &key).await.body["items"][0]["args"], shown);
    for q in ["args.card:4111-1111", "args.owner.mail:ann@example.com"] {
        assert_eq!(house.get(&format!("/v1/jobs?q={q}"), &key).await.body["items"], json!([]), "{q}");
    }
    for act in ["cancel", "retry"] {
        let acted = house.post(&format!("{path}/{act}"), &key, json!({})).await;
        assert_eq!((acted.status, &acted.body["args"]), (200, &shown), "{act}");
        assert!(!acted.text.contains("4111") && !acted.text.contains("ann@"), "{}", acted.text);
    }
}

#[tokio::test]
async fn an_ended_job_is_replayed_as_another_and_erased() {
    let house = House::new().await;
    let key = house.global("read,write").await;
    let made = house.post("/v1/jobs", &key, sleep(1)).await;
    let path = format!("/v1/jobs/{}", made.body["id"].as_str().unwrap());
    house.post(&format!("{path}/replay"), &key, json!({})).await.is(409, "state_forbids");
    house.delete(&path, &key).await.is(409, "state_forbids");
    house.post(&format!("{path}/cancel"), &key, json!({})).await;

    let first = house.post(&format!("{path}/replay"), &key, json!({"reason": "the cause is gone"})).await;
    let again = house.post(&format!("{path}/replay"), &key, json!({})).await;
    assert_eq!((first.status, again.status), (202, 200));
    assert_eq!((&first.body["duplicate"], &again.body["id"]), (&json!(false), &first.body["id"]));
    let other = house.post_with(&format!("{path}/replay"), &key, json!({}), &[("idempotency-key", "second")]).await;
    assert_eq!(other.status, 202);
    assert_ne!(other.body["id"], first.body["id"]);
    let replay = house.get(&format!("/v1/jobs/{}", first.body["id"].as_str().unwrap()), &key).await;
    assert_eq!((&replay.body["args"], &replay.body["attempt"]), (&json!({"ms": 1}), &json!(0)));
    assert_eq!(replay.body["key"], json!(format!("replay:{}", made.body["id"].as_str().unwrap())));
    let trail = house.get("/v1/audit?action=job.replayed", &key).await;
    assert_eq!(trail.body["items"].as_array().map(Vec::len), Some(2));

    let erased = house.delete(&path, &key).await;
    assert_eq!((erased.status, &erased.body["args"], &erased.body["state"]), (200, &json!({}), &json!("cancelled")));
    assert_eq!(erased.body["result"]["args_sha256"].as_str().map(str::len), Some(64));
    house.delete(&path, &key).await.is(409, "state_forbids");
    house.post(&format!("{path}/replay"), &key, json!({})).await.is(409, "erased");
    house.post(&format!("{path}/retry"), &key, json!({})).await.is(409, "state_forbids");
}

#[tokio::test]
async fn a_scheduled_job_is_run_now() {
    let house = House::new().await;
    let (key, other) = (house.of("acme", "read,write").await, house.of("nimbus", "read,write").await);
    let mut body = sleep(1);
    body["run_at"] = "2099-01-01T00:00:00Z".into();
    let made = house.post("/v1/jobs", &key, body).await;
    let path = format!("/v1/jobs/{}", made.body["id"].as_str().unwrap());
    for act in ["run-now", "replay"] {
        house.post(&format!("{path}/{act}"), &other, json!({})).await.is(404, "not_found");
    }
    house.delete(&path, &other).await.is(404, "not_found");
    let now = house.post(&format!("{path}/run-now"), &key, json!({})).await;
    assert_eq!((now.status, &now.body["state"]), (200, &json!("available")));
    house.post(&format!("{path}/run-now"), &key, json!({})).await.is(409, "state_forbids");
}

#[tokio::test]
async fn what_a_job_says_of_itself_is_read_page_by_page() {
    use clawr_engine::claim::Claimer;
    use clawr_engine::notes::Notes;
    let house = House::new().await;
    let (key, other) = (house.of("acme", "read,write").await, house.of("nimbus", "read").await);
    let made = house.post("/v1/jobs", &key, sleep(1)).await;
    let path = format!("/v1/jobs/{}/logs", made.body["id"].as_str().unwrap());
    assert_eq!(house.get(&path, &key).await.body, json!({"items": [], "next": null, "progress": null}));
    let mut claimer = Claimer::new(house.queue.clone(), "chaos", &["chaos_sleep:1".to_owned()]);
    let job = claimer.claim("wkr_1", 1).await.unwrap().remove(0);
    let notes = Notes::of(house.queue.clone(), std::sync::Arc::new(job));
    ["one", "two", "three"].iter().for_each(|line| notes.log(line));
    notes.progress(40, "three of many");
    notes.keep().await.unwrap();

    let first = house.get(&format!("{path}?limit=2"), &key).await;
    assert_eq!((&first.body["items"][1]["line"], &first.body["progress"]["percent"]), (&json!("two"), &json!(40)));
    let next = first.body["next"].as_str().unwrap();
    let second = house.get(&format!("{path}?limit=2&cursor={next}"), &key).await;
    assert_eq!((&second.body["items"][0]["line"], &second.body["next"]), (&json!("three"), &json!(null)));
    house.get(&path, &other).await.is(404, "not_found");
    house.get(&format!("{path}?cursor=YQ"), &key).await.is(400, "invalid_query");
}

#[tokio::test]
async fn a_key_whose_job_is_not_kept_any_more_answers_with_its_id() {
    clawr_engine::sql!(LONG_AGO, "sql/long_ago.sql");
    let house = House::new().await;
    let key = house.global("read,write").await;
    let mut body = sleep(1);
    body["key"] = "once".into();
    let first = house.post("/v1/jobs", &key, body.clone()).await;
    let path = format!("/v1/jobs/{}", first.body["id"].as_str().unwrap());
    assert_eq!(house.post(&format!("{path}/cancel"), &key, json!({})).await.status, 200);
    house.queue.db().commit(&Scope::System, vec![LONG_AGO.with([])]).await.unwrap();
    let queue = house.queue.clone().with_classes(clawr_kinds::registry().classes());
    assert_eq!(queue.forget().await.unwrap().jobs, [(Class::Short, 1)]);

    house.get(&path, &key).await.is(404, "not_found");
    let again = house.post("/v1/jobs", &key, body.clone()).await;
    assert_eq!((again.status, &again.body["duplicate"], &again.body["state"]), (200, &json!(true), &json!(null)));
    assert_eq!(again.body["id"], first.body["id"]);
    let bulk = house.post("/v1/jobs/bulk", &key, json!({"jobs": [body.clone()]})).await;
    assert_eq!((&bulk.body["results"][0]["status"], &bulk.body["results"][0]["id"]), (&json!(200), &first.body["id"]));
    body["args"]["ms"] = 2.into();
    let other = house.post("/v1/jobs", &key, body).await;
    other.is(409, "key_reused");
    assert_eq!(other.body["job_id"], first.body["id"]);
}

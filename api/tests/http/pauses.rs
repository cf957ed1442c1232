//! Pauses over the API, and what explain says of a job.

use super::support::{House, request};
use axum::body::Body;
use clawr_engine::claim::Claimer;
use clawr_engine::liveness::Identity;
use serde_json::{Value, json};

async fn worker(house: &House, queues: &str) {
    let who = Identity { id: "wkr_x".into(), name: "w1".into(), host: "h".into(), pid: 1, pid_start: String::new() };
    house.queue.register_worker(&who, "0.1.0", queues, &clawr_kinds::registry().runnable()).await.unwrap();
}

async fn sleeper(house: &House, key: &str, tags: &[&str]) -> Value {
    house.post("/v1/jobs", key, json!({"kind": "chaos_sleep", "args": {"ms": 1}, "tags": tags})).await.body
}

#[tokio::test]
async fn a_paused_queue_says_who_why_and_until() {
    let house = House::new().await;
    let key = house.global("read,write,admin").await;
    worker(&house, "money=4,idle=1").await;
    let job = sleeper(&house, &key, &[]).await;
    let queue = job["queue"].as_str().unwrap().to_owned();
    let path = format!("/v1/queues/{queue}/pause");
    let until = "2199-01-01T00:00:00.000000Z";
    let made = house.post(&path, &key, json!({"why": "the bank <i>is</i> closed", "until": until})).await;
    assert_eq!((made.status, made.body["until"].as_str(), made.body["value"].as_str()), (200, Some(until), Some(queue.as_str())));
    let list = house.get("/v1/queues", &key).await.body;
    let names: Vec<&str> = list["items"].as_array().unwrap().iter().map(|q| q["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"idle") && names.contains(&"money") && names.is_sorted(), "{names:?}");
    let shown = list["items"].as_array().unwrap().iter().find(|q| q["name"] == queue.as_str()).unwrap();
    assert_eq!(shown["pauses"], json!([made.body]));
    assert!(made.body["who"].as_str().unwrap().starts_with("key_"));
    let page = house.get("/ops", &key).await.text;
    assert!(page.contains("paused</span>") && page.contains("the bank &#60;i&#62;") && page.contains("2199-01-01 00:00:00"), "{page}");
    let short = house.post(&path, &key, json!({"why": "lunch", "until": "90m"})).await;
    assert_eq!(short.status, 200);
    let again = house.post(&path, &key, json!({"why": "another reason"})).await.body;
    assert_eq!((&again["id"], &again["until"]), (&made.body["id"], &Value::Null));
    assert_eq!(house.delete(&path, &key).await.status, 204);
    house.delete(&path, &key).await.is(404, "not_found");
    let trail = house.get("/v1/audit?limit=10", &key).await.body;
    let actions: Vec<&str> = trail["items"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions.iter().filter(|a| a.starts_with("pause.")).count(), 4, "{actions:?}");
}

#[tokio::test]
async fn a_pause_that_makes_no_sense_is_refused_with_its_place() {
    let house = House::new().await;
    let key = house.global("read,admin").await;
    let bad = [
        (json!({"what": "planet", "value": "x", "why": "y"}), "/what"),
        (json!({"value": "x", "why": "y"}), "/what"),
        (json!({"what": "queue", "value": "", "why": "y"}), "/value"),
        (json!({"what": "queue", "value": "No Queue", "why": "y"}), "/value"),
        (json!({"what": "kind", "value": "nothing_such", "why": "y"}), "/value"),
        (json!({"what": "tag", "value": "a\"b", "why": "y"}), "/value"),
        (json!({"what": "tag", "value": "x".repeat(201), "why": "y"}), "/value"),
        (json!({"what": "queue", "value": "q"}), "/why"),
        (json!({"what": "queue", "value": "q", "why": "y".repeat(501)}), "/why"),
        (json!({"what": "queue", "value": "q", "why": "y", "until": "2020-01-01T00:00:00Z"}), "/until"),
        (json!({"what": "queue", "value": "q", "why": "y", "until": "soon"}), "/until"),
        (json!({"what": "queue", "value": "q", "why": "y", "until": "0h"}), "/until"),
        (json!({"what": "queue", "value": "q", "why": "y", "until": "99999999d"}), "/until"),
        (json!({"what": "queue", "value": "q", "why": "y", "who": "me"}), "/who"),
    ];
    for (body, place) in bad {
        let refused = house.post("/v1/pauses", &key, body.clone()).await;
        refused.is(422, "invalid_input");
        assert_eq!(refused.body["errors"][0]["pointer"], place, "{body}");
    }
    house.post("/v1/pauses", &key, json!({"what": "tenant", "value": "nobody", "why": "y"})).await.is(404, "not_found");
    house.post("/v1/queues/No%20Queue/pause", &key, json!({"why": "y"})).await.is(404, "not_found");
    house.delete("/v1/pauses/pse_none", &key).await.is(404, "not_found");
    assert_eq!(house.get("/v1/pauses", &key).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_tenant_hears_what_touches_it_and_of_nobody_else() {
    let house = House::new().await;
    let admin = house.global("read,admin").await;
    let (acme, other) = (house.of("acme", "read,write").await, house.of("other", "read,write").await);
    worker(&house, "default=1").await;
    for body in [
        json!({"what": "tenant", "value": "acme", "why": "unpaid"}),
        json!({"what": "tenant", "value": "other", "why": "asked for it"}),
        json!({"what": "tag", "value": "secret-customer", "why": "slow"}),
        json!({"what": "queue", "value": "elsewhere", "why": "a test"}),
    ] {
        assert_eq!(house.post("/v1/pauses", &admin, body).await.status, 200);
    }
    let heard = house.get("/v1/pauses", &acme).await;
    let said: Vec<(&str, &str)> =
        heard.body["items"].as_array().unwrap().iter().map(|p| (p["what"].as_str().unwrap(), p["value"].as_str().unwrap())).collect();
    assert_eq!(said, [("queue", "elsewhere"), ("tenant", "acme")]);
    assert!(heard.body["items"][0]["who"].is_null(), "{}", heard.text);
    house.post("/v1/pauses", &acme, json!({})).await.is(403, "global_key_required");

    let job = house.post("/v1/jobs", &acme, json!({"kind": "chaos_sleep", "args": {"ms": 1}})).await;
    let Some(id) = job.body["id"].as_str() else { panic!("{}", job.text) };
    let path = format!("/v1/jobs/{id}/explain");
    house.get(&path, &other).await.is(404, "not_found");
    let own = house.get(&path, &acme).await;
    let gate = own.body["gates"].as_array().unwrap().iter().find(|g| g["gate"] == "pause").unwrap().clone();
    assert_eq!((&gate["passes"], &gate["fix"]), (&json!(false), &Value::Null), "{gate}");
    assert!(gate["detail"] == "its tenant is paused: unpaid" && !own.text.contains("key_"), "{}", own.text);
    let all = house.get(&path, &admin).await.body;
    let gate = all["gates"].as_array().unwrap().iter().find(|g| g["gate"] == "pause").unwrap().clone();
    assert_eq!(gate["fix"], "clawr queues resume --tenant acme");
}

#[tokio::test]
async fn a_job_is_explained_until_it_is_claimed() {
    let house = House::new().await;
    let key = house.global("read,write,admin").await;
    house.get("/v1/jobs/job_x/explain", &key).await.is(404, "not_found");
    let job = sleeper(&house, &key, &["vip"]).await;
    let (id, queue) = (job["id"].as_str().unwrap(), job["queue"].as_str().unwrap());
    let path = format!("/v1/jobs/{id}/explain");
    let nobody = house.get(&path, &key).await.body;
    assert_eq!((&nobody["eligible"], &nobody["first_closed"]["gate"]), (&json!(false), &json!("runnable")));
    worker(&house, &format!("{queue}=1")).await;
    let pause = house.post("/v1/pauses", &key, json!({"what": "tag", "value": "vip", "why": "y", "until": "2199-01-01T00:00:00Z"})).await;
    let held = house.get(&path, &key).await.body;
    assert_eq!((&held["first_closed"]["gate"], &held["earliest_start"]), (&json!("pause"), &json!("2199-01-01T00:00:00.000000Z")));
    let end = request("DELETE", &format!("/v1/pauses/{}", pause.body["id"].as_str().unwrap()), &key).body(Body::empty()).unwrap();
    assert_eq!(house.send(end).await.status, 204);
    let open = house.get(&path, &key).await.body;
    assert_eq!((&open["eligible"], &open["first_closed"], &open["claimers"]), (&json!(true), &Value::Null, &json!(1)));
    let runnable = clawr_kinds::registry().runnable();
    let claimed = Claimer::new(house.queue.clone(), queue, &runnable).claim("wkr_x", 1).await.unwrap();
    assert_eq!(claimed[0].id, id);
    let running = house.get(&path, &key).await.body;
    assert_eq!((&running["first_closed"]["gate"], running["lease"].as_str()), (&json!("state"), Some(claimed[0].lease.as_str())));
}

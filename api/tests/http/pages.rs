//! Pages, the document, health and metrics.

use super::support::{EVENTS, House, request};
use axum::body::{Body, to_bytes};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clawr_engine::liveness::Identity;
use tower::ServiceExt as _;

#[tokio::test]
async fn the_overview_is_shown_to_who_may_look_at_everything() {
    let house = House::new().await;
    let dispatcher = house.dispatcher().await;
    house.report(&dispatcher, EVENTS.lines().next().unwrap()).await;
    let who = Identity { id: "wkr_x".into(), name: "<b>w1</b>".into(), host: "h".into(), pid: 1, pid_start: String::new() };
    house.queue.register_worker(&who, "0.1.0", "money=4", &[]).await.unwrap();

    let anonymous = house.get("/ops", "").await;
    anonymous.is(401, "unauthorized");
    assert!(anonymous.header("www-authenticate").starts_with("Basic"));
    let tenant = house.of("acme", "read").await;
    house.get("/ops", &tenant).await.is(403, "global_key_required");
    let key = house.global("read").await;
    let page = house.get("/ops", &key).await;
    assert_eq!((page.status, page.header("content-type"), page.header("cache-control")), (200, "text/html; charset=utf-8", "no-store"));
    assert!(page.text.contains("0.052500") && page.text.contains("money") && page.text.contains("reported"), "{}", page.text);
    assert!(page.text.contains("&#60;b&#62;w1") && !page.text.contains("<b>w1") && !page.text.contains("<script"), "{}", page.text);
    let basic = format!("Basic {}", STANDARD.encode(format!("anybody:{key}")));
    let browser = request("GET", "/ops", "").header("authorization", basic);
    assert_eq!(house.send(browser.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn the_document_and_its_page_are_open() {
    let house = House::new().await;
    let document = house.get("/openapi.json", "").await;
    assert_eq!(document.body, house.document);
    let page = house.get("/docs", "").await;
    for path in house.document["paths"].as_object().unwrap().keys() {
        assert!(page.text.contains(&path.replace('{', "&#123;").replace('}', "&#125;")) || page.text.contains(path.as_str()), "{path}");
    }
    assert_eq!(house.get("/assets/clawr.css", "").await.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(house.get("/healthz", "").await.text, r#"{"status":"ok"}"#);
    assert_eq!(house.get("/readyz", "").await.body["ready"], true);
}

#[tokio::test]
async fn metrics_tell_what_was_done() {
    let house = House::new().await;
    let dispatcher = house.dispatcher().await;
    house.report(&dispatcher, EVENTS.lines().next().unwrap()).await;
    let scrape = request("GET", "/metrics", "").body(Body::empty()).unwrap();
    let response = clawr_api::metrics_router(house.api.clone()).oneshot(scrape).await.unwrap();
    let text = String::from_utf8(to_bytes(response.into_body(), 1_000_000).await.unwrap().to_vec()).unwrap();
    for line in [
        "clawr_jobs{queue=\"money\",state=\"available\"} 1",
        "clawr_http_requests_total{route=\"/v1/events/settlements\",status=\"202\"} 1",
        "clawr_settlement_reports_total{verdict=\"accepted\"} 1",
        "clawr_store_up 1",
        "clawr_ready 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

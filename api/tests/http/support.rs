//! One API over a fresh SQLite store, with the keys a test needs.

use super::schema::faults;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use clawr_api::{Api, Parts, Settings, router};
use clawr_domain::access::keys::{Issued, Issuer, NewKey};
use clawr_domain::access::{Pepper, Scopes, Verifier, webhook};
use clawr_domain::audit::Actor;
use clawr_domain::settlement::{Intake, JobPolicy, Network, Networks};
use clawr_engine::clock::Clock;
use clawr_engine::db::{Db, DbConfig, Scope, StoreUrl, migrate};
use clawr_engine::queue::Queue;
use clawr_engine::seal::{KeyRing, Sealing};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tower::ServiceExt as _;

/// The recorded reports, one a line.
pub const EVENTS: &str = include_str!("../../../tests/fixtures/x402/events.jsonl");
const GIVEN: &str = include_str!("../../../tests/fixtures/x402/given.json");

/// Everything a test talks to.
pub struct House {
    pub app: Router,
    pub api: Api,
    pub queue: Queue,
    pub document: Value,
    pepper: Pepper,
    folder: PathBuf,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl House {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::sealing(change, KeyRing::parse(&format!("k1 {}", "5a".repeat(32))).unwrap()).await
    }

    /// One that has no key for sealed args.
    pub async fn keyless() -> Self {
        Self::sealing(|_| {}, KeyRing::default()).await
    }

    async fn sealing(change: impl FnOnce(&mut Settings), ring: KeyRing) -> Self {
        static HOUSES: AtomicU32 = AtomicU32::new(0);
        let name = format!("api-{}-{}", std::process::id(), HOUSES.fetch_add(1, Ordering::Relaxed));
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let db = Db::open_for_migration(&DbConfig::new(StoreUrl::Sqlite(folder.join("clawr.db")))).await.unwrap();
        migrate::up(&db).await.unwrap();
        let clock = Clock::host();
        let pepper = Pepper::new(vec![7; 32]).unwrap();
        let sealing = Sealing::new(Arc::new(ring), clawr_kinds::registry().encrypting());
        let queue = Queue::sealing(db.clone(), clock.clone(), vec![9; 32], sealing);
        let intake = Intake::new(db.clone(), clock.clone(), networks(), JobPolicy { version: 1, max_attempts: 25 });
        let verifier = Verifier::new(db, clock, pepper.clone());
        let mut settings = Settings::new("http://127.0.0.1:8080");
        change(&mut settings);
        let document = clawr_api::document(&settings);
        let parts = Parts { queue: queue.clone(), registry: clawr_kinds::registry(), verifier, intake, pepper: pepper.clone() };
        let api = Api::new(parts, settings);
        Self { app: router(api.clone()), api, queue, document, pepper, folder }
    }

    /// A global key with these scopes.
    pub async fn global(&self, scopes: &str) -> String {
        self.issue(scopes, "", false).await.secret
    }

    /// A key of the tenant with this slug, which is made if need be.
    pub async fn of(&self, slug: &str, scopes: &str) -> String {
        let admin = self.global("admin").await;
        let tenant = self.post("/v1/tenants", &admin, json!({"slug": slug})).await;
        self.issue(scopes, tenant.body["id"].as_str().unwrap(), false).await.secret
    }

    pub async fn issue(&self, scopes: &str, tenant_id: &str, require_signature: bool) -> Issued {
        let actor = Actor::system();
        let scope = Scope::System;
        let issuer = Issuer { db: self.queue.db(), clock: self.queue.clock(), pepper: &self.pepper, scope: &scope, actor: &actor };
        let scopes = Scopes::parse(scopes.split(',')).unwrap();
        issuer
            .create(NewKey { scopes, tenant_id: tenant_id.into(), require_signature, ..NewKey::default() })
            .await
            .unwrap_or_else(|e| panic!("{e}"))
    }

    pub async fn get(&self, path: &str, key: &str) -> Answer {
        self.send(request("GET", path, key).body(Body::empty()).unwrap()).await
    }

    pub async fn delete(&self, path: &str, key: &str) -> Answer {
        self.send(request("DELETE", path, key).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.post_with(path, key, body, &[]).await
    }

    pub async fn post_with(&self, path: &str, key: &str, body: Value, headers: &[(&str, &str)]) -> Answer {
        let mut request = request("POST", path, key).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A report, signed with the key's own secret as of now.
    pub async fn report(&self, by: &Issued, body: &str) -> Answer {
        let id = serde_json::from_str::<Value>(body).unwrap()["id"].as_str().unwrap_or("none").to_owned();
        let now_s = self.queue.clock().now() / 1_000_000;
        self.report_as(by, body, &id, now_s).await
    }

    pub async fn report_as(&self, by: &Issued, body: &str, id: &str, at_s: i64) -> Answer {
        let signature = webhook::sign(by.signing_secret.as_ref().unwrap(), id, at_s, body.as_bytes()).unwrap();
        let request = request("POST", "/v1/events/settlements", &by.secret)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at_s.to_string())
            .header("webhook-signature", signature);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Tenants and APIs of the recorded reports, and a key that must sign.
    pub async fn dispatcher(&self) -> Issued {
        let key = self.global("admin,write").await;
        let given: Value = serde_json::from_str(GIVEN).unwrap();
        for (slug, apis) in given["tenants"].as_object().unwrap() {
            assert_eq!(self.post("/v1/tenants", &key, json!({"slug": slug})).await.status, 201);
            for (api, kind) in apis.as_object().unwrap() {
                let body = json!({"tenant": slug, "slug": api, "resource_type": kind, "price_micros": "1000"});
                assert_eq!(self.post("/v1/apis", &key, body).await.status, 201);
            }
        }
        self.issue("write", "", true).await
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().as_str().to_lowercase(), request.uri().path().to_owned());
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        let answer = Answer { status: status.as_u16(), headers, body, text };
        self.check(&method, &path, status, &answer);
        answer
    }

    /// What every answer has, and what the document promises of this one.
    fn check(&self, method: &str, path: &str, status: StatusCode, answer: &Answer) {
        let what = format!("{method} {path} → {status}: {}", answer.text);
        for name in ["x-request-id", "content-security-policy", "x-content-type-options", "strict-transport-security", "cache-control"] {
            assert!(answer.headers.contains_key(name), "{name} is missing: {what}");
        }
        let is_problem = answer.headers.get("content-type").is_some_and(|t| t == "application/problem+json");
        assert_eq!(is_problem, status.as_u16() >= 400 && !path.ends_with("/readyz"), "{what}");
        if is_problem {
            let found = faults(&self.document, &self.document["components"]["schemas"]["Problem"], &answer.body, "");
            assert!(found.is_empty(), "{found:?} in {what}");
            assert_eq!(answer.body["status"], status.as_u16(), "{what}");
            assert_eq!(answer.body["instance"], answer.headers["x-request-id"].to_str().unwrap(), "{what}");
        }
        let Some(promised) = self.operation(method, path) else { return };
        let response = &promised["responses"][status.as_str()];
        assert!(response.is_object(), "the status is not in the document: {what}");
        if let Some(schema) = response["content"]["application/json"].get("schema") {
            let found = faults(&self.document, schema, &answer.body, "");
            assert!(found.is_empty(), "{found:?} in {what}");
        }
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            template.len() == parts.len() && template.iter().zip(&parts).all(|(t, p)| t == p || (t.starts_with('{') && *p != "bulk"))
        };
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().find(|(template, _)| fits(template)).and_then(|(_, methods)| methods.get(method))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Answer {
    /// The stable part of a problem's type.
    pub fn code(&self) -> &str {
        self.body["type"].as_str().and_then(|t| t.strip_prefix("urn:clawr:problem:")).unwrap_or_default()
    }

    /// The first place a problem names.
    pub fn pointer(&self) -> &str {
        self.body["errors"][0]["pointer"].as_str().unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// Asserts a refusal by status and code.
    #[track_caller]
    pub fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
    }
}

pub fn request(method: &str, path: &str, key: &str) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if key.is_empty() { request } else { request.header("authorization", format!("Bearer {key}")) }
}

fn networks() -> Networks {
    let given: Value = serde_json::from_str(GIVEN).unwrap();
    let texts = |value: &Value| value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let network = |(id, n): (&String, &Value)| Network {
        id: id.clone(),
        v1_name: n["v1_name"].as_str().unwrap().to_owned(),
        assets: texts(&n["assets"]),
        treasuries: texts(&given["treasuries"]),
    };
    Networks::new(given["networks"].as_object().unwrap().iter().map(network).collect())
}

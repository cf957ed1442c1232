//! What happens around every request: an id, room or a refusal, a time limit, the net under panics, the body of a
//! problem, the audit of a refusal, the headers of every answer, and the count of it all.

use crate::api::Api;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use clawr_domain::audit::{Actor, Event, Stamp, record};
use clawr_engine::ids::new_id;
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How much longer than others a long poll may take; see `jobs`.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request from its first moment on.
pub struct Context {
    /// The request's id: the caller's own, if it is a sane one.
    pub id: String,
    /// The caller's W3C trace parent, or empty.
    pub trace: String,
    /// Who asks, once that is known.
    pub who: OnceLock<Who>,
}

/// Somebody with a valid credential.
pub struct Who {
    /// Key id.
    pub id: String,
    /// Whose; empty for global credentials.
    pub tenant_id: String,
}

impl Context {
    fn of(headers: &HeaderMap, api: &Api) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        let id = text(&REQUEST_ID).filter(|id| is_sane_id(id)).map_or_else(|| new_id("req", api.clock()), str::to_owned);
        let trace = text(&HeaderName::from_static("traceparent")).filter(|t| is_trace_parent(t)).unwrap_or_default().to_owned();
        Self { id, trace, who: OnceLock::new() }
    }
}

fn is_sane_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not zero; other versions are not understood and not stored.
fn is_trace_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    let hex = |part: &str, len: usize| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    matches!(parts[..], ["00", trace, span, flags] if hex(trace, 32) && some(trace) && hex(span, 16) && some(span) && hex(flags, 2))
}

/// The middleware around all routes and fallbacks.
pub async fn around(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = api.counters().route(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let context = Arc::new(Context::of(request.headers(), &api));
    request.extensions_mut().insert(context.clone());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = within_limits(&api, request, next).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if problem.is_audited {
            audit(&api, &context, &problem, format!("{method} {}", uri.path())).await;
        }
        response = told(response, &problem, &context.id);
    }
    dress(response.headers_mut(), &context.id);
    api.counters().answered(route, response.status().as_u16(), started.elapsed());
    response
}

/// Runs the handler with room, in time, and over a net.
async fn within_limits(api: &Api, request: Request, next: Next) -> Response {
    let path = request.uri().path().strip_prefix(api.settings().base_path.as_str()).unwrap_or_default();
    let is_probe = path == "/healthz" || path == "/readyz";
    let permit = api.in_flight().clone().try_acquire_owned();
    if permit.is_err() && !is_probe {
        return Problem::unavailable("overloaded", "too many requests at once; nothing was done, try again", 1).into_response();
    }
    let waits = request.uri().query().is_some_and(|q| q.contains("wait"));
    let limit = api.settings().request_timeout + if waits { WAIT_MAX } else { Duration::ZERO };
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Problem::internal(&panic_text(panic.as_ref())).into_response(),
        Err(_) => {
            let detail = "not finished in time; a write may still take effect, repeat exactly the same request to find out";
            Problem::unavailable("timeout", detail, 1).into_response()
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|t| (*t).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}

/// Refusals after authentication are audited one by one; before it they are only counted.
async fn audit(api: &Api, context: &Context, problem: &Problem, place: String) {
    let Some(who) = context.who.get() else { return };
    let place: String = place.chars().take(200).collect();
    let metadata = serde_json::json!({"code": problem.code, "detail": problem.detail, "route": place});
    refused(api, context, who, metadata).await;
}

/// Writes one `access.refused` entry; a store that fails here is only logged, the refusal stands.
pub async fn refused(api: &Api, context: &Context, who: &Who, metadata: serde_json::Value) {
    let event = Event { action: "access.refused", object: "", tenant_id: &who.tenant_id, metadata };
    let actor = Actor::new(who.id.as_str(), context.id.as_str());
    if let Err(error) = record(api.db(), &actor, &Stamp::new(api.clock()), event).await {
        tracing::error!(request = context.id, "failed to audit a refusal: {error}");
    }
}

fn told(response: Response, problem: &Problem, id: &str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Response::from_parts(parts, Body::from(problem.body(id).to_string()))
}

const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers of every answer. Nothing is cached unless its route says so.
fn dress(headers: &mut HeaderMap, id: &str) {
    const ALWAYS: [(HeaderName, &str); 7] = [
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ];
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_parent_is_taken() {
        assert!(is_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        for text in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert!(!is_trace_parent(text), "{text}");
        }
    }

    #[test]
    fn only_a_sane_request_id_is_taken() {
        assert!(is_sane_id("req-1.A_b") && is_sane_id(&"x".repeat(64)));
        assert!(!is_sane_id("") && !is_sane_id(&"x".repeat(65)) && !is_sane_id("a b") && !is_sane_id("é"));
    }
}

//! The HTTP side: JSON routes under `/v1`, the document at `/openapi.json` with a readable page at `/docs`, one page for
//! operators at `/ops`, and metrics on a listener of their own.
//!
//! What the binary needs:
//!
//! ```text
//! Settings::new(base_url: impl Into<String>) -> Settings               // every field is public, with defaults
//! Settings.readiness: Arc<dyn Fn() -> BoxFuture<'static, Readiness> + Send + Sync>
//! Readiness { checks: Vec<Check { name, ok }>, claim_ticks: Option<u64> }
//! Api::new(Parts { queue, registry, verifier, intake, pepper }, Settings) -> Api   // cheap to clone
//! Api::drain(&self)                                  // long polls answer now, readyz says no; call it when stopping
//! router(Api) -> axum::Router                        // the public listener
//! metrics_router(Api) -> axum::Router                // its own listener, default loopback
//! serve(TcpListener, axum::Router, stop: impl Future<Output = ()>) -> io::Result<()>   // until `stop`, then graceful
//! document(&Settings) -> serde_json::Value           // OpenAPI 3.1, for `clawr` and tests
//! ```
//!
//! In reading order: [`api`] (what all handlers share), `routes` (the list of everything, from which router and document
//! are both made), `limits` (what happens around every request), `auth` (the one place where a credential becomes a
//! scope), `problem`, `body`, `json`, `fields`, `query`, `page` (strict input), then one file per resource.
//!
//! Every refusal is an RFC 9457 problem: a handler returns a [`problem::Problem`], and `limits` gives it the request's id
//! on the way out, so routes, fallbacks, time-outs and panics all look alike.

pub mod api;
mod apis;
mod audit;
mod auth;
mod body;
mod docs_page;
mod effects;
mod fields;
mod health;
mod idempotency;
mod job_limits;
mod job_shares;
mod jobs;
mod json;
mod keys;
mod ledger;
mod limits;
mod metrics;
mod openapi;
mod ops_page;
mod page;
mod path;
mod pauses;
pub mod problem;
mod query;
mod routes;
mod sequences;
mod serve;
mod settlements;
mod signals;
mod tenants;
mod times;
mod workers;

pub use api::{Api, Check, Parts, Readiness, Settings};
pub use metrics::metrics_router;
pub use openapi::document;
pub use routes::router;
pub use serve::serve;

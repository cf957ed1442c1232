//! Everything there is, in one list: the router and the document are both made from it, so they cannot differ.

use crate::api::Api;
use crate::openapi::Doc;
use crate::problem::Problem;
use crate::{
    apis, audit, docs_page, effects, health, job_limits, job_shares, jobs, keys, ledger, limits, openapi, ops_page, pauses, sequences,
    settlements, signals, tenants, workers,
};
use axum::Router;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{self, MethodRouter};

/// One method of one path.
pub struct Route {
    /// In lower case, as the document writes it.
    pub method: &'static str,
    /// With `{names}`.
    pub path: &'static str,
    /// What the document says.
    pub doc: Doc,
    handler: MethodRouter<Api>,
}

macro_rules! route_of {
    ($($method:ident)*) => { $(
        #[doc = concat!("A route for the method `", stringify!($method), "`.")]
        pub fn $method<H: Handler<T, Api>, T: 'static>(path: &'static str, handler: H, doc: Doc) -> Self {
            Self { method: stringify!($method), path, doc, handler: routing::$method(handler) }
        }
    )* };
}

impl Route {
    route_of!(get post put delete);
}

/// All routes, in the order of the document.
pub fn all() -> Vec<Route> {
    let parts = [
        jobs::routes(),
        effects::routes(),
        signals::routes(),
        sequences::routes(),
        settlements::routes(),
        tenants::routes(),
        apis::routes(),
        ledger::routes(),
        audit::routes(),
        keys::routes(),
        workers::routes(),
        pauses::routes(),
        job_limits::routes(),
        job_shares::routes(),
        health::routes(),
        openapi::routes(),
        docs_page::routes(),
        ops_page::routes(),
    ];
    parts.into_iter().flatten().collect()
}

/// Every path as the router reports it, for counting.
pub fn paths(base_path: &str) -> Vec<String> {
    let mut paths: Vec<String> = all().iter().map(|r| format!("{base_path}{}", r.path)).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The public listener's routes, under the configured base path, with everything that happens around a request.
pub fn router(api: Api) -> Router {
    let routes = all().into_iter().fold(Router::new(), |app, route| app.route(route.path, route.handler));
    let routes = routes.fallback(no_route).method_not_allowed_fallback(no_method).with_state(api.clone());
    let base = api.settings().base_path.clone();
    let app = if base.is_empty() { routes } else { Router::new().nest(&base, routes).fallback(no_route) };
    app.layer(from_fn_with_state(api, limits::around))
}

async fn no_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_route", "there is nothing at this path")
}

async fn no_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method; see Allow")
}

//! The document of everything, made from the list of routes; only the shapes of objects are written by hand, beside this
//! file. What a route can refuse with follows from what it is: who may ask, whether it takes a body, whether it names an
//! object.

use crate::api::{Api, Settings};
use crate::query::NoQuery;
use crate::routes::{self, Route};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

const SCHEMAS: &str = include_str!("openapi/schemas.json");
const PARAMETERS: &str = include_str!("openapi/parameters.json");

/// What the document says of a route.
#[derive(Clone, Debug, Default)]
pub struct Doc {
    /// The resource.
    pub tag: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The scope it needs, if any.
    pub scope: Option<&'static str>,
    /// Whether only global keys will do.
    pub is_global: bool,
    /// Parameters of the query and headers, by name in `parameters.json`.
    pub parameters: Vec<&'static str>,
    /// The object it takes, and whether it must be there.
    pub body: Option<(&'static str, bool)>,
    /// Status and object of good answers.
    pub answers: Vec<(u16, &'static str)>,
    /// Further statuses of problems.
    pub problems: Vec<u16>,
}

impl Doc {
    /// A route open to everybody.
    pub fn new(tag: &'static str, summary: &'static str) -> Self {
        Self { tag, summary, ..Self::default() }
    }

    /// Needs this scope.
    pub fn needs(self, scope: &'static str) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Takes only global keys.
    pub fn global(self) -> Self {
        Self { is_global: true, ..self }
    }

    /// Takes these parameters.
    pub fn with(mut self, parameters: &[&'static str]) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// Takes this object.
    pub fn takes(self, schema: &'static str) -> Self {
        Self { body: Some((schema, true)), ..self }
    }

    /// May be given this object.
    pub fn may_take(self, schema: &'static str) -> Self {
        Self { body: Some((schema, false)), ..self }
    }

    /// Answers with this object; an empty name is no body.
    pub fn gives(mut self, status: u16, schema: &'static str) -> Self {
        self.answers.push((status, schema));
        self
    }

    /// Refuses also like this.
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        self.problems.extend(statuses);
        self
    }

    /// Every status of a problem this route can answer with.
    pub fn all_problems(&self, path: &str) -> Vec<u16> {
        let mut all = vec![400, 500, 503];
        if self.scope.is_some() {
            all.extend([401, 403]);
        }
        if self.body.is_some() {
            all.extend([408, 413, 415, 422]);
        }
        if path.contains('{') {
            all.push(404);
        }
        all.extend(&self.problems);
        all.sort_unstable();
        all.dedup();
        all.retain(|status| !self.answers.iter().any(|(given, _)| given == status));
        all
    }
}

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    vec![Route::get("/openapi.json", openapi, Doc::new("about", "This document").gives(200, "AnyObject"))]
}

async fn openapi(State(api): State<Api>, _: NoQuery) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.document().clone())
}

/// The OpenAPI 3.1 document of all routes.
pub fn document(settings: &Settings) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes::all() {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method] = operation(&route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Clawr",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "description": "Durable jobs, settlements and the ledger of an API marketplace. Money is a string of micro-USDC in fields ending in _micros; times are RFC 3339 UTC; lists go on with an opaque cursor; errors are RFC 9457 problems with a stable type.",
        },
        "servers": [{"url": format!("{}{}", settings.base_url, settings.base_path)}],
        "paths": paths,
        "components": {
            "schemas": read(SCHEMAS),
            "parameters": read(PARAMETERS),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "clawr_live_…"},
                "browser": {"type": "http", "scheme": "basic", "description": "the key as password, for /ops"},
            },
        },
    })
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn operation(route: &Route) -> Value {
    let doc = &route.doc;
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": doc.summary,
        "tags": [doc.tag],
        "parameters": parameters(route),
        "responses": responses(route),
    });
    if let Some((schema, required)) = doc.body {
        let content = json!({"application/json": {"schema": reference(schema)}});
        operation["requestBody"] = json!({"required": required, "content": content});
    }
    if let Some(scope) = doc.scope {
        operation["security"] = if doc.tag == "pages" { json!([{"key": []}, {"browser": []}]) } else { json!([{"key": []}]) };
        operation["x-clawr-scope"] = scope.into();
        operation["x-clawr-global"] = doc.is_global.into();
    }
    operation
}

/// `post_v1_jobs_id_retry`
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    std::iter::once(route.method).chain(words).collect::<Vec<_>>().join("_")
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{').and_then(|p| p.strip_suffix('}')));
    let path = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1, "maxLength": 128}}));
    let named = route.doc.parameters.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    path.chain(named).collect()
}

fn responses(route: &Route) -> Value {
    let mut all = Map::new();
    for (status, schema) in &route.doc.answers {
        all.insert(status.to_string(), good(*status, schema));
    }
    for status in route.doc.all_problems(route.path) {
        let content = json!({"application/problem+json": {"schema": reference("Problem")}});
        all.insert(status.to_string(), json!({"description": "refused", "headers": headers(status), "content": content}));
    }
    Value::Object(all)
}

fn good(status: u16, schema: &str) -> Value {
    let mut answer = json!({"description": "done", "headers": headers(status)});
    match schema {
        "" => {}
        "html" => answer["content"] = json!({"text/html": {"schema": {"type": "string"}}}),
        "css" => answer["content"] = json!({"text/css": {"schema": {"type": "string"}}}),
        name => answer["content"] = json!({"application/json": {"schema": reference(name)}}),
    }
    answer
}

fn headers(status: u16) -> Value {
    let text = json!({"schema": {"type": "string"}});
    let mut all = json!({"x-request-id": text});
    match status {
        401 => all["WWW-Authenticate"] = text,
        503 => all["Retry-After"] = json!({"schema": {"type": "integer"}}),
        _ => {}
    }
    all
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_documented_once() {
        let document = document(&Settings::new("http://127.0.0.1:8080"));
        let mut documented = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            documented.extend(methods.as_object().unwrap().keys().map(|m| format!("{m} {path}")));
        }
        let mut routed: Vec<String> = routes::all().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
        documented.sort();
        routed.sort();
        assert_eq!(documented, routed);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_shape_is_used() {
        let document = document(&Settings::new(""));
        let text = document.to_string();
        let mut used = std::collections::BTreeSet::new();
        for part in text.split("\"#/").skip(1) {
            let pointer = format!("/{}", part.split('"').next().unwrap());
            assert!(document.pointer(&pointer).is_some(), "{pointer} leads nowhere");
            used.insert(pointer);
        }
        for kind in ["schemas", "parameters"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let pointer = format!("/components/{kind}/{name}");
                assert!(used.contains(&pointer), "{pointer} is not used");
            }
        }
    }

    #[test]
    fn operation_ids_are_unique() {
        let ids: Vec<String> = routes::all().iter().map(operation_id).collect();
        let unique: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
    }
}

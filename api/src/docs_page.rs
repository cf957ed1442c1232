//! The document as a page for people, and the one stylesheet.

use crate::api::Api;
use crate::openapi::Doc;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::routes::{self, Route};
use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};

const STYLE: &str = include_str!("../assets/clawr.css");

/// This resource's routes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/docs", docs, Doc::new("about", "The document as a page").gives(200, "html")),
        Route::get("/assets/clawr.css", style, Doc::new("about", "The stylesheet of all pages").gives(200, "css")),
    ]
}

async fn style(_: NoQuery) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")], STYLE)
}

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    base: String,
    version: &'static str,
    groups: Vec<Group>,
}

struct Group {
    name: &'static str,
    routes: Vec<Line>,
}

struct Line {
    method: String,
    path: &'static str,
    summary: &'static str,
    needs: String,
    takes: &'static str,
    parameters: String,
    answers: String,
    problems: String,
}

async fn docs(State(api): State<Api>, _: NoQuery) -> Result<Html<Bytes>, Problem> {
    if let Some(page) = api.docs_page().get() {
        return Ok(Html(page.clone()));
    }
    let page = DocsPage { base: api.settings().base_path.clone(), version: env!("CARGO_PKG_VERSION"), groups: groups() };
    let text = page.render().map_err(|error| Problem::internal(&error))?;
    Ok(Html(api.docs_page().get_or_init(|| text.into()).clone()))
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for route in routes::all() {
        let line = line(&route);
        match groups.iter_mut().find(|g| g.name == route.doc.tag) {
            Some(group) => group.routes.push(line),
            None => groups.push(Group { name: route.doc.tag, routes: vec![line] }),
        }
    }
    groups
}

fn line(route: &Route) -> Line {
    let doc = &route.doc;
    let numbers = |all: Vec<u16>| all.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
    let answers = doc.answers.iter().map(|(status, schema)| format!("{status} {schema}").trim_end().to_owned());
    Line {
        method: route.method.to_uppercase(),
        path: route.path,
        summary: doc.summary,
        needs: match (doc.scope, doc.is_global) {
            (None, _) => "nothing".to_owned(),
            (Some(scope), false) => format!("scope {scope}"),
            (Some(scope), true) => format!("global key with scope {scope}"),
        },
        takes: doc.body.map_or("", |(schema, _)| schema),
        parameters: doc.parameters.join(", "),
        answers: answers.collect::<Vec<_>>().join(", "),
        problems: numbers(doc.all_problems(route.path)),
    }
}

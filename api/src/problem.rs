//! Refusals, as RFC 9457 describes them: a stable `type`, a title, the status, a sentence, and the places in the input.
//!
//! A [`Problem`] becomes a response without a body; `limits` writes the body when it knows the request's id. What the
//! outside hears is this and nothing else: the chain of causes goes to the log.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clawr_domain::refusal::{FieldError, Problem as Refused};
use clawr_engine::db::DbError;
use clawr_engine::seal::NO_KEY;
use std::ops::Deref;

/// In front of every `type`.
pub const TYPE_PREFIX: &str = "urn:clawr:problem:";

/// One refusal; small, because it travels in results.
#[derive(Clone, Debug)]
pub struct Problem(Box<Facts>);

/// What a refusal says.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The status of the answer.
    pub status: StatusCode,
    /// Stable, in snake case.
    pub code: &'static str,
    /// What went wrong this time, for a person.
    pub detail: String,
    /// Where in the input.
    pub errors: Vec<FieldError>,
    /// Seconds after which to try again.
    pub retry_after_s: Option<u32>,
    /// What the refusal is about, if it exists: `settlement_id`.
    pub about: Option<(&'static str, String)>,
    /// Whether the refusal gets its own entry in the audit trail.
    pub is_audited: bool,
    /// The challenge of a 401.
    challenge: &'static str,
}

impl Deref for Problem {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl Problem {
    /// A refusal with a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            about: None,
            is_audited: false,
            challenge: "Bearer realm=\"clawr\"",
        }))
    }

    fn but(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.0);
        self
    }

    /// 422, naming the places.
    pub fn invalid(code: &'static str, errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map(|e| format!("{} {}", place(&e.pointer), e.detail)).unwrap_or_default();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).but(|facts| facts.errors = errors)
    }

    /// 422, naming one place.
    pub fn invalid_at(code: &'static str, pointer: &str, detail: impl Into<String>) -> Self {
        Self::invalid(code, vec![FieldError::new(pointer, detail)])
    }

    /// 400 for a query parameter.
    pub fn query(name: &str, detail: impl Into<String>) -> Self {
        let errors = vec![FieldError::new(format!("/{name}"), detail)];
        Self::invalid("invalid_query", errors).with_status(StatusCode::BAD_REQUEST)
    }

    /// 401, which says nothing about what was wrong.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid credential is required")
    }

    /// 401 for a browser, which then asks for the key.
    pub fn unauthorized_browser() -> Self {
        Self::unauthorized().but(|facts| facts.challenge = "Basic realm=\"clawr\", charset=\"UTF-8\"")
    }

    /// 403, audited.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail).audited()
    }

    /// 404, also for what belongs to somebody else.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("no such {what}"))
    }

    /// 409 with the reason.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 503, worth trying again after this many seconds.
    pub fn unavailable(code: &'static str, detail: &str, retry_after_s: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).but(|facts| facts.retry_after_s = Some(retry_after_s))
    }

    /// 500, with everything in the log only.
    pub fn internal(why: &dyn std::fmt::Display) -> Self {
        tracing::error!("failed to answer a request: {why}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong on our side")
    }

    /// The same with another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        self.but(|facts| facts.status = status)
    }

    /// Names what the refusal is about, in a member of its own.
    pub fn about(self, name: &'static str, id: String) -> Self {
        self.but(|facts| facts.about = Some((name, id)))
    }

    /// Adds an entry to the audit trail.
    pub fn audited(self) -> Self {
        self.but(|facts| facts.is_audited = true)
    }

    /// The body, with the request's id as `instance`.
    pub fn body(&self, instance: &str) -> serde_json::Value {
        let mut body = serde_json::json!({
            "type": format!("{TYPE_PREFIX}{}", self.code),
            "title": title(self.status),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "instance": instance,
        });
        if !self.errors.is_empty() {
            body["errors"] = serde_json::json!(self.errors);
        }
        if let Some((name, value)) = &self.about {
            body[*name] = value.as_str().into();
        }
        body
    }
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the body" } else { pointer }
}

fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "The request cannot be read",
        401 => "Who are you?",
        403 => "Not allowed",
        404 => "Not there",
        405 => "Method not allowed here",
        408 => "The request took too long to arrive",
        409 => "Contradicts what is stored",
        413 => "Too large",
        415 => "Not a media type we read",
        422 => "The input is not valid",
        503 => "Try again in a moment",
        _ => "Something went wrong",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(self.challenge));
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(why) => {
                tracing::warn!("the store is unavailable: {why}");
                Problem::unavailable("store_unavailable", "the store does not answer; nothing was written, try again", 1)
            }
            DbError::Unknown(why) => {
                tracing::warn!("an outcome is unknown: {why}");
                let detail = "nobody knows yet whether this was written; repeat exactly the same request to find out";
                Problem::unavailable("outcome_unknown", detail, 1)
            }
            error if error.is_guard(NO_KEY) => {
                let detail = "jobs of this kind are stored encrypted, and this server has no key: set secrets.args_keys_file";
                Problem::unavailable(NO_KEY, detail, 60)
            }
            other => Problem::internal(&other),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid { reason, errors } => Problem::invalid(reason, errors),
            Refused::Conflict { reason, detail } => Problem::conflict(reason, detail),
            Refused::NotFound(what) => Problem::not_found(what),
            Refused::Forbidden(why) => Problem::forbidden("forbidden", why),
            Refused::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_shape_of_the_rfc() {
        let problem = Problem::invalid_at("unknown_kind", "/kind", "is not a kind");
        let body = problem.body("req_1");
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:clawr:problem:unknown_kind",
                "title": "The input is not valid",
                "status": 422,
                "detail": "/kind is not a kind",
                "instance": "req_1",
                "errors": [{"pointer": "/kind", "detail": "is not a kind"}],
            })
        );
        assert!(Problem::not_found("job").body("r").get("errors").is_none());
    }

    #[test]
    fn the_store_s_words_stay_inside() {
        for error in [DbError::Bug("table jobs has no column x".into()), DbError::Unavailable("10.0.0.1 refused".into())] {
            let body = Problem::from(error).body("r").to_string();
            assert!(!body.contains("column x") && !body.contains("10.0.0.1"), "{body}");
        }
        let unknown = Problem::from(DbError::Unknown("x".into()));
        assert_eq!((unknown.status.as_u16(), unknown.retry_after_s), (503, Some(1)));
        assert!(unknown.detail.contains("same request"));
    }
}

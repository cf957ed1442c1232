//! Reading a request's body, in this order: is it JSON, is it small enough, did it arrive in time, what does it say.

use crate::api::Api;
use crate::json;
use crate::problem::Problem;
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt as _;
use serde_json::Value as Json;
use std::time::Duration;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Room made on the word of a header alone.
const FIRST_ROOM: usize = 16_384;

/// The whole body as it came, promised to be JSON by its content type.
pub struct Raw(pub Vec<u8>);

/// The body as a JSON value; its bytes are kept to tell one request from another.
pub struct Input {
    /// What it says.
    pub value: Json,
    /// How it says it.
    pub raw: Vec<u8>,
}

impl FromRequest<Api> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let most = api.settings().body_max;
        let announced = announced(request.headers());
        if announced > most {
            return Err(too_large(most));
        }
        let reading = gather(request.into_body(), announced, most);
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not arrive within 10 s");
        tokio::time::timeout(ARRIVAL, reading).await.map_err(|_| late())?.map(Raw)
    }
}

impl FromRequest<Api> for Input {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let Raw(raw) = Raw::from_request(request, api).await?;
        let value = json::read(&raw).map_err(malformed)?;
        Ok(Self { value, raw })
    }
}

/// A body that may be absent: then no content type is asked for either.
pub struct MaybeInput(pub Option<Json>);

impl FromRequest<Api> for MaybeInput {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(MaybeInput(None));
        }
        Input::from_request(request, api).await.map(|input| MaybeInput(Some(input.value)))
    }
}

fn malformed(why: String) -> Problem {
    Problem::invalid_at("malformed_json", "", why).with_status(StatusCode::BAD_REQUEST)
}

fn announced(headers: &HeaderMap) -> usize {
    headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(0)
}

async fn gather(body: Body, announced: usize, most: usize) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::with_capacity(announced.min(FIRST_ROOM));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body broke off"))?;
        if all.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

fn too_large(most: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("the body may have at most {most} bytes"))
}

/// `application/json`, with no charset but UTF-8, not encoded.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let is_json = text(header::CONTENT_TYPE).is_some_and(|value| {
        let mut parts = value.split(';').map(str::trim);
        let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
        json && parts.all(|p| p.is_empty() || p.eq_ignore_ascii_case("charset=utf-8") || p.eq_ignore_ascii_case("charset=\"utf-8\""))
    });
    let is_plain = text(header::CONTENT_ENCODING).is_none_or(|value| value.eq_ignore_ascii_case("identity"));
    if is_json && is_plain {
        return Ok(());
    }
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "the body must be application/json in UTF-8, not encoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_json_is_read() {
        let given = |media: &str, coding: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, media.parse().unwrap());
            if !coding.is_empty() {
                headers.insert(header::CONTENT_ENCODING, coding.parse().unwrap());
            }
            require_json(&headers).is_ok()
        };
        assert!(given("application/json", "") && given("Application/JSON; charset=UTF-8", "identity"));
        assert!(!given("text/json", "") && !given("application/json; charset=latin1", "") && !given("application/json", "gzip"));
        assert!(require_json(&HeaderMap::new()).is_err());
    }
}

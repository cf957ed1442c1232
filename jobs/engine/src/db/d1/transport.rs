//! One POST and its answer. The only repeat is after 429, which says that nothing was done; every other failure is the
//! caller's to judge, because only the caller knows whether its statements can succeed twice.

use super::answer::{Intent, read_answer};
use super::pace::Pace;
use super::wire::{self, Entry};
use super::{Endpoint, Transport};
use crate::db::{DbError, Rows};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use std::time::{Duration, Instant};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Sends of one request that is answered 429 each time.
const TRIES: u32 = 3;
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// A client for one database.
pub(super) struct Http {
    client: reqwest::Client,
    endpoint: Endpoint,
    url: String,
    pace: Option<Pace>,
}

/// One HTTP answer.
struct Reply {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Http {
    /// No proxy and no redirects: the token goes to the endpoint and nowhere else.
    pub(super) fn new(endpoint: Endpoint, token: &str) -> Result<Http, String> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "the D1 token is not one line of ASCII")?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer), (CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let client = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|e| format!("failed to make an HTTP client: {e}"))?;
        let pace = (endpoint.transport() == Transport::Rest).then(Pace::default);
        let url = endpoint.query_url();
        Ok(Http { client, endpoint, url, pace })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `entries` as one transaction; the rows of each.
    pub(super) async fn send(&self, entries: &[Entry<'_>], intent: Intent) -> Result<Vec<Rows>, DbError> {
        let reply = self.ask(wire::body(entries)?, intent).await?;
        let answers = read_answer(reply.status, &reply.body, intent)?;
        if answers.len() != entries.len() {
            return Err(intent.lost(format!("D1 answered {} of {} statements", answers.len(), entries.len())));
        }
        Ok(answers)
    }

    async fn ask(&self, body: Vec<u8>, intent: Intent) -> Result<Reply, DbError> {
        let post = self.client.post(&self.url).body(body);
        let mut tries = 1;
        loop {
            self.wait_for_turn().await?;
            let again = post.try_clone().ok_or_else(|| DbError::Bug("a request body of bytes can be cloned".into()))?;
            let reply = exchange(again, intent).await?;
            let pause = reply.retry_after.unwrap_or(RETRY_AFTER_DEFAULT);
            if reply.status != 429 || tries == TRIES || pause > RETRY_AFTER_MAX {
                return Ok(reply);
            }
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    async fn wait_for_turn(&self) -> Result<(), DbError> {
        let Some(pace) = &self.pace else { return Ok(()) };
        let Some(wait) = pace.turn(Instant::now()) else {
            return Err(DbError::Unavailable("too many requests wait for D1's REST API; use the gateway".into()));
        };
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

async fn exchange(request: reqwest::RequestBuilder, intent: Intent) -> Result<Reply, DbError> {
    let response = request.send().await.map_err(|e| failure(e, intent))?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
    let body = response.bytes().await.map_err(|e| failure(e, intent))?.into();
    Ok(Reply { status, retry_after, body })
}

/// Before the connection stood nothing can have been sent; after that anything can have happened.
fn failure(error: reqwest::Error, intent: Intent) -> DbError {
    let error = error.without_url();
    match error.is_connect() {
        true => DbError::Unavailable(format!("failed to connect to D1: {}", chain(&error))),
        false => intent.lost(format!("no answer from D1: {}", chain(&error))),
    }
}

/// The whole story: reqwest's own text says only "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text
}

fn seconds(header: &HeaderValue) -> Option<Duration> {
    header.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

//! The HTTP API as the command line uses it: one credential, JSON in and out, refusals as exit codes.

use crate::cli::Context;
use crate::exit::{Exit, Failure, of_status};
use clap::Args;
use reqwest::{Method, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;

/// How long an answer may take; a long poll takes up to 30 s of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most a list answers at once.
const PAGE: usize = 200;

/// Which server, as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct Remote {
    /// The server's URL; the default is http.base_url, or http.listen on this machine
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// File with the API key; the default is $CLAWR_API_KEY
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// A server and a credential.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<SecretString>,
}

impl Client {
    /// From the flags, else the environment, else the configuration.
    pub fn new(remote: &Remote, context: &Context) -> anyhow::Result<Client> {
        let base = match &remote.url {
            Some(url) => url.clone(),
            None => default_url(context)?,
        };
        let key = match &remote.key_file {
            Some(file) => Some(key_of(file)?),
            None => context.environment.api_key(),
        };
        Self::at(&base, key)
    }

    /// The server at `base`, as the holder of `key`.
    pub fn at(base: &str, key: Option<SecretString>) -> anyhow::Result<Client> {
        let base = format!("{}/", base.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|e| Failure::new(Exit::Usage, format!("--url {base}: {e}")))?;
        let http = reqwest::Client::builder().timeout(PATIENCE).user_agent(concat!("clawr/", env!("CARGO_PKG_VERSION"))).build()?;
        Ok(Client { http, base, key })
    }

    /// Reads.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Json> {
        self.ask(self.request(Method::GET, path, query)?).await
    }

    /// Writes.
    pub async fn post(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.ask(self.request(Method::POST, path, &[])?.json(body)).await
    }

    /// Says what something is from now on.
    pub async fn put(&self, path: &str, body: &Json) -> anyhow::Result<Json> {
        self.ask(self.request(Method::PUT, path, &[])?.json(body)).await
    }

    /// Ends something.
    pub async fn delete(&self, path: &str) -> anyhow::Result<Json> {
        self.ask(self.request(Method::DELETE, path, &[])?).await
    }

    /// Up to `limit` items of a list, following its pages.
    pub async fn list(&self, path: &str, query: &[(&str, &str)], limit: usize) -> anyhow::Result<Json> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = (limit - items.len()).min(PAGE).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &page));
            query.extend(cursor.as_deref().map(|c| ("cursor", c)));
            let mut answer = self.get(path, &query).await?;
            if let Json::Array(found) = answer["items"].take() {
                items.extend(found);
            }
            cursor = answer["next"].as_str().map(str::to_owned);
            if cursor.is_none() || items.len() >= limit {
                return Ok(json!({ "items": items, "next": cursor }));
            }
        }
    }

    /// A request with the credential, for callers that need more than JSON in and out.
    pub fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> anyhow::Result<RequestBuilder> {
        let mut url = self.base.join(path.trim_start_matches('/'))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key.expose_secret()),
            None => request,
        })
    }

    async fn ask(&self, request: RequestBuilder) -> anyhow::Result<Json> {
        let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.map_err(|e| self.unreachable(&e))?;
        let body: Json = serde_json::from_str(&text).unwrap_or(Json::Null);
        match of_status(status) {
            Exit::Done => Ok(body),
            exit => Err(Failure::new(exit, self.refusal(status, &body)).into()),
        }
    }

    /// Nobody answered.
    pub fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = std::iter::successors(std::error::Error::source(error), |e| e.source()).last();
        let why = why.map(ToString::to_string).unwrap_or_else(|| error.to_string());
        Failure::new(Exit::Unavailable, format!("no answer from {}: {why}; is `clawr serve` running there?", self.base))
    }

    /// What a problem document says, in a few lines.
    fn refusal(&self, status: u16, body: &Json) -> String {
        if status == 401 && self.key.is_none() {
            return "no API key: set CLAWR_API_KEY or say --key-file; `clawr keys create` makes one".to_owned();
        }
        let detail = body["detail"].as_str().or(body["title"].as_str()).unwrap_or("no explanation");
        let mut text = format!("the server said {status}: {detail}");
        for error in body["errors"].as_array().into_iter().flatten() {
            let (pointer, detail) = (error["pointer"].as_str().unwrap_or_default(), error["detail"].as_str().unwrap_or_default());
            text.push_str(&format!("\n  {pointer} {detail}"));
        }
        text
    }
}

fn default_url(context: &Context) -> anyhow::Result<String> {
    let http = context.config()?.http;
    if !http.base_url.is_empty() {
        return Ok(format!("{}{}", http.base_url, http.base_path));
    }
    if http.listen.port() == 0 {
        return Err(Failure::new(Exit::Usage, "http.listen has port 0, so say --url: the server printed its address").into());
    }
    let host = if http.listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { http.listen.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(format!("http://{host}:{}{}", http.listen.port(), http.base_path))
}

fn key_of(file: &std::path::Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|e| Failure::new(Exit::Usage, format!("cannot read {}: {e}", file.display())))?;
    Ok(SecretString::from(text.trim().to_owned()))
}

/// A path segment: ids and slugs are letters, digits, `_` and `-`; anything else is a typo, not a request.
pub fn segment(text: &str) -> anyhow::Result<&str> {
    let is_fine = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_fine { Ok(text) } else { Err(Failure::new(Exit::Usage, format!("{text:?} is no id")).into()) }
}

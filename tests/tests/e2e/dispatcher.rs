//! A dispatcher's side of the API: signed reports, lists page by page, and waiting for what must come.

use anyhow::{Context as _, ensure};
use clawr_domain::access::webhook;
use clawr_tests::binary::Key;
use clawr_tests::fixtures;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// The API as a dispatcher and an operator with one key see it.
pub struct Api {
    client: reqwest::Client,
    pub url: String,
    pub key: Key,
}

impl Api {
    pub fn new(url: String, key: Key) -> Api {
        Api { client: reqwest::Client::new(), url, key }
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Json> {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key.secret).send().await?;
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        Ok(answer.json().await?)
    }

    pub async fn post(&self, path: &str, body: Json) -> anyhow::Result<()> {
        self.post_for(path, body).await.map(|_| ())
    }

    /// The same; what was answered.
    pub async fn post_for(&self, path: &str, body: Json) -> anyhow::Result<Json> {
        let answer = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key.secret).json(&body).send().await?;
        ensure!(answer.status().is_success(), "{path} {body}: {} {}", answer.status(), answer.text().await?);
        Ok(answer.json().await?)
    }

    pub async fn report(&self, line: &str) -> anyhow::Result<(u16, Json)> {
        let event: Json = serde_json::from_str(line)?;
        let id = event["id"].as_str().context("id")?;
        let now = clawr_engine::clock::host_now() / 1_000_000;
        let signature = webhook::sign(&self.key.signing_secret, id, now, line.as_bytes()).context("secret")?;
        let request = self.client.post(format!("{}/v1/events/settlements", self.url)).bearer_auth(&self.key.secret);
        let request = request.header("webhook-id", id).header("webhook-timestamp", now).header("webhook-signature", signature);
        let answer = request.header("content-type", "application/json").body(line.to_owned()).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// All items of a list, page by page.
    pub async fn all(&self, path: &str) -> anyhow::Result<Vec<Json>> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}{}limit=200{cursor}", if path.contains('?') { "&" } else { "?" })).await?;
            items.extend(page["items"].as_array().context("items")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    pub async fn jobs(&self, state: &str) -> anyhow::Result<usize> {
        Ok(self.all(&format!("/v1/jobs?q=state:{state}")).await?.len())
    }
}

/// The recorded tenants and what they sell.
pub async fn people(api: &Api) -> anyhow::Result<()> {
    let given = fixtures::x402_json("given.json");
    for (tenant, sold) in given["tenants"].as_object().context("tenants")? {
        api.post("/v1/tenants", json!({ "slug": tenant })).await?;
        for (slug, kind) in sold.as_object().context("apis")? {
            api.post("/v1/apis", json!({ "tenant": tenant, "slug": slug, "resource_type": kind, "price_micros": "2500" })).await?;
        }
    }
    Ok(())
}

/// Looks until there is something to see.
pub async fn until<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(started.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

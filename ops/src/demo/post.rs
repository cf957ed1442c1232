//! The dispatcher's part: every report, in order, signed with the time of now.

use super::record;
use super::stage::Stage;
use crate::client::Client;
use crate::out::progress;
use anyhow::Context;
use clawr_domain::access::webhook;
use clawr_engine::clock::host_now;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What the API said to one report.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP.
    pub status: u16,
    /// JSON.
    pub body: Json,
}

/// All answers, in the order of the lines.
pub struct Posted {
    /// One per line.
    pub answers: Vec<Answer>,
}

impl Posted {
    /// How many of each status.
    pub fn by_status(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for answer in &self.answers {
            *counts.entry(answer.status.to_string()).or_insert(0) += 1;
        }
        counts
    }
}

/// Posts them all.
pub async fn all(stage: &Stage) -> anyhow::Result<Posted> {
    let client = Client::at(&stage.server.url, Some(SecretString::from(stage.key.clone())))?;
    let events = record::events();
    let mut answers = Vec::with_capacity(events.len());
    for (i, event) in events.iter().enumerate() {
        progress(&format!("posting report {} of {}", i + 1, events.len()));
        let answer = one(&client, &stage.signing_secret, event).await.with_context(|| format!("failed to post line {}", i + 1))?;
        answers.push(answer);
    }
    progress("");
    Ok(Posted { answers })
}

async fn one(client: &Client, secret: &str, event: &'static [u8]) -> anyhow::Result<Answer> {
    let parsed: Json = serde_json::from_slice(event)?;
    let id = parsed["id"].as_str().context("the report has no id")?;
    let timestamp = host_now() / 1_000_000;
    let signature = webhook::sign(secret, id, timestamp, event).context("the signing secret is malformed")?;
    let request = client.request(Method::POST, "v1/events/settlements", &[])?;
    let request = request
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
        .body(event);
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    Ok(Answer { status, body: answer.json().await.unwrap_or_default() })
}

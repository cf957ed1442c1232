//! `queues limit`, `queues limits`, `queues unlimit`: how many jobs run at once, how many start in a time.

use crate::cli::Context;
use crate::client::{Client, segment};
use crate::exit::Exit;
use crate::table::Table;
use clap::Args;
use serde_json::{Value as Json, json};

/// Arguments of `queues limit`.
#[derive(Debug, Args)]
pub struct LimitArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    most: Most,
    /// Of a rate: how many may start at once after a quiet time; without it as many as the rate says
    #[arg(long)]
    burst: Option<i64>,
    /// Count each tenant by itself
    #[arg(long)]
    per_tenant: bool,
    /// Count each key by itself: the field of its args that a kind names for it
    #[arg(long, conflicts_with = "per_tenant")]
    per_key: bool,
    /// For whoever asks why nothing runs
    #[arg(long)]
    why: String,
    /// A time (RFC 3339) or a span like 2h, after which it is what it was before; without it until ended
    #[arg(long)]
    until: Option<String>,
}

/// What is limited: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A queue
    queue: Option<String>,
    /// All jobs
    #[arg(long)]
    all: bool,
    /// All jobs of a kind
    #[arg(long)]
    kind: Option<String>,
    /// All jobs of a tenant, by slug
    #[arg(long)]
    tenant: Option<String>,
}

/// How many: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Most {
    /// At most so many run at once
    #[arg(long, allow_negative_numbers = true)]
    concurrency: Option<i64>,
    /// At most so many start in a time, like 100/1m
    #[arg(long)]
    rate: Option<String>,
    /// At most so many start in any time of this length, like 100/1m
    #[arg(long)]
    window: Option<String>,
}

impl LimitArgs {
    fn body(&self) -> Json {
        let mut body = json!({"why": self.why, "per_tenant": self.per_tenant, "per_key": self.per_key});
        let named = [("queue", &self.what.queue), ("kind", &self.what.kind), ("tenant", &self.what.tenant)];
        match named.into_iter().find_map(|(what, value)| value.as_ref().map(|value| (what, value))) {
            Some((what, value)) => (body["what"], body["value"]) = (what.into(), value.as_str().into()),
            None => body["what"] = "all".into(),
        }
        let texts = [("rate", &self.most.rate), ("window", &self.most.window), ("until", &self.until)];
        for (name, text) in texts.into_iter().filter_map(|(name, text)| text.as_deref().map(|text| (name, text))) {
            body[name] = text.into();
        }
        for (name, n) in [("concurrency", self.most.concurrency), ("burst", self.burst)] {
            if let Some(n) = n {
                body[name] = n.into();
            }
        }
        body
    }
}

/// Makes a limit.
pub async fn limit(client: &Client, args: &LimitArgs, context: &Context) -> anyhow::Result<Exit> {
    let made = client.post("v1/limits", &args.body()).await?;
    context.out.show(&made, || table(std::slice::from_ref(&made)))?;
    Ok(Exit::Done)
}

/// Shows those in force.
pub async fn limits(client: &Client, context: &Context) -> anyhow::Result<Exit> {
    let list = client.get("v1/limits", &[]).await?;
    context.out.show(&list, || table(list["items"].as_array().map_or(&[], Vec::as_slice)))?;
    Ok(Exit::Done)
}

/// Ends one.
pub async fn unlimit(client: &Client, id: &str, context: &Context) -> anyhow::Result<Exit> {
    client.delete(&format!("v1/limits/{}", segment(id)?)).await?;
    let done = json!({"id": id, "ended": true});
    context.out.show(&done, || Table::of_object(&done))?;
    Ok(Exit::Done)
}

fn table(items: &[Json]) -> Table {
    Table::of(
        items,
        ["id", "what", "value", "per_tenant", "per_key", "concurrency", "burst", "every_us", "window", "window_us", "why", "until", "then"],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: LimitArgs,
    }

    #[test]
    fn one_thing_has_one_limit() {
        let body = |words: &[&str]| Line::try_parse_from(["x", "--why", "w"].iter().chain(words)).map(|line| line.args.body());
        let queue = body(&["money", "--concurrency", "3"]).unwrap();
        assert_eq!(queue, json!({"what": "queue", "value": "money", "concurrency": 3, "per_tenant": false, "per_key": false, "why": "w"}));
        let all = body(&["--all", "--rate", "9/1s", "--burst", "2", "--per-tenant", "--until", "2h"]).unwrap();
        assert_eq!(
            all,
            json!({"what": "all", "rate": "9/1s", "burst": 2, "per_tenant": true, "per_key": false, "why": "w", "until": "2h"})
        );
        for wrong in [
            &["money"][..],
            &["--concurrency", "1"],
            &["money", "--all", "--concurrency", "1"],
            &["money", "--concurrency", "1", "--rate", "1/1s"],
            &["money", "--window", "1/1s", "--rate", "1/1s"],
            &["money", "--concurrency", "1", "--per-tenant", "--per-key"],
        ] {
            assert!(body(wrong).is_err(), "{wrong:?}");
        }
    }
}
